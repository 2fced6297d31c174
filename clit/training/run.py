"""Training: one or more presets on the same photographs, sharing one encoder and its features.

A run is a folder: `state.pt` (everything a resumed run needs), `metrics.csv`, and per preset a checkpoint
directory with the averaged weights. A killed run goes on where its last saved state was.
"""

from __future__ import annotations

import copy
import io
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from clit.config import ABLATIONS, PRESETS, recipe
from clit.errors import UserError
from clit.geometry import Lattice, View, nearest_latent, pixel_centres, stage_grids, to_pixels
from clit.networks import checkpoints
from clit.networks.decoders.clit import CARRY
from clit.networks.model import SRModel
from clit.pictures.metrics import psnr
from clit.pictures.resize import resize_pil
from clit.system.atomic import write_bytes
from clit.training.photographs import Batch, Photographs, find_images, read_photograph


@dataclass(frozen=True)
class Settings:
    """How a run is trained. `minutes` (of wall time) or `steps` sets its length."""

    minutes: float | None = None
    steps: int | None = None
    batch: int = 8
    patch: int = 24  # LR pixels a side
    latents: int = 24  # a side, of the last stage's grid: each of them is asked for one output pixel
    rate: float = 1e-3
    encoder_rate: float | None = None  # None: as `rate`
    warmup: int = 100
    average: float = 0.999  # decay of the averaged weights
    accumulate: int = 1  # batches per step, one after another
    freeze_encoder: bool = False
    save_every: float = 120.0  # seconds
    test_every: int = 500  # steps
    seed: int = 0


# Factors of CLIT's stages in training. The third one's range is wider than the published U(1, 2), so that the
# balanced chain at x30 (three factors of 3.1) lies inside what was seen.
STAGE_FACTORS = ((1.0, 4.0), (1.0, 4.0), (1.0, 3.2))


def stages_at(total: int, progress: float, step: int, first: int = 1) -> int:
    """How many stages a step trains: the cumulative curriculum (CLIT, section 3.5).

    One stage first, then one and two in turn, then one, two and three; the last phase is half as long again
    as the others (published: 1000, 1000, 1500 epochs). first: how many are trained from the first step on.
    """
    phase = min(total, max(first, 1 + int(progress * (total + 0.5))))
    return 1 + step % phase


def split(factors: list[float], stages: int) -> list[float]:
    """Stage factors for a model of so many stages: the last one takes what is left."""
    return [*factors[: stages - 1], math.prod(factors[stages - 1 :])] if len(factors) > stages else factors


@dataclass(frozen=True)
class Sample:
    """What one step learns from: crops, the stages' factors, and the output pixels that are asked of every crop."""

    batch: Batch
    factors: list[float]
    pixels: Lattice


