"""A captioner small enough to check by hand: the same weights as .onnx, .tflite and numpy.

Encoder: mean colour -> tanh(dense) = state h. Step: h' = tanh(embedding[id] + h @ recurrent),
logits = h' @ output. Prefix: h stays, and the mean of all words' embeddings is added to the last
word's.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecap_runtime.check_entry import (
    CheckPicture,
    FileAnswer,
    KerasAnswer,
    Machine,
    SelfCheck,
)
from edgecap_runtime.manifest import Manifest, Prefix, StateTensor
from edgecap_runtime.options import DecodingOptions
from edgecap_runtime.preparation import Preparation
from edgecap_runtime.vocabulary import Vocabulary

WORDS = (
    "<pad>",
    "<start>",
    "<end>",
    "<unk>",
    "a",
    "dog",
    "'s",
    "ball",
    "runs",
    "red",
    "on",
    "grass",
)
SIDE = 8
WIDTH = 6


def tiny_vocabulary() -> Vocabulary:
    return Vocabulary(WORDS, start_id=1, end_id=2, padding_id=0, unknown_id=3, never_said=(0, 1, 3))


def tiny_manifest(**changes: object) -> Manifest:
    values: dict[str, object] = {
        "name": "tiny",
        "encoder": "mean-colour",
        "decoder": "elman",
        "recipe": "float32",
        "preparation": Preparation(SIDE, SIDE, scaling="x / 255, inside the graph"),
        "vocabulary": tiny_vocabulary(),
        "state": (StateTensor("h", (WIDTH,)),),
        "created": "2026-01-01",
        "defaults": DecodingOptions(max_words=8),
        "source": {"weights": "random, seed 3"},
        "parity": {"images": 0, "verdict": "checked on 0"},
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class TinyModel:
    """The weights, and the model as numpy: a backend that shares no code with an interpreter."""

    dense: np.ndarray
    embedding: np.ndarray
    recurrent: np.ndarray
    output: np.ndarray

    @classmethod
    def random(cls, seed: int = 3, words: int = len(WORDS)) -> TinyModel:
        rng = np.random.default_rng(seed)

        def normal(*shape: int) -> np.ndarray:
            return rng.normal(0, 1.2, shape).astype(np.float32)

        return cls(
            normal(3, WIDTH), normal(words, WIDTH), normal(WIDTH, WIDTH), normal(WIDTH, words)
        )

    def encode(self, image: np.ndarray) -> dict[str, np.ndarray]:
        colour = image.reshape(1, -1, 3).astype(np.float32).mean(axis=1) / 255
        return {"h": np.tanh(colour @ self.dense)}

    def step(self, ids: np.ndarray, state: dict[str, np.ndarray]) -> tuple[np.ndarray, dict]:
        """Run the graph: that of a step for ids [rows], of a prefix for ids [rows, T]."""
        vectors = self.embedding[ids]
        if ids.ndim == 2:
            vectors = vectors.mean(axis=1) + vectors[:, -1]
        following = np.tanh(vectors + state["h"] @ self.recurrent)
        return following @ self.output, {"h": following} if ids.ndim == 1 else state

    def close(self) -> None:
        pass


PREFIXES = {
    "bare": Prefix(length=None, padding_id=0, padded="end", skipped_id=0),
    "fixed": Prefix(length=8, padding_id=0, padded="start", skipped_id=None),
}


def write_onnx(model: TinyModel, path: Path, ids: Sequence[str | int] = ("rows",)) -> None:
    """Write the `If` graph of the format, by hand; `ids` with two sides makes it a prefix graph."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def info(name: str, kind: int, shape: list[object]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    words = model.output.shape[1]
    weights = {
        "dense": model.dense / 255,
        "embedding": model.embedding,
        "recurrent": model.recurrent,
        "output": model.output,
    }
    node = helper.make_node
    start = helper.make_graph(
        [
            node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
            node("MatMul", ["colour", "dense"], ["start_sum"]),
            node("Tanh", ["start_sum"], ["start_h"]),
            node(
                "Constant",
                [],
                ["start_logits"],
                value=numpy_helper.from_array(np.empty((0, words), np.float32)),
            ),
        ],
        "start",
        [],
        [
            info("start_logits", TensorProto.FLOAT, [0, words]),
            info("start_h", TensorProto.FLOAT, ["images", WIDTH]),
        ],
    )
    prefix = len(ids) == 2
    read = [
        node("Gather", ["embedding", "ids"], ["all_vectors"]),
        node("ReduceMean", ["all_vectors", "word_axis"], ["mean"], keepdims=0),
        node("Gather", ["all_vectors", "last"], ["last_vectors"], axis=1),
        node("Add", ["mean", "last_vectors"], ["vectors"]),
        node("Identity", ["state_h"], ["following"]),
    ]
    step = helper.make_graph(
        [
            *(read if prefix else [node("Gather", ["embedding", "ids"], ["vectors"])]),
            node("MatMul", ["state_h", "recurrent"], ["carried"]),
            node("Add", ["vectors", "carried"], ["step_sum"]),
            node("Tanh", ["step_sum"], ["step_h"]),
            node("MatMul", ["step_h", "output"], ["step_logits"]),
        ],
        "prefix" if prefix else "step",
        [],
        [
            info("step_logits", TensorProto.FLOAT, ["rows", words]),
            info("following" if prefix else "step_h", TensorProto.FLOAT, ["rows", WIDTH]),
        ],
    )
    graph = helper.make_graph(
        [node("If", ["start"], ["logits", "next_state_h"], then_branch=start, else_branch=step)],
        "tiny",
        [
            info("start", TensorProto.BOOL, []),
            info("image", TensorProto.UINT8, ["images", SIDE, SIDE, 3]),
            info("ids", TensorProto.INT32, [*ids]),
            info("state_h", TensorProto.FLOAT, ["rows", WIDTH]),
        ],
        [
            info("logits", TensorProto.FLOAT, ["out_rows", words]),
            info("next_state_h", TensorProto.FLOAT, ["out_states", WIDTH]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()]
        + [
            numpy_helper.from_array(np.array(value, np.int64), name)
            for name, value in {"axes": [1, 2], "word_axis": [1], "last": -1}.items()
        ],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(whole)
    onnx.save(whole, path)


def write_tflite(
    model: TinyModel, path: Path, *, first: str = "step", ids: Sequence[int | None] = (None,)
) -> None:
    """Write the two signatures with TensorFlow's converter; `first` gets subgraph 0.

    `ids` with two sides makes it a prefix graph.
    """
    import tensorflow as tf

    prefix = len(ids) == 2

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.uint8, "image")])
        def encode(self, image):  # type: ignore[no-untyped-def]
            colour = tf.reduce_mean(tf.cast(image, tf.float32), axis=[1, 2]) / 255.0
            return {"state_h": tf.tanh(tf.matmul(colour, tf.constant(model.dense)))}

        @tf.function(
            input_signature=[
                tf.TensorSpec(ids, tf.int32, "ids"),
                tf.TensorSpec([None, WIDTH], tf.float32, "state_h"),
            ]
        )
        def step(self, ids, state_h):  # type: ignore[no-untyped-def]
            carried = tf.matmul(state_h, tf.constant(model.recurrent))
            vectors = tf.gather(tf.constant(model.embedding), ids)
            if prefix:
                vectors = tf.reduce_mean(vectors, axis=1) + vectors[:, -1]
            h = tf.tanh(vectors + carried)
            logits = tf.matmul(h, tf.constant(model.output))
            return {"logits": logits} if prefix else {"logits": logits, "next_state_h": h}

    module = Module()
    functions = {
        "encode": module.encode.get_concrete_function(),
        "prefix" if prefix else "step": module.step.get_concrete_function(),
    }
    folder = path.with_suffix(".saved")
    tf.saved_model.save(module, str(folder), signatures=functions)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[*functions])
    path.write_bytes(_with_first(converter.convert(), first))


