"""Choosing among measured recipes by a budget: the fastest that fits is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edgecap_runtime.errors import EdgecapError, OptionError

COLUMNS = ("recipe", "BLEU-4", "95 % interval", "ms", "MB", "")
"""The heads of `Trial.cells`."""

LEGEND = (
    "BLEU-4: corpus BLEU-4 minus Keras', of greedy and beam search the one that loses more",
    "ms: a caption, greedy, from the photograph to the words; files in turns, on this machine",
)
"""What the heads mean."""

_SMALLEST = 1e-6
_AS_FAST = 0.03
"""Times that differ by a smaller share are equal: the clock would choose anew each time."""


@dataclass(frozen=True)
class Trial:
    """One recipe, tried."""

    recipe: str
    """Its name."""

    reason: str | None = None
    """Why it can't be taken whatever the budget: the format can't have it (nothing is measured
    then), or it is below its gate."""

    greedy: float | None = None
    """Corpus BLEU-4 minus Keras', greedy, on all photographs."""

    beam: float | None = None
    """The same by beam search."""

    low: float | None = None
    """Lower end of the 95 % interval of the difference, of the search that loses more."""

    high: float | None = None
    """Its upper end."""

    ms: float | None = None
    """Median time of a caption, milliseconds: preparation, encoder and words, greedy."""

    mb: float | None = None
    """Size, 10^6 bytes."""

    @property
    def difference(self) -> float | None:
        """The BLEU-4 difference of the search that loses more."""
        both = [value for value in (self.greedy, self.beam) if value is not None]
        return min(both, default=None)

    @property
    def loss(self) -> float | None:
        """Corpus BLEU-4 lost, by that search, at least 0: a gain is no loss."""
        return None if self.difference is None else max(0.0, -self.difference)

    def cells(self, budget: Budget, chosen: str | None) -> list[str]:
        """Give it as text, with what speaks for or against it."""
        remark = "not possible" if self.difference is None else "below its gate"
        if self.reason is None:
            over = budget.excess(self)
            remark = "over: " + ", ".join(f"{_amount(by)} {unit}" for unit, by in over.items())
            remark = remark if over else "chosen" if self.recipe == chosen else ""
        numbers = ["-"] * 4
        if None not in (self.difference, self.low, self.high, self.ms, self.mb):
            interval = f"{self.low:+.2f} to {self.high:+.2f}"
            numbers = [f"{self.difference:+.2f}", interval, f"{self.ms:.1f}", f"{self.mb:.1f}"]
        return [self.recipe, *numbers, remark]


@dataclass(frozen=True)
class _Limit:
    """One limit of a budget."""

    flag: str
    unit: str
    cost: str
    """Attribute of a `Trial` that it limits."""
    most: float

    def of(self, trial: Trial) -> float:
        return float(getattr(trial, self.cost))

    def over(self, trial: Trial) -> float:
        return self.of(trial) - self.most

    def share(self, trial: Trial) -> float:
        # A limit of 0 has no shares; any cost counts as far over it.
        return self.of(trial) / max(self.most, _SMALLEST)


