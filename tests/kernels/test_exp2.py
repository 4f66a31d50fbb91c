"""exp2 and log2 of the kernels against numpy's in long double."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from otgen_kernels.cpu.exp2 import EXP2_ERROR, LOWEST, exp2, log2

DTYPES = (np.float32, np.float64)


@njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def powers(z, out):
    for i in range(z.size):
        out[i] = exp2(z[i])


@njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def logarithms(s, out):
    for i in range(s.size):
        out[i] = log2(s[i])


def two_to(z) -> np.ndarray:
    z = np.asarray(z)
    powers(z, out := np.empty_like(z))
    return out


def log_of(s) -> np.ndarray:
    s = np.asarray(s)
    logarithms(s, out := np.empty_like(s))
    return out


def relative_error(z: np.ndarray) -> np.ndarray:
    exact = np.exp2(z.astype(np.longdouble))
    return np.abs(two_to(z).astype(np.longdouble) / exact - 1.0)


def ends(dtype) -> tuple[float, float]:
    return LOWEST[np.dtype(dtype)], -LOWEST[np.dtype(dtype)] + 2.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp2_is_within_its_stated_error(dtype, rng):
    low, high = ends(dtype)
    bound = EXP2_ERROR[np.dtype(dtype)]
    below = np.nextafter(dtype(high), dtype(0))
    near_zero = np.ldexp(rng.normal(size=100_000), rng.integers(-60, 2, 100_000)).astype(dtype)
    halves = (np.arange(low, high - 1) + 0.5).astype(dtype)
    for z in (
        rng.uniform(low, high - 1e-3, 1_000_000).astype(dtype),
        rng.uniform(-40, 1, 1_000_000).astype(dtype),
        near_zero,
        np.concatenate([halves, np.nextafter(halves, dtype(-high)), np.nextafter(halves, dtype(high))]),
        np.arange(low, high - 1).astype(dtype),
        np.array([low, np.nextafter(dtype(low), dtype(0)), below, 0.0, -0.0, 1.0, -1.0], dtype),
    ):
        assert relative_error(z).max() < bound
    assert bound < 6.0 * np.finfo(dtype).eps  # and the bound says something


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp2_stays_at_the_least_normal_number(dtype):
    low = LOWEST[np.dtype(dtype)]
    z = np.array([low, low - 0.25, low - 0.5, low - 1, low - 1000, -1e30, np.finfo(dtype).min, -np.inf], dtype)
    np.testing.assert_array_equal(two_to(z), two_to(z[:1])[0])
    np.testing.assert_allclose(two_to(z[:1]), np.finfo(dtype).tiny, rtol=EXP2_ERROR[np.dtype(dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp2_rises(dtype):
    low, high = ends(dtype)
    whole = two_to(np.arange(low, high - 1).astype(dtype))
    np.testing.assert_allclose(whole[1:] / whole[:-1], 2.0, rtol=0)
    # Between neighbouring floats rounding may fall by a few units, never by more than the stated error.
    fine = two_to(np.linspace(-3, 3, 200_001).astype(dtype))
    assert (np.diff(fine) > -EXP2_ERROR[np.dtype(dtype)] * fine[1:]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_log2_over_the_normal_numbers(dtype, rng):
    unit = np.finfo(dtype).eps
    _, high = ends(dtype)
    random = np.exp2(rng.uniform(-high + 3, high - 1, 500_000).astype(np.longdouble)).astype(dtype)
    powers_of_two = np.exp2(np.arange(-high + 3, high - 1)).astype(dtype)
    root = np.sqrt(dtype(0.5)) * np.exp2(np.arange(-9, 9)).astype(dtype)
    around = np.concatenate([1 + unit * np.arange(-1000, 1001), 1 + rng.uniform(-0.3, 0.4, 100_000)]).astype(dtype)
    for s in (random, powers_of_two, root, np.nextafter(root, dtype(0)), around, rng.random(100_000).astype(dtype)):
        exact = np.log2(s.astype(np.longdouble))
        # Relative to the result, also where it is next to 0: log2(1) is 0, and its neighbours keep their digits.
        assert (np.abs(log_of(s) - exact) <= 4.0 * unit * np.abs(exact)).all()
    np.testing.assert_array_equal(log_of(powers_of_two), np.arange(-high + 3, high - 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_log2_of_nothing_is_that_of_the_least_normal_number(dtype):
    tiny = np.finfo(dtype).tiny
    s = np.array([0.0, -0.0, np.finfo(dtype).smallest_subnormal, tiny / 2, tiny], dtype)
    np.testing.assert_array_equal(log_of(s), LOWEST[np.dtype(dtype)])
    assert log_of(np.array([np.finfo(dtype).max], dtype))[0] == pytest.approx(-LOWEST[np.dtype(dtype)] + 2)


def test_they_are_for_compiled_code():
    with pytest.raises(NotImplementedError, match="call numpy.exp2"):
        exp2(1.0)
    with pytest.raises(NotImplementedError, match="call numpy.log2"):
        log2(1.0)