def _with_first(content: bytes, signature: str) -> bytes:
    """Move a signature's subgraph to the front, where the interpreter's plain calls reach it."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    keys = [entry.signatureKey.decode() for entry in model.signatureDefs]
    front = model.signatureDefs[keys.index(signature)].subgraphIndex
    order = [front, *(place for place in range(len(model.subgraphs)) if place != front)]
    model.subgraphs = [model.subgraphs[place] for place in order]
    for entry in model.signatureDefs:
        entry.subgraphIndex = order.index(entry.subgraphIndex)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def check_pixels() -> list[np.ndarray]:
    """Two pictures of the size that a file carries."""
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (64, 64, 3)).astype(np.uint8) // side * side for side in (1, 64)]


def tiny_check(here: TinyModel, keras: TinyModel, tolerance: float = 0.01) -> SelfCheck:
    """What a file with the weights `here` is to carry: plain numpy, double precision, no search.

    The rules are those of `tiny_manifest`: at most 8 words, the ids 0, 1 and 3 never said.
    """

    def after(model: TinyModel, first: dict, words: Sequence[int]) -> np.ndarray:
        state = first
        for word in (1, *words):
            logits, state = model.step(np.array([word]), state)
        row = logits[0].astype(np.float64)
        return row - np.log(np.exp(row).sum())

    def greedily(model: TinyModel, first: dict) -> tuple[list[int], list[float], list[float]]:
        said: list[int] = []
        scores, gaps = [], []
        while len(said) < 8 and (not said or said[-1] != 2):
            row = after(model, first, said)
            best = sorted(
                (-value, place) for place, value in enumerate(row) if place not in (0, 1, 3)
            )
            said.append(best[0][1])
            scores.append(-best[0][0])
            gaps.append(best[1][0] - best[0][0])
        return said, scores, gaps

    pictures = []
    for place, pixels in enumerate(check_pixels()):
        image = np.empty((SIDE, SIDE, 3), np.uint8)
        for row in range(SIDE):
            for column in range(SIDE):
                image[row, column] = pixels[row * 64 // SIDE, column * 64 // SIDE]
        wanted, wanted_scores, _ = greedily(keras, keras.encode(image))
        first = here.encode(image)
        said, scores, gaps = greedily(here, first)
        at_prefixes = [after(here, first, wanted[:at])[word] for at, word in enumerate(wanted)]
        packer = zlib.compressobj(wbits=-15)
        rgb = base64.b64encode(packer.compress(pixels.tobytes()) + packer.flush()).decode()
        pictures.append(
            CheckPicture(
                f"picture {place}",
                rgb,
                KerasAnswer(tuple(word for word in wanted if word != 2), tuple(wanted_scores)),
                FileAnswer(
                    tuple(map(float, at_prefixes)),
                    tuple(word for word in said if word != 2),
                    tuple(map(float, scores)),
                    tuple(map(float, gaps)),
                ),
            )
        )
    machine = Machine("a processor", "x86_64", "AVX512-VNNI", "numpy 2", 2)
    return SelfCheck(tolerance, machine, tuple(pictures))
