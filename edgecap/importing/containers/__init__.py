"""The files and folders that Keras saves models in, each told by what it holds.

A new container is one module here that calls `CONTAINERS.register`, and one line at the end of
this file that imports it.
"""

from __future__ import annotations

from edgecap.importing.containers.registry import CONTAINERS, Container, find_container

__all__ = ["CONTAINERS", "Container", "find_container"]

from edgecap.importing.containers import hdf5 as _hdf5  # noqa: F401  (registers itself)
from edgecap.importing.containers import keras_zip as _keras_zip  # noqa: F401
from edgecap.importing.containers import saved_model as _saved_model  # noqa: F401
