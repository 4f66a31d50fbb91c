// The largest z and the sum of 2^z of each row, z_ij = h_j - k c_ij in bits, in low dimension and float32.
//
// Both clouds come in the order of a space-filling curve. A block has ROWS of them, 4 or 2 a thread, and goes through
// tiles of 128 columns, of which shared memory holds the coordinates from the tile's own centre and the offsets: a
// broadcast of 16 bytes serves all rows of a thread. What a whole tile shares is taken off in float64: float32 sees
// what is left between two tiles of neighbours, however small eps is (as in cpu/soft_local.py). With q = 1 squared
// distances are bilinear about the centres,
//   z_ij = (h_j - k |y_j - o|^2 - top) + 2 k (x_i - o) . (y_j - o') + shift_i,   o, o' the centres, top of the tile.
//
// A row's sums are relative to 2^peak, the largest z when it was last raised: a tile whose sum leaves 2^40 raises it,
// and is done again. So no pair pays for a maximum. A pair of d = 3 costs, by instructions issued (128 lanes a cycle):
//   1 add (offset + shift), 3 fma, 1 ex2 (16 lanes a cycle), 1 add, 1/4 of a load of 16 bytes: 6.25
//   one power in 16 by the polynomial, 13 instead of 1: 7.0, and 15/16 of an ex2
//   min(128 / 7.0, 16 / (15/16)) = 17.07 pairs a cycle; 132 SMs of 1.755 GHz: 3.95e12 pairs/s
// Rounding: the terms of a row as far as the host's rounding() says; their sum by 36 * 2^-24 = 2.1e-6 relative at most
// (runs of 32, four of them a tile); tiles are added up in float64. A tile whose bound says that all its pairs together
// stay below 2^-28 / m of a row is passed over by the row's warp.
// compiled for D: 2 3 4 8; FORM: 0 1 2 3
#define SHAPE IDENTITY  // of costs.cuh: here the shape is an argument
#include "costs.cuh"
#include "fast.cuh"
#include "soft.cuh"

#define BILINEAR 3
#define THREADS 128
#define COLUMNS 128
#define PER_THREAD (D <= 4 ? 4 : 2)
#define ROWS (THREADS * PER_THREAD)
#define UNROLLED (KNOWN < 0 ? 4 : D <= 4 ? 16 : 8)
#define WORDS ((D + 4) / 4 * 4)  // of a column: coordinates, offset, room up to 16 bytes
#define USUAL (FORM == SQUARES ? ROOT : IDENTITY)
#define ENOUGH 1.0995116e12f     // 2^40
// One power in so many (a divisor of UNROLLED) where the special-function unit is what a pair waits for, else none.
#define EXP2_BY_FMA (FORM == BILINEAR ? (D == 2 ? 8 : D == 3 ? 16 : 1024) : FORM == SQUARES && D <= 3 ? 8 : 1024)

__device__ __forceinline__ float fast_power(float s, int shape, float q) {
    if (shape == IDENTITY) return s;
    if (shape == ROOT) return fast_sqrt(s);
    if (shape == SQUARE) return s * s;
    return fast_exp2(q * fast_log2(s));
}

// z of a row and a column but for what start holds; `row` is a slope or the row's place from the tile's centre.
__device__ __forceinline__ float score(const float (&row)[D], const float (&column)[WORDS], float start, float k,
                                       float unit, int shape, float q) {
    if (FORM == BILINEAR) {
        #pragma unroll
        for (int c = 0; c < D; c++) start = fmaf(row[c], column[c], start);
        return start;
    }
    float s = 0.0f;
    #pragma unroll
    for (int c = 0; c < D; c++) s = joined(s, row[c], column[c]);
    return fmaf(-k, fast_power(unit * s, shape, q), start);
}

__device__ __forceinline__ void read(const float* columns, int j, float (&column)[WORDS]) {
    #pragma unroll
    for (int part = 0; part < WORDS / 4; part++) {
        const float4 four = reinterpret_cast<const float4*>(columns)[j * (WORDS / 4) + part];
        column[4 * part] = four.x, column[4 * part + 1] = four.y;
        column[4 * part + 2] = four.z, column[4 * part + 3] = four.w;
    }
}

