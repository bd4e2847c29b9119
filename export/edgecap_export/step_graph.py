"""The two TensorFlow functions that a captioner's file is made from: `encode` and the step.

The step is what runs once for each word, whatever the decoder's kind: it takes one word and a
state that it carries on, or all words so far and the first state.

Words are looked up here and not in the decoder, so that one rule quantizes embeddings in every
format, and because Keras' `Embedding` adds comparisons for negative ids that `tf.gather` lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecap_export.blocks import Block, check_block_names, encoder_blocks
from edgecap_export.errors import ExportError
from edgecap_export.loop import loop
from edgecap_export.recipes import Recipe
from edgecap_export.recurrence import Recurrence
from edgecap_export.rounding import INT4_LARGEST, best_scales
from edgecap_export.source import CaptionerSource
from edgecap_runtime.errors import OptionError
from edgecap_runtime.kinds import KINDS

__all__ = ["CaptionerGraph", "build_graph", "freeze", "pack_int4_rows", "quantize_rows"]


@dataclass(frozen=True)
class CaptionerGraph:
    """Traceable functions of a captioner, and the shapes of what they take and give."""

    kind: str
    """The decoder's kind, after which files name the step's graph."""
    encode: Any
    """`tf.function`: image uint8 [images, H, W, 3] to {"state_<x>": float32 [images, width]}."""
    step: Any
    """`tf.function`: ids int32 of `ids_shape` and each `state_<x>` [rows, width], positionally, in
    the order of `state`, to {"logits": [rows, V]} and, where the kind carries a state,
    {"next_state_<x>": [rows, width]}."""
    ids_shape: tuple[int | None, ...]
    """Shape of the step's ids, None for what may change; the rows come first."""
    image_shape: tuple[int, int, int]
    """Height, width and channels of the image."""
    state: dict[str, int]
    """State names, without the prefix, and their widths."""
    vocabulary_size: int
    """V, the width of the logits."""
    blocks: tuple[Block, ...]
    """The encoder's blocks, first one first."""

    def encode_specs(self, images: int | None) -> list[Any]:
        """Give the `tf.TensorSpec` of the image."""
        import tensorflow as tf

        return [tf.TensorSpec([images, *self.image_shape], tf.uint8, "image")]

    def step_specs(self) -> list[Any]:
        """Give the `tf.TensorSpec`s of ids and states, rows open.

        Traced with one row, a bias would be squeezed and a later resize to 3 rows would fail.
        """
        import tensorflow as tf

        states = [
            tf.TensorSpec([None, width], tf.float32, f"state_{name}")
            for name, width in self.state.items()
        ]
        return [tf.TensorSpec(self.ids_shape, tf.int32, "ids"), *states]


def build_graph(
    source: CaptionerSource, recipe: Recipe, recurrence: Recurrence = loop
) -> CaptionerGraph:
    """Make the functions; the embedding is quantized here where the recipe says so.

    recurrence: how a prefix decoder's LSTMs run over a sequence, as the format needs it. Raises
    `OptionError` if Keras runs on another backend than TensorFlow, and `ExportError` if the
    decoder's logits or states don't have the shapes that they claim.
    """
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise OptionError(
            f"Keras runs on {keras.backend.backend()!r} but an export needs TensorFlow; start it "
            "again with the environment variable KERAS_BACKEND=tensorflow."
        )
    decoder = source.decoder
    state = {str(name): int(width) for name, width in decoder.state_spec.items()}
    look_up = _look_up(decoder.embedding_table, recipe.embedding)
    say = _SAY[decoder.kind]

    def encode(image: Any) -> dict[str, Any]:
        features = source.encoder(tf.cast(image, tf.float32), training=False)
        first = decoder.first_state(features)
        return {f"state_{name}": tf.cast(first[name], tf.float32) for name in state}

    def step(ids: Any, *states: Any) -> dict[str, Any]:
        carried = dict(zip(state, states, strict=True))
        logits, following = say(decoder, ids, look_up(ids), carried, recurrence)
        outputs = {f"next_state_{name}": tf.cast(following[name], tf.float32) for name in following}
        return {"logits": tf.cast(logits, tf.float32), **outputs}

    preparation = source.preparation
    graph = CaptionerGraph(
        kind=decoder.kind,
        encode=tf.function(encode, autograph=False),
        step=tf.function(step, autograph=False),
        ids_shape=KINDS[decoder.kind].ids_shape(source.prefix),
        image_shape=(preparation.height, preparation.width, 3),
        state=state,
        vocabulary_size=len(source.vocabulary),
        blocks=encoder_blocks(source.encoder),
    )
    check_block_names(recipe.keep_float, graph.blocks)
    _check_shapes(graph)
    return graph


def _say_by_step(
    decoder: Any, ids: Any, vectors: Any, state: Mapping[str, Any], recurrence: Recurrence
) -> tuple[Any, Mapping[str, Any]]:
    logits, following = decoder.step(ids, vectors, state)
    return logits, {name: following[name] for name in state}


