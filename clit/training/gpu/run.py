"""A run on one GPU: presets over one frozen encoder, trained for some minutes, in pieces if need be.

A step's operations, from the features to the averaged weights, are recorded as CUDA graphs, one for each preset and
kind of sample, and replayed. Elsewhere than on a GPU they simply run.
"""

from __future__ import annotations

import copy
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from clit.config import PRESETS, Recipe, recipe, without_fourier
from clit.errors import UserError
from clit.networks import checkpoints
from clit.networks.decoders.base import Decoder
from clit.networks.decoders.clit import CLIT
from clit.networks.model import SRModel
from clit.system.atomic import write_bytes
from clit.training.curriculum import add_fourier_branch, start_stage
from clit.training.gpu.decoders import predict
from clit.training.gpu.samples import Kind, Samples, make_kind

REPORT_EVERY = 200
WARMUP, AVERAGE = 200, 0.999


@dataclass
class Settings:
    """How a run is trained."""

    minutes: float
    """Minutes of training, all pieces together."""
    rate: float = 1e-3
    """Peak learning rate of Adam; after a warm-up of 200 steps it falls by a cosine to a fiftieth."""
    seed: int = 0
    workers: int = 14
    """Processes that cut crops."""


@dataclass
class Part:
    """One preset in training."""

    decoder: Decoder
    average: Decoder
    optimizer: torch.optim.Adam
    rate: Tensor
    recipe: Recipe
    started: str
    """The preset whose weights it started from; empty for none."""
    steps: dict[Kind, Callable[[], None]] = field(default_factory=dict)
    losses: dict[Kind, Tensor] = field(default_factory=dict)
    """Sums of L1 losses since the last report."""
    counts: dict[Kind, int] = field(default_factory=dict)
    """Numbers of losses in these sums."""

    def kind(self, step: int) -> Kind:
        """Return which kind of sample a step learns from."""
        return make_kind(self.turns[step % len(self.turns)], self.decoder.stage_count, self.recipe.equal)

    @property
    def turns(self) -> tuple[int, ...]:
        """Numbers of stage factors that steps take in turn."""
        return self.recipe.turns or tuple(range(1, 1 + (self.recipe.factors or self.decoder.stage_count)))


