// What the soft reductions share: what is reduced, the range of it, and reductions over a half warp.
#define TOTAL 0     // sum 2^z
#define ENTROPY 1   // and sum 2^z z
#define AVERAGE 2   // and sum 2^z V
#define GRADIENT 3  // and sum 2^z grad_x c

#define LEAST (-1e300)  // the largest z of no pairs at all: finite, since -inf - -inf is NaN
#define FAR 1e30         // minus this is a z without weight, finite in float32
#define EVERY_LANE 0xffffffffu

__device__ __forceinline__ double in_bits(double h, double to_bits) { return fmax(h * to_bits, LEAST); }

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
