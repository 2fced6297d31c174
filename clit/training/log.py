"""The course of a run: metrics.csv, and TensorBoard where that is installed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clit.system.atomic import write_bytes
from clit.training.run import Run


class Log:
    """A run's losses and scores, written to its folder. Only the main process has one."""

    def __init__(self, out: Path, scales: Sequence[int], step: int):
        """Open the log of the folder `out`; rows after `step` are dropped, since the run does these steps again.

        scales: those of the held-out scores, a column each.
        """
        self.path, self.scales = out / "metrics.csv", scales
        _drop_rows_after(self.path, step)
        self._board = _open_tensorboard(out, step)

    def add_losses(self, run: Run, steps: int) -> None:
        """Give TensorBoard each preset's mean loss of the last few steps."""
        for name in run.presets if self._board else ():
            self._board.add_scalar(f"l1/{name}", np.mean(run.recent[name][-steps:]), run.step)

    def add_scores(self, run: Run, scores: dict[str, dict[int, float]]) -> None:
        """Add a row per preset: its time and loss so far, its luma PSNR in dB by scale."""
        head = ["preset", "step", "wall_minutes", "cpu_minutes", "shared_cpu_minutes", "l1"]
        lines = [] if self.path.exists() else [[*head, *(f"psnr_x{scale}" for scale in self.scales)]]
        for name, by_scale in scores.items():
            minutes = [run.seconds / 60, run.cpu_seconds[name] / 60, run.cpu_seconds["shared"] / 60]
            l1 = float(np.mean(run.recent[name])) if run.recent[name] else math.nan
            psnrs = [f"{by_scale[scale]:.3f}" if scale in by_scale else "" for scale in self.scales]
            lines.append([name, str(run.step), *(f"{m:.2f}" for m in minutes), f"{l1:.5f}", *psnrs])
            for scale, value in by_scale.items() if self._board else ():
                self._board.add_scalar(f"psnr_x{scale}/{name}", value, run.step)
        before = self.path.read_text() if self.path.exists() else ""
        write_bytes(self.path, (before + "".join(",".join(line) + "\n" for line in lines)).encode())

    def close(self) -> None:
        if self._board:
            self._board.close()


def _drop_rows_after(path: Path, step: int) -> None:
    if path.exists():
        head, *lines = path.read_text().splitlines(keepends=True)
        write_bytes(path, "".join([head, *(line for line in lines if int(line.split(",")[1]) <= step)]).encode())


def _open_tensorboard(out: Path, step: int):
    """Return a writer that hides what was logged after `step`; None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(out / "tensorboard", purge_step=step)
