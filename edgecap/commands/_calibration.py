"""The options that commands which calibrate have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from edgecap.commands._options import together


def calibration_options(*, photographs: str, count: int, images: str) -> Callable[[Any], Any]:
    """Make the decorator that adds --calibrate, --calibration-images and --seed.

    Args:
        photographs: help of --calibrate.
        count: default of --calibration-images.
        images: help of --calibration-images.
    """
    return together(
        click.option("--calibrate", metavar="FOLDER|samples", help=photographs),
        click.option(
            "--calibration-images",
            "calibrated_on",
            default=count,
            show_default=True,
            type=click.IntRange(min=1),
            help=images,
        ),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            type=click.IntRange(min=0),
            help="Chooses the photographs to calibrate on.",
        ),
    )
