"""Trained captioners of Keras 2 and Keras 3 notebooks, brought in unchanged in what they say.

The way through: a container is read into a neutral graph (`containers`, `config`, `graph`), the
graph is recognised by its structure (`steps`, `recognise`, `masks`), and the parts fill a decoder
and an encoder of ours (`decoder`, `pixels`), with the words of a vocabulary file (`words`).
"""

from __future__ import annotations

from edgecap.importing.captioner import Imported, import_captioner
from edgecap.importing.options import ImportOptions

__all__ = ["ImportOptions", "Imported", "import_captioner"]
