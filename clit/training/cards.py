"""Cards: the README.md of a trained checkpoint says what it was trained on, how long, from what, and its score."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from clit.training.run import Run

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Origin:
    """What the cards of a run say of its photographs and of the weights it started from."""

    data: str
    encoder: str
    started: tuple[str, ...] = ()
    """Presets that started from earlier weights."""
    credits: str = ""
    """The end of each card."""


def format_card(run: Run, name: str, scores: dict[int, float], origin: Origin) -> str:
    """Return a preset's card as Markdown. scores: luma PSNR in dB on the held-out photographs, by scale."""
    s, config = run.settings, run.models[name].config
    rate = f"{s.rate:g}" if s.encoder_rate is None else f"{s.rate:g}, of the encoder {s.encoder_rate:g}"
    shape = ", ".join(f"{key} {value}" for key, value in asdict(config.decoder).items() if key != "name")
    others = [other for other in run.presets if other != name]
    together = f", together with {', '.join(others)}" if others else ""
    pixels = f"an output pixel for each of up to {s.latents}x{s.latents} latents"
    started = f"; {', '.join(origin.started)} from earlier weights" if origin.started else ""
    held_out = ", ".join(f"x{scale} {value:.2f} dB" for scale, value in scores.items()) or "none"
    alone, shared = run.cpu_seconds[name] / 60, run.cpu_seconds["shared"] / 60
    return f"""---
library_name: clit
pipeline_tag: image-to-image
---
# {name}

`clit.load("{name}")`: {config.decoder.name} ({shape}) on {config.encoder.name}.

| | |
|---|---|
| data | {origin.data} |
| encoder | {"frozen at" if s.freeze_encoder else "starts from"} {origin.encoder}{started} |
| steps | {run.step} of {s.batch} crops, {s.patch}x{s.patch} LR pixels, {pixels}{together} |
| time | {run.seconds / 60:.0f} minutes for the run; {alone:.0f} CPU minutes of {name} alone, {shared:.0f} shared |
| machine | {_describe_machine(run.accelerator)} |
| optimiser | Adam, rate {rate}, {s.warmup} steps of warm-up, cosine decay; L1; averaged with {s.average:g} |
| progress of its schedule | {run.progress:.0%} |
| held-out photographs, luma PSNR | {held_out} |

{origin.credits}"""


def _describe_machine(accelerator: Accelerator) -> str:
    on_gpu = accelerator.device.type == "cuda"
    device = torch.cuda.get_device_name(accelerator.device) if on_gpu else f"{os.cpu_count()} CPU cores"
    count, precision = accelerator.num_processes, accelerator.mixed_precision
    machine = device if count == 1 else f"{count} processes, {device} each"
    return f"{machine}, mixed precision ({precision})" if precision in ("bf16", "fp16") else machine
