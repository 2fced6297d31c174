"""The analysis scripts' own arithmetic."""

from pathlib import Path

import numpy as np

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


def test_paired_table_matches_pictures_by_name_and_marks_what_is_clear():
    import paired

    rows = [
        {"dataset": "D", "image": f"{i}.png", "scale": "2", "model": model, "psnr": str(30 + i + gain)}
        for i in range(9)
        for model, gain in (("liif-light", 0.0), ("lit-light", 0.5), ("clit-light", 0.5 + 0.1 * (-1) ** i))
    ]
    line, other = paired.table(rows[::-1]).splitlines()[2:]
    assert "lit-light - liif-light" in line and "**+0.50 (+0.50 to +0.50)**" in line
    assert "clit-light - lit-light" in other and "**" not in other


def test_gains_are_over_bicubic_on_the_same_picture(tmp_path):
    import scale_curves

    rows = [
        {"dataset": "D", "image": f"{i}.png", "scale": scale, "model": model, "psnr": str(30 + 3 * i + gain)}
        for i in range(5)
        for scale, factor in (("8", 1), ("2.5", 2))
        for model, gain in (("bicubic", 0.0), ("lit-light", 0.5 * factor))
    ]
    assert np.allclose(scale_curves.gains(rows, "lit-light"), [(2.5, 1.0, 1.0, 1.0), (8, 0.5, 0.5, 0.5)])
    assert scale_curves.gains(rows, "clit-light") == []
    assert np.allclose(scale_curves.gains(rows, "bicubic", "lit-light")[0], (2.5, -1.0, -1.0, -1.0))
    scale_curves.figure(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_what_training_took_is_told_of_all_weights():
    import scores

    from clit.networks.checkpoints import CONFIG

    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in scores.training_spent().splitlines()[2:]]
    assert {line[0] for line in lines} == {path.parent.name for path in (ROOT / "checkpoints").glob(f"*/{CONFIG}")}
    for line in lines:
        assert line[1].endswith(("fifth", "ablations")) and int(line[2]) > 1000


def test_the_course_of_training_goes_on_from_run_to_run(tmp_path):
    import training_curves

    def row(run: str, preset: str, step: int, psnr: float) -> dict[str, str]:
        return {"run": run, "preset": preset, "step": str(step), "psnr_x2": str(psnr), "psnr_x4": str(psnr - 5)}

    runs = ("liif alone", "second", "third", "fourth", "fifth")
    names = ("liif-light", "lte-light", "lit-light", "clit-light", "lit-light-x32")
    rows = [row(run, name, step, step / 100) for run in runs for name in names for step in (500, 800)]
    found = training_curves.course(rows, "lit-light", "psnr_x2")
    assert [steps for steps, _, _ in found] == [500, 800, 1300, 1600, 2100, 2400, 2900, 3200]
    assert [end for _, _, end in found] == [False, True] * 4
    training_curves.figure(rows, tmp_path / "training.png")
    assert (tmp_path / "training.png").stat().st_size > 1000


def test_cards_tell_what_all_runs_took():
    import scores

    for name in scores.RUNS:
        card = (ROOT / "checkpoints" / name / "README.md").read_text()
        assert card == scores.with_all_runs(card, name) and "| all its runs" in card
