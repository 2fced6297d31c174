"""Import published LIIF, LTE and CLIT files: {"model": {"name", "args", "sd"}, ...} as torch.save wrote it.

Never runs code from the file, and takes only what it understands: every option, every key and every shape has
to fit, or one sentence says which does not.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings

import torch
from torch import Tensor

from clit.config import (
    CLITConfig,
    DecoderConfig,
    EDSRConfig,
    EncoderConfig,
    LIIFConfig,
    LTEConfig,
    ModelConfig,
    RDNConfig,
    SwinIRConfig,
)
from clit.errors import UserError
from clit.networks.model import SRModel

_LARGEST = 1024  # bounds every number of a configuration, so that a hostile file cannot ask for all memory
_SHOWN = 4  # keys named in one message

# What torch's restricted unpickler says when a file names a class or function it does not know.
_CODE = re.compile(r"GLOBAL ([\w.]+)|unrecognized function|Can only (?:build|create)")

# Our key -> the published one, applied in order; what no pattern fits is spelled the same.
_PUBLISHED_NAMES: dict[str, list[tuple[str, str]]] = {
    "edsr-baseline": [],
    "rdn": [
        (r"^encoder\.first\.", "encoder.SFENet1."),
        (r"^encoder\.second\.", "encoder.SFENet2."),
        (r"^encoder\.fuse\.", "encoder.GFF."),
        (r"^encoder\.blocks\.(\d+)\.convs\.(\d+)\.", r"encoder.RDBs.\1.convs.\2.conv.0."),
        (r"^encoder\.blocks\.(\d+)\.fuse\.", r"encoder.RDBs.\1.LFF."),
    ],
    "swinir": [
        (r"^encoder\.first\.", "encoder.conv_first."),
        (r"^encoder\.norm_in\.", "encoder.patch_embed.norm."),
        (r"^encoder\.norm_out\.", "encoder.norm."),
        (r"^encoder\.after\.", "encoder.conv_after_body."),
        (r"^encoder\.last\.", "encoder.conv_before_upsample.0."),
        (r"^encoder\.groups\.(\d+)\.conv\.", r"encoder.layers.\1.conv."),
        (r"^encoder\.groups\.(\d+)\.blocks\.", r"encoder.layers.\1.residual_group.blocks."),
        (r"\.attention\.bias_table$", ".attn.relative_position_bias_table"),
        (r"\.attention\.", ".attn."),
        (r"^(encoder\..*)\.mlp\.0\.", r"\1.mlp.fc1."),
        (r"^(encoder\..*)\.mlp\.2\.", r"\1.mlp.fc2."),
    ],
    "liif": [(r"^decoder\.mlp\.", "imnet.layers.")],
    "lte": [
        (r"^decoder\.amplitude\.", "coef."),
        (r"^decoder\.frequency\.", "freq."),
        (r"^decoder\.phase\.", "phase."),
        (r"^decoder\.mlp\.", "imnet.layers."),
    ],
    "clit": [
        (r"^decoder\.embed\.", "conv_ch."),
        (r"^decoder\.bias\.proj\.", "pb_encoder.proj."),
        (r"^decoder\.stages\.(\d+)\.query_conv\.", r"conv_qs.\1."),
        (r"^decoder\.stages\.(\d+)\.key_conv\.", r"conv_ks.\1."),
        (r"^decoder\.stages\.(\d+)\.value_conv\.", r"conv_vs.\1."),
        (r"^decoder\.stages\.(\d+)\.mlp\.", r"imnets.\1.layers."),
    ],
}

# Published keys that are no learned weights: the unused mean shift, and tables that follow from the size.
_UNUSED: dict[str, str] = {
    "edsr-baseline": r"encoder\.(sub|add)_mean\.(weight|bias)",
    "rdn": r"(?!)",
    "swinir": r"encoder\.layers\.\d+\.residual_group\.blocks\.\d+\.(attn_mask|attn\.relative_position_index)",
}


def import_official(path: str | os.PathLike) -> SRModel:
    """A published LIIF, LTE or CLIT file as a model, in evaluation mode on the CPU, float32.

    Extra top-level entries (optimizer, epoch) are left alone. UserError, naming what is wrong, for a file
    that is missing, damaged or tries to run code; for an unknown model, encoder or option; for missing or
    unexpected keys; and for wrong shapes.
    """
    entry = _member(_read(os.fspath(path)), "model", dict, "The file")
    name = _member(entry, "name", str, 'The entry "model"')
    if name not in _DECODERS:
        raise UserError(f'The file holds a model named "{name}", but only {_listed(_DECODERS)} can be imported.')
    weights = _member(entry, "sd", dict, 'The entry "model"')
    args = _Args(_member(entry, "args", dict, 'The entry "model"'), f'"{name}"')
    encoder = args.spec("encoder_spec")
    if encoder.name not in _ENCODERS:
        raise UserError(f'The file\'s encoder is "{encoder.name}", but only {_listed(_ENCODERS)} can be imported.')
    config = ModelConfig(_ENCODERS[encoder.name](encoder), _DECODERS[name](args))
    encoder.finish()
    args.finish()

    with torch.device("meta"):  # compare the shapes before any memory is asked for
        wanted = SRModel(config).state_dict()
    ours = {_published_name(key, config): key for key in wanted}
    _check(weights, {name: wanted[key].shape for name, key in ours.items()}, _UNUSED[config.encoder.name])
    model = SRModel(config)
    model.load_state_dict({key: weights[name] for name, key in ours.items()}, strict=True)
    return model.eval()


def _read(path: str):
    """The file's content by torch's restricted unpickler, which knows tensors and plain containers only."""
    try:
        with warnings.catch_warnings():  # the sentence below says it better
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except Exception as error:  # on damaged bytes the unpickler may raise anything
        asked = _CODE.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if asked:
            what = f" ({asked[1]})" if asked[1] else ""
            raise UserError(
                f"{path} is refused: loading it would run code{what}, which published weights never need."
            ) from None
        reason = "it is a directory" if os.path.isdir(path) else "it is damaged, or no PyTorch file"
        raise UserError(f"{path} cannot be read: {reason}.") from None


def _member(entry, key: str, kind: type, owner: str):
    """entry[key], a `kind`; UserError if it is not there."""
    if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
        raise UserError(
            f'{owner} has no usable "{key}": a published file is {{"model": {{"name", "args", "sd"}}, ...}}.'
        )
    return entry[key]


class _Args:
    """A published network's keyword arguments, read strictly: what is left over at the end is an error."""

    def __init__(self, args: dict, owner: str, name: str = ""):
        self._left, self._owner, self.name = dict(args), owner, name

    def spec(self, key: str) -> _Args:
        """A nested {"name", "args"}."""
        spec = self._left.pop(key, None)
        if (
            not isinstance(spec, dict)
            or not isinstance(spec.get("name"), str)
            or not isinstance(spec.get("args", {}), dict)
        ):
            raise UserError(f'The arguments of {self._owner} have no usable "{key}" ({{"name", "args"}}).')
        return _Args(spec.get("args", {}), f'"{spec["name"]}"', spec["name"])

    def whole(self, key: str, default: int | None = None, low: int = 1) -> int:
        """A whole number from `low` up."""
        value = self._left.pop(key, default)
        if type(value) is not int or not low <= value <= _LARGEST:
            self._refuse(key, value, f"a whole number from {low} to {_LARGEST}")
        return value

    def number(self, key: str) -> float:
        """A number from 0 to 64."""
        value = self._left.pop(key, None)
        if type(value) not in (int, float) or not 0 <= value <= 64:
            self._refuse(key, value, "a number from 0 to 64")
        return float(value)

    def widths(self, key: str) -> tuple[int, ...]:
        """A list of at least one layer width."""
        value = self._left.pop(key, None)
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= _LARGEST:
            self._refuse(key, value, "a list of layer widths")
        if any(type(n) is not int or not 1 <= n <= _LARGEST for n in value):
            self._refuse(key, value, f"a list of whole numbers from 1 to {_LARGEST}")
        return tuple(value)

    def only(self, key: str, value, default=None) -> None:
        """An option of which one value is supported; `default` is what leaving it out means."""
        given = self._left.pop(key, default)
        if type(given) is not type(value) or given != value:
            self._refuse(key, given, repr(value))

    def ignore(self, *keys: str) -> None:
        """Options that change nothing here."""
        for key in keys:
            self._left.pop(key, None)

    def finish(self) -> None:
        """UserError if an option is left that nobody asked for."""
        if self._left:
            raise UserError(f"The arguments of {self._owner} hold unknown options: {_listed(self._left)}.")

    def _refuse(self, key: str, value, wanted: str):
        text = repr(value)
        text = text if len(text) <= 60 else text[:57] + "..."
        raise UserError(f'The option "{key}" of {self._owner} is {text}, but only {wanted} is supported.')


