"""Models that hold Python code, or ask for some, are refused before any library sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecap.importing.config import name_of
from edgecap_runtime.errors import OptionError

_OWN = ("keras", "tf_keras", "builtins")
"""Where what a record names may come from; "builtins" is how Keras writes its own functions."""


def refuse_code(record: Any, origin: str) -> None:
    """Go through a model's record, however deep.

    Args:
        record: what Keras wrote, as JSON.
        origin: the file, for the sentence.

    Raises:
        OptionError: it has a Lambda layer, or an object of a module that is not Keras'.
    """
    if isinstance(record, Mapping):
        module = record.get("module")
        if isinstance(module, str) and module.partition(".")[0] not in _OWN:
            raise OptionError(
                f"{record.get('class_name')!r} in {origin} is of the module {module!r}, and "
                "edgecap loads nothing but Keras' own; save the model from Keras' own layers"
            )
        if record.get("class_name") == "Lambda":
            raise OptionError(
                f"the layer {name_of(record)!r} of {origin} is a Lambda: it holds Python code, "
                "which edgecap does not run; save the model without it (Rescaling does what a "
                "Lambda of preprocess_input does)"
            )
        record = list(record.values())
    if isinstance(record, (list, tuple)):
        for part in record:
            refuse_code(part, origin)
