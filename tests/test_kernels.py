"""Compiled kernels equal the plain definition, stay inside their arrays, and do no harm where they cannot be had."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decoders import Case, build, list_pixels, random_picture, views

from clit.config import CLITConfig, LIIFConfig, LTEConfig
from clit.geometry import Window
from clit.networks import compiling
from clit.networks.decoders import compiled

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = st.sampled_from([1, 3, 16, 17, 24, 48, 49, 72, 96, 100])
pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")


@pytest.fixture(autouse=True, scope="module")
def no_gradients():
    assert compiling.wait()
    with torch.no_grad():
        yield


@st.composite
def decoders(draw):
    """Configurations whose widths fill registers, panels and heads in all ways."""
    hidden = tuple(draw(st.lists(WIDTHS, min_size=1, max_size=3)))
    kind = draw(st.sampled_from(["liif", "lte", "clit", "clit"]))
    if kind == "liif":
        return LIIFConfig(hidden=hidden)
    if kind == "lte":
        return LTEConfig(width=2 * draw(WIDTHS), hidden=hidden)
    heads = draw(st.integers(1, 9))
    return CLITConfig(
        width=heads * draw(st.sampled_from([1, 4, 16, 18])), heads=heads, hidden=hidden,
        radius=draw(st.sampled_from([0, 1, 2, 3, 4, 8])), stages=draw(st.integers(1, 3)),
        octaves=draw(st.sampled_from([0.0, 10.0])), fourier=draw(st.sampled_from([0, 1, 20, 32])),
    )  # fmt: skip


def prepare(config, view: Case, batch: int = 2):
    model = build(config)
    features = model.encode(random_picture(*view.lr, batch=batch))
    return model, model.prepare(features, model.view(view.lr, view.size, view.window))


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal within 1e-5 of the range."""
    assert found.shape == expected.shape
    extent = (expected.max() - expected.min()).clamp(min=1)
    assert (found - expected).abs().max() <= 1e-5 * extent


@settings(max_examples=60, deadline=None)
@given(view=views(largest=40), config=decoders())
def test_compiled_equals_plain(view, config):
    model, field = prepare(config, view)
    plain = model.query(field, list_pixels(view.window)).unflatten(1, (view.window.height, view.window.width))
    assert compiled.applies(model.encode(random_picture(1, 1)).map)
    assert_close(model.render(field), plain)


@settings(max_examples=30, deadline=None)
@given(view=views(), config=decoders().filter(lambda config: config.heads))
def test_compiled_survey_is_that_of_torch(view, config):
    model, field = prepare(config, view)
    with compiling.switched_off():
        expected = model.decoder.survey(field)
    assert_close(model.decoder.survey(field), expected)


@pytest.mark.parametrize("scale", [25.0, 60.0])
def test_footprints_of_many_pixels(scale):
    size = round(2 * scale), round(3 * scale)
    view = Case((2, 3), size, Window(0, 0, *size))
    model, field = prepare(CLITConfig(width=6, heads=3, radius=2, hidden=(20, 7)), view)
    plain = model.query(field, list_pixels(view.window)).unflatten(1, size)
    assert_close(model.render(field), plain)


def test_views_of_some_rows_and_columns():
    model = build(CLITConfig(width=8, heads=2, radius=3, hidden=(20, 7), fourier=2))
    features, whole = model.encode(random_picture(9, 8)), model.view((9, 8), (22, 20))
    expected = model.render(model.prepare(features, whole))
    part = whole.with_pixels(whole.pixels.select(slice(1, None, 5), slice(0, None, 4)))
    assert_close(model.render(model.prepare(features, part)), expected[:, 1::5, ::4])


def test_weights_written_to_are_packed_anew():
    view = Case((2, 2), (6, 6), Window(0, 0, 6, 6))
    model, field = prepare(CLITConfig(width=8, heads=2, radius=1, hidden=(20, 7)), view)
    before = model.render(field)
    model.decoder.stages[0].mlp[0].weight.mul_(2)
    plain = model.query(field, list_pixels(view.window)).unflatten(1, (6, 6))
    assert (model.render(field) - before).abs().max() > 1e-3
    assert_close(model.render(field), plain)


def test_torch_does_what_the_kernels_do_not():
    x = torch.zeros(1)
    assert compiled.applies(x)
    assert not compiled.applies(x.double()) and not compiled.applies(x.half())
    assert not compiled.applies(torch.empty(1, device="meta"))
    with torch.enable_grad():
        assert not compiled.applies(x)
    with compiling.switched_off():
        assert not compiled.applies(x)


