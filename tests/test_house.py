"""What the project's files say of one another holds: requirements, example pictures, README."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
CREDITS = json.loads((EXAMPLES / "credits.json").read_text(encoding="utf-8"))


def test_requirements_are_those_of_the_page():
    tomllib = pytest.importorskip("tomllib", reason="part of Python 3.11 and newer")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {line for line in lines if line and not line.startswith("#")}
    assert required == {*project["dependencies"], *extras["page"], *extras["figures"]}


def test_every_example_has_its_credit():
    assert {path.name for path in EXAMPLES.glob("*.png")} == set(CREDITS)
    for credit in CREDITS.values():
        assert credit.keys() == {"title", "author", "licence", "source"}
        assert all(credit.values())


@pytest.mark.parametrize("name", CREDITS)
def test_examples_are_small_colour_pictures(name):
    with Image.open(EXAMPLES / name) as picture:
        assert picture.format == "PNG"
        assert picture.mode == "RGB"
        assert 96 <= max(picture.size) <= 200


def test_readme_has_a_line_for_every_file():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files = text.split("\n## Files\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \|", files, re.M)
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert {name for name in named if not (ROOT / name).exists()} == set()
    scripts = {*ROOT.glob("*.py"), *(ROOT / "analysis").glob("*.py"), *(ROOT / "clit").glob("*.py")}
    packages = {path.parent for path in (ROOT / "clit").glob("*/__init__.py")}
    found = {path.relative_to(ROOT).as_posix() for path in scripts | packages}
    assert found - {"clit/__init__.py"} <= named
