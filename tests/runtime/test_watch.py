"""`edgecap-runtime watch`: its loop, what it writes, and the whole command."""

from __future__ import annotations

import errno
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import GONE, ScriptedSource
from PIL import Image
from tiny import SIDE

from edgecap_runtime import Captioner, OptionError
from edgecap_runtime.arguments import duration
from edgecap_runtime.cli import main
from edgecap_runtime.device.health import Health
from edgecap_runtime.errors import EdgecapError
from edgecap_runtime.watching import pump as pump_module
from edgecap_runtime.watching.change import ChangeDetector
from edgecap_runtime.watching.lines import FileLines, StreamLines
from edgecap_runtime.watching.loop import Choices, Sighting, Totals, watch
from edgecap_runtime.watching.stopping import Stop, Wakeups, stopped_by_signals

COOL = Health(48.0, (), (), 1500, 2400)
HOT = Health(84.5, ("throttled",), ("throttled",), 1000, 2400)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "_RETRIES_S", (0.01,))


class Watched:
    """Runs the loop over a script until a condition holds: so many pictures `shows`, by default."""

    def __init__(self, file: Path, source: ScriptedSource, **choices: Any) -> None:
        self.seen: list[Sighting] = []
        self.said: list[str] = []
        self.source = source
        wakeups = Wakeups()
        self.stop = Stop(wakeups)
        shows = choices.pop("shows", 1)
        self.until: Callable[[Watched], bool] = lambda watched: len(watched.seen) >= shows
        self.health = choices.pop("health", lambda: COOL)
        self.on_show: Callable[[Sighting], None] = choices.pop("on_show", lambda seen: None)
        given = {"every": 0.0, "on_change": False, "backlog": source.backlog, **choices}
        self.choices = Choices(**given)
        self.file = file
        self.wakeups = wakeups

    def run(self) -> Totals:
        ender = threading.Thread(target=self._end, daemon=True)
        ender.start()
        with Captioner.load(self.file, threads=1) as captioner:
            return watch(
                captioner,
                self.source,
                self.choices,
                show=self._show,
                say=self.said.append,
                stop=self.stop,
                wakeups=self.wakeups,
                ask_health=self.health,
            )

    def _show(self, seen: Sighting) -> None:
        self.seen.append(seen)
        self.on_show(seen)

    def _end(self) -> None:
        limit = time.monotonic() + 30
        while time.monotonic() < limit and not self.until(self):
            time.sleep(0.01)
        # What would come too much comes now.
        time.sleep(0.1)
        self.stop()


