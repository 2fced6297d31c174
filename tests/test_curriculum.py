"""The curriculum: how many stages a step trains, at which scales, and how a new stage starts."""

import copy

import numpy as np
import torch
from torch import nn

from clit.config import CLITConfig
from clit.networks.decoders.clit import CLIT
from clit.training.curriculum import STAGE_FACTORS, choose_stage_count, draw_factors, merge_factors, start_stage


def test_the_curriculum_is_cumulative():
    seen = [
        {choose_stage_count(3, progress, step) for step in range(12)} for progress in (0.0, 0.27, 0.3, 0.56, 0.58, 1.0)
    ]
    assert seen == [{1}, {1}, {1, 2}, {1, 2}, {1, 2, 3}, {1, 2, 3}]
    assert {choose_stage_count(1, progress, 5) for progress in (0.0, 0.5, 1.0)} == {1}
    assert np.prod([high for _, high in STAGE_FACTORS]) > 30


def test_every_stage_draws_its_factor_from_its_range():
    random = np.random.default_rng(0)
    drawn = np.array([draw_factors(random, 4) for _ in range(500)])
    lows, highs = np.array([*STAGE_FACTORS, STAGE_FACTORS[-1]]).T
    assert (drawn >= lows).all() and (drawn <= highs).all()
    assert (drawn.max(0) > highs - 0.1).all() and (drawn.min(0) < lows + 0.1).all()


def test_fewer_stages_can_share_out_the_same_scale():
    assert merge_factors([2.0, 3.0, 1.5], 1) == [9.0] and merge_factors([2.0, 3.0, 1.5], 2) == [2.0, 4.5]
    assert merge_factors([2.0, 3.0], 3) == merge_factors([2.0, 3.0], 2) == [2.0, 3.0]


def test_a_new_stage_starts_from_the_one_before():
    stages = CLIT(CLITConfig(width=8, heads=2, radius=1, hidden=(8,), stages=2), 8).stages
    before: nn.ModuleList = copy.deepcopy(stages)
    start_stage(stages, 1)
    assert torch.equal(stages[1].value_conv.weight, before[0].value_conv.weight)
    assert torch.equal(stages[1].mlp[-1].weight, before[0].mlp[-1].weight * 0.25)
    assert all(torch.equal(a, b) for a, b in zip(stages[0].parameters(), before[0].parameters(), strict=True))
