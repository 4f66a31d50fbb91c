// The largest z and the sum of 2^z of each row from products, z_ij = h_j - k |x_i - y_j|^2 in bits, in float32:
//
//   z_ij = 2 k (<x_i, y_j> + term_j) + (top - k |x_i|^2),   2 k term_j = h_j - k |y_j|^2 - top,
//
// the brackets by tensor cores in split TF32 and one addition, as the pairs of a warp's 64 x 64 tile come out of them;
// the last term in float64 at the end. A thread has 8 rows and 16 columns of a tile: for each row a maximum, and where
// it rises, mostly in the first tiles, a rescaling; then for each pair
//   1 add (the term), 1 max, 1 subtract, 1 multiply, 1 ex2, 1 add
// behind 3 d products; at d = 64 the tensor cores take 192 a pair, 1,024 a cycle at their peak: 5.3 pairs a cycle,
// against 16 of the ex2 unit and 21 of the issue: 1.2e12 pairs/s on 132 SMs of 1.755 GHz, and about 0.6 of that for
// mma.sync. Rounding: 2^-22 of 2 k |x_i| |y_j| and of the terms by the split; and a tensor core cuts what it sums
// where float32 rounds it, 3 d / 8 times, each by 2^-23 of the sum at most: in all about 2^-20 at d = 64, mostly of one
// sign. Powers are added up in float32 sixteen at a time, in float64 beyond.
#include "soft.cuh"
#include "fast.cuh"
#define PASSES 3
#include "products.cuh"

#define NEVER (-3e30f)  // below the terms that pad the columns, -2e30

// x (rows padded to 256, d), y (m padded to 128, d), d padded to 16, with zeros; term (m padded), with -2e30; halves
// (rows,) are |x_i|^2 / 2, twice is 2 k. Block (i, s) takes a run of columns and writes row s of peaks, totals
// (splits, rows).
extern "C" __global__ void __launch_bounds__(256, 1) total(const float* __restrict__ x, const float* __restrict__ y,
        const float* __restrict__ term, const double* __restrict__ top, const double* __restrict__ halves, double twice,
        int rows, int m, int d, int run, int held, double* __restrict__ peaks, double* __restrict__ totals) {
    DYNAMIC_SHARED(float, room);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const float scale = float(twice);
    float peak[8];
    double sum[8];
    #pragma unroll
    for (int r = 0; r < 8; r++) peak[r] = NEVER, sum[r] = 0.0;
    scan(room, x, y, term, m, d, run, held, [&](const float (&c)[4][8][4], int) {
        #pragma unroll
        for (int r = 0; r < 8; r++) {
            const float highest = highest_of(c, r / 2, r % 2);
            if (highest > peak[r]) {
                sum[r] *= double(fast_exp2((peak[r] - highest) * scale));
                peak[r] = highest;
            }
            float part = 0.0f;
            #pragma unroll
            for (int b = 0; b < 8; b++)
                #pragma unroll
                for (int e = 0; e < 2; e++) part += fast_exp2((c[r / 2][b][r % 2 * 2 + e] - peak[r]) * scale);
            sum[r] += double(part);
        }
    });
    __syncthreads();  // all stages have been read
    double* other = (double*)room;  // what the warps of the upper columns found for a row
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        #pragma unroll
        for (int by = 1; by < 4; by *= 2) {
            const float p = __shfl_xor_sync(EVERY_LANE, peak[r], by), most = fmaxf(p, peak[r]);
            const double s = __shfl_xor_sync(EVERY_LANE, sum[r], by);
            sum[r] = sum[r] * double(fast_exp2((peak[r] - most) * scale)) + s * double(fast_exp2((p - most) * scale));
            peak[r] = most;
        }
        const int own = warp % 4 * 64 + 8 * r + g;
        if (t == 0 && warp >= 4) other[own] = sum[r], other[ROWS + own] = double(peak[r]);
    }
    __syncthreads();
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        const int own = warp % 4 * 64 + 8 * r + g;
        const long long i = (long long)blockIdx.x * ROWS + own, at = (long long)blockIdx.y * rows + i;
        if (t != 0 || warp >= 4 || i >= rows) continue;
        const float p = float(other[ROWS + own]), most = fmaxf(p, peak[r]);
        totals[at] = sum[r] * double(fast_exp2((peak[r] - most) * scale))
                   + other[own] * double(fast_exp2((p - most) * scale));
        peaks[at] = twice * (double(most) + *top - halves[i]);
    }
}
