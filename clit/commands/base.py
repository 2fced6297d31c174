"""What the commands share: the app, their common arguments, how they read input and show progress."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from clit.errors import UserError


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
Inputs = Annotated[list[str], typer.Argument(metavar="IN...", help="Pictures, folders, or patterns in quotes.")]
Input = Annotated[Path, typer.Argument(metavar="IN", help="The low-resolution picture.")]
Model = Annotated[str, typer.Option(help=MODEL_HELP)]
Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help=MODEL_HELP)]
Scale = Annotated[float | None, typer.Option(help="How many times larger, 1 to 64; need not be whole.")]
Size = Annotated[str | None, typer.Option(metavar="HxW", help="The output size in pixels, instead of --scale.")]
Chain = Annotated[str, typer.Option(help="How CLIT splits the scale into stages: published or balanced.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse a JPEG or PNG whose end is missing.")]
Data = Annotated[list[Path], typer.Option(metavar="DIR", help="A folder of pictures; can be given again.")]


def load_model(name: str) -> Any:
    """Load a model by any of the names that MODEL_HELP lists."""
    import clit

    return clit.import_official(name) if Path(name).suffix in (".pth", ".pt") else clit.load(name)


def load_models(names: Sequence[str]) -> dict[str, Any]:
    """Load models by the last part of their names, or by whole names where two would be called alike."""
    short = [Path(name).name for name in names]
    labels = short if len(set(short)) == len(names) else names
    return {label: load_model(name) for label, name in zip(labels, names, strict=True)}


def check_not_input(out: Path, source: Path) -> None:
    """Raise a UserError if a command would write over its input."""
    if out.exists() and source.exists() and os.path.samefile(source, out):
        raise UserError(f"The output {out} is the input itself: give another name.")


def check_folder(out: Path) -> None:
    """Raise a UserError if a command cannot write a folder of files there."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give a folder to write into.")


def read_lines(file: Path) -> set[str]:
    return set(read_text(file).splitlines())


def read_text(file: Path) -> str:
    """Return the text of a file; UserError if there is none."""
    if not file.is_file():
        raise UserError(f"There is no file {file}.")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not a text file.") from None


def read_picture(source: str | Path, strict: bool = False):
    """Read a picture, and print what was approximated or lost. strict: refuse one whose end is missing."""
    from clit.pictures.files import read_image

    picture = read_image(source, strict=strict)
    for notice in picture.notices:
        note(notice)
    return picture


def read_picture_and_size(source: Path, scale: float | None, size: tuple[int, int] | None, strict: bool = False):
    """Read the picture; return it with the output size (H, W) that a scale or size asks for."""
    from clit.geometry import resolve_size

    picture = read_picture(source, strict)
    return picture, resolve_size(*picture.size, scale, size)


def is_one_file(inputs: list[str], out: Path) -> bool:
    """Tell whether a command is to make one file of one: a name with an ending out, which is no folder."""
    from clit.exports.jobs import is_pattern

    one = len(inputs) == 1 and not os.path.isdir(inputs[0]) and not is_pattern(inputs[0])
    return one and bool(out.suffix) and not out.is_dir()


def run_folder(what: str, inputs: list[str], out: Path, run: Callable[..., Any]) -> None:
    """Run a folder's work with a progress bar, say what became of it, and exit with 1 if any of it failed.

    run(progress=, report=) returns a `clit.exports.folders.Summary`.
    """
    from clit.exports.folders import FAILURES

    if len(inputs) == 1 and os.path.isfile(inputs[0]) and not out.exists():
        note(f"{out} has no ending such as .png, so it becomes a folder with the result in it.")
    with show_progress(what) as show:
        summary = run(progress=show, report=lambda line: show(None, line))
    for notice, count in summary.notices.items():
        note(f"{count} picture{'s' if count > 1 else ''}: {notice}")
    if summary.left_out:
        kinds = ", ".join(f"{count} {ending}" for ending, count in summary.left_out.most_common())
        note(f"Files that are no pictures were left out: {kinds}.")
    kept = f", {summary.kept} done before" if summary.kept else ""
    failed = f", {len(summary.failures)} failed: see {out / FAILURES}" if summary.failures else ""
    typer.echo(f"{out}: {summary.written} written{kept}{failed}")
    if summary.failures:
        raise typer.Exit(1)


def note(notice: str) -> None:
    """Print what was approximated or lost, where it does not disturb a piped result."""
    typer.echo(f"note: {notice}", err=True)


def parse_pair(text: str, between: str, option: str, form: str) -> tuple[int, int]:
    match = re.fullmatch(rf"\s*(-?\d+)\s*{between}\s*(-?\d+)\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f'{option} is "{text}", but must be two whole numbers, {form}.')
    return int(match[1]), int(match[2])


def parse_number(text: str, option: str, form: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f'{option} has "{text}" in it, but must be {form}.') from None


@contextmanager
def show_progress(what: str) -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error if that is a terminal.

    Yields a function to call with the share done, 0..1 (None: as before), and optionally a line to print above the bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)

        def report(done: float | None, line: str | None = None) -> None:
            bar.update(task, completed=done)
            if line is not None:
                bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield report