def _say_by_prefix(
    decoder: Any, ids: Any, vectors: Any, state: Mapping[str, Any], recurrence: Recurrence
) -> tuple[Any, Mapping[str, Any]]:
    return decoder.next_word(ids, vectors, state, recurrence), {}


_SAY = {"step": _say_by_step, "prefix": _say_by_prefix}
"""By the decoder's kind: words and a state to logits and, where one is carried, the next state."""


def quantize_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize [V, E] symmetrically to int8 rows [V, E] and a scale per row [V, 1]."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.clip(np.rint(table / scales), -127, 127).astype(np.int8), scales


def freeze(function: Any, specs: list[Any]) -> Any:
    """Trace a function and fold its variables; gives a concrete function with named results.

    An unfrozen function converts to a file that runs and answers NaN.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    traced = function.get_concrete_function(*specs)
    # Loops stay whole: taken apart into switches and merges they can't be converted.
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    # Freezing loses the names of the results and leaves them in sorted order.
    results = sorted(traced.structured_outputs)
    inputs = [tensor.name.partition(":")[0] for tensor in frozen.inputs]

    def named(**arguments: Any) -> dict[str, Any]:
        return dict(zip(results, frozen(*(arguments[name] for name in inputs)), strict=True))

    keywords = {spec.name: spec for spec in specs}
    return tf.function(named, autograph=False).get_concrete_function(**keywords)


def _look_up(table: Any, treatment: str) -> Callable[[Any], Any]:
    return _LOOK_UPS[treatment](np.asarray(table, np.float32))


def _float32_rows(table: NDArray[np.float32]) -> Callable[[Any], Any]:
    import tensorflow as tf

    return lambda ids: tf.gather(tf.constant(table), ids)


def _int8_rows(table: NDArray[np.float32]) -> Callable[[Any], Any]:
    import tensorflow as tf

    rows, scales = quantize_rows(table)

    def look_up(ids: Any) -> Any:
        whole = tf.cast(tf.gather(tf.constant(rows), ids), tf.float32)
        return whole * tf.gather(tf.constant(scales), ids)

    return look_up


def _int4_rows(table: NDArray[np.float32]) -> Callable[[Any], Any]:
    """Look up rows of two values in a byte: those of the first half, and 16 times the others."""
    import tensorflow as tf

    width = table.shape[1]
    packed, scales = pack_int4_rows(table)

    def look_up(ids: Any) -> Any:
        both = tf.cast(tf.gather(tf.constant(packed), ids), tf.float32)
        # In floats, which all interpreters have, and exact for what a byte holds.
        second = tf.floor(both * (1 / 16))
        first = both - second * 16
        whole = tf.concat([first, second], axis=-1)[..., :width] - 8
        return whole * tf.gather(tf.constant(scales), ids)

    return look_up


_LOOK_UPS = {
    "float32": _float32_rows,
    # Halved in the written file, by each format in its way.
    "float16": _float32_rows,
    "int8-rows": _int8_rows,
    "int4-rows": _int4_rows,
}


def pack_int4_rows(
    table: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Quantize [V, E] to integers -7..7 with a scale per row, [V, 1], two packed in a byte.

    Byte k of a row holds value k in its low half and value k + ceil(E / 2) in its high half, each
    with 8 added: [V, ceil(E / 2)].
    """
    scales = best_scales(table.astype(np.float64), np.ones(table.shape[1]), INT4_LARGEST)[:, None]
    whole = np.clip(np.rint(table / scales), -INT4_LARGEST, INT4_LARGEST) + 8
    whole = whole.astype(np.uint8)
    if whole.shape[1] % 2:
        whole = np.pad(whole, ((0, 0), (0, 1)), constant_values=8)
    half = whole.shape[1] // 2
    packed = (whole[:, :half] | whole[:, half:] << 4).astype(np.uint8)
    return packed, scales.astype(np.float32)


def _check_shapes(graph: CaptionerGraph) -> None:
    encoded = graph.encode.get_concrete_function(*graph.encode_specs(1)).structured_outputs
    stepped = graph.step.get_concrete_function(*graph.step_specs()).structured_outputs
    words = stepped["logits"].shape[-1]
    if words != graph.vocabulary_size:
        raise ExportError(
            f"The decoder's logits are {words} wide but the vocabulary has "
            f"{graph.vocabulary_size} words; give the vocabulary that it was trained with."
        )
    for name, width in graph.state.items():
        first, following = encoded[f"state_{name}"], stepped.get(f"next_state_{name}")
        for made in [first] if following is None else [first, following]:
            if made.shape[1:] != [width]:
                raise ExportError(
                    f"The decoder says that its state {name!r} is {width} wide but makes one of "
                    f"{list(made.shape)}; correct its state_spec."
                )
