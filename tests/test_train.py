"""Training: photographs, curriculum, exact resumption, held-out photographs, what is written."""

import csv
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clit import UserError
from clit.config import ABLATIONS, PRESETS, CLITConfig, EDSRConfig, LIIFConfig, ModelConfig, Recipe
from clit.geometry import Window
from clit.networks import checkpoints
from clit.training.photographs import SHORT_SIDE, Photographs, find_images, read_photograph
from clit.training.run import STAGE_FACTORS, Run, Sample, Settings, split, stages_at, train

ENCODER = EDSRConfig(width=8, blocks=1)
TINY = {
    "tiny-liif": ModelConfig(ENCODER, LIIFConfig(hidden=(8,))),
    "tiny-clit": ModelConfig(ENCODER, CLITConfig(width=8, heads=2, radius=1, hidden=(8,), stages=3)),
}
SETTINGS = Settings(steps=6, batch=2, patch=6, latents=5, test_every=3, save_every=0.0)


@pytest.fixture(autouse=True)
def tiny_presets(monkeypatch):
    for name, config in TINY.items():
        monkeypatch.setitem(PRESETS, name, config)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(4):
        soft = random.integers(0, 255, (25, 30, 3), dtype=np.uint8)
        Image.fromarray(soft).resize((300, 250), Image.BICUBIC).save(folder / f"{i}.png")
    return folder


def test_batches_are_crops_and_their_antialiased_reductions(folder):
    photographs = Photographs(find_images([folder]))
    batch = photographs.batch(np.random.default_rng(1), 3, 10, 3.37)
    assert batch.lr.shape == (3, 3, 10, 10) and batch.hr.shape == (3, 3, 34, 34)
    for lr, hr in zip(batch.lr, batch.hr, strict=True):
        pixels = (hr.permute(1, 2, 0) * 255).round().byte().numpy()
        oracle = np.asarray(Image.fromarray(pixels).resize((10, 10), Image.BICUBIC))
        difference = (lr.permute(1, 2, 0) * 255).round().numpy() - oracle
        assert np.abs(difference).max() <= 1


@pytest.mark.slow
def test_coarsely_compressed_photographs_are_halved(tmp_path):
    random = np.random.default_rng(0)

    def side(side: int, name: str, **options) -> int:
        soft = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((side, side + 3))
        soft.save(tmp_path / name, **options)
        pixels = read_photograph(tmp_path / name)
        assert pixels.shape[0] == pixels.shape[1] + (3 if pixels.shape[1] == side else 1)
        return pixels.shape[1]

    enough = 2 * SHORT_SIDE
    assert side(enough, "coarse.jpg", quality=75) == SHORT_SIDE
    assert side(enough, "fine.jpg", quality=95) == side(enough, "lossless.png") == enough
    assert side(enough - 1, "small.jpg", quality=75) == enough - 1
    assert side(2002, "large.jpg", quality=95) == 1001 and side(2002, "large.png") == 2002


def test_the_patch_shrinks_where_no_photograph_is_large_enough(folder):
    batch = Photographs(find_images([folder])).batch(np.random.default_rng(1), 2, 24, 25.0)
    assert batch.lr.shape[-1] == 10 and batch.hr.shape[-1] == 250


def test_the_curriculum_is_cumulative():
    seen = [{stages_at(3, progress, step) for step in range(12)} for progress in (0.0, 0.27, 0.3, 0.56, 0.58, 1.0)]
    assert seen == [{1}, {1}, {1, 2}, {1, 2}, {1, 2, 3}, {1, 2, 3}]
    assert {stages_at(1, progress, 5) for progress in (0.0, 0.5, 1.0)} == {1}
    assert np.prod([high for _, high in STAGE_FACTORS]) > 30


def test_a_new_stage_starts_from_the_one_before():
    run = Run(["tiny-clit"], SETTINGS)
    run._start_stages("tiny-clit", 2)
    first, second = run.network["tiny-clit"].stages[:2]
    assert torch.equal(first.value_conv.weight, second.value_conv.weight)
    assert torch.equal(first.mlp[-1].weight * 0.25, second.mlp[-1].weight)


