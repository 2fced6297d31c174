"""The gallery's scripts: what they write for tiny pictures, and values that are known in advance."""

import math

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from clit.errors import UserError

ROWS = list[dict]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    """Paths of tiny checkpoints, by the name of the preset that each stands for."""
    folder = tmp_path_factory.mktemp("weights")
    tiny.save_checkpoints(folder)
    return {name: str(folder / name) for name in tiny.CONFIGS}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of two small photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    tiny.save_photograph(folder / "one.png", 72, 96)
    tiny.save_photograph(folder / "two.png", 80, 72)
    return folder


@pytest.fixture
def rows_of(data, tmp_path):
    """Runs a script on the photographs, and returns the rows of its file. Its figure must have been drawn from them."""

    def run(script, *arguments: str) -> ROWS:
        import gallery

        name = script.__name__
        script.main(["--data", str(data), "--out", str(tmp_path), "--quick", *arguments])
        with Image.open(tmp_path / f"{name}.png") as figure:
            assert 600 <= figure.width <= 2400
        return gallery.read(tmp_path / f"{name}.csv")

    return run


def test_ranks_and_their_correlation():
    import gallery

    assert gallery.rank(np.array([[3.0, 1, 1, 7], [0, 0, 0, 0]])).tolist() == [[2, 0.5, 0.5, 3], [1.5] * 4]
    x = np.array([0.1, 0.9, 0.4, 0.5])
    assert gallery.spearman(x, np.exp(9 * x)) == pytest.approx(1)
    assert gallery.spearman(x, -x) == pytest.approx(-1)
    assert gallery.spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])) == pytest.approx(0.8)
    assert np.isnan(gallery.spearman(x, np.ones(4)))


def test_means_are_over_pictures_and_differences_of_the_same_ones():
    import gallery

    rows = [
        {"dataset": "D", "picture": picture, "case": case, "x": value}
        for picture, case, value in (
            ("a", 1, 1.0), ("a", 1, 3.0), ("b", 1, 4.0), ("c", 1, math.nan), ("b", 2, 1.0), ("d", 2, 9.0),
        )
    ]  # fmt: skip
    mean, low, high = gallery.over_pictures(rows, "x", case=1)
    assert mean == 3 and (low, high) == (2, 4)
    assert gallery.differences(rows, "x", {"case": 1}, {"case": 2}) == (3, 3, 3)
    share, low, high = gallery.share_over_pictures(rows[1:3], [*rows[:3]], "x")
    assert share == pytest.approx(7 / 8) and low == pytest.approx(3 / 4) and high == 1


