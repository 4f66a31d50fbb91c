"""Numba kernels for the host."""
