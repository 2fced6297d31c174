"""The named functions that programs call through gradio, and assistants as tools: their docstrings say what each is."""

# No annotations as strings here: gradio reads from a tuple[...] how many values a function returns.
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
from gradio.context import LocalContext

from clit.errors import Cancelled, UserError
from clit.ui.failures import Stale, describe_failure
from clit.ui.programs import attend_pixel, attribute_pixel, upscale_file
from clit.ui.site import Site
from clit.ui.uploads import uploaded_file

PROGRAMS_AT_ONCE = 2
"""Programs being answered, in turn with everybody else: a long one keeps no short one waiting."""


def add_endpoints(site: Site) -> None:
    """Add the named functions that programs can call."""
    for endpoint in (_make_upscale(site), _make_attention(site), _make_attribution(site)):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=PROGRAMS_AT_ONCE, concurrency_id="api")


def _make_upscale(site: Site) -> Callable:
    """Return the function that enlarges a picture."""

    def upscale(
        image: gr.FileData, model: str = "lit-light", scale: float = 4.0, chain: str = "published"
    ) -> gr.FileData:
        """Enlarge a picture by any scale; the answer is a PNG file.

        Args:
            image: The small picture, a file of at most 2 megapixels.
            model: The method: bicubic, bilinear, liif-light, lte-light, lit-light, clit-light or another that is here.
            scale: How many times larger, 1 to 30; it need not be whole.
            chain: How CLIT splits the scale over its stages: published or balanced.
        """
        with _received_file(site, image) as path:
            enlarged = upscale_file(site, path, model, scale, chain, _watch_connection())
        return gr.FileData(path=str(enlarged), orig_name=f"x{scale:g}-{model}.png")

    return upscale


def _make_attention(site: Site) -> Callable:
    """Return the function that tells what a pixel looked at."""

    def attention(
        image: gr.FileData,
        row: int,
        column: int,
        model: str = "lit-light",
        scale: float = 4.0,
        chain: str = "published",
    ) -> dict:
        """Tell what an output pixel looked at: kind, pixel, size, rgb, and per stage weights, content, position,
        latents, inside, influence, grid.

        Args:
            image: The small picture, a file of at most 2 megapixels.
            row: Row of the pixel in the enlarged picture, counted from 0.
            column: Column of the pixel in the enlarged picture, counted from 0.
            model: The method, one that looks at neighbours: liif-light, lte-light, lit-light, clit-light or another.
            scale: How many times larger, 1 to 30; it need not be whole.
            chain: How CLIT splits the scale over its stages: published or balanced.
        """
        with _received_file(site, image) as path:
            return attend_pixel(site, path, model, scale, row, column, chain)

    return attention


def _make_attribution(site: Site) -> Callable:
    """Return the function that tells which input pixels a pixel comes from."""

    def attribution(
        image: gr.FileData,
        row: int,
        column: int,
        model: str = "lit-light",
        scale: float = 4.0,
        objective: str = "texture",
        steps: int = 50,
        chain: str = "published",
    ) -> tuple[dict, gr.FileData, gr.FileData]:
        """Tell which input pixels an output pixel comes from, through the whole network (Local Attribution Maps).

        The answer is numbers (diffusion index from 0, one pixel decides, to 100, all alike; gap, the error of the map
        as a share; change, steps, objective, pixel, size, region as top, left, bottom, right), a figure, and a JSON
        file with the same numbers and the map over the region. It takes seconds, with large networks minutes.

        Args:
            image: The small picture, a file of at most 2 megapixels.
            row: Row of the pixel in the enlarged picture, counted from 0.
            column: Column of the pixel in the enlarged picture, counted from 0.
            model: The method: bicubic, bilinear, liif-light, lte-light, lit-light, clit-light or another that is here.
            scale: How many times larger, 1 to 30; it need not be whole.
            objective: What is explained: texture, the gradients around the pixel, or colour, the luma of the pixel.
            steps: Steps from the blurred picture to the sharp one, 1 to 400; doubled until the gap is below 2 %.
            chain: How CLIT splits the scale over its stages: published or balanced.
        """
        with _received_file(site, image) as path:
            found, figure, numbers = attribute_pixel(
                site, path, model, scale, row, column, objective, steps, chain, _watch_connection()
            )
        name = f"x{scale:g}-{model}-{row}-{column}-attribution"
        files = (gr.FileData(path=str(each), orig_name=f"{name}{each.suffix}") for each in (figure, numbers))
        return found, *files

    return attribution


def _watch_connection() -> Callable[[], bool]:
    """Return what tells whether the program that asks now has closed its connection.

    Gradio notes that, but has no public way to ask.
    """
    event, queue = LocalContext.event_id.get(None), LocalContext.blocks.get()._queue

    def is_closed() -> bool:
        asking = [each for job in list(queue.active_jobs) if job for each in list(job) if each._id == event]
        return any(not each.alive for each in asking)

    return is_closed


@contextlib.contextmanager
def _received_file(site: Site, image: gr.FileData | None) -> Iterator[Path]:
    """Yield the path of the file that a program sent. What goes wrong becomes gradio's own error, of one sentence.

    Two programs that send the same share gradio's copy: nobody deletes it, but `Site.sweep` when it is old.
    """
    try:
        path = None if image is None else uploaded_file(dict(image), site.uploads)
        if path is None:
            raise UserError("The file did not arrive: send it with gradio_client's handle_file.")
        yield path
    except (Stale, Cancelled):
        raise gr.Error("Nobody waits for the answer any more.", print_exception=False) from None
    except Exception as error:
        told = describe_failure(error)
        sentence = told.get("error") or "The server has too much to do now: try again in a minute."
        raise gr.Error(sentence, print_exception=False) from None
