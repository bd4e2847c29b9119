"""A trained captioner in Keras form: the folder that `edgecap train` writes and all else reads.

RUN/run.json              encoder, decoder, preparation, decoding defaults, scores, provenance
RUN/vocabulary.txt        one word a line, the line is the id
RUN/encoder.weights.h5    Keras weights of the encoder, its scaling layer included
RUN/decoder.weights.h5    Keras weights of the decoder (the best epoch on dev)
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecap.check_photos import usual_check_photos
from edgecap.decoders import DECODERS
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap.features import Progress, image_features
from edgecap.files import load_weights, make_folder, save_weights
from edgecap.lineage import folded, made_in_short, unfolded
from edgecap_runtime.atomic import replacing
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import EdgecapError, OptionError
from edgecap_runtime.preparation import Preparation
from edgecap_runtime.vocabulary import Vocabulary

_RUN_VERSION = 2
"""1 held the runs before each where it was come by, not once."""


@dataclass(frozen=True)
class Design:
    """Everything about a captioner but its weights."""

    name: str
    """What it is called in tables and files."""

    encoder: str
    """Name of the encoder family."""

    encoder_options: EncoderOptions
    """How the encoder is built."""

    decoder: str
    """Name of the decoder family."""

    decoder_options: Any
    """The decoder's own frozen dataclass of settings."""

    vocabulary: Vocabulary
    """Words and their ids."""

    preparation: Preparation
    """How a photograph becomes the encoder's pixels."""

    defaults: DecodingOptions
    """How captions are searched for unless the user says otherwise."""

    provenance: Mapping[str, Any] = field(default_factory=dict)
    """What it was made from and how it scored: data, command, versions, curve, dev figures,
    licence."""


class TrainedCaptioner:
    """A design with its weights, as Keras models."""

    def __init__(self, design: Design, encoder: Any, decoder: Any) -> None:
        self.design = design
        self.encoder = encoder
        self.decoder = decoder

    @classmethod
    def new(cls, design: Design, encoder_weights: str | Path | None) -> TrainedCaptioner:
        """Build a captioner whose decoder knows nothing yet.

        Args:
            design: what to build.
            encoder_weights: "imagenet", a path, or None for random weights.

        Raises:
            OptionError: weights that don't fit, or an encoder that the decoder can't read.
            EdgecapError: the weights can't be downloaded.
        """
        encoder = ENCODERS[design.encoder].model(design.encoder_options, encoder_weights)
        family = DECODERS[design.decoder]
        options = family.fitted(design.decoder_options, encoder)
        decoder = family.build(options, len(design.vocabulary), encoder.output_shape[-1])
        return cls(dataclasses.replace(design, decoder_options=options), encoder, decoder)

    @classmethod
    def load(cls, folder: str | Path) -> TrainedCaptioner:
        """Read a run.

        Raises:
            EdgecapError: the folder is no run, or its parts disagree.
        """
        folder = Path(folder)
        captioner = cls.new(read_design(folder), encoder_weights=None)
        captioner.load_weights(folder)
        return captioner

    def load_weights(self, folder: Path) -> None:
        """Take a run's weights.

        Raises:
            EdgecapError: they are missing, damaged or of other shapes.
        """
        load_weights(self.encoder, folder / "encoder.weights.h5")
        load_weights(self.decoder, folder / "decoder.weights.h5")

    def save(self, folder: str | Path) -> None:
        """Write the run; each file is replaced whole."""
        folder = Path(folder)
        for part, model in (("encoder", self.encoder), ("decoder", self.decoder)):
            save_weights(model, folder / f"{part}.weights.h5")
        write_design(self.design, folder)

    @functools.cached_property
    def weights_sha256(self) -> str:
        """Hash over all weights, in Keras' order."""
        digest = hashlib.sha256()
        for model in (self.encoder, self.decoder):
            for array in model.get_weights():
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def features(
        self,
        photos: Sequence[Path],
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Encode photographs, or read what was cached of them; see `image_features`.

        Returns:
            float32 [len(photos), F].
        """
        preparation = self.design.preparation
        return image_features(self.encoder, preparation, photos, cache=cache, progress=progress)

    def source(self, check_photos: Sequence[Path] | None = None) -> Any:
        """This captioner as `edgecap_export.export` takes it.

        check_photos: what its files carry, small, to check themselves by; None for samples in the
            box.
        """
        from edgecap_export import CaptionerSource

        design = self.design
        delicate: tuple[str, ...] = ()
        if design.encoder in ENCODERS:
            delicate = ENCODERS[design.encoder].delicate(design.encoder_options)
        return CaptionerSource(
            name=design.name,
            encoder=self.encoder,
            encoder_name=design.encoder,
            decoder=self.decoder,
            decoder_name=design.decoder,
            vocabulary=design.vocabulary,
            preparation=design.preparation,
            defaults=design.defaults,
            delicate_blocks=delicate,
            check_pictures=usual_check_photos() if check_photos is None else tuple(check_photos),
            provenance={
                **made_in_short(design.provenance),
                "weights_sha256": self.weights_sha256,
            },
        )


def write_design(design: Design, folder: Path) -> None:
    """Write `vocabulary.txt` and `run.json`."""
    vocabulary = dataclasses.asdict(design.vocabulary)
    words = vocabulary.pop("words")
    make_folder(folder)
    with replacing(folder / "vocabulary.txt") as stream:
        stream.write(("\n".join(words) + "\n").encode())
    record = {
        "run_version": _RUN_VERSION,
        "name": design.name,
        "encoder": {"name": design.encoder, **dataclasses.asdict(design.encoder_options)},
        "decoder": {"name": design.decoder, **dataclasses.asdict(design.decoder_options)},
        "preparation": dataclasses.asdict(design.preparation),
        "defaults": dataclasses.asdict(design.defaults),
        "vocabulary": vocabulary,
        "provenance": folded(design.provenance),
    }
    with replacing(folder / "run.json") as stream:
        stream.write((json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def read_design(folder: Path) -> Design:
    """Read `run.json` and `vocabulary.txt`.

    Raises:
        EdgecapError: they are missing, damaged, or written by a newer edgecap.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise OptionError(
            f"{str(folder)!r} is no run: it holds no run.json; give a folder that `edgecap train` "
            "wrote, or a name that `edgecap models` lists"
        )
    try:
        record = json.loads(path.read_text("utf-8"))
        if record["run_version"] > _RUN_VERSION:
            raise EdgecapError(
                f"{str(path)!r} has run version {record['run_version']}, this edgecap reads "
                f"{_RUN_VERSION}; upgrade edgecap"
            )
        encoder, decoder = dict(record["encoder"]), dict(record["decoder"])
        encoder_name, decoder_name = encoder.pop("name"), decoder.pop("name")
        fields = _with_tuples(record["vocabulary"])
        words = tuple((folder / "vocabulary.txt").read_text("utf-8").splitlines())
        return Design(
            name=record["name"],
            encoder=encoder_name,
            encoder_options=EncoderOptions(**encoder),
            decoder=decoder_name,
            decoder_options=DECODERS[decoder_name].options(**_with_tuples(decoder)),
            vocabulary=Vocabulary(words=words, **fields),
            preparation=Preparation(**record["preparation"]),
            defaults=DecodingOptions(**record["defaults"]),
            provenance=unfolded(record["provenance"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as problem:
        raise EdgecapError(
            f"the run {str(folder)!r} is damaged ({type(problem).__name__}: {problem}); "
            "restore run.json and vocabulary.txt, or train again"
        ) from problem


def _with_tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give the tuples back that JSON holds as lists."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
    }
