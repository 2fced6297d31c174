"""A run on one GPU: presets over one frozen encoder, trained for some minutes, in pieces if need be.

A step's operations, from the features to the averaged weights, are recorded as CUDA graphs, one for each preset and
kind of sample, and replayed. Elsewhere than on a GPU they simply run.
"""

from __future__ import annotations

import copy
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from clit.config import recipe, without_fourier
from clit.errors import UserError
from clit.networks import checkpoints
from clit.networks.decoders.base import Decoder
from clit.networks.decoders.clit import CLIT
from clit.networks.model import SRModel
from clit.system.atomic import write_bytes
from clit.training.curriculum import add_fourier_branch, start_stage
from clit.training.gpu.decoders import predict
from clit.training.gpu.samples import Kind, Samples, make_kind

PART = 15_000_000
"""Bytes of one file of a run's state, at most."""
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
    factors: int
    started: str
    """The preset whose weights it started from; empty for none."""
    steps: dict[Kind, Callable[[], None]] = field(default_factory=dict)
    losses: dict[Kind, Tensor] = field(default_factory=dict)
    """Sums of L1 losses since the last report."""

    def kind(self, step: int) -> Kind:
        """The kind of sample of a step: one factor, two, three, in turn."""
        return make_kind(1 + step % self.factors, self.decoder.stage_count)


class Run:
    """Presets in training over one frozen encoder."""

    def __init__(self, presets: list[str], settings: Settings, encoder: dict[str, Tensor], start: Path | None = None):
        """encoder: its weights. start: a folder of checkpoints that presets start from, where it has them.

        UserError for weights that do not fit, and for a cascade without weights to start from.
        """
        torch.manual_seed(settings.seed)
        torch.set_float32_matmul_precision("high")  # TF32; convolutions have it by default
        torch.backends.cudnn.benchmark = True
        self.presets, self.settings = presets, settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.on_gpu = self.device.type == "cuda"
        models = {name: SRModel(recipe(name).config) for name in presets}
        self.encoder = models[presets[0]].encoder
        checkpoints.load_strictly(self.encoder, encoder, "the encoder")
        self.encoder.requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self.parts = {name: self._make_part(name, model.decoder, start) for name, model in models.items()}
        self.inputs: dict[Kind, dict[str, Tensor]] = {}
        self.maps: dict[Kind, Tensor] = {}
        self.encodes: dict[Kind, Callable[[], None]] = {}
        self.step, self.seconds = 0, 0.0

    def _make_part(self, name: str, decoder: Decoder, start: Path | None) -> Part:
        started = _load_start(name, decoder, start)
        decoder.to(self.device)
        for module in decoder.modules():
            if hasattr(module, "frequencies"):  # not a buffer: see PositionalBias
                module.frequencies = module.frequencies.to(self.device)
        rate = torch.tensor(0.0, device=self.device)
        options = dict(fused=True, capturable=True) if self.on_gpu else {}
        optimizer = torch.optim.Adam(decoder.parameters(), lr=rate, betas=(0.9, 0.99), **options)
        average = copy.deepcopy(decoder).requires_grad_(False)
        return Part(decoder, average, optimizer, rate, recipe(name).factors or decoder.stage_count, started)

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
        cycle = math.lcm(*(part.factors for part in self.parts.values()))
        kinds = [list(dict.fromkeys(p.kind(t) for p in self.parts.values())) for t in range(cycle)]
        samples = Samples(photographs, kinds, self.settings.seed)
        loader = DataLoader(
            samples, None, sampler=range(self.step, len(samples)), num_workers=self.settings.workers,
            pin_memory=self.on_gpu, prefetch_factor=4 if self.settings.workers else None,
        )  # fmt: skip
        source = iter(loader)
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
            part.steps[part.kind(self.step)]()
        self.step += 1

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
                _start_optimizer(part)
                part.losses[kind] = torch.zeros((), device=self.device)
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
        loss = (predict(part.decoder, self.maps[kind], sample) - target).abs().mean()
        loss.backward()
        part.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(part.average.parameters()), list(part.decoder.parameters()), 1 - AVERAGE)
            part.losses[kind] += loss.detach()

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
            each = [f"{loss.item() * part.factors / REPORT_EVERY:.4f}" for loss in part.losses.values()]
            lines.append(f"{name} {' '.join(each)}")
            for loss in part.losses.values():
                loss.zero_()
        return ", ".join(lines)

    def averaged(self) -> dict[str, dict[str, Tensor]]:
        """Return the averaged weights of each preset's decoder, on the CPU."""
        return {name: {k: v.cpu() for k, v in p.average.state_dict().items()} for name, p in self.parts.items()}

    def save(self, folder: Path) -> None:
        """Write all that another piece needs to go on, in files of 15 MB at most."""
        parts = {
            name: [part.decoder.state_dict(), part.average.state_dict(), part.optimizer.state_dict()]
            for name, part in self.parts.items()
        }
        buffer = io.BytesIO()
        torch.save({"presets": self.presets, "step": self.step, "seconds": self.seconds, "parts": parts}, buffer)
        content = buffer.getvalue()
        for old in folder.glob("state.pt.*"):
            old.unlink()
        for n, first in enumerate(range(0, len(content), PART)):
            write_bytes(folder / f"state.pt.{n:02}", content[first : first + PART])

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote, if there is such a state. UserError for one of other presets."""
        files = sorted(folder.glob("state.pt.*"))
        if not files:
            return
        content = io.BytesIO(b"".join(file.read_bytes() for file in files))
        state = torch.load(content, map_location=self.device, weights_only=True)
        if state["presets"] != self.presets:
            raise UserError(f"This run trains {', '.join(state['presets'])}: choose another --out folder for others.")
        self.step, self.seconds = state["step"], state["seconds"]
        for name, (decoder, average, optimizer) in state["parts"].items():
            part = self.parts[name]
            part.decoder.load_state_dict(decoder)
            part.average.load_state_dict(average)
            part.optimizer.load_state_dict(optimizer)
            for group in part.optimizer.param_groups:
                group["lr"] = part.rate


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


def _load_start(name: str, decoder: Decoder, start: Path | None) -> str:
    """Load the weights that a preset starts from; return whose they are.

    A cascade may start from the preset of one stage beside it.
    """
    single = name.replace("clit-", "lit-", 1)
    found = [n for n in (name, single) if start and (start / n / checkpoints.CONFIG).is_file()]
    if not found:
        if decoder.stage_count > 1:
            raise UserError(f"{name} needs weights to start from: give a --start folder with {name} or {single}.")
        return ""
    model = checkpoints.load(start / found[0])
    weights = model.decoder.state_dict()
    if isinstance(decoder, CLIT):
        if model.config.decoder != decoder.config and without_fourier(decoder.config) == model.config.decoder:
            weights = add_fourier_branch(decoder, weights)
        if model.stage_count < decoder.stage_count:
            weights = {**decoder.state_dict(), **weights}
    checkpoints.load_strictly(decoder, weights, f"the start of {name}")
    for j in range(model.stage_count, decoder.stage_count):
        start_stage(decoder.stages, j)
    return found[0]
