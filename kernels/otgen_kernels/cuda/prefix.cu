// Running sums of lines of numbers (lines, n) in twice the digits of a double; the order of all sums is fixed.
#include "double_double.cuh"

#define FULL 0xffffffffu
#define EACH 8  // numbers of a thread, one after the other; 2048 of a block

// What the threads before this one hold, added up, and in `whole` what all of the block do.
__device__ __forceinline__ Two before_me(Two own, Two& whole) {
    __shared__ double his[8], los[8];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Two sum = own;
    #pragma unroll
    for (int k = 1; k < 32; k *= 2) {
        const Two other = {__shfl_up_sync(FULL, sum.hi, k), __shfl_up_sync(FULL, sum.lo, k)};
        if (lane >= k) sum = added(other, sum);
    }
    if (lane == 31) his[warp] = sum.hi, los[warp] = sum.lo;
    Two mine = {__shfl_up_sync(FULL, sum.hi, 1), __shfl_up_sync(FULL, sum.lo, 1)};
    if (lane == 0) mine = {0.0, 0.0};
    __syncthreads();
    Two warps = {0.0, 0.0};
    whole = warps;
    for (int w = 0; w < 8; w++) {
        if (w == warp) warps = whole;
        whole = added(whole, Two{his[w], los[w]});
    }
    return added(warps, mine);
}

__device__ __forceinline__ Two own_sum(const double* line, long long start, long long n) {
    Two sum = {0.0, 0.0};
    for (int k = 0; k < EACH; k++) if (start + k < n) sum = added(sum, Two{line[start + k], 0.0});
    return sum;
}

// The sum of every chunk of 2048, (lines, chunks).
extern "C" __global__ void __launch_bounds__(256) chunk_sums(const double* __restrict__ values, long long n, int chunks,
        double* __restrict__ hi, double* __restrict__ lo) {
    const double* line = values + blockIdx.x / chunks * n;
    Two whole;
    before_me(own_sum(line, (long long)(blockIdx.x % chunks * 256 + threadIdx.x) * EACH, n), whole);
    if (threadIdx.x == 0) hi[blockIdx.x] = whole.hi, lo[blockIdx.x] = whole.lo;
}

// In their place, what is before every chunk of its line: a thread a line.
extern "C" __global__ void carries(int lines, int chunks, double* __restrict__ hi, double* __restrict__ lo) {
    const int line = blockIdx.x * blockDim.x + threadIdx.x;
    if (line >= lines) return;
    Two sum = {0.0, 0.0};
    for (long long k = (long long)line * chunks; k < (long long)(line + 1) * chunks; k++) {
        const Two chunk = {hi[k], lo[k]};
        hi[k] = sum.hi, lo[k] = sum.lo;
        sum = added(sum, chunk);
    }
}

// The sum up to and with every number, (lines, n) each; without lo where it is null. No carries, one chunk.
extern "C" __global__ void __launch_bounds__(256) sums(const double* __restrict__ values, long long n, int chunks,
        const double* __restrict__ carry_hi, const double* __restrict__ carry_lo,
        double* __restrict__ hi, double* __restrict__ lo) {
    const long long line = blockIdx.x / chunks * n;
    const long long start = (long long)(blockIdx.x % chunks * 256 + threadIdx.x) * EACH;
    Two whole, sum = before_me(own_sum(values + line, start, n), whole);
    if (carry_hi) sum = added(Two{carry_hi[blockIdx.x], carry_lo[blockIdx.x]}, sum);
    for (int k = 0; k < EACH; k++) {
        if (start + k >= n) return;
        sum = added(sum, Two{values[line + start + k], 0.0});
        hi[line + start + k] = sum.hi;
        if (lo) lo[line + start + k] = sum.lo;
    }
}
