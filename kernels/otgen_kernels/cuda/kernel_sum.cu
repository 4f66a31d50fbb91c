// Sums of a kernel over all pairs in few dimensions: a thread has its rows in registers and walks along the columns,
// which lie in shared memory, their coordinates filled up with zeros.
// compiled for REAL: float double; KIND: 0 1 2 3 4 5; DIMS: 4 8
#include "kernel_profile.cuh"

#define THREADS 128
#define ROWS (DIMS == 8 && sizeof(REAL) == 8 ? 1 : 2)  // more does not fit in registers
#define COLUMNS 64
#define PAIRS 4  // columns whose kernel is taken together

// Block (i, s) takes ROWS * THREADS rows and the columns of run s. Its sums go to row s of part (splits, n) and of
// slopes (splits, n, d). Sums within a tile are in the precision of the pairs, over tiles in float64. Where `once`,
// x and y are one cloud and so are the weights' two sides: pairs below the block's rows are left to other blocks, those
// above count twice.
template <bool GRADIENT>
__device__ __forceinline__ void sum_rows(const REAL* __restrict__ x, const REAL* __restrict__ y,
        const REAL* __restrict__ b, const REAL* __restrict__ constants, int scales, int n, int m, int d, int run,
        int once, double* __restrict__ part, double* __restrict__ slopes) {
    __shared__ __align__(16) REAL at[COLUMNS][DIMS];
    __shared__ REAL weight[COLUMNS];
    const int thread = threadIdx.x, first = blockIdx.x * ROWS * THREADS;
    const int begin = blockIdx.y * run, end = min(begin + run, m);
    REAL own[ROWS][DIMS];
    double total[ROWS], gradient[ROWS][DIMS];
    #pragma unroll
    for (int r = 0; r < ROWS; r++) {
        total[r] = 0.0;
        const int i = min(first + r * THREADS + thread, n - 1);
        #pragma unroll
        for (int k = 0; k < DIMS; k++) {
            own[r][k] = k < d ? x[(long long)i * d + k] : REAL(0);
            gradient[r][k] = 0.0;
        }
    }
    for (int column = begin; column < end; column += COLUMNS) {
        if (once && column < first) continue;
        __syncthreads();  // the tile before has been read by all
        for (int t = thread; t < COLUMNS * DIMS; t += THREADS) {
            const int j = column + t / DIMS, k = t % DIMS;
            at[t / DIMS][k] = j < end && k < d ? y[(long long)j * d + k] : REAL(0);
        }
        if (thread < COLUMNS) weight[thread] = column + thread < end ? b[column + thread] : REAL(0);
        __syncthreads();
        REAL sum[ROWS], moved[ROWS][DIMS];
        #pragma unroll
        for (int r = 0; r < ROWS; r++) {
            sum[r] = 0;
            #pragma unroll
            for (int k = 0; k < DIMS; k++) moved[r][k] = 0;
        }
        #pragma unroll 1
        for (int j = 0; j < COLUMNS; j += PAIRS) {
            REAL s[ROWS * PAIRS], value[ROWS * PAIRS], slope[ROWS * PAIRS];
            #pragma unroll
            for (int q = 0; q < PAIRS; q++)
                #pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    s[r * PAIRS + q] = 0;
                    #pragma unroll
                    for (int k = 0; k < DIMS; k++) s[r * PAIRS + q] = joined(s[r * PAIRS + q], own[r][k], at[j + q][k]);
                }
            profile<ROWS * PAIRS, GRADIENT>(s, constants, scales, value, slope);
            #pragma unroll
            for (int q = 0; q < PAIRS; q++)
                #pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const REAL w = weight[j + q];
                    sum[r] = fma(w, value[r * PAIRS + q], sum[r]);
                    if (!GRADIENT) continue;
                    const REAL pull = w * slope[r * PAIRS + q];
                    #pragma unroll
                    for (int k = 0; k < DIMS; k++) moved[r][k] = fma(pull, arm(own[r][k], at[j + q][k]), moved[r][k]);
                }
        }
        const double times = once && column >= first + ROWS * THREADS ? 2.0 : 1.0;
        #pragma unroll
        for (int r = 0; r < ROWS; r++) {
            total[r] += times * double(sum[r]);
            if (!GRADIENT) continue;
            #pragma unroll
            for (int k = 0; k < DIMS; k++) gradient[r][k] += double(moved[r][k]);
        }
    }
    #pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int i = first + r * THREADS + thread;
        if (i >= n) continue;
        const long long place = (long long)blockIdx.y * n + i;
        part[place] = total[r];
        if (!GRADIENT) continue;
        #pragma unroll
        for (int k = 0; k < DIMS; k++)
            if (k < d) slopes[place * d + k] = gradient[r][k];
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 4) kernel_rows(const REAL* __restrict__ x,
        const REAL* __restrict__ y, const REAL* __restrict__ b, const REAL* __restrict__ constants, int scales, int n,
        int m, int d, int run, int once, double* __restrict__ part) {
    sum_rows<false>(x, y, b, constants, scales, n, m, d, run, once, part, nullptr);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_gradients(const REAL* __restrict__ x,
        const REAL* __restrict__ y, const REAL* __restrict__ b, const REAL* __restrict__ constants, int scales, int n,
        int m, int d, int run, double* __restrict__ part, double* __restrict__ slopes) {
    sum_rows<true>(x, y, b, constants, scales, n, m, d, run, 0, part, slopes);
}
