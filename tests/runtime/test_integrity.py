"""No flipped byte of a captioner's file goes unnoticed, wherever it is."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecap_runtime import Captioner
from edgecap_runtime.bundle import model_in, read_manifest, read_model, write_bundle
from edgecap_runtime.cli import main
from edgecap_runtime.containers import read_entries, write_entries
from edgecap_runtime.errors import BundleError

MARKS = {"onnx": b"r\x19\n\x0dedgecap.crc32\x12\x08", "tflite": b"\x16\x00edgecap-crc32:"}


@pytest.fixture(scope="module", params=["onnx", "tflite"])
def plain(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"plain_{request.param}")
    return path


@pytest.fixture(scope="module")
def whole(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole") / f"captioner{plain.suffix}"
    write_bundle(plain, tiny.tiny_manifest(), out)
    return out.read_bytes()


def refused(content: bytes, path: Path) -> str:
    """The sentence with which a file of these bytes is refused."""
    with pytest.raises(BundleError) as caught:
        model_in(str(path), content)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def changed(content: bytes, index: int, value: int) -> bytes:
    return content[:index] + bytes([value]) + content[index + 1 :]


def test_the_checksum_is_the_crc_32_of_all_before_it(whole: bytes, plain: Path) -> None:
    assert whole[:-8].endswith(MARKS[plain.suffix[1:]])
    assert whole[-8:] == f"{zlib.crc32(whole[:-8]):08x}".encode()


def test_it_is_written_anew_and_once(plain: Path, whole: bytes, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(whole)
    write_bundle(first, tiny.tiny_manifest(name="other"), second)
    assert read_model(second).checksummed
    again = second.read_bytes()
    assert again.count(MARKS[plain.suffix[1:]]) == 1
    write_bundle(second, tiny.tiny_manifest(), second)
    assert second.read_bytes() == whole


def test_a_damaged_file_gets_no_new_checksum(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(changed(whole, 40, whole[40] ^ 1))
    with pytest.raises(BundleError, match="damaged"):
        write_bundle(path, tiny.tiny_manifest(), path)


def test_no_flipped_bit_goes_unnoticed(whole: bytes, tmp_path: Path) -> None:
    indices = {*range(1500), *range(len(whole) - 1500, len(whole)), *range(0, len(whole), 37)}
    for index in sorted(index for index in indices if 0 <= index < len(whole)):
        for bit in range(8):
            damaged = changed(whole, index, whole[index] ^ 1 << bit)
            with pytest.raises(BundleError):
                model_in("it", damaged)
    refused(changed(whole, 40, whole[40] ^ 1), tmp_path / "it")


def test_no_other_value_of_the_last_bytes_goes_unnoticed(whole: bytes) -> None:
    for index in range(len(whole) - 60, len(whole)):
        for value in range(256):
            if value != whole[index]:
                with pytest.raises(BundleError):
                    model_in("it", changed(whole, index, value))


def test_upper_case_digits_are_no_checksum(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "it"
    for number in range(99):  # until a checksum has a letter
        write_bundle(plain, tiny.tiny_manifest(name=f"number {number}"), path)
        content = path.read_bytes()
        if content[-8:].upper() != content[-8:]:
            assert "damaged" in refused(content[:-8] + content[-8:].upper(), path)
            return
    pytest.fail("99 checksums without a letter")


def test_bytes_before_behind_and_missing(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "it"
    for more in (b"\0", b"\n", b"abc", whole[-8:], whole[-40:], bytes(100_000)):
        refused(whole + more, path)
        refused(more + whole, path)
        refused(whole[:50] + more + whole[50:], path)
        refused(whole[:-30] + more + whole[-30:], path)
    refused(whole + whole, path)
    for length in {*range(len(whole) - 1200, len(whole)), *range(0, len(whole), 97)}:
        refused(whole[:length], path)
    for length in (1, 7, 8, 9, 40):
        refused(whole[length:], path)


def test_a_file_without_the_checksum_of_its_version_is_refused(
    whole: bytes, plain: Path, tmp_path: Path
) -> None:
    path = tmp_path / "it"
    if plain.suffix == ".onnx":
        without = whole[: -8 - len(MARKS["onnx"])]
    else:
        without = whole[: -8 - len(MARKS["tflite"])] + b"\0\0"
    assert "lacks the checksum" in refused(without, path)
    # Nor does an older version help a file that has it, or a check.json.
    for entries in ({}, {"check.json": b"{}"}):
        old = tiny.tiny_manifest(format_version="1.3").to_entries() | entries
        write_entries(plain, old, path)
        assert read_model(path).checksummed
        content = path.read_bytes()
        refused(changed(content, len(content) - 9, ord("!")), path)


def test_whole_files_of_older_versions_are_read(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"old{plain.suffix}"
    manifest = tiny.tiny_manifest(format_version="1.3")
    write_bundle(plain, manifest, path)
    content = path.read_bytes()
    mark = MARKS[plain.suffix[1:]]
    old = content[: -8 - len(mark)] + (b"\0\0" if plain.suffix == ".tflite" else b"")
    assert main(["show", str(path)]) == 0
    assert "checksum: right" in capsys.readouterr().out
    path.write_bytes(old)
    read = read_model(path)
    assert read.manifest == manifest
    assert not read.checksummed
    assert main(["show", str(path)]) == 0
    assert "checksum: none (format 1.3)" in capsys.readouterr().out
    # A part of a checksum is damage, though the version is older.
    for index in range(len(content) - 8 - len(mark), len(content)):
        refused(changed(content, index, 0xFF), path)


def test_a_record_of_the_checksum_elsewhere_is_damage(plain_onnx: Path, tmp_path: Path) -> None:
    path = tmp_path / "it.onnx"
    write_bundle(plain_onnx, tiny.tiny_manifest(format_version="1.3"), path)
    content = path.read_bytes()
    model, record = content[: -8 - len(MARKS["onnx"])], content[-8 - len(MARKS["onnx"]) :]
    model_size = len(plain_onnx.read_bytes())
    far = tiny.tiny_manifest(format_version="1.3", source={"long": ["x" * 999] * 99})
    write_bundle(plain_onnx, far, path)
    entries = path.read_bytes()[model_size : -8 - len(MARKS["onnx"])]
    refused(model[:model_size] + record + entries, path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_random_mutations_are_refused(whole: bytes, data: st.DataObject) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        first = data.draw(st.integers(0, len(content)))
        last = data.draw(st.integers(first, min(len(content), first + 300)))
        content[first:last] = data.draw(st.binary(max_size=300))
    if content != whole:
        with pytest.raises(BundleError):
            model_in("it", bytes(content))


OVERWRITE = """
import sys
import numpy as np
from edgecap_runtime import Captioner

