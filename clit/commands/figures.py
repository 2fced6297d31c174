"""Commands that draw what the models do: compare, attend, film, attribute."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from clit.commands.base import (
    MODEL_HELP,
    Chain,
    Input,
    Inputs,
    Model,
    Scale,
    Size,
    Strict,
    app,
    check_not_input,
    is_one_file,
    load_model,
    load_models,
    parse_number,
    parse_pair,
    read_picture,
    read_picture_and_size,
    run_folder,
    show_progress,
)
from clit.errors import UserError

Format = Annotated[str, typer.Option(help="What to write into a folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON, and nothing else; OUT may be left out.")]

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="IN... OUT",
        help="Pictures, folders, or patterns in quotes; then, for one picture, the figure (.png, .svg, .pdf) or "
        "numbers (.npz, .json) to write, else a folder.",
    ),
]
Pixel = Annotated[str, typer.Option(metavar="ROW,COLUMN", help="The output pixel, counted from 0.")]

_NO_OUT = "Give OUT, the file to write, or --json to print the numbers."


@app.command()
def compare(
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="For one picture, the .png, .svg or .pdf file to write; else a folder."),
    ],
    scale: Annotated[float, typer.Option(help="How many times larger, 1 to 64; need not be whole.")],
    model: Annotated[list[str] | None, typer.Option(help=MODEL_HELP + " Can be given again.")] = None,
    crop: Annotated[
        list[str] | None,
        typer.Option(metavar="TOP,LEFT,HEIGHT,WIDTH", help="A part to show, in output pixels; can be given again."),
    ] = None,
    truth: Annotated[
        bool,
        typer.Option("--truth", help="The input is in full resolution: reduce it by the scale first, and show scores."),
    ] = False,
    chain: Chain = "published",
    strict: Strict = False,
    format: Format = "png",
) -> None:
    """Draw a comparison sheet: the same crops by several methods, with PSNR and SSIM if --truth is given.

    Of folders, a sheet for every picture.
    """
    from clit.exports.compare import compare as compare_crops
    from clit.exports.compare import parse_crop
    from clit.exports.figures import SHEETS, draw_comparison
    from clit.exports.folders import check_format
    from clit.pictures.files import check_writable
    from clit.system.atomic import write_bytes

    one = is_one_file(inputs, out)
    if one:
        check_writable(out, SHEETS)
        check_not_input(out, Path(inputs[0]))
    ending = check_format(format, SHEETS)
    crops = [parse_crop(text) for text in crop or ()]
    networks = load_models(model or _list_default_models())
    options = {"scale": scale, "crops": crops, "truth": truth, "chain": chain}

    def draw(picture, path: str | Path, progress):
        sheet = compare_crops(networks, picture, progress=progress, **options)
        write_bytes(path, draw_comparison(sheet, Path(path).suffix.lower().removeprefix(".")))
        return sheet

    if not one:
        compare_crops(networks, _make_pixel(), scale=scale, chain=chain)  # wrong options are told before any work
        return _make_figures("compare", inputs, out, ending, networks, options, draw, strict)
    picture = read_picture(inputs[0], strict)
    with show_progress("compare") as progress:
        sheet = draw(picture, out, progress)
    for panel in sheet.panels:
        if panel.psnr is not None:
            typer.echo(f"{panel.name}: {panel.psnr:.2f} dB, {panel.ssim:.4f}")
    height, width = sheet.size
    crop_count = f"{len(sheet.crops)} crop{'s' if len(sheet.crops) > 1 else ''}"
    typer.echo(f"{out}: {crop_count} of {width} x {height} pixels (width x height)")


def _make_figures(
    command: str,
    inputs: list[str],
    out: Path,
    ending: str,
    models: Mapping[str, Any],
    options: dict,
    draw: Callable,
    strict: bool,
) -> None:
    """Make a file of every picture of folders: draw(picture, path, progress)."""
    from clit.exports.folders import make_folder
    from clit.exports.manifest import digest_model
    from clit.pictures.files import read_image

    def work(source: str, path: str, progress: Callable[[float], None]) -> tuple[str, ...]:
        picture = read_image(source, strict=strict)
        draw(picture, path, progress)
        return picture.notices

    weights = {name: digest_model(model) for name, model in models.items()}
    settings = {"command": command, "weights": weights, "strict": strict, **options}
    run_folder(command, inputs, out, lambda **heard: make_folder(inputs, out, ending, settings, work, **heard))


def _make_pixel():
    """Return a picture of one pixel, on which to try options."""
    import numpy as np

    return np.zeros((1, 1, 3), np.float32)


def _list_default_models() -> list[str]:
    """Return bicubic and the light presets that have weights."""
    from clit.networks.checkpoints import available

    return ["bicubic", *(name for name in available() if name.endswith("-light"))]


@app.command()
def attend(
    paths: Paths,
    pixel: Pixel,
    scale: Scale = None,
    size: Size = None,
    model: Model = "lit-light",
    chain: Chain = "published",
    strict: Strict = False,
    format: Format = "png",
    json: Json = False,
) -> None:
    """Show what one output pixel looked at: the weights of every head and stage. Of folders, for every picture."""
    from clit.exports.figures import encode_json

    asked = _read_question(paths, pixel, size, format, json, "looked at")
    picture, where = asked.read(scale, strict)
    options = {"pixel": asked.pixel, **where, "chain": chain}
    network = load_model(model)

    from clit import attend as find_attention

    def draw(picture, path: str | Path | None, progress=None):
        image = picture.opaque()
        attention = find_attention(network, image, **options)
        if path is not None:
            _write_attention(model, attention, image, path)
        return attention

    if picture is None:  # wrong options are told before any work
        find_attention(network, _make_pixel(), (0, 0), scale, size=asked.size and (1, 1), chain=chain)
        return _make_figures("attend", asked.inputs, asked.out, asked.ending, {model: network}, options, draw, strict)
    attention = draw(picture, asked.out)
    if json:
        return typer.echo(encode_json(attention))
    stages = f"{len(attention.stages)} stage{'s' if len(attention.stages) > 1 else ''}"
    typer.echo(f"{asked.out}: {attention.kind}, {stages}")


@dataclass(frozen=True)
class _Question:
    """One output pixel of one picture or of folders, and where the answer goes.

    out: a file for one picture, None to print alone, else a folder. ending: of the files in the folder, or of OUT.
    size: (H, W) of the output, or None where a scale is given.
    """

    inputs: list[str]
    out: Path | None
    is_one: bool
    ending: str
    pixel: tuple[int, int]
    size: tuple[int, int] | None

    def read(self, scale: float | None, strict: bool) -> tuple[Any, dict]:
        """Return the picture, None for folders, and how large the output is to be: {scale, size}."""
        if not self.is_one:
            return None, {"scale": scale, "size": self.size}
        picture, size = read_picture_and_size(Path(self.inputs[0]), scale, self.size, strict)
        return picture, {"scale": None, "size": size}


def _read_question(paths: list[str], pixel: str, size: str | None, format: str, json: bool, what: str) -> _Question:
    """Read what `attend` and `attribute` were given; UserError for what they cannot answer. what: about the pixel."""
    from clit.exports.figures import FORMS
    from clit.exports.folders import check_format

    inputs, out = _split_paths(paths, json)
    is_one = out is None or is_one_file(inputs, out)
    if json and (not is_one or os.path.isdir(inputs[0])):
        raise UserError(f"--json prints what a pixel of one picture {what}: give one picture, and OUT as a file.")
    if is_one:
        _check_out(out, FORMS, inputs[0])
    ending = check_format(format, FORMS)
    if is_one:
        ending = "" if out is None else out.suffix.lower()
    position = parse_pair(pixel, ",", "--pixel", "ROW,COLUMN")
    wanted = None if size is None else parse_pair(size, "x", "--size", "HxW")
    return _Question(inputs, out, is_one, ending, position, wanted)


def _split_paths(paths: list[str], json: bool) -> tuple[list[str], Path | None]:
    """Split what was given into inputs and OUT, which may be missing where JSON is printed."""
    if json and len(paths) == 1:
        return paths, None
    *inputs, out = paths
    if not inputs:
        raise UserError(_NO_OUT)
    return inputs, Path(out)


def _check_out(out: Path | None, forms: tuple[str, ...], source: str | Path) -> None:
    """Raise a UserError if a file of one of the forms cannot be written there, or is the input itself."""
    from clit.pictures.files import check_writable

    if out is not None:
        check_writable(out, forms)
        check_not_input(out, Path(source))


def _write_attention(model: str, attention, image, path: str | Path) -> None:
    from clit.exports.figures import Look, encode_attention
    from clit.system.atomic import write_bytes

    write_bytes(path, encode_attention([Look(model, attention)], image, Path(path).suffix.lower()))


@app.command()
def film(
    source: Input,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A film to write: .mp4, .webp or .gif.")],
    model: Annotated[list[str] | None, typer.Option(help=MODEL_HELP + " Can be given again: side by side.")] = None,
    about: Annotated[
        str | None, typer.Option(metavar="Y,X", help="The point to zoom in on, in LR pixels; the middle by default.")
    ] = None,
    start: Annotated[float, typer.Option(help="The first scale.")] = 1.0,
    end: Annotated[float, typer.Option(help="The last scale.")] = 30.0,
    side: Annotated[str, typer.Option(metavar="HxW", help="The size of each method's frame in pixels.")] = "400x400",
    seconds: Annotated[float, typer.Option(help="Length of the film.")] = 6.0,
    fps: Annotated[int, typer.Option(help="Frames per second.")] = 20,
    chain: Chain = "published",
    strict: Strict = False,
) -> None:
    """Make a film that zooms in on a point: every frame is rendered at its own scale."""
    from clit.exports.film import SUFFIXES, Film, save_film
    from clit.pictures.files import check_writable

    check_writable(out, SUFFIXES)
    check_not_input(out, source)
    point = None
    if about is not None:
        point = tuple(parse_number(each, "--about", "two numbers, Y,X") for each in about.split(","))
        if len(point) != 2:
            raise UserError(f'--about is "{about}", but must be two numbers, Y,X.')
    wanted = Film(start, end, point, parse_pair(side, "x", "--side", "HxW"), seconds, fps)
    names = model or ["lit-light"]
    picture = read_picture(source, strict)
    wanted.check(picture.size, len(names))
    networks = load_models(names)
    with show_progress("film") as progress:
        height, width = save_film(networks, picture.opaque(), out, wanted, chain=chain, progress=progress)
    typer.echo(f"{out}: {len(wanted.scales)} frames of {width} x {height} pixels (width x height), labels included")


@app.command()
def attribute(
    paths: Paths,
    pixel: Pixel,
    scale: Scale = None,
    size: Size = None,
    model: Annotated[list[str] | None, typer.Option(help=MODEL_HELP + " Can be given again: side by side.")] = None,
    objective: Annotated[
        str,
        typer.Option(help="texture: the gradients around the pixel; colour: the pixel's luma."),
    ] = "texture",
    steps: Annotated[int, typer.Option(help="From blurred to sharp; doubled until the gap is below 2 %.")] = 50,
    chain: Chain = "published",
    strict: Strict = False,
    format: Format = "png",
    json: Json = False,
) -> None:
    """Show which input pixels one output pixel comes from, through encoder and decoder. Of folders, for all."""
    from clit.exports.attributions import encode_json

    asked, names = _read_question(paths, pixel, size, format, json, "comes from"), model or ["lit-light"]
    if len(names) > 1 and (json or asked.ending in (".npz", ".json")):
        raise UserError("Numbers hold what one method was asked: choose one.")
    picture, where = asked.read(scale, strict)
    options = {**where, "chain": chain, "objective": objective, "steps": steps}
    networks = load_models(names)

    from clit import attribute as find_attribution

    def draw(picture, path: str | Path | None, progress: Callable[[float], None]):
        image, found = picture.opaque(), {}
        for done, (name, network) in enumerate(networks.items()):
            found[name] = find_attribution(
                network, image, asked.pixel, **options,
                progress=lambda share, done=done: progress((done + share) / len(networks)),
            )  # fmt: skip
        if path is not None:
            _write_attribution(found, image, path)
        return found

    if picture is None:  # wrong options are told before any work
        for network in networks.values():
            find_attribution(network, _make_pixel(), (0, 0), **options | {"size": asked.size and (1, 1)})
        chosen = {"pixel": asked.pixel, **options}
        return _make_figures("attribute", asked.inputs, asked.out, asked.ending, networks, chosen, draw, strict)
    with show_progress("attribute") as progress:
        found = draw(picture, asked.out, progress)
    if json:
        return typer.echo(encode_json(*found.values()))
    for name, each in found.items():
        typer.echo(f"{name}: diffusion index {each.diffusion:.2f}, gap {each.gap:.2%} after {each.steps} steps")


def _write_attribution(found: Mapping[str, Any], image, path: str | Path) -> None:
    from clit.exports.attributions import encode_attribution
    from clit.system.atomic import write_bytes

    write_bytes(path, encode_attribution(found, image, Path(path).suffix.lower()))
