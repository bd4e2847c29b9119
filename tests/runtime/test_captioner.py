from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import SIDE, WIDTH, WORDS, TinyModel, tiny_manifest

from edgecap_runtime import (
    BundleError,
    Captioner,
    EdgecapError,
    ImageError,
    MissingExtraError,
    OptionError,
)
from edgecap_runtime.backends import Backend, default_threads, open_backend
from edgecap_runtime.bundle import write_bundle
from edgecap_runtime.manifest import StateTensor
from edgecap_runtime.preparation import Preparation, prepare
from edgecap_runtime.vocabulary import Vocabulary


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    colours = rng.integers(0, 256, (count, 1, 1, 3))
    return [np.broadcast_to(c, (20, 30, 3)).astype(np.uint8) for c in colours]


@pytest.fixture
def backend(captioner_file: Path) -> Backend:
    return open_backend(captioner_file, tiny_manifest(), 1)


class TestBackends:
    """Each interpreter against the same model in numpy."""

    def test_encode(self, backend: Backend, tiny_model: TinyModel, photograph: np.ndarray) -> None:
        image = prepare(photograph, tiny_manifest().preparation)
        np.testing.assert_allclose(
            backend.encode(image)["h"], tiny_model.encode(image)["h"], atol=1e-5
        )

    def test_step_with_row_counts_that_change(
        self, backend: Backend, tiny_model: TinyModel
    ) -> None:
        rng = np.random.default_rng(0)
        for rows in (1, 3, 3, 5, 1, 2, 5):
            ids = rng.integers(0, len(WORDS), rows).astype(np.int32)
            state = {"h": rng.normal(0, 1, (rows, WIDTH)).astype(np.float32)}
            logits, following = backend.step(ids, state)
            expected, expected_state = tiny_model.step(ids, state)
            assert logits.dtype == np.float32
            np.testing.assert_allclose(logits, expected, atol=1e-4)
            np.testing.assert_allclose(following["h"], expected_state["h"], atol=1e-5)

    def test_what_was_returned_is_never_overwritten(self, backend: Backend) -> None:
        black, white = (np.full((SIDE, SIDE, 3), value, np.uint8) for value in (0, 255))
        first = backend.encode(black)
        kept_first = first["h"].copy()
        ids = np.array([4], np.int32)
        logits, following = backend.step(ids, first)
        kept = logits.copy(), following["h"].copy()
        backend.encode(white)
        backend.step(ids, following)
        backend.step(np.array([5, 6], np.int32), {"h": np.ones((2, WIDTH), np.float32)})
        np.testing.assert_array_equal(first["h"], kept_first)
        np.testing.assert_array_equal(logits, kept[0])
        np.testing.assert_array_equal(following["h"], kept[1])
        logits[:] = 0

    def test_a_failed_call_is_one_sentence_and_the_next_one_works(
        self, backend: Backend, tiny_model: TinyModel
    ) -> None:
        ids, state = np.array([4], np.int32), {"h": np.zeros((1, WIDTH), np.float32)}
        with pytest.raises(BundleError, match="failed in"):
            backend.step(ids, {"h": np.zeros((1, WIDTH + 1), np.float32)})
        np.testing.assert_allclose(
            backend.step(ids, state)[0], tiny_model.step(ids, state)[0], atol=1e-4
        )


def test_the_fast_path_is_taken_where_the_step_comes_first(
    tflite_file: Path, tflite_encode_first: Path
) -> None:
    fast = open_backend(tflite_file, tiny_manifest(), 1)
    slow = open_backend(tflite_encode_first, tiny_manifest(), 1)
    assert (fast._plain, slow._plain) == (True, False)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changes",
    [
        {"preparation": Preparation(SIDE + 1, SIDE)},
        {"vocabulary": Vocabulary((*WORDS, "more"), start_id=1, end_id=2)},
        {"state": (StateTensor("h", (WIDTH + 1,)),)},
        {"state": (StateTensor("other", (WIDTH,)),)},
        {"state": (StateTensor("h", (WIDTH, 1)),)},
    ],
    ids=["image", "vocabulary", "width", "name", "rank"],
)
def test_a_manifest_that_the_graph_contradicts(
    changes: dict[str, Any], plain_onnx: Path, plain_tflite: Path, tmp_path: Path
) -> None:
    for plain in (plain_onnx, plain_tflite):
        path = tmp_path / plain.name
        write_bundle(plain, tiny_manifest(**changes), path)
        with pytest.raises(BundleError, match="export the captioner again") as caught:
            Captioner.load(path)
        assert str(path) in str(caught.value)