class Run:
    """The state of training: models that share one encoder, their averages, optimiser, progress, random state."""

    def __init__(
        self,
        presets: list[str],
        settings: Settings,
        encoder: dict[str, Tensor] | None = None,
        start: dict[str, SRModel] | None = None,
        accelerator=None,
    ):
        """encoder: weights to start the encoder from; start: models to start presets from, and the encoder if none is
        given; accelerator: accelerate.Accelerator, which says where to train and with how many processes; None: here.
        """
        torch.manual_seed(settings.seed)  # all processes start from the same weights
        self.accelerator = accelerator
        self.device = torch.device("cpu") if accelerator is None else accelerator.device
        self.presets, self.settings = presets, settings
        self.recipes = {name: recipe(name) for name in presets}
        self.models = {name: SRModel(self.recipes[name].config) for name in presets}
        self.encoder = self.models[presets[0]].encoder
        for model in self.models.values():
            model.encoder = self.encoder
        start = start or {}
        if encoder is None and start:
            encoder = next(iter(start.values())).encoder.state_dict()
        if encoder is not None:
            checkpoints.load_strictly(self.encoder, encoder, "the starting encoder")
        for name, model in start.items():
            checkpoints.load_strictly(self.models[name].decoder, model.decoder.state_dict(), f"the start of {name}")
        for name, told in self.recipes.items():
            if not told.positional_bias:
                for parameter in self.models[name].decoder.bias.parameters():
                    nn.init.zeros_(parameter).requires_grad_(False)
        self.encoder.requires_grad_(not settings.freeze_encoder)
        self.network = nn.ModuleDict({"encoder": self.encoder, **{n: m.decoder for n, m in self.models.items()}})
        self.network.to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        groups = [  # peak: the rate after the warm-up
            {"params": [p for p in module.parameters() if p.requires_grad], "peak": peak}
            for module, peak in (
                (self.encoder, settings.encoder_rate or settings.rate),
                *((model.decoder, settings.rate) for model in self.models.values()),
            )
        ]
        self.optimizer = torch.optim.Adam([g for g in groups if g["params"]], lr=settings.rate, betas=(0.9, 0.99))
        self.random = np.random.default_rng([settings.seed, 0 if accelerator is None else accelerator.process_index])
        self.step, self.seconds = 0, 0.0
        self.started_stages = {
            name: self._stages(name) if name in start or not self.recipes[name].cumulative else 1 for name in presets
        }
        self.first_stages = {
            name: self._factors(name) if name in start or not self.recipes[name].cumulative else 1 for name in presets
        }
        self.cpu_seconds = {name: 0.0 for name in [*presets, "shared", "data"]}
        self.recent: dict[str, list[float]] = {name: [] for name in presets}  # losses since the last test

    def _stages(self, name: str) -> int:
        return self.recipes[name].config.decoder.stages

    def _factors(self, name: str) -> int:
        """Of how many stage factors the scales are products that a preset is trained on."""
        return self.recipes[name].factors or self._stages(name)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.accelerator is None or self.accelerator.is_main_process

    def led(self, numbers: list[float]) -> list[float]:
        """The leading process's numbers, in all of them: what depends on clocks must not differ."""
        if self.accelerator is None or self.accelerator.num_processes == 1:
            return numbers
        from accelerate.utils import broadcast

        return broadcast(torch.tensor(numbers, dtype=torch.float32, device=self.device)).tolist()

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        s = self.settings
        return min(1.0, self.step / s.steps if s.steps else self.seconds / (60 * s.minutes))

    def state(self) -> dict:
        return {
            "presets": self.presets,
            "settings": asdict(self.settings),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self._gather(self.random.bit_generator.state),
            "step": self.step,
            "seconds": self.seconds,
            "started_stages": self.started_stages,
            "first_stages": self.first_stages,
            "cpu_seconds": self.cpu_seconds,
            "recent": self.recent,
        }

    def restore(self, state: dict) -> None:
        if state["presets"] != self.presets:
            raise UserError(f"This run trains {', '.join(state['presets'])}: choose another --out folder for others.")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        index = 0 if self.accelerator is None else self.accelerator.process_index
        if index < len(state["random"]):  # of a process that was not there before, the random state is its own
            self.random.bit_generator.state = state["random"][index]
        for name in ("step", "seconds", "started_stages", "first_stages", "cpu_seconds", "recent"):
            setattr(self, name, state.get(name, getattr(self, name)))  # an earlier version's state may lack one

    def _gather(self, mine: dict) -> list[dict]:
        if self.accelerator is None or self.accelerator.num_processes == 1:
            return [mine]
        from accelerate.utils import gather_object

        return gather_object([mine])

    def averaged(self, name: str) -> SRModel:
        """The preset with its averaged weights, on the CPU."""
        model = copy.deepcopy(self.models[name]).cpu()
        model.encoder.load_state_dict(self.average["encoder"].state_dict())
        model.decoder.load_state_dict(self.average[name].state_dict())
        return model.eval()

    def train_step(self, photographs: Photographs) -> dict[str, float]:
        """One step of every preset; returns each one's L1 loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.schedule()
        self.optimizer.zero_grad(set_to_none=True)
        wanted: dict[tuple[int, int], list[str]] = {}  # presets that can learn from one sample
        for name in self.presets:
            count = stages_at(self._factors(name), self.progress, self.step, self.first_stages[name])
            wanted.setdefault((count, min(count, self._stages(name))), []).append(name)
        losses = dict.fromkeys(self.presets, 0.0)
        for _ in range(self.settings.accumulate):
            for (count, stages), names in sorted(wanted.items()):
                began = time.process_time()
                sample = self.draw(photographs, count, stages)
                self._spent("data", began)
                for name, loss in self.backward(sample, names).items():
                    losses[name] += loss / self.settings.accumulate
        self.average_gradients()
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return losses

    def draw(self, photographs: Photographs, count: int, stages: int | None = None) -> Sample:
        """Crops, factors and output pixels of one step: a scale of `count` factors, for as many stages, or fewer."""
        s = self.settings
        factors = split([self.random.uniform(*STAGE_FACTORS[min(j, 2)]) for j in range(count)], stages or count)
        batch = photographs.batch(self.random, s.batch, s.patch, math.prod(factors), self.device)
        return Sample(batch, factors, self._lattice(batch, factors))

    def backward(self, sample: Sample, names: list[str]) -> dict[str, float]:
        """Add to the gradients those of the presets' L1 losses on a sample; returns the losses."""
        s, losses = self.settings, {}
        pixels, size = sample.pixels, tuple(sample.batch.hr.shape[-2:])
        target = sample.batch.hr[:, :, pixels.rows][:, :, :, pixels.columns].permute(0, 2, 3, 1)
        began = time.process_time()
        with torch.set_grad_enabled(not s.freeze_encoder), self._mixed():
            encoded = self.models[names[0]].encode(sample.batch.lr)
        # All decoders' gradients meet here, so that the encoder is gone back through once.
        meeting = encoded.map.detach().requires_grad_(not s.freeze_encoder)
        features = replace(encoded, map=meeting)
        self._spent("shared", began)
        for name in names:
            began = time.process_time()
            model = self.models[name]
            self._start_stages(name, len(sample.factors))
            view = View(features.size, size, pixels, tuple((factor, factor) for factor in sample.factors))
            with self._mixed():
                rgb = model.render(model.prepare(features, view))
            loss = (rgb.float() - target).abs().mean() * 2  # in the networks' [-1, 1]
            (loss / s.accumulate).backward()
            losses[name] = loss.item()
            self._spent(name, began)
        if not s.freeze_encoder:
            began = time.process_time()
            encoded.map.backward(meeting.grad)
            self._spent("shared", began)
        return losses

    def average_gradients(self) -> None:
        """The mean of all processes' gradients, where there are several: all train the same stages at a step."""
        if self.accelerator is not None and self.accelerator.num_processes > 1:
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    parameter.grad = self.accelerator.reduce(parameter.grad, reduction="mean")

    def _mixed(self):
        return nullcontext() if self.accelerator is None else self.accelerator.autocast()

    def schedule(self) -> float:
        """The learning rate's share of its peak: linear warm-up, then a cosine down to a fiftieth."""
        s = self.settings
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        return min(1.0, (self.step + 1) / s.warmup) * (0.02 + 0.98 * cosine)

    def _lattice(self, batch: Batch, factors: list[float]) -> Lattice:
        """The output pixels to learn from: for each latent of a part of the last stage's grid a random one of its own.

        Pixels of one latent tell much the same; a pixel each of many latents costs more for a pixel and teaches more.
        """
        lr, side = batch.lr.shape[-1], batch.hr.shape[-1]
        (grid, _) = stage_grids((lr, lr), [(factor, factor) for factor in factors])[-1]
        nearest = nearest_latent(to_pixels(pixel_centres(side), grid), grid)
        extent = min(grid, self.settings.latents)

        def axis() -> Tensor:
            first = self.random.integers(grid - extent + 1)
            inside = (nearest >= first) & (nearest < first + extent)
            _, counts = torch.unique_consecutive(nearest[inside], return_counts=True)
            ends = torch.cumsum(counts, 0) + int((nearest < first).sum())
            return ends - 1 - (torch.from_numpy(self.random.random(len(counts))) * counts).long()

        return Lattice(axis(), axis())

    def _start_stages(self, name: str, stages: int) -> None:
        """A stage that is trained for the first time starts from the one before it.

        Its last layer is scaled so that the new stage's prediction begins as the sum it is to improve on.
        """
        for j in range(self.started_stages[name], stages):
            for network in (self.network, self.average):
                source, target = network[name].stages[j - 1], network[name].stages[j]
                target.load_state_dict(source.state_dict())
                with torch.no_grad():
                    for p in target.mlp[-1].parameters():
                        p.mul_(1 - CARRY)
            self.started_stages[name] = j + 1

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def _spent(self, name: str, began: float) -> None:
        self.cpu_seconds[name] += time.process_time() - began


