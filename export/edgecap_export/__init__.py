"""Exports trained Keras captioners as one .tflite or .onnx file, proven against Keras."""

from __future__ import annotations

from edgecap_export.blocks import Block, delicate_blocks, encoder_blocks
from edgecap_export.calibration import Calibration, choose_calibration
from edgecap_export.errors import ExportError, ParityError
from edgecap_export.exporting import ExportReport, export
from edgecap_export.formats import format_suffixes, register_format
from edgecap_export.parity import Parity
from edgecap_export.prover import Prover
from edgecap_export.recipe_files import read_recipe
from edgecap_export.recipes import Gate, Recipe, recipe_named, recipe_names, register_recipe
from edgecap_export.recurrence import Direction, Recurrence, directions_of
from edgecap_export.source import CaptionerSource, PrefixDecoder, StepDecoder

__all__ = [
    "Block",
    "Calibration",
    "CaptionerSource",
    "Direction",
    "ExportError",
    "ExportReport",
    "Gate",
    "Parity",
    "ParityError",
    "PrefixDecoder",
    "Prover",
    "Recipe",
    "Recurrence",
    "StepDecoder",
    "choose_calibration",
    "delicate_blocks",
    "directions_of",
    "encoder_blocks",
    "export",
    "format_suffixes",
    "read_recipe",
    "recipe_named",
    "recipe_names",
    "register_format",
    "register_recipe",
]
