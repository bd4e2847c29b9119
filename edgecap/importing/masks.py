"""Which LSTMs of a graph skip id 0: a part of the model that Keras 2 and 3 disagree on.

Keras 2 passes the mask of `Embedding(mask_zero=True)` on where the image is added; Keras 3 drops
it there, and with Concatenate lets the image, which has no mask, outvote it. Newer versions of
Keras 3 record the mask of each layer in the file: then that is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgecap.importing.graph import Layer, stopped_at

_PASSED_ON = ("ExpandDims", "BroadcastTo", "Cast")


def mask_semantics(
    words: Sequence[Layer],
    merged: Sequence[Layer],
    *,
    join: Layer,
    ids: Layer,
    mask_zero: bool,
    keras: int,
) -> str:
    """Find out which LSTMs are masked.

    Args:
        words: the LSTMs that read the words.
        merged: those that read words and image.
        join: the layer between them.
        ids: the input of the word ids.
        mask_zero: whether the Embedding masks id 0.
        keras: the major version of the Keras that wrote the graph.

    Returns:
        "keras2" (all), "keras3" (those before the image) or "none".

    Raises:
        OptionError: some of either are masked and some are not.
    """
    # The operator + is no layer in Keras 2, so it loses the mask there too.
    passed_on = mask_zero and keras == 2 and join.class_name != "TFOpLambda"
    before = [_is_masked(layer, ids, mask_zero) for layer in words]
    after = [_is_masked(layer, ids, passed_on) for layer in merged]
    for layers, masked in ((words, before), (merged, after)):
        for layer, one in zip(layers, masked, strict=True):
            if one != masked[0]:
                raise stopped_at(layer, "is masked otherwise than the LSTM before it")
    if not any(before):
        if any(after):
            raise stopped_at(merged[0], "is masked, while the LSTM before it is not")
        return "none"
    # Without LSTMs after the image both mean the same.
    return "keras2" if all(after) and (after or keras == 2) else "keras3"


def _is_masked(layer: Layer, ids: Layer, implied: bool) -> bool:
    """Whether an LSTM skips id 0, as recorded or else as implied."""
    inner = layer.config.get("layer") or {"class_name": layer.class_name}
    if "mask" not in layer.keywords:
        if implied and inner["class_name"] == "CuDNNLSTM":
            raise stopped_at(layer, "can't be masked, while the Embedding masks id 0")
        return implied
    source = layer.keywords["mask"]
    if source is None:
        return False
    at_word, at_padding = (_value(source.layer, ids, word) for word in (True, False))
    if not all(at_word):
        raise stopped_at(layer, "is masked at words")
    return not all(at_padding)


def _value(layer: Layer, ids: Layer, word: bool) -> list[bool]:
    """Compute a recorded mask at a place that holds a word, or padding; [one value a channel]."""
    operation = layer.operation
    if operation == "NotEqual":
        if layer.before is not ids or list(layer.constants) != [0]:
            raise stopped_at(layer, "masks something else than id 0 of the words")
        return [word]
    if operation in ("OnesLike", "ZerosLike"):
        return [operation == "OnesLike"]
    parts = [value for source in layer.sources for value in _value(source.layer, ids, word)]
    if operation in ("Any", "LogicalOr"):
        return [any(parts)]
    if operation in ("All", "LogicalAnd"):
        return [all(parts)]
    if operation == "Concatenate" or operation in _PASSED_ON:
        return parts
    raise stopped_at(layer, "makes a mask in a way that it does not know")
