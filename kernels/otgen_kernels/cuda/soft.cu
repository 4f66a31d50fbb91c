// Sums of 2^z over the pairs of each row, z_ij = h_j - k c_ij in bits: every pair, from coordinate differences.
//
// A row keeps the largest z it has met and sums of 2^(z - largest); a tile that raises it rescales them (Milakov and
// Gimelshein, arXiv 1805.02867). Pairs are worked on in REAL; what is kept from tile to tile is float64. In float32 the
// coordinates are first moved, in float64, by those of the tile's first row: then a difference is off by 2^-24 of the
// distances within the pair's own tile and to it, wherever the clouds lie.
//
// Columns are shared out over blockIdx.y in runs of `run`, a multiple of 64; block (i, s) writes row s of peaks,
// totals (splits, n) and extras (splits, n, width), which soft_merge.cu folds in the order of s. blockIdx.z takes 16 of
// the extras at a time.
// compiled for REAL: float double; FORM: 0 1 2 3; MODE: 0 1 2 3
#define SHAPE IDENTITY  // of costs.cuh: here the shape is an argument, for a quarter of the programs
#include "costs.cuh"
#include "tile.cuh"
#include "soft.cuh"

#define MATRIX 3
#define SLICE 8
#define COLUMNS 16  // of extras in one pass: a half warp has one each

// Apart, for it is long, and in sixteen places.
template <typename T> __device__ __noinline__ T general_power(T s, T q) { return exp2(q * log2(s)); }

// The cost s^q by its shape.
template <typename T> __device__ __forceinline__ T power(T s, int shape, T q) {
    if (shape == IDENTITY) return s;
    if (shape == ROOT) return sqrt(s);
    if (shape == SQUARE) return s * s;
    return general_power(s, q);
}

// (dc/ds) / |x - y| or, for a squared distance s, 2 dc/ds: what x - y, or its sign, is multiplied by; 0 where s is.
template <typename T> __device__ __forceinline__ T slope(T s, T unit, int shape, T q, bool squares) {
    const T scale = squares ? T(2) * unit : T(1);
    if (shape == IDENTITY) return scale;
    s *= unit;
    return s > T(0) ? scale * q * power(s, shape, q) / s : T(0);
}

// Where pairs come from: clouds x (n, d), y (m, d), or a matrix of one of two types, whose entry (i, j) is at
// i * by_row + j * by_column and counts 2^-exponent = unit times.
struct Pairs {
    const double *x, *y;
    const float* matrix32;
    const double* matrix64;
    long long by_row, by_column;
    int n, m, d;
    double unit;
};

