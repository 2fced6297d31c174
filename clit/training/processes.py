"""Several processes that train one run together, through Accelerate.

Accelerate is needed for training alone. It is imported inside the functions, so that all else works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from torch import nn

from clit.errors import UserError

if TYPE_CHECKING:
    from accelerate import Accelerator

Value = TypeVar("Value")


def start_accelerator() -> Accelerator:
    """Return what `accelerate launch`, or else the machine, says of device, precision and number of processes.

    UserError where Accelerate is not installed.
    """
    try:
        from accelerate import Accelerator
    except ImportError:
        raise UserError(
            "Training needs the package accelerate: pip install 'clit[train]', or pip install -e '.[train]' in a clone."
        ) from None
    return Accelerator()


def share_from_main(values: list[float]) -> list[float]:
    """Return the main process's values in every process. What depends on a clock must be the same in all of them."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list(values)


def gather(value: Value) -> list[Value]:
    """Return the values of all processes, in their order."""
    from accelerate.utils import gather_object

    return gather_object([value])


def average_gradients(accelerator: Accelerator, network: nn.Module) -> None:
    """Set every gradient to its mean over all processes. All of them must have trained the same stages."""
    if accelerator.num_processes > 1:  # else each would be copied for nothing
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad = accelerator.reduce(parameter.grad, reduction="mean")
