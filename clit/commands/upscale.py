"""The command upscale: a picture, or whole folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from clit.commands.base import (
    Chain,
    Inputs,
    Model,
    Scale,
    Size,
    Strict,
    app,
    check_not_input,
    is_one_file,
    load_model,
    note,
    parse_pair,
    read_picture_and_size,
    run_folder,
    show_progress,
)
from clit.errors import UserError


class _Upscale(TyperCommand):
    """A command whose option --ray may stand without an address."""

    def parse_args(self, ctx, args):
        following = [*args[1:], ""]
        bare = [arg == "--ray" and not _is_address(after) for arg, after in zip(args, following, strict=True)]
        return super().parse_args(ctx, ["--ray=local" if b else arg for arg, b in zip(args, bare, strict=True)])


def _is_address(text: str) -> bool:
    return bool(re.match(r"\w+://", text) or re.fullmatch(r"[\w.-]+:\d+|auto|local", text))


@app.command(cls=_Upscale)
def upscale(
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="For one picture, the .png, .tiff, .webp, .jpg or .avif file to write; else a folder."
        ),
    ],
    scale: Scale = None,
    size: Size = None,
    model: Model = "lit-light",
    chain: Chain = "published",
    stages: Annotated[int | None, typer.Option(help="Stop CLIT after this many stages.")] = None,
    wrap: Annotated[
        bool, typer.Option("--wrap", help="The picture is a texture that repeats: enlarge it without a seam.")
    ] = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out resolution, EXIF and text of the input.")] = False,
    strict: Strict = False,
    format: Annotated[
        str | None,
        typer.Option(help="What to write into a folder: png, tiff, ...; as the input by default, else png."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Work through a folder on all CPUs by Ray, or on a Ray cluster: ray://HOST:10001, or auto on one of "
            "its machines. All its machines must see IN and OUT under the same paths.",
        ),
    ] = None,
    actors: Annotated[int | None, typer.Option(min=1, help="With --ray: how many CPUs to use; all by default.")] = None,
) -> None:
    """Enlarge a picture, or folders of them.

    Transparency, 16 bit and metadata are kept where the output's format can hold them. A folder's tree is kept; what
    an earlier run has done is not done again, and a picture that fails is noted in failures.csv.
    """
    wanted = None if size is None else parse_pair(size, "x", "--size", "HxW")
    options = {"chain": chain, "stages": stages, "wrap": wrap, "strip": strip}
    if is_one_file(inputs, out):
        if format is not None or ray is not None or actors is not None:
            raise UserError("--format, --ray and --actors are for folders: give a folder as OUT.")
        return _upscale_file(Path(inputs[0]), out, scale, wanted, model, strict, options)
    network = load_model(model)

    from clit import upscale_folder

    if ray is not None and ray != "local":
        note(f"All machines of the cluster must see the inputs and {out}, under the same paths.")
    options |= {"size": wanted, "format": format, "strict": strict, "ray": ray, "actors": actors}
    run_folder("upscale", inputs, out, lambda **heard: upscale_folder(network, inputs, out, scale, **options, **heard))


def _upscale_file(
    source: Path,
    out: Path,
    scale: float | None,
    size: tuple[int, int] | None,
    model: str,
    strict: bool,
    options: dict,
) -> None:
    from clit.pictures.files import check_output, list_losses

    check_output(out)
    picture, size = read_picture_and_size(source, scale, size, strict)
    check_output(out, size)
    check_not_input(out, source)
    network = load_model(model)

    from clit import estimate, save

    work = {key: value for key, value in options.items() if key != "strip"}
    seconds = estimate(network, picture.rgb, size=size, **work).seconds
    with show_progress(f"upscale, about {seconds:.0f} s" if seconds >= 1 else "upscale") as progress:
        save(network, picture, out, size=size, progress=progress, **options)
    for notice in list_losses(out, picture, options["strip"]):
        note(notice)
    typer.echo(f"{out}: {size[1]} x {size[0]} pixels (width x height)")
