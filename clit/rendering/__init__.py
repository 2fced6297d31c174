"""From a model and a picture to pixels: tiles, cached features, what a pixel looked at."""
