"""The command line, `python -m clit COMMAND`: upscale, compare, attend, film, evaluate, import-official, train.

Each command imports what it needs when it runs, so that --help answers at once.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from clit.errors import UserError
from clit.system.process import prepare_process


class _Commands(TyperGroup):
    """Commands that end with one line and exit code 2 for wrong input, never with a traceback."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except UserError as error:
            message = str(error)
        except OSError as error:
            message = f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
        except MemoryError:
            message = "There is not enough memory for this: choose a smaller image or scale."
        typer.echo(f"error: {message}", err=True)
        raise typer.Exit(2)


app = typer.Typer(
    cls=_Commands,
    help="Super-resolution at any scale by local attention (LIT, CLIT) and the methods it replaces.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

MODEL_HELP = "A preset with weights, a checkpoint directory, a hub id, a published .pth file, bilinear or bicubic."
Input = Annotated[Path, typer.Argument(metavar="IN", help="The low-resolution picture.")]
Model = Annotated[str, typer.Option(help=MODEL_HELP)]
Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help=MODEL_HELP)]
Scale = Annotated[float | None, typer.Option(help="How many times larger, 1 to 64; need not be whole.")]
Size = Annotated[str | None, typer.Option(metavar="HxW", help="The output size in pixels, instead of --scale.")]
Chain = Annotated[str, typer.Option(help="How CLIT splits the scale into stages: published or balanced.")]
Whole = Annotated[bool, typer.Option("--whole", help="Refuse a JPEG or PNG whose end is missing.")]
Data = Annotated[list[Path], typer.Option(metavar="DIR", help="A folder of pictures; can be given again.")]


@app.command()
def upscale(
    source: Input,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .png, .tiff, .webp, .jpg or .avif file to write.")],
    scale: Scale = None,
    size: Size = None,
    model: Model = "lit-light",
    chain: Chain = "published",
    stages: Annotated[int | None, typer.Option(help="Stop CLIT after this many stages.")] = None,
    wrap: Annotated[
        bool, typer.Option("--wrap", help="The picture is a texture that repeats: enlarge it without a seam.")
    ] = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out resolution, EXIF and text of the input.")] = False,
    whole: Whole = False,
) -> None:
    """Enlarge a picture. Transparency, 16 bit and metadata are kept where the output's format can hold them."""
    from clit.pictures.files import check_output, list_losses

    check_output(out)
    picture, wanted = _read_picture_and_size(source, scale, size, whole)
    check_output(out, wanted)
    _check_not_input(out, source)
    network = _load(model)

    from clit import estimate, save

    options = {"size": wanted, "chain": chain, "stages": stages, "wrap": wrap}
    seconds = estimate(network, picture.rgb, **options).seconds
    with _progress(f"upscale, about {seconds:.0f} s" if seconds >= 1 else "upscale") as progress:
        save(network, picture, out, strip=strip, progress=progress, **options)
    for notice in list_losses(out, picture):
        _note(notice)
    typer.echo(f"{out}: {wanted[0]} x {wanted[1]} pixels (height x width)")


@app.command()
def compare(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The picture; with --truth, in full resolution.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A figure to write: .png, .svg or .pdf.")],
    scale: Annotated[float, typer.Option(help="How many times larger, 1 to 64; need not be whole.")],
    model: Annotated[list[str] | None, typer.Option(help=MODEL_HELP + " Can be given again.")] = None,
    crop: Annotated[
        list[str] | None,
        typer.Option(metavar="TOP,LEFT,HEIGHT,WIDTH", help="A part to show, in output pixels; can be given again."),
    ] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="Make the picture smaller by the scale first, and print scores.")
    ] = False,
    chain: Chain = "published",
) -> None:
    """Draw a comparison sheet: the same crops by several methods, with PSNR and SSIM if --truth is given."""
    from clit.exports.compare import compare as compare_crops
    from clit.exports.compare import parse_crop
    from clit.exports.figures import comparison_figure
    from clit.pictures.files import check_writable
    from clit.system.atomic import write_bytes

    check_writable(out, (".png", ".svg", ".pdf"))
    _check_not_input(out, source)
    crops = [parse_crop(text) for text in crop or ()]
    networks = {Path(name).name: _load(name) for name in model or _list_default_models()}
    with _progress("compare") as progress:
        sheet = compare_crops(networks, source, scale, crops=crops, truth=truth, chain=chain, progress=progress)
    write_bytes(out, comparison_figure(sheet, out.suffix.lower().removeprefix(".")))
    for panel in sheet.panels:
        if panel.psnr is not None:
            typer.echo(f"{panel.name}: {panel.psnr:.2f} dB, {panel.ssim:.4f}")
    height, width = sheet.size
    crop_count = f"{len(sheet.crops)} crop{'s' if len(sheet.crops) > 1 else ''}"
    typer.echo(f"{out}: {crop_count} of {height} x {width} pixels (height x width)")


