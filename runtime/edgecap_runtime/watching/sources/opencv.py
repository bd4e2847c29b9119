"""Webcams and network streams, by OpenCV."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from . import CameraGoneError, Frame, optional_package
from .picamera2 import HOW_TO_GET_PICAMERA2

__all__ = ["OpenCVSource"]

_HOW = "get it with: pip install 'edgecap-runtime[opencv]'"
_CAMERA = re.compile(r"(?:opencv:)?(\d{1,3})")
_DEVICE = re.compile(r"/dev/video\d{1,3}")
_STREAM = re.compile(r"(?:rtsp|rtsps|http|https)://.+", re.IGNORECASE)
_CREDENTIALS = re.compile(r"//[^/@]*@")
_TIMEOUT_MS = 10_000


class OpenCVSource:
    """Gives pictures of a webcam (0, opencv:0, /dev/video0) or of a stream (rtsp, http)."""

    every = 1.0
    backlog = 1
    silence = 30.0

    def __init__(self, camera: str) -> None:
        found = _CAMERA.fullmatch(camera)
        self._target: int | str = int(found[1]) if found else camera
        # A stream's address often holds a password, which messages must not.
        shown = _CREDENTIALS.sub("//", camera)
        self.name = f"camera {found[1]}" if found else shown
        how = _HOW
        if found and not camera.startswith("opencv:"):
            how = f"for a webcam {_HOW}; for a Raspberry Pi's own camera: {HOW_TO_GET_PICAMERA2}"
        # Read when cv2 is imported: a camera that isn't there would be told of at each attempt.
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self._cv2: Any = optional_package("cv2", how)
        self._capture: Any = None
        self._skipped = 0

    @classmethod
    def recognises(cls, camera: str) -> bool:
        """Tell whether it is a camera's number, a video device or a stream's address."""
        return any(known.fullmatch(camera) for known in (_CAMERA, _DEVICE, _STREAM))

    def open(self) -> None:
        """Open the device or the stream."""
        cv2 = self._cv2
        if isinstance(self._target, str) and _STREAM.fullmatch(self._target):
            limits = [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS),
            ]
            capture = cv2.VideoCapture(self._target, cv2.CAP_FFMPEG, limits)
        else:
            linux = sys.platform.startswith("linux")
            capture = cv2.VideoCapture(self._target, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
            # Not all drivers obey; `next` empties the queue anyway.
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not capture.isOpened():
            capture.release()
            raise CameraGoneError("it can't be opened")
        self._capture, self._skipped = capture, 0

    def next(self, wanted: bool) -> Frame | None:
        """Take the next picture off the driver's queue, and decode it where it is wanted."""
        if not self._capture.grab():
            raise CameraGoneError("it gives no more pictures")
        if not wanted:
            self._skipped += 1
            return None
        good, picture = self._capture.retrieve()
        if not good or picture is None:
            raise CameraGoneError("its pictures can't be decoded")
        skipped, self._skipped = self._skipped, 0
        # OpenCV has blue first.
        return Frame(picture[:, :, ::-1], passed_over=skipped)

    def close(self) -> None:
        """Release the device or the stream."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
