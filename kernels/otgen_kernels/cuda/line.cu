// Transport on many lines at once: sums of mass |x - y|^p along their staircases, and the staircases themselves.
// compiled for REAL: float double
#include "staircase.cuh"

#define FULL 0xffffffffu
#define THREADS 256
#define EACH 8               // ends, or pairs, of a thread
#define TILE (THREADS * EACH)
#define FAINT 1e-200         // as on the host: a mean of powers below it may have lost digits to underflow

// The powers of two in which lengths are measured: about the largest displacement there can be, 0 where that is none.
extern "C" __global__ void first_units(const REAL* __restrict__ x, const REAL* __restrict__ y, int lines, long long n,
        long long m, double* __restrict__ units) {
    const int line = blockIdx.x * blockDim.x + threadIdx.x;
    if (line >= lines) return;
    const REAL *xs = x + line * n, *ys = y + line * m;
    const double across = max(fabs((double)xs[n - 1] - (double)ys[0]), fabs((double)ys[m - 1] - (double)xs[0]));
    units[line] = across > 0.0 && across < INFINITE ? ldexp(1.0, max(ilogb(across), -1000)) : 0.0;
}

// The sum and the largest of what the threads of a block hold.
__device__ __forceinline__ void write_block(double sum, double most, double* sums, double* largest) {
    __shared__ double warp_sums[8], warp_largest[8];
    #pragma unroll
    for (int k = 16; k > 0; k /= 2) {
        sum += __shfl_xor_sync(FULL, sum, k);
        most = max(most, __shfl_xor_sync(FULL, most, k));
    }
    if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = sum, warp_largest[threadIdx.x / 32] = most;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int w = 1; w < 8; w++) sum += warp_sums[w], most = max(most, warp_largest[w]);
    sums[blockIdx.x] = sum, largest[blockIdx.x] = most;
}

// sum_i (|x_i - y_i| / unit)^p of each run of 2048 pairs and the largest |x_i - y_i|; lines of unit < 0 are done.
extern "C" __global__ void __launch_bounds__(THREADS) paired_powers(const REAL* __restrict__ x,
        const REAL* __restrict__ y, long long n, int blocks, double p, const double* __restrict__ units,
        double* __restrict__ sums, double* __restrict__ largest) {
    const long long line = blockIdx.x / blocks;
    const double unit = units[line], scale = unit > 0.0 ? 1.0 / unit : 0.0;
    if (unit < 0.0) return;
    double sum = 0.0, most = 0.0;
    for (int k = 0; k < EACH; k++) {
        const long long i = (long long)(blockIdx.x % blocks) * TILE + k * THREADS + threadIdx.x;
        if (i >= n) break;
        const double u = fabs((double)x[line * n + i] - (double)y[line * n + i]);
        most = max(most, u);
        sum += cost(scale * u, p);
    }
    write_block(sum, most, sums, largest);
}

// The same over segments, each with its mass: a block takes 2048 ends of both sides, a thread eight in a row.
extern "C" __global__ void __launch_bounds__(THREADS) powers(const REAL* __restrict__ x, const REAL* __restrict__ y,
        const double* __restrict__ a_hi, const double* __restrict__ a_lo, const double* __restrict__ b_hi,
        const double* __restrict__ b_lo, long long n, long long m, int shared, int blocks, double p,
        const double* __restrict__ units, double* __restrict__ sums, double* __restrict__ largest) {
    __shared__ double his[TILE + 4], los[TILE + 4];  // from the end before the first one to the one after the last
    __shared__ long long corners[2];
    const long long line = blockIdx.x / blocks;
    const double unit = units[line], scale = unit > 0.0 ? 1.0 / unit : 0.0;
    if (unit < 0.0) return;
    Ends a, b;
    read_ends(a, b, a_hi, a_lo, b_hi, b_lo, line, n, m, shared);
    const long long first = (long long)(blockIdx.x % blocks) * TILE, last = min(first + TILE, n + m);
    if (threadIdx.x % 32 == 0 && threadIdx.x < 64)
        corners[threadIdx.x / 32] = of_x(a, b, threadIdx.x ? last : first);
    __syncthreads();
    const long long i0 = corners[0], j0 = first - i0;
    const int along_x = (int)(corners[1] - i0), along_y = (int)(last - first) - along_x;
    for (int t = threadIdx.x; t < along_x + along_y + 4; t += THREADS) {
        const bool in_x = t < along_x + 2;
        const long long i = in_x ? i0 + t - 1 : j0 + t - along_x - 3;
        const Two end = i < 0 ? Two{0.0, 0.0} : (in_x ? a.at(min(i, n - 1)) : b.at(min(i, m - 1)));
        his[t] = end.hi, los[t] = end.lo;
    }
    __syncthreads();
    // x's end i0 + s is at s + 1, y's end j0 + s at along_x + s + 3.
    const int from = threadIdx.x * EACH, to = min(from + EACH, along_x + along_y);
    double sum = 0.0, most = 0.0;
    if (from < to) {
        int low = max(0, from - along_y), high = min(from, along_x);
        while (low < high) {
            const int s = (low + high) / 2, t = along_x + from - 1 - s + 3;
            if (!less(Two{his[t], los[t]}, Two{his[s + 1], los[s + 1]})) low = s + 1;
            else high = s;
        }
        int s = low, t = from - low;
        Two start = larger(Two{his[s], los[s]}, Two{his[along_x + t + 2], los[along_x + t + 2]});
        for (int k = from; k < to; k++) {
            if (i0 + s >= n || j0 + t >= m) break;
            const Two end_x = {his[s + 1], los[s + 1]}, end_y = {his[along_x + t + 3], los[along_x + t + 3]};
            const bool x_first = t == along_y || (s < along_x && !less(end_y, end_x));
            const Two end = x_first ? end_x : end_y;
            const double mass = between(start, end);
            if (mass > 0.0) {
                const double u = fabs((double)x[line * n + i0 + s] - (double)y[line * m + j0 + t]);
                most = max(most, u);
                sum += mass * cost(scale * u, p);
            }
            start = larger(start, end);
            if (x_first) s++;
            else t++;
        }
    }
    write_block(sum, most, sums, largest);
}