class TestLoop:
    def test_captions_what_the_captioner_says(self, tflite_file: Path) -> None:
        photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
        watched = Watched(tflite_file, ScriptedSource([photo]), decoding={"beam": 2})
        totals = watched.run()
        (seen,) = watched.seen
        with Captioner.load(tflite_file, threads=1) as captioner:
            expected = captioner.caption(photo, beam=2)
        assert seen.text == expected.text
        assert seen.log_probability == pytest.approx(expected.log_probability)
        assert seen.caption_ms > 0
        assert totals == Totals(captions=1)
        assert watched.said == ["The machine is at 48.0 °C, not throttled."]

    def test_drops_old_pictures_rather_than_lag(self, onnx_file: Path) -> None:
        pictures = [picture(seed) for seed in range(30)]
        watched = self.slow(onnx_file, pictures)
        watched.until = lambda watched: len(watched.seen) >= 2
        totals = watched.run()
        assert len(watched.seen) == 2
        with Captioner.load(onnx_file, threads=1) as captioner:
            assert watched.seen[1].text == captioner.caption(pictures[-1]).text
        assert totals.passed_over == 28
        assert [seen.passed_over for seen in watched.seen] == [0, 28]

    def test_a_backlog_keeps_the_newest_few(self, onnx_file: Path) -> None:
        watched = self.slow(onnx_file, [picture(seed) for seed in range(30)], backlog=4)
        watched.until = lambda watched: len(watched.seen) >= 5
        assert watched.run().captions == 5
        assert [seen.passed_over for seen in watched.seen] == [0, 25, 0, 0, 0]

    def slow(self, file: Path, pictures: list[np.ndarray], **choices: Any) -> Watched:
        """The first caption takes so long that all other pictures come meanwhile."""
        begun = threading.Event()
        first, *others = pictures
        source = ScriptedSource([first, begun, *others])

        def on_show(seen: Sighting) -> None:
            begun.set()
            source.idle.wait(5)

        return Watched(file, source, on_show=on_show, **choices)

    def test_keeps_the_pace(self, onnx_file: Path) -> None:
        source = ScriptedSource([picture(seed % 7) for seed in range(2000)])
        source.pace = 0.01
        watched = Watched(onnx_file, source, every=0.2)
        watched.until = lambda watched: len(watched.seen) >= 4
        begun = time.monotonic()
        watched.run()
        assert time.monotonic() - begun >= 0.6

    def test_a_camera_that_vanishes_and_comes_back(self, onnx_file: Path) -> None:
        source = ScriptedSource(
            [picture(1), GONE, picture(2), GONE, picture(3)],
            openings=[GONE, GONE, None, GONE, None],
        )
        source.backlog = 5
        watched = Watched(onnx_file, source, shows=3)
        assert watched.run().captions == 3
        assert source.opened == 3
        about = [sentence for sentence in watched.said if "machine" not in sentence]
        assert about == [
            "The script is not there (it was unplugged); waiting for it.",
            "The script is there again.",
            "The script has gone (it was unplugged); waiting for it.",
            "The script is there again.",
            "The script has gone (it was unplugged); waiting for it.",
            "The script is there again.",
        ]

    def test_a_source_that_fails_for_good_ends_it(self, onnx_file: Path) -> None:
        watched = Watched(onnx_file, ScriptedSource([ZeroDivisionError("driver")]))
        with pytest.raises(EdgecapError, match=r"the script failed.*driver"):
            watched.run()
        assert watched.source.closed

    def test_a_silent_camera_is_told_of_once(self, onnx_file: Path) -> None:
        source = ScriptedSource([])
        source.silence = 0.0
        watched = Watched(onnx_file, source)
        watched.until = lambda watched: False
        threading.Timer(2.5, watched.stop).start()
        watched.run()
        assert [s for s in watched.said if "No picture" in s] == [
            "No picture from the script for 0 s."
        ]

    def test_a_bad_photograph_does_not_end_it(self, onnx_file: Path) -> None:
        source = ScriptedSource([b"rubbish", picture(1)])
        source.backlog = 2
        watched = Watched(onnx_file, source, shows=2)
        totals = watched.run()
        assert (totals.captions, totals.unusable) == (1, 1)
        bad, good = watched.seen
        assert bad.text is None
        assert "no image" in str(bad.error)
        assert good.error is None

    def test_on_change_leaves_out_the_same(self, onnx_file: Path) -> None:
        same, other = picture(1), picture(2)
        source = ScriptedSource([same, same, same, other, other, same])
        source.backlog = 6
        watched = Watched(onnx_file, source, on_change=True, shows=3)
        totals = watched.run()
        assert (totals.captions, totals.unchanged) == (3, 3)
        assert [seen.unchanged for seen in watched.seen] == [0, 2, 1]

    def test_tells_when_the_machine_slows_down(
        self, onnx_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgecap_runtime.watching.loop._HEALTH_S", 0.0)
        answers = iter([COOL, COOL, HOT, HOT, COOL])
        source = ScriptedSource([picture(seed) for seed in range(4)])
        source.backlog = 4
        watched = Watched(onnx_file, source, shows=4, health=lambda: next(answers))
        watched.run()
        assert watched.said == [
            "The machine is at 48.0 °C, not throttled.",
            "The machine is at 84.5 °C, slowed down now (throttled).",
            "The machine is at 48.0 °C, not throttled.",
        ]
        assert [seen.as_json()["throttled"] for seen in watched.seen] == [
            [],
            ["throttled"],
            ["throttled"],
            [],
        ]

    def test_illegal_decoding_is_refused_before_the_camera_opens(self, onnx_file: Path) -> None:
        watched = Watched(onnx_file, ScriptedSource([]), decoding={"beam": 0})
        with pytest.raises(OptionError, match="beam is 0"):
            watched.run()
        assert not watched.source.opened

    def test_a_driver_that_hangs_does_not_hold_it(
        self, onnx_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgecap_runtime.watching.loop._JOIN_S", 0.1)
        source = ScriptedSource([])
        release = threading.Event()
        source.next = lambda wanted: release.wait(20) and None  # type: ignore[method-assign]
        watched = Watched(onnx_file, source)
        watched.until = lambda watched: watched.source.opened == 1
        assert watched.run().hung
        release.set()


class TestChange:
    def scene(self, seed: int = 0) -> np.ndarray:
        cells = np.random.default_rng(seed).integers(40, 200, (7, 7, 3)).astype(np.uint8)
        return np.asarray(Image.fromarray(cells).resize((224, 224), Image.Resampling.BICUBIC))

    def test_noise_and_light_change_nothing(self) -> None:
        detector = ChangeDetector()
        scene = self.scene().astype(np.int16)
        assert detector.changed(scene.astype(np.uint8))
        for seed in range(5):
            noise = np.random.default_rng(seed).normal(0, 12, scene.shape)
            brighter = np.clip(scene + noise + 8 * seed, 0, 255).astype(np.uint8)
            assert not detector.changed(brighter)

    def test_someone_who_comes_in_is_a_change_once(self) -> None:
        detector = ChangeDetector()
        detector.changed(self.scene())
        with_person = self.scene().copy()
        with_person[90:180, 100:140] = (20, 20, 30)
        assert detector.changed(with_person)
        assert not detector.changed(with_person)
        assert detector.changed(self.scene())

    def test_slow_changes_add_up(self) -> None:
        """Compared with the last change, not with the picture just before."""
        detector = ChangeDetector()
        start, end = self.scene(1).astype(float), self.scene(2).astype(float)
        frames = [(start + (end - start) * k / 100).astype(np.uint8) for k in range(101)]
        assert sum(detector.changed(frame) for frame in frames) >= 3


class TestLines:
    def test_each_line_is_whole_after_a_power_cut(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        path.write_bytes(b'{"a": 1}\n{"b": ')
        FileLines(str(path), pytest.fail).write('{"c": 3}')
        assert path.read_bytes() == b'{"a": 1}\n{"b": \n{"c": 3}\n'

    def test_a_full_disk_is_told_of_once_and_recovered_from(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, said = tmp_path / "out.jsonl", []
        lines = FileLines(str(path), said.append)
        lines.write("one")
        real, room = os.write, [4]

        def full(file: int, data: bytes) -> int:
            # A disk takes what still fits, and refuses the next write.
            taken = min(room[0], len(data))
            room[0] -= taken
            if not taken:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(file, data[:taken])

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            lines.write("two two")
            lines.write("three")
        assert path.read_text() == "one\n"
        lines.write("four")
        assert path.read_text() == "one\nfour\n"
        assert lines.lost == 2
        assert len(said) == 2
        assert "No space left" in said[0]
        assert "2 lines are missing" in said[1]

    def test_a_real_full_device(self) -> None:
        said: list[str] = []
        lines = FileLines("/dev/full", said.append)
        for _ in range(3):
            lines.write("line")
        assert lines.lost == 3
        assert len(said) == 1

    def test_the_file_may_be_moved_away(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        lines = FileLines(str(path), pytest.fail)
        lines.write("one")
        path.rename(tmp_path / "old")
        lines.write("two")
        assert path.read_text() == "two\n"

    def test_what_can_never_work_is_refused(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none" / "out.jsonl", tmp_path):
            with pytest.raises(EdgecapError, match=r"Unable to write .*; choose a file"):
                FileLines(str(path), pytest.fail)

    def test_a_line_that_a_full_disk_cut_off_is_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "out"
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        lines = StreamLines("standard output", file, lambda said: None)
        real, room = os.write, [5, 0, 0]

        def full(file: int, data: bytes) -> int:
            if not room[0]:
                room.pop(0)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = real(file, data[: room[0]])
            room[0] -= taken
            return taken

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            lines.write("one two")
            lines.write("three")
        lines.write("four")
        os.close(file)
        assert path.read_text() == "one t\nfour\n"

    def test_a_stream_to_a_file_is_written_where_it_stands(self, tmp_path: Path) -> None:
        path = tmp_path / "out"
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        lines = StreamLines("standard output", file, pytest.fail)
        for line in ("one", "two"):
            lines.write(line)
        os.close(file)
        assert path.read_text() == "one\ntwo\n"

    def test_a_reader_that_goes_away_is_passed_on(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            StreamLines("standard output", writing, pytest.fail).write("line")
        os.close(writing)


class TestStopping:
    def test_a_signal_ends_a_sleep(self) -> None:
        wakeups = Wakeups()
        stop = Stop(wakeups)
        with stopped_by_signals(stop):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            begun = time.monotonic()
            while not stop:
                wakeups.sleep(20)
        assert time.monotonic() - begun < 5
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    def test_waking_before_sleeping_counts(self) -> None:
        wakeups = Wakeups()
        wakeups.wake()
        begun = time.monotonic()
        wakeups.sleep(20)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("500ms", 0.5), ("2m", 120), ("0.5", 0.5), (".5s", 0.5), ("1h", 3600), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration("--every")(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 fortnight", "1s1s", "inf", "1e3", "9999h"])
def test_illegal_durations(text: str) -> None:
    with pytest.raises(OptionError, match="--every is"):
        duration("--every")(text)


class TestCommand:
    """The whole command in a process of its own."""

    @pytest.fixture
    def started(self) -> Iterator[Callable[..., Running]]:
        running: list[Running] = []

        def start(*arguments: object, **more: Any) -> Running:
            running.append(Running(*arguments, **more))
            return running[-1]

        yield start
        for process in running:
            process.kill()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_folder_until_a_signal(
        self, number: int, started: Any, onnx_file: Path, tmp_path: Path
    ) -> None:
        folder, record = tmp_path / "in", tmp_path / "out.jsonl"
        folder.mkdir()
        running = started(onnx_file, "--camera", folder, "--jsonl", record)
        running.until_said("The machine is")
        time.sleep(0.3)
        Image.fromarray(picture(1)).save(folder / "photo.png")
        (line,) = running.lines(1)
        with Captioner.load(onnx_file) as captioner:
            expected = captioner.caption(folder / "photo.png")
        assert line.endswith(f" {folder / 'photo.png'}: {expected.text}")
        running.stop(number)
        (entry,) = [json.loads(line) for line in record.read_text().splitlines()]
        assert entry["text"] == expected.text
        assert entry["log_probability"] == pytest.approx(expected.log_probability)
        assert {"temperature_c", "throttled", "passed_over", "time"} <= set(entry)
        assert running.said[-1].startswith("Stopped after 1 captions")

    def test_a_fifo_as_json_with_a_full_disk(
        self, started: Any, onnx_file: Path, tmp_path: Path
    ) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        stream = io.BytesIO()
        Image.fromarray(picture(3)).resize((64, 64)).save(stream, "JPEG")
        running = started(onnx_file, "--camera", pipe, "--every", "0", "--jsonl", "/dev/full")
        for _ in range(3):
            with pipe.open("wb") as writer:
                writer.write(stream.getvalue())
                writer.flush()
                running.lines(1)
        running.stop(signal.SIGTERM)
        assert len([line for line in running.said if "No space left" in line]) == 1

    def test_a_hung_camera_does_not_hold_the_end(
        self, started: Any, onnx_file: Path, tmp_path: Path
    ) -> None:
        # A package cv2 whose camera never answers.
        (tmp_path / "cv2.py").write_text(
            "import time\n"
            "CAP_ANY = CAP_V4L2 = CAP_PROP_BUFFERSIZE = 0\n"
            "class VideoCapture:\n"
            "    def __init__(self, *arguments): pass\n"
            "    def isOpened(self): return True\n"
            "    def set(self, *arguments): return True\n"
            "    def grab(self): time.sleep(1000)\n"
        )
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        running = started(onnx_file, "--camera", "opencv:0", env={**os.environ, "PYTHONPATH": path})
        running.until_said("The machine is")
        running.stop(signal.SIGTERM)

    def test_a_full_disk_under_standard_output(self, onnx_file: Path, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with Path("/dev/full").open("wb") as full:
            running = Running(onnx_file, "--camera", pipe, "--every", "0", stdout=full)
            stream = io.BytesIO()
            Image.fromarray(picture(3)).save(stream, "JPEG")
            with pipe.open("wb") as writer:
                writer.write(stream.getvalue())
                writer.flush()
                running.until_said("No space left")
            running.stop(signal.SIGTERM)

    def test_mistakes_are_one_sentence(
        self, onnx_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = str(tmp_path)
        for arguments, what in (
            (["--camera", "frontdoor"], "--camera is 'frontdoor'"),
            (["--camera", folder, "--every", "soon"], "--every is 'soon'"),
            (["--camera", folder, "--backlog", "0"], "backlog is 0"),
            ([], "--camera"),
        ):
            assert main(["watch", str(onnx_file), *arguments]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith("error: ")
            assert what in line


class Running:
    """`edgecap-runtime watch` at work."""

    def __init__(self, *arguments: object, env: Any = None, stdout: Any = subprocess.PIPE) -> None:
        script = "import sys; from edgecap_runtime.cli import main; sys.exit(main())"
        words = [sys.executable, "-c", script, "watch", *(str(word) for word in arguments)]
        self.process = subprocess.Popen(
            words,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            # Tests that run in the background are started with it ignored, which is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.said: list[str] = []
        self._heard: queue.Queue[str] = queue.Queue()
        self._printed: queue.Queue[str] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in (
                (self.process.stderr, self._heard),
                (self.process.stdout, self._printed),
            )
            if pair[0] is not None
        ]
        for reader in self._readers:
            reader.start()

    def until_said(self, part: str) -> None:
        while not any(part in line for line in self.said):
            self.said.append(self._heard.get(timeout=20))

    def lines(self, count: int) -> list[str]:
        return [self._printed.get(timeout=20) for _ in range(count)]

    def stop(self, number: int) -> None:
        self.process.send_signal(number)
        assert self.process.wait(timeout=20) == 0
        for reader in self._readers:
            reader.join(5)
        while not self._heard.empty():
            self.said.append(self._heard.get())
        assert "Traceback" not in "\n".join(self.said)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self, stream: Any, lines: queue.Queue[str]) -> None:
        for line in stream:
            lines.put(line.rstrip("\n"))
