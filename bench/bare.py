"""The bare interpreter on a captioner's file, with nothing of edgecap around it: the floor.

    python bench/bare.py captioner.tflite photo.jpg [more photos] --threads 2 --rounds 20

One script to read from top to bottom, driven as well as its author knows: Pillow decodes a JPEG at
reduced scale and resizes, the interpreter encodes, and each word is one step whose state stays in
the interpreter's tensors (.tflite) or in arrays bound once (.onnx), or one run over the words so
far where the file's kind is "prefix". Greedy, one row, upright RGB photographs only. Prints JSON
with times in milliseconds; `inside_ms` is encoder and words by the search that the file itself
holds, all words in one call, and `one_call_ms` both in a single call. With --serve it answers
requests, one JSON object a line, which is how the benchmark runs it among its other targets; there
it is fed the ids to say, so that not even a search is left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import zipfile
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Logits = np.ndarray[Any, np.dtype[np.float32]]


class Ids:
    """What the decoder takes for each word: that word [1], or all words so far [1, T]."""

    def __init__(self, about: dict[str, Any]) -> None:
        """Read the file's kind, "step" or "prefix"."""
        self.kind: str = about["kind"]
        self._prefix: dict[str, Any] = about.get("prefix") or {}
        self._word = np.zeros(1, np.int32)
        self._said: list[int] = []
        rest = [self._prefix["length"] or 0] if self._prefix else []
        self.nothing = np.empty([0, *rest], np.int32)

    def forget(self) -> None:
        """Begin a caption."""
        self._said = []

    def after(self, word: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Add a word and give the ids; a step's array is always the same one."""
        if not self._prefix:
            self._word[0] = word
            return self._word
        if word != self._prefix["skipped_id"]:
            self._said.append(word)
        missing = [self._prefix["padding_id"]] * ((self._prefix["length"] or 0) - len(self._said))
        at_start = self._prefix["padded"] == "start"
        return np.array([missing + self._said if at_start else self._said + missing], np.int32)


class TFLite:
    """The signatures `encode` and `step` or `prefix` of a .tflite file."""

    def __init__(self, path: str, threads: int) -> None:
        """Open the file; the decoder is its first subgraph, which the plain calls reach."""
        begun = perf_counter()
        from ai_edge_litert.interpreter import Interpreter

        imported = perf_counter()
        with zipfile.ZipFile(path) as archive:
            self.about = json.loads(archive.read("edgecap.json"))
            self.words = archive.read("vocabulary.txt").decode().splitlines()
        self._ids = Ids(self.about)
        self._interpreter = Interpreter(model_path=path, num_threads=threads)
        self._interpreter.allocate_tensors()
        decoder = self._interpreter.get_signature_runner(self._ids.kind)
        takes, gives = decoder.get_input_details(), decoder.get_output_details()
        del decoder
        first = {item["index"]: item["name"] for item in self._interpreter.get_input_details()}
        if first != {item["index"]: item["name"] for item in takes.values()}:
            sys.exit(f"{path}: the decoder is not its first subgraph, which plain calls reach")
        self._ids_place = takes["ids"]["index"]
        self._logits = gives["logits"]["index"]
        self._states = [(name, takes[name]["index"]) for name in takes if name != "ids"]
        self._carried = [
            (place, gives[f"next_{name}"]["index"])
            for name, place in self._states
            if f"next_{name}" in gives
        ]
        self._first: dict[str, Any] = {}
        for name, place in self._states:
            self._interpreter.resize_tensor_input(place, [1, *takes[name]["shape"][1:]])
        self._shape: tuple[int, ...] = ()
        self._resize((1,) if self._ids.kind == "step" else (1, self._ids.nothing.shape[1] or 1))
        self.import_ms, self.load_ms = (imported - begun) * 1e3, (perf_counter() - imported) * 1e3

    def encode(self, pixels: Pixels) -> None:
        """Make the first state of an image, uint8 [1, H, W, 3], and leave it in the decoder."""
        # Only a runner reaches the second subgraph; it is freed, for plain calls refuse beside it.
        self._first = self._interpreter.get_signature_runner("encode")(image=pixels)
        self._ids.forget()
        self._put_first()

    def step(self, word: int) -> None:
        """Say what follows a word; a next state goes from the step's output to its input."""
        interpreter = self._interpreter
        ids = self._ids.after(word)
        if ids.shape != self._shape:
            self._resize(ids.shape)
            # Where the words' number grows, allocating anew loses what the tensors held.
            self._put_first()
        interpreter.set_tensor(self._ids_place, ids)
        interpreter.invoke()
        for place, following in self._carried:
            # Faster than copying between views: 1.2 against 2.0 microseconds, measured.
            interpreter.set_tensor(place, interpreter.get_tensor(following))

    def logits(self) -> Logits:
        """Give the last word's logits, float32 [V]."""
        logits: Logits = self._interpreter.get_tensor(self._logits)[0]
        return logits

    def say_inside(self, pixels: Pixels) -> list[int]:
        """Caption an image by the search inside the file; gives the words' ids."""
        first = self._interpreter.get_signature_runner("encode")(image=pixels)
        found = self._interpreter.get_signature_runner("greedy")(**first)
        return _ids_of(found["ids"], found["length"])

    def say_in_one_call(self, pixels: Pixels) -> list[int]:
        """Caption an image by the signature that goes from pixels to ids."""
        found = self._interpreter.get_signature_runner("caption")(image=pixels)
        return _ids_of(found["ids"], found["length"])

    def _resize(self, shape: tuple[int, ...]) -> None:
        self._interpreter.resize_tensor_input(self._ids_place, shape)
        self._interpreter.allocate_tensors()
        self._shape = shape

    def _put_first(self) -> None:
        for name, place in self._states:
            self._interpreter.set_tensor(place, self._first[name])


class Onnx:
    """The one graph of an .onnx file: an `If` between start and the decoder."""

    def __init__(self, path: str, threads: int) -> None:
        """Open the file and bind a step's inputs and outputs to arrays that stay."""
        begun = perf_counter()
        import onnxruntime

        imported = perf_counter()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        entries = self._session.get_modelmeta().custom_metadata_map
        self.about = json.loads(entries["edgecap.json"])
        self.words = entries["vocabulary.txt"].splitlines()
        self._ids = Ids(self.about)
        widths = {f"state_{item['name']}": item["shape"] for item in self.about["state"]}
        self._next_names = [f"next_{name}" for name in widths]
        self._start = {"start": np.array(True), "ids": self._ids.nothing}
        self._start.update({name: np.empty((0, *w), np.float32) for name, w in widths.items()})
        height, width = size_of(self.about)
        self._logits = np.zeros((1, len(self.words)), np.float32)
        # Two sets of states, each the output of the step whose input is the other.
        self._states = [
            {name: np.zeros((1, *w), np.float32) for name, w in widths.items()} for _ in range(2)
        ]
        self._fixed = {"start": np.array(False), "image": np.empty((0, height, width, 3), np.uint8)}
        self._bindings = (
            [self._bound(here, 1 - here) for here in range(2)] if self._ids.kind == "step" else []
        )
        self._turn = 0
        self.import_ms, self.load_ms = (imported - begun) * 1e3, (perf_counter() - imported) * 1e3

    def _bound(self, taken: int, given: int) -> Any:
        binding = self._session.io_binding()
        feed = {**self._fixed, "ids": self._ids.after(0), **self._states[taken]}
        for name, array in feed.items():
            binding.bind_cpu_input(name, array)
        outputs = {f"next_{name}": array for name, array in self._states[given].items()}
        for name, array in {"logits": self._logits, **outputs}.items():
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return binding

    def encode(self, pixels: Pixels) -> None:
        """Make the first state of an image, uint8 [1, H, W, 3], and leave it for the decoder."""
        first = self._session.run(self._next_names, {**self._start, "image": pixels})
        self._ids.forget()
        self._turn = 0
        for array, value in zip(self._states[0].values(), first, strict=True):
            array[...] = value

    def step(self, word: int) -> None:
        """Say what follows a word; a next state lands where the step after it looks."""
        ids = self._ids.after(word)
        if self._bindings:
            self._session.run_with_iobinding(self._bindings[self._turn])
            self._turn = 1 - self._turn
        else:
            feed = {**self._fixed, "ids": ids, **self._states[0]}
            (self._logits,) = self._session.run(["logits"], feed)

    def logits(self) -> Logits:
        """Give the last word's logits, float32 [V]."""
        logits: Logits = self._logits[0]
        return logits

    def say_inside(self, pixels: Pixels) -> list[int]:
        """Caption an image by the search inside the file; gives the words' ids."""
        first = self._session.run(self._next_names, {**self._start, "image": pixels})
        states = {
            name.removeprefix("next_"): value
            for name, value in zip(self._next_names, first, strict=True)
        }
        word = self._ids.after(self.about["vocabulary"]["start_id"])
        # A start that is given a word and a state in the place of an image.
        feed = {**self._fixed, **states, "start": np.array(True), "ids": word}
        return _ids_of(*self._session.run(["caption_ids", "caption_length"], feed))

    def say_in_one_call(self, pixels: Pixels) -> list[int]:
        """Caption an image by a start that is given a word too."""
        word = self._ids.after(self.about["vocabulary"]["start_id"])
        feed = {**self._start, "image": pixels, "ids": word}
        return _ids_of(*self._session.run(["caption_ids", "caption_length"], feed))


def _ids_of(ids: Any, length: Any) -> list[int]:
    said: list[int] = ids[0, : length[0]].tolist()
    return said


def open_file(path: str, threads: int) -> TFLite | Onnx:
    """Open a file in its interpreter, by the magic at its beginning."""
    with open(path, "rb") as stream:
        flatbuffer = stream.read(8)[4:] == b"TFL3"
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    # LiteRT greets on the error stream when it loads.
    os.dup2(nowhere, 2)
    try:
        return (TFLite if flatbuffer else Onnx)(path, threads)
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def size_of(about: dict[str, Any]) -> tuple[int, int]:
    """Give height and width of the encoder's image."""
    return about["preparation"]["height"], about["preparation"]["width"]


def prepare(photo: str, about: dict[str, Any]) -> Pixels:
    """Decode and resize a photograph to uint8 [1, H, W, 3]."""
    height, width = size_of(about)
    kind = about["preparation"]["resampling"]
    image: Image.Image = Image.open(photo)
    across, down = width, height
    if about["preparation"]["fit"] == "crop":
        scale = max(width / image.width, height / image.height)
        across = max(width, round(image.width * scale))
        down = max(height, round(image.height * scale))
    if kind != "nearest":
        image.draft(None, (2 * across, 2 * down))
    if image.mode != "RGB":
        image = image.convert("RGB")
    image = image.resize((across, down), Image.Resampling[kind.upper()])
    if (across, down) != (width, height):
        left, top = (across - width) // 2, (down - height) // 2
        image = image.crop((left, top, left + width, top + height))
    return np.asarray(image)[None]


def say(model: TFLite | Onnx, pixels: Pixels) -> list[int]:
    """Caption prepared pixels greedily."""
    model.encode(pixels)
    return search(model)[0]


def search(model: TFLite | Onnx) -> tuple[list[int], int]:
    """Say words greedily after an image was encoded; gives their ids, and the number of steps."""
    vocabulary = model.about["vocabulary"]
    word, end = vocabulary["start_id"], vocabulary["end_id"]
    never = sorted({*vocabulary["never_said"], word} - {end})
    ids: list[int] = []
    steps = 0
    while len(ids) < model.about["defaults"]["max_words"]:
        model.step(word)
        steps += 1
        logits = model.logits()
        logits[never] = -np.inf
        word = int(logits.argmax())
        if word == end:
            break
        ids.append(word)
    return ids, steps


def caption(model: TFLite | Onnx, photo: str, ids: list[int] | None = None) -> dict[str, Any]:
    """Caption a photograph greedily, or only run the steps of the `ids` that are to be said."""
    about = model.about
    start, longest = about["vocabulary"]["start_id"], about["defaults"]["max_words"]
    cpu = process_time()
    begun = perf_counter()
    pixels = prepare(photo, about)
    prepared = perf_counter()
    model.encode(pixels)
    encoded = perf_counter()
    if ids is None:
        ids, steps = search(model)
    else:
        # The end token is chosen by a step of its own, unless the caption was cut.
        feed = [start, *ids][:longest]
        steps = len(feed)
        for word in feed:
            model.step(word)
    said, cpu = perf_counter(), process_time() - cpu
    return {
        "prepare_ms": (prepared - begun) * 1e3,
        "encode_ms": (encoded - prepared) * 1e3,
        "words_ms": (said - encoded) * 1e3,
        "caption_ms": (said - begun) * 1e3,
        "cpu_ms": cpu * 1e3,
        "steps": steps,
        "ids": ids,
        "words": [model.words[place] for place in ids],
    }


def inside_ms(
    model: TFLite | Onnx, photo: str, ids: list[int], rounds: int
) -> dict[str, float | None]:
    """Time encoder and words by the searches inside the file, medians; None where there is none.

    ids: what they must say.
    """
    pixels = prepare(photo, model.about)
    found: dict[str, float | None] = {"inside_ms": None, "one_call_ms": None}
    ways = {
        "inside_ms": ("greedy", model.say_inside),
        "one_call_ms": ("one_call", model.say_in_one_call),
    }
    for name, (held, way) in ways.items():
        if not model.about.get(held):
            continue
        times = []
        for _ in range(rounds + 1):
            begun = perf_counter()
            said = way(pixels)
            times.append((perf_counter() - begun) * 1e3)
            if said != ids:
                sys.exit(f"{photo}: the search inside the file says {said}, the steps say {ids}")
        found[name] = median(times[1:])
    return found


def peak_memory_mb() -> float:
    """Give the largest resident memory of this program so far, in MB (10^6 bytes)."""
    with contextlib.suppress(OSError), open("/proc/self/status") as stream:
        for line in stream:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    # Kilobytes, but bytes on macOS. On Linux a child is charged for its parent's memory as well.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def saturate(path: str, threads: int, photos: list[str]) -> dict[str, Any]:
    """Caption many photographs as fast as these parts can; the faster of two ways is given.

    Inside: one interpreter with all threads, the next photograph prepared meanwhile. Across: an
    interpreter of one thread for each thread, each captioning photographs of its own.
    """
    ways = {"threads inside the interpreter": _inside, "interpreters side by side": _across}
    seconds = {how: way(path, threads, photos) for how, way in ways.items()}
    best = min(seconds, key=seconds.__getitem__)
    return {"seconds": seconds[best], "how": best}


def _inside(path: str, threads: int, photos: list[str]) -> float:
    from concurrent.futures import ThreadPoolExecutor

    model = open_file(path, threads)
    caption(model, photos[0])
    begun = perf_counter()
    with ThreadPoolExecutor(1) as pool:
        for pixels in pool.map(lambda photo: prepare(photo, model.about), photos):
            say(model, pixels)
    return perf_counter() - begun


def _across(path: str, threads: int, photos: list[str]) -> float:
    from concurrent.futures import ThreadPoolExecutor
    from queue import SimpleQueue

    free: SimpleQueue[TFLite | Onnx] = SimpleQueue()
    for _ in range(threads):
        model = open_file(path, 1)
        caption(model, photos[0])
        free.put(model)

    def one(photo: str) -> None:
        model = free.get()
        say(model, prepare(photo, model.about))
        free.put(model)

    begun = perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, photos))
    return perf_counter() - begun