def test_a_model_of_fewer_stages_can_see_the_same_scales(folder, monkeypatch):
    assert split([2.0, 3.0, 1.5], 1) == [9.0] and split([2.0, 3.0, 1.5], 2) == [2.0, 4.5]
    assert split([2.0, 3.0], 3) == split([2.0, 3.0], 2) == [2.0, 3.0]
    lit = replace(TINY["tiny-clit"], decoder=replace(TINY["tiny-clit"].decoder, stages=1))
    monkeypatch.setitem(ABLATIONS, "tiny-lit-x32", Recipe(lit, factors=3))
    run, drawn = Run(["tiny-lit-x32", "tiny-clit"], SETTINGS), []
    monkeypatch.setattr(run, "draw", lambda *args: drawn.append(Run.draw(run, *args)) or drawn[-1])
    photographs = Photographs(find_images([folder]))
    for step in range(5, 8):  # the last phase of the curriculum: 3, 1, 2 factors
        run.step = step
        run.train_step(photographs)
    assert [len(sample.factors) for sample in drawn] == [1, 3, 1, 1, 2], "at one factor, one sample"
    assert drawn[0].factors[0] <= np.prod([high for _, high in STAGE_FACTORS])


def test_without_cumulative_training_all_stages_learn_from_the_first_step(folder, monkeypatch):
    monkeypatch.setitem(ABLATIONS, "tiny-at-once", Recipe(TINY["tiny-clit"], cumulative=False))
    run = Run(["tiny-at-once"], SETTINGS)
    before = [p.clone() for p in run.network["tiny-at-once"].stages[2].parameters()]
    photographs = Photographs(find_images([folder]))
    for _ in range(3):
        run.train_step(photographs)
    after = run.network["tiny-at-once"].stages[2].parameters()
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_without_positional_bias_it_stays_zero(folder, monkeypatch):
    monkeypatch.setitem(ABLATIONS, "tiny-no-bias", Recipe(TINY["tiny-clit"], positional_bias=False))
    run, photographs = Run(["tiny-no-bias"], SETTINGS), Photographs(find_images([folder]))
    run.train_step(photographs)
    assert not any(p.any() for p in run.network["tiny-no-bias"].bias.parameters())


@pytest.mark.parametrize(("factors", "side"), [([1.0], 8), ([3.0], 24), ([2.5, 3.2], 64)])
def test_mixed_precision_changes_gradients_little(folder, monkeypatch, factors, side):
    """Both orders of the decoder, one pixel per latent and several."""
    run = Run(list(TINY), SETTINGS)
    batch = Photographs(find_images([folder])).batch(np.random.default_rng(1), 2, 8, side / 8)
    for pixels in (run._lattice(batch, factors), Window(0, 0, side, side).lattice()):
        sample, found = Sample(batch, factors, pixels), {}
        for mode in ("no", "bf16"):
            mixed = torch.autocast("cpu", torch.bfloat16, enabled=mode == "bf16")
            monkeypatch.setattr(run, "_mixed", lambda mixed=mixed: mixed)
            run.network.zero_grad()
            losses = run.backward(sample, list(TINY) if len(factors) == 1 else ["tiny-clit"])
            gradients = [p.grad.flatten() for p in run.network.parameters() if p.grad is not None]
            found[mode] = losses, torch.cat(gradients)
        (losses, exact), (mixed_losses, rounded) = found["no"], found["bf16"]
        assert not torch.equal(exact, rounded)
        assert mixed_losses == pytest.approx(losses, rel=0.02)
        assert torch.cosine_similarity(exact, rounded, 0) > 0.9


@pytest.mark.slow
def test_a_run_can_start_from_earlier_weights(folder, tmp_path):
    first = train(list(TINY), [folder], tmp_path / "first", SETTINGS)
    run = Run(list(TINY), SETTINGS, start={name: checkpoints.load(first / name) for name in TINY})
    for name in TINY:
        for key, value in checkpoints.load(first / name).state_dict().items():
            assert torch.equal(value, run.models[name].state_dict()[key])
    assert run.started_stages == run.first_stages == {"tiny-liif": 1, "tiny-clit": 3}
    out = train(list(TINY), [folder], tmp_path / "second", SETTINGS, start=first, encoder_name="first")
    assert "starts from first; tiny-liif, tiny-clit from earlier weights" in (out / "tiny-liif/README.md").read_text()
    with pytest.raises(UserError, match="no checkpoint of lit-light"):
        train(["lit-light"], [folder], tmp_path / "third", SETTINGS, start=first)
    (first / "tiny-liif/config.json").unlink()
    assert set(checkpoints.load(first / "tiny-clit").state_dict())
    only = train(list(TINY), [folder], tmp_path / "fourth", SETTINGS, start=first)
    assert "tiny-clit from earlier" in (only / "tiny-liif/README.md").read_text()


