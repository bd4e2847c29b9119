"""The photographs whose small pictures a file carries to check itself by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecap.box import sample_photos
from edgecap_runtime.errors import OptionError
from edgecap_runtime.photos import photographs_in

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAKEN = 4


def usual_check_photos() -> tuple[Path, ...]:
    """The first four of the samples in the box; none in an installation without samples."""
    photos = tuple(sample_photos()[:_TAKEN])
    return photos if len(photos) == _TAKEN else ()


def check_photos_in(folder: Path, used: Sequence[Path]) -> tuple[Path, ...]:
    """Take the first four photographs of a folder, by name, that are used for nothing else.

    Args:
        folder: the photographs.
        used: those that the file is proven or calibrated on; copies of them are passed over.

    Raises:
        ImageError: the folder holds no photograph.
        OptionError: fewer than four are left.
    """
    from edgecap_export.copies import copies_of

    paths = [Path(path) for path in photographs_in(str(folder))]
    taken = copies_of(used, paths)
    left = [path for path in paths if path not in taken]
    if len(left) < _TAKEN:
        why = f", {len(taken)} more are calibrated or proven on" if taken else ""
        raise OptionError(
            f"--check-photos {str(folder)!r} has {len(left)} photographs to take{why}; give a "
            f"folder with {_TAKEN} or more that are neither in --calibrate, --photos nor --data"
        )
    return tuple(left[:_TAKEN])


def visible(photos: Sequence[Path]) -> str:
    """Warn that whoever gets the file can see these."""
    names = ", ".join(path.name for path in photos)
    return f"whoever gets the file can see small pictures of {names}, by which it checks itself"
