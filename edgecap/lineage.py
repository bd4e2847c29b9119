"""The runs that a run comes from, as its provenance keeps them: a tree in memory, a list in a file.

A run may be begun from another, take another's encoder, learn from teachers, and be the mean of
several; each of those comes from runs again, and often from the same. A tree holds such a run as
often as it was come by, and doubles with each generation of means; a file holds each once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "changed_before",
    "commands_of",
    "folded",
    "how_made_before",
    "made_in_short",
    "trainings_of",
    "unfolded",
]

_ONE_BEFORE = ("encoder_of", "begun_from")
_SEVERAL_BEFORE = ("teachers", "averaged")
"""Where provenance keeps the runs that a run comes from, the oldest first."""

_RUNS = "runs"
"""Where a file's provenance lists them, each after those that it comes from."""

_OF_THE_WORKSTATION = ("curve", "search")
"""What says nothing to a device."""

_KEPT_OF_SCORES = ("best_epoch", "epochs", "seconds")

Change = Callable[[Any], Any]
"""From what stands for one run to what takes its place."""


def how_made_before(name: str, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the record of a run keeps of a run that it comes from, by its name.

    Of the scores how long it took, no more.
    """
    return {"name": name, **_kept(provenance)}


def _kept(made: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: made[key] for key in ("name", "share", "command", "training") if key in made}
    if "scores" in made:
        scores = made["scores"]
        kept["scores"] = {key: scores[key] for key in _KEPT_OF_SCORES if key in scores}
    return {**kept, **changed_before(made, _kept)}


def changed_before(made: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Change what provenance keeps of each run that it comes from; gives those entries alone."""
    changed: dict[str, Any] = {key: change(made[key]) for key in _ONE_BEFORE if key in made}
    for key in _SEVERAL_BEFORE:
        if key in made:
            changed[key] = [change(each) for each in made[key]]
    return changed


def folded(made: Mapping[str, Any]) -> dict[str, Any]:
    """Give provenance as a file holds it: each run before once, under "runs", by its place there.

    Runs are the same where all that is known of them is; a mean's part with another share is
    another. `unfolded` gives back what was folded.
    """
    runs: list[Any] = []
    places: dict[str, int] = {}

    def place(each: Mapping[str, Any]) -> int:
        alone = {**each, **changed_before(each, place)}
        text = json.dumps(alone, sort_keys=True)
        if text not in places:
            places[text] = len(runs)
            runs.append(alone)
        return places[text]

    flat = {**made, **changed_before(made, place)}
    return {**flat, _RUNS: runs} if runs else flat


def unfolded(made: Mapping[str, Any]) -> dict[str, Any]:
    """Give provenance that `folded` made, or that was never folded, with its runs in their places.

    Raises:
        ValueError: a run is named that is not listed before it.
    """
    runs: list[Any] = []

    def at(place: Any) -> Any:
        if not isinstance(place, int):
            return place
        if not 0 <= place < len(runs):
            raise ValueError(f"of the {len(runs)} runs before it there is no number {place}")
        return runs[place]

    for each in made.get(_RUNS, ()):
        runs.append({**each, **changed_before(each, at)})
    whole = {key: value for key, value in made.items() if key != _RUNS}
    return {**whole, **changed_before(whole, at)}


def made_in_short(made: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a captioner's file carries of a run's provenance.

    Of the runs that it comes from their commands alone, in their order: a mean of pupils whose
    teachers are means comes from some thirty.
    """
    left_out = (*_ONE_BEFORE, *_SEVERAL_BEFORE, *_OF_THE_WORKSTATION)
    short = {key: value for key, value in made.items() if key not in left_out}
    commands = commands_of(trainings_of(made))
    return {**short, "commands": commands} if len(commands) > 1 else short


def commands_of(trainings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give the commands that are known of them."""
    return [each["command"] for each in trainings if each.get("command")]


def trainings_of(made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give provenance of the trainings that a run comes from, each once, the oldest first and its
    own last."""
    # Runs that are averaged have begun from the same one.
    found: dict[Any, Mapping[str, Any]] = {}
    for place, training in enumerate(_with_those_before(made)):
        found.setdefault(training.get("command") or place, training)
    return list(found.values())


def _with_those_before(made: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    before = [made[key] for key in _ONE_BEFORE if made.get(key)]
    before += [each for key in _SEVERAL_BEFORE for each in made.get(key, ())]
    return [training for each in before for training in _with_those_before(each)] + [made]
