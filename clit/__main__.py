"""The command line, `python -m clit COMMAND`: upscale, compare, attend, attribute, film, site, and about models."""

from __future__ import annotations

from clit.commands import figures, models, site, upscale  # noqa: F401 - each adds its commands to the app
from clit.commands.base import app
from clit.system.process import prepare_process


def main() -> None:
    """Entry point of `python -m clit` and of the installed command `clit`."""
    prepare_process()
    app(prog_name="clit")


if __name__ == "__main__":
    main()
