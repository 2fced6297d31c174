"""The command that writes the page as a folder of static files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from clit.commands.base import app, check_folder, show_progress
from clit.errors import UserError


@app.command()
def site(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    models: Annotated[
        str | None,
        typer.Option(help="Models, separated by commas; by default the light ones, lit-base and lit-light-no-bias."),
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of checkpoints; checkpoints/ by default.")
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Write into a folder that is not empty; the files of an earlier call go."),
    ] = False,
) -> None:
    """Write the page as a folder that any static host serves: the visitor's own GPU draws."""
    check_folder(out)
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise UserError(f"{out} is not empty: give another folder, or --overwrite to replace what such a call wrote.")
    if checkpoints is not None:
        os.environ["CLIT_CHECKPOINTS"] = str(checkpoints)

    from clit.ui.examples import BUNDLED
    from clit.ui.static_site import write_site

    names = None if models is None else [name.strip() for name in models.split(",") if name.strip()]
    with show_progress("site") as progress:
        total = write_site(out, BUNDLED, names, progress)
    typer.echo(f"{out}: {total / 1e6:.1f} MB; try it with python -m http.server --directory {out}")
