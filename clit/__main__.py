"""Command line: python -m clit COMMAND: upscale, compare, attend, film, evaluate, train, import-official (see --help).

Commands import what they need when they run, so that --help answers at once.
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
    """Wrong input ends with one line and code 2, never with a traceback."""

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
Data = Annotated[list[Path], typer.Option(metavar="DIR", help="A folder of pictures; can be given again.")]


@app.command()
def upscale(
    source: Input,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .png, .tiff, .webp (lossless) or .jpg file to write.")],
    scale: Scale = None,
    size: Size = None,
    model: Model = "lit-light",
    chain: Chain = "published",
    stages: Annotated[int | None, typer.Option(help="Stop CLIT after this many stages.")] = None,
) -> None:
    """Enlarge a picture. Transparency and 16 bit are kept where the output's format can hold them."""
    from clit.pictures.files import check_output

    check_output(out)
    picture, wanted = _picture_and_size(source, scale, size)
    check_output(out, wanted)
    _check_other(out, source)
    network = _load(model)

    from clit import estimate, save

    options = {"size": wanted, "chain": chain, "stages": stages}
    seconds = estimate(network, picture.rgb, **options).seconds
    with _progress(f"upscale, about {seconds:.0f} s" if seconds >= 1 else "upscale") as progress:
        save(network, picture, out, progress=progress, **options)
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
        bool, typer.Option("--truth", help="Make the picture smaller by the scale first, and tell scores.")
    ] = False,
    chain: Chain = "published",
) -> None:
    """Draw a comparison sheet: the same crops by several methods, with PSNR and SSIM where the truth is known."""
    from clit.exports.compare import compare as crops_of
    from clit.exports.compare import parse_crop
    from clit.exports.figures import comparison_figure
    from clit.pictures.files import check_writable
    from clit.system.atomic import write_bytes

    check_writable(out, (".png", ".svg", ".pdf"))
    _check_other(out, source)
    crops = [parse_crop(text) for text in crop or ()]
    networks = {Path(name).name: _load(name) for name in model or _with_weights()}
    with _progress("compare") as progress:
        found = crops_of(networks, source, scale, crops=crops, truth=truth, chain=chain, progress=progress)
    write_bytes(out, comparison_figure(found, out.suffix.lower().removeprefix(".")))
    for panel in found.panels:
        if panel.psnr is not None:
            typer.echo(f"{panel.name}: {panel.psnr:.2f} dB, {panel.ssim:.4f}")
    height, width = found.size
    crops_told = f"{len(found.crops)} crop{'s' if len(found.crops) > 1 else ''}"
    typer.echo(f"{out}: {crops_told} of {height} x {width} pixels (height x width)")


def _with_weights() -> list[str]:
    """Bicubic and the light presets whose weights are here."""
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
    _check_other(out, source)
    position = _two_numbers(pixel, ",", "--pixel", "ROW,COLUMN")
    picture, wanted = _picture_and_size(source, scale, size)
    network = _load(model)

    from clit import attend as look

    found = look(network, picture.opaque(), position, size=wanted, chain=chain)
    write_bytes(out, attention_file(found, picture.opaque(), out.suffix.lower(), model))
    typer.echo(f"{out}: {found.kind}, {len(found.stages)} stage{'s' if len(found.stages) > 1 else ''}")


