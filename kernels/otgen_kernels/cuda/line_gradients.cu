// Derivatives of W_p in the points of many lines, each point's sum over its part of the staircase in a fixed order.
// compiled for REAL: float double
#include "staircase.cuh"

#define FULL 0xffffffffu
#define FEW 64  // segments that a thread adds up by itself; more are shared out over its warp

// sign(step) (|step| / length)^(p - 1), 0 where step is 0.
__device__ __forceinline__ double slope(double step, double length, double p) {
    if (step == 0.0) return 0.0;
    const double size = p == 1.0 ? 1.0 : (p == 2.0 ? fabs(step) / length : pow(fabs(step) / length, p - 1.0));
    return step > 0.0 ? size : -size;
}

// One to one: dW / dx_i at the places of the points before they were sorted; dW / dy_i is its negative.
extern "C" __global__ void paired_slopes(const REAL* __restrict__ x, const REAL* __restrict__ y, long long n,
        int blocks, double p, const double* __restrict__ lengths, const long long* __restrict__ order_x,
        const long long* __restrict__ order_y, REAL* __restrict__ by_x, REAL* __restrict__ by_y) {
    const long long line = blockIdx.x / blocks, i = (long long)(blockIdx.x % blocks) * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const long long place = line * n + i;
    const double length = lengths[line];
    const double found = length > 0.0 ? slope((double)x[place] - (double)y[place], length, p) / n : 0.0;
    by_x[line * n + order_x[place]] = (REAL)found;
    by_y[line * n + order_y[place]] = (REAL)-found;
}

// dW / dx_i = sum over the segments of x_i of mass slope(x_i - y_j) / total, at the places before sorting.
extern "C" __global__ void __launch_bounds__(256) slopes(const REAL* __restrict__ x, const REAL* __restrict__ y,
        const double* __restrict__ a_hi, const double* __restrict__ a_lo, const double* __restrict__ b_hi,
        const double* __restrict__ b_lo, long long n, long long m, int shared, int blocks, double p, double total,
        const double* __restrict__ lengths, const long long* __restrict__ order, REAL* __restrict__ by_x) {
    const long long line = blockIdx.x / blocks, i = (long long)(blockIdx.x % blocks) * blockDim.x + threadIdx.x;
    const int lane = threadIdx.x % 32;
    const double length = lengths[line];
    const bool mine = i < n && length > 0.0;
    const REAL* ys = y + line * m;
    Ends a, b;
    read_ends(a, b, a_hi, a_lo, b_hi, b_lo, line, n, m, shared);
    Two start = {0.0, 0.0}, end = {0.0, 0.0};
    double point = 0.0, flow = 0.0;
    long long first = 0, last = -1;
    if (mine) {
        start = a.start(i), end = a.at(i), point = (double)x[line * n + i];
        first = min(b.before(start), m - 1), last = min(b.before(end), m - 1);
    }
    if (last - first < FEW) {
        for (long long j = first; j <= last; j++) {
            const double mass = between(larger(start, b.start(j)), smaller(end, b.at(j)));
            if (mass > 0.0) flow += mass * slope(point - (double)ys[j], length, p);
        }
    }
    unsigned waiting = __ballot_sync(FULL, last - first >= FEW);
    while (waiting) {
        const int from = __ffs(waiting) - 1;
        waiting &= waiting - 1;
        const Two begin = {__shfl_sync(FULL, start.hi, from), __shfl_sync(FULL, start.lo, from)};
        const Two until = {__shfl_sync(FULL, end.hi, from), __shfl_sync(FULL, end.lo, from)};
        const double its_point = __shfl_sync(FULL, point, from);
        const long long low = __shfl_sync(FULL, first, from), high = __shfl_sync(FULL, last, from);
        double sum = 0.0;
        for (long long j = low + lane; j <= high; j += 32) {
            const double mass = between(larger(begin, b.start(j)), smaller(until, b.at(j)));
            if (mass > 0.0) sum += mass * slope(its_point - (double)ys[j], length, p);
        }
        #pragma unroll
        for (int k = 16; k > 0; k /= 2) sum += __shfl_xor_sync(FULL, sum, k);
        if (lane == from) flow = sum;
    }
    if (i < n) by_x[line * n + order[line * n + i]] = (REAL)(flow / total);
}
