"""Import published LIIF, LTE and CLIT files: {"model": {"name", "args", "sd"}, ...}, written by torch.save.

The import never runs code from the file. Every option, key and shape must fit; otherwise a UserError says which one
does not.
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

_LARGEST = 1024  # bound of every number in a configuration, so that a hostile file cannot ask for all memory
_SHOWN = 4  # number of keys named in one message

# What torch's restricted unpickler says of a file that names a class or function it does not know.
_CODE = re.compile(r"GLOBAL ([\w.]+)|unrecognized function|Can only (?:build|create)")

# Patterns that turn our keys into the published ones, applied in order. Other keys are the same in both.
_PUBLISHED_KEYS: dict[str, list[tuple[str, str]]] = {
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

# Published keys that hold no learned weights: the unused mean shift, and tables computed from the window's size.
_UNUSED: dict[str, str] = {
    "edsr-baseline": r"encoder\.(sub|add)_mean\.(weight|bias)",
    "rdn": r"(?!)",
    "swinir": r"encoder\.layers\.\d+\.residual_group\.blocks\.\d+\.(attn_mask|attn\.relative_position_index)",
}


def import_official(path: str | os.PathLike) -> SRModel:
    """Load a published LIIF, LTE or CLIT file as a model, in evaluation mode on the CPU, float32.

    Other top-level entries (optimizer, epoch) are ignored. UserError for a file that is missing, damaged or tries to
    run code; for an unknown model, encoder or option; and for missing or unexpected keys or wrong shapes.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"A published file must be given as a path, not as a {type(path).__name__}.")
    entry = _get_entry(_load_content(os.fspath(path)), "model", dict, "The file")
    name = _get_entry(entry, "name", str, 'The entry "model"')
    if name not in _DECODERS:
        raise UserError(f'The file holds a model named "{name}", but only {_list_names(_DECODERS)} can be imported.')
    weights = _get_entry(entry, "sd", dict, 'The entry "model"')
    args = _Args(_get_entry(entry, "args", dict, 'The entry "model"'), f'"{name}"')
    encoder = args.read_spec("encoder_spec")
    if encoder.name not in _ENCODERS:
        raise UserError(f'The file\'s encoder is "{encoder.name}", but only {_list_names(_ENCODERS)} can be imported.')
    config = ModelConfig(_ENCODERS[encoder.name](encoder), _DECODERS[name](args))
    encoder.finish()
    args.finish()

    with torch.device("meta"):  # compare the shapes before any memory is asked for
        wanted = SRModel(config).state_dict()
    ours = {_to_published_key(key, config): key for key in wanted}
    _check_weights(weights, {name: wanted[key].shape for name, key in ours.items()}, _UNUSED[config.encoder.name])
    model = SRModel(config)
    model.load_state_dict({key: weights[name] for name, key in ours.items()}, strict=True)
    return model.eval()


def _load_content(path: str):
    """Load the file's content with torch's restricted unpickler, which knows only tensors and plain containers."""
    try:
        with warnings.catch_warnings():  # the error below says it better
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except Exception as error:  # the unpickler may raise anything on damaged bytes
        asked = _CODE.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if asked:
            what = f" ({asked[1]})" if asked[1] else ""
            raise UserError(
                f"{path} is refused: loading it would run code{what}, which published weights never need."
            ) from None
        reason = "it is a directory" if os.path.isdir(path) else "it is damaged, or no PyTorch file"
        raise UserError(f"{path} cannot be read: {reason}.") from None


def _get_entry(entry, key: str, kind: type, owner: str):
    """Return entry[key]. UserError if it is missing or no `kind`."""
    if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
        raise UserError(
            f'{owner} has no usable "{key}": a published file is {{"model": {{"name", "args", "sd"}}, ...}}.'
        )
    return entry[key]


class _Args:
    """A published network's keyword arguments. Reading is strict: `finish` refuses those that nobody has read."""

    def __init__(self, args: dict, owner: str, name: str = ""):
        self._left, self._owner, self.name = dict(args), owner, name

    def read_spec(self, key: str) -> _Args:
        """Read a nested {"name", "args"}."""
        spec = self._left.pop(key, None)
        if (
            not isinstance(spec, dict)
            or not isinstance(spec.get("name"), str)
            or not isinstance(spec.get("args", {}), dict)
        ):
            raise UserError(f'The arguments of {self._owner} have no usable "{key}" ({{"name", "args"}}).')
        return _Args(spec.get("args", {}), f'"{spec["name"]}"', spec["name"])

    def read_whole(self, key: str, default: int | None = None, low: int = 1) -> int:
        """Read a whole number from `low` up."""
        value = self._left.pop(key, default)
        if type(value) is not int or not low <= value <= _LARGEST:
            self._refuse(key, value, f"a whole number from {low} to {_LARGEST}")
        return value

    def read_number(self, key: str) -> float:
        """Read a number from 0 to 64."""
        value = self._left.pop(key, None)
        if type(value) not in (int, float) or not 0 <= value <= 64:
            self._refuse(key, value, "a number from 0 to 64")
        return float(value)

    def read_widths(self, key: str) -> tuple[int, ...]:
        """Read a list of at least one layer width."""
        value = self._left.pop(key, None)
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= _LARGEST:
            self._refuse(key, value, "a list of layer widths")
        if any(type(n) is not int or not 1 <= n <= _LARGEST for n in value):
            self._refuse(key, value, f"a list of whole numbers from 1 to {_LARGEST}")
        return tuple(value)

    def require(self, key: str, value, default=None) -> None:
        """Read an option that supports only one value. default: its value if the file leaves it out."""
        given = self._left.pop(key, default)
        if type(given) is not type(value) or given != value:
            self._refuse(key, given, repr(value))

    def ignore(self, *keys: str) -> None:
        """Read options that have no effect here."""
        for key in keys:
            self._left.pop(key, None)

    def finish(self) -> None:
        """Raise a UserError if any option has not been read."""
        if self._left:
            raise UserError(f"The arguments of {self._owner} hold unknown options: {_list_names(self._left)}.")

    def _refuse(self, key: str, value, wanted: str):
        text = repr(value)
        text = text if len(text) <= 60 else text[:57] + "..."
        raise UserError(f'The option "{key}" of {self._owner} is {text}, but only {wanted} is supported.')


