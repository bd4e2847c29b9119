"""`edgecap import`: a captioner that was trained elsewhere in Keras, to a run like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from edgecap.console import ERRORS, how_made, load_keras, print_json

if TYPE_CHECKING:
    from edgecap.importing import Imported

_FILE = click.Path(path_type=Path)


@click.command("import")
@click.argument("model", metavar="MODEL", type=_FILE)
@click.option(
    "--vocabulary",
    required=True,
    type=_FILE,
    help="File of the words: JSON, text (line = id), CSV, or a pickled dict or list.",
)
@click.option("--encoder", required=True, help="Encoder family that the image features come from.")
@click.option(
    "--encoder-weights",
    help="'imagenet' (downloaded; the default unless MODEL begins with its encoder), a weights "
    "file of the network without its classifier, or a model file of it.",
)
@click.option("-o", "--out", required=True, type=_FILE, help="Folder for the run; must be new.")
@click.option(
    "--architecture",
    help="For MODELs of weights alone: the JSON file that model.to_json() wrote, or merge-lstm or "
    "merge-bilstm with --set decoder.OPTION=VALUE.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PART.OPTION=VALUE",
    help="A setting of the encoder, e.g. encoder.width=0.5, or of a named --architecture. May be "
    "repeated.",
)
@click.option(
    "--mask",
    type=click.Choice(["keras2", "keras3", "none"]),
    help="Which LSTMs skip padding: all, those before the image, none. By default what MODEL says.",
)
@click.option(
    "--padding",
    type=click.Choice(["end", "start"]),
    default="end",
    show_default=True,
    help="Side on which prefixes were padded. It matters where padding is read: Keras' "
    "pad_sequences pads the start unless told otherwise.",
)
@click.option(
    "--padding-id",
    type=click.IntRange(min=0),
    help="Id that pads prefixes, where it isn't masked; by default 0 or the padding word's.",
)
@click.option(
    "--longest",
    type=int,
    help="Words to which prefixes were padded (maxlen), where MODEL's input doesn't say.",
)
@click.option("--start", help="Word that starts captions; by default found (startseq, <start>).")
@click.option("--end", help="Word that ends captions; by default found (endseq, <end>).")
@click.option(
    "--never-say", multiple=True, metavar="WORD", help="A word never to say. May be repeated."
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    help="Side of the image in pixels; by default MODEL's, or what the encoder was trained for.",
)
@click.option(
    "--resampling",
    default="nearest",
    show_default=True,
    help="Pillow's filter for resizing; nearest is what Keras' load_img does.",
)
@click.option(
    "--fit", default="stretch", show_default=True, help="stretch, or crop: cut to a square first."
)
@click.option("--name", help="The captioner's name; by default encoder-decoder.")
@click.option("--json", "as_json", is_flag=True, help="Print what was understood as JSON.")
def import_(
    model: Path,
    vocabulary: Path,
    encoder: str,
    out: Path,
    as_json: bool,
    **choices: Any,
) -> None:
    """Bring in a captioner that was trained in a Keras 2 or Keras 3 notebook.

    MODEL is a whole-model .h5, weights in .h5 (with --architecture), a .keras file or a
    SavedModel: the decoder on precomputed features, or one graph from pixels. The graph is
    recognised by its structure; a table says what each layer was taken for. What can't be carried
    over exactly is refused. The run is then exported like any other.

    \b
    Examples:
      edgecap import decoder.h5 --vocabulary words.pkl --encoder inception_v3 -o runs/mine
      edgecap import weights.h5 --architecture decoder.json --vocabulary words.json \\
          --encoder mobilenet --start "<start>" --end "<end>" -o runs/mine
    """
    load_keras()
    from edgecap.importing import ImportOptions, import_captioner

    options = ImportOptions(encoder=encoder, provenance=how_made("imported"), **choices)
    imported = import_captioner(model, vocabulary, options)
    imported.save(out)
    if as_json:
        print_json(_answer(imported, out))
    else:
        _print_layers(imported, model)
        click.echo("\n".join(_lines(imported, out)))
        for note in imported.notes:
            ERRORS.print(f"note: {note}", style="yellow")


def _answer(imported: Imported, out: Path) -> dict[str, Any]:
    design = imported.captioner.design
    vocabulary = design.vocabulary
    return {
        "run": str(out),
        "encoder": {"name": design.encoder, **dataclasses.asdict(design.encoder_options)},
        "decoder": {"name": design.decoder, **dataclasses.asdict(design.decoder_options)},
        "kind": imported.captioner.decoder.kind,
        "words": len(vocabulary),
        "start": vocabulary.words[vocabulary.start_id],
        "end": vocabulary.words[vocabulary.end_id],
        "preparation": dataclasses.asdict(design.preparation),
        "defaults": dataclasses.asdict(design.defaults),
        "notes": list(imported.notes),
        **imported.facts,
    }


def _print_layers(imported: Imported, model: Path) -> None:
    table = Table(title=f"{model.name}: what its layers were taken for", title_justify="left")
    for column in ("layer", "class", "taken for", "details"):
        table.add_column(column, overflow="fold")
    for row in imported.layers:
        table.add_row(row.layer, row.class_name, row.taken_for, row.details)
    Console(highlight=False).print(table)


def _lines(imported: Imported, out: Path) -> list[str]:
    design, facts = imported.captioner.design, imported.facts
    words, options, preparation = design.vocabulary, design.decoder_options, design.preparation
    masks = {
        "keras2": "every LSTM skips padding",
        "keras3": "the LSTMs before the image skip padding, those behind it read it",
        "none": "every LSTM reads padding",
    }
    chosen = "" if options.mask == facts["mask_of_file"] else ", chosen by --mask"
    reads = (
        ""
        if options.reads_no_padding
        else f"; prefixes are padded at the {options.padded} to {options.length} with id "
        f"{options.padding_id}"
    )
    return [
        f"{out}: {design.encoder} (weights: {facts['encoder_weights']}) + {design.decoder}, from "
        f"{facts['file']} ({facts['container']}, Keras {facts['keras']})",
        f"mask: {options.mask} ({masks[options.mask]}{chosen}){reads}",
        f"vocabulary: {len(words)} words ({facts['vocabulary']['form']}); captions start with "
        f"{words.words[words.start_id]!r} and end with {words.words[words.end_id]!r}",
        f"image: {preparation.width} x {preparation.height}, {preparation.fit}, "
        f"{preparation.resampling}; {preparation.scaling} ({facts['scaling']})",
        f"captions: beam {design.defaults.beam}, at most {design.defaults.max_words} words",
    ]
