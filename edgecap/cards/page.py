"""The card as a page: figures from the record, prose from the data's template and from notes.

Notes are a file `notes.md` beside the record, with the card's own headings or others; making the
card anew leaves it alone.
"""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgecap.box import sample_photos
from edgecap.cards import tables
from edgecap.cards.prose import OPENING, Sections, prose_of_data, read_sections
from edgecap.record import Measurement, Record
from edgecap_runtime.atomic import replacing
from edgecap_runtime.options import search_name

__all__ = ["CARD", "NOTES", "card_page", "write_card"]

CARD = "README.md"
"""The card's name beside the record."""

NOTES = "notes.md"
"""The name of the hand-written part."""


def write_card(record: Record, folder: Path) -> Path:
    """Write the card into the captioner's folder, and give its path.

    Raises:
        EdgecapError: the notes there can't be read, or the card can't be written.
    """
    photos = Path(os.path.relpath(sample_photos()[0].parent, folder.resolve()))
    # A folder elsewhere has the samples nowhere near: their names must do.
    near = None if photos.parts.count(os.pardir) > _NEAR else photos
    whole = (folder / "run.json").is_file()
    page = card_page(record, read_sections(folder / NOTES), near, whole=whole)
    with replacing(folder / CARD) as stream:
        stream.write(page.encode())
    return folder / CARD


_WIDTH = 100
"""Characters of a line of prose."""

_NEAR = 2
"""Folders up from a captioner in the box to the samples."""


def card_page(record: Record, notes: Sections, photos: Path | None, *, whole: bool = True) -> str:
    """Give the card's text.

    Args:
        record: the captioner's.
        notes: what was written by hand, by heading.
        photos: the way from the card to the sample photographs; None shows their names alone.
        whole: whether the captioner's weights lie beside the card.
    """
    prose = prose_of_data(str(record.provenance.get("data")))
    left = dict(notes)
    parts = [f"# {record.name}", *_opening(record, whole), *_written(left.pop(OPENING, None))]
    sections = _measured_sections(record, photos)
    for heading in dict.fromkeys([*_ORDER, *prose, *notes]):
        if heading == OPENING:
            continue
        body = [
            *_written(prose.get(heading)),
            *sections.get(heading, []),
            *_written(left.get(heading)),
        ]
        if body:
            parts += [f"## {heading}", *body]
    parts.append(_HOW_TO_CHANGE)
    return "\n\n".join(parts) + "\n"


_ORDER = (
    *("Data and terms", "Made by", "Scores", "Faults of the captions", "Captions"),
    *("Known faults", "Bias"),
)

_HOW_TO_CHANGE = (
    "This page is written by `edgecap card`; what stands in it by hand is in `notes.md`, beside it."
)


def _opening(record: Record, whole: bool) -> Iterator[str]:
    encoder, decoder = _part(record.encoder), _part(record.decoder)
    words = "" if record.words is None else f" It knows {record.words} words."
    weights = record.provenance.get("weights")
    rounded = f" Weights {weights}." if weights else ""
    yield _wrapped(f"An image captioner. Encoder: {encoder}; decoder: {decoder}.{words}{rounded}")
    licence = record.provenance.get("licence")
    if licence:
        yield f"Licence: {licence}."
    if record.words is None:
        return
    if not whole:
        yield "Its weights are not here; it is made by the commands under *Made by*."
        return
    yield _code(
        f"edgecap caption {record.name} photo.jpg",
        f"edgecap export {record.name} -o captioner.tflite",
    )


def _part(part: Mapping[str, Any]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in part.items() if key != "name")
    return f"`{part['name']}`" + (f" ({options})" if options else "")


def _measured_sections(record: Record, photos: Path | None) -> dict[str, list[str]]:
    found = {"Made by": list(_made_by(record))}
    measured = record.measurement
    if measured is None:
        return found
    return found | {
        "Scores": list(_scores(measured)),
        "Faults of the captions": [
            "Shares of the captions, and whether each keeps to its limit:",
            _table(tables.fault_table(measured)),
        ],
        "Captions": [
            _wrapped(
                "All sample photographs in the box, in the order of their names; none was chosen "
                f"for what is said of it. The captioner's own search ({measured.search}), from "
                "`.tflite` files. Authors and licences: edgecap/samples/SOURCES.md."
            ),
            _table(tables.sample_table(measured, photos), texts=3),
        ],
        "Known faults": [
            _wrapped(
                f"Counted in the Keras model's {measured.images} captions of {measured.data} "
                f"{measured.split} ({measured.search}): how many name something, and how many of "
                "these no reference bears out (for a colour or a number, that very one)."
            ),
            _table(tables.mention_table(measured)),
        ],
        "Bias": [_wrapped(tables.gender_line(measured))],
    }


