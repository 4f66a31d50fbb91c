"""Hang gradients that are already known on a torch tensor. Knows no solver, and imports torch only when called."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from .arrays import Home, library_of


def wants_gradient(*inputs: Any) -> bool:
    """Return whether any input is a torch tensor whose gradient is being recorded."""
    if not any(library_of(value) == "torch" for value in inputs):
        return False
    import torch

    return torch.is_grad_enabled() and any(isinstance(v, torch.Tensor) and v.requires_grad for v in inputs)


def attach(
    values: np.ndarray | float, home: Home, pairs: Iterable[tuple[Any, np.ndarray | None]], *, batched: bool = False
) -> Any:
    """Return values as a tensor at home whose gradient in each tensor of `pairs` is the array beside it.

    values is a scalar or (k,). The array has the input's shape, its last axis matching values where values is (k,);
    an array with one axis more, (..., k), is the Jacobian and is contracted over k. With batched=True it is the first
    axis that matches, as for problems (B, n, d) of values (B,). None stands beside a tensor that records no gradient.
    Differentiable once.
    """
    pairs = [(tensor, gradient) for tensor, gradient in pairs if library_of(tensor) == "torch"]
    gradients = [None if g is None else home.array(g, np.dtype(np.float64)) for _, g in pairs]
    return _function().apply(home.array(values), gradients, batched, *(tensor for tensor, _ in pairs))


def refuse(value: np.ndarray | float, home: Home, tensors: Iterable[Any], why: str) -> Any:
    """Return value as a tensor at home that says `why` when it is differentiated."""
    found = [tensor for tensor in tensors if library_of(tensor) == "torch"]
    return _refusal().apply(home.array(value), why, *found)


@cache
def _refusal() -> Any:
    import torch

    class Refuse(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Any, why: str, *inputs: Any) -> Any:
            ctx.why = why
            return value

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            raise RuntimeError(ctx.why)

    return Refuse


@cache
def _function() -> Any:
    import torch

    class Attach(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, values: Any, gradients: Any, batched: bool, *inputs: Any) -> Any:
            ctx.batched = batched
            ctx.gradients = [g if t.requires_grad else None for g, t in zip(gradients, inputs)]
            ctx.save_for_backward(*inputs)
            return values

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            outer = grad_output.double()
            found = []
            for gradient, tensor in zip(ctx.gradients, ctx.saved_tensors):
                if gradient is not None and ctx.batched:
                    weight = outer.reshape(-1, *[1] * (gradient.ndim - 1))
                    gradient = Once.apply((gradient * weight).to(tensor.dtype), tensor)
                elif gradient is not None:
                    gradient = gradient @ outer if gradient.ndim > tensor.ndim else gradient * outer
                    gradient = Once.apply(gradient.to(tensor.dtype), tensor)
                found.append(gradient)
            return None, None, None, *found

    class Once(torch.autograd.Function):
        """The identity on a gradient, tied to the input it belongs to, that refuses to be differentiated.

        torch's own once_differentiable ties it to grad_output alone: under create_graph=True a penalty on the gradient
        would then count as a constant, without a word.
        """

        @staticmethod
        def forward(ctx: Any, gradient: Any, tensor: Any) -> Any:
            return gradient

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            raise RuntimeError(
                "otgen's transport values are once differentiable: their gradient holds the plan fixed and has no "
                "derivative of its own. Do not use create_graph=True through them."
            )

    return Attach
