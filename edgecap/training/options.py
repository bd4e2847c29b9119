"""The settings of a training run.

Its phases, in their order: words one by one, the encoder with the decoder, whole captions.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgecap_runtime.errors import OptionError

BASELINES = ("others", "greedy")
"""What sampled captions can be judged by; see `TrainingOptions.reward_baseline`."""


@dataclass(frozen=True)
class TrainingOptions:
    """How a captioner is trained. The defaults reach the figures in the shipped model card."""

    epochs: int = 12
    """Passes over the training captions, at most; 0 where a training begins from a finished run
    and learns no words."""

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

    weight_decay: float = 0.0
    """Share of each kernel and word vector that is taken off in a step, times the learning rate
    (Loshchilov and Hutter 2019, arXiv:1711.05101); 0 for none."""

    word_dropout: float = 0.0
    """Chance of each word of the caption so far to be read as an unknown one."""

    scheduled: float = 0.0
    """Chance of each word of the caption so far to be the decoder's own in the last epoch of words,
    growing from 0 (scheduled sampling, Bengio et al. 2015, arXiv:1506.03099; all words of a caption
    at once, as in Mihaylova and Martins 2019, arXiv:1906.07651)."""

    teaching: float = 0.5
    """Weight of the teachers' answer beside the people's, where there are teachers (Hinton et al.
    2015, arXiv:1503.02531)."""

    average: float = 0.995
    """Momentum of the running average of the weights that is scored and kept (Polyak and Juditsky
    1992); 0 keeps the weights themselves."""

    mirrored: bool = True
    """Whether each caption is learned from the photograph or its mirror image, by chance."""

    crops: int = 0
    """Random crops of each photograph that are learned from too, mirrored by chance."""

    least_crop: float = 0.8
    """Smallest side of a crop, as a share of the photograph's, in the encoder's phase too."""

    longest: int = 24
    """Words of a caption that are learned from; longer ones are cut."""

    patience: int = 4
    """Epochs without a better dev score after which training stops."""

    dev_beam: int = 1
    """Width of the beam that captions dev after each epoch; 1 is greedy. What words and an encoder
    that learns bring shows by a beam: greedy captions get longer with it, and less precise."""

    tune_epochs: int = 0
    """Passes over the photographs in which the encoder learns with the decoder; 0 leaves it as it
    is. Each photograph is seen in a random view, and all its captions are learned."""

    tune_from: str = ""
    """First layer of the encoder that learns, by its name; empty for all of it."""

    tune_images: int = 32
    """Photographs a step in them."""

    tune_rate: float = 1e-4
    """Adam's learning rate at their start; it falls to 0 at their end."""

    tune_naming: float = 0.0
    """Weight of a second loss in them: how well a layer on the features alone, thrown away
    afterwards, tells which words people use of the photograph; 0 for none. The decoder sees the
    image through its first state only, and teaches an encoder less directly."""

    reward_epochs: int = 2
    """Epochs of self-critical training that follow (Rennie et al. 2017); 0 for none."""

    reward_bleu: float = 3.0
    """Weight of a caption's own BLEU-1 (0 to 1) in its reward, beside CIDEr-D (0 to 10)."""

    reward_bleu4: float = 0.0
    """Weight of its smoothed BLEU-4 (0 to 1) likewise."""

    reward_unlike: float = 0.0
    """Weight of what is taken off it: the caption's CIDEr-D as one of photographs that look alike
    (see `edgecap.training.lookalikes`). A caption that would do for many is worth less then."""

    reward_baseline: str = "others"
    """What a sampled caption is judged by: "others", the mean reward of the image's other samples,
    or "greedy", the greedy caption's."""

    reward_rate: float = 1e-4
    """Adam's learning rate in them."""

    samples: int = 5
    """Captions of each image that are sampled in one of them."""

    sharpen: float = 1.5
    """Logits are multiplied by it before the first of them: label smoothing leaves so much to
    unlikely words that most sampled captions would hold one."""

    seed: int = 0
    """For initial weights, dropout and the order of captions."""

    def __post_init__(self) -> None:
        counts = ("batch", "pool", "prefixes", "prefix_batch", "longest", "patience", "tune_images")
        for name in counts:
            self._check(name, getattr(self, name) >= 1, "a whole number above 0")
        self._check("dev_beam", 1 <= self.dev_beam <= 64, "a whole number from 1 to 64")
        self._check("samples", self.samples >= 2, "2 or more")
        may_be_none = ("epochs", "tune_epochs", "reward_epochs", "crops")
        weights = ("weight_decay", "tune_naming", "reward_bleu", "reward_bleu4", "reward_unlike")
        for name in (*may_be_none, *weights):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        for name in ("learning_rate", "tune_rate", "reward_rate", "sharpen"):
            self._check(name, getattr(self, name) > 0, "a number above 0")
        for name in ("label_smoothing", "average", "word_dropout"):
            self._check(name, 0 <= getattr(self, name) < 1, "a number from 0 up to 1")
        for name in ("scheduled", "teaching"):
            self._check(name, 0 <= getattr(self, name) <= 1, "a number from 0 to 1")
        self._check("least_crop", 0 < self.least_crop <= 1, "a number above 0, at most 1")
        if self.reward_baseline not in BASELINES:
            raise OptionError(
                f"reward_baseline is {self.reward_baseline!r}; choose one of {', '.join(BASELINES)}"
            )
        if not self.all_epochs:
            raise OptionError(
                "epochs, tune_epochs and reward_epochs are all 0; give one of them a whole number"
            )

    def _check(self, name: str, holds: bool, legal: str) -> None:
        if not holds:
            raise OptionError(f"{name} is {getattr(self, name)}; give {legal}")

    @property
    def all_epochs(self) -> int:
        """Epochs of all phases, at most."""
        return self.epochs + self.tune_epochs + self.reward_epochs

    def rate_in(self, epoch: int) -> float:
        """Learning rate of an epoch of words, counted from 0."""
        drops = sum(epoch >= boundary for boundary in self.drop_after)
        return self.learning_rate * self.drop_factor**drops
