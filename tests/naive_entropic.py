"""Entropic transport on dense matrices in float64, so plain that it is the definition."""

from __future__ import annotations

import math

import numpy as np

import naive


def cost_matrix(x, y, metric: str = "euclidean", p: float = 2.0) -> np.ndarray:
    """c_ij = metric(x_i, y_j)**p."""
    return np.array([[naive.cost(point, other, metric, p) for other in y] for point in x])


def kl(p, q) -> float:
    """sum p log(p / q) - p + q, with 0 log 0 = 0; q is 0 only where p is."""
    p, q = np.ravel(p), np.ravel(q)
    found = p > 0
    return float((p[found] * np.log(p[found] / q[found])).sum() - p.sum() + q.sum())


def smooth_min(costs, weights, eps: float) -> np.ndarray:
    """-eps log sum_j b_j exp(-c_ij / eps) of every row."""
    least = costs.min(axis=1)
    return least - eps * np.log(np.exp((least[:, None] - costs) / eps) @ weights)


def potentials(C, a, b, eps: float, rho_a=math.inf, rho_b=math.inf, tol=1e-13, most=20_000):
    """f and g of Sinkhorn's plain iteration for positive weights, run until they stand still."""
    f, g = np.zeros(len(a)), np.zeros(len(b))
    damp_a, damp_b = (1.0 if math.isinf(rho) else rho / (rho + eps) for rho in (rho_a, rho_b))
    for _ in range(most):
        f = damp_a * smooth_min(C - g, b, eps)
        before, g = g, damp_b * smooth_min(C.T - f, a, eps)
        if np.abs(g - before).max() <= tol * max(np.abs(g).max(), eps):
            break
    return f, g


def plan(C, a, b, f, g, eps: float) -> np.ndarray:
    """a_i b_j exp((f_i + g_j - c_ij) / eps)."""
    return np.outer(a, b) * np.exp((f[:, None] + g - C) / eps)


def objective(pi, C, a, b, eps: float, rho_a=math.inf, rho_b=math.inf) -> float:
    """<pi, C> + eps KL(pi | a x b) + rho_a KL(pi 1 | a) + rho_b KL(pi^T 1 | b); no term where rho is inf."""
    value = float((pi * C).sum()) + eps * kl(pi, np.outer(a, b))
    for marginal, weights, rho in ((pi.sum(axis=1), a, rho_a), (pi.sum(axis=0), b, rho_b)):
        value += 0.0 if math.isinf(rho) else rho * kl(marginal, weights)
    return value


def dual_value(C, a, b, f, g, eps: float, rho_a=math.inf, rho_b=math.inf) -> float:
    """A(f) + B(g) - eps (mass of the plan - m(a) m(b)), A(f) = <a, f> or rho <a, 1 - exp(-f / rho)>."""
    value = -eps * (plan(C, a, b, f, g, eps).sum() - a.sum() * b.sum())
    for weights, potential, rho in ((a, f, rho_a), (b, g, rho_b)):
        value += float(weights @ (potential if math.isinf(rho) else -rho * np.expm1(-potential / rho)))
    return float(value)


def optimum(C, a, b, eps: float, rho_a=math.inf, rho_b=math.inf) -> float:
    """The least objective, by its dual."""
    return dual_value(C, a, b, *potentials(C, a, b, eps, rho_a, rho_b), eps, rho_a, rho_b)


def divergence(x, y, a, b, eps: float, metric="euclidean", p=2.0, rho_a=math.inf, rho_b=math.inf) -> float:
    """OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 + (eps / 2) (m(a) - m(b))^2."""
    joint = optimum(cost_matrix(x, y, metric, p), a, b, eps, rho_a, rho_b)
    alone = [optimum(cost_matrix(z, z, metric, p), w, w, eps, rho, rho) for z, w, rho in ((x, a, rho_a), (y, b, rho_b))]
    return joint - 0.5 * sum(alone) + 0.5 * eps * float(a.sum() - b.sum()) ** 2
