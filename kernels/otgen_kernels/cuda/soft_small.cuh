// Sums of 2^z over the pairs of each row, z_ij = h_j - k c_ij in bits, in low dimension and float32: what soft_small.cu
// and soft_small_columns.cu share.
//
// Both clouds come in the order of a space-filling curve. A block has ROWS of them, 4 or 2 a thread, and goes through
// tiles of 128 columns, of which shared memory holds the coordinates from the tile's own centre and the offsets: a
// broadcast of 16 bytes serves all rows of a thread. What a whole tile shares is taken off in float64: float32 sees
// what is left between two tiles of neighbours, however small eps is (as in cpu/soft_local.py). With q = 1 squared
// distances are bilinear about the centres,
//   z_ij = (h_j - k |y_j - o|^2 - top) + 2 k (x_i - o) . (y_j - o') + shift_i,   o, o' the centres, top of the tile.
//
// A row's sums are relative to 2^peak, the largest z when it was last raised: a tile whose sum leaves 2^40 raises it,
// and is done again. So no pair pays for a maximum. A tile whose bound says that all its pairs together stay below
// 2^-28 / m of a row is passed over by the row's warp. Tiles are added up in float64.
#include "soft_small_pairs.cuh"

// The clouds x (n, D) and y (m, D) in their order, with the centres (tiles, D) of runs of 128 and for y their half
// widths; order (m,) is where a column's h stands. A block takes `run` tiles.
struct Clouds {
    const double *x, *x_centres, *y, *y_centres, *y_widths, *h;
    const int* order;
    int n, m;
    double to_bits, k, unit;
    int shape;
    double q, cut;
    int run;
};

// Sums of a row by its part of the columns: peaks, totals (splits, n), extras (splits, n, width) of values (m, width).
// terms (splits, n) are sums of 2^z times the largest (x - o) . (y - o') of the tile in bits, what float32 rounds most.
struct Sums {
    const double* values;
    int width;
    double *peaks, *totals, *extras, *terms;
};

// sum 2^z of the rows over a tile, z relative to their peaks by `from`, and the extras; KNOWN is the shape, or -1 for
// any. For squared distances the gradient's are sums of 2^z (y - o').
template <int KNOWN>
__device__ __forceinline__ void add_up(const float* columns, const float* values, const float (&row)[PER_THREAD][D],
                                       const float (&from)[PER_THREAD], float k, float unit, int any_shape, float q,
                                       float (&sums)[PER_THREAD], float (&extras)[PER_THREAD][ROOM]) {
    constexpr int LONGEST = MODE == TOTAL ? (D <= 4 ? 16 : 8) : FORM == BILINEAR || (FORM == SQUARES && D <= 3) ? 8 : 4;
    constexpr int UNROLLED = KNOWN >= 0 ? LONGEST : MODE == TOTAL ? 4 : 2;
    const int shape = KNOWN < 0 ? any_shape : KNOWN;
    #pragma unroll
    for (int r = 0; r < PER_THREAD; r++) {
        sums[r] = 0.0f;
        #pragma unroll
        for (int c = 0; c < EXTRAS; c++) extras[r][c] = 0.0f;
    }
    for (int first = 0; first < COLUMNS; first += 32) {
        float part[PER_THREAD];
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) part[r] = 0.0f;
        #pragma unroll UNROLLED
        for (int j = 0; j < 32; j++) {
            float column[WORDS], value[ROOM];
            read(columns, first + j, column);
            if (MODE == AVERAGE) read(values, first + j, value);
            #pragma unroll
            for (int r = 0; r < PER_THREAD; r++) {
                const float start = column[D] + from[r];
                if (MODE == GRADIENT && FORM != BILINEAR) {
                    part[r] += add_gradient(row[r], column, start, k, unit, shape, q, extras[r]);
                } else {
                    const float z = score(row[r], column, start, k, unit, shape, q);
                    const bool by_fma = MODE == TOTAL && KNOWN >= 0 && j % EXP2_BY_FMA == EXP2_BY_FMA - 1;
                    const float e = by_fma ? polynomial_exp2(z) : fast_exp2(z);
                    part[r] += e;
                    #pragma unroll
                    for (int c = 0; c < EXTRAS; c++)
                        extras[r][c] = fmaf(e, MODE == AVERAGE ? value[c] : column[c], extras[r][c]);
                }
            }
        }
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) sums[r] += part[r];
    }
}

