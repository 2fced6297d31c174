"""The curriculum: how many stages a step trains, and at which scale (CLIT, section 3.5)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from clit.networks.decoders.clit import CARRY

STAGE_FACTORS = ((1.0, 4.0), (1.0, 4.0), (1.0, 3.2))
"""Range of each stage's factor in training.

The third range is wider than the published U(1, 2). It covers the balanced chain at x30, three factors of 3.1.
"""


def choose_stage_count(total: int, progress: float, step: int, first: int = 1) -> int:
    """Return how many of `total` stages a step trains: the cumulative curriculum.

    The first phase trains one stage, the second one and two in turn, the third one, two and three in turn. The last
    phase is half as long again as the others (published: 1000, 1000 and 1500 epochs).

    progress: share of the run that is done, 0..1. step: its number, which takes the turns. first: the number of stages
    trained from the first step on.
    """
    phase = min(total, max(first, 1 + int(progress * (total + 0.5))))
    return 1 + step % phase


def draw_factors(random: np.random.Generator, count: int) -> list[float]:
    """Draw `count` stage factors, whose product is the scale of a sample."""
    return [random.uniform(*STAGE_FACTORS[min(j, len(STAGE_FACTORS) - 1)]) for j in range(count)]


def merge_factors(factors: list[float], stages: int) -> list[float]:
    """Reduce factors to at most `stages` without a change of scale: the last stage takes the product of the rest."""
    return [*factors[: stages - 1], math.prod(factors[stages - 1 :])] if len(factors) > stages else factors


@torch.no_grad()
def start_stage(stages: nn.ModuleList, index: int) -> None:
    """Start a stage of a CLIT decoder from the weights of the stage before it.

    Its last layer is scaled so that it continues the sum: the new stage adds to 0.75 of the prediction before it, and
    so the prediction does not jump.
    """
    stages[index].load_state_dict(stages[index - 1].state_dict())
    for parameter in stages[index].mlp[-1].parameters():
        parameter.mul_(1 - CARRY)


def add_fourier_branch(decoder: nn.Module, earlier: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of an earlier decoder without Fourier branch, completed for one that has the branch.

    decoder: a CLIT decoder with the branch, just built. earlier: the state of one that is otherwise the same. The MLPs
    read the branch's features with weights of 0, so that the output is the earlier one's to begin with.
    """
    completed = {}
    for key, own in decoder.state_dict().items():
        if key not in earlier and ".fourier_conv." in key:
            completed[key] = own
        elif key.endswith(".mlp.0.weight") and key in earlier:
            completed[key] = nn.functional.pad(earlier[key], (0, own.shape[1] - earlier[key].shape[1]))
    return earlier | completed
