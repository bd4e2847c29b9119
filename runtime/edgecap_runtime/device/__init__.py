"""The machine that captions run on: how warm it is, what it is, how much memory was used."""
