"""The commands of `python -m clit`. Each imports what it needs when it runs, so that --help answers at once."""
