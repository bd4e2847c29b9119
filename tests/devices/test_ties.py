"""What excuses the Pi from this machine's words excuses nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from ties import tell

from edgecap_runtime import Captioner

pytestmark = pytest.mark.native


@pytest.mark.parametrize("name", ["static-int8.onnx", "float32.tflite"])
def test_own_words_are_told_as_they_were_said(
    name: str, captioners: Path, photos: list[Path]
) -> None:
    with Captioner.load(captioners / name, threads=1) as captioner:
        said = [captioner.caption(photo, beam=1) for photo in photos]
    for photo, caption in zip(photos, said, strict=True):
        told = tell(captioners / name, photo, caption.ids)
        assert told.behind == 0
        assert told.log_probability == pytest.approx(caption.log_probability, abs=1e-3)
    # Another photograph's caption is no tie.
    told = tell(captioners / name, photos[0], said[1].ids)
    assert told.behind > 0.05
    assert told.log_probability < said[0].log_probability - 0.05
