"""What the project's files say of one another holds: requirements, example pictures, README, docs."""

import ast
import json
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from PIL import Image

from clit.config import PLAIN, PRESETS

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
CREDITS = json.loads((EXAMPLES / "credits.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
SIZE = re.compile(r"\{([^{}]*)\} ?(?:x|×|by) ?\$?\{([^{}]*)\}")  # as f-strings and JavaScript's templates tell it
PAGES = [ROOT / "README.md", ROOT / "analysis" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _requirements(lines) -> dict[str, Requirement]:
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


@pytest.fixture(scope="module")
def hosted() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return _requirements(line for line in lines if line and not line.startswith("#"))


def test_requirements_are_those_of_the_page(hosted):
    tomllib = pytest.importorskip("tomllib", reason="part of Python 3.11 and newer")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = _requirements([*project["dependencies"], *extras["page"], *extras["figures"]])
    assert hosted | {"torch": None} == needed | {"torch": None}
    torch, allowed = hosted["torch"].specifier, needed["torch"].specifier
    releases = [f"2.{minor}.0" for minor in range(30)]
    assert [r for r in releases if r in torch] == ["2.8.0", "2.9.0", "2.10.0", "2.11.0"]  # what ZeroGPU offers
    assert all(release in allowed for release in releases if release in torch)


def test_the_header_is_one_that_spaces_knows(hosted):
    header = yaml.safe_load(README.split("---\n")[1])
    assert header["sdk"] == "gradio" and header["sdk_version"] in hosted["gradio"].specifier
    assert (ROOT / header["app_file"]).is_file()
    assert header["suggested_hardware"] == "cpu-basic"
    assert 0 < len(header["short_description"]) <= 60
    assert header["tags"] and all(re.fullmatch(r"[a-z-]+", tag) for tag in header["tags"])


def test_every_example_has_its_credit():
    assert {path.name for path in EXAMPLES.glob("*.png")} == set(CREDITS)
    for credit in CREDITS.values():
        assert credit.keys() == {"title", "author", "licence", "source", "place"}
        assert all(credit.values())


@pytest.mark.parametrize("name", CREDITS)
def test_examples_are_small_colour_pictures(name):
    with Image.open(EXAMPLES / name) as picture:
        assert picture.format == "PNG"
        assert picture.mode == "RGB"
        assert 96 <= max(picture.size) <= 200


@pytest.mark.parametrize("name", CREDITS)
def test_every_example_has_an_original_and_a_place_inside_it(name):
    place = CREDITS[name]["place"]
    with Image.open(EXAMPLES / name) as small, Image.open(EXAMPLES / "originals" / name) as original:
        assert small.size == tuple(round(side * max(small.size) / max(original.size)) for side in original.size)
        assert min(original.size) >= 270 and original.mode == "RGB"
        assert 0 <= place["row"] < small.height and 0 <= place["column"] < small.width and 1 <= place["scale"] <= 30
    assert len(place["methods"]) == len({*place["methods"]}) and {*place["methods"]} <= {*PLAIN, *PRESETS}


def test_no_large_file_is_tracked():
    """Pictures that a test or a trial leaves behind, above all: history keeps them for good."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("not a git checkout")
    sizes = {name: (ROOT / name).stat().st_size for name in found.stdout.split("\0") if name and (ROOT / name).exists()}
    assert not {name: size for name, size in sizes.items() if size > 16e6}
    assert sum(sizes.values()) < 120e6


def test_files_and_functions_are_short():
    files = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "clit").rglob("*.py")}
    assert len(files) > 100
    assert not [name for name, text in files.items() if len(text.splitlines()) > 420]
    functions = [
        (name, node.name, node.end_lineno - node.lineno + 1)
        for name, text in files.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert not [each for each in functions if each[-1] > 60]


def test_readme_is_short():
    assert len(README.encode()) <= 10_240


def test_readme_has_a_line_for_every_folder():
    tree = README.split("\n## Folders\n")[1].split("```")[1]
    named = {("clit/" if indent else "") + name for indent, name in re.findall(r"^( *)(\w+)/ +\w", tree, re.M)}
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    folders = {
        path.relative_to(ROOT).as_posix()
        for path in (*ROOT.iterdir(), *(ROOT / "clit").iterdir())
        if path.is_dir() and not path.name.startswith(".") and not any(fnmatch(path.name, each) for each in ignored)
    }
    assert named == folders


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        found = page.parent / name if name else page
        assert found.is_file(), f"{page.name} links to {target}"
        if heading:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.M)
            assert heading in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target


@pytest.mark.parametrize("folder", ["clit", "analysis", "assets", "docs"])
def test_sizes_that_people_read_are_width_first(folder):
    """In sentences and on figures; numbers for programs are (rows, columns), as arrays are."""
    files = [path for ending in ("py", "js", "html", "md") for path in (ROOT / folder).rglob(f"*.{ending}")]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in [*files, ROOT / "README.md"]}
    pairs = [(name, *pair) for name, text in texts.items() for pair in SIZE.findall(text)]
    assert len(pairs) >= (10 if folder == "clit" else 0), "sizes are written otherwise now"
    heights, widths = re.compile(r"height|\[0\]|rows"), re.compile(r"width|\[1\]|columns")
    assert not [each for each in pairs if heights.search(each[1]) or widths.search(each[2])]
    assert not {name for name, text in texts.items() if re.search(r"(height|rows) (x|×|by) (width|columns)", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_paths_of_one_machine(page):
    assert not re.search(r"(?<![\w/])/(home|root|work|tmp|Users|mnt)/", page.read_text(encoding="utf-8"))


def test_every_page_of_docs_is_linked():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert not [page.name for page in PAGES[1:] if f"{page.name})" not in text]
