"""Each decoder in each format from the photographs to the device, and the table of all systems."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecap.box import captioners, sample_photos
from edgecap.captioner import TrainedCaptioner, read_design
from edgecap.decoders import DECODERS
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap_bench.systems.combinations import System, choose_systems, find_weights
from edgecap_bench.systems.command import main
from edgecap_bench.systems.page import systems_page
from edgecap_bench.systems.photographs import CAPTIONS, write_dataset
from edgecap_bench.systems.record import SystemsRecord
from edgecap_bench.systems.survey import FORMATS, Made, Outcome, Survey
from edgecap_bench.systems.teaching import adapted_weights, small_settings, teach
from edgecap_export import Prover, export
from edgecap_runtime import Captioner
from edgecap_runtime.errors import OptionError

SYSTEMS = Path(__file__).parents[2] / "bench" / "systems.py"


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The photographs with short captions, and weights of the smallest encoder."""
    folder = tmp_path_factory.mktemp("lesson")
    return {
        "weights": adapted_weights(
            "mobilenet", EncoderOptions(64, 0.25), folder / "random.weights.h5"
        ),
        "data": write_dataset(folder / "data", longest=5),
    }


@pytest.fixture(scope="module", params=list(DECODERS))
def taught(
    request: pytest.FixtureRequest,
    lesson: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> TrainedCaptioner:
    captioner, _ = teach(
        "mobilenet",
        request.param,
        ["encoder.size=64", "encoder.width=0.25", *small_settings(request.param)],
        folder=tmp_path_factory.mktemp(request.param),
        **lesson,
    )
    return captioner


@pytest.fixture(scope="module")
def prover(taught: TrainedCaptioner) -> Prover:
    return Prover(taught.source(), sample_photos())


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_file_says_of_each_photograph_what_was_taught(
    suffix: str, prover: Prover, tmp_path: Path
) -> None:
    file = tmp_path / f"captioner.{suffix}"
    report = export(prover.source, file, prover=prover)
    assert report.parity.distinct == len(CAPTIONS)
    assert report.parity.token_exact_greedy == report.parity.token_exact_beam == 1
    with Captioner.load(file, threads=1) as captioner:
        assert captioner.manifest.kind == prover.source.decoder.kind
        for photo in sample_photos():
            words = CAPTIONS[photo.stem].split()[:5]
            assert list(captioner.caption(photo, beam=1).words) == words


def test_each_sample_has_a_caption_of_its_own_that_the_lender_of_words_knows() -> None:
    assert set(CAPTIONS) == {photo.stem for photo in sample_photos()}
    assert len(set(CAPTIONS.values())) == len(CAPTIONS)
    known = read_design(captioners()["mobilenet-lstm"]).vocabulary.words
    assert {word for caption in CAPTIONS.values() for word in caption.split()} <= set(known)


def test_the_systems_are_all_that_the_registries_hold() -> None:
    everything = choose_systems()
    assert {(item.encoder, item.decoder) for item in everything} == {
        (encoder, decoder) for encoder in ENCODERS for decoder in DECODERS
    }
    assert len(set(everything)) == len(everything)
    assert {item.size for item in everything if item.encoder == "inception_v3"} == {224, 299}
    assert {item.size for item in everything if item.encoder != "inception_v3"} == {224}
    assert choose_systems(["mobilenet:lstm"]) == [System("mobilenet", 224, "lstm")]
    some = choose_systems(["inception_v3:lstm", "mobilenet:*"])
    assert len(some) == 2 + len(list(DECODERS))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mobilenet", "ENCODER:DECODER"),
        (":lstm", "ENCODER:DECODER"),
        ("resnet:lstm", "unknown encoder 'resnet'"),
        ("mobilenet:gru", "unknown decoder 'gru'"),
    ],
)
def test_a_combination_that_there_is_not_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        choose_systems([text])


def test_weights_are_found_by_name(tmp_path: Path) -> None:
    assert find_weights("mobilenet", None) is None
    assert find_weights("mobilenet", tmp_path) is None
    with pytest.raises(OptionError, match="no folder"):
        find_weights("mobilenet", tmp_path / "gone")
    for name in ("mobilenet_0.25_224", "mobilenet_1.0_224", "inception_v3"):
        (tmp_path / f"{name}_notop.weights.h5").touch()
    for encoder, name in (("mobilenet", "mobilenet_1.0_224"), ("inception_v3", "inception_v3")):
        assert find_weights(encoder, tmp_path) == tmp_path / f"{name}_notop.weights.h5"
    assert find_weights("mobilenet_v2", tmp_path) is None


