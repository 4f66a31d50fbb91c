// Sums of a kernel over all pairs in many dimensions in float32 by tensor cores, in split TF32, of points about a
// common centre c: s = |x|^2 + |y|^2 - 2 <x, y>, and sum_j w_ij (x_i - y_j) = x_i sum_j w_ij - sum_j w_ij y_j. A warp
// has 32 rows and the 32 columns of a tile; the weights w go from the registers they are worked out in into the second
// product.
//
// The polynomial's <x + c, y + c> is <x, y> and a term of each point: tensor cores cut what they sum, and sums of one
// sign would drift.
//
// Where s is less than CLOSE of |x|^2 + |y|^2 too few digits are left: such pairs are taken from the coordinates.
// compiled for KIND: 0 1 2 3 4 5
#define REAL float
#include "kernel_profile.cuh"
#include "mma.cuh"

#define THREADS 128
#define ROWS 128
#define COLUMNS 32
#define SPAN 64    // coordinates of the columns in shared memory at once
#define STRIDE 68  // of a column there: apart by 4 banks
#define FLUSH 8    // tiles whose gradients are summed in float32 where all coordinates fit in one span
#define CLOSE 0.0078125f
#define EVERY_LANE 0xffffffffu

struct __align__(8) Two { float x, y; };
struct __align__(16) Four { float v[4]; };

// Coordinates from `first` of the columns from `column` on, y (m, pitch); beyond the pitch they are 0.
__device__ __forceinline__ void load_span(float (*points)[STRIDE], const float* y, int m, int pitch, int column,
                                          int first) {
    __syncthreads();  // the span before has been read by all
    #pragma unroll 4
    for (int t = threadIdx.x; t < COLUMNS * SPAN / 4; t += THREADS) {
        const int point = t / (SPAN / 4), k = t % (SPAN / 4) * 4;
        Four v = {{0.0f, 0.0f, 0.0f, 0.0f}};
        if (first + k < pitch) v = *(const Four*)(y + (long long)min(column + point, m - 1) * pitch + first + k);
        *(Four*)&points[point][k] = v;
    }
    __syncthreads();
}

struct Eight { float v[8]; };  // pairs e of rows row + 8 (e / 2) and columns column + e % 2 of a lane

// s of the pairs in `close` from the coordinates x (n, d) and y (m, d).
__device__ __noinline__ Eight distances_of(const float* x, const float* y, int n, int d, Eight s, unsigned close,
                                           int row, int column) {
    for (int e = 0; e < 8; e++) {
        if (!(close >> e & 1)) continue;
        const float *one = x + (long long)min(row + e / 2 * 8, n - 1) * d, *other = y + (long long)(column + e % 2) * d;
        float sum = 0.0f;
        for (int k = 0; k < d; k++) sum = fmaf(one[k] - other[k], one[k] - other[k], sum);
        s.v[e] = sum;
    }
    return s;
}

// The warp adds pull (x_i - y_j) of the pairs in `close` of all its lanes to the rows of slopes (n, d), in their order.
__device__ __noinline__ void add_close(const float* x, const float* y, int n, int d, Eight pull, unsigned close,
                                       int row, int column, double* slopes) {
    for (int e = 0; e < 8; e++) {
        const int own_row = row + e / 2 * 8;
        unsigned waiting = __ballot_sync(EVERY_LANE, (close >> e & 1) && own_row < n && pull.v[e] != 0.0f);
        while (waiting) {
            const int from = __ffs(waiting) - 1;
            waiting &= waiting - 1;
            const double w = __shfl_sync(EVERY_LANE, pull.v[e], from);
            const long long i = __shfl_sync(EVERY_LANE, own_row, from);
            const long long j = __shfl_sync(EVERY_LANE, column + e % 2, from);
            for (int k = threadIdx.x % 32; k < d; k += 32)
                slopes[i * d + k] += w * (double(x[i * d + k]) - double(y[j * d + k]));
        }
    }
}

// Adds what a warp holds in `moved` of its 32 rows, sum_j w_ij y_j from coordinate `first` on, to slopes (n, d), and
// clears it; `points` is lost.
__device__ __forceinline__ void flush(float* points, float (&moved)[2][8][4], const float* pulls,
        const float* centred_x, const double* centre, int n, int d, int pitch, int row, int first, double* slopes) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    float* own = points + threadIdx.x / 32 * 8 * SPAN;
    #pragma unroll
    for (int r = 0; r < 4; r++) {  // eight rows at a time
        __syncthreads();  // the points have been read by all, and what a warp put there by itself
        #pragma unroll
        for (int q = 0; q < 16; q++) {
            float& held = moved[r / 2][q / 2][r % 2 * 2 + q % 2];
            own[g * SPAN + q / 2 * 8 + 2 * t + q % 2] = held;
            held = 0.0f;
        }
        __syncwarp();
        #pragma unroll 4
        for (int q = lane; q < 8 * SPAN; q += 32) {
            const int k = first + q % SPAN;
            const long long i = row + 8 * r + q / SPAN;
            if (i >= n || k >= d) continue;
            const double pull = pulls[8 * r + q / SPAN];
            if (KIND == POLYNOMIAL) slopes[i * d + k] += pull * centre[k] + double(own[q]);
            else slopes[i * d + k] += pull * double(centred_x[i * pitch + k]) - double(own[q]);
        }
    }
}

