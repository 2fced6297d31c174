"""What programs ask: one question about one picture file, without a session. UserError where it cannot be answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from clit.errors import UserError
from clit.exports import attributions
from clit.exports.figures import encode_json
from clit.ui.pictures import Picture
from clit.ui.requests import ProgramRequest
from clit.ui.site import Site
from clit.ui.uploads import read_upload


def upscale_file(
    site: Site, path: Path, model: str, scale: float, chain: str, is_over: Callable[[], bool] = lambda: False
) -> Path:
    """Enlarge a picture file; return the path of a PNG that is kept until some more were asked for.

    Stale or Cancelled soon after is_over() has become true.
    """
    picture = _read_whole(site, path)
    request = ProgramRequest.read({"model": model, "scale": scale, "chain": chain}, picture, site.limits)
    network, enlargement = site.models.get(request.model), request.enlargement
    enlargement.check_area(picture, site.limits)
    out = site.new_path(".png")
    with site.line.join(picture.id, "file", is_over) as place:
        site.render_at(place).save(
            network, picture.in_8_bit, out, size=enlargement.size, chain=enlargement.chain, cancel=is_over
        )
    site.keep_for_program(out)
    return out


def attend_pixel(site: Site, path: Path, model: str, scale: float, row: int, column: int, chain: str) -> dict:
    """Return what an output pixel of a picture file looked at: what `figures.encode_json` writes."""
    picture = _read_whole(site, path)
    request = ProgramRequest.read({"model": model, "scale": scale, "chain": chain}, picture, site.limits)
    network, enlargement = site.models.get(request.model), request.enlargement
    with site.line.join(picture.id, "file") as place:
        found = site.render_at(place).attend(
            network, picture.rgb, pixel=(row, column), size=enlargement.size, chain=enlargement.chain
        )
    return json.loads(encode_json(found))


def attribute_pixel(
    site: Site,
    path: Path,
    model: str,
    scale: float,
    row: int,
    column: int,
    objective: str,
    steps: int,
    chain: str,
    is_over: Callable[[], bool] = lambda: False,
) -> tuple[dict, Path, Path]:
    """Return which input pixels an output pixel of a picture file comes from.

    As numbers without the map, as a figure (PNG) and as what `attributions.encode_json` writes, the map among it; both
    files are kept until some more were asked for. is_over: as for `upscale_file`.
    """
    picture = _read_whole(site, path)
    request = ProgramRequest.read({"model": model, "scale": scale, "chain": chain}, picture, site.limits)
    network, enlargement = site.models.get(request.model), request.enlargement
    with site.line.join(picture.id, "file", is_over) as place:
        found = site.render_at(place).attribute(
            network, picture.rgb, pixel=(row, column), size=enlargement.size, chain=enlargement.chain,
            objective=objective, steps=steps, cancel=is_over,
        )  # fmt: skip
    figure, numbers = site.new_path(".png"), site.new_path(".json")
    figure.write_bytes(attributions.draw_attribution({request.model: found}, picture.rgb))
    numbers.write_bytes(attributions.encode_json(found))
    for file in (figure, numbers):
        site.keep_for_program(file)
    answer = json.loads(numbers.read_bytes())
    del answer["map"]
    return answer, figure, numbers


def _read_whole(site: Site, path: Path) -> Picture:
    """Read the picture of a file; UserError for one that a visitor would get reduced."""
    picture = read_upload(path, "the picture", site.limits)
    if picture.notice:
        raise UserError(f"The picture has more than {site.limits.input_pixels / 1e6:g} megapixels: reduce it first.")
    return picture