def _list_default_models() -> list[str]:
    """Return bicubic and the light presets that have weights."""
    from clit.networks.checkpoints import available

    return ["bicubic", *(name for name in available() if name.endswith("-light"))]


@app.command()
def attend(
    source: Input,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A figure (.png, .svg, .pdf), or numbers (.npz, .json).")],
    pixel: Annotated[str, typer.Option(metavar="ROW,COLUMN", help="The output pixel, counted from 0.")],
    scale: Scale = None,
    size: Size = None,
    model: Model = "lit-light",
    chain: Chain = "published",
) -> None:
    """Show what one output pixel looked at: the weights of every head and stage."""
    from clit.exports.figures import FORMS, attention_file
    from clit.pictures.files import check_writable
    from clit.system.atomic import write_bytes

    check_writable(out, FORMS)
    _check_not_input(out, source)
    position = _parse_pair(pixel, ",", "--pixel", "ROW,COLUMN")
    picture, wanted = _read_picture_and_size(source, scale, size)
    network = _load(model)

    from clit import attend as find_attention

    attention = find_attention(network, picture.opaque(), position, size=wanted, chain=chain)
    write_bytes(out, attention_file(attention, picture.opaque(), out.suffix.lower(), model))
    typer.echo(f"{out}: {attention.kind}, {len(attention.stages)} stage{'s' if len(attention.stages) > 1 else ''}")


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
) -> None:
    """Make a film that zooms in on a point: every frame is rendered at its own scale."""
    from clit.exports.film import SUFFIXES, Film, save_film
    from clit.pictures.files import as_array, check_writable

    check_writable(out, SUFFIXES)
    _check_not_input(out, source)
    point = None
    if about is not None:
        y, _, x = about.partition(",")
        point = tuple(_parse_number(each, "--about", "two numbers, Y,X") for each in (y, x))
    wanted = Film(start, end, point, _parse_pair(side, "x", "--side", "HxW"), seconds, fps)
    networks = {Path(name).name: _load(name) for name in model or ["lit-light"]}
    with _progress("film") as progress:
        height, width = save_film(networks, as_array(source), out, wanted, chain=chain, progress=progress)
    typer.echo(f"{out}: {len(wanted.scales)} frames of {height} x {width} pixels (height x width), labels included")


@app.command()
def evaluate(
    models: Models,
    data: Data,
    scales: Annotated[str, typer.Option(help="Scales, separated by commas.")] = "2,3,4",
    rule: Annotated[
        str, typer.Option(help="How the PSNR is measured: benchmark (luma), rgb, or div2k (RGB, wider border).")
    ] = "benchmark",
    chain: Chain = "published",
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A list of file names: score only every second, those that chose no checkpoint; read as in training.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the scores of every picture to this file.")
    ] = None,
) -> None:
    """Score models on folders of full-resolution pictures: mean PSNR / SSIM by folder and scale."""
    from clit.pictures.files import check_writable
    from clit.pictures.metrics import check_rule

    if csv is not None:
        check_writable(csv, (".csv",))
    check_rule(rule)
    factors = [
        _parse_number(text, "--scales", "numbers separated by commas, as in 2,3,4") for text in scales.split(",")
    ]

    from clit.training.evaluate import evaluate as score
    from clit.training.evaluate import find_reported, table, write_csv

    only = None if held_out is None else find_reported(data, _read_lines(held_out))
    short = [Path(name).name for name in models]
    labels = short if len(set(short)) == len(models) else models
    networks = {label: _load(name) for label, name in zip(labels, models, strict=True)}
    with _progress("evaluate") as progress:
        rows = score(
            networks, data, factors, rule=rule, chain=chain, only=only, halve=only is not None, progress=progress
        )
    if csv is not None:
        write_csv(rows, csv)
    typer.echo(table(rows))


