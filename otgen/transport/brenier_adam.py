"""Algorithm 1 of the source lecture: Adam on the heights, with fresh uniform samples in every step.

Source: Na Lei, Xianfeng Gu, lectures on optimal transport and generative models (AE-OT). Beta (0.9, 0.5), gradient
w_hat - nu centred, N doubled when E(h) = <h, nu> - mean u_h has not improved for STALL steps. Adam's steps have the
size of the rate whatever N, so that at a fixed rate the error stays where the rate leaves it: it is halved with every
doubling. Steps are of the size of <x, y>: the rate is RATE standard deviations of it.

On a GPU whole steps are left to the device, and E(h) and chi2 are looked at after every LOOK of them only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..devices import fetch, is_on_gpu
from .brenier_run import Fit, Problem

FIRST = 10_000
STALL = 30
RATE = 0.02
BETAS = (0.9, 0.5)
PILOT = 2000
LOOK = 10


class AdamFit(Fit):
    """State: Adam's moments, the rate, N, the best E(h) and for how many steps it has stood.

    `duals` are E(h) of the steps that have not been looked at; they are before the state is kept.
    """

    def __init__(self, problem: Problem, start: np.ndarray | None):
        super().__init__(problem)
        if start is not None:
            self.h = start.astype(np.float64)
        self.mean, self.square = np.zeros_like(self.h), np.zeros_like(self.h)
        self.apart, self.duals = LOOK if is_on_gpu(problem.y) else 1, []
        self.size, self.rate, self.best_value, self.stalled, self.steps = FIRST, 0.0, -np.inf, 0, 0

    def advance(self) -> None:
        if self.phase == "start":
            x = self.draw(PILOT) - self.cells.centre
            z = self.problem.y - self.problem.y.mean(0)
            cov = x.T @ x / len(x)
            self.rate = RATE * float(np.sqrt(np.einsum("ij,jk,ik->i", z, cov, z, optimize=True).mean()))
            self.phase = "step"
        while True:
            if self.phase == "step":
                if self.step():
                    self.phase = "test"
                    self.begin_test(self.test_size)
                if not self.duals:
                    self.save()
            if self.phase == "test":
                if self.passes(self.run_test()):
                    return
                self.refuse()

    def refuse(self) -> None:
        self.phase = "step"
        self.begin_test(0)

    def step(self) -> bool:
        """One step of Adam; whether chi2 of the h before seems to be small enough, in which case h stays."""
        nu = self.problem.nu
        counts, value, left = np.zeros_like(nu, dtype=np.int64), 0.0, self.size
        while left:
            x = self.draw(min(self.chunk, left))
            held, highest = self.cells.tally(x, self.h)
            counts += held
            value = value + highest
            left -= len(x)
        self.iteration += 1
        self.duals.append(nu @ self.h - value / self.size)
        looked = self.steps % self.apart == 0
        passed = looked and self.look(counts)
        self.steps += 1
        if passed:
            return True
        if looked:
            self.settle()
        gradient = counts / self.size - nu
        gradient -= gradient.mean()
        self.mean += (1.0 - BETAS[0]) * (gradient - self.mean)
        self.square += (1.0 - BETAS[1]) * (gradient * gradient - self.square)
        first, second = 1.0 - BETAS[0] ** self.steps, 1.0 - BETAS[1] ** self.steps
        self.h = self.h - self.rate * (self.mean / first) / (np.sqrt(self.square / second) + 1e-8)
        self.begin_test(0)
        return False

    def look(self, counts: np.ndarray) -> bool:
        """Whether chi2 of h, which these counts are of, seems to be small enough."""
        self.test.counts, self.test.done = counts, self.size
        chi2, tol = self.tested(), self.problem.tol
        if self.steps % 10 == 0:
            self.tell(chi2, step=self.rate, block=self.size)
        if chi2.high <= tol or (chi2.value <= 0.9 * tol and self.size >= self.test_size):
            self.duals = []
            return True
        return False

    def settle(self) -> None:
        """Double N and halve the rate if E(h) has stood for long enough."""
        for dual in fetch(np.stack(self.duals)).tolist():
            if dual > self.best_value:
                self.best_value, self.stalled = dual, 0
            else:
                self.stalled += 1
            if self.stalled >= STALL:
                self.size, self.rate, self.stalled, self.best_value = 2 * self.size, 0.5 * self.rate, 0, dual
        self.duals = []

    def arrays(self) -> dict[str, Any]:
        if self.duals:  # at the end of a run
            self.settle()
        names = ("size", "rate", "best_value", "stalled", "steps")
        own = {f"adam_{name}": getattr(self, name) for name in names}
        return {**super().arrays(), **own, "adam_mean": fetch(self.mean), "adam_square": fetch(self.square)}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.mean, self.square = (self.put(state[f"adam_{name}"], np.float64) for name in ("mean", "square"))
        self.size, self.stalled, self.steps = (int(state[f"adam_{name}"]) for name in ("size", "stalled", "steps"))
        self.rate, self.best_value = float(state["adam_rate"]), float(state["adam_best_value"])
