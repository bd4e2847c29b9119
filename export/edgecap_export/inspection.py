"""Looking at a written file: which operators it holds, and which types its weights have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecap_export.errors import ExportError
from edgecap_export.graph_view import GraphView, encoder_parts, step_parts
from edgecap_export.recipes import Recipe
from edgecap_export.treatments import PARTS, TREATMENTS

__all__ = ["Inspection", "check", "inspect_views"]

# Shapes, axes and word ids are no weights.
_WEIGHT_TYPES = ("float", "int8", "uint8", "int4", "uint4", "int16", "bfloat16")


@dataclass(frozen=True)
class Inspection:
    """What a written file consists of."""

    ops: tuple[str, ...]
    """Kinds of operators in the file, sorted."""
    forbidden: tuple[str, ...]
    """Those among them that a plain interpreter may not know, or that this kind of decoder, built
    as it should be, has no need of."""
    weight_bytes: Mapping[str, Mapping[str, int]]
    """Bytes of the stored weights by part and type; data that two parts share counts in each."""
    matrix_types: Mapping[str, tuple[str, ...]]
    """Types of the weight matrices by part, sorted."""

    def shares(self) -> dict[str, dict[str, float]]:
        """Give the share of each type in a part's weight bytes, 0 to 1."""
        return {
            part: {kind: size / sum(types.values()) for kind, size in types.items()}
            for part, types in self.weight_bytes.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Give it as what JSON can hold."""
        return {
            "ops": list(self.ops),
            "weight_bytes": {part: dict(types) for part, types in self.weight_bytes.items()},
            "weight_shares": self.shares(),
        }


def inspect_views(
    encode: GraphView, step: GraphView, ops: Sequence[str], forbidden: Sequence[str]
) -> Inspection:
    """Count what the two graphs store.

    ops: kinds of all operators in the file; forbidden: those of them that may not be there.
    """
    weight_bytes: dict[str, dict[str, int]] = {part: {} for part in PARTS}
    matrix_types: dict[str, set[str]] = {part: set() for part in PARTS}
    for view, parts in ((encode, encoder_parts(encode)), (step, step_parts(step))):
        seen: set[tuple[str, str]] = set()
        for node, part in zip(view.nodes, parts, strict=True):
            for name in node.inputs:
                constant = view.constants.get(name)
                if constant is None or not constant.type.startswith(_WEIGHT_TYPES):
                    continue
                if (part, constant.identity) in seen:
                    continue
                seen.add((part, constant.identity))
                types = weight_bytes[part]
                types[constant.type] = types.get(constant.type, 0) + constant.bytes
                if constant.is_matrix:
                    matrix_types[part].add(constant.type)
    return Inspection(
        ops=tuple(sorted(set(ops))),
        forbidden=tuple(sorted(set(forbidden))),
        weight_bytes=weight_bytes,
        matrix_types={part: tuple(sorted(types)) for part, types in matrix_types.items()},
    )


def check(inspection: Inspection, recipe: Recipe) -> None:
    """Raise `ExportError` if the file holds a forbidden operator or is not what its recipe says."""
    if inspection.forbidden:
        raise ExportError(
            f"The written file holds {', '.join(inspection.forbidden)}, which plain interpreters "
            "can't run; build the decoder's step from Keras cells and built-in operations."
        )
    for part in PARTS:
        treatment = TREATMENTS[recipe.treatment(part)]
        kept = {"float32"} if part == "encoder" and recipe.keep_float else set()
        found = set(inspection.matrix_types[part])
        if not found & (treatment.required | kept) or not found <= treatment.weight_types | kept:
            legal = " or ".join(sorted(treatment.required))
            raise ExportError(
                f"Recipe {recipe.name!r} makes the {part}'s weights {legal} "
                f"but the written file holds {', '.join(sorted(found)) or 'none'}; "
                "use another recipe for this decoder."
            )
