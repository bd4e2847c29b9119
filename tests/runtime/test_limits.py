"""What no file may make the reader do: each ends in one sentence, soon and in little memory."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import tiny

from edgecap_runtime import limits
from edgecap_runtime.bundle import model_in, read_manifest, write_bundle
from edgecap_runtime.containers import write_entries
from edgecap_runtime.errors import BundleError
from edgecap_runtime.jsonfields import loads_object
from edgecap_runtime.manifest import Manifest, StateTensor
from edgecap_runtime.prefix import Prefix
from edgecap_runtime.vocabulary import Vocabulary

OLD = tiny.tiny_manifest(format_version="1.3").to_entries()
"""Entries of a version without a checksum, so that what lies behind it is reached."""

MEASURED = """
import sys, time
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import BundleError

begun = time.perf_counter()
try:
    read_manifest(sys.argv[1])
except BundleError as error:
    print(error)
seconds = time.perf_counter() - begun
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1000)
"""


def flatbuffer(size: int = 64) -> bytes:
    return b"\x1c\0\0\0TFL3" + bytes(size - 8)


def with_zip(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    out.write(flatbuffer())
    with zipfile.ZipFile(out, "a", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def record(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def metadata(key: bytes, value: bytes) -> bytes:
    return record(14, record(1, key) + record(2, value))


def onnx_with(*records: bytes) -> bytes:
    return b"\x08\x09" + record(7, b"") + b"".join(records)


def said(content: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        model_in("it", content)
    message = str(caught.value)
    assert message.startswith("it")
    assert "\n" not in message
    assert len(message) < 400
    return message


def bomb(path: Path, declared: int, real: int = 3 << 30) -> None:
    """Write a .tflite with an entry that unpacks to `real` bytes and claims to be `declared`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush nothing refers to what came before, so the piece can be repeated.
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = block * (real >> 24) + packer.flush()
    name = b"bomb.txt"
    common = struct.pack("<5H3L2H", 20, 0, 8, 0, 33, 0, len(packed), declared, len(name), 0)
    local = b"PK\x03\x04" + common + name + packed
    central = b"PK\x01\x02\x14\x00" + common + struct.pack("<3H2L", 0, 0, 0, 0, 64) + name
    end = struct.pack("<4H2LH", 0, 0, 1, 1, len(central), 64 + len(local), 0)
    path.write_bytes(flatbuffer() + local + central + b"PK\x05\x06" + end)


@pytest.fixture(scope="module")
def packed_bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bomb") / "bomb.tflite"
    bomb(path, 3 << 30)
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("declared", [3 << 30, 1000])
def test_an_entry_of_3_gb_takes_neither_time_nor_memory(packed_bomb: Path, declared: int) -> None:
    content = packed_bomb.read_bytes().replace(
        struct.pack("<L", 3 << 30), struct.pack("<L", declared)
    )
    path = packed_bomb.with_name(f"{declared}.tflite")
    path.write_bytes(content)
    command = [sys.executable, "-c", MEASURED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    *sentence, figures = done.stdout.splitlines()
    seconds, peak = (float(item) for item in figures.split())
    assert len(sentence) == 1
    assert str(path) in sentence[0]
    assert seconds < 1
    assert peak < 150


def test_the_zip_s_limits() -> None:
    many = {f"{number}.txt": b"" for number in range(limits.ENTRIES + 1)}
    assert f"{limits.ENTRIES + 1} entries" in said(with_zip(many))
    large = {"large": bytes(limits.ENTRY_BYTES + 1)}
    assert str(limits.ENTRY_BYTES + 1) in said(with_zip(large))
    each = limits.ENTRIES_BYTES // 3
    assert "together" in said(with_zip({str(number): bytes(each + 1) for number in range(3)}))
    assert "name" in said(with_zip({"n" * (limits.ENTRY_NAME_BYTES + 1): b""}))
    assert "deflate" in said(with_zip(OLD, zipfile.ZIP_BZIP2))
    assert model_in("it", with_zip(OLD, zipfile.ZIP_STORED)).manifest.name == "tiny"
    twice = with_zip({**OLD, "edgecap.jso_": b"{}"}).replace(b"edgecap.jso_", b"edgecap.json")
    assert "two entries of one name" in said(twice)


def test_a_zip_that_is_encrypted_or_lies() -> None:
    whole = with_zip(OLD)
    start = whole.index(b"PK\x01\x02")
    encrypted = bytearray(whole)
    encrypted[start + 8] |= 1
    assert "encrypted" in said(bytes(encrypted))
    for offset, width in ((16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (42, 4)):
        for value in (0, 1, 7, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF):
            lying = bytearray(whole)
            field = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
            if lying[start + offset : start + offset + width] != field:
                lying[start + offset : start + offset + width] = field
                said(bytes(lying))
    # Two entries that share their content: the way to make a small bomb large.
    second = whole.index(b"PK\x01\x02", start + 4)
    shared = bytearray(whole)
    shared[second + 42 : second + 46] = whole[start + 42 : start + 46]
    said(bytes(shared))


def test_the_limits_of_an_onnx_file() -> None:
    entries = [metadata(name.encode(), content) for name, content in OLD.items()]
    assert model_in("it", onnx_with(*entries)).manifest.name == "tiny"
    assert "two entries of one name" in said(onnx_with(*entries, metadata(b"edgecap.json", b"{}")))
    many = [metadata(b"%d" % number, b"") for number in range(limits.ENTRIES + 1)]
    assert "more metadata" in said(onnx_with(*many))
    assert "more metadata" in said(onnx_with(metadata(b"a", bytes(limits.ENTRY_BYTES))))
    half = bytes(limits.ENTRY_BYTES - 100)
    assert "more metadata" in said(onnx_with(*(metadata(b"%d" % i, half) for i in range(3))))
    said(onnx_with(metadata(b"k" * (limits.ENTRY_NAME_BYTES + 1), b"")))
    said(onnx_with(*[record(7, b"")] * limits.FIELDS, *entries))
    said(onnx_with(record(14, b"\x18\x00" * (limits.FIELDS + 1))))
    for wrong in (
        b"\x72" + b"\xff" * 9 + b"\x01",  # longer than any file
        b"\x72" + b"\xff" * 11,  # no end
        b"\x72" + b"\xff" * 9 + b"\x7f",  # beyond 64 bits
        b"\x02\x00",  # field 0
        b"\x0b",  # a group
    ):
        said(onnx_with(*entries, wrong))


def test_pipes_devices_and_large_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(BundleError, match="pipe or a device"):
            read_manifest(path)
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(limits.FILE_BYTES + 1)
    with pytest.raises(BundleError, match=str(limits.FILE_BYTES + 1)):
        read_manifest(tmp_path / "large")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a":' * (limits.JSON_DEPTH + 1) + "1" + "}" * (limits.JSON_DEPTH + 1),
        '{"a": ' + "1" * 5000 + "}",
        '{"a": ' + "1" * (limits.NUMBER_LENGTH + 1) + "}",
        '{"a": 1' + "0" * limits.NUMBER_LENGTH + ".5}",
        '{"a": 1e999}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": "\\ud800"}',
        '{"a": ' + " " * limits.JSON_BYTES + "1}",
        "1",
        '"text"',
        "null",
        "[]",
        "\x00",
        "",
    ],
    ids=lambda text: text[:20],
)
def test_json_that_is_not_read(text: str) -> None:
    with pytest.raises(BundleError, match="some entry") as caught:
        loads_object("some entry", text.encode())
    assert len(str(caught.value)) < 300


