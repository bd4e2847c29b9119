"""The Raspberry Pi's own cameras, by picamera2 and libcamera.

Written after picamera2's source and tested with a stand-in for it, not on a Pi.
"""

from __future__ import annotations

import importlib.util
import re
import time
from contextlib import suppress
from typing import Any

from . import CameraGoneError, Frame, optional_package

__all__ = ["HOW_TO_GET_PICAMERA2", "Picamera2Source"]

HOW_TO_GET_PICAMERA2 = (
    "sudo apt install -y python3-picamera2 --no-install-recommends, in an environment made with: "
    "python3 -m venv --system-site-packages"
)

_NAMED = re.compile(r"picamera2:(\d{1,3})")
_NUMBER = re.compile(r"\d{1,3}")
_SIZE = (640, 480)
_ANSWER_S = 10.0
_IDLE_S = 0.02


class Picamera2Source:
    """Gives pictures of a camera on the ribbon cable: `picamera2:0`, or 0 where it's installed."""

    every = 1.0
    backlog = 1
    silence = 30.0

    def __init__(self, camera: str) -> None:
        self._place = int(camera.rpartition(":")[2])
        self.name = f"camera {self._place} (picamera2)"
        self._package: Any = optional_package(
            "picamera2", f"on a Raspberry Pi get it with: {HOW_TO_GET_PICAMERA2}"
        )
        self._camera: Any = None

    @classmethod
    def recognises(cls, camera: str) -> bool:
        """Tell whether it names picamera2, or is a number where picamera2 is installed."""
        if _NAMED.fullmatch(camera):
            return True
        return bool(_NUMBER.fullmatch(camera)) and importlib.util.find_spec("picamera2") is not None

    def open(self) -> None:
        """Start the camera with a small picture, which encoders scale down anyway."""
        kind = self._package.Picamera2
        try:
            if self._place >= len(kind.global_camera_info()):
                raise CameraGoneError(f"libcamera lists no camera {self._place}")
            self._camera = kind(self._place)
            # libcamera names the bytes of a little-endian word: "BGR888" is R, G, B in memory.
            wanted = self._camera.create_video_configuration(
                main={"size": _SIZE, "format": "BGR888"}
            )
            self._camera.configure(wanted)
            self._camera.start()
        except CameraGoneError:
            raise
        except Exception as error:  # libcamera's errors share no public base class
            self.close()
            raise CameraGoneError(_clause(error)) from None

    def next(self, wanted: bool) -> Frame | None:
        """Give the camera's next picture; nothing has to be fetched that isn't wanted."""
        if not wanted:
            time.sleep(_IDLE_S)
            return None
        try:
            job = self._camera.capture_array("main", wait=False)
            return Frame(job.get_result(timeout=_ANSWER_S))
        except Exception as error:
            raise CameraGoneError(_clause(error)) from None

    def close(self) -> None:
        """Stop the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            with suppress(Exception):
                camera.close()


def _clause(error: Exception) -> str:
    if isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError":
        return f"no picture for {_ANSWER_S:.0f} s"
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