@app.command("import-official")
def import_official(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth file of LIIF, LTE or CLIT as published.")],
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="The checkpoint directory to write.")],
) -> None:
    """Turn published weights into a checkpoint directory, which loads without unpickling."""
    from clit import import_official as read_published
    from clit.networks import checkpoints

    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give a directory to write the checkpoint into.")
    model = read_published(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    card = (
        f"# {out.name}\n\nImported from the published file `{file.name}` (sha256 `{digest}`): "
        f"{model.config.decoder.name} on {model.config.encoder.name}.\n\n"
        "The weights are under the licence of those who published them.\n"
    )
    checkpoints.save(model, out, card)
    typer.echo(f"{out}: {model.config.decoder.name} on {model.config.encoder.name}")


@app.command()
def train(
    presets: Annotated[list[str], typer.Argument(metavar="PRESET...", help="Presets that share one encoder.")],
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of the run; an unfinished run in it is continued.")
    ],
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps, instead of --minutes.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder of checkpoints; presets that are in it start from them."),
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="A model; the encoder starts from its encoder.")] = None,
    freeze_encoder: Annotated[bool, typer.Option("--freeze-encoder", help="Train decoders only.")] = False,
    rate: Annotated[float, typer.Option(help="Learning rate of Adam, after the warm-up.")] = 1e-3,
    encoder_rate: Annotated[float | None, typer.Option(help="A smaller learning rate for the encoder.")] = None,
    batch: Annotated[int, typer.Option(help="Crops per step and process.")] = 8,
    patch: Annotated[int, typer.Option(help="Side of a low-resolution crop in pixels.")] = 24,
    latents: Annotated[
        int, typer.Option(help="Side of the part of a crop's latents that is trained, a pixel for each.")
    ] = 24,
    accumulate: Annotated[int, typer.Option(help="Batches per step, one after another.")] = 1,
    held_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of file names that are never trained on.")
    ] = None,
    credits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text to end each checkpoint's card with.")
    ] = None,
) -> None:
    """Train presets on photographs. Needs the package accelerate: pip install 'clit[train]'."""
    names = set() if held_out is None else _read_lines(held_out)
    ending = "" if credits is None else _read_text(credits)

    from clit.training.loop import train as train_presets
    from clit.training.settings import Settings

    source = None if encoder is None else _load(encoder)
    if source is not None and source.kind == "plain":
        raise UserError(f"{encoder} has no encoder to start from: choose a network.")
    settings = Settings(
        minutes, steps, batch, patch, latents, rate, encoder_rate, accumulate=accumulate, freeze_encoder=freeze_encoder
    )
    with _progress("train") as progress:
        train_presets(
            presets,
            data,
            out,
            settings,
            start=start,
            encoder=None if source is None else source.encoder.state_dict(),
            encoder_name=Path(encoder or start or "random weights").name,
            held_out=names,
            credits=ending,
            report=lambda message, done: progress(done, message),
        )


def _load(name: str) -> Any:
    """Load a model by any of the names that MODEL_HELP lists."""
    import clit

    return clit.import_official(name) if Path(name).suffix in (".pth", ".pt") else clit.load(name)


def _check_not_input(out: Path, source: Path) -> None:
    """Raise a UserError if a command would write over its input."""
    if out.exists() and source.exists() and os.path.samefile(source, out):
        raise UserError(f"The output {out} is the input itself: give another name.")


def _read_lines(file: Path) -> set[str]:
    return set(_read_text(file).splitlines())


def _read_text(file: Path) -> str:
    """Return the text of a file; UserError if there is none."""
    if not file.is_file():
        raise UserError(f"There is no file {file}.")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not a text file.") from None


def _read_picture_and_size(source: Path, scale: float | None, size: str | None, whole: bool = False):
    """Read the picture; return it with the output size (H, W) that --scale or --size asks for.

    whole: refuse a picture whose end is missing.
    """
    from clit.geometry import resolve_size
    from clit.pictures.files import read_image

    wanted = None if size is None else _parse_pair(size, "x", "--size", "HxW")
    picture = read_image(source, strict=whole)
    for notice in picture.notices:
        _note(notice)
    return picture, resolve_size(*picture.size, scale, wanted)


def _note(notice: str) -> None:
    """Print what was approximated or lost, where it does not disturb a piped result."""
    typer.echo(f"note: {notice}", err=True)


def _parse_pair(text: str, between: str, option: str, form: str) -> tuple[int, int]:
    match = re.fullmatch(rf"\s*(-?\d+)\s*{between}\s*(-?\d+)\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f'{option} is "{text}", but must be two whole numbers, {form}.')
    return int(match[1]), int(match[2])


def _parse_number(text: str, option: str, form: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f'{option} has "{text}" in it, but must be {form}.') from None


@contextmanager
def _progress(what: str) -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error if that is a terminal.

    Yields a function to call with the share done, 0..1, and optionally a line to print above the bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)

        def report(done: float, line: str | None = None) -> None:
            bar.update(task, completed=done)
            if line is not None:
                bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield report


def main() -> None:
    """Entry point of `python -m clit` and of the installed command `clit`."""
    prepare_process()
    app(prog_name="clit")


if __name__ == "__main__":
    main()
