"""Writers of picture files that are made in bands, from top to bottom, however large."""
