"""The kernels on an NVIDIA GPU: the names and signatures of cpu/, over CuPy arrays, on CuPy's current stream."""
