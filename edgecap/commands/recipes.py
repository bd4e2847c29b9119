"""`edgecap recipes`: what can become of a captioner's weights."""

from __future__ import annotations

import click

from edgecap.console import print_json, print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def recipes(as_json: bool) -> None:
    """List the recipes that `edgecap export --quantize` takes, and what they do to each part.

    One of your own is a .toml or .json file with the keys of `--json`, and `base`, the recipe
    that fills in what it leaves out.
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
                *(recipe.treatment(part) for part in PARTS),
                "yes" if recipe.calibrated else "",
            )
            for recipe in known
        ],
    )
    for recipe in known:
        click.echo(f"{recipe.name}: {recipe.description}")
    click.echo()
    for name, treatment in TREATMENTS.items():
        click.echo(f"{name}: {treatment.description}")