def _read_edsr(args: _Args) -> EncoderConfig:
    args.require("no_upsampling", True)
    args.require("res_scale", 1, default=1)
    args.ignore("scale", "rgb_range")  # options of the upsampler and the mean shift, which are not used
    return EDSRConfig(args.read_whole("n_feats", 64), args.read_whole("n_resblocks", 16))


def _read_rdn(args: _Args) -> EncoderConfig:
    args.require("no_upsampling", True)
    args.require("RDNkSize", 3, default=3)
    args.require("RDNconfig", "B", default="B")
    args.ignore("scale")
    return RDNConfig(args.read_whole("G0", 64))


def _read_swinir(args: _Args) -> EncoderConfig:
    args.require("no_upsampling", True)
    return SwinIRConfig()


def _read_imnet(args: _Args, activation: str, default: str | None = None) -> tuple[int, ...]:
    """Read the hidden widths of the MLP that predicts colours."""
    imnet = args.read_spec("imnet_spec")
    if imnet.name != "mlp":
        raise UserError(f'The file\'s "imnet_spec" names "{imnet.name}", but only "mlp" is supported.')
    imnet.require("out_dim", 3)
    imnet.require("act", activation, default)
    hidden = imnet.read_widths("hidden_list")
    imnet.finish()
    return hidden


def _read_liif(args: _Args) -> DecoderConfig:
    for option in ("local_ensemble", "feat_unfold", "cell_decode"):
        args.require(option, True, default=True)
    return LIIFConfig(_read_imnet(args, "relu", default="relu"))


def _read_lte(args: _Args) -> DecoderConfig:
    width = args.read_whole("hidden_dim", 256)
    if width % 2:
        raise UserError(f'The option "hidden_dim" of "lte" is {width}, but must be even.')
    return LTEConfig(width, _read_imnet(args, "relu", default="relu"))


def _read_clit(args: _Args) -> DecoderConfig:
    args.require("is_cell", True, default=True)
    args.require("local_attn", True, default=True)
    bias = args.read_spec("pb_spec")
    if bias.name != "posenc":
        raise UserError(f'The file\'s "pb_spec" names "{bias.name}", but only "posenc" is supported.')
    bias.require("posenc_type", "sinusoid")
    bias.require("enc_dims", 64)
    bias.require("hidden_dims", 64, default=64)
    bias.require("gamma", 1, default=1)
    octaves = bias.read_number("posenc_scale")
    bias.finish()
    stages = args.read_whole("imnet_num")
    args.require("conv_num", stages)
    return CLITConfig(
        width=args.read_whole("base_dim"),
        heads=args.read_whole("head"),
        radius=args.read_whole("r", low=0),
        hidden=_read_imnet(args, "gelu"),
        stages=stages,
        octaves=octaves,
    )


_ENCODERS = {EDSRConfig.name: _read_edsr, RDNConfig.name: _read_rdn, SwinIRConfig.name: _read_swinir}
_DECODERS = {LIIFConfig.name: _read_liif, LTEConfig.name: _read_lte, CLITConfig.name: _read_clit}


def _to_published_key(key: str, config: ModelConfig) -> str:
    for pattern, published in _PUBLISHED_KEYS[config.encoder.name] + _PUBLISHED_KEYS[config.decoder.name]:
        key = re.sub(pattern, published, key)
    return key


def _check_weights(weights: dict, wanted: dict[str, torch.Size], unused: str) -> None:
    """Raise a UserError unless `weights` holds every wanted key in its shape, and besides only unused ones."""
    missing = [key for key in wanted if key not in weights]
    if missing:
        raise UserError(
            f"The file lacks {_count_weights(missing)} that its configuration needs: {_list_names(missing)}."
        )
    extra = [key for key in weights if key not in wanted and not re.fullmatch(unused, str(key))]
    if extra:
        raise UserError(
            f"The file holds {_count_weights(extra)} that its configuration does not know: {_list_names(extra)}."
        )
    wrong = []
    for key, shape in wanted.items():
        value = weights[key]
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
            wrong.append(f"{key} (no array of floating-point numbers)")
        elif value.shape != shape:
            wrong.append(f"{key} ({_format_shape(value.shape)} instead of {_format_shape(shape)})")
    if wrong:
        raise UserError(f"The file holds {_count_weights(wrong)} of the wrong shape or kind: {_list_names(wrong)}.")


def _format_shape(shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _count_weights(keys: list) -> str:
    return f"{len(keys)} weight{'s' if len(keys) > 1 else ''}"


def _list_names(names) -> str:
    names = [str(name)[:160] for name in names]
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
