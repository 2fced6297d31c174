"""How a run is trained: its length, its samples, its learning rates. `python -m clit train` has flags for most."""

from __future__ import annotations

from dataclasses import dataclass

from clit.config import ABLATIONS, PRESETS, TRIALS, recipe
from clit.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Settings of one run. Either `minutes` or `steps` sets its length."""

    minutes: float | None = None
    """Minutes of training. Pauses do not count."""
    steps: int | None = None
    batch: int = 8
    """Crops per step and process."""
    patch: int = 24
    """Side of a low-resolution crop in pixels."""
    latents: int = 24
    """Side of the part of the last stage's grid that is trained: one output pixel for each of its latents."""
    rate: float = 1e-3
    """Peak learning rate of Adam."""
    encoder_rate: float | None = None
    """Peak learning rate of the encoder; None: `rate`."""
    warmup: int = 100
    """Steps until the learning rate is at its peak."""
    average: float = 0.999
    """Decay of the averaged weights."""
    accumulate: int = 1
    """Batches per step, one after another."""
    freeze_encoder: bool = False
    save_every: float = 120.0
    """Seconds between two saved states."""
    test_every: int = 500
    """Steps between two scores on the held-out photographs."""
    seed: int = 0

    def check(self) -> None:
        """Raise a UserError that names the first setting that is out of range."""
        if (self.minutes is None) == (self.steps is None):
            raise UserError("Give the length of the run as either --minutes or --steps.")
        if (self.minutes or self.steps) <= 0:
            raise UserError("The length of the run must be more than 0.")
        for name in ("batch", "patch", "latents", "rate", "accumulate"):
            if getattr(self, name) <= 0:
                raise UserError(f"--{name} is {getattr(self, name):g}, but must be more than 0.")
        if self.encoder_rate is not None and not 0 < self.encoder_rate <= self.rate:
            raise UserError(
                f"--encoder-rate is {self.encoder_rate:g}, but must be more than 0 and at most --rate, which is "
                f"{self.rate:g}; --freeze-encoder leaves the encoder as it is."
            )


def check_presets(presets: list[str]) -> None:
    """Raise a UserError unless all presets are known and share one encoder configuration."""
    unknown = [name for name in presets if recipe(name) is None]
    if unknown or not presets:
        known = ", ".join([*PRESETS, *ABLATIONS, *TRIALS])
        raise UserError(f"Unknown preset {', '.join(unknown)}: choose from {known}.")
    if len({recipe(name).config.encoder for name in presets}) > 1:
        raise UserError("Presets trained together must share one encoder configuration.")