#if FORM == MATRIX
__device__ __forceinline__ void tile_scores(const Pairs& p, int row, int column, REAL entries[][TILE + 1],
                                            REAL s[4][4], int which[4][4]) {
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    __syncthreads();  // the tile before has been read by all
    for (int t = threadIdx.x; t < TILE * TILE; t += THREADS) {
        const bool along = p.by_column == 1;  // neighbouring threads read neighbouring entries
        const int r = along ? t / TILE : t % TILE, c = along ? t % TILE : t / TILE;
        if (row + r >= p.n || column + c >= p.m) continue;
        const long long at = (row + r) * p.by_row + (column + c) * p.by_column;
        entries[r][c] = REAL(p.unit * (p.matrix32 ? double(p.matrix32[at]) : p.matrix64[at]));
    }
    __syncthreads();
    #pragma unroll
    for (int a = 0; a < 4; a++)
        #pragma unroll
        for (int b = 0; b < 4; b++) {
            const int i = ty + 16 * a, j = tx + 16 * b;
            s[a][b] = row + i < p.n && column + j < p.m ? entries[i][j] : REAL(0);
        }
}
#else
// s of every pair of a tile, and for MAXIMUM 1 + the lowest coordinate it is attained in, with the sign of x - y there.
__device__ __forceinline__ void tile_scores(const Pairs& p, int row, int column, REAL[][TILE + 1],
                                            REAL s[4][4], int which[4][4]) {
    __shared__ REAL xs[SLICE][TILE + 1];
    __shared__ REAL ys[SLICE][TILE + 1];
    const int thread = threadIdx.x, tx = thread % 16, ty = thread / 16;
    #pragma unroll
    for (int a = 0; a < 4; a++)
        #pragma unroll
        for (int b = 0; b < 4; b++) s[a][b] = REAL(0), which[a][b] = 0;
    for (int first = 0; first < p.d; first += SLICE) {
        const int width = min(SLICE, p.d - first);
        __syncthreads();  // the slice before has been read by all
        for (int t = thread; t < TILE * width; t += THREADS) {
            const int point = t / width, k = t % width;
            const double origin = sizeof(REAL) == 4 ? p.x[(long long)row * p.d + first + k] : 0.0;
            xs[k][point] = REAL(p.x[(long long)min(row + point, p.n - 1) * p.d + first + k] - origin);
            ys[k][point] = REAL(p.y[(long long)min(column + point, p.m - 1) * p.d + first + k] - origin);
        }
        __syncthreads();
        for (int k = 0; k < width; k++) {
            REAL u[4], v[4];
            #pragma unroll
            for (int a = 0; a < 4; a++) u[a] = xs[k][ty + 16 * a];
            #pragma unroll
            for (int b = 0; b < 4; b++) v[b] = ys[k][tx + 16 * b];
            #pragma unroll
            for (int a = 0; a < 4; a++)
                #pragma unroll
                for (int b = 0; b < 4; b++) {
                    if (FORM == MAXIMUM) {
                        const REAL away = u[a] - v[b];
                        if (fabs(away) > s[a][b]) which[a][b] = away > REAL(0) ? first + k + 1 : -(first + k + 1);
                    }
                    s[a][b] = joined(s[a][b], u[a], v[b]);
                }
        }
    }
}
#endif

// Which of the coordinates of a pass, from 1, with its sign; 0 where it is none of them.
__device__ __forceinline__ signed char in_pass(int which, int first) {
    const int c = (which > 0 ? which : -which) - first;
    return c < 1 || c > COLUMNS ? 0 : which > 0 ? c : -c;
}

