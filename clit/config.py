"""Configurations of models, as frozen dataclasses. Every preset is written here and nowhere else."""

from __future__ import annotations

import reprlib
from dataclasses import asdict, dataclass, fields, replace
from typing import ClassVar

from clit.errors import UserError


@dataclass(frozen=True)
class NoEncoderConfig:
    """No encoder: plain interpolation reads no features."""

    name: str = "none"


@dataclass(frozen=True)
class EDSRConfig:
    """EDSR-baseline without upsampler (Lim et al., CVPRW 2017): `blocks` residual blocks of `width` channels."""

    width: int = 64
    blocks: int = 16
    name: str = "edsr-baseline"


@dataclass(frozen=True)
class RDNConfig:
    """RDN (Zhang et al., CVPR 2018), configuration B by default."""

    width: int = 64
    blocks: int = 16
    layers: int = 8
    growth: int = 64
    name: str = "rdn"


@dataclass(frozen=True)
class SwinIRConfig:
    """SwinIR (Liang et al., ICCVW 2021) without upsampler; `features` is its number of output channels."""

    width: int = 180
    depths: tuple[int, ...] = (6, 6, 6, 6, 6, 6)
    heads: int = 6
    window: int = 8
    mlp_ratio: int = 2
    features: int = 64
    name: str = "swinir"


@dataclass(frozen=True)
class InterpolationConfig:
    """Plain interpolation: `kernel` is "bilinear" or "bicubic"."""

    kernel: str = "bicubic"
    name: str = "interpolation"

    kind: ClassVar[str] = "plain"
    stages: ClassVar[int] = 1
    heads: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.kernel not in ("bilinear", "bicubic"):
            raise UserError(f'The kernel of plain interpolation is "{self.kernel}", but must be bilinear or bicubic.')

    @property
    def family(self) -> str:
        """The method's name in the literature."""
        return self.kernel.capitalize()


@dataclass(frozen=True)
class LIIFConfig:
    """LIIF (Chen et al., CVPR 2021): `hidden` are the widths of the MLP's hidden layers."""

    hidden: tuple[int, ...] = (256, 256, 256, 256)
    name: str = "liif"

    family: ClassVar[str] = "LIIF"
    kind: ClassVar[str] = "ensemble"
    stages: ClassVar[int] = 1
    heads: ClassVar[int] = 0


@dataclass(frozen=True)
class LTEConfig:
    """LTE (Lee & Jin, CVPR 2022): `width` amplitudes from width/2 frequencies; `hidden` as in LIIF."""

    width: int = 256
    hidden: tuple[int, ...] = (256, 256, 256)
    name: str = "lte"

    family: ClassVar[str] = "LTE"
    kind: ClassVar[str] = "ensemble"
    stages: ClassVar[int] = 1
    heads: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2 or not self.hidden:
            raise UserError(f"An LTE decoder needs an even width, not {self.width}, and a hidden layer.")


@dataclass(frozen=True)
class CLITConfig:
    """LIT (`stages` = 1) and CLIT (Chen et al., CVPR 2023).

    width: attention width D. heads: M, a divisor of D. radius: r of the (2r+1)^2 window. hidden: widths of the hidden
    layers of each stage's MLP. octaves: the highest positional frequency is 2**octaves - 1. fourier: number of
    frequencies of the paper's branch of local Fourier features; the released configurations have none (0).
    """

    width: int = 256
    heads: int = 8
    radius: int = 3
    hidden: tuple[int, ...] = (256, 256, 256, 256)
    stages: int = 1
    octaves: float = 10.0
    fourier: int = 0
    name: str = "clit"

    kind: ClassVar[str] = "attention"

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.stages) < 1 or min(self.radius, self.fourier) < 0 or not self.hidden:
            raise UserError(
                "A CLIT decoder needs width, heads and stages of at least 1, radius and fourier of 0 or more, and a "
                "hidden layer."
            )
        if self.width % self.heads:
            raise UserError(f"The attention width {self.width} must be a multiple of the {self.heads} heads.")

    @property
    def family(self) -> str:
        """The method's name in the literature."""
        return "LIT" if self.stages == 1 else "CLIT"


