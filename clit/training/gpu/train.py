"""Train on one GPU: read the photographs, train a piece of the run, write its state or its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch

from clit.config import recipe
from clit.errors import UserError
from clit.networks import checkpoints
from clit.networks.model import SRModel
from clit.training.gpu.run import AVERAGE, WARMUP, Run, Settings, read_state
from clit.training.photographs import choose_photographs, read_photograph
from clit.training.settings import check_presets


def train(
    presets: list[str],
    data: list[Path],
    out: Path,
    settings: Settings,
    *,
    piece: float,
    encoder: SRModel,
    encoder_name: str,
    start: Path | None = None,
    held_out: Collection[str] = (),
    credits: str = "",
    report: Callable[[str], None],
) -> None:
    """Train presets over a frozen encoder; continue the run that lies in `out`, if there is one.

    data: folders of photographs, of which those named in held_out are left out. piece: minutes of this piece at most.
    encoder: a model with the encoder; encoder_name: what the cards call it. start: a folder of checkpoints that
    presets start from. credits: text that ends each card. report(line): called as the run goes.

    A quarter of the run, a half and three quarters leave the averaged weights in `out`; its end a checkpoint directory
    per preset. UserError for wrong presets, folders, weights or settings.
    """
    check_presets(presets)
    if not (settings.minutes > 0 and piece > 0 and settings.rate > 0 and settings.workers >= 0):
        raise UserError("--minutes, --piece and --rate must be more than 0, and --workers at least 0.")
    out.mkdir(parents=True, exist_ok=True)
    run = Run(presets, settings, encoder.encoder.state_dict(), start, read_state(out))
    with ThreadPoolExecutor() as pool:
        photographs = list(pool.map(read_photograph, choose_photographs(data, held_out)))
    amount = f"{len(photographs)} photographs, {sum(p.shape[0] * p.shape[1] for p in photographs) / 1e6:.0f} MP"
    report(amount)

    def keep(share: int) -> None:
        averaged = {n: {k: v.half() for k, v in state.items()} for n, state in run.averaged().items()}
        torch.save(averaged, out / f"averaged-{share}.pt")

    run.train(photographs, 60 * piece, keep, report)
    run.save(out)
    if run.progress < 1:
        return
    source = f"{amount}, from {', '.join(Path(folder).name for folder in data)}; {len(held_out)} held out"
    for name, state in run.averaged().items():
        model = SRModel(recipe(name).config)
        model.encoder.load_state_dict(encoder.encoder.state_dict())
        model.decoder.load_state_dict(state)
        card = _format_card(run, name, model, source, encoder_name, credits)
        checkpoints.save(model, out / name, card=card, dtype=torch.float16)


def _format_card(run: Run, name: str, model: SRModel, source: str, encoder: str, credits: str) -> str:
    """Return a preset's card as Markdown."""
    decoder, part = model.config.decoder, run.parts[name]
    shape = ", ".join(f"{key} {value}" for key, value in asdict(decoder).items() if key != "name")
    others = [other for other in run.presets if other != name]
    kinds = [
        f"{k.crops} crops of {k.patch}x{k.patch} LR pixels, {k.pixels}x{k.pixels} output pixels" for k in part.steps
    ]
    began = f"; decoder from {part.started}" if part.started else "; decoder from random weights"
    device = torch.cuda.get_device_name() if run.on_gpu else "CPU"
    return f"""---
library_name: clit
pipeline_tag: image-to-image
---
# {name}

`clit.load("{name}")`: {decoder.name} ({shape}) on {model.config.encoder.name}.

| | |
|---|---|
| data | {source} |
| encoder | frozen at {encoder}{began} |
| steps | {run.step}, of {" or ".join(kinds)}{f"; together with {', '.join(others)}" if others else ""} |
| time | {run.seconds / 60:.1f} minutes for the run |
| machine | one {device} |
| optimiser | Adam, rate {run.settings.rate:g}, {WARMUP} steps of warm-up, cosine decay; L1; averaged with {AVERAGE:g} |

{credits}"""
