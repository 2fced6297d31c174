"""The analysis scripts' own arithmetic."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from clit.errors import UserError
from clit.pictures.files import to_bytes

ROOT = Path(__file__).resolve().parent.parent


def test_paired_intervals_hold_the_mean_as_often_as_they_say():
    import paired

    assert paired.interval(np.full(7, 0.25)) == (0.25, 0.25, 0.25)
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        mean, low, high = paired.interval(random.normal(0.1, 0.3, 60), draws=400, seed=seed)
        assert low < mean < high
        held += low < 0.1 < high
    assert 0.88 < held / 200 < 0.99


def _row(model: str, scale: float, image: int, psnr: float):
    import scores

    return scores.Row("D", f"{image}.png", scale, model, psnr, 0.9)


def test_paired_table_matches_pictures_by_name_and_marks_what_is_clear():
    import paired

    rows = [
        _row(model, 2.0, i, 30 + i + gain)
        for i in range(9)
        for model, gain in (("liif-light", 0.0), ("lit-light", 0.5), ("clit-light", 0.5 + 0.1 * (-1) ** i))
    ]
    line, other = paired.table(rows[::-1]).splitlines()[2:]
    assert "lit-light - liif-light" in line and "**+0.50 (+0.50 to +0.50)**" in line
    assert "clit-light - lit-light" in other and "**" not in other


def test_tables_are_written_as_latex_too():
    import paired
    import scores

    from clit.training.evaluate import latex

    rows = [_row(model, 2.0, i, 30 + i + gain) for i in range(9) for model, gain in (("a_b", 0.0), ("lit-light", 0.5))]
    text = scores.table(rows, write=latex)
    assert text.splitlines()[2:6] == [
        r"  dataset & model & x2 \\", r"  \midrule", r"  D & a\_b & 34.00 \\", r"  D & lit-light & \textbf{34.50} \\"
    ]  # fmt: skip
    assert text.startswith(r"\begin{tabular}{lll}") and text.endswith(r"\end{tabular}")
    assert "0.9000" in scores.table(rows, score="ssim")
    rows += [row._replace(model="liif-light") for row in rows if row.model == "a_b"]
    assert r"\textbf{+0.50 (+0.50 to +0.50)}" in paired.table(rows, latex)


def test_gains_are_over_bicubic_on_the_same_picture(tmp_path):
    import scale_curves

    rows = [
        _row(model, scale, i, 30 + 3 * i + gain)
        for i in range(5)
        for scale, factor in ((8.0, 1), (2.5, 2))
        for model, gain in (("bicubic", 0.0), ("lit-light", 0.5 * factor))
    ]
    assert np.allclose(scale_curves.gains(rows, "lit-light"), [(2.5, 1.0, 1.0, 1.0), (8, 0.5, 0.5, 0.5)])
    assert scale_curves.gains(rows, "clit-light") == []
    assert np.allclose(scale_curves.gains(rows, "bicubic", "lit-light")[0], (2.5, -1.0, -1.0, -1.0))
    scale_curves.figure(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_what_training_took_is_known_of_all_weights():
    import training_curves

    from clit.networks.checkpoints import CONFIG

    released = {"liif-base"}
    shipped = {path.parent.name for path in (ROOT / "checkpoints").glob(f"*/{CONFIG}")}
    assert set(training_curves.RUNS) == shipped - released
    for name in training_curves.RUNS:
        runs, steps, *_ = training_curves.spent(name)
        assert runs.endswith(("gpu longer", "gpu base longer", "gpu cascade longer", "ablations")) and int(steps) > 1000


def test_the_course_of_training_goes_on_from_run_to_run(tmp_path):
    import training_curves

    def row(run: str, preset: str, step: int, psnr: float) -> dict[str, str]:
        return {"run": run, "preset": preset, "step": str(step), "psnr_x2": str(psnr), "psnr_x4": str(psnr - 5)}

    runs = ("liif alone", "second", *training_curves.TOGETHER)
    names = ("liif-light", "lte-light", "lit-light", "clit-light", "lit-light-x32")
    rows = [row(run, name, step, step / 100) for run in runs for name in names for step in (500, 800)]
    found = training_curves.course(rows, "lit-light", "psnr_x2")
    assert [steps for steps, _, _ in found] == [800 * before + steps for before in range(7) for steps in (500, 800)]
    assert [end for _, _, end in found] == [False, True] * 7
    training_curves.figure(rows, tmp_path / "training.png")
    assert (tmp_path / "training.png").stat().st_size > 1000


def test_summary_counts_every_set_alike_and_marks_the_best():
    import scores

    sets = [("A", 30.0, 1), ("B", 20.0, 9)]
    gains = {name: 0.1 * i for i, name in enumerate(scores.SUMMARY)}
    rows = [
        scores.Row(dataset, f"{i}.png", scale, name, psnr + gain, 0.9)
        for dataset, psnr, count in sets
        for i in range(count)
        for scale in (*scores.SUMMARY_SCALES, *scores.SUMMARY_LARGE)
        for name, gain in gains.items()
    ]
    large = [row for row in rows if row.dataset == "A" and row.model != "liif-base"]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in scores.summary(rows, large).splitlines()]
    assert lines[0] == ["model", "x2", "x3", "x4", "x12, large", "x30, large"]
    assert lines[2] == ["bicubic", *["25.00"] * 3, *["30.00"] * 2]
    assert lines[-2][-2:] == ["**30.40**"] * 2
    assert lines[-1] == ["liif-base", *["**25.50**"] * 3, "-", "-"]


def test_a_new_latency_keeps_the_other_lines(tmp_path, monkeypatch):
    import latency

    (tmp_path / "analysis").mkdir()
    monkeypatch.setattr(latency, "ROOT", tmp_path)
    monkeypatch.setattr(latency, "VISITS", tmp_path / "visits.csv")
    latency.VISITS.write_text("name,paint,exact\nold,0.3,1.4\n")
    row = dict.fromkeys(latency.COLUMNS, 120.0) | {"picture": "4 × 3", "scale": 1.5, "pixels": 160360}
    latency.write("new", [row, row | {"exact_ms": 2000.0}])
    latency.write_visits("new", {"paint": 0.25, "exact": 2.0})
    assert latency.VISITS.read_text() == "name,paint,exact\nnew,0.25,2\nold,0.3,1.4\n"
    assert "| 4 × 3   | x1.5  | 120 ms     | 0.12 s | 1.06 s |" in latency.table("new")
    assert "three panes of 160360 pixels" in latency.table("new")
    latency.write("new-before", [row | {"exact_ms": 4000.0}] * 2)
    assert "| 4 × 3   | x1.5  | 4.00 s       | 1.06 s    | 3.8          |" in latency.comparison("new")


@pytest.mark.slow
def test_the_page_opens_where_methods_differ_to_the_eye():
    """As far as analysis/places.csv says, and as far as was asked for: 5 and 2.2 of 255."""
    import places

    import clit

    opening = places.read()[0]
    scale, row, column = (float(opening[key]) for key in ("scale", "row", "column"))
    height, width = places.PANE
    window = int(row * scale) - height // 2, int(column * scale) - width // 2, height, width
    for (label, pair), least in zip(places.PAIRS.items(), (5, 2.2), strict=True):
        one, other = (
            to_bytes(clit.upscale(clit.load(name), places.EXAMPLES / opening["example"], scale, window=window))
            for name in pair
        )
        mean = np.abs(one.astype(float) - other).mean()
        assert mean == pytest.approx(float(opening[label]), abs=0.01), "python analysis/places.py"
        assert mean >= least


def test_every_place_that_an_example_opens_at_was_measured():
    import places

    credits = json.loads((places.EXAMPLES / "credits.json").read_text(encoding="utf-8"))
    chosen = [(name, *(credit["place"][key] for key in ("scale", "row", "column"))) for name, credit in credits.items()]
    measured = [(each["example"], *(float(each[key]) for key in ("scale", "row", "column"))) for each in places.read()]
    assert measured == chosen, "python analysis/places.py --scales"


def test_graphics_processors_are_held_to_what_python_draws(tmp_path, monkeypatch):
    import gpu_adapters
    import tiny

    import clit
    from clit.exports.weights import write_weights

    tiny.save_checkpoints(tmp_path / "checkpoints")
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setattr(gpu_adapters, "SCALES", ((30, 30), (3.2, 9.7)))
    monkeypatch.setattr(gpu_adapters, "SIDE", 6)
    tiny.save_photograph(tmp_path / "one.png", 12, 20)
    write_weights(tmp_path / "weights", [{"name": name, "available": True} for name in ("bicubic", *tiny.CONFIGS)])
    (tmp_path / "site.json").write_text(json.dumps({"examples": [{"file": "one.png"}]}))
    gpu_adapters.expect(tmp_path)

    def unpack(text: str, kind: str, *shape: int) -> np.ndarray:
        return np.frombuffer(base64.b64decode(text), kind).reshape(shape)

    found = json.loads((tmp_path / "expected.json").read_text())
    views = found["views"]
    assert [view["model"] for view in views] == ["liif-light"] * 2 + ["lit-light"] * 2 + ["clit-light"] * 4
    assert found["example"]["height"] == 12 and len(unpack(found["example"]["rgb"], "u1", -1)) == 12 * 20 * 3
    picture, renderer = gpu_adapters.make_picture(), clit.Renderer()
    assert unpack(found["picture"]["rgb"], "u1", *picture.shape).tolist() == picture.tolist()
    last = views[-1]
    assert last["scale"] == "9.7 by 3.2" and last["size"] == [74, 252]
    rgb = renderer.render(clit.load("clit-light"), picture, size=(74, 252), window=last["window"], clip=False)
    assert np.array_equal(unpack(last["colours"], "<f4", 6, 8, 3), rgb)
    assert np.array_equal(unpack(last["bytes"], "u1", 6, 8, 3), to_bytes(np.clip(rgb, 0, 1)))
    look = found["looks"][-1]
    assert (look["model"], look["row"], look["column"]) == ("clit-light", 689, 312)
    weights = [unpack(stage, "<f4", 2, 7, 7) for stage in look["stages"]]
    assert len(weights) == 3 and all(np.allclose(each.sum((1, 2)), 1) for each in weights)
    for heads in found["heads"]:
        survey = unpack(heads["survey"], "<f4", 30, 34, 2, 3)
        assert survey[..., 0].min() > 0 and unpack(heads["direction"], "u1", 30, 34, 3).max() > 0


def test_tables_of_graphics_processors_take_the_longest_and_the_largest(tmp_path):
    import gpu_adapters

    def row(adapter: str, measure: str, scale: str, value: str) -> dict[str, str]:
        return dict(zip(gpu_adapters.COLUMNS, (adapter, "Dawn", "lit-light", measure, scale, "", value), strict=True))

    file = tmp_path / "adapters.csv"
    gpu_adapters.add([row("soft", "colours", "4", "3e-7"), row("card", "again", "4", "70")], file)
    times = [("first", "2", "90.6"), ("first", "4", "12"), ("again", "2", "3"), ("again", "4", "8.4")]
    differ = [
        ("bytes differ", "2", "1"),
        ("bytes differ", "4", "2"),
        ("bytes count", "2", "999"),
        ("bytes count", "4", "1"),
    ]
    gpu_adapters.add([row("card", *each) for each in times + differ], file)
    soft, card = gpu_adapters.tables(gpu_adapters.read(file)).split("**card**")
    assert "| lit-light | 3e-07      |" in soft.splitlines()
    assert [cell.strip() for cell in card.splitlines()[-1].split("|")[1:-1]] == [
        *("lit-light", "3.0 ms", "8.4 ms", "91 ms", "3 of 1,000"),
    ]
    file.write_text("adapter,value\n")
    with pytest.raises(UserError, match="needs the columns"):
        gpu_adapters.read(file)


def test_only_what_stands_between_marks_is_written():
    import tables

    text = "a\n<!-- one:begin -->\nold\n<!-- one:end -->\nb <!-- two:begin -->\n<!-- two:end -->"
    filled = tables.fill(text, {"one": lambda: "| new |", "two": lambda: "2"})
    assert filled == "a\n<!-- one:begin -->\n| new |\n<!-- one:end -->\nb <!-- two:begin -->\n2\n<!-- two:end -->"
    assert tables.fill(filled, {"one": lambda: "| new |", "two": lambda: "2"}) == filled
    with pytest.raises(UserError, match='no table "two".*one of one'):
        tables.fill(text, {"one": lambda: ""})


def test_every_table_has_one_place():
    import tables

    places = [name for page in tables.documents() for name in tables.names_in(page.read_text(encoding="utf-8"))]
    assert sorted(places) == sorted(tables.TABLES)


def test_pages_hold_what_the_scripts_print():
    import tables

    for page in tables.documents():
        text = page.read_text(encoding="utf-8")
        assert tables.fill(text) == text, f"{page.name} is out of date: python analysis/tables.py"


def test_cards_hold_what_the_scripts_print():
    import cards
    import training_curves

    for path in cards.paths():
        card = path.read_text(encoding="utf-8")
        assert cards.fill(card, path.parent.name) == card, f"{path} is out of date: python analysis/tables.py"
        assert ("| all its runs" in card) == (path.parent.name in training_curves.RUNS)
        assert "\n## Scores\n" in card and "\n## Licence and credits\n" in card
