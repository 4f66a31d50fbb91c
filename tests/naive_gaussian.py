"""Normal laws by their definitions: eigenvalues by rotations, moments in exact fractions, one entry at a time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np


def eigen(matrix) -> tuple[list[float], list[list[float]]]:
    """Eigenvalues and the rows that are their vectors, by Jacobi's rotations until nothing is left off the diagonal."""
    a = [[float(v) for v in row] for row in matrix]
    d = len(a)
    v = [[float(i == j) for j in range(d)] for i in range(d)]
    for _ in range(60):
        for p in range(d):
            for q in range(p + 1, d):
                if a[p][q] == 0.0:
                    continue
                angle = 0.5 * math.atan2(2 * a[p][q], a[q][q] - a[p][p])
                c, s = math.cos(angle), math.sin(angle)
                for k in range(d):
                    a[k][p], a[k][q] = c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]
                for k in range(d):
                    a[p][k], a[q][k] = c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]
                    v[p][k], v[q][k] = c * v[p][k] - s * v[q][k], s * v[p][k] + c * v[q][k]
    return [a[i][i] for i in range(d)], v


def square_root(matrix) -> np.ndarray:
    """The positive semidefinite root: sum_i sqrt(l_i) v_i v_i^T."""
    values, vectors = eigen(matrix)
    d = len(values)
    root = np.zeros((d, d))
    for value, vector in zip(values, vectors):
        for i in range(d):
            for j in range(d):
                root[i, j] += math.sqrt(max(value, 0.0)) * vector[i] * vector[j]
    return root


def wasserstein_squared(mean_x, cov_x, mean_y, cov_y) -> float:
    """|m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x^1/2 S_y S_x^1/2)^1/2)."""
    root = square_root(cov_x)
    cross = square_root(root @ np.asarray(cov_y) @ root)
    total = sum((float(p) - float(q)) ** 2 for p, q in zip(mean_x, mean_y))
    return total + sum(float(cov_x[i][i]) + float(cov_y[i][i]) - 2 * cross[i, i] for i in range(len(cross)))


def moments(points) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance with n - 1, in two passes over fractions."""
    rows = [[Fraction(float(v)) for v in row] for row in points]
    n, d = len(rows), len(rows[0])
    mean = [sum(row[j] for row in rows) / n for j in range(d)]
    covariance = np.empty((d, d))
    for i in range(d):
        for j in range(d):
            covariance[i, j] = float(sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in rows) / (n - 1))
    return np.array([float(value) for value in mean]), covariance
