"""Muon in PyTorch, of the same maths as `flaxmill/maths/optim.py`'s, for `torch_fast_cnn.py`."""

import math

import torch
from torch import nn

STEPS = 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan 2024, "Muon"


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """Returns a matrix a few Newton-Schulz steps nearer to the orthogonal one."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-8)
    first, third, fifth = COEFFICIENTS
    for _ in range(STEPS):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return x if wide is matrix else x.T


def turn(
    kernels: list[nn.Parameter],
    averages: list[torch.Tensor],
    numbers: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    """Takes a step with the kernels of convolutions.

    Args:
        kernels: As [output, input, height, width], with their gradients.
        averages: Of the gradients, one for each kernel.
        numbers: The momentum; what averages and gradients count in looking ahead; and the learning
            rate. They are tensors, for a compiled function would be compiled for each float.
    """
    momentum, ahead, now, rate = numbers
    for kernel, average in zip(kernels, averages, strict=True):
        average.mul_(momentum).add_(kernel.grad * (1 - momentum))
        update = orthogonalised((average * ahead + kernel.grad * now).flatten(1))
        kernel.mul_(math.sqrt(len(kernel)) / kernel.norm()).sub_(
            rate * update.reshape(kernel.shape)
        )


class Muon:
    """Muon for the kernels of convolutions, Nesterov momentum for all else.

    Args:
        model: Its parameters that want gradients are trained.
        momentum: Decay of the running average, or sum, of gradients.
        dense: Learning rate of dense kernels, per unit of the convolutions'.
        bias: Learning rate of biases, per unit of the convolutions'.
        compiled: Whether to compile what is done with the kernels.
    """

    def __init__(
        self, model: nn.Module, *, momentum: float, dense: float, bias: float, compiled: bool
    ) -> None:
        params = [param for param in model.parameters() if param.requires_grad]
        self.kernels = [param for param in params if param.ndim == 4]
        self.averages = [torch.zeros_like(kernel) for kernel in self.kernels]
        self.momentum, self.taken = momentum, 0
        self.turn = torch.compile(turn) if compiled else turn
        groups = [
            {"params": [param for param in params if param.ndim == 2], "factor": dense},
            {"params": [param for param in params if param.ndim == 1], "factor": bias},
        ]
        self.others = torch.optim.SGD(groups, lr=0.0, momentum=momentum, nesterov=True)
        self.params = params

    def step(self, rate: float) -> None:
        """Takes a step, with the gradients that are there, and forgets them."""
        self.taken += 1
        decay = self.momentum
        ahead = decay / (1 - decay ** (self.taken + 1))
        now = (1 - decay) / (1 - decay**self.taken)
        numbers = tuple(torch.tensor(number) for number in (decay, ahead, now, rate))
        with torch.no_grad():
            self.turn(self.kernels, self.averages, numbers)
        for group in self.others.param_groups:
            group["lr"] = rate * group["factor"]
        self.others.step()
        for param in self.params:
            param.grad = None
