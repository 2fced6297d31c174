"""The networks: encoders, decoders, and the files that hold their weights."""
