"""Checkpoints: `<name>/{model.safetensors, config.json, README.md}`, in a folder or on a hub.

Large weights are split, as the hub does it: `model-00001-of-00003.safetensors` and so on, and an index of them. Loading
is strict and never runs code from a file. Weights may be stored as float16; they load as float32.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize_weights

from clit.config import PLAIN, PRESETS, ModelConfig
from clit.errors import UserError
from clit.networks.model import SRModel
from clit.system.atomic import write_bytes

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
INDEX, PARTS = "model.safetensors.index.json", "model-*-of-*.safetensors"
PART = 15_000_000
"""Bytes of weights in one file, at most; one tensor is never split."""


def folder() -> Path:
    """Return the checkpoints folder: $CLIT_CHECKPOINTS, else ./checkpoints, else the one beside the package."""
    named = os.environ.get("CLIT_CHECKPOINTS")
    if named:
        return Path(named)
    here = Path("checkpoints")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "checkpoints"


def available() -> list[str]:
    """Return the names of the checkpoints in `folder()`: presets first, in their order."""
    names = sorted(p.parent.name for p in folder().glob(f"*/{CONFIG}") if _has_weights(p.parent))
    order = list(PRESETS)
    return sorted(names, key=lambda n: (order.index(n) if n in order else len(order), n))


def save(model: SRModel, directory: str | Path, card: str | None = None, dtype: torch.dtype = torch.float32) -> None:
    """Write a checkpoint directory, with weights stored as `dtype`. Each file is replaced atomically."""
    from huggingface_hub import split_torch_state_dict_into_shards

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().to("cpu", dtype).contiguous() for k, v in model.state_dict().items()}
    config = json.dumps(model.config.to_dict(), indent=2) + "\n"
    write_bytes(directory / CONFIG, config.encode())
    split = split_torch_state_dict_into_shards(state, max_shard_size=PART)
    older = {*directory.glob(PARTS), directory / WEIGHTS, directory / INDEX}
    if split.is_sharded:  # first, so that an index never names parts of two models
        (directory / INDEX).unlink(missing_ok=True)
    for name, keys in split.filename_to_tensors.items():
        write_bytes(directory / name, serialize_weights({key: state[key] for key in keys}))
        older.discard(directory / name)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_bytes(directory / INDEX, json.dumps(index, indent=2).encode() + b"\n")
        older.discard(directory / INDEX)
    for path in sorted(older, key=lambda path: path.name != INDEX):  # without the index its files are of no use
        path.unlink(missing_ok=True)
    if card is not None:
        write_bytes(directory / CARD, card.encode())


def load(name: str | Path, *, untrained: bool = False) -> SRModel:
    """Load a model by name, in evaluation mode on the CPU.

    name: a checkpoint in `folder()`, a checkpoint directory, a hub id ("owner/name"), "bilinear" or "bicubic"; local
    files come first. untrained: allow a preset without weights, and initialise it randomly.
    UserError if there is no such checkpoint, or if its files do not fit together.
    """
    if str(name) in PLAIN:
        return SRModel(PLAIN[str(name)]).eval()
    directory = _find_directory(str(name))
    if directory is None:
        if str(name) not in PRESETS:
            known = ", ".join(sorted({*available(), *PLAIN}))
            raise UserError(f'There is no checkpoint "{name}": give a directory that holds one, or one of {known}.')
        if not untrained:
            raise UserError(
                f'The preset "{name}" has no trained weights in {folder()}: train it with '
                f"`python -m clit train {name} --data DIR`, or use one of {', '.join(available()) or 'none yet'}."
            )
        return SRModel(PRESETS[str(name)]).eval()
    with _reading(directory):
        config = json.loads((directory / CONFIG).read_text())
        state = _read_weights(directory)
    model = SRModel(ModelConfig.from_dict(config))
    load_strictly(model, state, str(directory))
    return model.eval()


def load_stored(name: str | Path) -> tuple[ModelConfig, dict[str, torch.Tensor]]:
    """Return a checkpoint's configuration, and its weights as they are stored.

    name: as for `load`, but of no plain interpolation. UserError if there is no such checkpoint, or it cannot be read.
    """
    directory = _find_directory(str(name))
    if directory is None:
        raise UserError(f'There is no checkpoint "{name}".')
    with _reading(directory):
        return ModelConfig.from_dict(json.loads((directory / CONFIG).read_text())), _read_weights(directory)


def _read_weights(directory: Path) -> dict[str, torch.Tensor]:
    index = directory / INDEX
    if not index.is_file():
        return load_file(directory / WEIGHTS)
    written = index.stat()
    state = {key: value for name in _read_index(index) for key, value in load_file(directory / name).items()}
    now = index.stat()
    if (now.st_ino, now.st_mtime_ns) != (written.st_ino, written.st_mtime_ns):
        raise ValueError("it was replaced meanwhile")
    return state


def _read_index(index: Path) -> list[str]:
    """Return the names of the files of split weights; ValueError if the index does not tell them."""
    found = json.loads(index.read_text())
    files = found.get("weight_map") if isinstance(found, dict) else None
    names = list(files.values()) if isinstance(files, dict) else [None]
    if not all(isinstance(name, str) and fnmatch(name, PARTS) and Path(name).name == name for name in names):
        raise ValueError(f"{INDEX} does not name the files of the weights")
    return sorted(set(names))


def _has_weights(directory: Path) -> bool:
    return (directory / WEIGHTS).is_file() or (directory / INDEX).is_file()


def load_strictly(module: torch.nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Load every weight; UserError that names what is missing, unexpected, of another shape, or NaN or infinite."""
    wanted = module.state_dict()
    faults = {
        "missing": sorted(set(wanted) - set(state)),
        "unexpected": sorted(set(state) - set(wanted)),
        "of another shape": sorted(k for k in set(wanted) & set(state) if wanted[k].shape != state[k].shape),
    }
    found = [
        f"{len(keys)} {fault} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for fault, keys in faults.items()
        if keys
    ]
    if found:
        raise UserError(f"The weights in {source} do not fit the model: {'; '.join(found)}.")
    broken = sorted(k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all())
    if broken:
        names = f"{', '.join(broken[:3])}{', ...' if len(broken) > 3 else ''}"
        raise UserError(f"The weights in {source} are not all numbers ({names}): fetch or train them again.")
    module.load_state_dict({k: v.to(wanted[k].dtype) for k, v in state.items()})


