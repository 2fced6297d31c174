"""Imports point one way, and `import clit` is quick."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import clit

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "clit"

# A folder (or a module beside them) knows only those before it.
ORDER = [
    "errors",
    "config",
    "scale_chain",
    "geometry",
    "system",
    "pictures",
    "networks",
    "rendering",
    "api",
    "exports",
    "training",
    "ui",
    "commands",
    "__main__",
]
LEVEL = {name: level for level, name in enumerate(ORDER)}
# What anything may import besides the standard library, and who alone may import the rest.
COMMON = {"torch", "numpy", "PIL"}
ALLOWED = {
    "gradio": {"ui"},
    "starlette": {"ui"},
    "uvicorn": {"ui"},
    "matplotlib": {"exports"},
    "accelerate": {"training"},
    "triton": {"training"},
    "typer": {"commands"},
    "rich": {"commands"},
    "filelock": {"exports", "ui"},
    "ray": {"system", "rendering", "exports"},
    "safetensors": {"networks"},
    "numba": {"networks"},
    "llvmlite": {"networks"},
    "huggingface_hub": {"networks"},
    "tifffile": {"pictures"},
    "imagecodecs": {"pictures"},
    "pillow_heif": {"pictures"},
    "cv2": {"pictures", "exports", "ui"},
}

FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")
OUTSIDE = sorted([ROOT / "app.py", *(ROOT / "analysis").glob("*.py"), *(ROOT / "assets").glob("*.py")])


def _home(path: Path) -> str:
    """The module or subpackage of clit that a file belongs to."""
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _module_of_clit(name: str) -> str:
    """The module that a dotted name stands for: public names of `clit` are looked up where they live."""
    _, *rest = name.split(".")
    if not rest:
        return "api"  # `import clit` opens all public names
    return rest[0] if rest[0] in LEVEL else clit._HOMES[rest[0]].split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    home = _home(path)
    for name in _imported(path):
        top = name.split(".")[0]
        if top == "clit":
            module = _module_of_clit(name)
            assert LEVEL[module] <= LEVEL[home], f"{home} imports {module}, which stands above it"
        elif top not in sys.stdlib_module_names | COMMON:
            assert home in ALLOWED.get(top, ()), f"{home} imports {top}"


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_page_knows_gradio(path):
    assert not [name for name in _imported(path) if name.split(".")[0] == "gradio"]


@pytest.mark.parametrize("folder", sorted(p.parent for p in PACKAGE.glob("*/__init__.py")), ids=lambda p: p.name)
def test_no_folder_imports_in_circles(folder):
    """The modules and folders inside a folder have an order too: what is imported when they are loaded."""
    known: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        part = path.relative_to(folder).parts[0].removesuffix(".py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module.startswith(f"clit.{folder.name}."):
                known.setdefault(part, set()).add(node.module.split(".")[2])
    graph = {part: others - {part} for part, others in known.items()}
    assert list(TopologicalSorter(graph).static_order()) or not graph


def test_every_module_has_a_place():
    assert {_home(path) for path in FILES} == set(LEVEL)


def test_importing_the_package_is_quick():
    heavy = "torch", "gradio", "matplotlib", "typer", "cv2", "ray"
    code = f"import sys, clit; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "[]"
