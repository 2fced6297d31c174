"""What a browser may ask: one frozen dataclass per question, read from a dict that is not trusted.

Each `read` takes the dict as it came, checks every entry it uses, and raises a UserError of one sentence. Its docstring
lists the entries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clit.errors import UserError
from clit.exports.figures import FORMS
from clit.geometry import Window, output_size
from clit.rendering.attribution import OBJECTIVES
from clit.ui.colours import HEAD_PAINTS, PAINTS
from clit.ui.differences import LARGEST_SCALE
from clit.ui.entries import (
    LARGEST,
    check_choice,
    is_list,
    is_number,
    is_whole,
    read_chain,
    read_models,
    read_name,
    read_pixel,
    read_scale,
    read_whole,
    read_window,
)
from clit.ui.limits import Limits
from clit.ui.pictures import Picture

TRUTH = "truth"
"""Name of the ground truth among the methods."""

KINDS = ("preview", "exact", "ahead")
"""Kinds of views: a preview follows the hand, an exact view the eye; one drawn ahead makes way for all others."""

MAKE_ENTRIES = (
    "token", "picture", "run", "kind", "suffix", "models", "scale", "size", "chain", "about", "side", "crops",
)  # fmt: skip
"""All entries of a question for a file."""

Pair = tuple[int, int]

Series = tuple[str, int | None, bool, str]
"""Model, stages, error and paint of a view."""


@dataclass(frozen=True)
class Enlargement:
    """By how much a picture is enlarged.

    size: (H, W) of the whole output, as asked or that of `scale`. chain: how CLIT splits the scale. label: the same for
    names of files, "x2.7", or "300x200" (width first) where a size was asked for.
    """

    scale: float
    size: Pair
    chain: str
    label: str

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> Enlargement:
        """Read {scale, size (or None), chain ("published" if missing)}, for a picture."""
        scale, chain, asked = read_scale(sent, limits), read_chain(sent), sent.get("size")
        if asked is None:
            return cls(scale, output_size(*picture.size, scale), chain, f"x{scale:g}")
        if not is_list(asked, 2, is_whole):
            raise UserError("The size must be two whole numbers: height, width.")
        for n, n_lr, name in zip(asked, picture.size, ("height", "width"), strict=True):
            most = math.floor(n_lr * limits.scale)
            if not n_lr <= n <= most:
                raise UserError(f"The {name} is {str(n)[:20]} pixels, but for this picture must be {n_lr} to {most}.")
        height, width = asked
        return cls(scale, (height, width), chain, f"{width}x{height}")

    def check_area(self, picture: Picture, limits: Limits) -> None:
        """Raise a UserError if the whole output is more than this server gives."""
        height, width = self.size
        if height * width > limits.full_pixels:
            largest = math.floor(10 * math.sqrt(limits.full_pixels / math.prod(picture.size))) / 10
            raise UserError(
                f"The full picture would have {height * width / 1e6:.0f} megapixels, more than the "
                f"{limits.full_pixels / 1e6:.0f} allowed here: choose a scale of at most {largest:g}."
            )


@dataclass(frozen=True)
class ProgramRequest:
    """What a program asks about a picture that it sent along."""

    model: str
    enlargement: Enlargement

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> ProgramRequest:
        """Read {model, scale, chain}."""
        return cls(enlargement=Enlargement.read(sent, picture, limits), model=read_name(sent, "model"))


@dataclass(frozen=True)
class ExampleRequest:
    """One of the bundled pictures."""

    name: str

    @classmethod
    def read(cls, sent: dict, offered: Sequence[str]) -> ExampleRequest:
        """Read {name}, one of those offered."""
        name = sent.get("name")
        if name not in offered:
            raise UserError("There is no such example: choose one of those shown.")
        return cls(name)


@dataclass(frozen=True)
class TruthRequest:
    """The open picture made smaller by `scale`, with itself as ground truth; None is the whole picture again."""

    scale: float | None

    @classmethod
    def read(cls, sent: dict, limits: Limits) -> TruthRequest:
        """Read {scale}."""
        return cls(None if sent.get("scale") is None else read_scale(sent, limits))


@dataclass(frozen=True)
class ViewRequest:
    """A part of the enlarged picture, the window clipped to it.

    stages: stop CLIT after so many. wanted: the number of this view among the visitor's; a newer one of the same
    `series` makes it stale. kind: one of KINDS, see `line.HANDICAPS`; a large "preview" is read as "exact".
    paint: one of PAINTS, and head, from 1, or 0 for all. error: show how far the model is from the truth.
    """

    model: str
    enlargement: Enlargement
    window: Window
    stages: int | None
    wanted: int
    kind: str
    paint: str
    head: int
    error: bool

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> ViewRequest:
        """Read {model, scale, size, chain, window, stages, wanted, kind, paint, head, error}."""
        enlargement = Enlargement.read(sent, picture, limits)
        window = read_window(sent.get("window"), enlargement.size, limits)
        kind = check_choice(sent.get("kind", "exact"), KINDS, "The kind of view")
        if kind == "preview" and window.height * window.width > limits.preview_pixels:
            kind = "exact"
        head = sent.get("head")
        request = cls(
            model=read_name(sent, "model"),
            enlargement=enlargement,
            window=window,
            stages=None if sent.get("stages") is None else read_whole(sent, "stages", 1, 100),
            wanted=read_whole(sent, "wanted", 0, LARGEST),
            kind=kind,
            paint=check_choice(sent.get("paint", "colours"), PAINTS, "What a pane shows"),
            head=head if is_whole(head) else -1,  # `check_head` refuses that
            error=sent.get("error") is True,
        )
        if request.needs_truth and (picture.truth is None or enlargement.size != picture.truth.shape[:2]):
            raise UserError("There is no ground truth at this scale: switch it on first.")
        if request.error and request.paint != "colours":
            raise UserError("How far a method is from the ground truth can be told of its colours alone.")
        return request

    def check_head(self, heads: int) -> None:
        """Raise a UserError if a model with so many heads, 0 for none, cannot be painted so."""
        if self.paint not in HEAD_PAINTS:
            return
        if not heads:
            raise UserError("Only LIT and CLIT have heads to look at: choose one of them.")
        if not 0 <= self.head <= heads:
            raise UserError(f'"head" must be a whole number from 0 to {heads}.')

    @property
    def needs_truth(self) -> bool:
        """Whether the ground truth is shown or compared with."""
        return self.error or self.model == TRUTH

    @property
    def series(self) -> Series:
        """Views of one series replace one another: each pane has its own."""
        return self.model, self.stages, self.error, self.paint


@dataclass(frozen=True)
class Method:
    """A model, stopped after so many stages if it is a cascade; or TRUTH."""

    model: str
    stages: int | None

    @classmethod
    def read(cls, sent: dict) -> Method:
        """Read {model, stages}."""
        stages = None if sent.get("stages") is None else read_whole(sent, "stages", 1, 100)
        return cls(read_name(sent, "model"), stages)


@dataclass(frozen=True)
class DifferenceRequest:
    """Two methods to be compared over the whole picture, at a scale that is quick enough for that."""

    methods: tuple[Method, Method]
    enlargement: Enlargement

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> DifferenceRequest:
        """Read {methods (two of {model, stages}), scale, chain}; the scale is that of the truth if one of them is."""
        asked, scale = sent.get("methods"), read_scale(sent, limits)
        if not is_list(asked, 2, lambda each: isinstance(each, dict)):
            raise UserError("There must be two methods to compare.")
        first, second = (Method.read(each) for each in asked)
        if first == second:
            raise UserError("There must be two methods to compare: these are the same.")
        if TRUTH not in (first.model, second.model):
            scale = min(scale, LARGEST_SCALE)
        elif picture.truth is None or scale != picture.scale:
            raise UserError("There is no ground truth at this scale: switch it on first.")
        return cls((first, second), Enlargement.read(sent | {"scale": scale, "size": None}, picture, limits))


@dataclass(frozen=True)
class ScoreRequest:
    """How near a method comes to the ground truth at a scale."""

    model: str
    scale: float
    chain: str

    @classmethod
    def read(cls, sent: dict, limits: Limits) -> ScoreRequest:
        """Read {model, scale, chain}."""
        return cls(scale=read_scale(sent, limits), model=read_name(sent, "model"), chain=read_chain(sent))


@dataclass(frozen=True)
class PixelRequest:
    """What an output pixel (row, column) looked at by some methods; how much each neighbour counted, if asked for."""

    models: tuple[str, ...]
    enlargement: Enlargement
    pixel: Pair
    influence: bool = True

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> PixelRequest:
        """Read {models (up to 4), scale, size, chain, pixel, influence}."""
        enlargement = Enlargement.read(sent, picture, limits)
        pixel = read_pixel(sent.get("pixel"), enlargement.size)
        return cls(read_models(sent, 4), enlargement, pixel, sent.get("influence") is True)


@dataclass(frozen=True)
class TraceRequest:
    """Which input pixels an output pixel (row, column) comes from, by one model."""

    model: str
    enlargement: Enlargement
    pixel: Pair
    objective: str

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> TraceRequest:
        """Read {model, scale, size, chain, pixel, objective}."""
        enlargement = Enlargement.read(sent, picture, limits)
        objective = check_choice(sent.get("objective"), OBJECTIVES, "The objective")
        return cls(read_name(sent, "model"), enlargement, read_pixel(sent.get("pixel"), enlargement.size), objective)

    @property
    def subject(self) -> tuple:
        """What is asked, of whichever model."""
        return self.enlargement, self.pixel, self.objective


@dataclass(frozen=True)
class SourceRequest:
    """What the attention of a window's pixels by some methods is computed from."""

    models: tuple[str, ...]
    enlargement: Enlargement
    window: Window

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> SourceRequest:
        """Read {models (up to 4), scale, size, chain, window}."""
        enlargement = Enlargement.read(sent, picture, limits)
        return cls(read_models(sent, 4), enlargement, read_window(sent.get("window"), enlargement.size, limits))


