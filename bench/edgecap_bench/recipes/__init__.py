"""Every recipe in every format for given captioners: what it costs in words, bytes and time."""