def _edsr(args: _Args) -> EncoderConfig:
    args.only("no_upsampling", True)
    args.only("res_scale", 1, default=1)
    args.ignore("scale", "rgb_range")  # of the upsampler and the mean shift, which are not used
    return EDSRConfig(args.whole("n_feats", 64), args.whole("n_resblocks", 16))


def _rdn(args: _Args) -> EncoderConfig:
    args.only("no_upsampling", True)
    args.only("RDNkSize", 3, default=3)
    args.only("RDNconfig", "B", default="B")
    args.ignore("scale")
    return RDNConfig(args.whole("G0", 64))


def _swinir(args: _Args) -> EncoderConfig:
    args.only("no_upsampling", True)
    return SwinIRConfig()


def _imnet(args: _Args, activation: str, default: str | None = None) -> tuple[int, ...]:
    """The hidden widths of the MLP that predicts colours."""
    imnet = args.spec("imnet_spec")
    if imnet.name != "mlp":
        raise UserError(f'The file\'s "imnet_spec" names "{imnet.name}", but only "mlp" is supported.')
    imnet.only("out_dim", 3)
    imnet.only("act", activation, default)
    hidden = imnet.widths("hidden_list")
    imnet.finish()
    return hidden


def _liif(args: _Args) -> DecoderConfig:
    for option in ("local_ensemble", "feat_unfold", "cell_decode"):
        args.only(option, True, default=True)
    return LIIFConfig(_imnet(args, "relu", default="relu"))


