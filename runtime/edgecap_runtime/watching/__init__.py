"""Captions what a camera sees, or what falls into a folder, as long as it is wanted.

sources/     where pictures come from, one file each
pump.py      fetches them in a thread of its own and lets old ones go
loop.py      captions the newest
change.py    tells whether the picture has changed
lines.py     writes captions, whatever the disk says
stopping.py  SIGTERM and SIGINT
command.py   `edgecap-runtime watch`
"""
