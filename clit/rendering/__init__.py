"""From a network and a picture to pixels: tiles, cached features, attention of a pixel, plain interpolation."""