def test_the_encoder_may_learn_at_a_rate_of_its_own(folder, tmp_path):
    settings = Settings(steps=2, batch=2, patch=8, latents=8, rate=1e-2, encoder_rate=1e-5, warmup=1)
    run = Run(list(TINY), settings)
    before = {key: value.clone() for key, value in run.network.state_dict().items()}
    photographs = Photographs([folder / "0.png", folder / "1.png"])
    run.train_step(photographs)
    moved = {key: (value - before[key]).abs().max().item() for key, value in run.network.state_dict().items()}
    assert 0 < max(value for key, value in moved.items() if key.startswith("encoder.")) < 2e-5
    assert max(value for key, value in moved.items() if key.startswith("tiny-liif.")) > 5e-3
    out = train(list(TINY), [folder], tmp_path, settings)
    assert "rate 0.01, of the encoder 1e-05" in (out / "tiny-liif/README.md").read_text()
    with pytest.raises(UserError, match="--encoder-rate is 0.1, but must be"):
        train(list(TINY), [folder], tmp_path / "other", replace(settings, encoder_rate=0.1))


@pytest.mark.slow
def test_training_lowers_the_loss_and_writes_loadable_checkpoints(folder, tmp_path):
    settings = Settings(steps=60, batch=4, patch=8, latents=8, rate=3e-3, warmup=5, test_every=30)
    out = train(list(TINY), [folder], tmp_path / "run", settings, held_out={"0.png", "2.png"})
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["preset"] for row in rows] == list(TINY) * 2
    by_name = {name: [float(r["l1"]) for r in rows if r["preset"] == name] for name in TINY}
    assert by_name["tiny-liif"][1] < 0.8 * by_name["tiny-liif"][0]
    assert all(20 < float(row["psnr_x2"]) < 60 for row in rows if row["preset"] == "tiny-clit")
    for name in TINY:
        model = checkpoints.load(out / name)
        assert model.config == TINY[name]
    encoders = [checkpoints.load(out / name).encoder_key() for name in TINY]
    assert encoders[0] == encoders[1]


