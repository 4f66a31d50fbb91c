"""Numbers and options at the door: what they may be, and how each refusal reads."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from otgen.options import (
    check_options,
    check_size,
    is_one_of,
    is_real,
    read_count,
    read_flag,
    read_path,
    read_positive,
    read_seed,
    read_shape,
)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"tol": 0}, ValueError, "tol must be a positive finite number.*got 0. Leave it None for 1e-9"),
        ({"tol": np.nan}, ValueError, "tol must be a positive finite number.*got nan"),
        ({"tol": "x"}, ValueError, "tol must be a positive finite number.*got 'x'"),
        (
            {"max_iter": 0},
            ValueError,
            "max_iter must be None .* or an int >= 1; got 0. Leave it None for a proven result",
        ),
        ({"max_iter": 2.5}, ValueError, "max_iter must be None .* or an int >= 1; got 2.5"),
        ({"max_iter": True}, ValueError, "max_iter must be None .* or an int >= 1; got True"),
        ({"progress": 3}, TypeError, "progress must be None or a function of one dict; got int. Pass print"),
        ({"unbalanced": 1}, ValueError, "unbalanced needs eps: .* got unbalanced=1 without eps. Pass eps= too"),
    ],
)
def test_bad_options_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        check_options(**{"tol": None, "max_iter": None, "progress": None, **options})


def test_options_have_defaults():
    assert check_options(None, None, None) == (1e-9, None)
    assert check_options(1e-6, np.int64(3), print) == (1e-6, 3)


def test_sizes_beyond_int32_are_refused():
    check_size(2**29, 2**29, 2**30 - 1)
    with pytest.raises(ValueError, match=r"points in x and y together in int32: at most 2147483647; got 2147483648"):
        check_size(2**30, 2**30 - 1)
    with pytest.raises(ValueError, match=r"arcs \(pairs it looks at\) in int32: at most 2147483647; got 2147483648"):
        check_size(10, 10, 2**31 - 20)


def test_a_seed_is_a_count_or_a_generator():
    generator = np.random.default_rng(0)
    assert read_seed(generator) is generator
    assert read_seed(np.int64(3)).random() == read_seed(3).random() == np.random.default_rng(3).random()
    for bad in (-1, True, 0.5, None, "0"):
        with pytest.raises(ValueError, match="seed must be an int >= 0 or a numpy Generator; got "):
            read_seed(bad)


def test_real_numbers_are_told_from_booleans_and_the_rest():
    assert all(is_real(value) for value in (1, 0.5, np.int8(1), np.float32(1), np.inf))
    assert not any(is_real(value) for value in (True, "1", None, 1j, np.ones(1), np.bool_(True)))


def test_positive_numbers():
    assert read_positive(np.float32(0.5), "clip", "") == 0.5 and type(read_positive(2, "clip", "")) is float
    assert read_positive(0, "l1", "", zero=True) == 0.0
    for bad in (0, -1.0, np.nan, np.inf, "1", None, True):
        with pytest.raises(ValueError, match="clip must be a finite number > 0; got .*. Pass 0.01"):
            read_positive(bad, "clip", "Pass 0.01")
    for bad in (-1e-300, np.nan, np.inf):
        with pytest.raises(ValueError, match="l1 must be a finite number >= 0; got "):
            read_positive(bad, "l1", "", zero=True)


def test_the_shape_of_a_sample():
    assert read_shape([3]) == (3,) and read_shape((np.int64(1), 8, 8)) == (1, 8, 8)
    for bad in (3, (), (0,), (3.0,), (True,), (2, -1), "12", None):
        with pytest.raises(
            ValueError, match=r"shape must list the sizes of one sample, each an int >= 1; got .* \(d,\)"
        ):
            read_shape(bad)


def test_an_int_that_no_float_can_hold_is_no_number() -> None:
    assert is_real(10**300) and is_real(-(10**300)) and not is_real(10**400) and not is_real(-(10**400))
    with pytest.raises(ValueError, match=r"size must be a finite number > 0; got 1000.*Pass 1"):
        read_positive(10**400, "size", "Pass 1.")
    with pytest.raises(ValueError, match=r"tol must be a positive finite number.*got 1000"):
        check_options(10**400, None, None)


def test_counts_that_leave_int64_once_multiplied_are_refused() -> None:
    assert read_count(np.int64(2**40), "n") == 2**40
    for n in (2**40 + 1, 10**400):
        with pytest.raises(ValueError, match=r"n must be at most 1099511627776; got 1.*Pass less"):
            read_count(n, "n")


def test_a_flag_is_a_bool() -> None:
    assert read_flag(True, "replace") is True and read_flag(np.bool_(False), "replace") is False
    for value in ("no", 1, None, np.ones(2)):
        with pytest.raises(TypeError, match=r"replace must be True or False; got .*Pass one of them"):
            read_flag(value, "replace")


def test_one_of_some_names_is_a_string() -> None:
    names = {"a": 1, "b": 2}
    assert is_one_of("a", names)
    assert not any(is_one_of(value, names) for value in ("c", 1, None, ["a"], np.array(["a", "b"]), np.ones(3)))


def test_paths_are_strings_or_paths(tmp_path: Path) -> None:
    assert read_path(str(tmp_path), "path") == read_path(tmp_path, "path") == tmp_path
    for value in (None, 3, b"a", ["a"], math.nan, "a\0b", "\ud800"):
        with pytest.raises(
            TypeError, match=r"resume must be a path, a str or a pathlib.Path; got .*Pass the file's name"
        ):
            read_path(value, "resume")