// Block (i, s, e): rows i, part s of the columns, pass e over the values. Writes row s of what is out.
__device__ __forceinline__ void reduce_rows(const Clouds& p, const Sums& out) {
    constexpr bool MOMENTS = MODE == GRADIENT && FORM == BILINEAR;  // sums of 2^z (y - o'), to be made differences
    __shared__ __align__(16) float columns[COLUMNS * WORDS];
    __shared__ __align__(16) float values[MODE == AVERAGE ? COLUMNS * EXTRAS : 4];
    __shared__ double inside[D][ROWS];  // x from the block's centre
    __shared__ double peak[ROWS], sum[ROWS], extra[ROOM][MODE == TOTAL ? 1 : ROWS];
    __shared__ double origin[D], apart[D], most[THREADS / 32];
    __shared__ float widths[D];
    const int t = threadIdx.x, warp = t / 32, lane = t % 32, mine = warp * 32 * PER_THREAD + lane;
    const int n = p.n, m = p.m, shape = p.shape, first_value = blockIdx.z * EXTRAS;
    const int first = blockIdx.x * ROWS, tiles = (m + COLUMNS - 1) / COLUMNS;
    const int begin = blockIdx.y * p.run, count = min(p.run, tiles - begin);
    const double ku = p.k * p.unit;
    const float kf = float(p.k), uf = float(p.unit), qf = float(p.q), cutf = float(p.cut);
    if (t < D) {
        const int from = first / COLUMNS, to = min(from + ROWS / COLUMNS, (n + COLUMNS - 1) / COLUMNS);
        double centre = 0.0;
        for (int b = from; b < to; b++) centre += p.x_centres[b * D + t];
        // Differences are taken from the tile's centre alone, so that like coordinates stay alike.
        origin[t] = FORM == BILINEAR ? centre / (to - from) : 0.0;
    }
    __syncthreads();
    float row[PER_THREAD][D], term[PER_THREAD];
    #pragma unroll
    for (int r = 0; r < PER_THREAD; r++) {
        term[r] = 0.0f;
        const long long i = min(first + mine + 32 * r, n - 1);
        #pragma unroll
        for (int c = 0; c < D; c++) {
            const double u = p.x[i * D + c] - origin[c];
            inside[c][mine + 32 * r] = u;
            row[r][c] = float(2.0 * ku * u);
        }
        peak[mine + 32 * r] = LEAST, sum[mine + 32 * r] = 0.0;
        #pragma unroll
        for (int c = 0; c < EXTRAS; c++) extra[c][mine + 32 * r] = 0.0;
    }
    // Blocks begin at like places of the two curves, where the largest terms may be.
    const int start = int((long long)blockIdx.x * count / gridDim.x);
    for (int step = 0; step < count; step++) {
        const int tile = begin + (start + step) % count;
        {
            const long long j = min(tile * COLUMNS + t, m - 1);
            double offset = in_bits(p.h[p.order[j]], p.to_bits), away = 0.0;
            float place[D];
            #pragma unroll
            for (int c = 0; c < D; c++) {
                const double at = p.y[j * D + c], u = at - origin[c];
                away = fma(u, u, away);
                place[c] = float(at - p.y_centres[tile * D + c]);
            }
            if (FORM == BILINEAR) offset -= ku * away;
            if (tile * COLUMNS + t >= m) offset = LEAST;
            double top = offset;
            #pragma unroll
            for (int other = 16; other > 0; other /= 2) top = fmax(top, __shfl_xor_sync(EVERY_LANE, top, other));
            __syncthreads();  // the tile before has been read by all
            if (lane == 0) most[warp] = top;
            if (t < D) apart[t] = p.y_centres[tile * D + t] - origin[t], widths[t] = float(p.y_widths[tile * D + t]);
            __syncthreads();
            top = fmax(fmax(most[0], most[1]), fmax(most[2], most[3]));
            #pragma unroll
            for (int c = 0; c < D; c++) columns[t * WORDS + c] = place[c];
            columns[t * WORDS + D] = float(fmax(offset - top, -FAR));
            #pragma unroll
            for (int c = 0; c < EXTRAS && MODE == AVERAGE; c++) {
                const int v = first_value + c;
                const long long at = (long long)p.order[j] * out.width + v;
                values[t * EXTRAS + c] = v < out.width ? float(out.values[at]) : 0.0f;
            }
            __syncthreads();
        }
        const double top = fmax(fmax(most[0], most[1]), fmax(most[2], most[3]));
        double shift[PER_THREAD];
        float bound[PER_THREAD];
        bool seen = false;
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) {
            shift[r] = top;
            bound[r] = 0.0f;
            #pragma unroll
            for (int c = 0; c < D; c++) {
                const double u = inside[c][mine + 32 * r];
                if (FORM == BILINEAR) {
                    shift[r] = fma(ku * u, 2.0 * apart[c] - u, shift[r]);
                    bound[r] = fmaf(fabsf(row[r][c]), widths[c], bound[r]);
                } else {
                    row[r][c] = float(u - apart[c]);
                    bound[r] = joined(bound[r], fmaxf(fabsf(row[r][c]) - widths[c], 0.0f), 0.0f);
                }
            }
            bound[r] = FORM == BILINEAR ? 1.0001f * bound[r] : -0.9999f * kf * fast_power(uf * bound[r], shape, qf);
            seen = seen || float(shift[r] - peak[mine + 32 * r]) + bound[r] > -cutf;
        }
        if (!__any_sync(EVERY_LANE, seen)) continue;
        float add[PER_THREAD], more[PER_THREAD][ROOM];
        for (int attempt = 0; attempt < 2; attempt++) {
            float from[PER_THREAD];
            #pragma unroll
            for (int r = 0; r < PER_THREAD; r++) from[r] = float(shift[r] - peak[mine + 32 * r]);
            if (FORM == BILINEAR || shape == USUAL)
                add_up<USUAL>(columns, values, row, from, kf, uf, shape, qf, add, more);
            else add_up<-1>(columns, values, row, from, kf, uf, shape, qf, add, more);
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
                    const double factor = exp2(peak[mine + 32 * r] - now);
                    sum[mine + 32 * r] *= factor;
                    term[r] *= float(factor);
                    #pragma unroll
                    for (int c = 0; c < EXTRAS; c++) extra[c][mine + 32 * r] *= factor;
                    peak[mine + 32 * r] = now;
                }
        }
        #pragma unroll
        for (int r = 0; r < PER_THREAD; r++) {
            sum[mine + 32 * r] += double(add[r]);
            if (MODE != TOTAL && FORM == BILINEAR) term[r] = fmaf(add[r], bound[r], term[r]);
            #pragma unroll
            for (int c = 0; c < EXTRAS; c++) {
                double part = double(more[r][c]);
                if (MOMENTS) part = (inside[c][mine + 32 * r] - apart[c]) * double(add[r]) - part;
                extra[c][mine + 32 * r] += part;
            }
        }
    }
    #pragma unroll
    for (int r = 0; r < PER_THREAD; r++) {
        const int i = first + mine + 32 * r;
        if (i >= n) continue;
        const long long at = (long long)blockIdx.y * n + i;
        if (blockIdx.z == 0) out.peaks[at] = peak[mine + 32 * r], out.totals[at] = sum[mine + 32 * r];
        if (MODE != TOTAL && blockIdx.z == 0) out.terms[at] = double(term[r]);
        const double factor = MODE != GRADIENT ? 1.0 : FORM == BILINEAR || FORM == SQUARES ? 2.0 * p.unit * p.q : p.q;
        #pragma unroll
        for (int c = 0; c < EXTRAS; c++)
            if (first_value + c < out.width)
                out.extras[at * out.width + first_value + c] = factor * extra[c][mine + 32 * r];
    }
}
