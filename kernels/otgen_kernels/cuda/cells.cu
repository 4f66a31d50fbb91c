// The highest <x_i, y_j> + t_j of every row in high dimension: products of tiles on tensor cores, compared in registers.
//
// A block of 8 warps has 256 rows and goes through its run of sites, 128 at a time; a warp has 64 rows and 64 of the
// sites, that is 128 sums a thread. Coordinates come in slices of 16 through a ring of 4 stages, copied beside the
// arithmetic, one barrier a slice; rows stay in shared memory where they fit (`held`), and are copied anew where not.
//
// A tile at d = 64, a warp, PASSES = 1: 256 mma (16 x 8 x 8), the same number of additions and of maxima a thread
// behind them, and 8 k x 32 reads of 4 bytes. At 4 mma cycles a piece, the chip's peak, shared memory is read at
// 8 warps x 8 k x 32 reads x 128 bytes in 2 x 1,024 cycles, 128 bytes a cycle, all that there is; mma.sync is known to
// reach less than two thirds of that peak, where reads take less than 80. A slice of 64 mma is 210 instructions, so
// that two warps leave an issue slot in two free at that rate. From device memory or L2 come 32 KB of sites a tile,
// 10 bytes a cycle (rows that are not held: 20 more). PASSES = 3 has three mma for each, and 600 instructions in a slice
// of 192, a third of which split 64 numbers; shared memory is idle three quarters of the time.
//
// x (rows padded to 256, d) and y (sites padded to 128, d), d padded to 16, all with zeros; term (sites padded), 2 LOW
// in the padding. For PASSES = 1 the operands are rounded to TF32 beforehand.
// compiled for PASSES: 1 3
#include "cells.cuh"
#include "products.cuh"

// Sites are shared out over blockIdx.y in runs, whole tiles; scores and indices are (splits, rows).
extern "C" __global__ void __launch_bounds__(256, 1) best(const float* __restrict__ x, const float* __restrict__ y,
        const float* __restrict__ term, int rows, int n, int d, int run, int held, float* __restrict__ scores,
        int* __restrict__ indices) {
    DYNAMIC_SHARED(float, room);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    float highest[8];
    int at[8];
    #pragma unroll
    for (int r = 0; r < 8; r++) highest[r] = LOW, at[r] = 0;
    scan(room, x, y, term, n, d, run, held, [&](const float (&c)[4][8][4], int first) {
        #pragma unroll
        for (int r = 0; r < 8; r++) {
            const float s = highest_of(c, r / 2, r % 2);
            if (!(s > highest[r])) continue;  // mostly: the best of k tiles changes about log k times
            highest[r] = s;
            #pragma unroll
            for (int b = 7; b >= 0; b--) {  // down: the first of equals stays
                if (c[r / 2][b][r % 2 * 2 + 1] == s) at[r] = first + 8 * b + 1;
                if (c[r / 2][b][r % 2 * 2] == s) at[r] = first + 8 * b;
            }
        }
    });
    __syncthreads();  // all stages have been read
    Two* other = (Two*)room;  // what the warps of the upper sites found for a row
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        #pragma unroll
        for (int by = 1; by < 4; by *= 2) {
            const float s = __shfl_xor_sync(FULL, highest[r], by);
            const int j = __shfl_xor_sync(FULL, at[r], by);
            if (above(s, j, highest[r], at[r])) highest[r] = s, at[r] = j;
        }
        if (t == 0 && warp >= 4) other[warp % 4 * 64 + 8 * r + g] = {highest[r], __int_as_float(at[r])};
    }
    __syncthreads();
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        const int own = warp % 4 * 64 + 8 * r + g;
        const long long i = (long long)blockIdx.x * ROWS + own;
        if (t != 0 || warp >= 4 || i >= rows) continue;
        const float s = other[own].x;
        const int j = __float_as_int(other[own].y);
        if (above(s, j, highest[r], at[r])) highest[r] = s, at[r] = j;
        scores[(long long)blockIdx.y * rows + i] = highest[r];
        indices[(long long)blockIdx.y * rows + i] = at[r];
    }
}

// As best, but for the `keep` highest within reach: lists (2 splits, rows, keep), one of the lower 64 sites of every
// tile and one of the upper ones, each in the shared memory of the four lanes that have the row, who write in turn.
extern "C" __global__ void __launch_bounds__(256, 1) top(const float* __restrict__ x, const float* __restrict__ y,
        const float* __restrict__ term, int rows, int n, int d, int run, int held, int keep, float reach,
        float* __restrict__ scores, int* __restrict__ indices) {
    DYNAMIC_SHARED(float, room);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    float* lists = room + STAGES * SITE_STAGE + (held ? d / SLICE : STAGES) * ROW_STAGE;
    for (int k = threadIdx.x; k < 2 * ROWS * keep; k += THREADS)
        lists[k] = LOW, ((int*)lists)[2 * ROWS * keep + k] = 0;  // seen by all after the first barrier of `scan`
    float* score = lists + (warp / 4 * ROWS + warp % 4 * 64 + g) * keep;
    int* index = (int*)score + 2 * ROWS * keep;
    float bar[8];
    #pragma unroll
    for (int r = 0; r < 8; r++) bar[r] = LOW;
    scan(room, x, y, term, n, d, run, held, [&](const float (&c)[4][8][4], int first) {
        #pragma unroll
        for (int r = 0; r < 8; r++) {
            const bool hit = highest_of(c, r / 2, r % 2) > bar[r];  // equal ones of earlier tiles have lower indices
            if (!__any_sync(FULL, hit)) continue;
            float* own = score + 8 * r * keep;
            float s[16];  // in local memory, which is asked by number: unrolled, the code would leave its cache
            unsigned above_bar = 0u;
            #pragma unroll
            for (int k = 0; k < 16; k++) {
                s[k] = c[r / 2][k / 2][r % 2 * 2 + k % 2];
                above_bar |= (unsigned)(s[k] > bar[r]) << k;
            }
            #pragma unroll 1
            for (int turn = 0; turn < 4; turn++) {
                if (t == turn)
                    #pragma unroll 1
                    for (; above_bar; above_bar &= above_bar - 1u) {
                        const int k = __ffs(above_bar) - 1;
                        offer(own, index + 8 * r * keep, 1, keep, reach, s[k], first + k / 2 * 8 + k % 2);
                    }
                __syncwarp();
            }
            bar[r] = fmaxf(own[keep - 1], own[0] - reach);
            __syncwarp();
        }
    });
    __syncwarp();
    for (int r = 0; r < 8; r++) {
        const long long i = (long long)blockIdx.x * ROWS + warp % 4 * 64 + 8 * r + g;
        if (i >= rows) continue;
        for (int k = t; k < keep; k += 4) {
            const long long place = ((blockIdx.y * 2 + warp / 4) * (long long)rows + i) * keep + k;
            scores[place] = score[8 * r * keep + k];
            indices[place] = index[8 * r * keep + k];
        }
    }
}
