"""Training: what is written, what it starts from, exact resumption, what it needs."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import SETTINGS, TINY, add_presets, make_run, save_photographs

from clit import UserError
from clit.config import CLITConfig, EDSRConfig, LIIFConfig, ModelConfig
from clit.networks import checkpoints
from clit.training.loop import train
from clit.training.photographs import Photographs
from clit.training.settings import Settings


@pytest.fixture(autouse=True)
def tiny_presets(monkeypatch):
    add_presets(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_photographs(tmp_path / "photographs")


@pytest.mark.slow
def test_a_run_can_start_from_earlier_weights(folder, tmp_path):
    first = train(list(TINY), [folder], tmp_path / "first", SETTINGS)
    run = make_run(list(TINY), start={name: checkpoints.load(first / name) for name in TINY})
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
    run = make_run(list(TINY), settings)
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
from dataclasses import replace
from clit.training.loop import train
from tiny_runs import SETTINGS, TINY
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


def test_a_frozen_encoder_stays_what_it_was(folder, tmp_path):
    torch.manual_seed(9)
    start = make_run(["tiny-liif"]).encoder.state_dict()
    start = {k: v + 0.1 for k, v in start.items()}
    settings = Settings(steps=2, batch=1, patch=6, latents=6, freeze_encoder=True)
    out = train(["tiny-liif"], [folder], tmp_path / "run", settings, encoder=start)
    trained = torch.load(out / "state.pt", weights_only=True)["network"]
    assert all(torch.equal(trained[f"encoder.{k}"], v) for k, v in start.items())


@pytest.mark.parametrize(
    ("presets", "settings", "said"),
    [
        (["no-such"], SETTINGS, "Unknown preset no-such"),
        (["clit-light-third"], SETTINGS, "clit-light-third: train these with `python -m clit train-decoders`"),
        ([], SETTINGS, "Unknown preset"),
        (["tiny-liif", "lit-base"], SETTINGS, "share one encoder"),
        (["tiny-liif"], Settings(), "either --minutes or --steps"),
        (["tiny-liif"], Settings(steps=0), "more than 0"),
    ],
)
def test_wrong_runs_get_one_sentence(presets, settings, said, folder, tmp_path):
    with pytest.raises(UserError, match=said):
        train(presets, [folder], tmp_path / "run", settings)


def test_a_run_folder_of_other_presets_is_not_overwritten(folder, tmp_path):
    train(["tiny-liif"], [folder], tmp_path / "run", Settings(steps=1, batch=1, patch=6, latents=6))
    with pytest.raises(UserError, match="another --out folder"):
        train(["tiny-clit"], [folder], tmp_path / "run", Settings(steps=2, batch=1, patch=6, latents=6))


OLD = {
    "old-liif": ModelConfig(EDSRConfig(width=4, blocks=1), LIIFConfig(hidden=(4,))),
    "old-clit": ModelConfig(EDSRConfig(width=4, blocks=1), CLITConfig(4, heads=2, radius=1, hidden=(4,), stages=2)),
}


@pytest.mark.parametrize("lacks", [(), ("first_stages", "recent")], ids=["complete", "older still"])
def test_a_run_that_an_earlier_version_began_goes_on(lacks, folder, tmp_path, monkeypatch):
    """Its state.pt was saved after 3 of 6 steps; the losses are those the earlier version went on to."""
    add_presets(monkeypatch, OLD)
    state = torch.load(Path(__file__).parent / "golden" / "training_state.pt", weights_only=True)
    torch.save({name: value for name, value in state.items() if name not in lacks}, tmp_path / "state.pt")
    heard = []
    settings = Settings(steps=6, batch=2, patch=6, latents=5, test_every=2)
    train(list(OLD), [folder], tmp_path, settings, held_out={"0.png"}, report=lambda line, done: heard.append(done))
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [(row["preset"], row["step"]) for row in rows] == [(name, step) for step in "46" for name in OLD]
    losses = [0.41141, 0.29028, 0.36353, 0.38315]
    compared = slice(2, None) if "recent" in lacks else slice(None)  # the loss of step 3 is among those it lacks
    assert [float(row["l1"]) for row in rows][compared] == pytest.approx(losses[compared], rel=1e-3)
    assert [float(row["psnr_x2"]) for row in rows] == pytest.approx([17.664, 29.417, 17.665, 29.416], abs=0.01)
    assert heard[-1] == 1


WITHOUT_ACCELERATE = """
import sys
sys.modules["accelerate"] = None
import clit.training.evaluate
from clit.__main__ import main
sys.argv = ["clit", *{arguments!r}]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["evaluate", "--help"], 0, "Score models"),
        (["train", "--help"], 0, "Train presets"),
        (["train", "lit-light", "--data", ".", "--out", "run", "--steps", "1"], 2, "pip install 'clit[train]'"),
    ],
)
def test_only_training_needs_accelerate(arguments, code, said, tmp_path):
    script = WITHOUT_ACCELERATE.format(arguments=arguments)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == code and said in done.stdout + done.stderr
    assert code == 0 or len(done.stderr.splitlines()) == 1 and not (tmp_path / "run").exists()
