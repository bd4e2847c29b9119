"""Stand-ins for cameras and their packages."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import ModuleType
from typing import Any

import numpy as np

from edgecap_runtime.watching.sources import CameraGoneError, Frame


class ScriptedSource:
    """Plays a list: a picture, an event to wait for, or an exception to raise."""

    name = "the script"
    every = 0.0
    backlog = 1
    silence: float | None = None

    def __init__(self, script: list[Any], openings: list[Exception | None] | None = None) -> None:
        self.script = deque(script)
        self.openings = deque(openings or [])
        self.opened = self.closed = 0
        self.pace = 0.0
        self.idle = threading.Event()

    def open(self) -> None:
        outcome = self.openings.popleft() if self.openings else None
        if outcome is not None:
            raise outcome
        self.opened += 1

    def next(self, wanted: bool) -> Frame | None:
        time.sleep(self.pace)
        if not self.script:
            self.idle.set()
            threading.Event().wait(0.005)
            return None
        item = self.script.popleft()
        if isinstance(item, Exception):
            raise item
        if isinstance(item, threading.Event):
            item.wait(5)
            return None
        return Frame(item)

    def close(self) -> None:
        self.closed += 1


class FakeCapture:
    """OpenCV's VideoCapture over what `FakeCV2` says."""

    def __init__(self, package: FakeCV2, target: Any, api: int, params: Any = None) -> None:
        self.package, self.target, self.api, self.params = package, target, api, params
        self.released = False
        package.captures.append(self)

    def isOpened(self) -> bool:
        return self.package.present

    def set(self, name: int, value: int) -> bool:
        return True

    def grab(self) -> bool:
        self.package.grabbed += 1
        return self.package.present

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return True, self.package.picture

    def release(self) -> None:
        self.released = True


class FakeCV2(ModuleType):
    """As much of cv2 as the source uses."""

    CAP_ANY, CAP_V4L2, CAP_FFMPEG = 0, 200, 1900
    CAP_PROP_BUFFERSIZE, CAP_PROP_OPEN_TIMEOUT_MSEC, CAP_PROP_READ_TIMEOUT_MSEC = 38, 53, 54

    def __init__(self, picture: np.ndarray) -> None:
        super().__init__("cv2")
        self.picture = picture
        self.present = True
        self.grabbed = 0
        self.captures: list[FakeCapture] = []

    def VideoCapture(self, target: Any, api: int, params: Any = None) -> FakeCapture:
        return FakeCapture(self, target, api, params)


class FakePicamera2(ModuleType):
    """As much of picamera2 as the source uses, after its own signatures."""

    def __init__(self, picture: np.ndarray) -> None:
        super().__init__("picamera2")
        self.__spec__ = object()  # type: ignore[assignment]
        package = self
        self.cameras = [{"Model": "imx708", "Num": 0}]
        self.hangs = False
        self.made: list[Any] = []

        class Job:
            def get_result(self, timeout: float | None = None) -> np.ndarray:
                if package.hangs:
                    raise TimeoutError
                return picture

        class Picamera2:
            def __init__(self, camera_num: int = 0) -> None:
                self.calls: list[Any] = []
                package.made.append(self)

            @staticmethod
            def global_camera_info() -> list[dict[str, Any]]:
                return package.cameras

            def create_video_configuration(self, main: dict[str, Any]) -> dict[str, Any]:
                return {"main": main}

            def configure(self, configuration: dict[str, Any]) -> None:
                self.calls.append(configuration)

            def start(self) -> None:
                self.calls.append("start")

            def close(self) -> None:
                self.calls.append("close")

            def capture_array(self, name: str = "main", wait: bool | None = None) -> Job:
                assert (name, wait) == ("main", False)
                return Job()

        self.Picamera2 = Picamera2


GONE = CameraGoneError("it was unplugged")
