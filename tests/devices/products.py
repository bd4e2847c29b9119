"""Runs models on given numbers: `python products.py FOLDER OUT.npz`, with the interpreters alone.

FOLDER has models and, for each, NAME.npz with its inputs by name. OUT.npz: each model's first
output by the model's file name.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def run_onnx(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


def run_tflite(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), answer = interpreter.get_input_details(), interpreter.get_output_details()[0]
    (value,) = inputs.values()
    interpreter.set_tensor(given["index"], value)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(answer["index"]))


def main(folder: Path, out: Path) -> None:
    runners = {".onnx": run_onnx, ".tflite": run_tflite}
    results = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in runners:
            with np.load(path.with_suffix(".npz")) as saved:
                results[path.name] = runners[path.suffix](path, dict(saved))
    np.savez(out, **results)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
