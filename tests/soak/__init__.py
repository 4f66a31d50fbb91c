"""Random problems and faults against the public API, for as long as one likes: `make soak`, or `python -m soak`."""
