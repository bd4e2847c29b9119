"""A trained captioner of a notebook, brought in: all its parts, checked against each other."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap.captioner import Design, TrainedCaptioner
from edgecap.decoders import DECODERS
from edgecap.decoders.merge_options import MergeOptions
from edgecap.encoders import ENCODERS
from edgecap.files import make_folder
from edgecap.importing.encoder import ReadEncoder, read_encoder
from edgecap.importing.model import Model, read_model
from edgecap.importing.options import ImportOptions
from edgecap.importing.table import Taken
from edgecap.importing.vocabulary import make_vocabulary, padding_of
from edgecap.importing.words import WordList, read_words
from edgecap.settings import check_parts
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import OptionError
from edgecap_runtime.preparation import Preparation

_MOST_WORDS = 20
"""Words of a caption at most, unless the prefix is shorter."""


@dataclass(frozen=True)
class Imported:
    """A captioner that was brought in, and how its parts were understood."""

    captioner: TrainedCaptioner
    """In Keras form."""

    layers: tuple[Taken, ...]
    """What each layer of the model was taken for."""

    def save(self, folder: str | Path) -> None:
        """Write the run.

        Raises:
            OptionError: the folder holds a run already.
        """
        if (Path(folder) / "run.json").exists():
            raise OptionError(
                f"{str(folder)!r} holds a captioner already; choose another folder by -o"
            )
        self.captioner.save(make_folder(folder))

    @property
    def notes(self) -> tuple[str, ...]:
        """What its user should know before exporting it."""
        options = self.captioner.design.decoder_options
        if options.reads_no_padding:
            return ()
        return (
            f"with mask {options.mask!r} the model has learned from padding: exports say the same, "
            f"but read {options.length} places for each word (docs/importing.md)",
            f"padding was taken to stand at the {options.padded} of a prefix; if captions are bad, "
            "try the other --padding",
        )

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was read and settled; the run's provenance has it under "import"."""
        facts: Mapping[str, Any] = self.captioner.design.provenance["import"]
        return facts


def import_captioner(model: str | Path, vocabulary: str | Path, options: ImportOptions) -> Imported:
    """Bring a trained captioner in, unchanged in what it says. Nothing is written yet.

    Args:
        model: a file or folder that Keras 2 or 3 saved.
        vocabulary: the file of its words.
        options: what the two don't say.

    Raises:
        OptionError: a part can't be read, isn't understood, or disagrees with another.
        MissingExtraError: Keras 2 is needed to read it, and is not installed.
    """
    path, family = Path(model), ENCODERS[options.encoder]
    named = options.architecture is not None and str(options.architecture) in list(DECODERS)
    check_parts(options.settings, ("encoder", "decoder") if named else ("encoder",))
    found = read_words(Path(vocabulary))
    read = read_model(path, options)
    if read.words not in (None, len(found.words)):
        raise OptionError(
            f"the vocabulary {str(vocabulary)!r} has {len(found.words)} words and the model's "
            f"softmax says {read.words}; give the vocabulary that the model was trained with"
        )
    decoder_options = _settled(read, found, options)
    words = make_vocabulary(
        found,
        start=options.start,
        end=options.end,
        padding_id=decoder_options.padding_id,
        masked=decoder_options.mask != "none",
        never_say=options.never_say,
    )
    preparation = Preparation(1, 1, fit=options.fit, resampling=options.resampling)
    encoder = read_encoder(read, options)
    features = int(encoder.model.output_shape[-1])
    decoder = DECODERS[read.family].build(decoder_options, len(words), features)
    layers = read.fill(decoder, decoder_options, encoder.fitted)
    most = _MOST_WORDS if _unpadded(read, options) else min(_MOST_WORDS, decoder_options.length - 1)
    design = Design(
        name=options.name or f"{options.encoder}-{read.family}",
        encoder=options.encoder,
        encoder_options=encoder.options,
        decoder=read.family,
        decoder_options=decoder_options,
        vocabulary=words,
        preparation=dataclasses.replace(
            preparation,
            height=encoder.options.size,
            width=encoder.options.size,
            scaling=family.scaling(),
        ),
        defaults=DecodingOptions(beam=3, max_words=most),
        provenance={
            **options.provenance,
            "import": _facts(path, Path(vocabulary), found, read, encoder, decoder_options, layers),
        },
    )
    return Imported(TrainedCaptioner(design, encoder.model, decoder), layers)


def _settled(read: Model, found: WordList, options: ImportOptions) -> MergeOptions:
    """Settle mask and padding."""
    settled = dataclasses.replace(
        read.options, mask=options.mask or read.options.mask, padded=options.padding
    )
    padding_id = padding_of(found, masked=settled.mask != "none", asked=options.padding_id)
    if options.longest is not None and options.longest < 2:
        raise OptionError(
            f"--longest is {options.longest}; a prefix has a place for the start word and one more"
        )
    if read.length and options.longest and read.length != options.longest:
        raise OptionError(
            f"the graph takes prefixes of {read.length} words and --longest is {options.longest}; "
            "leave --longest out"
        )
    length = options.longest or read.length
    if length is None and not settled.reads_no_padding:
        raise OptionError(
            f"with mask {settled.mask!r} the model reads the padding, and its graph doesn't say "
            "how long padded prefixes are; give the length that pad_sequences got (its maxlen) "
            "by --longest"
        )
    if length is not None and length < 2:
        raise OptionError(
            f"the graph takes prefixes of {length} words; a captioner's have at least 2 places"
        )
    return dataclasses.replace(settled, padding_id=padding_id, length=length or settled.length)


def _unpadded(read: Model, options: ImportOptions) -> bool:
    """Whether nothing says how long a prefix may be."""
    return read.length is None and options.longest is None


def _facts(
    path: Path,
    vocabulary: Path,
    found: WordList,
    read: Model,
    encoder: ReadEncoder,
    options: MergeOptions,
    layers: tuple[Taken, ...],
) -> dict[str, Any]:
    """Say what was read and settled, as JSON can hold it."""
    return {
        "file": path.name,
        "sha256": _sha256(path),
        "container": read.origin.container,
        "keras": read.origin.keras_version or str(read.origin.keras),
        "mask": options.mask,
        "mask_of_file": read.options.mask,
        "vocabulary": {
            "file": vocabulary.name,
            "sha256": _sha256(vocabulary),
            "form": found.form,
        },
        "encoder_weights": encoder.weights,
        "scaling": encoder.scaling,
        "layers": [dataclasses.asdict(row) for row in layers],
    }


def _sha256(path: Path) -> str:
    """Hash a file, or all files of a folder in the order of their names."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(it for it in path.rglob("*") if it.is_file())
    for file in files:
        if file != path:
            digest.update(file.relative_to(path).as_posix().encode())
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
