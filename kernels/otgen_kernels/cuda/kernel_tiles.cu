// Sums of a kernel over all pairs in many dimensions, and tiles of the kernel itself: 64 x 64 pairs in the registers of
// a block, from coordinate differences; gradients by a second product, of the tile of weights with the tile of points.
// compiled for REAL: float double; KIND: 0 1 2 3 4 5
#include "kernel_profile.cuh"
#include "tile.cuh"

#define SLICE (sizeof(REAL) == 4 ? 16 : 4)  // coordinates of a tile in shared memory at once, beside its weights
#define WIDE (16 / int(sizeof(REAL)))       // numbers of one wide load
#define SPAN (WIDE / 2)                     // a thread's coordinates of a slice of the second product
#define DEPTH (16 * SPAN)
#define STRIDE (TILE + WIDE)

struct __align__(16) Wide { REAL v[WIDE]; };

// The kernel of the tile at (row, column), and what its rows sum to; columns from `end` on have no weight.
template <bool SLOPES>
__device__ __forceinline__ void take_tile(const REAL* x, const REAL* y, const REAL* b, const REAL* constants,
        int scales, int n, int m, int d, int row, int column, int end, REAL (&value)[16], REAL (&slope)[16],
        REAL (&weight)[4]) {
    REAL s[4][4], flat[16];
    tile_distances<REAL, SLOPES ? SLICE : 16>(x, y, n, m, d, row, column, s);
    #pragma unroll
    for (int t = 0; t < 16; t++) flat[t] = s[t / 4][t % 4];
    profile<16, SLOPES>(flat, constants, scales, value, slope);
    #pragma unroll
    for (int c = 0; c < 4; c++) {
        const int j = column + threadIdx.x % 16 + 16 * c;
        weight[c] = j < end ? b[j] : REAL(0);
    }
}

__device__ __forceinline__ void add_rows(double (&total)[4], const REAL (&value)[16], const REAL (&weight)[4],
                                         double times) {
    #pragma unroll
    for (int a = 0; a < 4; a++) {
        REAL sum = 0;
        #pragma unroll
        for (int c = 0; c < 4; c++) sum = fma(weight[c], value[4 * a + c], sum);
        total[a] += times * double(sum);
    }
}

__device__ __forceinline__ void write_rows(double (&total)[4], int n, int row, double* part) {
    #pragma unroll
    for (int a = 0; a < 4; a++) {
        #pragma unroll
        for (int lane = 8; lane > 0; lane /= 2) total[a] += __shfl_xor_sync(0xffffffffu, total[a], lane);
        const int i = row + threadIdx.x / 16 + 16 * a;
        if (threadIdx.x % 16 == 0 && i < n) part[(long long)blockIdx.y * n + i] = total[a];
    }
}

// As in kernel_sum.cu: block (i, s) takes 64 rows and the columns of run s.
extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_rows(const REAL* __restrict__ x,
        const REAL* __restrict__ y, const REAL* __restrict__ b, const REAL* __restrict__ constants, int scales, int n,
        int m, int d, int run, int once, double* __restrict__ part) {
    const int row = blockIdx.x * TILE, begin = blockIdx.y * run, end = min(begin + run, m);
    double total[4] = {};
    for (int column = once ? max(begin, row) : begin; column < end; column += TILE) {
        REAL value[16], slope[16], weight[4];
        take_tile<false>(x, y, b, constants, scales, n, m, d, row, column, end, value, slope, weight);
        add_rows(total, value, weight, once && column > row ? 2.0 : 1.0);
    }
    write_rows(total, n, row, part);
}

// slopes (splits, n, d) is added to tile by tile, in float64, each entry by the one thread that it belongs to.
extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_gradients(const REAL* __restrict__ x,
        const REAL* __restrict__ y, const REAL* __restrict__ b, const REAL* __restrict__ constants, int scales, int n,
        int m, int d, int run, double* __restrict__ part, double* __restrict__ slopes) {
    __shared__ __align__(16) REAL pulls[TILE][STRIDE];
    __shared__ __align__(16) REAL points[DEPTH][STRIDE];
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const int row = blockIdx.x * TILE, begin = blockIdx.y * run, end = min(begin + run, m);
    double total[4] = {};
    for (int column = begin; column < end; column += TILE) {
        {
            REAL value[16], slope[16], weight[4];
            take_tile<true>(x, y, b, constants, scales, n, m, d, row, column, end, value, slope, weight);
            add_rows(total, value, weight, 1.0);
            #pragma unroll
            for (int t = 0; t < 16; t++) pulls[ty + 16 * (t / 4)][tx + 16 * (t % 4)] = weight[t % 4] * slope[t];
        }
        for (int first = 0; first < d; first += DEPTH) {
            const int width = min(DEPTH, d - first);
            __syncthreads();  // `pulls` is written, the slice before has been read by all
            for (int t = threadIdx.x; t < TILE * width; t += THREADS)
                points[t % width][t / width] = y[(long long)min(column + t / width, m - 1) * d + first + t % width];
            __syncthreads();
            REAL own[4][SPAN], sum[4][SPAN];
            #pragma unroll
            for (int a = 0; a < 4; a++)
                #pragma unroll
                for (int c = 0; c < SPAN; c++) {
                    const int i = min(row + ty + 16 * a, n - 1), k = min(first + tx + 16 * c, d - 1);
                    own[a][c] = x[(long long)i * d + k];
                    sum[a][c] = 0;
                }
            #pragma unroll 2
            for (int j = 0; j < TILE; j += WIDE) {
                Wide pull[4], point[SPAN];
                #pragma unroll
                for (int a = 0; a < 4; a++) pull[a] = *(const Wide*)&pulls[ty + 16 * a][j];
                #pragma unroll
                for (int c = 0; c < SPAN; c++) point[c] = *(const Wide*)&points[tx + 16 * c][j];
                #pragma unroll
                for (int q = 0; q < WIDE; q++)
                    #pragma unroll
                    for (int a = 0; a < 4; a++)
                        #pragma unroll
                        for (int c = 0; c < SPAN; c++)
                            sum[a][c] = fma(pull[a].v[q], arm(own[a][c], point[c].v[q]), sum[a][c]);
            }
            #pragma unroll
            for (int a = 0; a < 4; a++)
                #pragma unroll
                for (int c = 0; c < SPAN; c++) {
                    const int i = row + ty + 16 * a, k = first + tx + 16 * c;
                    if (i >= n || k >= d) continue;
                    double* place = slopes + ((long long)blockIdx.y * n + i) * d + k;
                    *place = (column == begin ? 0.0 : *place) + double(sum[a][c]);
                }
        }
    }
    write_rows(total, n, row, part);
}

// The kernel of the pairs of x from (top, left) on, (height, width).
extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_tile(const REAL* __restrict__ x,
        const REAL* __restrict__ constants, int scales, int n, int d, int top, int left, int height, int width,
        REAL* __restrict__ out) {
    const int row = blockIdx.y * TILE, column = blockIdx.x * TILE;
    REAL s[4][4], flat[16], value[16], slope[16];
    tile_distances<REAL, 16>(x, x, n, n, d, top + row, left + column, s);
    #pragma unroll
    for (int t = 0; t < 16; t++) flat[t] = s[t / 4][t % 4];
    profile<16, false>(flat, constants, scales, value, slope);
    #pragma unroll
    for (int t = 0; t < 16; t++) {
        const int i = row + threadIdx.x / 16 + 16 * (t / 4), j = column + threadIdx.x % 16 + 16 * (t % 4);
        if (i < height && j < width) out[(long long)i * width + j] = value[t];
    }
}
