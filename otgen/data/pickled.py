"""The pickles of the CIFAR-10 archive, read without an unpickler: nothing a file names is imported or called.

A pickle is a program. This reads its instructions with pickletools, which runs none, and follows only the few that
the archive's files consist of, on plain dicts, lists, tuples, strings and numbers. "Call this" becomes a note of what
the file wants called, which the reader of an array then compares with the one thing it knows.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CALLS = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = {
    "BININT", "BININT1", "BININT2", "INT", "LONG1", "BINFLOAT", "SHORT_BINSTRING", "BINSTRING", "BINUNICODE",
    "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip
PUTS, GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MARK = object()


@dataclass(frozen=True)
class Name:
    """A name that the file would import."""

    text: str


@dataclass
class Call:
    """A call that the file would make, and the state it would set on what comes back."""

    function: Any
    arguments: Any
    state: Any = None


def read_dict(path: Path) -> dict[str, Any]:
    """The dict in a pickle of dicts, lists, strings, numbers and arrays of bytes. Raises ValueError otherwise."""
    try:
        found = _follow(path.read_bytes())
    except OSError:
        raise
    except Exception as error:  # pickletools, and a stack or memo that lacks what is asked of it
        raise ValueError(
            f"{path} must be a pickle of CIFAR-10: a dict of strings, lists and arrays of bytes; reading it failed: "
            f"{error}. It was not executed. Fetch it again."
        ) from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ValueError(f"{path} must hold a dict with strings for keys; it holds a {type(found).__name__}.")
    return found


def _follow(content: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(content):
        name = opcode.name
        if name in LITERALS:
            stack.append(argument)
        elif name in PUTS:
            memo[argument] = stack[-1]  # pyright: ignore[reportArgumentType]
        elif name in GETS:
            stack.append(memo[argument])  # pyright: ignore[reportArgumentType]
        elif name == "STOP":
            (result,) = stack
            return result
        elif name != "PROTO":
            _step(name, argument, stack)
    raise ValueError("it has no end")


def _step(name: str, argument: Any, stack: list[Any]) -> None:
    if name == "MARK":
        stack.append(MARK)
    elif name in CONSTANTS:
        stack.append(CONSTANTS[name])
    elif name in TUPLES:
        stack.append(tuple(_pop(stack, TUPLES[name])))
    elif name == "TUPLE":
        stack.append(tuple(_marked(stack)))
    elif name in ("EMPTY_DICT", "EMPTY_LIST"):
        stack.append({} if name == "EMPTY_DICT" else [])
    elif name in ("APPEND", "APPENDS"):
        items = _marked(stack) if name == "APPENDS" else _pop(stack, 1)
        _top(stack, list).extend(items)
    elif name in ("SETITEM", "SETITEMS"):
        items = _marked(stack) if name == "SETITEMS" else _pop(stack, 2)
        _top(stack, dict).update(zip(items[::2], items[1::2], strict=True))
    elif name == "GLOBAL" and argument in CALLS:
        stack.append(Name(argument))
    elif name == "REDUCE":
        stack.append(Call(*_pop(stack, 2)))
    elif name == "BUILD":
        (state,) = _pop(stack, 1)
        _top(stack, Call).state = state
    else:
        raise ValueError(f"it holds the instruction {name} {'' if argument is None else repr(argument)[:80]}".rstrip())


def _pop(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise ValueError("an instruction finds too few values")
    return [stack.pop() for _ in range(count)][::-1]


def _marked(stack: list[Any]) -> list[Any]:
    start = next((i for i in reversed(range(len(stack))) if stack[i] is MARK), None)
    if start is None:
        raise ValueError("an instruction finds no mark")
    items = stack[start + 1 :]
    del stack[start:]
    return items


def _top(stack: list[Any], kind: type) -> Any:
    if not stack or not isinstance(stack[-1], kind):
        raise ValueError(f"an instruction for a {kind.__name__} finds none")
    return stack[-1]


def byte_array(value: Any, path: Path) -> np.ndarray:
    """Return the array of bytes that NumPy's own pickle of it describes, without NumPy's unpickling."""
    wrong = f"{path} must hold its images as an array of bytes (uint8)"
    if not (isinstance(value, Call) and isinstance(value.function, Name) and "_reconstruct" in value.function.text):
        raise ValueError(f"{wrong}; it holds a {type(value).__name__}. Fetch it again.")
    match value.state:
        case (
            int(),
            tuple(shape),
            Call(Name("numpy dtype"), (code, *_)),
            bool() | int() as by_column,
            str() | bytes() as raw,
        ):
            pass
        case _:
            raise ValueError(f"{wrong}; its description is of another kind. Fetch it again.")
    if code not in ("u1", b"u1"):
        raise ValueError(f"{wrong}; its dtype is {code!r}. Fetch it again.")
    content = raw.encode("latin-1") if isinstance(raw, str) else raw
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    if len(sizes) < len(shape) or int(np.prod(sizes, dtype=object)) != len(content):
        raise ValueError(f"{wrong} of shape {shape}; it holds {len(content)} bytes. It is cut off: fetch it again.")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_column else "C")