class Run:
    """Presets in training over one frozen encoder."""

    def __init__(
        self,
        presets: list[str],
        settings: Settings,
        encoder: dict[str, Tensor],
        start: Path | None = None,
        state: dict | None = None,
    ):
        """encoder: its weights. start: a folder of checkpoints that presets start from, where it has them.

        state: what `read_state` returned, to go on from; then nothing is read from `start`. UserError for presets that
        need another training, for weights that do not fit, and for a cascade without weights to start from.
        """
        _check_recipes(presets, start if state is None else None)
        torch.manual_seed(settings.seed)
        torch.set_float32_matmul_precision("high")  # TF32; convolutions have it by default
        torch.backends.cudnn.benchmark = True
        self.presets, self.settings = presets, settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.on_gpu = self.device.type == "cuda"
        models = {name: SRModel(recipe(name).config) for name in presets}
        self.encoder = models[presets[0]].encoder
        checkpoints.load_strictly(self.encoder, encoder, "the encoder")
        self._encoder_key = models[presets[0]].encoder_key()  # before it moves: it tells the device too
        self.encoder.requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self.parts = {n: self._make_part(n, m.decoder, start, state) for n, m in models.items()}
        self.inputs: dict[Kind, dict[str, Tensor]] = {}
        self.maps: dict[Kind, Tensor] = {}
        self.encodes: dict[Kind, Callable[[], None]] = {}
        self.step, self.seconds = 0, 0.0
        if state is not None:
            self._go_on_from(state)

    def _make_part(self, name: str, decoder: Decoder, start: Path | None, state: dict | None) -> Part:
        started = _load_start(name, decoder, start) if state is None else ""
        decoder.to(self.device)
        for module in decoder.modules():
            if hasattr(module, "frequencies"):  # not a buffer: see PositionalBias
                module.frequencies = module.frequencies.to(self.device)
        rate = torch.tensor(0.0, device=self.device)
        options = dict(fused=True, capturable=True) if self.on_gpu else {}
        optimizer = torch.optim.Adam(decoder.parameters(), lr=rate, betas=(0.9, 0.99), **options)
        average = copy.deepcopy(decoder).requires_grad_(False)
        return Part(decoder, average, optimizer, rate, recipe(name), started)

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        return min(1.0, self.seconds / (60 * self.settings.minutes))

    def train(
        self,
        photographs: list[np.ndarray],
        piece: float,
        keep: Callable[[int], None],
        report: Callable[[str], None],
    ) -> None:
        """Train for `piece` seconds at most, or to the end of the run.

        keep(25), keep(50), keep(75): called when these percentages are done. report(line): called as it goes on.
        """
        cycle = math.lcm(*(len(part.turns) for part in self.parts.values()))
        kinds = [list(dict.fromkeys(p.kind(t) for p in self.parts.values())) for t in range(cycle)]
        samples = Samples(photographs, kinds, self.settings.seed)
        loader = DataLoader(
            samples, None, sampler=range(self.step, len(samples)), num_workers=self.settings.workers,
            pin_memory=self.on_gpu, prefetch_factor=4 if self.settings.workers else None,
        )  # fmt: skip
        source = iter(loader)
        with self._kept_state():
            for t, sample in zip(range(self.step, self.step + cycle), source, strict=False):
                self._record(t, sample)
        report(f"recorded; memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if self.on_gpu else "ready")
        began = time.monotonic()
        before, since = self.seconds, (began, self.step)
        while self.progress < 1 and self.seconds - before < piece:
            self._take_step(next(source))
            if self.step % 50 == 0 and self.on_gpu:
                torch.cuda.synchronize()
            quarters = int(4 * self.progress)
            self.seconds = before + time.monotonic() - began
            if quarters < int(4 * self.progress) < 4:
                keep(25 * int(4 * self.progress))
            if self.step % REPORT_EVERY == 0:
                each = (time.monotonic() - since[0]) / (self.step - since[1])
                report(f"step {self.step}, {self.progress:.0%}, {1000 * each:.2f} ms a step: {self._read_losses()}")
                since = time.monotonic(), self.step

    def _take_step(self, sample: dict[Kind, dict[str, Tensor]]) -> None:
        share = min(1.0, (self.step + 1) / WARMUP) * (0.02 + 0.49 * (1 + math.cos(math.pi * self.progress)))
        for kind, arrays in sample.items():
            for name, array in arrays.items():
                self.inputs[kind][name].copy_(array, non_blocking=True)
            self.encodes[kind]()
        for part in self.parts.values():
            part.rate.fill_(self.settings.rate * share)
            kind = part.kind(self.step)
            part.steps[kind]()
            part.counts[kind] += 1
        self.step += 1

    @contextmanager
    def _kept_state(self) -> Iterator[None]:
        """Put averages and Adam's state back as they were, and losses to 0, after trial steps at a rate of 0."""
        for part in self.parts.values():
            _start_optimizer(part)
        tensors = [
            tensor
            for part in self.parts.values()
            for tensor in (
                *part.average.parameters(),
                *(t for state in part.optimizer.state.values() for t in state.values()),
            )
        ]
        before = [tensor.clone() for tensor in tensors]
        yield
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        for part in self.parts.values():
            for loss in part.losses.values():
                loss.zero_()

    def _record(self, step: int, sample: dict[Kind, dict[str, Tensor]]) -> None:
        """Prepare a step and others of its kinds; nothing is learnt."""
        for kind, arrays in sample.items():
            if kind not in self.inputs:
                self.inputs[kind] = {name: array.to(self.device) for name, array in arrays.items()}
                self.maps[kind] = self._encode(self.inputs[kind]["lr"]).clone()
                self.encodes[kind] = self._make_replay(lambda k=kind: self._fill_maps(k))
        for part in self.parts.values():
            kind = part.kind(step)
            if kind not in part.steps:
                part.losses[kind], part.counts[kind] = torch.zeros((), device=self.device), 0
                part.steps[kind] = self._make_replay(lambda p=part, k=kind: self._learn(p, k))

    def _fill_maps(self, kind: Kind) -> None:
        self.maps[kind].copy_(self._encode(self.inputs[kind]["lr"]))

    @torch.no_grad()
    def _encode(self, lr: Tensor) -> Tensor:
        image = lr.permute(0, 3, 1, 2).float() / 255 * 2 - 1
        return self.encoder(image.contiguous(memory_format=torch.channels_last))

    def _learn(self, part: Part, kind: Kind) -> None:
        """Take one preset's step on the sample that lies in the inputs."""
        sample = self.inputs[kind]
        part.optimizer.zero_grad(set_to_none=True)  # stages not in use get no step
        target = sample["target"].float() / 255 * 2 - 1
        losses = [(colours - target).abs().mean() for colours in predict(part.decoder, self.maps[kind], sample)]
        (sum(losses) / len(losses) if part.recipe.every_stage else losses[-1]).backward()
        part.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(part.average.parameters()), list(part.decoder.parameters()), 1 - AVERAGE)
            part.losses[kind] += losses[-1].detach()

    def _make_replay(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return what does `work` again; on a GPU by replaying a recording of it. The learning rate is 0 meanwhile."""
        if not self.on_gpu:
            return work
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # another thread pins memory
            work()
        return graph.replay

    def _read_losses(self) -> str:
        """Return the mean losses since the last report, and begin to add up anew."""
        lines = []
        for name, part in self.parts.items():
            each = [f"{loss.item() / max(1, part.counts[kind]):.4f}" for kind, loss in part.losses.items()]
            lines.append(f"{name} {' '.join(each)}")
            for kind, loss in part.losses.items():
                loss.zero_()
                part.counts[kind] = 0
        return ", ".join(lines)

    def averaged(self) -> dict[str, dict[str, Tensor]]:
        """Return the averaged weights of each preset's decoder, on the CPU."""
        return {name: {k: v.cpu() for k, v in p.average.state_dict().items()} for name, p in self.parts.items()}

    def save(self, folder: Path) -> None:
        """Write all that another piece needs to go on, in files of 15 MB at most, then remove older ones."""
        parts = {
            name: [part.decoder.state_dict(), part.average.state_dict(), part.optimizer.state_dict(), part.started]
            for name, part in self.parts.items()
        }
        progress = {"step": self.step, "seconds": self.seconds, "encoder": self._encoder_key}
        buffer = io.BytesIO()
        torch.save({"presets": self.presets, "parts": parts, **progress}, buffer)
        content, older = buffer.getvalue(), set(folder.glob("state-*"))
        count = -(-len(content) // checkpoints.PART)
        for n in range(count):
            path = folder / f"state-{self.step:08}.{n:02}-of-{count:02}"
            write_bytes(path, content[n * checkpoints.PART : (n + 1) * checkpoints.PART])
            older.discard(path)
        for path in older:
            path.unlink()

    def _go_on_from(self, state: dict) -> None:
        if state["presets"] != self.presets:
            raise UserError(f"This run trains {', '.join(state['presets'])}: choose another --out folder for others.")
        if state["encoder"] != self._encoder_key:
            raise UserError("This run has another encoder: give the one that it began with, or another --out folder.")
        self.step, self.seconds = state["step"], state["seconds"]
        for name, (decoder, average, optimizer, started) in state["parts"].items():
            part = self.parts[name]
            part.decoder.load_state_dict(decoder)
            part.average.load_state_dict(average)
            part.optimizer.load_state_dict(optimizer)
            part.started = started
            for group in part.optimizer.param_groups:
                group["lr"] = part.rate


def read_state(folder: Path) -> dict | None:
    """Return the latest whole state that `Run.save` wrote into a folder; None if there is none."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("state-*.*-of-*")):
        found.setdefault(path.name.partition(".")[0], []).append(path)
    for _, files in sorted(found.items(), reverse=True):
        if len(files) == int(files[0].name.rpartition("-")[2]):
            content = io.BytesIO(b"".join(file.read_bytes() for file in files))
            return torch.load(content, map_location="cpu", weights_only=True)
    return None


def _check_recipes(presets: list[str], start: Path | None) -> None:
    """Raise a UserError for presets that are trained otherwise than by these steps, and for a start without weights."""
    for name in presets:
        if not recipe(name).positional_bias:
            raise UserError(f"{name} leaves out a part of its decoder: train it with `python -m clit train`.")
    if start is not None and not any(_find_start(name, start) for name in presets):
        raise UserError(f"{start} has no checkpoint of {', '.join(presets)} to start from.")


def _start_optimizer(part: Part) -> None:
    """Make Adam's state of a part that has none yet, without a change of the weights."""
    if part.optimizer.state:
        return
    for parameter in part.decoder.parameters():
        parameter.grad = torch.zeros_like(parameter)
    part.rate.zero_()
    part.optimizer.step()
    for state in part.optimizer.state.values():
        state["step"].zero_()


def _find_start(name: str, start: Path | None) -> str:
    """Return the preset that a preset starts from; empty for none.

    It is itself, or what it is a variant of, or for a cascade the one of one stage.
    """
    same = [n for n, config in PRESETS.items() if config == recipe(name).config]
    names = [name, *same, *(n.replace("clit-", "lit-", 1) for n in (name, *same))]
    return next((n for n in names if start and (start / n / checkpoints.CONFIG).is_file()), "")


def _load_start(name: str, decoder: Decoder, start: Path | None) -> str:
    """Load the weights that a preset starts from; return whose they are."""
    found = _find_start(name, start)
    if not found:
        if decoder.stage_count > 1:
            raise UserError(
                f"{name} needs weights to start from: give a --start folder with {name} or "
                f"{name.replace('clit-', 'lit-', 1)}."
            )
        return ""
    model = checkpoints.load(start / found)
    weights = model.decoder.state_dict()
    if isinstance(decoder, CLIT):
        if model.config.decoder != decoder.config and without_fourier(decoder.config) == model.config.decoder:
            weights = add_fourier_branch(decoder, weights)
        if model.stage_count < decoder.stage_count:
            weights = {**decoder.state_dict(), **weights}
    checkpoints.load_strictly(decoder, weights, f"the start of {name}")
    for j in range(model.stage_count, decoder.stage_count if recipe(name).copied else 0):
        start_stage(decoder.stages, j)
    return found
