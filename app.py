"""The web page:

    python app.py [--host HOST] [--port PORT] [--checkpoints DIR] [--memory MB] [--ray [ADDRESS]] [--share]

Flags, checkpoints, page, launch: everything else is in clit/ui.
"""

import argparse
import contextlib
import os

from clit.errors import UserError
from clit.system.process import prepare_process


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the page on which super-resolution is seen at any scale.")
    parser.add_argument("--host", help="address to listen on (default: $GRADIO_SERVER_NAME, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (default: $GRADIO_SERVER_PORT, else 7860 or the next free one)")
    parser.add_argument("--checkpoints", metavar="DIR", help="folder of checkpoints (default: checkpoints/)")
    parser.add_argument("--share", action="store_true", help="ask gradio for a public link, through its own servers")
    parser.add_argument(
        "--memory", metavar="MB", type=int, help="for pictures and what networks make of them (default: 700)"
    )
    parser.add_argument(
        "--ray", nargs="?", const="local", metavar="ADDRESS",
        help='draw views by actors on a Ray cluster: an address, "auto" on one of its machines, or this machine alone',
    )  # fmt: skip
    flags = parser.parse_args()
    if flags.memory is not None and flags.memory < 64:
        parser.error("--memory must be at least 64 MB.")
    if flags.checkpoints:
        os.environ["CLIT_CHECKPOINTS"] = flags.checkpoints

    prepare_process()
    from clit.rendering.elsewhere import painters_on
    from clit.ui import limits, page  # gradio and torch take seconds to import: after the flags are known to be right

    try:
        bounds = limits.Limits() if flags.memory is None else limits.Limits(memory_bytes=flags.memory * 10**6)
        with painters_on(flags.ray, bounds.memory_bytes) if flags.ray else contextlib.nullcontext() as painters:
            page.launch(page.make_site(bounds, painters), flags.host, flags.port, flags.share)
    except UserError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
