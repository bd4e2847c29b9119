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

    pool: int = 8
    """Batches whose captions are sorted by length together, then taken in random order; 1 for
    none. Besides saving padding, it gives each word of a short caption more weight, and captions
    come out as long as people's."""

    prefixes: int = 6
    """Prefixes of each caption that an epoch draws, for decoders that learn from prefixes."""

    prefix_batch: int = 512
    """Prefixes a step, for such decoders."""

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

    longest: int = 24
    """Words of a caption that are learned from; longer ones are cut."""

    patience: int = 4
    """Epochs without a better dev score after which training stops."""

    reward_epochs: int = 2
    """Epochs of self-critical training that follow (Rennie et al. 2017); 0 for none."""

    reward_bleu: float = 3.0
    """Weight of a caption's own BLEU-1 (0 to 1) in its reward, beside CIDEr-D (0 to 10)."""

    reward_rate: float = 1e-4
    """Adam's learning rate in them."""

    samples: int = 5
    """Captions of each image that are sampled in one of them; each is judged by the others."""

    sharpen: float = 1.5
    """Logits are multiplied by it before the first of them: label smoothing leaves so much to
    unlikely words that most sampled captions would hold one."""

    seed: int = 0
    """For initial weights, dropout and the order of captions."""

    def __post_init__(self) -> None:
        counts = ("epochs", "batch", "pool", "prefixes", "prefix_batch", "longest", "patience")
        for name in counts:
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; give a whole number above 0")
        if self.samples < 2:
            raise OptionError(f"samples is {self.samples}; give 2 or more")
        for name in ("reward_epochs", "reward_bleu"):
            if getattr(self, name) < 0:
                raise OptionError(f"{name} is {getattr(self, name)}; give 0 or more")
        for name in ("learning_rate", "reward_rate", "sharpen"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} is {getattr(self, name)}; give a number above 0")
        if not 0 <= self.label_smoothing < 1:
            raise OptionError(
                f"label_smoothing is {self.label_smoothing}; give a number from 0 up to 1"
            )
        if not 0 <= self.average < 1:
            raise OptionError(f"average is {self.average}; give a number from 0 up to 1")

    @property
    def all_epochs(self) -> int:
        """Epochs of both phases, at most."""
        return self.epochs + self.reward_epochs

    def rate_in(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        drops = sum(epoch >= boundary for boundary in self.drop_after)
        return self.learning_rate * self.drop_factor**drops