path, photo = sys.argv[1], np.load(sys.argv[2])
with Captioner.load(path, threads=2) as captioner:
    before = captioner.caption(photo)
    with open(path, "r+b") as stream:  # in place, as cp and scp do
        size = len(stream.read())
        stream.seek(0)
        stream.truncate()
        stream.write(b"\\xa5" * (size // 3))
    after = captioner.caption(photo)
    [alone] = captioner.caption_batch([photo])
assert after.ids == before.ids == alone.ids, (before, after, alone)
assert after.log_probability == before.log_probability == alone.log_probability
print("undisturbed")
"""


def test_overwriting_the_file_in_place_disturbs_nobody(
    captioner_file: Path, photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / captioner_file.name
    path.write_bytes(captioner_file.read_bytes())
    np.save(tmp_path / "photo.npy", photograph)
    command = [sys.executable, "-c", OVERWRITE, str(path), str(tmp_path / "photo.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "undisturbed\n"), done.stderr
    with pytest.raises(BundleError):
        read_manifest(path)


def test_the_file_is_read_once(
    captioner_file: Path, photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / captioner_file.name
    path.write_bytes(captioner_file.read_bytes())
    with Captioner.load(path, threads=2) as captioner:
        path.unlink()
        [caption] = captioner.caption_batch([photograph])
        assert caption.ids == captioner.caption(photograph).ids


def test_entries_are_those_that_were_written(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(whole)
    assert read_entries(path) == tiny.tiny_manifest().to_entries()