def test_json_at_its_limits_is_read() -> None:
    depth = limits.JSON_DEPTH
    assert loads_object("it", b'{"a":' * depth + b"1" + b"}" * depth).all()
    number = "1" * limits.NUMBER_LENGTH
    assert loads_object("it", f'{{"a": {number}}}'.encode()).integer("a") == int(number)
    assert loads_object("it", b'{"a": "\\ud83d\\ude00"}').text("a") == "\N{GRINNING FACE}"


def changed_head(**changes: Any) -> dict[str, bytes]:
    head = json.loads(OLD["edgecap.json"])
    return {**OLD, "edgecap.json": json.dumps(head | changes).encode()}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "n" * (limits.TEXT_LENGTH + 1)},
        {"state": [{"name": "h", "shape": [1 << 62, 1 << 62], "dtype": "float32"}]},
        {"state": [{"name": "h", "shape": [1] * (limits.STATE_SIDES + 1), "dtype": "float32"}]},
        {
            "state": [
                {"name": f"h{i}", "shape": [1], "dtype": "float32"}
                for i in range(limits.STATE_TENSORS + 1)
            ]
        },
        {"state": "h" * 10_000},
        {"state": [[]] * 10_000},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_fields_beyond_the_limits(changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_entries(changed_head(**changes))
    assert len(str(caught.value)) < 400


def test_values_beyond_the_limits() -> None:
    side = math.isqrt(limits.IMAGE_PIXELS)
    preparation = json.loads(OLD["edgecap.json"])["preparation"]
    for size in ((side + 1, side), (limits.IMAGE_SIDE + 1, 1), (10**30, 10**30)):
        wrong = preparation | dict(zip(("height", "width"), size, strict=True))
        with pytest.raises(BundleError, match="preparation"):
            Manifest.from_entries(changed_head(preparation=wrong))
    assert StateTensor("h", (limits.STATE_VALUES,))
    with pytest.raises(BundleError, match="values"):
        StateTensor("h", (limits.STATE_VALUES, 2))
    with pytest.raises(BundleError, match="length"):
        Prefix(limits.PREFIX_LENGTH + 1, 0, "end", None)
    with pytest.raises(BundleError, match="characters"):
        Vocabulary(("a", "b" * (limits.WORD_LENGTH + 1)), 0, 1)
    words = tuple(str(number) for number in range(limits.VOCABULARY_WORDS + 1))
    assert len(Vocabulary(words[1:], 0, 1)) == limits.VOCABULARY_WORDS
    with pytest.raises(BundleError, match="words"):
        Vocabulary(words, 0, 1)
    lines = {**OLD, "vocabulary.txt": b"\n" * limits.ENTRY_BYTES}
    with pytest.raises(BundleError, match="words"):
        Manifest.from_entries(lines)


def test_what_would_not_be_read_is_not_written(plain_onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="large"):
        write_entries(plain_onnx, {"large": bytes(limits.ENTRY_BYTES + 1)}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    source = {"deep": json.loads("[" * limits.JSON_DEPTH + "]" * limits.JSON_DEPTH)}
    with pytest.raises(BundleError, match="inside each other"):
        write_bundle(plain_onnx, tiny.tiny_manifest(source=source), tmp_path / "out")
