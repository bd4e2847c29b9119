"""`edgecap recipes`: what can become of a captioner's weights."""

from __future__ import annotations

import click

from edgecap.console import print_json, print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def recipes(as_json: bool) -> None:
    """List the recipes that `edgecap export --quantize` takes, and what they do to each part.

    A recipe that is calibrated takes photographs: `edgecap export --calibrate` or `--data`.

    A recipe of your own is a .toml or .json file with keys as --json shows them (all but
    `calibrated`, which follows), and `base`, the recipe that fills in what it leaves out.

    \b
    Examples:
      edgecap recipes
      edgecap export mobilenet-lstm -o small.tflite --quantize mine.toml --calibrate holiday/
    """
    from edgecap_export.recipes import recipe_named, recipe_names
    from edgecap_export.treatments import PARTS, TREATMENTS

    known = [recipe_named(name) for name in recipe_names()]
    if as_json:
        print_json([{**recipe.to_dict(), "calibrated": recipe.calibrated} for recipe in known])
        return
    print_table(
        "recipes",
        ("name", *PARTS, "calibrated"),
        [
            (
                recipe.name,
                # Broken by hand, for tables break long words anywhere at 80 columns.
                *(recipe.treatment(part).replace("-", "-\n", 1) for part in PARTS),
                "yes" if recipe.calibrated else "",
            )
            for recipe in known
        ],
    )
    for recipe in known:
        click.echo(f"{recipe.name}: {recipe.description}")
    click.echo("\nWhat becomes of a part:")
    for name, treatment in TREATMENTS.items():
        click.echo(f"{name}: {treatment.description}")