@dataclass(frozen=True)
class PixelFileRequest:
    """The same of several pixels, as a file of one of `figures.FORMS`."""

    pixels: tuple[PixelRequest, ...]
    suffix: str

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> PixelFileRequest:
        """Read {models (up to 4), scale, size, chain, pixels (up to 5), suffix}."""
        suffix = check_choice(sent.get("suffix"), FORMS, "The kind of file")
        enlargement, models, pixels = Enlargement.read(sent, picture, limits), read_models(sent, 4), sent.get("pixels")
        if not (isinstance(pixels, list) and 1 <= len(pixels) <= 5):
            raise UserError("A file shows from one to five pixels: pick one.")
        found = (read_pixel(each, enlargement.size) for each in pixels)
        return cls(tuple(PixelRequest(models, enlargement, pixel) for pixel in dict.fromkeys(found)), suffix)

    def file_name(self, picture: Picture) -> str:
        """Return the name to save the file under."""
        first, *others = self.pixels
        what = (
            "-".join(map(str, [*first.models, *first.pixel])) if len(first.models) == 1 and not others else "attention"
        )
        return f"{Path(picture.name).stem}-{first.enlargement.label}-{what}{self.suffix}"


@dataclass(frozen=True)
class FileRequest:
    """A file to be made, of one of the kinds and with one of the suffixes that are offered."""

    kind: str
    suffix: str

    @classmethod
    def read(cls, sent: dict, offered: Mapping[str, Sequence[str]]) -> FileRequest:
        """Read {kind, suffix}; offered: kind -> its suffixes."""
        kind, suffix = read_name(sent, "kind"), read_name(sent, "suffix")
        if suffix not in offered.get(kind, ()):
            raise UserError("There is no such file to make: choose one of those offered.")
        return cls(kind, suffix)


