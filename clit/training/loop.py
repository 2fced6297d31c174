"""The training loop: reads photographs, takes steps, and on the way tests, saves, logs and reports.

A run is a folder: `state.pt` (everything a resumed run needs), `metrics.csv`, and a checkpoint directory with the
averaged weights per preset. A run that was killed goes on from its last saved state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clit.config import TRIALS
from clit.errors import UserError
from clit.networks import checkpoints
from clit.networks.model import SRModel
from clit.training.cards import Origin, format_card
from clit.training.held_out import HeldOut, split_held_out
from clit.training.log import Log
from clit.training.photographs import Photographs, choose_photographs, find_photographs
from clit.training.processes import share_from_main, start_accelerator
from clit.training.run import Run
from clit.training.settings import Settings, check_presets
from clit.training.state import load_state, save_state

REPORT_EVERY = 20
"""Steps between two reports of the loss."""

Report = Callable[[str, float], None]


def train(
    presets: list[str],
    data: list[Path],
    out: Path,
    settings: Settings,
    *,
    start: Path | None = None,
    encoder: dict[str, Tensor] | None = None,
    encoder_name: str = "random weights",
    held_out: Collection[str] = (),
    credits: str = "",
    report: Report | None = None,
) -> Path:
    """Train presets that share an encoder configuration; continue the run that lies in `out`, if there is one.

    data: folders of photographs. held_out: file names that are never trained on; every second one is scored as the
    run goes, the others are left for reporting. start: a folder of checkpoints; the presets that are in it start from
    them, and so does the encoder. encoder: weights that the encoder starts from instead. encoder_name: what the cards
    call its weights. credits: text that ends each card. report(message, progress): called as the run goes.

    Returns `out`, which then has a checkpoint directory per preset. UserError for wrong presets, folders or settings,
    and where Accelerate is not installed.
    """
    check_presets(presets)
    _refuse_trials(presets)
    settings.check()
    models = _load_starting_models(presets, start)
    accelerator = start_accelerator()
    report = report or (lambda message, progress: None)

    paths = find_photographs(data)
    test = HeldOut(split_held_out(paths, held_out)[0])
    report("reading photographs", 0.0)
    photographs = Photographs(choose_photographs(data, held_out))
    amount = f"{len(photographs.pixels)} photographs, {photographs.areas.sum() / 1e6:.0f} MP"
    report(amount, 0.0)
    folders = ", ".join(Path(folder).name for folder in data)
    origin = Origin(f"{amount}, from {folders}; {len(held_out)} held out", encoder_name, tuple(models), credits)

    out.mkdir(parents=True, exist_ok=True)
    run = Run(presets, settings, accelerator, encoder=encoder, start=models)
    if (out / "state.pt").exists():
        load_state(run, out / "state.pt")
    observer = _Observer(run, out, test, origin, report) if accelerator.is_main_process else None
    _take_steps(run, photographs, out / "state.pt", observer)
    return out


def _take_steps(run: Run, photographs: Photographs, state: Path, observer: _Observer | None) -> None:
    """Train to the end of the run; save its state every now and then. Only the main process has an observer."""
    s = run.settings
    saved = time.monotonic()
    while run.progress < 1:
        began = time.monotonic(), time.process_time()
        for name, loss in run.train_step(photographs).items():
            run.recent[name].append(loss)
        # A run that is stopped for a while, as by kill -STOP, spends no CPU time: that does not count.
        run.seconds += min(time.monotonic() - began[0], time.process_time() - began[1])
        run.seconds, since_saved = share_from_main([run.seconds, time.monotonic() - saved])
        if observer and run.step % REPORT_EVERY == 0:
            observer.report_losses()
        if run.step % s.test_every == 0 or run.progress >= 1:
            if observer:
                observer.test()
            run.recent = {name: [] for name in run.presets}
        if since_saved > s.save_every or run.progress >= 1:
            save_state(run, state)
            saved = time.monotonic()
    if observer:
        observer.log.close()


class _Observer:
    """What the main process does beside training: it tests, writes checkpoints, logs and reports."""

    def __init__(self, run: Run, out: Path, held_out: HeldOut, origin: Origin, report: Report):
        self.run, self.out, self.held_out, self.origin, self.report = run, out, held_out, origin, report
        for part in out.rglob(".*.part"):  # half a file of a run that was killed
            part.unlink()
        self.log = Log(out, held_out.scales, run.step)

    def report_losses(self) -> None:
        run = self.run
        self.log.add_losses(run, REPORT_EVERY)
        losses = ", ".join(f"{name} {np.mean(recent[-100:]):.4f}" for name, recent in run.recent.items())
        self.report(f"step {run.step}: L1 {losses}; {run.seconds / run.step:.2f} s/step", run.progress)

    def test(self) -> None:
        """Score the averaged weights, write them as checkpoints, log the scores."""
        run, scores = self.run, {}
        for name in run.presets:
            model = run.averaged_model(name)
            scores[name] = self.held_out.score(model)
            card = format_card(run, name, scores[name], self.origin)
            checkpoints.save(model, self.out / name, card=card, dtype=torch.float16)
            psnrs = ", ".join(f"x{scale} {value:.2f} dB" for scale, value in scores[name].items())
            held_out = f", held-out {psnrs}" if psnrs else ""
            self.report(f"step {run.step}: {self.out / name} written{held_out}", run.progress)
        self.log.add_scores(run, scores)


def _refuse_trials(presets: list[str]) -> None:
    trials = [name for name in presets if name in TRIALS]
    if trials:
        raise UserError(f"{', '.join(trials)}: train these with `python -m clit train-decoders`.")


def _load_starting_models(presets: list[str], folder: Path | None) -> dict[str, SRModel]:
    """Load the presets that are in a folder of checkpoints; UserError for none, or for several encoders."""
    if folder is None:
        return {}
    names = [name for name in presets if (folder / name / checkpoints.CONFIG).is_file()]
    models = {name: checkpoints.load(folder / name) for name in names}
    if not models:
        raise UserError(f"{folder} has no checkpoint of {', '.join(presets)} to start from.")
    if len({model.encoder_key() for model in models.values()}) > 1:
        raise UserError(f"The checkpoints in {folder} have different encoders: train them one at a time.")
    return models
