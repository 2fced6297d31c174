"""Training models, and scoring them on folders of pictures."""