class HeldOut:
    """Photographs kept out of training: their middles, as LR and HR, for a score while training goes on."""

    scales = (2, 4)

    def __init__(self, paths: list[Path], count: int = 8, side: int = 192):
        every = max(1, len(paths) // count)
        self.pairs = []
        for path in paths[::every][:count]:
            pixels = read_photograph(path)
            top, left = ((n - side) // 2 for n in pixels.shape[:2])
            if min(top, left) < 0:
                continue
            hr = pixels[top : top + side, left : left + side]
            for scale in self.scales:
                self.pairs.append((scale, resize_pil(hr, (side // scale, side // scale)), hr))

    @torch.no_grad()
    def scores(self, model: SRModel) -> dict[int, float]:
        """Mean luma PSNR in dB per scale."""
        found: dict[int, list[float]] = {scale: [] for scale in self.scales}
        for scale, lr, hr in self.pairs:
            features = model.encode(torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 255)
            view = model.view(lr.shape[:2], hr.shape[:2])
            rgb = model.render(model.prepare(features, view))[0].clamp(0, 1).numpy()
            found[scale].append(psnr(rgb, hr.astype(np.float32) / 255, rule="benchmark", scale=scale))
        return {scale: float(np.mean(values)) for scale, values in found.items() if values}


def train(
    presets: list[str],
    data: list[Path],
    out: Path,
    settings: Settings,
    *,
    start: Path | None = None,
    encoder: dict[str, Tensor] | None = None,
    encoder_name: str = "random weights",
    held_out: set[str] | None = None,
    credits: str = "",
    report: Callable[[str, float], None] | None = None,
) -> Path:
    """Train presets that share an encoder configuration; resumes what lies in `out`.

    data: folders of photographs; held_out: file names never trained on, every second of which is scored
    as the run goes (the others are left for reporting); start: a folder of checkpoints, from which the presets that are
    in it start, and the encoder; encoder: weights the shared encoder starts from instead, and encoder_name: what the
    cards call them; credits: text that
    ends each card; report(message, progress) is called as the run goes.
    Returns `out`, with a checkpoint directory per preset. UserError for wrong presets, folders or lengths.
    """
    _check(presets, settings)
    started = _started(presets, start)
    say = report or (lambda message, progress: None)
    paths = find_images(data)
    held_out = held_out or set()
    test = HeldOut(sorted(p for p in paths if p.name in held_out)[::2])
    say("reading photographs", 0.0)
    photographs = Photographs([p for p in paths if p.name not in held_out])
    told = f"{len(photographs.pixels)} photographs, {photographs.areas.sum() / 1e6:.0f} MP"
    say(told, 0.0)
    facts = {
        "data": f"{told}, from {', '.join(Path(folder).name for folder in data)}; {len(held_out)} held out",
        "encoder": f"{'frozen at' if settings.freeze_encoder else 'starts from'} {encoder_name}",
        "start": f"; {', '.join(started)} from earlier weights" if started else "",
        "credits": credits,
    }

    out.mkdir(parents=True, exist_ok=True)
    run, state_file = Run(presets, settings, encoder, started, _accelerator()), out / "state.pt"
    if state_file.exists():
        run.restore(torch.load(state_file, map_location="cpu", weights_only=True))
    board = None
    if run.leads:
        _forget_after(out / "metrics.csv", run.step)
        for left in out.rglob(".*.part"):  # half a file of a run that was killed
            left.unlink()
        board = _board(out, run.step)
    saved = time.monotonic()
    while run.progress < 1:
        began = time.monotonic(), time.process_time()
        for name, loss in run.train_step(photographs).items():
            run.recent[name].append(loss)
        # A run that is stopped for a while, as by kill -STOP, spends no CPU time: that does not count.
        run.seconds += min(time.monotonic() - began[0], time.process_time() - began[1])
        run.seconds, since = run.led([run.seconds, time.monotonic() - saved])
        if run.leads and run.step % 20 == 0:
            told = ", ".join(f"{n} {np.mean(v[-100:]):.4f}" for n, v in run.recent.items())
            say(f"step {run.step}: L1 {told}; {run.seconds / run.step:.2f} s/step", run.progress)
            for name in presets if board else ():
                board.add_scalar(f"l1/{name}", np.mean(run.recent[name][-20:]), run.step)
        if run.step % settings.test_every == 0 or run.progress >= 1:
            found = _test(run, test, out, facts, say) if run.leads else {}
            for name, scores in found.items():
                for scale, value in scores.items() if board else ():
                    board.add_scalar(f"psnr_x{scale}/{name}", value, run.step)
            run.recent = {name: [] for name in presets}
        if since > settings.save_every or run.progress >= 1:
            state, buffer = run.state(), io.BytesIO()
            if run.leads:
                torch.save(state, buffer)
                write_bytes(state_file, buffer.getvalue())
            saved = time.monotonic()
    if board:
        board.close()
    return out


def _accelerator():
    """Where to train and with how many processes, as `accelerate launch` says; None where that is not installed."""
    try:
        from accelerate import Accelerator
    except ImportError:
        return None
    return Accelerator()


def _board(out: Path, step: int):
    """Where to log for TensorBoard, if that is installed; what a killed run logged after its last save is dropped."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(out / "tensorboard", purge_step=step)


def _forget_after(log: Path, step: int) -> None:
    """Take out of metrics.csv what a killed run wrote after its last saved state: it is done again."""
    if log.exists():
        head, *lines = log.read_text().splitlines(keepends=True)
        write_bytes(log, "".join([head, *(line for line in lines if int(line.split(",")[1]) <= step)]).encode())


def _check(presets: list[str], settings: Settings) -> None:
    unknown = [name for name in presets if recipe(name) is None]
    if unknown or not presets:
        raise UserError(f"Unknown preset {', '.join(unknown)}: choose from {', '.join([*PRESETS, *ABLATIONS])}.")
    if len({recipe(name).config.encoder for name in presets}) > 1:
        raise UserError("Presets trained together must share one encoder configuration.")
    if (settings.minutes is None) == (settings.steps is None):
        raise UserError("Give the length of the run as either --minutes or --steps.")
    if (settings.minutes or settings.steps) <= 0:
        raise UserError("The length of the run must be more than 0.")
    for name in ("batch", "patch", "latents", "rate", "accumulate"):
        if getattr(settings, name) <= 0:
            raise UserError(f"--{name} is {getattr(settings, name):g}, but must be more than 0.")
    if settings.encoder_rate is not None and not 0 < settings.encoder_rate <= settings.rate:
        raise UserError(
            f"--encoder-rate is {settings.encoder_rate:g}, but must be more than 0 and at most --rate, which is "
            f"{settings.rate:g}; --freeze-encoder leaves the encoder as it is."
        )


def _started(presets: list[str], folder: Path | None) -> dict[str, SRModel]:
    """The presets' models that lie in a folder of checkpoints; UserError for none, or for several encoders."""
    if folder is None:
        return {}
    found = {
        name: checkpoints.load(folder / name) for name in presets if (folder / name / checkpoints.CONFIG).is_file()
    }
    if not found:
        raise UserError(f"{folder} has no checkpoint of {', '.join(presets)} to start from.")
    if len({model.encoder_key() for model in found.values()}) > 1:
        raise UserError(f"The checkpoints in {folder} have different encoders: train them one at a time.")
    return found


def _test(run: Run, test: HeldOut, out: Path, facts: dict[str, str], say: Callable) -> dict[str, dict[int, float]]:
    """Score the averaged weights, write them as checkpoints, add a row per preset to metrics.csv.

    Returns each preset's PSNR in dB per scale.
    """
    found: dict[str, dict[int, float]] = {}
    lines = []
    for name in run.presets:
        model = run.averaged(name)
        scores = found[name] = test.scores(model)
        checkpoints.save(model, out / name, card=_card(run, name, scores, facts), dtype=torch.float16)
        minutes = [run.seconds / 60, run.cpu_seconds[name] / 60, run.cpu_seconds["shared"] / 60]
        l1 = float(np.mean(run.recent[name])) if run.recent[name] else math.nan
        measured = [f"{scores[s]:.3f}" if s in scores else "" for s in test.scales]
        lines.append([name, run.step, *(f"{m:.2f}" for m in minutes), f"{l1:.5f}", *measured])
        told = ", ".join(f"x{s} {v:.2f} dB" for s, v in scores.items())
        say(f"step {run.step}: {out / name} written{', held-out ' + told if told else ''}", run.progress)
    log = out / "metrics.csv"
    head = ["preset", "step", "wall_minutes", "cpu_minutes", "shared_cpu_minutes", "l1"]
    before = log.read_text() if log.exists() else ",".join([*head, *(f"psnr_x{s}" for s in test.scales)]) + "\n"
    write_bytes(log, (before + "".join(",".join(map(str, line)) + "\n" for line in lines)).encode())
    return found


def _machine(run: Run) -> str:
    count = 1 if run.accelerator is None else run.accelerator.num_processes
    what = torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else f"{os.cpu_count()} CPU cores"
    told = what if count == 1 else f"{count} processes, {what} each"
    mixed = None if run.accelerator is None else run.accelerator.mixed_precision
    return f"{told}, mixed precision ({mixed})" if mixed in ("bf16", "fp16") else told


def _card(run: Run, name: str, scores: dict[int, float], facts: dict[str, str]) -> str:
    """The README.md of a trained checkpoint: what it was trained on, how long, from what, and its score so far."""
    s, decoder = run.settings, run.models[name].decoder
    rate = f"{s.rate:g}" if s.encoder_rate is None else f"{s.rate:g}, of the encoder {s.encoder_rate:g}"
    config = ", ".join(f"{key} {value}" for key, value in asdict(decoder.config).items() if key != "name")
    together = f", together with {', '.join(n for n in run.presets if n != name)}" if len(run.presets) > 1 else ""
    asked = f"an output pixel for each of up to {s.latents}x{s.latents} latents"
    held = ", ".join(f"x{scale} {value:.2f} dB" for scale, value in scores.items()) or "none"
    alone, shared = run.cpu_seconds[name] / 60, run.cpu_seconds["shared"] / 60
    return f"""---
library_name: clit
pipeline_tag: image-to-image
---
# {name}

`clit.load("{name}")`: {decoder.config.name} ({config}) on {run.models[name].config.encoder.name}.

| | |
|---|---|
| data | {facts["data"]} |
| encoder | {facts["encoder"]}{facts["start"]} |
| steps | {run.step} of {s.batch} crops, {s.patch}x{s.patch} LR pixels, {asked}{together} |
| time | {run.seconds / 60:.0f} minutes for the run; {alone:.0f} CPU minutes of {name} alone, {shared:.0f} shared |
| machine | {_machine(run)} |
| optimiser | Adam, rate {rate}, {s.warmup} steps of warm-up, cosine decay; L1; averaged with {s.average:g} |
| progress of its schedule | {run.progress:.0%} |
| held-out photographs, luma PSNR | {held} |

{facts["credits"]}"""