def without_fourier(config: DecoderConfig) -> DecoderConfig:
    """Return a decoder's configuration without the branch of local Fourier features; others as they are."""
    return replace(config, fourier=0) if isinstance(config, CLITConfig) else config


EncoderConfig = NoEncoderConfig | EDSRConfig | RDNConfig | SwinIRConfig
DecoderConfig = InterpolationConfig | LIIFConfig | LTEConfig | CLITConfig
"""Each decoder says its `family` (the method's name in the literature), its `kind` ("plain", "ensemble" or
"attention"), and its numbers of `stages` and `heads`."""

_ENCODERS = {c.name: c for c in (NoEncoderConfig, EDSRConfig, RDNConfig, SwinIRConfig)}
_DECODERS = {c.name: c for c in (InterpolationConfig, LIIFConfig, LTEConfig, CLITConfig)}


@dataclass(frozen=True)
class ModelConfig:
    """One super-resolution model: an encoder and a decoder."""

    encoder: EncoderConfig
    decoder: DecoderConfig

    def to_dict(self) -> dict:
        """Return the content of config.json."""
        return {"encoder": asdict(self.encoder), "decoder": asdict(self.decoder)}

    @staticmethod
    def from_dict(data: dict) -> ModelConfig:
        """Read the content of config.json. UserError for unknown networks or options."""
        if not isinstance(data, dict) or not {"encoder", "decoder"} <= set(data):
            raise UserError('The configuration must have the two entries "encoder" and "decoder".')
        return ModelConfig(_build(data["encoder"], _ENCODERS), _build(data["decoder"], _DECODERS))


def _build(data: dict, registry: dict):
    name = data.get("name") if isinstance(data, dict) else None
    kind = registry.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UserError(f'The configuration names "{name}", but must name one of {", ".join(registry)}.')
    defaults = {field.name: field.default for field in fields(kind)}
    unknown = set(data) - set(defaults)
    if unknown:
        raise UserError(f'The configuration of "{name}" has unknown entries: {", ".join(sorted(unknown))}.')
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    for key, value in values.items():
        if not _is_like(value, defaults[key]):
            raise UserError(
                f'"{key}" of "{name}" is {reprlib.repr(value)}, but must be a value such as {defaults[key]!r}.'
            )
    return kind(**values)


def _is_like(value, default) -> bool:
    """Return whether a value may stand where the default does: a text, a number from 0, or some whole numbers."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(_is_like(each, 0) for each in value)
    if isinstance(default, str):
        return isinstance(value, str)
    kinds = (int, float) if isinstance(default, float) else (int,)
    return type(value) in kinds and value >= 0


PLAIN: dict[str, ModelConfig] = {
    name: ModelConfig(NoEncoderConfig(), InterpolationConfig(name)) for name in ("bilinear", "bicubic")
}
"""Plain interpolation: baselines without weights."""

# The light presets take 66 to 72 thousand multiply-adds per output pixel and stage at x4 (`work` of the decoders).
_PLAIN_LIGHT = dict(width=64, heads=4, hidden=(96, 96, 96))
_LIGHT = dict(**_PLAIN_LIGHT, fourier=64)

PRESETS: dict[str, ModelConfig] = {
    "liif-base": ModelConfig(EDSRConfig(), LIIFConfig()),
    "lte-base": ModelConfig(EDSRConfig(), LTEConfig()),
    "lit-base": ModelConfig(EDSRConfig(), CLITConfig(stages=1, fourier=64)),
    "clit-base": ModelConfig(EDSRConfig(), CLITConfig(stages=3, fourier=64)),
    "liif-light": ModelConfig(EDSRConfig(), LIIFConfig(hidden=(72, 72, 72, 72))),
    "lte-light": ModelConfig(EDSRConfig(), LTEConfig(width=72, hidden=(72, 72, 72))),
    "lit-light": ModelConfig(EDSRConfig(), CLITConfig(stages=1, **_LIGHT)),
    "clit-light": ModelConfig(EDSRConfig(), CLITConfig(stages=3, **_LIGHT)),
    "lit-light-plain": ModelConfig(EDSRConfig(), CLITConfig(stages=1, **_PLAIN_LIGHT)),
    "clit-light-plain": ModelConfig(EDSRConfig(), CLITConfig(stages=3, **_PLAIN_LIGHT)),
}
"""Models of the paper's widths (`base`), and small ones that share one encoder (`light`).

