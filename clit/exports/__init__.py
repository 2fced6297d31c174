"""What is made of renderings: comparison sheets, figures, films."""