// sum 2^z of the rows over a tile, z relative to their peaks by `from`; KNOWN is the shape, or -1 for any.
template <int KNOWN>
__device__ __forceinline__ void add_up(const float* columns, const float (&row)[PER_THREAD][D],
                                       const float (&from)[PER_THREAD], float k, float unit, int shape, float q,
                                       float (&sums)[PER_THREAD]) {
    #pragma unroll
    for (int r = 0; r < PER_THREAD; r++) sums[r] = 0.0f;
    for (int first = 0; first < COLUMNS; first += 32) {
        float part[PER_THREAD];
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) part[r] = 0.0f;
        #pragma unroll UNROLLED
        for (int j = 0; j < 32; j++) {
            float column[WORDS];
            read(columns, first + j, column);
            #pragma unroll
            for (int r = 0; r < PER_THREAD; r++) {
                const float z = score(row[r], column, column[D] + from[r], k, unit, KNOWN < 0 ? shape : KNOWN, q);
                part[r] += KNOWN >= 0 && j % EXP2_BY_FMA == EXP2_BY_FMA - 1 ? polynomial_exp2(z) : fast_exp2(z);
            }
        }
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) sums[r] += part[r];
    }
}

// x (n, D) and y (m, D) in their order, with the centres (tiles, D) of runs of 128 and for y their half widths; order
// (m,) is where a column's h stands. Block (i, s) takes `run` tiles and writes row s of peaks, totals (splits, n).
extern "C" __global__ void __launch_bounds__(128, 8) total(const double* __restrict__ x,
        const double* __restrict__ x_centres, const double* __restrict__ y, const double* __restrict__ y_centres,
        const double* __restrict__ y_widths, const double* __restrict__ h, const int* __restrict__ order, int n, int m,
        double to_bits, double k, double unit, int shape, double q, double cut, int run, double* __restrict__ peaks,
        double* __restrict__ totals) {
    __shared__ __align__(16) float columns[COLUMNS * WORDS];
    __shared__ double inside[D][ROWS];  // x from the block's centre
    __shared__ double peak[ROWS], sum[ROWS];
    __shared__ double origin[D], apart[D], most[THREADS / 32];
    __shared__ float widths[D];
    const int t = threadIdx.x, warp = t / 32, lane = t % 32, mine = warp * 32 * PER_THREAD + lane;
    const int first = blockIdx.x * ROWS, tiles = (m + COLUMNS - 1) / COLUMNS;
    const int begin = blockIdx.y * run, count = min(run, tiles - begin);
    const double ku = k * unit;
    const float kf = float(k), uf = float(unit), qf = float(q), cutf = float(cut);
    if (t < D) {
        const int from = first / COLUMNS, to = min(from + ROWS / COLUMNS, (n + COLUMNS - 1) / COLUMNS);
        double centre = 0.0;
        for (int b = from; b < to; b++) centre += x_centres[b * D + t];
        origin[t] = centre / (to - from);
    }
    __syncthreads();
    float row[PER_THREAD][D];
    #pragma unroll
    for (int r = 0; r < PER_THREAD; r++) {
        const long long i = min(first + mine + 32 * r, n - 1);
        #pragma unroll
        for (int c = 0; c < D; c++) {
            const double u = x[i * D + c] - origin[c];
            inside[c][mine + 32 * r] = u;
            row[r][c] = float(2.0 * ku * u);
        }
        peak[mine + 32 * r] = LEAST, sum[mine + 32 * r] = 0.0;
    }
    // Blocks begin at like places of the two curves, where the largest terms may be.
    const int start = int((long long)blockIdx.x * count / gridDim.x);
    for (int step = 0; step < count; step++) {
        const int tile = begin + (start + step) % count;
        {
            const long long j = min(tile * COLUMNS + t, m - 1);
            double offset = in_bits(h[order[j]], to_bits), away = 0.0;
            float place[D];
            #pragma unroll
            for (int c = 0; c < D; c++) {
                const double at = y[j * D + c], u = at - origin[c];
                away = fma(u, u, away);
                place[c] = float(at - y_centres[tile * D + c]);
            }
            if (FORM == BILINEAR) offset -= ku * away;
            if (tile * COLUMNS + t >= m) offset = LEAST;
            double top = offset;
            #pragma unroll
            for (int other = 16; other > 0; other /= 2) top = fmax(top, __shfl_xor_sync(EVERY_LANE, top, other));
            __syncthreads();  // the tile before has been read by all
            if (lane == 0) most[warp] = top;
            if (t < D) apart[t] = y_centres[tile * D + t] - origin[t], widths[t] = float(y_widths[tile * D + t]);
            __syncthreads();
            top = fmax(fmax(most[0], most[1]), fmax(most[2], most[3]));
            #pragma unroll
            for (int c = 0; c < D; c++) columns[t * WORDS + c] = place[c];
            columns[t * WORDS + D] = float(fmax(offset - top, -FAR));
            __syncthreads();
        }
        const double top = fmax(fmax(most[0], most[1]), fmax(most[2], most[3]));
        double shift[PER_THREAD];
        bool seen = false;
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) {
            shift[r] = top;
            float bound = 0.0f;
            #pragma unroll
            for (int c = 0; c < D; c++) {
                const double u = inside[c][mine + 32 * r];
                if (FORM == BILINEAR) {
                    shift[r] = fma(ku * u, 2.0 * apart[c] - u, shift[r]);
                    bound = fmaf(fabsf(row[r][c]), widths[c], bound);
                } else {
                    row[r][c] = float(u - apart[c]);
                    bound = joined(bound, fmaxf(fabsf(row[r][c]) - widths[c], 0.0f), 0.0f);
                }
            }
            bound = FORM == BILINEAR ? 1.0001f * bound : -0.9999f * kf * fast_power(uf * bound, shape, qf);
            seen = seen || float(shift[r] - peak[mine + 32 * r]) + bound > -cutf;
        }
        if (!__any_sync(EVERY_LANE, seen)) continue;
        float add[PER_THREAD];
        for (int attempt = 0; attempt < 2; attempt++) {
            float from[PER_THREAD];
            #pragma unroll
            for (int r = 0; r < PER_THREAD; r++) from[r] = float(shift[r] - peak[mine + 32 * r]);
            if (FORM == BILINEAR || shape == USUAL) add_up<USUAL>(columns, row, from, kf, uf, shape, qf, add);
            else add_up<-1>(columns, row, from, kf, uf, shape, qf, add);
            bool good = true;
            #pragma unroll
            for (int r = 0; r < PER_THREAD; r++) good = good && add[r] <= ENOUGH;
            if (__all_sync(EVERY_LANE, good)) break;
            if (attempt) break;
            float highest[PER_THREAD];
            #pragma unroll
            for (int r = 0; r < PER_THREAD; r++) highest[r] = -2.0f * float(FAR);
            for (int j = 0; j < COLUMNS; j++) {
                float column[WORDS];
                read(columns, j, column);
                #pragma unroll
                for (int r = 0; r < PER_THREAD; r++)
                    highest[r] = fmaxf(highest[r], score(row[r], column, column[D], kf, uf, shape, qf));
            }
            #pragma unroll
            for (int r = 0; r < PER_THREAD; r++)
                if (!(add[r] <= ENOUGH)) {
                    const double now = shift[r] + double(highest[r]);
                    sum[mine + 32 * r] *= exp2(peak[mine + 32 * r] - now);
                    peak[mine + 32 * r] = now;
                }
        }
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) sum[mine + 32 * r] += double(add[r]);
    }
    #pragma unroll
    for (int r = 0; r < PER_THREAD; r++) {
        const int i = first + mine + 32 * r;
        if (i >= n) continue;
        peaks[(long long)blockIdx.y * n + i] = peak[mine + 32 * r];
        totals[(long long)blockIdx.y * n + i] = sum[mine + 32 * r];
    }
}
