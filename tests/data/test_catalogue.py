"""load(): its names and its options."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from otgen.data import DataSet, load


def test_an_unknown_name_lists_those_that_are_known(tmp_path):
    with pytest.raises(
        ValueError, match="name must be one of digits, mnist, fashion-mnist, cifar10, 25gaussians.*'minst'"
    ):
        load("minst")
    with pytest.raises(ValueError, match="which is none of them. Check the spelling or the path"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name, options, error, said",
    [
        ("ring", {"split": "valid"}, ValueError, "split must be 'train' or 'test'; got 'valid'"),
        ("ring", {"download": 0}, TypeError, "download must be True or False; got 0"),
        ("ring", {"n": 1.5}, ValueError, "n must be an int >= 1; got 1.5"),
        ("ring", {"seed": -1}, ValueError, "seed must be an int >= 0; got -1"),
        (
            "ring",
            {"root": "."},
            ValueError,
            "root is meant for mnist, fashion-mnist or cifar10; got root='.' with 'ring'",
        ),
        ("digits", {"root": "."}, ValueError, "root is meant for mnist"),
        ("digits", {"n": 5}, ValueError, "n is meant for a toy set; got n=5 with 'digits'. Leave it None"),
        ("mnist", {"size": 32}, ValueError, "size is meant for a folder of images; got size=32 with 'mnist'"),
        ("mnist", {"root": 3}, TypeError, "root must be None or the path of a folder; got 3"),
        (".", {"size": 0}, ValueError, "size must be an int >= 1; got 0. Pass the number of pixels of a side"),
    ],
)
def test_options_are_checked_at_the_door(name, options, error, said):
    with pytest.raises(error, match=said):
        load(name, **options)


def test_a_set_is_frozen():
    data = load("ring", n=3)
    with pytest.raises(AttributeError):
        data.name = "other"  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(data, DataSet) and np.isfinite(data.x[:]).all()


def test_reading_data_loads_no_heavy_library():
    code = (
        "import sys, otgen.data as data; data.load('ring')\n"
        "heavy = {'torch', 'sklearn', 'PIL', 'numba', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