// x, y (n, d), (m, d) as they are; centred (n, pitch) and (m, pitch) filled up with zeros, with their |x|^2 and |y|^2.
// The rest as in kernel_sum.cu; slopes comes in as zeros.
template <bool GRADIENT>
__device__ __forceinline__ void sum_rows(const float* __restrict__ x, const float* __restrict__ y,
        const float* __restrict__ centred_x, const float* __restrict__ centred_y, const float* __restrict__ norms_x,
        const float* __restrict__ norms_y, const double* __restrict__ centre, const float* __restrict__ b,
        const float* __restrict__ constants, int scales, int n, int m, int d, int pitch, int run, int once,
        double* __restrict__ part, double* slopes) {
    __shared__ __align__(16) float points[COLUMNS][STRIDE];
    __shared__ float weights[COLUMNS], norms[COLUMNS], all_pulls[ROWS];
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, row = blockIdx.x * ROWS + threadIdx.x / 32 * 32;
    const int begin = blockIdx.y * run, end = min(begin + run, m);
    float* own_pulls = all_pulls + threadIdx.x / 32 * 32;
    if (GRADIENT) slopes += (long long)blockIdx.y * n * d;
    double total[4] = {};
    float own_norm[4], pulls[4] = {}, moved[2][8][4];  // rows row + 8 r + g: r = 2 of the 16 rows, and their half
    #pragma unroll
    for (int r = 0; r < 4; r++) own_norm[r] = norms_x[min(row + 8 * r + g, n - 1)];
    #pragma unroll
    for (int q = 0; q < 64; q++) moved[q / 32][q / 4 % 8][q % 4] = 0.0f;
    const int start = once ? max(begin, int(blockIdx.x) * ROWS) : begin;
    for (int column = start; column < end; column += COLUMNS) {
        float c[2][4][4];
        #pragma unroll
        for (int q = 0; q < 32; q++) c[q / 16][q / 4 % 4][q % 4] = 0.0f;
        for (int first = 0; first < pitch; first += SPAN) {
            load_span(points, centred_y, m, pitch, column, first);
            const int width = min(SPAN, pitch - first);
            #pragma unroll 1
            for (int k = 0; k < width; k += 8) {
                float high[2][4], low[2][4];
                #pragma unroll
                for (int r = 0; r < 4; r++) {  // coordinates 2 t and 2 t + 1 as k = t and t + 4, on both sides
                    const long long i = min(row + 8 * r + g, n - 1);
                    const Two v = *(const Two*)(centred_x + i * pitch + first + k + 2 * t);
                    split_tf32(v.x, high[r / 2][r % 2], low[r / 2][r % 2]);
                    split_tf32(v.y, high[r / 2][r % 2 + 2], low[r / 2][r % 2 + 2]);
                }
                #pragma unroll
                for (int q = 0; q < 4; q++) {
                    const Two v = *(const Two*)&points[8 * q + g][k + 2 * t];
                    float other[2], other_low[2];
                    split_tf32(v.x, other[0], other_low[0]);
                    split_tf32(v.y, other[1], other_low[1]);
                    mma_split(c[0][q], high[0], low[0], other, other_low);
                    mma_split(c[1][q], high[1], low[1], other, other_low);
                }
            }
        }
        if (threadIdx.x < COLUMNS) {
            const int j = column + threadIdx.x;
            weights[threadIdx.x] = j < end ? b[j] : 0.0f;
            norms[threadIdx.x] = norms_y[min(j, m - 1)];
        }
        __syncthreads();
        const double times = once && column >= int(blockIdx.x + 1) * ROWS ? 2.0 : 1.0;
        float sum[4] = {};
        #pragma unroll
        for (int q = 0; q < 4; q++) {
            Eight s, slope;
            float value[8];
            unsigned close = 0;
            #pragma unroll
            for (int e = 0; e < 8; e++) {
                const int r = e / 2, place = 8 * q + 2 * t + e % 2;
                const float product = c[r / 2][q][r % 2 * 2 + e % 2];
                const float both = own_norm[r] + norms[place];
                s.v[e] = KIND == POLYNOMIAL ? product + both : fmaf(-2.0f, product, both);
                if (KIND != POLYNOMIAL && s.v[e] < CLOSE * both && weights[place] > 0.0f) close |= 1u << e;
            }
            const bool some = KIND != POLYNOMIAL && __any_sync(EVERY_LANE, close != 0);
            if (some) s = distances_of(x, y, n, d, s, close, row + g, column + 8 * q + 2 * t);
            if (KIND != POLYNOMIAL)
                #pragma unroll
                for (int e = 0; e < 8; e++) s.v[e] = fmaxf(s.v[e], 0.0f);
            profile<8, GRADIENT>(s.v, constants, scales, value, slope.v);
            #pragma unroll
            for (int e = 0; e < 8; e++) {
                const int r = e / 2, place = 8 * q + 2 * t + e % 2;
                sum[r] = fmaf(weights[place], value[e], sum[r]);
                if (GRADIENT) slope.v[e] *= weights[place];
            }
            if (!GRADIENT) continue;
            if (some) add_close(x, y, n, d, slope, close, row + g, column + 8 * q + 2 * t, slopes);
            #pragma unroll
            for (int e = 0; e < 8; e++) {
                const float pull = some && (close >> e & 1) ? 0.0f : slope.v[e];
                pulls[e / 2] += pull;
                c[e / 4][q][e / 2 % 2 * 2 + e % 2] = pull;
            }
        }
        #pragma unroll
        for (int r = 0; r < 4; r++) total[r] += times * double(sum[r]);
        if (!GRADIENT) continue;
        const bool last = pitch > SPAN || column + COLUMNS >= end || (column - begin) / COLUMNS % FLUSH == FLUSH - 1;
        if (last)
            #pragma unroll
            for (int r = 0; r < 4; r++) {
                pulls[r] += __shfl_xor_sync(EVERY_LANE, pulls[r], 1);
                pulls[r] += __shfl_xor_sync(EVERY_LANE, pulls[r], 2);
                if (t == 0) own_pulls[8 * r + g] = pulls[r];
            }
        for (int first = 0; first < pitch; first += SPAN) {
            if (pitch > SPAN) load_span(points, centred_y, m, pitch, column, first);
            #pragma unroll
            for (int q = 0; q < 4; q++) {
                float high[2][4], low[2][4];
                #pragma unroll
                for (int h = 0; h < 2; h++)
                    #pragma unroll
                    for (int e = 0; e < 4; e++)  // columns 2 t and 2 t + 1 as k = t and t + 4
                        split_tf32(c[h][q][e % 2 * 2 + e / 2], high[h][e], low[h][e]);
                #pragma unroll
                for (int k = 0; k < 8; k++) {
                    float other[2], other_low[2];
                    #pragma unroll
                    for (int e = 0; e < 2; e++)
                        split_tf32(points[8 * q + 2 * t + e][8 * k + g], other[e], other_low[e]);
                    mma_split(moved[0][k], high[0], low[0], other, other_low);
                    mma_split(moved[1][k], high[1], low[1], other, other_low);
                }
            }
            if (last) flush(&points[0][0], moved, own_pulls, centred_x, centre, n, d, pitch, row, first, slopes);
        }
        if (last)
            #pragma unroll
            for (int r = 0; r < 4; r++) pulls[r] = 0.0f;
    }
    #pragma unroll
    for (int r = 0; r < 4; r++) {
        total[r] += __shfl_xor_sync(EVERY_LANE, total[r], 1);
        total[r] += __shfl_xor_sync(EVERY_LANE, total[r], 2);
        const int i = row + 8 * r + g;
        if (t == 0 && i < n) part[(long long)blockIdx.y * n + i] = total[r];
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_rows(const float* __restrict__ x,
        const float* __restrict__ y, const float* __restrict__ centred_x, const float* __restrict__ centred_y,
        const float* __restrict__ norms_x, const float* __restrict__ norms_y, const double* __restrict__ centre,
        const float* __restrict__ b, const float* __restrict__ constants, int scales, int n, int m, int d, int pitch,
        int run, int once, double* __restrict__ part) {
    sum_rows<false>(x, y, centred_x, centred_y, norms_x, norms_y, centre, b, constants, scales, n, m, d, pitch, run,
                    once, part, nullptr);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_gradients(const float* __restrict__ x,
        const float* __restrict__ y, const float* __restrict__ centred_x, const float* __restrict__ centred_y,
        const float* __restrict__ norms_x, const float* __restrict__ norms_y, const double* __restrict__ centre,
        const float* __restrict__ b, const float* __restrict__ constants, int scales, int n, int m, int d, int pitch,
        int run, double* __restrict__ part, double* slopes) {
    sum_rows<true>(x, y, centred_x, centred_y, norms_x, norms_y, centre, b, constants, scales, n, m, d, pitch, run, 0,
                   part, slopes);
}

// centred (n, pitch) = x - centre, filled up with zeros, and its |x|^2; for the polynomial <x, c> + |c|^2 / 2. A warp
// a row.
extern "C" __global__ void centre_rows(const float* __restrict__ x, const double* __restrict__ centre, int n, int d,
        int pitch, float* __restrict__ centred, float* __restrict__ norms) {
    const int lane = threadIdx.x % 32;
    const long long i = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (i >= n) return;
    double norm = 0.0;
    for (int k = lane; k < pitch; k += 32) {
        const float v = k < d ? float(double(x[i * d + k]) - centre[k]) : 0.0f;
        centred[i * pitch + k] = v;
        const double c = k < d ? centre[k] : 0.0;
        norm += KIND == POLYNOMIAL ? (double(v) + 0.5 * c) * c : double(v) * double(v);
    }
    #pragma unroll
    for (int by = 16; by > 0; by /= 2) norm += __shfl_xor_sync(EVERY_LANE, norm, by);
    if (lane == 0) norms[i] = float(norm);
}
