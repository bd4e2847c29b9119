"""Several of click's options as one decorator, for commands that have them in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make the decorator that adds `click.option`s, which help lists in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def dataset_options(*, split: str) -> Callable[[Any], Any]:
    """Make the decorator that adds --data, --images and --split of a command that scores.

    split: help of --split.
    """
    return together(
        click.option(
            "--data",
            required=True,
            type=click.Path(path_type=Path),
            help="Folder with photographs and captions.",
        ),
        click.option(
            "--images",
            type=click.Path(path_type=Path),
            help="Folder of the image files, if it is not beside the captions.",
        ),
        click.option("--split", default="dev", show_default=True, help=split),
    )