def serve(path: str, threads: int) -> None:
    """Answer the benchmark's requests on standard input until it ends."""
    model: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "start":
                model = open_file(path, threads)
                answer = {
                    "import_ms": model.import_ms,
                    "load_ms": model.load_ms,
                    "kind": model.about["kind"],
                    "searched": "outside",
                }
            elif request["do"] == "caption":
                answer = caption(model, request["photo"], request.get("ids"))
            elif request["do"] == "saturate":
                answer = saturate(path, threads, request["photos"])
            elif request["do"] == "memory":
                answer = {"peak_mb": peak_memory_mb()}
            else:
                break
            reply: dict[str, Any] = {"answer": answer}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


def main() -> None:
    """Time the photographs that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", help="a .tflite or .onnx file that edgecap exported")
    parser.add_argument("photos", nargs="*", help="upright RGB photographs")
    parser.add_argument("--threads", type=int, default=2, help="the interpreter's threads")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is captioned")
    parser.add_argument("--serve", action="store_true", help="answer requests on standard input")
    options = parser.parse_args()
    if options.serve:
        serve(options.file, options.threads)
        return
    if not options.photos or options.rounds < 1 or options.threads < 1:
        parser.error("give at least one photograph, one round and one thread")
    model = open_file(options.file, options.threads)
    results = []
    for photo in options.photos:
        greedy = caption(model, photo)
        rounds = [caption(model, photo, greedy["ids"]) for _ in range(options.rounds)]
        times: dict[str, Any] = {
            name: median(item[name] for item in rounds) for name in rounds[0] if "_ms" in name
        }
        inside = inside_ms(model, photo, greedy["ids"], options.rounds)
        results.append({"photo": photo, **greedy, **times, **inside})
    report = {
        "file": options.file,
        "threads": options.threads,
        "import_ms": model.import_ms,
        "load_ms": model.load_ms,
        "peak_mb": peak_memory_mb(),
        "photos": results,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