@contextmanager
def _reading(directory: Path) -> Iterator[None]:
    """Turn what goes wrong with the files of a checkpoint into a UserError."""
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"The checkpoint in {directory} cannot be read ({error}): fetch or train it again.") from error


def _is_complete(directory: Path) -> bool:
    index = directory / INDEX
    try:
        names = _read_index(index) if index.is_file() else [WEIGHTS]
    except ValueError:
        return False
    return all((directory / name).is_file() for name in (CONFIG, *names))


def _find_directory(name: str) -> Path | None:
    for directory in (folder() / name, Path(name)):
        if _has_weights(directory) and (directory / CONFIG).is_file():
            return directory
    if name.count("/") == 1 and not Path(name).exists() and all(name.split("/")):
        return _fetch_snapshot(name)
    return None


def _fetch_snapshot(hub_id: str) -> Path | None:
    """Return the folder of a hub repository's files, from the local cache if possible. None for a malformed id."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    files = [WEIGHTS, INDEX, PARTS, CONFIG, CARD]
    try:
        found = Path(snapshot_download(hub_id, allow_patterns=files, local_files_only=True))
        if _is_complete(found):  # not one whose download was broken off
            return found
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        return None
    try:
        return Path(snapshot_download(hub_id, allow_patterns=files))
    except (HfHubHTTPError, OSError, LocalEntryNotFoundError) as error:
        raise UserError(
            f'The checkpoint "{hub_id}" is neither a local directory nor to be had from the hub.'
        ) from error
