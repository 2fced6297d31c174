"""Where two methods differ most."""

from __future__ import annotations

import numpy as np
import pytest

import clit
from clit.pictures.metrics import luma
from clit.ui.differences import COUNT, SIDE, find_places, sample
from clit.ui.limits import Limits
from clit.ui.questions import ask, find_differences, open_truth
from clit.ui.site import Site
from server.visitor import arrive

LIT, LIIF = {"model": "lit-light"}, {"model": "liif-light"}


def mean_over(difference: np.ndarray, place: dict, lr: tuple[int, int]) -> float:
    """The mean, in 255ths, over the output pixels whose centres lie in a place, of an output compared whole."""
    inside = []
    for side, length, n, n_out in zip(("top", "left"), ("height", "width"), lr, difference.shape, strict=True):
        centres = (np.arange(n_out) + 0.5) * n / n_out
        inside.append((centres >= place[side]) & (centres < place[side] + place[length]))
    return 255 * difference[np.ix_(*inside)].mean()


def test_the_largest_differences_come_first_and_apart():
    lr, size = (100, 150), (300, 450)
    y, x = (at.numpy() for at in (sample(size).rows, sample(size).columns))
    blots = {(40, 60): 0.5, (41, 95): 0.4, (80, 20): 0.3, (12, 130): 0.2, (78, 120): 0.1, (15, 20): 0.05}
    difference = np.zeros((len(y), len(x)))
    for (row, column), height in blots.items():
        near = np.ix_(np.abs(y / 3 - row) <= 4, np.abs(x / 3 - column) <= 4)
        difference[near] += height
    places = find_places(difference, lr, size)
    assert len(places) == COUNT
    for place, (row, column) in zip(places, blots, strict=False):
        assert place.height == place.width == SIDE
        assert place.top + 4 <= row <= place.top + 20 and place.left + 4 <= column <= place.left + 20
    assert [place.difference for place in places] == sorted((place.difference for place in places), reverse=True)
    for index, one in enumerate(places):
        for other in places[:index]:
            assert abs(one.top - other.top) >= SIDE or abs(one.left - other.left) >= SIDE
    assert find_places(np.zeros_like(difference), lr, size) == []


@pytest.mark.parametrize("scale", [1, 2.7, 4])
def test_places_have_the_mean_difference_of_what_upscale_computes(site, visit, examples, scale):
    answer = ask(find_differences, site, {**visit, "methods": [LIT, LIIF], "scale": scale})
    one, other = (clit.upscale(clit.load(each["model"]), examples / "one.png", scale=scale) for each in (LIT, LIIF))
    difference = np.abs(luma(one) - luma(other))
    assert answer["scale"] == scale
    [place] = answer["places"]
    assert (place["height"], place["width"]) == (24, 24), "no second one fits into 30 x 40 pixels beside the first"
    assert place["difference"] == pytest.approx(mean_over(difference, place, (30, 40)), rel=1e-3)
    others = [
        mean_over(difference, {**place, "top": top, "left": left}, (30, 40)) for top in range(7) for left in range(17)
    ]
    assert place["difference"] == pytest.approx(max(others), rel=1e-3)


def test_stages_chains_and_large_scales(site, visit):
    early = {"model": "clit-light", "stages": 1}
    asked = {**visit, "methods": [{"model": "clit-light"}, early], "scale": 20}
    assert ask(find_differences, site, asked) == {"scale": 4.0, "places": []}, "at x4 there is one stage"
    answer = ask(find_differences, site, {**asked, "methods": [{"model": "clit-light"}, LIT]})
    assert answer["scale"] == 4 and len(answer["places"]) == 1


def test_differences_from_the_ground_truth(site, visit, examples):
    opened = ask(open_truth, site, {**visit, "scale": 1.2})
    asked = {**visit, "picture": opened["id"], "methods": [LIT, {"model": "truth"}], "scale": 1.2}
    [place] = ask(find_differences, site, asked)["places"]
    picture = site.session(visit["token"]).picture
    enlarged = clit.upscale(clit.load("lit-light"), picture.rgb, size=picture.truth.shape[:2])
    difference = np.abs(luma(enlarged) - luma(picture.truth))
    assert place["difference"] == pytest.approx(mean_over(difference, place, picture.size), rel=1e-3)
    assert "no ground truth" in ask(find_differences, site, {**asked, "scale": 1.3})["error"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"methods": None}, {"methods": []}, {"methods": [LIT]}, {"methods": [LIT, LIT]}, {"methods": [LIT, LIIF, LIT]},
        {"methods": ["lit-light", "liif-light"]}, {"methods": [LIT, {}]}, {"methods": [LIT, {"model": "none"}]},
        {"methods": [LIT, {"model": "truth"}]}, {"methods": [{"model": "clit-light", "stages": 0}, LIT]},
        {"methods": [{"model": "lit-light", "stages": 2}, LIIF]}, {"scale": 99}, {"scale": None}, {"chain": "no"},
    ],
)  # fmt: skip
def test_bad_questions_get_one_sentence(site, visit, wrong):
    answer = ask(find_differences, site, {**visit, "methods": [LIT, LIIF], "scale": 2, **wrong})
    assert set(answer) == {"error"} and len(answer["error"]) < 250


def test_another_picture_makes_it_stale(examples, uploads):
    site = Site(examples, uploads, Limits())
    visit = arrive(site)
    assert ask(find_differences, site, {**visit, "picture": "another", "methods": [LIT, LIIF], "scale": 2}) == {
        "stale": True
    }
