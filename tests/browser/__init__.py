"""The page in Chromium, end to end against `python app.py` with tiny checkpoints: a file for each purpose of the page.

`analysis/viewer.py` knows the page's elements; `conftest.py` starts browser and server once for all files, and lets no
test pass in which the page asked another host or an error stood in its console.
"""
