// What the soft reductions share: modes, the range of what they sum, costs and slopes, and sums over a half warp.
#define TOTAL 0     // sum 2^z
#define ENTROPY 1   // and sum 2^z z
#define AVERAGE 2   // and sum 2^z V
#define GRADIENT 3  // and sum 2^z grad_x c

#define LEAST (-1e300)  // the largest z of no pairs at all: finite, since -inf - -inf is NaN
#define FAR 1e30         // minus this is a z without weight, finite in float32
#define EVERY_LANE 0xffffffffu

__device__ __forceinline__ double in_bits(double h, double to_bits) { return fmax(h * to_bits, LEAST); }

// The cost s^q by its shape.
template <typename T> __device__ __forceinline__ T power(T s, int shape, T q) {
    if (shape == IDENTITY) return s;
    if (shape == ROOT) return sqrt(s);
    if (shape == SQUARE) return s * s;
    return exp2(q * log2(s));
}

// (dc/ds) / |x - y| or, for a squared distance s, 2 dc/ds: what x - y, or its sign, is multiplied by; 0 where s is.
template <typename T> __device__ __forceinline__ T slope(T s, T unit, int shape, T q, bool squares) {
    const T scale = squares ? T(2) * unit : T(1);
    if (shape == IDENTITY) return scale;
    s *= unit;
    return s > T(0) ? scale * q * power(s, shape, q) / s : T(0);
}

template <typename T> __device__ __forceinline__ T largest_of_half_warp(T v) {
    #pragma unroll
    for (int lane = 8; lane > 0; lane /= 2) v = fmax(v, __shfl_xor_sync(EVERY_LANE, v, lane));
    return v;
}

template <typename T> __device__ __forceinline__ T sum_of_half_warp(T v) {
    #pragma unroll
    for (int lane = 8; lane > 0; lane /= 2) v += __shfl_xor_sync(EVERY_LANE, v, lane);
    return v;
}
