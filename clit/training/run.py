"""A run: one or more presets in training over one encoder and its features, and one step of it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from clit.config import recipe, without_fourier
from clit.geometry import View
from clit.networks import checkpoints, compiling
from clit.networks.decoders.base import Features
from clit.networks.model import SRModel
from clit.training.curriculum import add_fourier_branch, choose_stage_count, start_stage
from clit.training.photographs import Photographs
from clit.training.processes import average_gradients
from clit.training.samples import Sample, draw_sample
from clit.training.settings import Settings

if TYPE_CHECKING:
    from accelerate import Accelerator


class Run:
    """The state of training: models, averaged weights, optimiser, progress, random state. `state` saves it."""

    def __init__(
        self,
        presets: list[str],
        settings: Settings,
        accelerator: Accelerator,
        *,
        encoder: dict[str, Tensor] | None = None,
        start: dict[str, SRModel] | None = None,
    ):
        """Build the models of some presets over one encoder.

        accelerator: says where to train, in which precision and with how many processes. encoder: weights that the
        encoder starts from. start: models that presets of these names start from; the encoder too, where `encoder` is
        not given. UserError for weights that do not fit.
        """
        compiling.wait()  # so that a run that is done again computes every step alike
        torch.manual_seed(settings.seed)  # all processes start from the same weights
        start = start or {}
        self.presets, self.settings = presets, settings
        self.accelerator, self.device = accelerator, accelerator.device
        self.recipes = {name: recipe(name) for name in presets}
        self.models = {name: SRModel(self.recipes[name].config) for name in presets}
        self.encoder = self.models[presets[0]].encoder
        for model in self.models.values():
            model.encoder = self.encoder
        self._load_weights(encoder, start)
        self._freeze()
        self.network = nn.ModuleDict({"encoder": self.encoder, **{n: m.decoder for n, m in self.models.items()}})
        self.network.to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = self._make_optimizer()
        self.random = np.random.default_rng([settings.seed, accelerator.process_index])
        self.step, self.seconds = 0, 0.0
        at_once = {name for name in presets if name in start or not self.recipes[name].cumulative}
        # How many stages have been trained so far, and how many the curriculum begins with.
        self.started_stages = {n: self.models[n].stage_count if n in at_once else 1 for n in presets}
        self.first_stages = {n: self.count_factors(n) if n in at_once else 1 for n in presets}
        self.cpu_seconds = {name: 0.0 for name in [*presets, "shared", "data"]}
        self.recent: dict[str, list[float]] = {name: [] for name in presets}  # losses since the last test

    def _load_weights(self, encoder: dict[str, Tensor] | None, start: dict[str, SRModel]) -> None:
        if encoder is None and start:
            encoder = next(iter(start.values())).encoder.state_dict()
        if encoder is not None:
            checkpoints.load_strictly(self.encoder, encoder, "the starting encoder")
        for name, model in start.items():
            decoder, weights = self.models[name].decoder, model.decoder.state_dict()
            config, earlier = self.recipes[name].config.decoder, model.config.decoder
            if earlier != config and earlier == without_fourier(config):
                weights = add_fourier_branch(decoder, weights)
            checkpoints.load_strictly(decoder, weights, f"the start of {name}")

    def _freeze(self) -> None:
        """Exclude from training what the settings and recipes leave as it is."""
        self.encoder.requires_grad_(not self.settings.freeze_encoder)
        for name in self.presets:
            if not self.recipes[name].positional_bias:
                for parameter in self.models[name].decoder.bias.parameters():
                    nn.init.zeros_(parameter).requires_grad_(False)

    def _make_optimizer(self) -> torch.optim.Adam:
        """Make Adam with a parameter group per network; each has its learning rate after the warm-up as `peak`."""
        s = self.settings
        peaks = [(self.encoder, s.encoder_rate or s.rate)]
        peaks += [(model.decoder, s.rate) for model in self.models.values()]
        groups = [{"params": [p for p in net.parameters() if p.requires_grad], "peak": peak} for net, peak in peaks]
        return torch.optim.Adam([group for group in groups if group["params"]], lr=s.rate, betas=(0.9, 0.99))

    def count_factors(self, name: str) -> int:
        """Number of stage factors multiplied to draw a training scale, once the curriculum is complete."""
        return self.recipes[name].factors or self.models[name].stage_count

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        s = self.settings
        return min(1.0, self.step / s.steps if s.steps else self.seconds / (60 * s.minutes))

    @property
    def rate_share(self) -> float:
        """The learning rate as a share of its peak: linear warm-up, then a cosine down to a fiftieth."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        return min(1.0, (self.step + 1) / self.settings.warmup) * (0.02 + 0.98 * cosine)

    def averaged_model(self, name: str) -> SRModel:
        """Return a copy of a preset's model with its averaged weights, on the CPU."""
        model = copy.deepcopy(self.models[name]).cpu()
        model.encoder.load_state_dict(self.average["encoder"].state_dict())
        model.decoder.load_state_dict(self.average[name].state_dict())
        return model.eval()

    def train_step(self, photographs: Photographs) -> dict[str, float]:
        """Train every preset for one step; return each one's L1 loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.rate_share
        self.optimizer.zero_grad(set_to_none=True)
        groups = self._group_by_sample()
        losses = dict.fromkeys(self.presets, 0.0)
        for _ in range(self.settings.accumulate):
            for (count, stages), names in groups:
                with self._count_cpu_seconds("data"):
                    sample = self.draw(photographs, count, stages)
                for name, loss in self.backward(sample, names).items():
                    losses[name] += loss / self.settings.accumulate
        average_gradients(self.accelerator, self.network)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return losses

    def _group_by_sample(self) -> list[tuple[tuple[int, int], list[str]]]:
        """Group the presets that can share a sample in this step, by its numbers of factors and of stages."""
        groups: dict[tuple[int, int], list[str]] = {}
        for name in self.presets:
            count = choose_stage_count(self.count_factors(name), self.progress, self.step, self.first_stages[name])
            groups.setdefault((count, min(count, self.models[name].stage_count)), []).append(name)
        return sorted(groups.items())

    def draw(self, photographs: Photographs, count: int, stages: int | None = None) -> Sample:
        """Draw a sample from this run's random state; see `draw_sample`."""
        return draw_sample(photographs, self.random, self.settings, count, stages, self.device)

    def backward(self, sample: Sample, names: list[str]) -> dict[str, float]:
        """Add the gradients of some presets' losses on a sample; return the losses of their last stages."""
        s, losses = self.settings, {}
        target = sample.target()
        with self._count_cpu_seconds("shared"):
            with torch.set_grad_enabled(not s.freeze_encoder), self.accelerator.autocast():
                encoded = self.models[names[0]].encode(sample.batch.lr)
            # The decoders' gradients add up in this copy, so that one pass back through the encoder is enough.
            shared_map = encoded.map.detach().requires_grad_(not s.freeze_encoder)
            features = replace(encoded, map=shared_map)
        for name in names:
            with self._count_cpu_seconds(name):
                self._start_stages(name, len(sample.factors))
                each = [l1_loss(rgb, target) for rgb in self._predict(name, features, sample)]
                counted = each if self.recipes[name].every_stage else each[-1:]
                (sum(counted) / len(counted) / s.accumulate).backward()
                losses[name] = each[-1].item()
        if not s.freeze_encoder:
            with self._count_cpu_seconds("shared"):
                encoded.map.backward(shared_map.grad)
        return losses

    def _predict(self, name: str, features: Features, sample: Sample) -> list[Tensor]:
        """Return what a preset's model predicts for the sample's pixels after each stage: (B, R, S, 3), 0 to 1."""
        model, size = self.models[name], tuple(sample.batch.hr.shape[-2:])
        view = View(features.size, size, sample.pixels, tuple((factor, factor) for factor in sample.factors))
        with self.accelerator.autocast():
            return [rgb.float() for rgb in model.render_stages(model.prepare(features, view))]

    def _start_stages(self, name: str, stages: int) -> None:
        """Start those of the first `stages` stages that have not been trained yet, in the model and in its average."""
        for j in range(self.started_stages[name], stages):
            for network in (self.network, self.average):
                start_stage(network[name].stages, j)
            self.started_stages[name] = j + 1

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    @contextmanager
    def _count_cpu_seconds(self, name: str) -> Iterator[None]:
        """Add the CPU time of the block to a preset's, or to what presets share, or to that of the data."""
        began = time.process_time()
        yield
        self.cpu_seconds[name] += time.process_time() - began


def l1_loss(rgb: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of RGB in [0, 1], measured in the networks' range [-1, 1]."""
    return (rgb - target).abs().mean() * 2
