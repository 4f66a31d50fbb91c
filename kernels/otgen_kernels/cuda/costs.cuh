// The cost of a pair from its coordinates: c = (unit s)^q, s = sum |x-y|^2, sum |x-y| or max |x-y| by FORM.
#include "forms.cuh"

// One coordinate's part in s.
template <typename T> __device__ __forceinline__ T joined(T s, T x, T y) {
    T u = x - y;
    if (FORM == SQUARES) return fma(u, u, s);
    if (FORM == ABSOLUTES) return s + fabs(u);
    return fmax(s, fabs(u));
}

template <typename T> __device__ __forceinline__ T cost(T s, T unit, T q) {
    s *= unit;
    if (SHAPE == IDENTITY) return s;
    if (SHAPE == ROOT) return sqrt(s);
    if (SHAPE == SQUARE) return s * s;
    return pow(s, q);
}
