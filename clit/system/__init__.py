"""The machine: its cores and memory, and files that are written whole."""
