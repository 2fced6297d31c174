"""state.pt: everything that a stopped run needs to go on exactly as if it had not been stopped."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path

import torch

from clit.errors import UserError
from clit.system.atomic import write_bytes
from clit.training.processes import gather
from clit.training.run import Run

_PROGRESS = ("step", "seconds", "started_stages", "first_stages", "cpu_seconds", "recent")


def save_state(run: Run, path: Path) -> None:
    """Write the state of a run. All processes must call this; the main one writes the file."""
    state = {
        "presets": run.presets,
        "settings": asdict(run.settings),
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "random": gather(run.random.bit_generator.state),  # one per process
        **{name: getattr(run, name) for name in _PROGRESS},
    }
    if run.accelerator.is_main_process:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_bytes(path, buffer.getvalue())


def load_state(run: Run, path: Path) -> None:
    """Set a run to a saved state. UserError if that is one of other presets."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["presets"] != run.presets:
        raise UserError(f"This run trains {', '.join(state['presets'])}: choose another --out folder for others.")
    run.network.load_state_dict(state["network"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    index = run.accelerator.process_index
    if index < len(state["random"]):  # a process that was not there before keeps its own random state
        run.random.bit_generator.state = state["random"][index]
    for name in _PROGRESS:
        if name in state:  # files of earlier versions lack some
            setattr(run, name, state[name])
