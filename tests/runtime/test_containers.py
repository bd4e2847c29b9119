from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import pytest
from tiny import tiny_manifest

from edgecap_runtime.bundle import read_manifest, write_bundle
from edgecap_runtime.containers import container_of, read_entries, write_entries
from edgecap_runtime.errors import BundleError, EdgecapError
from edgecap_runtime.manifest import FORMAT_VERSION

ENTRIES = {"edgecap.json": b'{"a": 1}', "vocabulary.txt": "a\né\n".encode(), "empty": b""}


@pytest.fixture(params=["plain_onnx", "plain_tflite"])
def plain(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_round_trip(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out{plain.suffix}"
    write_entries(plain, ENTRIES, out)
    assert read_entries(out) == ENTRIES
    # The model itself is untouched: the entries lie behind it.
    model = plain.read_bytes()
    assert out.read_bytes()[: len(model)] == model


def test_writing_again_replaces_the_entries(plain: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    write_entries(plain, {**ENTRIES, "parity.json": b"{}"}, once)
    write_entries(once, {**ENTRIES, "empty": b"no more"}, twice)
    assert read_entries(twice) == {**ENTRIES, "empty": b"no more"}
    write_entries(once, {**ENTRIES, "empty": b"no more"}, once)
    assert once.read_bytes() == twice.read_bytes()


def test_the_same_entries_give_the_same_bytes(plain: Path, tmp_path: Path) -> None:
    write_entries(plain, ENTRIES, tmp_path / "one")
    write_entries(plain, ENTRIES, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_kind_is_told_by_content_not_by_name(
    plain_onnx: Path, plain_tflite: Path, tmp_path: Path
) -> None:
    for plain, kind in ((plain_onnx, "onnx"), (plain_tflite, "tflite")):
        renamed = tmp_path / "model.bin"
        renamed.write_bytes(plain.read_bytes())
        assert container_of(renamed) == kind


def test_other_tools_see_the_entries(plain_onnx: Path, plain_tflite: Path, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    write_bundle(plain_tflite, tiny_manifest(), tmp_path / "c.tflite")
    with zipfile.ZipFile(tmp_path / "c.tflite") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["parity.json", "vocabulary.txt", "edgecap.json"]
    write_bundle(plain_onnx, tiny_manifest(), tmp_path / "c.onnx")
    model = onnx.load(tmp_path / "c.onnx")
    onnx.checker.check_model(model)
    expected = {name: text.decode() for name, text in tiny_manifest().to_entries().items()}
    expected["edgecap.crc32"] = (tmp_path / "c.onnx").read_bytes()[-8:].decode()
    assert {item.key: item.value for item in model.metadata_props} == expected
    session = onnxruntime.InferenceSession(tmp_path / "c.onnx")
    assert session.get_modelmeta().custom_metadata_map == expected


def test_entries_that_the_onnx_package_wrote_are_read(plain_onnx: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(plain_onnx)
    old = tiny_manifest(format_version="1.3")
    onnx.helper.set_model_props(
        model, {name: text.decode() for name, text in old.to_entries().items()}
    )
    onnx.save(model, tmp_path / "c.onnx")
    assert read_manifest(tmp_path / "c.onnx") == old


def test_other_metadata_stays(plain_onnx: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(plain_onnx)
    onnx.helper.set_model_props(model, {"author": "someone", "parity.json": "old"})
    onnx.save(model, tmp_path / "c.onnx")
    write_entries(tmp_path / "c.onnx", ENTRIES, tmp_path / "c.onnx")
    assert read_entries(tmp_path / "c.onnx") == {"author": b"someone", **ENTRIES}


def test_a_file_cut_anywhere_is_refused(captioner_file: Path, tmp_path: Path) -> None:
    whole = captioner_file.read_bytes()
    cut = tmp_path / "cut"
    lengths = {*range(0, len(whole), 97), *range(len(whole) - 1200, len(whole)), 1, 4, 8, 9}
    for length in sorted(lengths):
        cut.write_bytes(whole[:length])
        with pytest.raises(BundleError) as caught:
            read_manifest(cut)
        assert str(cut) in str(caught.value)


def test_a_model_without_entries_is_refused(plain: Path) -> None:
    with pytest.raises(BundleError, match="without edgecap's entries"):
        read_manifest(plain)


def test_a_zip_of_something_else_is_refused(plain_tflite: Path, tmp_path: Path) -> None:
    write_entries(plain_tflite, {"labels.txt": b"cat\n"}, tmp_path / "other.tflite")
    with pytest.raises(BundleError, match=r"no edgecap\.json"):
        read_manifest(tmp_path / "other.tflite")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"hello, this is text",
        b"PK\x03\x04" + bytes(60),
        b"\x89PNG\r\n\x1a\n",
        bytes(99),
    ],
    ids=repr,
)
def test_foreign_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    with pytest.raises(BundleError):
        write_entries(path, ENTRIES, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Unable to find"):
        read_manifest(tmp_path / "none.tflite")
    with pytest.raises(BundleError, match="is a folder"):
        read_manifest(tmp_path)


def test_a_newer_major_version_names_the_file(plain: Path, tmp_path: Path) -> None:
    entries = tiny_manifest().to_entries()
    own = f'"{FORMAT_VERSION}"'.encode()
    entries["edgecap.json"] = entries["edgecap.json"].replace(own, b'"3.1"')
    write_entries(plain, entries, tmp_path / "new")
    with pytest.raises(BundleError, match=r"new: .*version 3\.1.*upgrade"):
        read_manifest(tmp_path / "new")


def test_a_full_disk_leaves_what_was_there(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "captioner"
    target.write_bytes(b"precious")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EdgecapError, match="No space left"):
        write_bundle(plain, tiny_manifest(), target)
    assert target.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["captioner"]


def test_an_interruption_leaves_what_was_there(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(plain, tiny_manifest(), tmp_path / "captioner")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_an_error(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgecapError, match="Unable to write"):
        write_bundle(plain, tiny_manifest(), tmp_path / "none" / "c.tflite")
