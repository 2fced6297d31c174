"""The machine: cores, memory, process settings, and files written atomically."""