def test_a_model_that_no_interpreter_loads(
    plain_onnx: Path, plain_tflite: Path, tmp_path: Path
) -> None:
    for plain in (plain_onnx, plain_tflite):
        content = plain.read_bytes()
        broken = tmp_path / plain.name
        # The head stays, so that the file is taken for a model; what follows is torn out.
        broken.write_bytes(content[:8] + (b"" if plain.suffix == ".onnx" else bytes(64)))
        if plain.suffix == ".onnx":
            broken.write_bytes(b"\x08\x09\x3a\x02\x0a\x00")
        write_bundle(broken, tiny_manifest(), broken)
        with pytest.raises(BundleError, match="does not load"):
            Captioner.load(broken)


def test_captions_equal_the_model_in_numpy(captioner_file: Path, tiny_model: TinyModel) -> None:
    expected = Captioner(tiny_manifest(), tiny_model)
    with Captioner.load(captioner_file, threads=1) as captioner:
        assert captioner.manifest == tiny_manifest()
        for picture in pictures(10):
            for options in ({}, {"beam": 1}, {"beam": 4, "n_best": 3, "min_words": 2}):
                found = captioner.caption(picture, **options)  # type: ignore[arg-type]
                want = expected.caption(picture, **options)  # type: ignore[arg-type]
                assert found.ids == want.ids
                assert found.text == want.text
                assert found.log_probability == pytest.approx(want.log_probability, abs=1e-3)
                assert [other.ids for other in found.alternatives] == [
                    other.ids for other in want.alternatives
                ]


def test_pictures_have_different_captions(onnx_file: Path) -> None:
    captioner = Captioner.load(onnx_file, threads=1)
    assert len({captioner.caption(picture).ids for picture in pictures(10)}) > 1


def test_a_caption_hangs_together(captioner_file: Path, photograph: np.ndarray) -> None:
    captioner = Captioner.load(captioner_file, threads=1)
    caption = captioner.caption(photograph, beam=3, n_best=3, length_penalty=1)
    vocabulary = captioner.manifest.vocabulary
    assert caption.words == vocabulary.words_of(caption.ids)
    assert caption.text == vocabulary.join(caption.words)
    ranked = [caption.score, *(other.score for other in caption.alternatives)]
    assert len(ranked) == 3
    assert ranked == sorted(ranked, reverse=True)
    timings = caption.timings
    assert min(timings.prepare, timings.encode, timings.decode) > 0
    assert 1 <= timings.steps <= captioner.manifest.defaults.max_words
    assert timings.per_step == pytest.approx(timings.decode / timings.steps)


def test_the_files_defaults_are_used(plain_onnx: Path, tmp_path: Path) -> None:
    defaults = tiny_manifest().defaults.changed(beam=1, min_words=3, max_words=3)
    write_bundle(plain_onnx, tiny_manifest(defaults=defaults), tmp_path / "c.onnx")
    captioner = Captioner.load(tmp_path / "c.onnx", threads=1)
    for picture in pictures(5):
        assert len(captioner.caption(picture).words) == 3
        assert len(captioner.caption(picture, max_words=2, min_words=2).words) == 2


def test_stream_equals_greedy(captioner_file: Path) -> None:
    captioner = Captioner.load(captioner_file, threads=1)
    for picture in pictures(10):
        words = tuple(captioner.stream(picture, max_words=7))
        assert words == captioner.caption(picture, beam=1, max_words=7).words