def _made_by(record: Record) -> Iterator[str]:
    made = record.provenance
    steps = record.trainings
    if len(steps) > 1:
        yield "Each of these goes on from what earlier ones wrote, or learns from it:"
    if record.commands:
        yield _code(*(line for command in record.commands for line in _broken(command)))
    facts = []
    if made.get("trained"):
        facts.append(f"Trained on {made['trained']}")
    if made.get("keras"):
        facts.append(f"Keras {made['keras']} on {made.get('keras_backend', 'an unknown backend')}")
    # A mean of runs was not trained itself.
    trained = [place for place, step in enumerate(steps) if step.get("training")]
    training: Mapping[str, Any] = steps[trained[-1]]["training"] if trained else {}
    if "seed" in training:
        facts.append(f"seed {training['seed']}")
    scores = made.get("scores", {})
    if "best_epoch" in scores:
        facts.append(f"the best of {scores['epochs']} epochs was number {scores['best_epoch']}")
    if record.seconds:
        facts.append(f"{record.seconds / 60:.0f} minutes of training")
    if facts:
        yield _wrapped(", ".join(facts) + ".")
    if training:
        of_which = f" of command {trained[-1] + 1}" if len(steps) > 1 else ""
        yield _wrapped(f"Settings{of_which}: {_settings(training)}.")
    for place, step in enumerate(steps, 1):
        others = {
            key: value
            for key, value in step.get("training", {}).items()
            if training.get(key, value) != value
        }
        if others:
            yield _wrapped(f"Command {place} differs from these in: {_settings(others)}.")
    if record.seeds:
        yield "The same training by several seeds, float32, on dev; the first is this one:"
        yield _table(tables.seed_table(record))
    if record.curve:
        search = search_name(training.get("dev_beam", 1))
        yield f"The curve; BLEU is corpus BLEU on dev, {search}:"
        yield _table(tables.curve_table(record))


def _settings(training: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {'none' if value == '' else value}" for key, value in training.items())


def _scores(measured: Measurement) -> Iterator[str]:
    calibration = measured.calibration
    yield _wrapped(
        f"{measured.data} {measured.split}, {measured.images} photographs. BLEU-1 to 4 are corpus "
        "BLEU; CIDEr-D takes its document frequencies from these photographs' references; "
        "sentence-mean BLEU-1 is what notebooks report. Files are compared with the Keras model of "
        "these weights, with the 95 % interval of a paired bootstrap; static-int8 is calibrated on "
        f"{calibration['images']} photographs of {calibration['of']}, seed {calibration['seed']}."
    )
    yield _table(tables.score_table(measured), texts=2)
    tools = ", ".join(f"{name} {version}" for name, version in measured.made["tools"].items())
    yield _wrapped(
        f"Measured on {measured.made['measured']} ({measured.made['machine']}; {tools}) by"
    )
    yield _code(*_broken(measured.made["command"]))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _written(text: str | None) -> list[str]:
    return [text] if text else []


def _code(*lines: str) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _broken(command: str, width: int = _WIDTH - 6) -> list[str]:
    """Break a long command at its options, as a shell takes it."""
    lines: list[str] = []
    for word in shlex.split(command):
        quoted = shlex.quote(word)
        if lines and (len(lines[-1]) + len(quoted) < width or not word.startswith("-")):
            lines[-1] += f" {quoted}"
        else:
            lines.append(quoted if not lines else f"    {quoted}")
    return [*(f"{line} \\" for line in lines[:-1]), *lines[-1:]]


def _table(table: tables.Table, texts: int = 1) -> str:
    head, rows = table
    return "\n".join(tables.markdown_table(head, rows, texts=texts))
