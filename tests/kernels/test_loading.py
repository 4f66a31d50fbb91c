"""Ctrl-C while Numba is imported, or while a kernel runs, is heard after it, and the next solve works."""

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


IN_A_KERNEL = """
import signal
import numpy as np
from otgen_kernels import host
signal.signal(signal.SIGALRM, signal.default_int_handler)
costs, duals = np.random.default_rng(0).random((300, 300)), np.zeros(300)
host.matrix_smallest_k(costs, duals, 3)
for k in range(200):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + k % 20))
        while True:
            host.matrix_smallest_k(costs, duals, 3)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_while_a_kernel_runs_is_a_keyboard_interrupt() -> None:
    """Numba makes SystemError of it, where a kernel returns an array."""
    done = subprocess.run([sys.executable, "-c", IN_A_KERNEL], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["interrupted"] * 200, done.stderr[-2000:]
