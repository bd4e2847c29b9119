"""Captions the newest picture of a source, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..device.health import Health, read_health
from ..errors import EdgecapError, ImageError
from ..preparation import prepare
from .change import ChangeDetector
from .pump import Pump

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..captioner import Captioner
    from .sources import Frame, Source
    from .stopping import Stop, Wakeups

__all__ = ["Choices", "Sighting", "Totals", "watch"]

Say = Callable[[str], None]
Show = Callable[["Sighting"], None]

_HEALTH_S = 5.0
"""Seconds for which an answer of the machine is good: asking `vcgencmd` starts a process."""
_LONGEST_SLEEP_S = 1.0
_JOIN_S = 3.0


@dataclass(frozen=True)
class Choices:
    """How a source is watched."""

    every: float
    """Seconds from caption to caption; 0 is as fast as pictures come."""
    on_change: bool
    """Caption a picture only where it shows something else than the last one captioned."""
    backlog: int
    """Pictures that may wait; of more, the oldest are let go."""
    decoding: Mapping[str, Any] = field(default_factory=dict)
    """Options of `Captioner.caption`."""


@dataclass(frozen=True)
class Sighting:
    """What became of one picture."""

    taken: float
    """When the picture came, seconds since 1970."""
    camera: str
    """The source's name."""
    photo: str | None
    """The picture's path, where it is a file."""
    text: str | None
    """The caption; None where the picture can't be used."""
    log_probability: float | None
    """Its log probability."""
    error: str | None
    """Why the picture can't be used."""
    caption_ms: float
    """Preparation, encoder and words, milliseconds."""
    passed_over: int
    """Pictures before this one that were let go since the one captioned before."""
    unchanged: int
    """Pictures before this one that showed nothing new."""
    health: Health
    """How the machine was, at most some seconds before."""

    def as_json(self) -> dict[str, Any]:
        """Give the record that `--jsonl` writes."""
        second, milliseconds = divmod(round(self.taken * 1000), 1000)
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        throttled = self.health.throttled
        return {
            "time": f"{when}.{milliseconds:03d}Z",
            "camera": self.camera,
            "photo": self.photo,
            "text": self.text,
            "log_probability": self.log_probability,
            "error": self.error,
            "caption_ms": round(self.caption_ms, 3),
            "passed_over": self.passed_over,
            "unchanged": self.unchanged,
            "temperature_c": self.health.temperature_c,
            "throttled": None if throttled is None else list(throttled),
        }


@dataclass
class Totals:
    """What a watch came to."""

    captions: int = 0
    """Pictures captioned."""
    unusable: int = 0
    """Pictures that could not be used."""
    passed_over: int = 0
    """Pictures let go."""
    unchanged: int = 0
    """Pictures that showed nothing new."""
    hung: bool = False
    """Whether the camera's driver still hangs in a call."""


def watch(
    captioner: Captioner,
    source: Source,
    choices: Choices,
    *,
    show: Show,
    say: Say,
    stop: Stop,
    wakeups: Wakeups,
    ask_health: Callable[[], Health] = read_health,
) -> Totals:
    """Caption a source's pictures until `stop`.

    show: takes what became of each picture; say: tells the user a sentence about the camera or
    the machine; wakeups: those of `stop`. Raises `OptionError` for illegal options,
    `EdgecapError` where the source fails for good or the interpreter does.
    """
    captioner.manifest.decoding(**choices.decoding)
    machine = _Machine(ask_health, say)
    pump = Pump(source, wakeups, say, choices.backlog)
    watching = _Watch(captioner, source, choices, machine)
    silence = _Silence(source, say)
    pump.start()
    due = time.monotonic()
    try:
        while not stop:
            early = due - time.monotonic()
            if early > 0:
                wakeups.sleep(min(early, _LONGEST_SLEEP_S))
                continue
            frame = pump.take()
            if frame is None:
                if pump.error is not None:
                    raise EdgecapError(f"{source.name} failed ({pump.error!r}).")
                silence.endures()
                wakeups.sleep(_LONGEST_SLEEP_S)
                continue
            silence.ends()
            seen = watching.look(frame)
            if seen is not None:
                show(seen)
            # Time lost is not made up for: the next caption is due now at the earliest.
            due = max(due + choices.every, time.monotonic())
    finally:
        watching.totals.hung = not pump.stop(_JOIN_S)
    return watching.totals


class _Watch:
    """Captions frames and counts what isn't captioned."""

    def __init__(
        self, captioner: Captioner, source: Source, choices: Choices, machine: _Machine
    ) -> None:
        self.totals = Totals()
        self._captioner = captioner
        self._name = source.name
        self._choices = choices
        self._machine = machine
        self._detector = ChangeDetector() if choices.on_change else None
        self._passed_over = 0
        self._unchanged = 0

    def look(self, frame: Frame) -> Sighting | None:
        """Caption a frame; None where it shows nothing new."""
        totals = self.totals
        totals.passed_over += frame.passed_over
        self._passed_over += frame.passed_over
        begun = time.perf_counter()
        text, score, error = None, None, None
        try:
            pixels = prepare(frame.photo, self._captioner.manifest.preparation)
            if not self._is_new(pixels):
                self._unchanged += 1
                totals.unchanged += 1
                return None
            # Prepared pixels have the size needed, so they come through unaltered.
            caption = self._captioner.caption(pixels, **self._choices.decoding)
            text, score = caption.text, caption.log_probability
            totals.captions += 1
        except ImageError as problem:
            error = str(problem)
            totals.unusable += 1
        seen = Sighting(
            frame.taken,
            self._name,
            frame.name,
            text,
            score,
            error,
            (time.perf_counter() - begun) * 1e3,
            self._passed_over,
            self._unchanged,
            self._machine.health(),
        )
        self._passed_over = self._unchanged = 0
        return seen

    def _is_new(self, pixels: NDArray[np.uint8]) -> bool:
        return self._detector is None or self._detector.changed(pixels)


class _Machine:
    """Asks how the machine is now and then, and tells when it begins or ends to slow down."""

    def __init__(self, ask: Callable[[], Health], say: Say) -> None:
        self._ask = ask
        self._say = say
        self._health = ask()
        self._asked = time.monotonic()
        say(f"The machine is {self._health}.")

    def health(self) -> Health:
        """Give an answer that is not older than some seconds."""
        if time.monotonic() - self._asked >= _HEALTH_S:
            before, self._health = self._health, self._ask()
            self._asked = time.monotonic()
            if before.throttled != self._health.throttled:
                self._say(f"The machine is {self._health}.")
        return self._health


class _Silence:
    """Tells once when a camera that should give pictures gives none."""

    def __init__(self, source: Source, say: Say) -> None:
        self._source = source
        self._say = say
        self._since: float | None = None
        self._told = False

    def endures(self) -> None:
        """Note that no picture is there."""
        if self._since is None:
            self._since = time.monotonic()
        limit = self._source.silence
        if limit is not None and not self._told and time.monotonic() - self._since >= limit:
            self._told = True
            self._say(f"No picture from {self._source.name} for {limit:.0f} s.")

    def ends(self) -> None:
        """Note that one came."""
        self._since, self._told = None, False