def test_a_system_that_fails_says_so_and_the_next_one_is_taken() -> None:
    told: list[Outcome] = []
    systems = [System("mobilenet", 8, "lstm"), System("inception_v3", 8, "lstm")]
    done: list[tuple[int, int]] = []
    outcomes = Survey(systems, None, quick=True, threads=1).run(
        lambda *place: done.append(place), told.append
    )
    assert told == outcomes
    assert [(item.system, item.format) for item in outcomes] == [
        (system, suffix) for system in systems for suffix in (".tflite", ".onnx")
    ]
    for outcome in outcomes:
        (problem,) = outcome.problems
        assert "the training failed" in problem
        assert "size 8" in problem
    assert done == sorted(done)
    assert done[-1][0] == done[-1][1]


def _silent(*told: object) -> None:
    """Tell nobody."""


def _outcome(problem: str | None = None) -> Outcome:
    made = Made(
        bytes=12_340_000, images=14, distinct=14, greedy=14, beam=13, largest=2e-5, p99=0.05,
        kind="prefix", encode_ms=6.25, word_ms=0.5,
    )  # fmt: skip
    outcome = Outcome(System("mobilenet", 224, "merge-bilstm"), ".onnx", None, 30, 2541)
    outcome.made = {"float32": made, "dynamic-int8": made}
    if problem:
        outcome.problems.append(problem)
    return outcome


def test_a_survey_goes_on_from_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = choose_systems(["mobilenet:lstm"]), choose_systems(["mobilenet:merge-lstm"])
    survey = Survey([*first, *second], None, quick=True, threads=1)
    taken: list[System] = []

    def take(self: Survey, system: System, *_: Any) -> list[Outcome]:
        taken.append(system)
        problems = ["it rained"] if system in second and len(taken) == 2 else []
        return [
            dataclasses.replace(_outcome(), system=system, format=suffix, problems=problems)
            for suffix in FORMATS
        ]

    monkeypatch.setattr(Survey, "_take", take)
    record = SystemsRecord(tmp_path / "new" / "record.json", {"threads": 1})
    assert record.read() == []
    before = survey.run(_silent, _silent, keep=record.write)
    known = record.read()
    # What failed is taken again, and what holds comes back as it was.
    assert known == before[: len(FORMATS)]
    after = survey.run(_silent, _silent, known=known, keep=record.write)
    assert taken == [*first, *second, *second]
    assert [outcome.problems for outcome in after] == [[]] * 4
    assert record.read() == after
    # A part of the systems leaves the others' outcomes where they are.
    part = Survey(first, None, quick=True, threads=1)
    part.run(_silent, _silent, known=after[len(FORMATS) :], keep=record.write)
    assert taken[3:] == first
    assert {outcome.system for outcome in record.read()} == {*first, *second}


def test_a_record_of_other_settings_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    SystemsRecord(path, {"threads": 1}).write([_outcome()])
    with pytest.raises(OptionError, match=r"another threads \(1, not 2\)"):
        SystemsRecord(path, {"threads": 2}).read()
    path.write_text("[]")
    with pytest.raises(OptionError, match="delete it"):
        SystemsRecord(path, {"threads": 1}).read()


def test_the_page_tells_what_holds_and_what_failed() -> None:
    machine = {
        "cpu": "some processor", "cores": 2, "memory_mb": 8000, "architecture": "x86_64",
        "python": "3.11.2", "versions": {"keras": "3.15.1"},
    }  # fmt: skip
    page = systems_page(
        [_outcome(), _outcome("float32: the export failed: no such operator")],
        command="python bench/systems.py",
        threads=2,
        machine=machine,
        load="",
    )
    assert "**1 of 2 rows hold.**" in page
    good, bad = re.findall(r"^\| mobilenet .*", page, re.MULTILINE)
    assert "| random weights | merge-bilstm | .onnx | prefix | 14 / 13 | 14 / 13 | 2e-05 |" in good
    assert "| 12.3 | 12.3 | 6.25 | 0.50 | 0.50 |" in good
    assert "**failed**" in bad
    assert "- mobilenet at 224 with merge-bilstm, .onnx: FAILED: float32: the export fail" in page
    assert "2541 words" in page
    assert "some processor, 2 cores, 8 GB" in page


def test_bad_input_ends_with_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["systems.py", "--only", "mobilenet"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    # TensorFlow may have spoken first, where this is the first that needs it.
    assert said.err.splitlines()[-1].startswith("error: --only 'mobilenet' is no combination")


@pytest.mark.slow
def test_one_system_by_the_script(tmp_path: Path) -> None:
    page = tmp_path / "systems.md"
    done = subprocess.run(
        [
            *(sys.executable, str(SYSTEMS), "--quick", "--only", "mobilenet_v3_small:merge-lstm"),
            *("-o", str(page)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "**2 of 2 rows hold.**" in text
    assert str(tmp_path) not in text
    assert text.count("| mobilenet_v3_small 224 | random weights | merge-lstm |") == 2
