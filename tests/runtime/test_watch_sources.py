"""Where `watch` takes its pictures from."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeCV2, FakePicamera2
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgecap_runtime.errors import MissingExtraError, OptionError
from edgecap_runtime.watching.sources import CameraGoneError, Frame, Source, open_source
from edgecap_runtime.watching.sources.fifo import FifoSource, JpegSplitter
from edgecap_runtime.watching.sources.folder import FolderSource
from edgecap_runtime.watching.sources.opencv import OpenCVSource
from edgecap_runtime.watching.sources.picamera2 import Picamera2Source

RED = np.zeros((4, 6, 3), np.uint8) + np.array([250, 20, 10], np.uint8)


def jpeg(colour: str = "red", side: int = 32, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "JPEG", **options)
    return stream.getvalue()


def with_thumbnail(colour: str) -> bytes:
    """A JPEG with another one inside its first segment, as cameras write them."""
    inside = jpeg("blue", 16)
    whole = jpeg(colour)
    segment = b"\xff\xe1" + (len(inside) + 2).to_bytes(2, "big") + inside
    return whole[:2] + segment + whole[2:]


def next_of(source: Source, seconds: float = 5.0) -> Frame:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        frame = source.next(True)
        if frame is not None:
            return frame
    raise AssertionError("no picture came")


class TestFolder:
    def test_gives_what_comes_after_the_start_oldest_first(self, tmp_path: Path) -> None:
        (tmp_path / "old.jpg").write_bytes(jpeg())
        source = open_source(str(tmp_path))
        assert isinstance(source, FolderSource)
        source.open()
        for place, name in enumerate(("b.jpg", "a.PNG", ".hidden.jpg", "notes.txt", "empty.jpg")):
            path = tmp_path / name
            path.write_bytes(b"" if name == "empty.jpg" else jpeg())
            os.utime(path, (1000 + place, 1000 + place))
        (tmp_path / "folder.jpg").mkdir()
        names = [next_of(source).name, next_of(source).name]
        assert names == [str(tmp_path / "b.jpg"), str(tmp_path / "a.PNG")]
        assert [source.next(True) for _ in range(3)] == [None] * 3

    def test_waits_until_a_photograph_is_complete(self, tmp_path: Path) -> None:
        source = FolderSource(str(tmp_path))
        source.open()
        path = tmp_path / "slow.jpg"
        for size in (100, 200, 300):
            path.write_bytes(jpeg()[:size])
            assert source.next(True) is None
        assert next_of(source).name == str(path)

    def test_gives_a_photograph_again_that_was_written_anew(self, tmp_path: Path) -> None:
        source = FolderSource(str(tmp_path))
        source.open()
        path = tmp_path / "latest.jpg"
        for colour in ("red", "blue"):
            path.write_bytes(jpeg(colour))
            assert next_of(source).photo == str(path)

    def test_a_folder_may_go_and_come_back(self, tmp_path: Path) -> None:
        folder, away = tmp_path / "stick", tmp_path / "away"
        folder.mkdir()
        (folder / "old.jpg").write_bytes(jpeg())
        source = FolderSource(str(folder))
        source.open()
        folder.rename(away)
        with pytest.raises(CameraGoneError, match="No such file"):
            next_of(source)
        source.close()
        (away / "new.jpg").write_bytes(jpeg())
        away.rename(folder)
        source.open()
        assert next_of(source).name == str(folder / "new.jpg")


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes, list[int]]:
    kinds = {
        "plain": jpeg("red"),
        "grey": jpeg("grey", 70, quality=30),
        "progressive": jpeg("green", 60, progressive=True),
        "thumbnail": with_thumbnail("yellow"),
        "restarts": jpeg("white", 64, restart_marker_blocks=1),
    }
    names = draw(st.lists(st.sampled_from([*kinds]), max_size=5))
    between = st.binary(max_size=20).filter(lambda junk: b"\xff" not in junk)
    whole = b"".join(draw(between) + kinds[name] for name in names) + draw(between)
    cuts = draw(st.lists(st.integers(0, len(whole)), max_size=12))
    return [kinds[name] for name in names], whole, sorted(cuts)


class TestJpegSplitter:
    @given(streams())
    @settings(deadline=None, max_examples=80)
    def test_finds_every_file_however_the_stream_is_cut(
        self, stream: tuple[list[bytes], bytes, list[int]]
    ) -> None:
        files, whole, cuts = stream
        splitter = JpegSplitter()
        found: list[bytes] = []
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            found += splitter.feed(whole[start:end])
        assert found == files

    @given(st.binary(max_size=300))
    @settings(deadline=None)
    def test_finds_its_way_back_after_rubbish(self, rubbish: bytes) -> None:
        splitter = JpegSplitter()
        splitter.feed(rubbish)
        # Rubbish may look like a long segment, which eats files until it is over.
        found = splitter.feed(jpeg() * 200)
        assert jpeg() in found

    def test_a_file_without_end_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edgecap_runtime.watching.sources.fifo._LARGEST", 5000)
        splitter = JpegSplitter()
        head = jpeg()[:-2]
        for _ in range(10):
            assert splitter.feed(head if not splitter._held else bytes(1000)) == []
            assert len(splitter._held) <= 6000
        assert splitter.feed(jpeg())[-1:] == [jpeg()]


class TestFifo:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        return path

    def test_gives_the_newest_and_survives_its_writers(self, path: Path) -> None:
        source = open_source(str(path))
        assert isinstance(source, FifoSource)
        source.open()
        assert source.next(True) is None
        for colour in ("red", "blue"):
            with path.open("wb") as writer:
                writer.write(jpeg("green") + jpeg(colour) + jpeg("white")[:50])
                writer.flush()
                frame = next_of(source)
            assert frame.photo == jpeg(colour)
            assert frame.passed_over == 1
            # The writer has gone, and what it left incomplete with it.
            assert source.next(True) is None
        source.close()

    def test_a_fifo_may_go_and_come_back(self, path: Path) -> None:
        source = FifoSource(str(path))
        source.open()
        with path.open("wb"):
            pass
        path.unlink()
        with pytest.raises(CameraGoneError, match="removed"):
            next_of(source)
        source.close()
        with pytest.raises(CameraGoneError, match="no such FIFO"):
            source.open()
        os.mkfifo(path)
        source.open()
        source.close()


class TestOpenCV:
    @pytest.fixture
    def cv2(self, monkeypatch: pytest.MonkeyPatch) -> FakeCV2:
        fake = FakeCV2(RED[:, :, ::-1].copy())
        monkeypatch.setitem(sys.modules, "cv2", fake)
        monkeypatch.setitem(sys.modules, "picamera2", None)
        return fake

    @pytest.mark.parametrize(
        ("camera", "target", "name"),
        [
            ("0", 0, "camera 0"),
            ("opencv:12", 12, "camera 12"),
            ("/dev/video2", "/dev/video2", "/dev/video2"),
            ("rtsp://me:secret@cam/1", "rtsp://me:secret@cam/1", "rtsp://cam/1"),
            ("http://cam/stream.mjpg", "http://cam/stream.mjpg", "http://cam/stream.mjpg"),
        ],
    )
    def test_opens_what_is_named(
        self, camera: str, target: object, name: str, cv2: FakeCV2
    ) -> None:
        source = OpenCVSource(camera)
        assert OpenCVSource.recognises(camera)
        assert source.name == name
        source.open()
        (capture,) = cv2.captures
        assert capture.target == target
        assert (capture.api == cv2.CAP_FFMPEG) == ("://" in camera)

    def test_decodes_only_what_is_wanted_and_turns_colours_round(self, cv2: FakeCV2) -> None:
        source = OpenCVSource("0")
        source.open()
        assert [source.next(False), source.next(False)] == [None, None]
        frame = source.next(True)
        assert frame is not None
        assert frame.passed_over == 2
        np.testing.assert_array_equal(frame.photo, RED)
        cv2.present = False
        with pytest.raises(CameraGoneError, match="no more"):
            source.next(True)
        source.close()
        assert cv2.captures[0].released
        with pytest.raises(CameraGoneError, match="can't be opened"):
            source.open()
        cv2.present = True
        source.open()
        assert source.next(True) is not None

    def test_a_real_stream(self) -> None:
        """An HTTP stream of JPEGs through the real OpenCV."""
        pytest.importorskip("cv2", reason="needs opencv-python-headless")
        server = HTTPServer(("127.0.0.1", 0), _Stream)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = OpenCVSource(f"http://127.0.0.1:{server.server_port}/stream.mjpg")
        try:
            for _ in range(2):
                source.open()
                picture = np.asarray(next_of(source).photo)
                assert picture.shape == (64, 64, 3)
                assert np.abs(picture.reshape(-1, 3).mean(0) - (255, 0, 0)).max() < 6
                with pytest.raises(CameraGoneError):
                    exhaust(source)
                source.close()
        finally:
            server.shutdown()
            server.server_close()


def exhaust(source: Source) -> None:
    for _ in range(1000):
        source.next(True)


class _Stream(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for _ in range(20):
            picture = jpeg("red", 64)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            self.wfile.write(head.encode() + picture + b"\r\n")

    def log_message(self, *arguments: object) -> None:
        pass


class TestPicamera2:
    @pytest.fixture
    def package(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePicamera2]:
        fake = FakePicamera2(RED)
        monkeypatch.setitem(sys.modules, "picamera2", fake)
        return fake

    def test_takes_a_bare_number_where_it_is_installed(self, package: FakePicamera2) -> None:
        for camera in ("0", "picamera2:0"):
            assert isinstance(open_source(camera), Picamera2Source)

    def test_gives_pictures(self, package: FakePicamera2) -> None:
        source = Picamera2Source("0")
        source.open()
        assert source.next(False) is None
        frame = source.next(True)
        assert frame is not None
        np.testing.assert_array_equal(frame.photo, RED)
        (camera,) = package.made
        # libcamera's BGR888 is red, green, blue in memory.
        assert camera.calls[0]["main"]["format"] == "BGR888"
        package.hangs = True
        with pytest.raises(CameraGoneError, match="no picture for 10 s"):
            source.next(True)
        source.close()
        assert camera.calls[1:] == ["start", "close"]

    def test_a_camera_that_is_not_there(self, package: FakePicamera2) -> None:
        source = Picamera2Source("picamera2:1")
        with pytest.raises(CameraGoneError, match="no camera 1"):
            source.open()
        package.cameras.append({"Model": "imx219", "Num": 1})
        source.open()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(MissingExtraError, match=r"edgecap-runtime\[opencv\]'; for a Rasp.*apt"):
        open_source("0")
    with pytest.raises(MissingExtraError, match=r"cv2; get it with: pip install"):
        open_source("rtsp://camera/stream")
    with pytest.raises(MissingExtraError, match="apt install -y python3-picamera2"):
        open_source("picamera2:0")


def test_what_is_no_camera(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(jpeg())
    for camera, why in (
        (str(file), "is a file"),
        ("frontdoor", "is no folder or FIFO that exists"),
    ):
        with pytest.raises(OptionError, match=f"{why}; give a camera's number"):
            open_source(camera)


def test_no_camera_package_is_loaded_without_need(tmp_path: Path) -> None:
    script = (
        "import sys, edgecap_runtime\n"
        "assert not [n for n in sys.modules if n.startswith('edgecap_runtime.watching')]\n"
        "import edgecap_runtime.cli\n"
        "assert 'edgecap_runtime.watching.loop' not in sys.modules\n"
        "assert 'edgecap_runtime.benching.measure' not in sys.modules\n"
        "from edgecap_runtime.watching.sources import open_source\n"
        "open_source(sys.argv[1])\n"
        "assert not {'cv2', 'picamera2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
