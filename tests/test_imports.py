"""Imports point one way, and `import clit` is quick."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "clit"

# Lower layers know nothing of higher ones; modules of one layer may know each other.
LAYERS = [
    ["errors", "runtime"],
    ["geometry", "config", "images", "degrade", "metrics"],
    ["layers", "baselines"],
    ["encoders", "decoders"],
    ["model"],
    ["checkpoints", "official", "attention"],
    ["render", "data", "figures"],
    ["api", "train", "evaluate"],
    ["ui", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Who may import what else from outside the standard library, torch, numpy and PIL.
ALLOWED = {
    "gradio": {"ui"},
    "matplotlib": {"figures"},
    "typer": {"__main__"},
    "rich": {"__main__"},
    "safetensors": {"checkpoints"},
    "huggingface_hub": {"checkpoints"},
    "cv2": {"images", "figures", "ui"},
}


def _home(path: Path) -> str:
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    home = _home(path)
    for name in _imported(path):
        top, *rest = name.split(".")
        if top == "clit" and rest and rest[0] in LEVEL:
            assert LEVEL[rest[0]] <= LEVEL[home], f"{home} imports {rest[0]}, which stands above it"
        assert top not in ("analysis", "app", "tests"), f"{home} imports {top}"
        assert home in ALLOWED.get(top, {home}), f"{home} imports {top}"


def test_every_module_has_a_place():
    assert {_home(path) for path in FILES} <= set(LEVEL)


def test_importing_the_package_is_quick():
    heavy = "torch", "gradio", "matplotlib", "typer", "cv2"
    code = f"import sys, clit; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "[]"
