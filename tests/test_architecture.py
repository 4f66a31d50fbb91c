"""The arrows of the house: who may import whom, read from the source of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOTS = (ROOT, ROOT / "kernels")

# room (a pattern of module names) -> the rooms it may import; every room may import itself.
KERNELS = ("otgen_kernels", "otgen_kernels.*")
DOOR = ("otgen.devices", "otgen.arrays", "otgen.batches", "otgen.options")
API = ("otgen", *DOOR, "otgen.autograd", "otgen.transport", "otgen.transport.*")
COMMAND = (
    "otgen.doctor", "otgen.distance", "otgen.validate", "otgen.demo", "otgen.readers", "otgen.plots", "otgen.maps",
    "otgen.map_cli", "otgen.train_cli", "otgen.evaluate_cli", "otgen.shell", "otgen.comparisons",
)  # fmt: skip
MAP: dict[str, tuple[str, ...]] = {
    "otgen_kernels.constants": (),
    "otgen_kernels.cache": (),
    "otgen_kernels.loading": (),
    "otgen_kernels.costs": (),
    "otgen_kernels.kernel_kinds": (),
    "otgen_kernels.cpu*": ("otgen_kernels.constants", "otgen_kernels.costs", "otgen_kernels.kernel_kinds"),
    "otgen_kernels.cuda*": ("otgen_kernels.constants", "otgen_kernels.costs", "otgen_kernels.kernel_kinds"),
    "otgen_kernels.dispatch": (
        "otgen_kernels.loading",
        "otgen_kernels.kernel_kinds",
        "otgen_kernels.constants",
        "otgen_kernels.cpu*",
        "otgen_kernels.cuda*",
    ),
    "otgen_kernels.host": ("otgen_kernels.loading", "otgen_kernels.dispatch", "otgen_kernels.cpu*"),
    "otgen_kernels.gpu": ("otgen_kernels.loading", "otgen_kernels.dispatch", "otgen_kernels.cuda*"),
    "otgen_kernels": ("otgen_kernels.*",),
    "otgen.devices": (),
    "otgen.arrays": ("otgen.devices",),
    "otgen.batches": ("otgen.arrays",),
    "otgen.options": (),
    "otgen.autograd": ("otgen.arrays",),
    "otgen.folders": (),
    "otgen.transport*": (*DOOR, "otgen.folders", "otgen.autograd", *KERNELS),
    "otgen.models*": (*DOOR, "otgen.folders", "otgen.transport*"),
    "otgen.data*": ("otgen.arrays", "otgen.options", "otgen.doctor"),
    "otgen.training*": ("otgen.options", "otgen.folders", "otgen.models*", "otgen.data*"),
    "otgen.metrics*": (*DOOR, "otgen.transport*", "otgen.data*", "otgen.doctor", *KERNELS),
    "otgen": ("otgen.arrays", "otgen.transport*", "otgen.models*", "otgen.training*", "otgen.data*", "otgen.metrics*"),
    "otgen.readers": ("otgen.doctor",),
    "otgen.plots*": ("otgen.options", "otgen.folders"),
    "otgen.doctor": ("otgen", *KERNELS),
    "otgen.distance": (*API, "otgen.readers"),
    "otgen.comparisons": ("otgen", "otgen.distance", "otgen.readers", "otgen.transport.kernel_choice"),
    "otgen.problems": (),
    "otgen.map_problems": ("otgen.transport*",),
    "otgen.discrepancy_problems": ("otgen",),
    "otgen.validate_rows": ("otgen", "otgen.problems", "otgen.map_problems", "otgen.discrepancy_problems"),
    "otgen.validate": (
        "otgen.doctor",
        "otgen.problems",
        "otgen.map_problems",
        "otgen.discrepancy_problems",
        "otgen.validate_rows",
    ),
    "otgen.demo": (
        *API,
        "otgen.folders",
        "otgen.doctor",
        "otgen.distance",
        "otgen.maps",
        "otgen.plots",
        "otgen.demo_models",
    ),
    "otgen.demo_models": (
        "otgen.runs",
        "otgen.run_folder",
        "otgen.run_pictures",
        "otgen.judge",
        "otgen.judge_pictures",
    ),
    "otgen.maps": ("otgen.folders", "otgen.transport*", "otgen.doctor", "otgen.readers", "otgen.plots"),
    "otgen.shell": (),
    "otgen.map_cli": ("otgen.shell", "otgen.maps"),
    "otgen.preset_fields": (),
    "otgen.presets": ("otgen.preset_fields",),
    "otgen.run_folder": ("otgen.folders", "otgen.preset_fields", "otgen.presets"),
    "otgen.run_pictures": ("otgen.options", "otgen.data*", "otgen.doctor", "otgen.plots"),
    "otgen.runs": (
        "otgen.options",
        "otgen.folders",
        "otgen.preset_fields",
        "otgen.presets",
        "otgen.run_folder",
        "otgen.run_pictures",
        "otgen.run_watch",
        "otgen.maps",
        "otgen.data*",
        "otgen.transport*",
        "otgen.models*",
        "otgen.training*",
    ),
    "otgen.run_watch": ("otgen.options", "otgen.data*", "otgen.models*", "otgen.preset_fields", "otgen.training*"),
    "otgen.judge": (
        "otgen.options",
        "otgen.folders",
        "otgen.run_folder",
        "otgen.data*",
        "otgen.models*",
        "otgen.training*",
        "otgen.metrics*",
    ),
    "otgen.judge_pictures": ("otgen.judge", "otgen.run_pictures", "otgen.run_watch", "otgen.models*"),
    "otgen.evaluate_cli": ("otgen.shell", "otgen.judge", "otgen.judge_pictures"),
    "otgen.train_cli": ("otgen.folders", "otgen.shell", "otgen.presets", "otgen.runs", "otgen.run_pictures"),
    "otgen.cli": (*API, *COMMAND, "otgen.folders"),
    "otgen.__main__": ("otgen.cli",),
}
TORCH_ROOMS = (
    "otgen.models*", "otgen.training*", "otgen.data*", "otgen.metrics*", "otgen.runs", "otgen.run_pictures",
    "otgen.run_watch", "otgen.judge", "otgen.judge_pictures", "otgen.demo_models",
)  # fmt: skip
KERNEL_LIBRARIES = {"numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "cupy", "cupyx"}
# An environment variable has no caller to check it before the kernel layer reads it; where an array lives is asked in
# dispatch alone; and a launch is the last place where an argument still has a name.
MAY_REFUSE = {"otgen_kernels.cpu.pool", "otgen_kernels.dispatch", "otgen_kernels.cuda.device"}


@dataclass(frozen=True)
class Import:
    """One imported module; `nested` inside a function, `typing_only` under `if TYPE_CHECKING`."""

    module: str
    line: int
    nested: bool
    typing_only: bool


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path, root): path
    for root, package in zip(ROOTS, ("otgen", "otgen_kernels"), strict=True)
    for path in (root / package).rglob("*.py")
}


def imports_of(name: str) -> Iterator[Import]:
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    yield from imports_in(path.read_text(encoding="utf-8"), package)


def imports_in(source: str, package: list[str]) -> Iterator[Import]:
    def walk(node: ast.AST, nested: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, nested, typing_only)
            elif isinstance(child, ast.ImportFrom):
                start = package[: len(package) - child.level + 1] if child.level else []
                stem = ".".join([*start, *([child.module] if child.module else [])])
                for alias in child.names:
                    whole = f"{stem}.{alias.name}"
                    yield Import(whole if whole in MODULES else stem, child.lineno, nested, typing_only)
            else:
                inside = nested or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                typed = typing_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
                yield from walk(child, inside, typed)

    yield from walk(ast.parse(source), nested=False, typing_only=False)


def rooms_of(name: str) -> list[str]:
    """The most specific rooms that name a module; one is right, none or several is a hole in the map."""
    exact = [room for room in MAP if room == name]
    return exact or [room for room in MAP if matches(name, room)]


def matches(name: str, room: str) -> bool:
    """A room "otgen.transport*" is the package and all below it, but no sibling such as otgen.transporter."""
    package = room.rstrip(".*")
    return name == package or (room.endswith("*") and name.startswith(package + "."))


def is_ours(module: str) -> bool:
    return module.split(".")[0] in {"otgen", "otgen_kernels"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_file_is_on_the_map_and_imports_only_what_its_room_may(name: str) -> None:
    rooms = rooms_of(name)
    assert len(rooms) == 1, f"{name} is on the map {len(rooms)} times; give it one room in MAP"
    allowed = MAP[rooms[0]]
    wrong = [
        f"line {found.line}: {found.module}"
        for found in imports_of(name)
        if is_ours(found.module) and not any(matches(found.module, room) for room in (*allowed, rooms[0]))
    ]
    assert not wrong, f"{name} may import {allowed or 'nothing of ours'}; it also imports {wrong}"


def test_the_files_import_each_other_without_a_cycle() -> None:
    graph = {
        name: {i.module for i in imports_of(name) if i.module in MODULES and i.module != name and not i.typing_only}
        for name in MODULES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("otgen_kernels")))
def test_kernels_import_only_the_numeric_libraries_and_validate_nothing(name: str) -> None:
    known = KERNEL_LIBRARIES | {"otgen_kernels"} | set(sys.stdlib_module_names)
    foreign = {found.module for found in imports_of(name) if found.module.split(".")[0] not in known}
    assert not foreign, f"{name} imports {foreign}"
    if name not in MAY_REFUSE:
        raised = {
            ast.unparse(node.exc).split("(")[0]
            for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8")))
            if isinstance(node, ast.Raise) and node.exc is not None
        }
        assert not raised & {"ValueError", "TypeError"}, f"{name} validates; that belongs in otgen/arrays.py"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("otgen")))
def test_torch_stays_in_autograd_below_the_models(name: str) -> None:
    torch = [found for found in imports_of(name) if found.module.split(".")[0] == "torch" and not found.typing_only]
    if name == "otgen.autograd":
        assert all(found.nested for found in torch), "autograd imports torch inside its functions, not at the top"
    elif not any(matches(name, room) for room in TORCH_ROOMS):
        assert not torch, f"{name} imports torch in lines {[found.line for found in torch]}"


@pytest.mark.parametrize(
    "library, homes",
    [
        ("matplotlib", {"otgen.plots*"}),
        ("typer", {"otgen.cli", "otgen.map_cli", "otgen.train_cli", "otgen.evaluate_cli", "otgen.shell"}),
    ],
)
def test_a_library_has_one_home(library: str, homes: set[str]) -> None:
    users = {name for name in MODULES if any(found.module.split(".")[0] == library for found in imports_of(name))}
    assert all(any(matches(user, home) for home in homes) for user in users)


@pytest.mark.parametrize("name", ["otgen.arrays", "otgen.batches", "otgen.options"])
def test_the_door_takes_torch_and_cupy_from_those_already_loaded(name: str) -> None:
    libraries = {found.module.split(".")[0] for found in imports_of(name) if not found.typing_only}
    assert not libraries & {"torch", "cupy"}, "read them from sys.modules: a caller with a tensor has loaded torch"


def test_import_otgen_loads_no_heavy_library() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import otgen; seconds = time.perf_counter() - start\n"
        "heavy = {'torch', 'cupy', 'matplotlib', 'numba', 'scipy.stats', 'ot', 'typer', 'pyarrow'} & set(sys.modules)\n"
        "print(f'import otgen: {seconds:.3f} s'); sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    print(done.stdout.strip())  # the time is for the reader: a loaded machine must not fail the test


def test_every_form_of_an_import_is_seen() -> None:
    source = (
        "import torch.nn as nn, numpy\nfrom . import arrays\nfrom .transport.exact import solve\nfrom .. import cli\n"
        "def f():\n    from torch import Tensor\nif TYPE_CHECKING:\n    import cupy\n"
    )
    seen = {found.module: found for found in imports_in(source, ["otgen"])}
    assert {"torch.nn", "numpy", "otgen.arrays", "torch", "cupy"} <= set(seen)
    assert seen["torch"].nested and not seen["torch"].typing_only and seen["cupy"].typing_only
    assert any(module.startswith("otgen.transport") for module in seen)


def test_the_map_itself_tells_a_package_from_its_siblings() -> None:
    assert matches("otgen.transport", "otgen.transport*") and matches("otgen.transport.exact", "otgen.transport*")
    assert not matches("otgen.transporter", "otgen.transport*") and not matches("otgen.arrays", "otgen")
    assert rooms_of("otgen.unheard_of") == []
