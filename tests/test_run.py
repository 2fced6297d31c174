"""A step of training: samples, gradients, precision, several processes."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import SETTINGS, TINY, add_presets, make_run, save_photographs

from clit.config import ABLATIONS, PRESETS, Recipe, recipe
from clit.geometry import View, Window
from clit.networks.model import SRModel
from clit.training.curriculum import STAGE_FACTORS
from clit.training.photographs import Photographs, find_photographs
from clit.training.run import Run, l1_loss
from clit.training.samples import Sample, draw_pixels


@pytest.fixture(autouse=True)
def tiny_presets(monkeypatch):
    add_presets(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_photographs(tmp_path / "photographs")


def test_a_model_of_fewer_stages_can_see_the_same_scales(folder, monkeypatch):
    lit = replace(TINY["tiny-clit"], decoder=replace(TINY["tiny-clit"].decoder, stages=1))
    monkeypatch.setitem(ABLATIONS, "tiny-lit-x32", Recipe(lit, factors=3))
    run, drawn = make_run(["tiny-lit-x32", "tiny-clit"]), []
    monkeypatch.setattr(run, "draw", lambda *args: drawn.append(Run.draw(run, *args)) or drawn[-1])
    photographs = Photographs(find_photographs([folder]))
    for step in range(5, 8):  # the last phase of the curriculum: 3, 1, 2 factors
        run.step = step
        run.train_step(photographs)
    assert [len(sample.factors) for sample in drawn] == [1, 3, 1, 1, 2], "at one factor, one sample"
    assert drawn[0].factors[0] <= np.prod([high for _, high in STAGE_FACTORS])


def test_without_cumulative_training_all_stages_learn_from_the_first_step(folder, monkeypatch):
    monkeypatch.setitem(ABLATIONS, "tiny-at-once", Recipe(TINY["tiny-clit"], cumulative=False))
    run = make_run(["tiny-at-once"])
    before = [p.clone() for p in run.network["tiny-at-once"].stages[2].parameters()]
    photographs = Photographs(find_photographs([folder]))
    for _ in range(3):
        run.train_step(photographs)
    after = run.network["tiny-at-once"].stages[2].parameters()
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("every_stage", [True, False])
def test_a_cascade_learns_from_what_every_stage_predicts(every_stage, folder, monkeypatch):
    monkeypatch.setitem(ABLATIONS, "tiny-stages", Recipe(TINY["tiny-clit"], every_stage=every_stage))
    run = make_run(["tiny-stages"], replace(SETTINGS, freeze_encoder=True))
    sample = run.draw(Photographs(find_photographs([folder])), 3)
    losses = run.backward(sample, ["tiny-stages"])
    decoder = run.network["tiny-stages"]
    found = {n: p.grad.clone() for n, p in decoder.named_parameters() if p.grad is not None}
    model, size = run.models["tiny-stages"], tuple(sample.batch.hr.shape[-2:])
    features, each = model.encode(sample.batch.lr), []
    positions = torch.cartesian_prod(sample.pixels.rows, sample.pixels.columns)
    for count in (1, 2, 3):
        view = View(features.size, size, sample.pixels, tuple((factor, factor) for factor in sample.factors[:count]))
        colours = model.query(model.prepare(features, view), positions)
        each.append(l1_loss(colours, sample.target().flatten(1, 2)))
    decoder.zero_grad()
    (sum(each) / 3 if every_stage else each[2]).backward()
    assert losses["tiny-stages"] == pytest.approx(each[2].item())
    wanted = {n: p.grad for n, p in decoder.named_parameters() if p.grad is not None}
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[n], wanted[n], rtol=1e-3, atol=1e-6) for n in wanted)


def test_presets_have_a_loss_on_every_stage_and_ablations_as_published():
    assert recipe("clit-base").every_stage and recipe("clit-light").every_stage
    assert not recipe("clit-light-cumulative").every_stage and not recipe("clit-light-last").every_stage


@pytest.mark.parametrize("name", ["tiny-clit", "tiny-liif"])
def test_a_start_without_fourier_branch_answers_as_before(name, monkeypatch):
    earlier = SRModel(TINY[name]).eval()
    later = TINY[name] if name == "tiny-liif" else replace(TINY[name], decoder=replace(TINY[name].decoder, fourier=5))
    monkeypatch.setitem(PRESETS, name, later)
    run, picture = make_run([name], start={name: earlier}), torch.rand(1, 3, 7, 6)
    assert run.models[name].config == later
    for size in ((16, 13), (70, 60)):
        models = earlier, run.models[name]
        expected, found = (m.render(m.prepare(m.encode(picture), m.view((7, 6), size))) for m in models)
        assert (found - expected).abs().max() < 1e-6
    if name == "tiny-clit":
        for stage in run.network[name].stages:
            assert stage.fourier_conv.weight.any() and not stage.mlp[0].weight[:, -10:].any()


def test_without_positional_bias_it_stays_zero(folder, monkeypatch):
    monkeypatch.setitem(ABLATIONS, "tiny-no-bias", Recipe(TINY["tiny-clit"], positional_bias=False))
    run, photographs = make_run(["tiny-no-bias"]), Photographs(find_photographs([folder]))
    run.train_step(photographs)
    assert not any(p.any() for p in run.network["tiny-no-bias"].bias.parameters())


@pytest.mark.parametrize(("factors", "side"), [([1.0], 8), ([3.0], 24), ([2.5, 3.2], 64)])
def test_mixed_precision_changes_gradients_little(folder, monkeypatch, factors, side):
    """Both orders of the decoder, one pixel per latent and several."""
    run = make_run(list(TINY))
    batch = Photographs(find_photographs([folder])).batch(np.random.default_rng(1), 2, 8, side / 8)
    for pixels in (draw_pixels(run.random, batch, factors, SETTINGS.latents), Window(0, 0, side, side).lattice()):
        sample, found = Sample(batch, factors, pixels), {}
        for mode in ("no", "bf16"):
            mixed = torch.autocast("cpu", torch.bfloat16, enabled=mode == "bf16")
            monkeypatch.setattr(run.accelerator, "autocast", lambda mixed=mixed: mixed)
            run.network.zero_grad()
            losses = run.backward(sample, list(TINY) if len(factors) == 1 else ["tiny-clit"])
            gradients = [p.grad.flatten() for p in run.network.parameters() if p.grad is not None]
            found[mode] = losses, torch.cat(gradients)
        (losses, exact), (mixed_losses, rounded) = found["no"], found["bf16"]
        assert not torch.equal(exact, rounded)
        assert mixed_losses == pytest.approx(losses, rel=0.02)
        assert torch.cosine_similarity(exact, rounded, 0) > 0.9


def test_accumulated_batches_are_one_larger_step(folder):
    photographs, means = Photographs(find_photographs([folder])), []
    for accumulate in (1, 3):
        run = make_run(["tiny-liif"], replace(SETTINGS, accumulate=accumulate))
        samples = [run.draw(photographs, 1) for _ in range(3)]
        total = sum(run.backward(sample, ["tiny-liif"])["tiny-liif"] for sample in samples)
        means.append((total, {n: p.grad for n, p in run.network.named_parameters()}))
    (a, once), (b, thirds) = means
    assert a == pytest.approx(b)
    assert all(g is None or torch.allclose(g, 3 * thirds[n], atol=1e-6) for n, g in once.items())


def test_the_shared_encoder_learns_from_all_decoders(folder):
    photographs, names = Photographs(find_photographs([folder])), ["tiny-liif", "tiny-clit"]
    run = make_run(names)
    sample = run.draw(photographs, 1)

    def encoder_gradients(of: list[str]):
        run.optimizer.zero_grad()
        run.backward(sample, of)
        return [p.grad.clone() for p in run.encoder.parameters()]

    together, *alone = encoder_gradients(names), *(encoder_gradients([name]) for name in names)
    for both, first, second in zip(together, *alone, strict=True):
        assert torch.allclose(both, first + second, atol=1e-6) and first.abs().max() > 0


GRADIENTS = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = [{tests!r}, str(Path({tests!r}).parent)]
import torch
from clit.config import PRESETS
from clit.training.photographs import Batch, Photographs, find_photographs
from clit.training.processes import average_gradients, gather, share_from_main
from clit.training.samples import Sample
from tiny_runs import SETTINGS, TINY, make_run
PRESETS.update(TINY)
run = make_run(list(TINY), replace(SETTINGS, batch=4))
accelerator = run.accelerator
run.random = __import__("numpy").random.default_rng(5)  # the same samples in all processes
photographs = Photographs(find_photographs([Path({folder!r})]))
for stages, names in ((1, list(TINY)), (3, ["tiny-clit"])):
    sample = run.draw(photographs, stages)
    mine = slice(accelerator.process_index, None, accelerator.num_processes)
    run.backward(Sample(Batch(sample.batch.lr[mine], sample.batch.hr[mine]), sample.factors, sample.pixels), names)
average_gradients(accelerator, run.network)
if accelerator.is_main_process:
    torch.save({{n: p.grad for n, p in run.network.named_parameters()}}, {out!r} + f"/{{accelerator.num_processes}}.pt")
mine = accelerator.process_index
assert gather([mine]) == [[i] for i in range(accelerator.num_processes)]
assert share_from_main([mine + 1 / 3, mine]) == [1 / 3, 0]
accelerator.wait_for_everyone()
"""


@pytest.mark.slow
def test_two_processes_get_the_gradients_of_one(folder, tmp_path):
    (tmp_path / "gradients.py").write_text(
        GRADIENTS.format(tests=str(Path(__file__).parent), folder=str(folder), out=str(tmp_path))
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--master_addr=127.0.0.1", "--master_port=29517"]
    for count in (1, 2):
        subprocess.run([*launch, f"--nproc_per_node={count}", str(tmp_path / "gradients.py")], check=True, timeout=120)
    one, two = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (1, 2))
    assert one.keys() == two.keys() and sum(g is not None for g in one.values()) > 20
    for name, expected in one.items():
        assert (expected is None) == (two[name] is None), name
        if expected is not None:
            assert (two[name] - expected).abs().max() <= 1e-5 * max(1, expected.abs().max()), name
