"""Files made from renderings: comparison sheets, figures, films."""
