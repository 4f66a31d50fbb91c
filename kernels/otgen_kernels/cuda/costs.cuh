// The cost of a pair from its coordinates: c = (unit s)^q, s = sum |x-y|^2, sum |x-y| or max |x-y| by FORM.
#define SQUARES 0
#define ABSOLUTES 1
#define MAXIMUM 2
#define IDENTITY 0
#define ROOT 1
#define SQUARE 2
#define POWER 3

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