def test_pixels_are_classed_by_rule():
    import pixels

    y, x = np.mgrid[0:96, 0:96]
    luma = np.full((96, 96), 0.2)
    luma[8:40, 8:40] = 0.8  # a square: edges and corners
    random = np.random.default_rng(0)
    luma[56:88, 48:88] = random.random((32, 40))
    kinds = pixels.classify(luma)
    edge, corner, texture, flat = range(4)
    assert (kinds[20:28, 7:9] == edge).any() and (kinds[22:26, 22:26] == flat).all()
    for place in ((8, 8), (39, 8), (8, 39), (39, 39)):
        near = kinds[place[0] - 2 : place[0] + 3, place[1] - 2 : place[1] + 3]
        assert (near == corner).any()
    assert (kinds[62:82, 56:80] == texture).mean() > 0.8
    chosen = pixels.choose(kinds, (192, 192), 20, 4)
    for index, name in enumerate(pixels.CLASSES):
        rows, columns = (chosen[name] // 2).T
        assert 0 < len(rows) <= 20 and (kinds[rows, columns] == index).all()
    slope = pixels.find_structure(3.0 * x + 0 * y)
    assert np.allclose(slope.strength, 3) and np.allclose(slope.coherence, 1)
    assert np.allclose(slope.direction, (1, 0)) and np.allclose(slope.least, 0, atol=1e-6)


def test_attention_statistics(rows_of, models, tmp_path):
    import attention_statistics

    chosen = [part for name in ("lit-light", "clit-light") for part in ("--model", models[name])]
    rows = rows_of(attention_statistics, *chosen, "--base", models["liif-light"], "--pixels", "60", "--scales", "2,5")
    drawn = tmp_path / "attention_statistics.png"
    drawn.unlink()
    attention_statistics.main(["--draw", "--out", str(tmp_path)])
    assert drawn.is_file()
    assert {(row["model"], row["scale"], row["stages"]) for row in rows} == {
        ("lit-light", 2, 1), ("lit-light", 5, 1), ("clit-light", 2, 1), ("clit-light", 5, 2),
    }  # fmt: skip
    heads = [row for row in rows if row["head"]]
    assert {row["head"] for row in heads} == {1, 2} and {row["fifth"] for row in heads} == set(range(6))
    for row in heads:
        assert 0 < row["entropy"] <= math.log2(49) and 0 < row["distance"] < 5 and -1 <= row["along"] <= 1
        assert -0.5 < row["content"] < 1.5 and math.isnan(row["gain"])
    gains = [row for row in rows if not row["head"]]
    assert all(0 <= row["departure"] <= 1 and math.isfinite(row["gain"]) for row in gains)
    for by in ("gradient", "departure"):  # fifths of equal size: their mean is that of all pixels
        mean = np.mean([row["gain"] for row in gains if row["by"] == by and row["fifth"]])
        assert mean == pytest.approx(np.mean([row["gain"] for row in gains if not row["fifth"]]), rel=1e-4)


def test_statistics_of_weights_that_are_known():
    import attention_statistics as statistics

    import clit

    uniform = torch.full((1, 1, 49), 1 / 49, dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(-3.0, 4), torch.arange(-3.0, 4), indexing="ij")
    offsets = torch.stack([y, x], -1).view(1, 49, 2).double()
    assert statistics.measure_entropy(uniform).item() == pytest.approx(math.log2(49))
    assert statistics.measure_stretch(uniform, offsets).abs().max() < 1e-12
    line = torch.zeros(1, 1, 49, dtype=torch.float64)
    line[0, 0, 21:28] = 1 / 7  # the middle row: along x, so cosine 1 and sine 0 of twice the angle
    assert torch.allclose(statistics.measure_stretch(line, offsets), torch.tensor([1.0, 0.0], dtype=torch.float64))
    content, nothing = torch.randn(5, 2, 49, dtype=torch.float64), torch.zeros(5, 2, 49, dtype=torch.float64)
    for own, share in ((content, 1.0), (nothing, 0.0)):
        part, whole = statistics.split_variance(own, content - own)
        assert torch.allclose(part / whole, torch.tensor(share, dtype=torch.float64))
    half, whole = statistics.split_variance(content, content)
    assert torch.allclose(half / whole, torch.tensor(0.5, dtype=torch.float64))

    liif = clit.load("liif-light")  # its own weights depart from themselves by nothing
    seen = clit.attend(liif, np.random.default_rng(0).random((9, 9, 3)), (20, 17), 4.3)
    (stage,) = seen.stages
    place = (np.array(seen.pixel) + 0.5) * 9 / seen.size - 0.5
    around = torch.from_numpy((stage.latents - place).reshape(1, 4, 2)).double()
    weights = torch.from_numpy(stage.weights).view(1, 4).double()
    assert statistics.measure_departure(weights, around).item() < 1e-4
    assert statistics.measure_departure(weights.flip(1), around).item() > 0.1


def test_faithfulness(rows_of, models):
    import faithfulness

    chosen = [part for name in ("lit-light", "clit-light") for part in ("--model", models[name])]
    rows = rows_of(faithfulness, *chosen, "--pixels", "2", "--attributed", "1", "--scales", "4.5")
    assert {(row["model"], row["stage"]) for row in rows} == {("lit-light", 1), ("clit-light", 1), ("clit-light", 2)}
    changes, few = ([row for row in rows if row["kind"] == kind] for kind in ("change", "few change"))
    assert {row["model"] for row in few} == {"lit-light"}, "attribution is of models of one stage"
    assert {row["by"] for row in few} == set(faithfulness.RANKINGS) == {row["by"] for row in changes} | {"attribution"}
    assert {row["pixels"] for row in few} == {1} and {row["pixels"] for row in changes} == {2}
    assert {row["k"] for row in changes} == {row["k"] for row in few} == set(faithfulness.COUNTS)
    assert all(0 <= row["value"] < 255 and row["class"] in faithfulness.CLASSES for row in changes)
    first = {
        (row["kind"], row["picture"], row["model"], row["stage"], row["class"], row["by"]): row["value"]
        for row in (*changes, *few) if row["k"] == 1
    }  # fmt: skip
    for key, value in first.items():  # of single neighbours none moves the colour further than the most influential
        assert value <= first[(*key[:-1], "influence")] + 1e-3
    ranks = [row for row in rows if row["kind"].endswith("rank")]
    assert {(row["kind"], row["against"]) for row in ranks} == {("rank", "influence"), ("few rank", "attribution")}
    assert all(-1 <= row["value"] <= 1 for row in ranks)


def test_in_a_linear_network_what_is_left_out_adds_up():
    import faithfulness

    from clit.config import CLITConfig, EDSRConfig, ModelConfig
    from clit.networks.model import SRModel

    torch.manual_seed(3)
    model = SRModel(ModelConfig(EDSRConfig(width=8, blocks=1), CLITConfig(width=8, heads=2, hidden=(8,), stages=1)))
    model.decoder.stages[0].mlp[1] = torch.nn.Identity()
    positions, counts = torch.tensor([[30, 31], [40, 22]]), [1, 4, 48]
    with torch.no_grad():
        field = model.prepare(model.encode(torch.rand(1, 3, 20, 20)), model.view((20, 20), (60, 60)))
        attended = model.decoder.attend(field, positions)
        each = model.decoder.influence(field, positions, attended)[0][0] / 2  # (Q, P, 3)
        scores = np.random.default_rng(0).random((2, 49))
        found = faithfulness.leave_out_highest(model.decoder, field, positions, attended, 0, scores, counts)
    order = torch.from_numpy(np.argsort(-scores, -1))
    together = each.gather(1, order[..., None].expand(-1, -1, 3)).cumsum(1).norm(dim=-1)
    np.testing.assert_allclose(found, 255 * together[:, [count - 1 for count in counts]], rtol=1e-3, atol=1e-4)


def test_consistency(rows_of, models):
    import consistency

    chosen = [part for name in ("liif-light", "clit-light") for part in ("--model", models[name])]
    rows = rows_of(consistency, *chosen, "--model", "bicubic", "--scales", "3,5", "--beyond", "35")
    found = {(row["model"], row["kind"], row["scale"], row["case"]) for row in rows}
    assert ("liif-light", "back", 5, "straight") in found and ("clit-light", "beyond", 35, "straight") in found
    bicubic = [row for row in rows if row["model"] == "bicubic"]
    assert all(row["value"] < 1e-3 for row in bicubic if row["kind"] == "turned")  # it is the same in all directions
    others = [row for row in rows if row["kind"] == "turned" and row["model"] != "bicubic"]
    assert all(0.01 < row["value"] < 100 for row in others) and {row["case"] for row in others} == set(
        consistency.TURNS
    )
    assert all(10 < row["value"] < 70 for row in rows if row["kind"] in ("back", "beyond"))
    assert all(abs(row["value"]) < 10 for row in rows if row["kind"] == "steps")
    assert all(0 < row["value"] < 100 for row in rows if row["kind"] == "apart")


def test_the_truth_itself_comes_back():
    import consistency

    from clit.pictures.resize import resize_pil

    truth = np.random.default_rng(0).integers(0, 256, (60, 75, 3), np.uint8)
    small = resize_pil(truth, (12, 15))
    render = lambda window: truth[window.slices()].astype(np.float32) / 255  # noqa: E731
    assert consistency.measure_back(render, small, (60, 75)) == math.inf
    black = lambda window: np.zeros((window.height, window.width, 3), np.float32)  # noqa: E731
    assert consistency.measure_back(black, small, (60, 75)) < 10


def test_stages(rows_of, models):
    import stages

    rows = rows_of(stages, "--model", models["clit-light"], "--scales", "6,20")
    counts = {row["scale"]: row["stages"] for row in rows}
    assert counts == {6: 2, 20: 3}
    for scale, count in counts.items():
        for picture in ("one.png", "two.png"):
            here = [row for row in rows if (row["scale"], row["picture"]) == (scale, picture)]
            assert {row["stage"] for row in here if row["kind"] == "psnr"} == set(range(int(count) + 1))
            assert {row["stage"] for row in here if row["kind"] == "adds"} == set(range(1, int(count) + 1))
            for kind, stage in {(row["kind"], row["stage"]) for row in here} - {("psnr", s) for s in range(4)}:
                bands = {r["band"]: r["value"] for r in here if (r["kind"], r["stage"]) == (kind, stage)}
                assert sum(v for name, v in bands.items() if name != "all") == pytest.approx(bands["all"], rel=1e-4)


def test_the_spectrum_of_a_wave_is_in_its_band():
    import stages

    y, x = np.mgrid[0:120, 0:160]
    for scale, per_pixel, band in ((4, 0.7, 2), (4, 0.1, 0), (10, 3.0, 4), (10, 1.5, 3), (6, 0.4, 1)):
        wave = 0.1 * np.sin(2 * np.pi * per_pixel / scale * (0.6 * y + 0.8 * x))
        bands = stages.measure_spectrum(wave, scale)
        assert bands.argmax() == band and bands[band] > 0.97 * bands.sum()
        assert bands.sum() == pytest.approx(25.5**2 / 2, rel=0.02)


def test_attribution(rows_of, models):
    import attribution

    chosen = [part for name in ("liif-light", "lit-light") for part in ("--model", models[name])]
    rows = rows_of(attribution, "--model", "bicubic", *chosen, "--scales", "2.5")
    assert {row["model"] for row in rows} == {"bicubic", "liif-light", "lit-light"}
    for row in rows:
        assert 0 < row["diffusion"] < 100 and 0 <= row["inside"] <= 1 + 1e-6 and 0 <= row["gap"] < 0.1
        assert row["class"] in attribution.KINDS
    bicubic = {row["picture"]: row["diffusion"] for row in rows if row["model"] == "bicubic"}
    for row in rows:  # a network reaches further than sixteen pixels
        assert row["model"] == "bicubic" or row["diffusion"] > bicubic[row["picture"]]


def test_completeness(models, data, tmp_path, capsys):
    import completeness
    import gallery

    chosen = ["--model", "bicubic", "--model", models["lit-light"], "--scales", "3"]
    completeness.main(["--data", str(data), "--out", str(tmp_path), "--quick", *chosen])
    rows = gallery.read(tmp_path / "completeness.csv")
    assert {row["objective"] for row in rows} == {"texture", "colour"} and {row["finite"] for row in rows} == {1}
    assert all(0 <= row["gap"] < 0.02 and row["steps"] <= 400 for row in rows)
    assert {row["class"] for row in rows} >= {"flat", "edge"}
    rows[0] |= {"gap": 0.0312, "finite": 0}
    largest = [line.split(" | ") for line in completeness.summary(rows).splitlines() if line.startswith("| bicubic")]
    assert [each.strip() for each in largest[0][2:]][0] == "3.12%" and largest[0][-1].strip("| ") == "1"


def test_shares_near_a_pixel_are_sums_of_the_map():
    import attribution

    map = np.zeros((20, 30, 3), np.float32)
    map[10, 12], map[13, 15], map[14, 12] = 1, 1, -2  # the last is four rows away
    assert attribution.find_share_near(map, (10, 12)) == pytest.approx(0.5)
    assert math.isnan(attribution.find_share_near(0 * map, (10, 12)))


def test_seams(rows_of, models):
    import seams

    rows = rows_of(seams, "--model", models["clit-light"], "--scales", "3,4")
    found = {(row["scale"], row["chain"]): (row["below"], row["above"]) for row in rows}
    assert found == {
        (3, "published"): (1, 1),
        (3, "balanced"): (1, 1),
        (4, "published"): (1, 2),
        (4, "balanced"): (1, 2),
    }
    for row in rows:  # one stage's factor alone changes nothing; a second stage does
        assert (
            (row["mean"] == row["highest"] == 0) if row["scale"] == 3 else (0.01 < row["mean"] <= row["highest"] < 200)
        )


def test_factors_of_a_seam():
    import seams

    import clit

    model = clit.load("clit-light")
    assert [len(seams.find_factors(model, scale, "published")) for scale in (3.999, 4.001, 15.999, 16.001)] == [
        1,
        2,
        2,
        3,
    ]
    assert np.allclose(seams.find_factors(model, 16.001, "balanced"), 16.001 ** (1 / 3))
    assert np.allclose(seams.find_factors(model, 16.001, "published"), [[4, 4], [4, 4], [1.0000625] * 2])


def test_cost(tmp_path):
    import cost
    import speed

    costs = cost.find_costs(rows := speed.read())
    assert {row["model"] for row in costs} == {row["model"] for row in rows} and all(
        row["memory_mb"] > 0 for row in costs
    )
    (lit,) = [row for row in costs if (row["model"], row["scale"]) == ("lit-light", 4)]
    assert lit["encoder_kmac"] == pytest.approx(1220.416 / 16)  # a product for every weight and small pixel
    (measured,) = [row for row in rows if (row["model"], row["scale"]) == ("lit-light", 4)]
    assert lit["encoder_s"] == pytest.approx(measured["encoder_s_per_lr_mpx"] / 16)
    cost.figure(costs, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 10_000


def test_attention_figures(models, data, tmp_path):
    import attention_figures
    import gallery

    chosen = [part for name in ("liif-light", "clit-light") for part in ("--model", models[name])]
    arguments = ["--data", str(data), "--out", str(tmp_path), "--quick", *chosen, "--scales", "5", "--pixel", "30,41"]
    attention_figures.main([*arguments, "--pixel", "9,12"])
    for name in ("attention_crops", "attention_figures"):
        with Image.open(tmp_path / f"{name}.png") as figure:
            assert min(figure.size) > 200
    rows = gallery.read(tmp_path / "attention_figures.csv")
    assert len(rows) == 2 * 2 * (1 + 2 * 2)  # pictures, pixels; an ensemble, and two heads of two stages
    for row in rows:
        assert 0 <= row["entropy"] <= math.log2(4 if row["model"] == "liif-light" else 49) and 0 < row["highest"] <= 1
    with pytest.raises(UserError, match="inside the output"):
        attention_figures.main([*arguments, "--pixel", "1000,0"])