@pytest.mark.parametrize(
    "config",
    [
        CLITConfig(width=12, heads=3, radius=2, hidden=(20, 7), stages=2, fourier=3),
        CLITConfig(width=32, heads=2, radius=1, hidden=(5,)),
    ],
)
def test_gradients_of_one_pixel_per_latent_are_those_of_torch(config):
    torch.manual_seed(0)
    model, picture = build(config), random_picture(9, 8, batch=2)
    view = model.view((9, 8), (48, 43))
    view = view.with_pixels(view.pixels.select(slice(1, None, 6), slice(0, None, 6)))

    def train() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        rgb = model.render(model.prepare(model.encode(picture), view))
        (rgb * torch.linspace(-1, 1, rgb.numel()).view_as(rgb)).sum().backward()
        return rgb.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    with torch.enable_grad():
        rgb, found = train()
        with compiling.switched_off():
            expected_rgb, expected = train()
    assert_close(rgb, expected_rgb)
    assert compiled.fits(rgb)
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():  # some are zero but for rounding
        assert (found[name] - gradient).abs().max() <= 1e-4 * gradient.abs().max() + 1e-7 * largest


def run_guarded(cases: int, environment: dict[str, str]) -> int:
    command = [sys.executable, ROOT / "tests" / "guarded_kernels.py", str(cases)]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
def test_kernels_touch_nothing_outside_their_arrays():
    assert run_guarded(150, environment()) == 0


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="needs mprotect, and AVX2")
def test_narrower_vectors(tmp_path):
    from llvmlite import binding

    if not binding.get_host_cpu_features().get("avx2"):
        pytest.skip("the processor has no AVX2")
    narrow = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}
    assert run_guarded(40, environment(tmp_path) | narrow) == 0


# Loading them

RENDER = """
import torch
from clit.config import CLITConfig, EDSRConfig, ModelConfig
from clit.networks import compiling
from clit.networks.model import SRModel
ready = compiling.wait()
model = SRModel(ModelConfig(EDSRConfig(width=4, blocks=1), CLITConfig(width=4, heads=2, radius=1, hidden=(5,))))
with torch.inference_mode():
    field = model.prepare(model.encode(torch.rand(1, 3, 4, 5)), model.view((4, 5), (9, 10)))
    assert torch.isfinite(model.render(field)).all()
print(ready)
"""


def environment(cache: Path | None = None) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    own = {"XDG_CACHE_HOME": str(cache), "NUMBA_OPT": "0"} if cache else {}  # quick to compile, and never used again
    return {**os.environ, "PYTHONPATH": path, **own}


def start_rendering(cache: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", RENDER], env=environment(cache), stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> bool:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return output.strip() == "True"


@pytest.fixture
def fresh(monkeypatch):
    """A state as of a process that has just started."""
    monkeypatch.setattr(compiling, "_ready", threading.Event())
    monkeypatch.setattr(compiling, "_loader", None)


def test_two_that_start_at_once_and_one_whose_compiler_is_killed(tmp_path):
    killed = start_rendering(tmp_path / "killed")
    both = [start_rendering(tmp_path / "shared") for _ in range(2)]
    children = Path(f"/proc/{killed.pid}/task")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [int(pid) for task in children.glob("*/children") for pid in task.read_text().split()]
        if found:
            os.kill(found[0], 9)
            break
        time.sleep(0.05)
    assert not finish(killed)
    assert all(finish(process) for process in both)
    assert finish(start_rendering(tmp_path / "shared"))


def test_a_cache_that_is_damaged_is_thrown_away(tmp_path):
    shutil.copytree(compiling._make_folder(), folder := tmp_path / "clit" / "kernels" / compiling._make_folder().name)
    assert finish(start_rendering(tmp_path))
    for file in folder.rglob("*.nbc"):
        file.write_bytes(file.read_bytes()[:1000])
    assert not finish(start_rendering(tmp_path))
    assert not folder.exists()


def test_a_folder_that_refuses_is_replaced_for_as_long_as_the_process_lives(fresh, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError("read-only")

    known = compiling._make_folder()
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(compiling, "_compile", lambda folder: shutil.copytree(known, folder, dirs_exist_ok=True))
    assert compiling.wait()
    assert Path(compiling._temporary.name).is_dir() and Path(compiling._temporary.name) != known


def test_without_numba_torch_does_the_work(fresh, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not compiling.wait() and not compiling.are_ready()


def test_a_compiler_that_fails_leaves_the_work_to_torch(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiling, "_COMPILE", "raise SystemExit(1)")
    assert not compiling.wait()
    assert not list(tmp_path.rglob("compiled"))
