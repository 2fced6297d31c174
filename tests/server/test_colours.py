"""Numbers per pixel as colours."""

from __future__ import annotations

import numpy as np
import pytest

from clit.ui.colours import attention_colours, entropy_span


def test_entropies_are_told_apart_in_colours():
    survey = np.zeros((1, 101, 2, 3), np.float32)
    survey[0, :, 0, 0] = np.linspace(2, 3, 101)
    survey[0, :, 1, 0] = 4.0
    assert entropy_span(survey, 1) == pytest.approx((2.01, 2.99))
    assert entropy_span(survey, 0) == pytest.approx((3.005, 3.495)), "of all heads, the mean"
    assert entropy_span(survey, 2) == pytest.approx((3.95, 4.05)), "what is the same everywhere has one colour"
    colours = attention_colours(survey, "entropy", 1, 3)[0]
    assert colours[0] @ [0.3, 0.6, 0.1] < 0.2 and colours[-1] @ [0.3, 0.6, 0.1] > 0.8
    assert np.ptp(attention_colours(survey, "entropy", 2, 3), axis=1).max() == 0


def test_directions_have_their_colours():
    offsets = np.array([[0, 0], [-3, 0], [3, 0], [0, -3], [0, 3]], np.float32)
    survey = np.concatenate([np.zeros((5, 1), np.float32), offsets], 1)[None, :, None]
    centre, up, down, left, right = attention_colours(survey, "direction", 0, 3)[0]
    assert np.ptp(centre) < 0.01 and centre.max() < 0.2, "looking nowhere else is dark and grey"
    assert up[2] < min(up[:2]) and down[2] == down.max(), "up is yellow, down is blue"
    assert right[0] == right.max() and left[1] == left.max(), "right is red, left is green"
