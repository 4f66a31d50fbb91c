"""Optimal transport: one problem, one file."""

from .barycenter import barycenter as barycenter