@app.command()
def film(
    source: Input,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A film to write: .mp4, .webp or .gif.")],
    model: Annotated[list[str] | None, typer.Option(help=MODEL_HELP + " Given again: side by side.")] = None,
    about: Annotated[
        str | None, typer.Option(metavar="Y,X", help="The point to zoom in on, in LR pixels; the middle by default.")
    ] = None,
    start: Annotated[float, typer.Option(help="The first scale.")] = 1.0,
    end: Annotated[float, typer.Option(help="The last scale.")] = 30.0,
    side: Annotated[str, typer.Option(metavar="HxW", help="A method's frame, in pixels.")] = "400x400",
    seconds: Annotated[float, typer.Option(help="How long it plays.")] = 6.0,
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 20,
    chain: Chain = "published",
) -> None:
    """Make a zoom film about a point: every frame is rendered at its own scale."""
    from clit.exports.film import SUFFIXES, Film, save_film
    from clit.pictures.files import as_array, check_writable

    check_writable(out, SUFFIXES)
    _check_other(out, source)
    point = None
    if about is not None:
        y, _, x = about.partition(",")
        point = tuple(_number(each, "--about", "two numbers, Y,X") for each in (y, x))
    wanted = Film(start, end, point, _two_numbers(side, "x", "--side", "HxW"), seconds, fps)
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
        str, typer.Option(help="benchmark (luma), rgb, or div2k (RGB, wider border): what the PSNR counts.")
    ] = ("benchmark"),
    chain: Chain = "published",
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Only every second picture of this list: those that chose no checkpoint; read as in training.",
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write every picture's figures here.")] = None,
) -> None:
    """Score models on folders of full-resolution pictures: mean PSNR / SSIM per folder and scale."""
    from clit.pictures.files import check_writable
    from clit.pictures.metrics import check_rule

    if csv is not None:
        check_writable(csv, (".csv",))
    check_rule(rule)
    factors = [_number(text, "--scales", "numbers separated by commas, as in 2,3,4") for text in scales.split(",")]

    from clit.training.evaluate import evaluate as score
    from clit.training.evaluate import reported, table, write_csv

    only = None if held_out is None else reported(data, set(_text_of(held_out).splitlines()))

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
    from clit import import_official as read
    from clit.networks import checkpoints

    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give a directory to write the checkpoint into.")
    model = read(file)
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
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder; an unfinished run in it goes on.")],
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes of training.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps, instead of --minutes.")] = None,
    start: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of checkpoints: the presets in it start from those.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="The model whose encoder to start from.")] = None,
    freeze_encoder: Annotated[bool, typer.Option("--freeze-encoder", help="Train decoders only.")] = False,
    rate: Annotated[float, typer.Option(help="Learning rate of Adam, after the warm-up.")] = 1e-3,
    encoder_rate: Annotated[
        float | None, typer.Option(help="Learning rate of the encoder, where it is to be a smaller one.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Crops a step, of each process.")] = 8,
    patch: Annotated[int, typer.Option(help="LR pixels a side of a crop.")] = 24,
    latents: Annotated[int, typer.Option(help="Latents a side that are asked for a pixel each, of a crop.")] = 24,
    accumulate: Annotated[int, typer.Option(help="Batches a step, one after another.")] = 1,
    held_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of file names that are never trained on.")
    ] = None,
    credits: Annotated[Path | None, typer.Option(metavar="FILE", help="Text that ends each checkpoint's card.")] = None,
) -> None:
    """Train presets on photographs."""
    names = None if held_out is None else set(_text_of(held_out).splitlines())
    ending = "" if credits is None else _text_of(credits)

    from clit.training.run import Settings
    from clit.training.run import train as run

    source = None if encoder is None else _load(encoder)
    if source is not None and source.kind == "plain":
        raise UserError(f"{encoder} has no encoder to start from: choose a network.")
    settings = Settings(
        minutes, steps, batch, patch, latents, rate, encoder_rate, accumulate=accumulate, freeze_encoder=freeze_encoder
    )
    with _progress("train") as progress:
        run(
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
    """What MODEL_HELP lists."""
    import clit

    return clit.import_official(name) if Path(name).suffix in (".pth", ".pt") else clit.load(name)


def _check_other(out: Path, source: Path) -> None:
    """UserError if a command would write over what it reads."""
    if out.exists() and source.exists() and os.path.samefile(source, out):
        raise UserError(f"The output {out} is the input itself: give another name.")


def _text_of(file: Path) -> str:
    if not file.is_file():
        raise UserError(f"There is no file {file}.")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not a text file.") from None


def _picture_and_size(source: Path, scale: float | None, size: str | None):
    """The picture, and the output size (H, W) that --scale or --size asks for."""
    from clit.geometry import resolve_size
    from clit.pictures.files import read_image

    wanted = None if size is None else _two_numbers(size, "x", "--size", "HxW")
    picture = read_image(source)
    return picture, resolve_size(*picture.size, scale, wanted)


def _two_numbers(text: str, between: str, option: str, form: str) -> tuple[int, int]:
    match = re.fullmatch(rf"\s*(-?\d+)\s*{between}\s*(-?\d+)\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f'{option} is "{text}", but must be two whole numbers, {form}.')
    return int(match[1]), int(match[2])


def _number(text: str, option: str, form: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f'{option} has "{text}" in it, but must be {form}.') from None


@contextmanager
def _progress(what: str) -> Iterator[Callable[..., None]]:
    """A bar on standard error, for a person. Yields what to call with the share done, 0..1, and maybe a line to log."""
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
