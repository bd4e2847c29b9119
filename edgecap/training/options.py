"""The settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from edgecap_runtime.errors import OptionError


@dataclass(frozen=True)
class TrainingOptions:
    """How the decoder is trained. The defaults reach the figures in the shipped model card."""

    epochs: int = 12
    """Passes over the training captions, at most."""

    batch: int = 128
    """Captions a step."""

    learning_rate: float = 1e-3
    """Adam's, at the start."""

    drop_after: tuple[int, ...] = (7, 10)
    """Epochs after which the learning rate is multiplied by `drop_factor`."""

    drop_factor: float = 0.4
    """See `drop_after`."""

    label_smoothing: float = 0.1
    """Share of the target spread evenly over the vocabulary (Szegedy et al. 2016)."""

    clip_norm: float = 5.0
    """Gradients are scaled down to this global norm."""

    average: float = 0.995
    """Momentum of the running average of the weights that is scored and kept (Polyak and Juditsky
    1992); 0 keeps the weights themselves."""

    mirrored: bool = True
    """Whether each caption is learned from the photograph or its mirror image, by chance."""

    longest: int = 20
    """Words of a caption that are learned from; longer ones are cut."""

    patience: int = 4
    """Epochs without a better dev score after which training stops."""

    seed: int = 0
    """For initial weights, dropout and the order of captions."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "longest", "patience"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; give a whole number above 0")
        if not self.learning_rate > 0:
            raise OptionError(f"learning_rate is {self.learning_rate}; give a number above 0")
        if not 0 <= self.label_smoothing < 1:
            raise OptionError(
                f"label_smoothing is {self.label_smoothing}; give a number from 0 up to 1"
            )
        if not 0 <= self.average < 1:
            raise OptionError(f"average is {self.average}; give a number from 0 up to 1")

    def rate_in(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        drops = sum(epoch >= boundary for boundary in self.drop_after)
        return self.learning_rate * self.drop_factor**drops
