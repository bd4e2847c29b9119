"""Two recipes' files say on other processors what they say here: a quick `bench/processors.py`.

The rows are those of docs/processors.md: what is judged here is what the table shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from ties import tell, tie

from edgecap.box import find_run
from edgecap.captioner import TrainedCaptioner
from edgecap_bench.processors.judging import judge
from edgecap_bench.processors.keras_side import KerasSide, write_keras_side
from edgecap_bench.processors.saying import PLACES, Said, say
from edgecap_export import Prover, recipe_named

# One process runs them all, for they share what takes time.
pytestmark = [pytest.mark.emulated, pytest.mark.xdist_group("processors")]

PHOTOS = 2
"""Emulated, a photograph takes from 2 to 20 seconds."""
FILES = {
    "dynamic-int8.nano.tflite": "nano",
    "dynamic-int8.nano.onnx": "nano",
    "static-int8.tflite": "mobilenet-lstm",
    "static-int8.onnx": "mobilenet-lstm",
}
"""Files that prepare.py exports, with the captioners in the box."""
TIMEOUT_S = 600

Asking = Callable[[str, str], Said]


@pytest.fixture(scope="session")
def chosen(photos: list[Path]) -> list[Path]:
    return photos[:PHOTOS]


@pytest.fixture(scope="session")
def keras(chosen: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, KerasSide]:
    """What Keras says, by file."""
    sides = {}
    for captioner in set(FILES.values()):
        sides[captioner] = KerasSide(tmp_path_factory.mktemp("keras"))
        source = TrainedCaptioner.load(find_run(captioner)).source()
        write_keras_side(Prover(source, chosen), sides[captioner].folder)
    return {file: sides[captioner] for file, captioner in FILES.items()}


@pytest.fixture(scope="session")
def ask(
    captioners: Path,
    keras: dict[str, KerasSide],
    chosen: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Asking:
    """What a file says on a processor, once for all tests; skips where there is no such."""
    known: dict[tuple[str, str], Said] = {}

    def found(name: str, file: str) -> Said:
        place = PLACES[name]
        reason = place.missing()
        if reason is not None:
            pytest.skip(f"{name}: {reason}")
        if (name, file) not in known:
            known[name, file] = say(
                place,
                captioners / file,
                keras[file],
                tmp_path_factory.mktemp("said"),
                images=len(chosen),
                threads=1,
                timeout_s=TIMEOUT_S,
            )
        return known[name, file]

    return found


@pytest.mark.parametrize("name", ["haswell", "cortex-a72"])
@pytest.mark.parametrize("file", FILES)
def test_the_same_words_and_the_gate(
    name: str,
    file: str,
    ask: Asking,
    keras: dict[str, KerasSide],
    captioners: Path,
    chosen: list[Path],
) -> None:
    there, here = ask(name, file), ask("native", file)
    gate: Mapping[str, float] = asdict(recipe_named(file.partition(".")[0]).gate)
    row = judge(there, here, keras[file], gate)
    assert row["holds"], row
    # What rounds differently stays within a tie; 16-bit sums that saturate don't.
    tolerance = tie(captioners / file)
    assert row["words_nats"] <= tolerance, row
    for photo, its, own in zip(chosen, there.ids, here.ids, strict=True):
        if its != own:
            # This machine nearly chose the other words too.
            assert tell(captioners / file, photo, its).behind <= tolerance, row


@pytest.mark.parametrize("file", ["static-int8.tflite", "static-int8.onnx"])
def test_a_masked_processor_gives_the_numbers_of_an_emulated_one(file: str, ask: Asking) -> None:
    """Bit by bit: so the mask hides what chooses kernels, and stands for the processor."""
    masked, emulated = ask("masked-haswell", file), ask("haswell", file)
    assert masked.ids == emulated.ids
    assert masked.log_probabilities == emulated.log_probabilities
    assert np.array_equal(masked.equal_prefixes, emulated.equal_prefixes)


def test_the_native_row_is_nothing_but_itself(ask: Asking, keras: dict[str, KerasSide]) -> None:
    file = "static-int8.tflite"
    here, gate = ask("native", file), asdict(recipe_named("static-int8").gate)
    row = judge(here, here, keras[file], gate)
    assert row["as_native"] == row["images"] == len(keras[file].greedy)
    assert row["words_nats"] == row["any_word_nats"] == row["caption_nats"] == 0