extern "C" __global__ void __launch_bounds__(256, 2) reduce(const double* __restrict__ x, const double* __restrict__ y,
        const float* __restrict__ matrix32, const double* __restrict__ matrix64, long long by_row, long long by_column,
        int n, int m, int d, double unit, const double* __restrict__ h, double to_bits, double k, int shape, double q,
        int run, const double* __restrict__ values, int width, double* __restrict__ peaks, double* __restrict__ totals,
        double* __restrict__ extras) {
    if (FORM == MATRIX && MODE == GRADIENT) return;  // a matrix knows no points
    const Pairs p = {x, y, matrix32, matrix64, by_row, by_column, n, m, d, unit};
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const int row = blockIdx.x * TILE, begin = blockIdx.y * run, end = min(begin + run, p.m);
    const int first = blockIdx.z * COLUMNS;
    __shared__ REAL tile[MODE >= AVERAGE || FORM == MATRIX ? TILE : 1][TILE + 1];  // the weights of a tile's pairs
    __shared__ signed char attained[MODE == GRADIENT && FORM == MAXIMUM ? TILE : 1][TILE];
    const REAL kr = REAL(k), ur = FORM == MATRIX ? REAL(1) : REAL(unit), qr = REAL(q);
    double peak[4], total[4], extra[4];
    #pragma unroll
    for (int a = 0; a < 4; a++) peak[a] = LEAST, total[a] = extra[a] = 0.0;
    for (int column = begin; column < end; column += TILE) {
        REAL s[4][4];
        int which[4][4];
        tile_scores(p, row, column, tile, s, which);
        double offset[4], top = LEAST;
        #pragma unroll
        for (int b = 0; b < 4; b++) {
            const int j = column + tx + 16 * b;
            offset[b] = j < end ? in_bits(h[j], to_bits) : LEAST;
            top = fmax(top, offset[b]);
        }
        top = largest_of_half_warp(top);
        #pragma unroll
        for (int a = 0; a < 4; a++) {
            REAL z[4], most = -REAL(FAR);
            #pragma unroll
            for (int b = 0; b < 4; b++) {
                z[b] = REAL(fmax(offset[b] - top, -FAR)) - kr * power(ur * s[a][b], shape, qr);
                if (column + tx + 16 * b < end) most = fmax(most, z[b]);
            }
            most = largest_of_half_warp(most);
            if (top + double(most) > peak[a]) {
                const double down = peak[a] - (top + double(most)), factor = exp2(down);
                if (MODE == ENTROPY) extra[a] = total[a] > 0.0 ? factor * (extra[a] + down * total[a]) : 0.0;
                else extra[a] *= factor;
                total[a] *= factor;
                peak[a] = top + double(most);
            }
            const REAL up = REAL(top - peak[a]);
            REAL sum = REAL(0), moment = REAL(0);
            #pragma unroll
            for (int b = 0; b < 4; b++) {
                // A pair that is not there has z = up = -FAR at best: no weight, and no moment.
                const REAL e = column + tx + 16 * b < end ? fmax(z[b] + up, -REAL(FAR)) : -REAL(FAR);
                z[b] = exp2(e);
                sum += z[b];
                if (MODE == ENTROPY && z[b] > REAL(0)) moment = fma(z[b], e, moment);
            }
            total[a] += double(sum);
            if (MODE == ENTROPY) extra[a] += double(moment);
            #pragma unroll
            for (int b = 0; b < 4 && MODE >= AVERAGE; b++) {
                const int r = ty + 16 * a, c = tx + 16 * b;
                if (MODE == GRADIENT) z[b] *= slope(s[a][b], ur, shape, qr, FORM == SQUARES);
                tile[r][c] = z[b];
                if (MODE == GRADIENT && FORM == MAXIMUM) attained[r][c] = in_pass(which[a][b], first);
            }
        }
        if (MODE < AVERAGE) continue;
        __syncthreads();
        const int c = first + tx, last = min(TILE, end - column);
        if (c < width) {
            double here[4];
            REAL sum[4];
            #pragma unroll
            for (int a = 0; a < 4; a++) {
                const long long i = min(row + ty + 16 * a, n - 1);
                here[a] = MODE == GRADIENT && FORM < MAXIMUM ? x[i * d + c] : 0.0;
                sum[a] = REAL(0);
            }
            #pragma unroll 4
            for (int j = 0; j < last; j++) {
                const double there = MODE == AVERAGE ? values[(long long)(column + j) * width + c]
                                   : FORM < MAXIMUM ? y[(long long)(column + j) * d + c] : 0.0;
                #pragma unroll
                for (int a = 0; a < 4; a++) {
                    const int r = ty + 16 * a;
                    REAL v = REAL(there);
                    if (MODE == GRADIENT && FORM == SQUARES) v = REAL(here[a] - there);
                    if (MODE == GRADIENT && FORM == ABSOLUTES) v = REAL((here[a] > there) - (here[a] < there));
                    if (MODE == GRADIENT && FORM == MAXIMUM)
                        v = REAL((attained[r][j] == tx + 1) - (attained[r][j] == -tx - 1));
                    sum[a] = fma(tile[r][j], v, sum[a]);
                }
            }
            #pragma unroll
            for (int a = 0; a < 4; a++) extra[a] += double(sum[a]);
        }
    }
    #pragma unroll
    for (int a = 0; a < 4; a++) {
        const int i = row + ty + 16 * a;
        const long long at = (long long)blockIdx.y * p.n + i;
        total[a] = sum_of_half_warp(total[a]);
        if (MODE == ENTROPY) extra[a] = sum_of_half_warp(extra[a]);
        if (i >= p.n) continue;
        if (tx == 0 && blockIdx.z == 0) peaks[at] = peak[a], totals[at] = total[a];
        if (MODE == ENTROPY && tx == 0) extras[at] = extra[a];
        if (MODE >= AVERAGE && first + tx < width) extras[at * width + first + tx] = extra[a];
    }
}
