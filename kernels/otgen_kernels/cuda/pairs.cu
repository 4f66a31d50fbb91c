// The smallest c(x_i, y_j) - h_j of every row, decided in float64 from coordinate differences, as on the host.
// compiled for REAL: float double; FORM: 0 1 2; SHAPE: 0 1 2 3
#include "costs.cuh"
#include "tile.cuh"

#define FULL 0xffffffffu
#define NOWHERE 0x7fffffff

__device__ __forceinline__ bool before(double v, int j, double w, int k) { return v < w || (v == w && j < k); }

// Columns are shared out over blockIdx.y in runs of `run`, a multiple of 64; block (i, s) writes row s of values and
// indices (splits, n), which `c_transform_merge` folds in the order of s.
extern "C" __global__ void __launch_bounds__(256) c_transform(const REAL* __restrict__ x, const REAL* __restrict__ y,
        const double* __restrict__ h, int n, int m, int d, int run, double unit, double q,
        double* __restrict__ values, int* __restrict__ indices) {
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const int row = blockIdx.x * TILE, begin = blockIdx.y * run, end = min(begin + run, m);
    double best[4], s[4][4];
    int at[4];
    #pragma unroll
    for (int a = 0; a < 4; a++) best[a] = 1e308, at[a] = NOWHERE;
    for (int column = begin; column < end; column += TILE) {
        tile_distances<double>(x, y, n, m, d, row, column, s);
        #pragma unroll
        for (int b = 0; b < 4; b++) {
            const int j = column + tx + 16 * b;
            if (j >= end) continue;
            const double offset = h ? h[j] : 0.0;
            #pragma unroll
            for (int a = 0; a < 4; a++) {
                const double v = cost(s[a][b], unit, q) - offset;
                if (v < best[a] || at[a] == NOWHERE) best[a] = v, at[a] = j;  // j ascends: the first of equals stays
            }
        }
    }
    #pragma unroll
    for (int a = 0; a < 4; a++) {
        #pragma unroll
        for (int lane = 8; lane > 0; lane /= 2) {
            const double v = __shfl_xor_sync(FULL, best[a], lane);
            const int j = __shfl_xor_sync(FULL, at[a], lane);
            if (j != NOWHERE && (at[a] == NOWHERE || before(v, j, best[a], at[a]))) best[a] = v, at[a] = j;
        }
        const int i = row + ty + 16 * a;
        if (tx == 0 && i < n) {
            values[(long long)blockIdx.y * n + i] = best[a];
            indices[(long long)blockIdx.y * n + i] = at[a];
        }
    }
}

extern "C" __global__ void c_transform_merge(const double* __restrict__ part_values,
        const int* __restrict__ part_indices, int n, int splits, double* __restrict__ values,
        long long* __restrict__ indices) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double best = part_values[i];
    int at = part_indices[i];
    for (int s = 1; s < splits; s++) {
        const double v = part_values[(long long)s * n + i];
        if (v < best) best = v, at = part_indices[(long long)s * n + i];  // columns ascend with s
    }
    values[i] = best;
    indices[i] = at;
}

// A warp puts (v, j) into the ascending list of `size` entries, whose last one falls out.
__device__ __forceinline__ void insert(double* value, int* index, int size, double v, int j, int lane) {
    int place = 0;
    for (int first = 0; first < size; first += 32) {
        const int t = first + lane;
        place += __popc(__ballot_sync(FULL, t < size && before(value[t], index[t], v, j)));
    }
    for (int first = (size - 1) / 32 * 32; first >= 0 && first + 32 > place; first -= 32) {
        const int t = first + lane;
        const bool moves = t < size && t > place;
        double w = 0.0;
        int k = 0;
        if (moves) w = value[t - 1], k = index[t - 1];
        __syncwarp();
        if (moves) value[t] = w, index[t] = k;
        if (t == place) value[t] = v, index[t] = j;
        __syncwarp();
    }
}

// As c_transform, but for the `size` smallest: lists (splits, n, size), ascending, ties by j, filled up with NOWHERE.
extern "C" __global__ void __launch_bounds__(256) smallest_k(const REAL* __restrict__ x, const REAL* __restrict__ y,
        const double* __restrict__ h, int n, int m, int d, int run, int size, double unit, double q,
        double* __restrict__ values, int* __restrict__ indices) {
    __shared__ double found[TILE][TILE + 1];
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int row = blockIdx.x * TILE, begin = blockIdx.y * run, end = min(begin + run, m);
    for (int r = warp; r < TILE && row + r < n; r += THREADS / 32) {
        const long long start = ((long long)blockIdx.y * n + row + r) * size;
        for (int t = lane; t < size; t += 32) values[start + t] = 1e308, indices[start + t] = NOWHERE;
    }
    double s[4][4];
    for (int column = begin; column < end; column += TILE) {
        tile_distances<double, 8>(x, y, n, m, d, row, column, s);
        #pragma unroll
        for (int b = 0; b < 4; b++) {
            const int j = column + tx + 16 * b;
            const double offset = h && j < end ? h[j] : 0.0;
            #pragma unroll
            for (int a = 0; a < 4; a++) found[ty + 16 * a][tx + 16 * b] = cost(s[a][b], unit, q) - offset;
        }
        __syncthreads();
        for (int r = warp; r < TILE && row + r < n; r += THREADS / 32) {
            const long long start = ((long long)blockIdx.y * n + row + r) * size;
            double* value = values + start;
            int* index = indices + start;
            double last = value[size - 1];
            int last_index = index[size - 1];
            for (int half = 0; half < TILE; half += 32) {
                const int j = column + half + lane;
                const double v = found[r][half + lane];
                unsigned waiting = __ballot_sync(FULL, j < end && before(v, j, last, last_index));
                while (waiting) {
                    const int from = __ffs(waiting) - 1;
                    waiting &= waiting - 1;
                    const double w = __shfl_sync(FULL, v, from);
                    const int k = column + half + from;
                    if (!before(w, k, last, last_index)) continue;  // the same for all lanes
                    insert(value, index, size, w, k, lane);
                    last = value[size - 1];
                    last_index = index[size - 1];
                    __syncwarp();
                }
            }
        }
        __syncthreads();  // `found` is written anew
    }
}

// The lists of all splits of a row merged into one, a thread a row; `heads` (n, splits) counts what has been taken.
extern "C" __global__ void smallest_k_merge(const double* __restrict__ part_values,
        const int* __restrict__ part_indices, int n, int splits, int size, int* __restrict__ heads,
        double* __restrict__ values, long long* __restrict__ indices) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int* head = heads + (long long)i * splits;
    for (int t = 0; t < size; t++) {
        double best = 1e308;
        int at = NOWHERE, from = 0;
        for (int s = 0; s < splits; s++) {
            if (head[s] >= size) continue;
            const long long place = ((long long)s * n + i) * size + head[s];
            if (before(part_values[place], part_indices[place], best, at))
                best = part_values[place], at = part_indices[place], from = s;
        }
        head[from]++;
        values[(long long)i * size + t] = best;
        indices[(long long)i * size + t] = at;
    }
}
