"""Weights for browsers: each checkpoint in two files, so that an encoder which models share is stored and sent once.

A folder of weights, at any address (`write_weights` makes it, and the page's server answers the same at weights/):

- `models.json`: {"models": [entry, ...]}. An entry is what the page's list of methods says of one (name, label, ...),
  and "config" (the content of the checkpoint's config.json, with every setting). "encoder" and "decoder" are its files
  below the folder, and are not there for plain interpolation, which has no weights.
- `encoders/<hash>.safetensors`: the tensors of an encoder, named by their content.
- `decoders/<name>.safetensors`: those of the rest.

Tensors have the type that the checkpoint stores, float16 or float32, and the names of its state dict without "encoder."
and "decoder.". Decoders with attention have one more, "bias.frequencies" (16) in float32: it is no weight, but its
rounding counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from clit.config import PLAIN, ModelConfig
from clit.errors import UserError
from clit.networks import checkpoints
from clit.networks.decoders.positional_bias import PositionalBias
from clit.system.atomic import write_bytes

LIST = "models.json"
DTYPES = (torch.float16, torch.float32)
"""Types of stored weights that browsers read."""


@dataclass(frozen=True)
class Weights:
    """A model as browsers get it: its configuration, and the content of its two files; None for plain interpolation."""

    name: str
    config: ModelConfig
    encoder: bytes | None
    decoder: bytes | None

    @staticmethod
    def read(name: str) -> Weights:
        """Read a checkpoint, or plain interpolation. UserError if it cannot be read, or has weights of another type.

        That the weights fit the configuration is not checked: it takes a second to build a model.
        """
        if name in PLAIN:
            return Weights(name, PLAIN[name], None, None)
        config, stored = checkpoints.load_stored(name)
        others = {str(t.dtype).removeprefix("torch.") for t in stored.values() if t.dtype not in DTYPES}
        if others:
            raise UserError(f"Browsers cannot read the weights of {name}, of the type {', '.join(sorted(others))}.")
        encoder, decoder = (_take_part(stored, prefix) for prefix in ("encoder.", "decoder."))
        if config.decoder.kind == "attention":
            decoder["bias.frequencies"] = PositionalBias(config.decoder.heads, config.decoder.octaves).frequencies
        return Weights(name, config, *map(checkpoints.serialize_weights, (encoder, decoder)))

    def files(self) -> dict[str, bytes]:
        """Return the content of its files by their paths below the folder: encoder, then decoder."""
        if self.encoder is None or self.decoder is None:
            return {}
        named = hashlib.sha256(self.encoder).hexdigest()[:16]
        return {
            f"encoders/{named}.safetensors": self.encoder,
            f"decoders/{self.name}.safetensors": self.decoder,
        }

    def describe(self) -> dict:
        """Return what its entry in the list says besides what the page's list says."""
        return {"config": self.config.to_dict()} | dict(zip(("encoder", "decoder"), self.files(), strict=False))


def write_weights(folder: Path, models: Iterable[dict]) -> None:
    """Write the folder of weights of some models; what is there already is replaced.

    models: entries of the page's list of methods, of which "name" and "available" are read; what is not available is
    left out. UserError if a checkpoint cannot be loaded or the folder cannot be written.
    """
    entries = []
    for entry in models:
        if not entry["available"]:
            continue
        weights = Weights.read(entry["name"])
        entries.append(entry | weights.describe())
        for path, content in weights.files().items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / path, content)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / LIST, json.dumps({"models": entries}).encode())


def _take_part(stored: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in stored.items() if name.startswith(prefix)}