@dataclass(frozen=True)
class Budget:
    """What a file may cost; None for anything. Raises `OptionError` for a senseless limit."""

    bleu_loss: float | None
    """Points of corpus BLEU-4, greedy and beam each, mean over the photographs."""

    ms: float | None = None
    """Milliseconds a caption: preparation, encoder and words, greedy, on this machine."""

    mb: float | None = None
    """Megabytes (10^6 bytes)."""

    def __post_init__(self) -> None:
        if self.bleu_loss is not None and not 0 <= self.bleu_loss < math.inf:
            raise OptionError(
                f"--max-bleu-loss is {self.bleu_loss:g}; give 0 or more (points of BLEU-4)"
            )
        for name, value in (("--max-ms", self.ms), ("--max-mb", self.mb)):
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"{name} is {value:g}; give a number above 0")

    @property
    def limits(self) -> tuple[_Limit, ...]:
        """The limits that there are."""
        pairs = (
            ("--max-bleu-loss", "BLEU-4", "loss", self.bleu_loss),
            ("--max-ms", "ms", "ms", self.ms),
            ("--max-mb", "MB", "mb", self.mb),
        )
        return tuple(
            _Limit(flag, unit, cost, most) for flag, unit, cost, most in pairs if most is not None
        )

    def excess(self, trial: Trial) -> dict[str, float]:
        """Give by how much a measured trial is over each limit that it breaks, by unit."""
        return {
            limit.unit: limit.over(trial) for limit in self.limits if limit.of(trial) > limit.most
        }

    def to_dict(self) -> dict[str, float]:
        """Give the limits that there are."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        words = {"BLEU-4": "BLEU-4 lost"}
        said = [f"{limit.most:g} {words.get(limit.unit, limit.unit)}" for limit in self.limits]
        return "at most " + ", ".join(said) if said else "none"


class BudgetError(EdgecapError):
    """No recipe fits the budget; the file was not written."""

    def __init__(self, message: str, trials: Sequence[Trial]) -> None:
        super().__init__(message)
        self.trials = tuple(trials)
        """What was tried."""


def choose(trials: Sequence[Trial], budget: Budget) -> Trial:
    """Give the fastest trial that fits; of those that are as fast within 3 % the smallest.

    Raises:
        BudgetError: none fits; the sentence says which limits none keeps, and which recipe comes
            nearest by how much.
    """
    possible = [trial for trial in trials if trial.reason is None]
    fitting = [trial for trial in possible if not budget.excess(trial)]
    if fitting:
        fastest = min(trial.ms or 0.0 for trial in fitting)
        as_fast = [trial for trial in fitting if (trial.ms or 0.0) <= fastest * (1 + _AS_FAST)]
        return min(as_fast, key=lambda trial: (trial.mb, trial.ms))
    if not possible:
        why = "; ".join(f"{trial.recipe}: {(trial.reason or '').rstrip('.')}" for trial in trials)
        raise BudgetError(f"no recipe can be taken, whatever the budget ({why})", trials)
    nearest = min(possible, key=lambda trial: max(limit.share(trial) for limit in budget.limits))
    least = [(limit, min(possible, key=limit.of)) for limit in budget.limits]
    unmet = [
        f"{limit.flag} {limit.most:g} can't be met (the least is {limit.of(best):.3g}, by "
        f"{best.recipe})"
        for limit, best in least
        if limit.of(best) > limit.most
    ]
    over = " and ".join(f"{_amount(by)} {unit}" for unit, by in budget.excess(nearest).items())
    enough = " ".join(
        f"{limit.flag} {_rounded_up(limit.of(nearest)):g}"
        for limit in budget.limits
        if limit.of(nearest) > limit.most
    )
    raise BudgetError(
        f"no recipe fits the budget: {' and '.join(unmet) or 'no one keeps all limits at once'}; "
        f"the nearest, {nearest.recipe}, is {over} over: allow {enough}, or export with --quantize "
        f"{nearest.recipe}",
        trials,
    )


def doubts(trials: Sequence[Trial], recipe: str, budget: Budget, images: int) -> list[str]:
    """Say where so few photographs can't tell how much BLEU-4 is lost.

    recipe: what was chosen; images: how many photographs.
    """
    if budget.bleu_loss is None:
        return []
    chosen = next(trial for trial in trials if trial.recipe == recipe)
    said = []
    if chosen.low is not None and chosen.low < -budget.bleu_loss:
        said.append(
            f"on {images} photographs {recipe}'s difference of BLEU-4 is only known to be "
            f"{chosen.low:+.2f} to {chosen.high:+.2f} (95 % interval), so that more than "
            f"{budget.bleu_loss:g} may be lost; more photographs (--images) tell more"
        )
    faster = [
        trial.recipe
        for trial in trials
        if trial.reason is None
        and set(budget.excess(trial)) == {"BLEU-4"}
        and (trial.high or 0.0) >= -budget.bleu_loss
        and (trial.ms or 0.0) < (chosen.ms or 0.0)
    ]
    if faster:
        said.append(
            f"faster than {recipe} but ruled out by BLEU-4 on {images} photographs, which can't "
            f"tell for sure: {', '.join(faster)}; more photographs (--images) tell more"
        )
    return said


def _amount(value: float) -> str:
    """Write a number in two digits, or all that are before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _rounded_up(value: float) -> float:
    """Round to two digits, never down."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit
