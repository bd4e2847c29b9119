"""`edgecap demo`: the whole road with a captioner in the box and the sample photographs."""

from __future__ import annotations

from pathlib import Path

import click

from edgecap.console import print_json, print_table, progress_bars


@click.command()
@click.argument("run", metavar="[RUN]", default="mobilenet-lstm")
@click.option(
    "-o",
    "--out",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for the exported files and the picture.",
)
@click.option("--threads", type=int, help="Threads of the interpreters; by default all cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def demo(run: str, out: Path, threads: int | None, as_json: bool) -> None:
    """Export a captioner to every target, prove each, caption the samples, show it all.

    Writes the files, and captions.png with the photographs and what was said of them.
    """
    from edgecap.demonstration import demonstrate

    with progress_bars() as report:
        shown = demonstrate(run, out, threads=threads, progress=report)
    if as_json:
        print_json(shown.to_dict())
        return
    print_table(f"{run}, {shown.photos} sample photographs", shown.columns(), shown.rows())
    click.echo(f"captions equal to Keras': {shown.verdict()}")
    click.echo(f"picture: {shown.picture}")
