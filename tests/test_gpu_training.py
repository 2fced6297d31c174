"""Training on a GPU: its colours are those of the plain definition, its samples those of the curriculum."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_runs import TINY, add_presets, save_photographs

from clit import UserError, config
from clit.config import EDSRConfig, Recipe, recipe
from clit.geometry import Lattice, View
from clit.networks import checkpoints
from clit.networks.model import SRModel
from clit.training.gpu import run as run_module
from clit.training.gpu import samples
from clit.training.gpu.decoders import predict
from clit.training.gpu.run import Run, Settings, read_state
from clit.training.gpu.samples import Kind, Samples
from clit.training.gpu.train import train
from clit.training.gpu.weighing import weigh, weigh_plain


def _photographs(count: int = 3, side: int = 260) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (side, side + 9 * n, 3), dtype=np.uint8) for n in range(count)]


def _factors(size: int, grids: list[int]) -> tuple[tuple[float, float], ...]:
    """Return stage factors that make these grids, and an output of this size."""
    sides = [*grids, size]
    return tuple((b / a, b / a) for a, b in zip(sides, sides[1:], strict=False))


ONE_STAGE = [Kind(1, 1, 3, 12, 12), Kind(2, 1, 2, 9, 16)]
CASCADE = [*ONE_STAGE, Kind(2, 2, 3, 9, 14), Kind(3, 3, 2, 6, 16), Kind(3, 3, 2, 6, 16, equal=True)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in ("lit-light", "lit-light-plain", "liif-light", "lte-light") for kind in ONE_STAGE),
        *(("clit-light", kind) for kind in CASCADE),
    ],
)
def test_colours_are_those_of_the_plain_definition(name: str, kind: Kind) -> None:
    torch.manual_seed(3)
    model = SRModel(replace(recipe(name).config, encoder=EDSRConfig(width=8, blocks=1))).eval()
    sample = Samples(_photographs(), [[kind]], seed=5)[0][kind]
    lr = sample["lr"].permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        features = model.encode(lr)
        found = predict(model.decoder, features.map, sample)
        for b in range(kind.crops):
            size, *grids = sample["sizes"][:, b].tolist()
            rows, columns = sample["pixels"][:, b].long()
            view = View((kind.patch,) * 2, (size,) * 2, Lattice(rows.unique(), columns.unique()), _factors(size, grids))
            assert [g for g, _ in view.grids()] == grids
            one = model.encode(lr[b : b + 1])
            field = model.decoder.prepare(one, view)
            positions = torch.cartesian_prod(rows, columns)
            plain = model.decoder.query(field, positions)
            assert (found[-1][b].flatten(0, 1) - plain[0]).abs().max() < 2e-5
            if kind.stages > 1:
                assert len(found) == kind.stages
                earlier = model.decoder.query(replace(field, stages=field.stages[:-1]), positions)
                assert (found[-2][b].flatten(0, 1) - earlier[0]).abs().max() < 2e-5


def test_a_sample_is_the_same_whoever_draws_it_and_is_cut_out_of_one_photograph() -> None:
    kind = Kind(3, 3, 4, 6, 16)
    photographs = _photographs()
    first, second = (Samples(photographs, [[Kind(1, 1, 2, 8, 8)], [kind]], seed=2)[7][kind] for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert {name: (tuple(t.shape), t.dtype) for name, t in first.items()} == {
        "lr": ((4, 6, 6, 3), torch.uint8), "target": ((4, 16, 16, 3), torch.uint8),
        "pixels": ((2, 4, 16), torch.int32), "sizes": ((4, 4), torch.int32),
    }  # fmt: skip
    sides = first["sizes"]
    assert (sides[1] == 6).all() and (sides[0] >= sides[3]).all() and (sides[3] >= sides[2]).all()
    assert (first["pixels"].diff(dim=-1) >= 0).all() and (first["pixels"] < sides[0][:, None]).all()


def test_equal_factors_make_grids_of_one_ratio() -> None:
    sample = Samples(_photographs(), [[Kind(3, 3, 5, 6, 16, equal=True)]], seed=4)[0]
    for size, first, second, third in next(iter(sample.values()))["sizes"].T.tolist():
        ratio = (size / first) ** (1 / 3)
        assert abs(second - ratio * first) < 1 and abs(third - ratio**2 * first) < 1


def test_small_photographs_are_refused() -> None:
    with pytest.raises(UserError, match="No photograph has 16 pixels a side"):
        Samples([np.zeros((40, 9, 3), np.uint8)], [[Kind(1, 1, 2, 8, 8)]], seed=0)


@pytest.fixture
def small(monkeypatch) -> dict:
    """Tiny presets, and samples of few pixels."""
    add_presets(monkeypatch)
    monkeypatch.setattr(samples, "_SHAPES", {1: (2, 8, 8), 2: (2, 6, 8), 3: (2, 5, 8)})
    return dict(encoder=SRModel(TINY["tiny-liif"]), encoder_name="mine", report=[].append)


def test_a_run_in_pieces_goes_on_where_it_stopped(small, tmp_path, monkeypatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    folder = save_photographs(tmp_path / "photographs")
    start = tmp_path / "start"
    checkpoints.save(SRModel(TINY["tiny-clit"]), start / "tiny-clit")
    settings, lines = Settings(0.2, workers=0), []  # 12 seconds, of which a step takes one
    options = small | dict(start=start, held_out={"0.png"}, credits="## Thanks\n", report=lines.append)
    train(list(TINY), [folder], tmp_path / "run", settings, piece=0.1, **options)
    assert not (tmp_path / "run/tiny-clit").exists()
    encoder = small["encoder"].encoder.state_dict()
    first = Run(list(TINY), settings, encoder, state=read_state(tmp_path / "run"))
    assert (first.step, first.progress) == (6, 0.5)
    states = [each for part in first.parts.values() for each in part.optimizer.state.values()]
    assert max(float(each["step"]) for each in states) == 6 and any(each["exp_avg"].abs().max() > 0 for each in states)
    (tmp_path / "run/state-00000009.00-of-02").write_bytes(b"half of a state")  # of a run that was stopped meanwhile
    train(list(TINY), [folder], tmp_path / "run", settings, piece=1, **(options | dict(start=None)))
    last = Run(list(TINY), settings, encoder, state=read_state(tmp_path / "run"))
    assert (last.step, last.progress) == (12, 1)
    assert [path.name for path in sorted((tmp_path / "run").glob("state-*"))] == ["state-00000012.00-of-01"]
    for name in TINY:
        before, after = (run.parts[name].decoder.state_dict() for run in (first, last))
        moved = max((after[key] - before[key]).abs().max().item() for key in before)
        assert 0 < moved < 6 * 2 * settings.rate, "six more steps, from where the first six ended"
        made = checkpoints.load(tmp_path / "run" / name)
        for key, value in made.encoder.state_dict().items():
            assert torch.equal(value, encoder[key].half().float())
        for key, value in made.decoder.state_dict().items():
            assert torch.equal(value, last.averaged()[name][key].half().float())
        card = (tmp_path / "run" / name / "README.md").read_text()
        assert f"| steps | {last.step}, of 2 crops of 8x8" in card and card.endswith("## Thanks\n")
        assert ("decoder from tiny-clit" in card) == (name == "tiny-clit")
    with pytest.raises(UserError, match="This run trains tiny-liif, tiny-clit: choose another --out"):
        Run(["tiny-liif"], settings, encoder, state=read_state(tmp_path / "run"))
    other = SRModel(TINY["tiny-liif"]).encoder.state_dict()
    with pytest.raises(UserError, match="This run has another encoder"):
        Run(list(TINY), settings, other, state=read_state(tmp_path / "run"))


def test_a_cascade_starts_from_the_model_of_one_stage(small, tmp_path, monkeypatch) -> None:
    single = replace(TINY["tiny-clit"], decoder=replace(TINY["tiny-clit"].decoder, stages=1))
    monkeypatch.setitem(config.PRESETS, "clit-tiny", TINY["tiny-clit"])
    model = SRModel(single)
    checkpoints.save(model, tmp_path / "lit-tiny")
    encoder = small["encoder"].encoder.state_dict()
    stages = Run(["clit-tiny"], Settings(1), encoder, tmp_path).parts["clit-tiny"].decoder.stages
    assert torch.equal(stages[0].key_conv.weight, model.decoder.stages[0].key_conv.weight)
    assert torch.equal(stages[2].key_conv.weight, stages[0].key_conv.weight)
    with pytest.raises(UserError, match="clit-tiny needs weights to start from"):
        Run(["clit-tiny"], Settings(1), encoder)
    with pytest.raises(UserError, match="nowhere has no checkpoint of tiny-liif to start from"):
        Run(["tiny-liif"], Settings(1), encoder, tmp_path / "nowhere")
    with pytest.raises(UserError, match="lit-light-no-bias leaves out a part of its decoder"):
        Run(["lit-light-no-bias"], Settings(1), encoder)


def test_trials_change_what_they_say(small, tmp_path, monkeypatch) -> None:
    cascade = TINY["tiny-clit"]
    single = SRModel(replace(cascade, decoder=replace(cascade.decoder, stages=1)))
    monkeypatch.setitem(config.PRESETS, "lit-tiny", single.config)
    monkeypatch.setitem(config.PRESETS, "clit-tiny", cascade)
    monkeypatch.setitem(config.ABLATIONS, "lit-x32", Recipe(single.config, factors=3))
    changes = dict(last=dict(), fresh=dict(copied=False), third=dict(turns=(1, 2, 3, 3)), equal=dict(equal=True))
    for name, change in changes.items():
        monkeypatch.setitem(config.TRIALS, name, Recipe(cascade, **change))
    checkpoints.save(single, tmp_path / "lit-tiny")
    names = ["clit-tiny", "lit-x32", *changes]
    run = Run(names, Settings(0.1, workers=0), small["encoder"].encoder.state_dict(), tmp_path)
    assert [part.started for part in run.parts.values()] == ["lit-tiny"] * 6
    copies = {
        n: torch.equal(*(s.key_conv.weight for s in p.decoder.stages[:2]))
        for n, p in run.parts.items()
        if n != "lit-x32"
    }
    assert copies == dict.fromkeys(copies, True) | {"fresh": False}
    factors = {n: [p.kind(t).factors for t in range(4)] for n, p in run.parts.items()}
    assert factors == dict.fromkeys(names, [1, 2, 3, 1]) | {"third": [1, 2, 3, 3]}
    assert [n for n, p in run.parts.items() if p.kind(2).equal] == ["equal"]
    seconds = itertools.count()
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    run.train(_photographs(), 60, lambda share: None, lambda line: None)
    two = [run.parts[n].decoder.state_dict() for n in ("clit-tiny", "last")]
    assert not torch.equal(*(d["stages.0.key_conv.weight"] for d in two)), "another loss, other steps"
    for name, part in run.parts.items():
        assert (part.decoder.embed.weight != single.decoder.embed.weight).any(), name


@pytest.mark.parametrize("wrong", [dict(minutes=0), dict(minutes=float("nan")), dict(rate=-1), dict(workers=-1)])
def test_wrong_settings_are_named(small, tmp_path, wrong) -> None:
    settings = Settings(**(dict(minutes=1) | wrong))
    with pytest.raises(UserError, match="must be more than 0"):
        train(["tiny-liif"], [tmp_path], tmp_path, settings, piece=1, **small)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernels need a GPU")
@pytest.mark.parametrize(("heads", "width", "side"), [(4, 16, 7), (8, 32, 7), (4, 16, 3)])
def test_kernels_equal_the_plain_definition(heads: int, width: int, side: int) -> None:
    batch, rows = 3, 9
    shapes = [(batch, rows, rows, heads, width), *[(batch, rows + side - 1, rows + side - 1, heads, width)] * 2]
    shapes += [(batch, rows, side, heads)] * 2
    leaves = [torch.randn(shape, device="cuda", requires_grad=True) for shape in shapes]
    first = torch.randint(0, rows, (2, batch, rows), device="cuda", dtype=torch.int32)
    outward = torch.randn(batch * rows * rows, side**2 * heads * width, device="cuda").bfloat16()
    found = []
    for function in (weigh, weigh_plain):
        out = function(*leaves[:3], first, *leaves[3:])
        found.append([out, *torch.autograd.grad(out, leaves, outward.to(out.dtype))])
    for fast, plain in zip(*found, strict=True):
        assert (fast - plain).norm() < (3e-3 if fast is found[0][0] else 1e-5) * plain.norm()
