"""How large the parts of a captioner's file may be; checked before anything is allocated.

Each limit is far above what edgecap exports, and low enough that no file takes the machine. The
JavaScript runtime has the same (runtime/web/src/limits.js), and docs/format.md lists them.
"""

from __future__ import annotations

__all__ = [
    "ENTRIES",
    "ENTRIES_BYTES",
    "ENTRY_BYTES",
    "ENTRY_NAME_BYTES",
    "FIELDS",
    "FILE_BYTES",
    "IMAGE_PIXELS",
    "IMAGE_SIDE",
    "JSON_BYTES",
    "JSON_DEPTH",
    "NUMBER_LENGTH",
    "PREFIX_LENGTH",
    "STATE_SIDES",
    "STATE_TENSORS",
    "STATE_VALUES",
    "TEXT_LENGTH",
    "VOCABULARY_WORDS",
    "WORD_LENGTH",
]

FILE_BYTES = 1 << 31
"""Bytes of a file: 2 GiB, which neither flatbuffers nor protobuf can exceed."""
ENTRIES = 1_000
"""Entries of a ZIP, or metadata records of an .onnx; edgecap writes 3 to 5."""
ENTRY_NAME_BYTES = 256
"""Bytes of an entry's name, or of a record's key."""
ENTRY_BYTES = 16 << 20
"""Bytes of one entry, unpacked; edgecap's largest have some 100 KB."""
ENTRIES_BYTES = 32 << 20
"""Bytes of all entries together, unpacked."""
FIELDS = 10_000
"""Top-level fields of an .onnx file's protobuf; edgecap writes about 10."""

JSON_BYTES = 2 << 20
"""Bytes of an entry in JSON; parsed, it takes up to 25 times as much memory."""
JSON_DEPTH = 64
"""Objects and lists inside each other in an entry; edgecap's are 6 deep."""
NUMBER_LENGTH = 40
"""Characters of a number; a float64 needs at most 24."""
TEXT_LENGTH = 1_000
"""Characters of a text that the reader uses, such as the captioner's name."""

VOCABULARY_WORDS = 1 << 18
"""Words of a vocabulary; the largest of language models' have as many."""
WORD_LENGTH = 256
"""Characters of a word."""
STATE_TENSORS = 64
"""Tensors of a decoder's state; an LSTM has 2 a layer."""
STATE_SIDES = 8
"""Sides of a state tensor's row."""
STATE_VALUES = 1 << 22
"""Values of a state tensor's row (16 MiB); the map that attention asks has 131,072."""
PREFIX_LENGTH = 10_000
"""Ids of a prefix; no caption has more than 1,000 words."""
IMAGE_SIDE = 8_192
"""Pixels of an encoder's input along one side."""
IMAGE_PIXELS = 1 << 24
"""Pixels of an encoder's input, 4096 x 4096; InceptionV3's has 89,401."""
