"""The declared lists hold: every twinned operation exists on each side that is built, with one signature."""

from __future__ import annotations

import importlib.util
import inspect
import re

import pytest

import otgen_kernels
from otgen_kernels import gpu, host


def parameters(function) -> list[tuple[str, object]]:
    return [(p.name, p.kind) for p in inspect.signature(function).parameters.values() if p.name != "path"]


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file, names in otgen_kernels.TWINNED.items() for name in names]
)
def test_twins_share_a_signature(file, name):
    public = parameters(getattr(otgen_kernels, name))
    sides = ["cpu"] + ["cuda"] * (importlib.util.find_spec("otgen_kernels.cuda") is not None)
    for side in sides:
        twin = getattr(importlib.import_module(f"otgen_kernels.{side}.{file}"), name)
        assert parameters(twin) == public


@pytest.mark.parametrize(("side", "listed"), [(host, otgen_kernels.HOST_ONLY), (gpu, otgen_kernels.GPU_ONLY)])
def test_names_of_one_side_are_those_listed(side, listed):
    typed = set(re.findall(r"import (\w+) as \1", inspect.getsource(side)))
    names = {name for names in listed.values() for name in names}
    assert typed == names and all(hasattr(side, name) for name in names)
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'"):
        _ = side.nothing