def test_a_run_cut_short_goes_on_exactly(folder, tmp_path):
    class Killed(Exception):
        pass

    def killer(message: str, progress: float) -> None:
        if message.startswith("step 3: ") and "tiny-clit written" in message:
            raise Killed

    whole = train(list(TINY), [folder], tmp_path / "whole", SETTINGS)
    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        train(list(TINY), [folder], broken, SETTINGS, report=killer)
    assert torch.load(broken / "state.pt", weights_only=True)["step"] == 2  # the last complete save
    train(list(TINY), [folder], broken, SETTINGS)
    a, b = (torch.load(out / "state.pt", weights_only=True) for out in (whole, broken))
    assert a["step"] == b["step"] == 6
    for part in ("network", "average"):
        assert all(torch.equal(a[part][key], b[part][key]) for key in a[part])


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from clit.config import PRESETS
from clit.training.run import train
from test_train import SETTINGS, TINY, replace
PRESETS.update(TINY)
train(list(TINY), [Path({folder!r})], Path({out!r}), replace(SETTINGS, steps=40, test_every=4))
"""


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing_but_the_last_steps(folder, tmp_path):
    """In the middle of a step or of a save: every file is whole, and the run goes on as if never stopped."""
    settings = replace(SETTINGS, steps=40, test_every=4)
    whole = train(list(TINY), [folder], tmp_path / "whole", settings)
    broken = tmp_path / "broken"
    code = CHILD.format(tests=str(Path(__file__).parent), folder=str(folder), out=str(broken))
    steps = []
    for moment in (0.05, 0.21):
        child = subprocess.Popen([sys.executable, "-c", code])
        until, start = time.monotonic() + 60, steps[-1] if steps else 0
        while child.poll() is None and time.monotonic() < until:
            if (broken / "state.pt").exists() and torch.load(broken / "state.pt", weights_only=True)["step"] > start:
                break
        time.sleep(moment)
        child.kill()
        assert child.wait() == -signal.SIGKILL, "it was killed before it was done"
        steps.append(torch.load(broken / "state.pt", weights_only=True)["step"])
        for directory in (path.parent for path in broken.glob("*/model.safetensors")):
            checkpoints.load(directory)
    assert 0 < steps[0] < steps[1] < 40
    train(list(TINY), [folder], broken, settings)
    a, b = (torch.load(out / "state.pt", weights_only=True) for out in (whole, broken))
    assert all(torch.equal(a["network"][key], b["network"][key]) for key in a["network"])
    curves = [[row["l1"] for row in csv.DictReader((out / "metrics.csv").open())] for out in (whole, broken)]
    assert len(curves[0]) == 20 and curves[0] == curves[1]
    assert not list(broken.rglob(".*.part"))


GRADIENTS = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from accelerate import Accelerator
from clit.config import PRESETS
from clit.training.photographs import Batch, Photographs, find_images
from clit.training.run import Run, Sample
from test_train import SETTINGS, TINY
PRESETS.update(TINY)
accelerator = Accelerator(cpu=True)
run = Run(list(TINY), replace(SETTINGS, batch=4), accelerator=accelerator)
run.random = __import__("numpy").random.default_rng(5)  # the same samples in all processes
photographs = Photographs(find_images([Path({folder!r})]))
for stages, names in ((1, list(TINY)), (3, ["tiny-clit"])):
    sample = run.draw(photographs, stages)
    mine = slice(accelerator.process_index, None, accelerator.num_processes)
    run.backward(Sample(Batch(sample.batch.lr[mine], sample.batch.hr[mine]), sample.factors, sample.pixels), names)
run.average_gradients()
if accelerator.is_main_process:
    torch.save({{n: p.grad for n, p in run.network.named_parameters()}}, {out!r} + f"/{{accelerator.num_processes}}.pt")
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


def test_accumulated_batches_are_one_larger_step(folder):
    photographs, means = Photographs(find_images([folder])), []
    for accumulate in (1, 3):
        run = Run(["tiny-liif"], replace(SETTINGS, accumulate=accumulate))
        samples = [run.draw(photographs, 1) for _ in range(3)]
        total = sum(run.backward(sample, ["tiny-liif"])["tiny-liif"] for sample in samples)
        means.append((total, {n: p.grad for n, p in run.network.named_parameters()}))
    (a, once), (b, thirds) = means
    assert a == pytest.approx(b)
    assert all(g is None or torch.allclose(g, 3 * thirds[n], atol=1e-6) for n, g in once.items())


def test_the_shared_encoder_learns_from_all_decoders(folder):
    photographs, names = Photographs(find_images([folder])), ["tiny-liif", "tiny-clit"]
    run = Run(names, SETTINGS)
    sample = run.draw(photographs, 1)

    def encoder_gradients(of: list[str]):
        run.optimizer.zero_grad()
        run.backward(sample, of)
        return [p.grad.clone() for p in run.encoder.parameters()]

    together, *alone = encoder_gradients(names), *(encoder_gradients([name]) for name in names)
    for both, first, second in zip(together, *alone, strict=True):
        assert torch.allclose(both, first + second, atol=1e-6) and first.abs().max() > 0


def test_a_frozen_encoder_stays_what_it_was(folder, tmp_path):
    torch.manual_seed(9)
    start = Run(["tiny-liif"], SETTINGS).encoder.state_dict()
    start = {k: v + 0.1 for k, v in start.items()}
    settings = Settings(steps=2, batch=1, patch=6, latents=6, freeze_encoder=True)
    out = train(["tiny-liif"], [folder], tmp_path / "run", settings, encoder=start)
    trained = torch.load(out / "state.pt", weights_only=True)["network"]
    assert all(torch.equal(trained[f"encoder.{k}"], v) for k, v in start.items())


@pytest.mark.parametrize(
    ("presets", "settings", "said"),
    [
        (["no-such"], SETTINGS, "Unknown preset no-such"),
        ([], SETTINGS, "Unknown preset"),
        (["tiny-liif", "lit-base"], SETTINGS, "share one encoder"),
        (["tiny-liif"], Settings(), "either --minutes or --steps"),
        (["tiny-liif"], Settings(steps=0), "more than 0"),
    ],
)
def test_wrong_runs_get_one_sentence(presets, settings, said, folder, tmp_path):
    with pytest.raises(UserError, match=said):
        train(presets, [folder], tmp_path / "run", settings)


def test_folders_without_photographs_get_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no photographs"):
        find_images([tmp_path])
    with pytest.raises(UserError, match="not a folder"):
        find_images([tmp_path / "missing"])


def test_a_run_folder_of_other_presets_is_not_overwritten(folder, tmp_path):
    train(["tiny-liif"], [folder], tmp_path / "run", Settings(steps=1, batch=1, patch=6, latents=6))
    with pytest.raises(UserError, match="another --out folder"):
        train(["tiny-clit"], [folder], tmp_path / "run", Settings(steps=2, batch=1, patch=6, latents=6))
