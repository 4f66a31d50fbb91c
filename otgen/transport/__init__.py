"""Optimal transport: one problem, one file."""
