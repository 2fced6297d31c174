"""How soon the page answers a hand: from the end of a slider movement to stretched, coarse and exact panes.

    python analysis/latency.py [--repeats 7] [--scales 1.5,4,30] [--checkpoints DIR] [--chromium /usr/bin/chromium]

Three panes, LIIF, LIT and CLIT light, of about 400 x 400 pixels each, features cached, what is drawn ahead drawn. First
of the example that the page opens with, then of that picture enlarged, which fills the panes at small scales too.
Before each movement the view rests at three scales far from where it goes, so that no exact frame that the browser
keeps previews it. A drag is a few slider events, one per frame; time counts from the last. Each time is also given
scaled to a product rate of 100 GMAC/s, by that of a (4096 x 256)(256 x 256) product right before and after. Then first
visits, with an empty browser cache: to the first paint, and to all panes exact.

Writes analysis/latency.csv (or NAME.csv), a row per movement, and the medians of first visits to NAME's line of
analysis/visits.csv. Prints Markdown; `python analysis/tables.py` puts it into docs/speed.md.

    MKL_ENABLE_INSTRUCTIONS=AVX2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 \\
        python analysis/latency.py --name latency-avx2

does so without the widest vector instructions, as processors without them would.

    python analysis/latency.py --name sooner --before ../checkout --before-window 1354x900

also moves the slider of another checkout's page, its server running beside this one's, with the same weights and
pictures: each movement in one page, then in the other. Its times go to analysis/sooner-before.csv. Its window shall
give panes of as many pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import statistics
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser
from screenshots import open_page
from serving import serve_page
from speed import product_rate
from viewer import CHROMIUM, Viewer, launch_chromium

from clit.system.process import prepare_process
from clit.training.evaluate import markdown
from clit.ui.examples import read_credits

ROOT = Path(__file__).resolve().parent.parent
WINDOW = "1680x470"  # width and height: three panes of 424 x 378, as many pixels as 400 x 400
SCALES = (1.5, 2.0, 2.7, 4.0, 8.0, 16.0, 30.0)
NEAR, FAR = (2.7, 2.0, 1.5), (30.0, 16.0, 8.0)  # where the view rests before it goes beyond x4, or up to that
LARGE = 320  # side of the enlarged picture
COLUMNS = (
    "picture", "scale", "stretch_ms", "coarse_ms", "exact_ms", "coarse_ms_at_100", "exact_ms_at_100", "rate_gmac",
    "pixels",
)  # fmt: skip

VISITS = ROOT / "analysis" / "visits.csv"

Movement = dict[str, float | str]  # of every one of COLUMNS

# Moves the slider to `target` in five events, a frame each, then waits frame by frame for what the panes show.
DRAG = """async ([viewer, slider, target, step]) => {
  const frame = () => new Promise(requestAnimationFrame);
  const goal = Math.min(400, Math.round(400 * Math.log(target) / Math.log(30)) - step);
  for (const back of [-40, -25, -12, -5, 0]) {
    slider.value = Math.max(0, goal + back);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    if (back) await frame();
  }
  const began = performance.now(), times = {};
  const all = (...kinds) => Object.values(viewer.passes()).every((pass) => kinds.includes(pass));
  while (times.exact === undefined) {
    await frame();
    const now = performance.now() - began;
    times.stretch ??= now;
    if (times.coarse === undefined && all('preview', 'exact', 'overview')) times.coarse = now;
    if (all('exact', 'overview')) times.exact = now;
  }
  const { pane, scale } = viewer.view();
  return { ...times, pixels: pane.width * pane.height, scale };
}"""


def drag(viewer: Viewer, target: float, step: int) -> dict[str, float]:
    """Move the slider to a scale, or so many steps below it; return when the panes showed what, in milliseconds."""
    return viewer.frame.evaluate(DRAG, [viewer.hook(), viewer.scale_slider.element_handle(), target, step])


def movements(viewers: list[Viewer], scales: list[float], repeats: int) -> list[list[Movement]]:
    """Rows for each viewer: movements to each scale in turn, again and again, never twice to the very same."""
    rows: list[list[Movement]] = [[] for _ in viewers]
    for repeat in range(repeats + 1):
        for scale in scales:
            for viewer, own in zip(viewers, rows, strict=True):
                row = move(viewer, scale, repeat % 4)
                if repeat:  # the first round warms up
                    own.append(row)
    return rows


def move(viewer: Viewer, scale: float, step: int) -> Movement:
    """Rest at three scales far from this one, drag the slider to it, and return the row of that."""
    for elsewhere in NEAR if scale > 4 else FAR:
        drag(viewer, elsewhere, step)
        viewer.wait_until_exact()
    before = product_rate()
    found = drag(viewer, scale, step)
    rate = (before + product_rate()) / 2
    viewer.wait_until_exact()
    picture = viewer.picture()
    return {
        "picture": f"{picture['width']} × {picture['height']}",
        "scale": scale,
        "stretch_ms": found["stretch"],
        "coarse_ms": found["coarse"],
        "exact_ms": found["exact"],
        "coarse_ms_at_100": found["coarse"] * rate / 100e9,
        "exact_ms_at_100": found["exact"] * rate / 100e9,
        "rate_gmac": rate / 1e9,
        "pixels": found["pixels"],
    }


def first_visits(browser: Browser, url: str, window: str, repeats: int) -> dict[str, float]:
    """Medians, in seconds, of visits with an empty cache: first paint of any content, and all panes exact."""
    found: dict[str, list[float]] = {"paint": [], "exact": []}
    for _ in range(repeats):
        page = open_page(browser, url, size(window), dark=False).page  # a context, and so a cache, of its own
        now, paint = page.evaluate(
            "[performance.now(), performance.getEntriesByName('first-contentful-paint')[0].startTime]"
        )
        found["paint"].append(paint / 1000)
        found["exact"].append(now / 1000)
        page.close()
    return {what: statistics.median(seconds) for what, seconds in found.items()}


def wait_until_idle(viewer: Viewer) -> None:
    """Wait until all panes are exact and what is drawn ahead is drawn."""
    viewer.wait_until_exact()
    viewer.wait_until_drawn_ahead()


def open_first(viewer: Viewer, side: int | None = None) -> None:
    """Open this checkout's first example, enlarged to a square if a side is given, as a visitor's own picture."""
    examples = ROOT / "assets" / "examples"
    with Image.open(examples / next(iter(read_credits(examples)))) as first:
        picture = first.convert("RGB")
    if side is not None:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "PNG")
    before = viewer.picture()["id"]
    viewer.upload({"name": "first.png", "mimeType": "image/png", "buffer": file.getvalue()})
    viewer.wait_for_another_picture(before)
    wait_until_idle(viewer)


def write(name: str, rows: list[Movement]) -> None:
    """Write analysis/NAME.csv."""
    with (ROOT / "analysis" / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        whole = "picture", "pixels"
        writer.writerows({key: v if key in whole else f"{v:.4g}" for key, v in row.items()} for row in rows)


def write_visits(name: str, visits: dict[str, float]) -> None:
    """Write the line `name` of analysis/visits.csv."""
    kept = [row for row in _read_csv(VISITS) if row["name"] != name]
    new = {"name": name, **{what: f"{seconds:.4g}" for what, seconds in visits.items()}}
    with VISITS.open("w", newline="") as file:
        writer = csv.DictWriter(file, new, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, new], key=lambda row: row["name"]))


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read(name: str) -> list[Movement]:
    """The movements that `write` wrote."""
    return [
        {column: value if column == "picture" else float(value) for column, value in row.items()}
        for row in _read_csv(ROOT / "analysis" / f"{name}.csv")
    ]


def group(rows: list[Movement]) -> dict[tuple[str, float], list[Movement]]:
    """The movements to each scale of each picture, in their order."""
    groups: dict[tuple[str, float], list[Movement]] = {}
    for row in rows:
        groups.setdefault((row["picture"], row["scale"]), []).append(row)
    return groups


def table(name: str) -> str:
    """What `write` wrote, as Markdown: medians per picture and scale, and those of first visits."""
    rows = read(name)
    visits = next(row for row in _read_csv(VISITS) if row["name"] == name)
    lines = [["picture", "scale", "next frame", "coarse", "exact", "coarse at 100 GMAC/s", "exact at 100 GMAC/s"]]
    for (picture, scale), moved in group(rows).items():
        medians = [statistics.median(row[column] for row in moved) for column in COLUMNS[2:7]]
        lines.append([picture, f"x{scale:g}", f"{medians[0]:.0f} ms", *(f"{m / 1000:.2f} s" for m in medians[1:])])
    rate = statistics.median(row["rate_gmac"] for row in rows)
    note = f"Medians of {len(moved)} movements; three panes of {rows[0]['pixels']:.0f} pixels each; "
    note += f"product rate {rate:.0f} GMAC/s. On a first visit, first paint after {float(visits['paint']):.1f} s, the "
    note += f"example exact in all panes after {float(visits['exact']):.1f} s."
    return f"{markdown(lines)}\n\n{note}"


def comparison(name: str) -> str:
    """What two checkouts took for the same movements, as Markdown."""
    before, now = (group(read(which)) for which in (f"{name}-before", name))
    lines = [["picture", "scale", "exact before", "exact now", "times sooner"]]
    for (picture, scale), moved in now.items():
        times = [[row["exact_ms"] / 1000 for row in rows] for rows in (before[picture, scale], moved)]
        old, new = map(statistics.median, times)
        lines.append([picture, f"x{scale:g}", f"{old:.2f} s", f"{new:.2f} s", f"{old / new:.1f}"])
    return f"{markdown(lines)}\n\nMedians of {len(moved)} movements in each, in turn."


def size(window: str) -> tuple[int, int]:
    """Width and height of a window that is given as WIDTHxHEIGHT."""
    width, height = map(int, window.split("x"))
    return width, height


def open_panes(browser: Browser, url: str, window: str) -> Viewer:
    """Open the page with LIIF, LIT and CLIT light in three panes."""
    viewer = open_page(browser, url, size(window), dark=False)
    for pane, model in enumerate(("liif-light", "lit-light", "clit-light")):
        viewer.choose(pane, model)
    viewer.press("3")
    return viewer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="movements to each scale")
    parser.add_argument("--scales", default=",".join(f"{scale:g}" for scale in SCALES), help="separated by commas")
    parser.add_argument("--checkpoints", help="as app.py's")
    parser.add_argument("--chromium", default=CHROMIUM)
    parser.add_argument("--name", default="latency", help="of the file in analysis/")
    parser.add_argument("--before", type=Path, help="another checkout of this project, to be timed in turn")
    parser.add_argument("--before-window", default=WINDOW, help="of its page, WIDTHxHEIGHT")
    flags = parser.parse_args()
    names = {flags.name: ROOT} | ({f"{flags.name}-before": flags.before.resolve()} if flags.before else {})
    weights = flags.checkpoints or ROOT / "checkpoints"
    scales = [float(scale) for scale in flags.scales.split(",")]
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(serve_page(weights, root)) for root in names.values()]
        browser = stack.enter_context(launch_chromium(flags.chromium))
        windows = [WINDOW, flags.before_window][: len(urls)]
        viewers = [open_panes(browser, url, window) for url, window in zip(urls, windows, strict=True)]
        for viewer in viewers:
            open_first(viewer)
        first = movements(viewers, scales, flags.repeats)
        for viewer in viewers:
            open_first(viewer, LARGE)
        second = movements(viewers, scales, flags.repeats)
        for viewer in viewers:
            viewer.page.close()
        for name, *rows in zip(names, first, second, strict=True):
            write(name, [*rows[0], *rows[1]])
        for name, url, window in zip(names, urls, windows, strict=True):
            write_visits(name, first_visits(browser, url, window, flags.repeats))
    print(comparison(flags.name) if flags.before else table(flags.name))


if __name__ == "__main__":
    prepare_process()
    main()