@dataclass(frozen=True)
class PictureRequest:
    """The whole output as a picture file."""

    models: tuple[str, ...]
    enlargement: Enlargement

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> PictureRequest:
        """Read {models (one), scale, size, chain}."""
        enlargement = Enlargement.read(sent, picture, limits)
        enlargement.check_area(picture, limits)
        return cls(read_models(sent, 1), enlargement)

    @property
    def label(self) -> str:
        """What it shows, for the file's name."""
        return f"{self.enlargement.label}-{self.models[0]}"


@dataclass(frozen=True)
class FilmRequest:
    """A film from x1 to `end` about a point (y, x) in LR pixels; side: (height, width) of a method's frame."""

    models: tuple[str, ...]
    end: float
    chain: str
    about: tuple[float, float]
    side: Pair

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> FilmRequest:
        """Read {models (up to 4), scale, chain, about [y, x], side [height, width]}.

        A point outside the picture is moved to its border.
        """
        models, chain, end = read_models(sent, 4), read_chain(sent), read_scale(sent, limits)
        about, side = sent.get("about"), sent.get("side")
        if not is_list(about, 2, is_number):
            raise UserError("The point to zoom in on must be two numbers: y, x.")
        if not is_list(side, 2, lambda n: is_whole(n) and 32 <= n <= 640):
            raise UserError("The frame must be two whole numbers from 32 to 640: height, width.")
        y, x = (min(max(float(at), 0.0), float(n)) for at, n in zip(about, picture.size, strict=True))
        return cls(models, end, chain, (y, x), (side[0], side[1]))

    @property
    def label(self) -> str:
        """What it shows, for the file's name."""
        return f"to-x{self.end:g}-{'-'.join(self.models)}"


@dataclass(frozen=True)
class SheetRequest:
    """A figure of crops by every method; with no crops, of the middle."""

    models: tuple[str, ...]
    enlargement: Enlargement
    crops: tuple[Window, ...]

    @classmethod
    def read(cls, sent: dict, picture: Picture, limits: Limits) -> SheetRequest:
        """Read {models (up to 6), scale, size, chain, crops (up to 4 windows)}."""
        enlargement, models = Enlargement.read(sent, picture, limits), read_models(sent, 6)
        crops = sent.get("crops", [])
        if not (isinstance(crops, list) and len(crops) <= 4 and all(isinstance(crop, list) for crop in crops)):
            raise UserError("A sheet shows up to four crops.")
        windows = tuple(read_window(crop, enlargement.size, limits) for crop in crops)
        if picture.truth is not None:
            enlargement.check_area(picture, limits)  # scores are of whole outputs
        return cls(models, enlargement, windows)

    @property
    def label(self) -> str:
        """What it shows, for the file's name."""
        return f"{self.enlargement.label}-compared"