The light LIT and CLIT have the paper's branch of local Fourier features; `plain` ones, as released, have not.
"""


@dataclass(frozen=True)
class Recipe:
    """A model, and what is special about its training."""

    config: ModelConfig
    factors: int | None = None
    """Number of stage factors multiplied to draw a training scale, at most; None: the decoder's number of stages."""
    cumulative: bool = True
    """Whether stages come in one after another, each started from the one before; else all train from the start."""
    positional_bias: bool = True
    """Whether the positional bias is trained; else it stays zero, so that attention goes by similarity alone."""
    copied: bool = True
    """Whether a stage without weights starts as a copy of the one before it; else it starts at random."""
    every_stage: bool = False
    """Whether the loss is the mean over what every stage predicts so far; else it is that of the last one."""
    equal: bool = False
    """Whether the factors of a training scale are made equal; else each is drawn by itself."""
    turns: tuple[int, ...] | None = None
    """Numbers of stage factors that steps take in turn; None: 1, 2 and so on, up to `factors`."""


def _lit_light_plain(**changes) -> ModelConfig:
    light = PRESETS["lit-light-plain"]
    return replace(light, decoder=replace(light.decoder, **changes))


ABLATIONS: dict[str, Recipe] = {
    "lit-light-x32": Recipe(PRESETS["lit-light"], factors=3),
    "lit-light-r1": Recipe(_lit_light_plain(radius=1)),
    "lit-light-r2": Recipe(_lit_light_plain(radius=2)),
    "lit-light-r3": Recipe(PRESETS["lit-light-plain"]),
    "lit-light-fourier": Recipe(_lit_light_plain(fourier=32)),
    "lit-light-no-bias": Recipe(PRESETS["lit-light-plain"], positional_bias=False),
    "clit-light-cumulative": Recipe(PRESETS["clit-light-plain"]),
    "clit-light-at-once": Recipe(PRESETS["clit-light-plain"], cumulative=False),
}
"""Variants of the light presets, each with one change; they train like presets, cascades with a loss on the last stage.

`lit-light-x32` is `lit-light` on the cascade's scales. The others change a plain preset: smaller windows (r1, r2), a
branch of 32 frequencies, no positional bias, no cumulative training. `lit-light-r3` and `clit-light-cumulative` change
nothing. They are trained in the same run as the others, as the baselines to compare these with.
"""


TRIALS: dict[str, Recipe] = {
    "clit-light-last": Recipe(PRESETS["clit-light"]),
    "clit-light-fresh": Recipe(PRESETS["clit-light"], copied=False),
    "clit-light-equal": Recipe(PRESETS["clit-light"], equal=True),
    "clit-light-third": Recipe(PRESETS["clit-light"], turns=(1, 2, 3, 3)),
}
"""`clit-light` trained with a loss on the last stage alone, as published, and with one more change each, by
`train-decoders`. docs/training.md tells what came of it."""


def recipe(name: str) -> Recipe | None:
    """Return how a preset, an ablation or a trial is trained; None for an unknown name."""
    preset = Recipe(PRESETS[name], every_stage=True) if name in PRESETS else None
    return ABLATIONS.get(name) or TRIALS.get(name) or preset