def test_a_stream_does_not_hold_the_captioner(captioner_file: Path) -> None:
    captioner = Captioner.load(captioner_file, threads=1)
    one, two = pictures(2)
    expected = captioner.caption(one, beam=1, min_words=5).words
    stream = captioner.stream(one, min_words=5)
    words = [next(stream)]
    captioner.caption(two, beam=3)
    words.extend(stream)
    assert tuple(words) == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batch_equals_one_by_one(captioner_file: Path, threads: int) -> None:
    captioner = Captioner.load(captioner_file, threads=threads)
    photos = pictures(5)
    batch = captioner.caption_batch(iter(photos), beam=2)
    assert [item.ids for item in batch] == [captioner.caption(p, beam=2).ids for p in photos]
    assert captioner.caption_batch([]) == []
    with pytest.raises(ImageError, match="Unable to find"):
        captioner.caption_batch([photos[0], "none.jpg", photos[1]])
    assert len(captioner.caption_batch(photos[:2], beam=1)) == 2
    captioner.close()
    with pytest.raises(EdgecapError, match="closed"):
        captioner.caption_batch(photos)


def test_threads_share_one_captioner(captioner_file: Path) -> None:
    captioner = Captioner.load(captioner_file, threads=1)
    photos = pictures(12)
    beams = [1 + place % 4 for place in range(len(photos))]
    expected = [
        captioner.caption(p, beam=b).log_probability for p, b in zip(photos, beams, strict=True)
    ]
    gate = threading.Barrier(4)

    def work(place: int) -> list[float]:
        gate.wait()
        return [
            captioner.caption(photos[i], beam=beams[i]).log_probability
            for i in [*range(place, len(photos)), *range(place)]
        ]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, (0, 3, 6, 9)))
    for place, answers in zip((0, 3, 6, 9), found, strict=True):
        # The same kernels in the same order: no other thread's numbers got in.
        assert answers == pytest.approx([*expected[place:], *expected[:place]], abs=1e-6)


def test_illegal_options_come_before_any_work(onnx_file: Path) -> None:
    captioner = Captioner.load(onnx_file)
    for call in (captioner.caption, captioner.stream, captioner.caption_batch):
        with pytest.raises(OptionError, match="max_words is 0"):
            call("none.jpg", max_words=0)  # type: ignore[operator]
    with pytest.raises(OptionError, match="beam is '3'"):
        captioner.caption("none.jpg", beam="3")  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [0, -1, 257, 1.5, True, "2"])
def test_illegal_threads(threads: Any, onnx_file: Path) -> None:
    with pytest.raises(OptionError, match="threads is"):
        Captioner.load(onnx_file, threads=threads)


def test_default_threads() -> None:
    assert 1 <= default_threads() <= 4


def test_a_closed_captioner_says_so(captioner_file: Path, photograph: np.ndarray) -> None:
    captioner = Captioner.load(captioner_file, threads=1)
    stream = captioner.stream(photograph)
    captioner.close()
    captioner.close()
    for call in (lambda: captioner.caption(photograph), lambda: next(stream)):
        with pytest.raises(EdgecapError, match="closed"):
            call()


@pytest.mark.parametrize(
    ("fixture", "missing", "extra"),
    [
        ("tflite_file", ("ai_edge_litert", "tflite_runtime"), "tflite"),
        ("onnx_file", ("onnxruntime",), "onnx"),
    ],
)
def test_a_missing_interpreter_names_the_extra(
    fixture: str,
    missing: tuple[str, ...],
    extra: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = request.getfixturevalue(fixture)
    for name in missing:
        for loaded in [item for item in sys.modules if item.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"edgecap-runtime\[{extra}\]"):
        Captioner.load(path)


def test_nothing_is_written_to_standard_error(captioner_file: Path) -> None:
    script = (
        "import sys, numpy, edgecap_runtime as e\n"
        "c = e.Captioner.load(sys.argv[1], threads=2)\n"
        "print(c.caption(numpy.zeros((9, 9, 3), 'uint8')).text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(captioner_file)], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stderr == ""
