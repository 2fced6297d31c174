"""Readers of picture files, one a format; `formats` says which file is read by which."""
