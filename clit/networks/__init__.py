"""The networks, encoders and decoders, and the files that hold their weights."""