// W_p of each line from the sums of its blocks, a warp a line; where the mean of powers is faint, it is asked for
// again, in units of the largest displacement, and units tell: -1 is done.
extern "C" __global__ void fold(const double* __restrict__ sums, const double* __restrict__ largest, int blocks,
        double total, double p, int again, double* __restrict__ units, double* __restrict__ values) {
    const long long line = blockIdx.x;
    const double unit = units[line];
    if (unit < 0.0) return;
    double sum = 0.0, most = 0.0;
    for (int k = threadIdx.x; k < blocks; k += 32) {
        sum += sums[line * blocks + k];
        most = max(most, largest[line * blocks + k]);
    }
    #pragma unroll
    for (int k = 16; k > 0; k /= 2) {
        sum += __shfl_xor_sync(FULL, sum, k);
        most = max(most, __shfl_xor_sync(FULL, most, k));
    }
    if (threadIdx.x > 0) return;
    const double mean = sum / total;
    if (again || mean > FAINT) units[line] = -1.0, values[line] = unit * pow(mean, 1.0 / p);
    else if (most > 0.0 && most < INFINITE) units[line] = ldexp(1.0, max(ilogb(most), -1000));
    else units[line] = -1.0, values[line] = most;
}

// What the dual potential of x gains from each point to the next along the staircase, from `first` c(x_0, y_0); where
// both sides' weights end together both corners are valid, and their mean is taken.
extern "C" __global__ void increments(const REAL* __restrict__ x, const REAL* __restrict__ y,
        const double* __restrict__ a_hi, const double* __restrict__ a_lo, const double* __restrict__ b_hi,
        const double* __restrict__ b_lo, long long n, long long m, int blocks, double p, double first,
        double* __restrict__ gains) {
    const long long line = blockIdx.x / blocks, i = (long long)(blockIdx.x % blocks) * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const REAL *xs = x + line * n, *ys = y + line * m;
    Ends a, b;
    read_ends(a, b, a_hi, a_lo, b_hi, b_lo, line, n, m, 0);
    if (i == 0) gains[line * n] = first * cost(fabs((double)xs[0] - (double)ys[0]), p);
    if (i == n - 1) return;
    const Two end = a.at(i);
    const long long j = min(b.before(end), m - 1);
    const double here = cost(fabs((double)xs[i] - (double)ys[j]), p);
    double gain = cost(fabs((double)xs[i + 1] - (double)ys[j]), p) - here;
    if (j < m - 1 && !less(end, b.at(j))) {
        const double corner = cost(fabs((double)xs[i + 1] - (double)ys[j + 1]), p);
        gain = 0.5 * (gain + (corner - cost(fabs((double)xs[i] - (double)ys[j + 1]), p)));
    }
    gains[line * n + i + 1] = gain;
}

// The plan of one line: point i, point j and mass of each of n + m - 1 steps; corners carry none.
extern "C" __global__ void plan(const double* __restrict__ a_hi, const double* __restrict__ a_lo,
        const double* __restrict__ b_hi, const double* __restrict__ b_lo, long long n, long long m,
        long long* __restrict__ rows, long long* __restrict__ cols, double* __restrict__ masses) {
    const long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= n + m - 1) return;
    Ends a, b;
    read_ends(a, b, a_hi, a_lo, b_hi, b_lo, 0, n, m, 0);
    const long long i = of_x(a, b, t), j = t - i;
    const bool inside = i < n && j < m;
    rows[t] = min(i, n - 1), cols[t] = min(j, m - 1);
    masses[t] = inside ? max(0.0, between(larger(a.start(i), b.start(j)), smaller(a.at(i), b.at(j)))) : 0.0;
}
