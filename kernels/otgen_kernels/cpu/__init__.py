"""Numba kernels for the host."""

import functools

from numba.core import serialize

# Ctrl-C while a kernel runs is raised by the next line of Python. Where the kernel returns an array that line is
# Numba's own, in the midst of making the result, and SystemError comes out of it. From a cache no Python answers.
# It is a name of Numba's own: a later one may have another, and test_loading.py would say so.
if hasattr(serialize, "_numba_unpickle"):
    serialize._numba_unpickle = functools.cache(serialize._numba_unpickle)