def _lte(args: _Args) -> DecoderConfig:
    width = args.whole("hidden_dim", 256)
    if width % 2:
        raise UserError(f'The option "hidden_dim" of "lte" is {width}, but must be even.')
    return LTEConfig(width, _imnet(args, "relu", default="relu"))


def _clit(args: _Args) -> DecoderConfig:
    args.only("is_cell", True, default=True)
    args.only("local_attn", True, default=True)
    bias = args.spec("pb_spec")
    if bias.name != "posenc":
        raise UserError(f'The file\'s "pb_spec" names "{bias.name}", but only "posenc" is supported.')
    bias.only("posenc_type", "sinusoid")
    bias.only("enc_dims", 64)
    bias.only("hidden_dims", 64, default=64)
    bias.only("gamma", 1, default=1)
    octaves = bias.number("posenc_scale")
    bias.finish()
    stages = args.whole("imnet_num")
    args.only("conv_num", stages)
    return CLITConfig(
        width=args.whole("base_dim"),
        heads=args.whole("head"),
        radius=args.whole("r", low=0),
        hidden=_imnet(args, "gelu"),
        stages=stages,
        octaves=octaves,
    )


_ENCODERS = {EDSRConfig.name: _edsr, RDNConfig.name: _rdn, SwinIRConfig.name: _swinir}
_DECODERS = {LIIFConfig.name: _liif, LTEConfig.name: _lte, CLITConfig.name: _clit}


def _published_name(key: str, config: ModelConfig) -> str:
    for pattern, published in _PUBLISHED_NAMES[config.encoder.name] + _PUBLISHED_NAMES[config.decoder.name]:
        key = re.sub(pattern, published, key)
    return key


def _check(weights: dict, wanted: dict[str, torch.Size], unused: str) -> None:
    """UserError unless `weights` has every wanted key in its shape, and no other but the unused ones."""
    missing = [key for key in wanted if key not in weights]
    if missing:
        raise UserError(f"The file lacks {_count(missing)} that its configuration needs: {_listed(missing)}.")
    extra = [key for key in weights if key not in wanted and not re.fullmatch(unused, str(key))]
    if extra:
        raise UserError(f"The file holds {_count(extra)} that its configuration does not know: {_listed(extra)}.")
    wrong = []
    for key, shape in wanted.items():
        value = weights[key]
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
            wrong.append(f"{key} (no array of floating-point numbers)")
        elif value.shape != shape:
            wrong.append(f"{key} ({_shape(value.shape)} instead of {_shape(shape)})")
    if wrong:
        raise UserError(f"The file holds {_count(wrong)} of the wrong shape or kind: {_listed(wrong)}.")


def _shape(shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _count(keys: list) -> str:
    return f"{len(keys)} weight{'s' if len(keys) > 1 else ''}"


def _listed(names) -> str:
    names = [str(name)[:160] for name in names]
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
