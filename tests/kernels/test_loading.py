"""Ctrl-C while Numba is imported is heard after it, and the next solve works."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import otgen

class Finder:  # Ctrl-C in the midst of the import
    def find_spec(self, name, path=None, target=None):
        if name == "numba.core.typing":
            os.kill(os.getpid(), signal.SIGINT)

assert "numba" not in sys.modules
sys.meta_path.insert(0, Finder())
try:
    otgen.wasserstein([[0.0, 0.0]], [[3.0, 4.0]])
except KeyboardInterrupt:
    print("interrupted")
except otgen.ConvergenceError:
    print("interrupted")
print(otgen.wasserstein([[0.0, 0.0]], [[3.0, 4.0]]), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_while_numba_is_imported_leaves_it_whole() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.stdout.split() == ["interrupted", "5.0", "True"], done.stdout + done.stderr
