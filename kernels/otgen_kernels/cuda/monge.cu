// min_j |x_i - y_j|^p - g_j of many lines of sorted points, by halving: the minimising j moves one way with i.
#include "staircase.cuh"

#define FULL 0xffffffffu
#define NOWHERE 0x7fffffffffffffffll

// The middle rows of the 2^level parts that halving makes of n rows, a block a row; `at` holds what the levels before
// have found, between which a row's columns lie. Of equals the first column.
extern "C" __global__ void monge_level(const double* __restrict__ x, const double* __restrict__ y,
        const double* __restrict__ g, long long n, long long m, int level, double p, long long* __restrict__ at,
        double* __restrict__ values, double* __restrict__ costs) {
    __shared__ double warp_best[8], warp_cost[8];
    __shared__ long long warp_at[8];
    const long long line = blockIdx.x >> level, part = blockIdx.x & ((1ll << level) - 1);
    long long start = 0, stop = n;
    for (int bit = level - 1; bit >= 0; bit--) {
        const long long middle = (start + stop) / 2;
        if (start >= stop) return;
        if (part >> bit & 1) start = middle + 1;
        else stop = middle;
    }
    if (start >= stop) return;
    const long long row = (start + stop) / 2;
    const long long low = start > 0 ? at[line * n + start - 1] : 0, high = stop < n ? at[line * n + stop] : m - 1;
    const double point = x[line * n + row];
    double best = INFINITE, its_cost = 0.0;
    long long found = NOWHERE;
    for (long long j = low + threadIdx.x; j <= high; j += blockDim.x) {
        const double c = cost(fabs(point - y[line * m + j]), p), v = c - g[line * m + j];
        if (v < best) best = v, found = j, its_cost = c;
    }
    #pragma unroll
    for (int k = 16; k > 0; k /= 2) {
        const double v = __shfl_xor_sync(FULL, best, k), c = __shfl_xor_sync(FULL, its_cost, k);
        const long long j = __shfl_xor_sync(FULL, found, k);
        if (v < best || (v == best && j < found)) best = v, found = j, its_cost = c;
    }
    if (blockDim.x > 32) {
        if (threadIdx.x % 32 == 0) {
            const int warp = threadIdx.x / 32;
            warp_best[warp] = best, warp_at[warp] = found, warp_cost[warp] = its_cost;
        }
        __syncthreads();
        if (threadIdx.x == 0)
            for (int w = 1; w < blockDim.x / 32; w++)
                if (warp_best[w] < best || (warp_best[w] == best && warp_at[w] < found))
                    best = warp_best[w], found = warp_at[w], its_cost = warp_cost[w];
    }
    if (threadIdx.x > 0) return;
    at[line * n + row] = found == NOWHERE ? low : found;
    values[line * n + row] = best, costs[line * n + row] = its_cost;
}
