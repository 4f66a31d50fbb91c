// The highest <x_i, y_j> + t_j of every row in high dimension: products of tiles on tensor cores, compared in registers.
//
// A block of 8 warps has 256 rows and goes through its run of sites, 128 at a time; a warp has 64 rows and 64 of the
// sites, that is 128 sums a thread. Coordinates come in slices of 16 through a ring of 4 stages, copied beside the
// arithmetic, one barrier a slice; rows stay in shared memory where they fit (`held`), and are copied anew where not.
//
// A tile at d = 64, a warp, PASSES = 1: 256 mma (16 x 8 x 8), the same number of additions and of maxima a thread
// behind them, and 8 k x (8 + 8) reads of 8 bytes. At 4 mma cycles a piece, the chip's peak, shared memory is read at
// 8 warps x 8 k x 16 reads x 256 bytes in 2 x 1,024 cycles, 128 bytes a cycle, all that there is; mma.sync is known to
// reach less than two thirds of that peak, where reads take less than 80. From device memory or L2 come 32 KB of sites
// a tile, 10 bytes a cycle at that rate (rows that are not held: 20 more). PASSES = 3 has three mma and two thirds of
// a split (cvt, subtract, cvt) for each: memory is idle two thirds of the time.
//
// x (rows padded to 256, d) and y (sites padded to 128, d), d padded to 16, all with zeros; term (sites padded), 2 LOW
// in the padding. For PASSES = 1 the operands are rounded to TF32 beforehand.
// compiled for PASSES: 1 3
#include "cells.cuh"
#include "copy.cuh"
#include "mma.cuh"

#define THREADS 256
#define ROWS 256
#define SITES 128
#define SLICE 16
#define STAGES 4
#define PART(points) ((points) * 8 + 16)  // 8 coordinates of each; 16 floats more set the two parts on other banks
#define SITE_STAGE (2 * PART(SITES) + SITES)  // two parts, and the terms
#define ROW_STAGE (2 * PART(ROWS))

struct __align__(8) Two { float x, y; };

// Starts the copy of coordinates first..first+15 of `points` points: (part, point, 8).
template <int POINTS>
__device__ __forceinline__ void copy_slice(float* stage, const float* from, int d, int first) {
    #pragma unroll
    for (int t = threadIdx.x; t < POINTS * 4; t += THREADS) {
        const int point = t / 4, quarter = t % 4;
        copy_16(stage + quarter / 2 * PART(POINTS) + point * 8 + quarter % 2 * 4,
                from + (long long)point * d + first + quarter * 4);
    }
}

// c += the products of 8 coordinates. Which of them is k of the mma does not matter while both operands agree: lane t of
// a quad has coordinates 2 t and 2 t + 1, one read, as k = t and t + 4.
__device__ __forceinline__ void multiply(float (&c)[4][8][4], const float* rows, const float* sites, int g, int t) {
    float a[4][4], a_low[4][4];
    #pragma unroll
    for (int m = 0; m < 4; m++)
        #pragma unroll
        for (int half = 0; half < 2; half++) {
            const Two v = *(const Two*)(rows + (16 * m + 8 * half + g) * 8 + 2 * t);
            a[m][half] = v.x, a[m][half + 2] = v.y;
            if (PASSES == 3) {
                split_tf32(v.x, a[m][half], a_low[m][half]);
                split_tf32(v.y, a[m][half + 2], a_low[m][half + 2]);
            }
        }
    #pragma unroll
    for (int b = 0; b < 8; b++) {
        const Two v = *(const Two*)(sites + (8 * b + g) * 8 + 2 * t);
        float high[2] = {v.x, v.y}, low[2];
        if (PASSES == 3) {
            split_tf32(v.x, high[0], low[0]);
            split_tf32(v.y, high[1], low[1]);
            // One term of all rows after the other: a sum is touched again four mma later.
            #pragma unroll
            for (int m = 0; m < 4; m++) mma_16x8x8(c[m][b], a_low[m], high);
            #pragma unroll
            for (int m = 0; m < 4; m++) mma_16x8x8(c[m][b], a[m], low);
        }
        #pragma unroll
        for (int m = 0; m < 4; m++) mma_16x8x8(c[m][b], a[m], high);
    }
}

// Goes through the sites of this block: `tile(c, terms, first)` gets the sums c of each 64 x 64 pairs of a warp, the
// terms of its sites and the first of these.
template <typename Tile>
__device__ __forceinline__ void scan(float* room, const float* x, const float* y, const float* term, int n, int d,
                                     int run, int held, Tile tile) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const int begin = blockIdx.y * run, end = min(begin + run, n), slices = d / SLICE;
    float* row_room = room + STAGES * SITE_STAGE;
    const float* own_x = x + (long long)blockIdx.x * ROWS * d;
    int next_site = begin, next_slice = 0, next_stage = 0;

    const auto load = [&]() {
        if (next_site < end) {
            float* stage = room + next_stage * SITE_STAGE;
            copy_slice<SITES>(stage, y + (long long)next_site * d, d, next_slice * SLICE);
            if (!held || next_site == begin)
                copy_slice<ROWS>(row_room + (held ? next_slice : next_stage) * ROW_STAGE, own_x, d, next_slice * SLICE);
            if (++next_slice == slices) {  // the terms come with the last slice: they are added to its sums
                if (threadIdx.x < SITES / 4)
                    copy_16(stage + 2 * PART(SITES) + threadIdx.x * 4, term + next_site + threadIdx.x * 4);
                next_slice = 0, next_site += SITES;
            }
        }
        next_stage = (next_stage + 1) % STAGES;
        copies_end_group();
    };

    #pragma unroll
    for (int s = 0; s < STAGES - 1; s++) load();
    int now = 0;
    for (int site = begin; site < end; site += SITES) {
        float c[4][8][4];
        #pragma unroll
        for (int m = 0; m < 4; m++)
            #pragma unroll
            for (int b = 0; b < 8; b++)
                #pragma unroll
                for (int e = 0; e < 4; e++) c[m][b][e] = 0.0f;
        const float* stage = room;
        for (int slice = 0; slice < slices; slice++) {
            copies_wait<STAGES - 2>();
            __syncthreads();  // the slice is there for all, and the stage before it has been read by all
            load();
            stage = room + now * SITE_STAGE;
            const float* row_stage = row_room + (held ? slice : now) * ROW_STAGE;
            #pragma unroll
            for (int part = 0; part < 2; part++)
                multiply(c, row_stage + part * PART(ROWS) + warp % 4 * 64 * 8,
                         stage + part * PART(SITES) + warp / 4 * 64 * 8, g, t);
            now = (now + 1) % STAGES;
        }
        const int first = warp / 4 * 64 + 2 * t;
        #pragma unroll
        for (int b = 0; b < 8; b++) {
            const Two v = *(const Two*)(stage + 2 * PART(SITES) + first + 8 * b);
            #pragma unroll
            for (int m = 0; m < 4; m++) {
                c[m][b][0] += v.x, c[m][b][1] += v.y;
                c[m][b][2] += v.x, c[m][b][3] += v.y;
            }
        }
        tile(c, site + first);
    }
}

// The highest of a thread's 16 scores of one row.
__device__ __forceinline__ float highest_of(const float (&c)[4][8][4], int m, int half) {
    float s = fmaxf(c[m][0][2 * half], c[m][0][2 * half + 1]);
    #pragma unroll
    for (int b = 1; b < 8; b++) s = fmaxf(s, fmaxf(c[m][b][2 * half], c[m][b][2 * half + 1]));
    return s;
}

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
        lists[k] = LOW, ((int*)lists)[2 * ROWS * keep + k] = 0;
    __syncthreads();
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
            for (int turn = 0; turn < 4; turn++) {
                if (hit && t == turn)
                    #pragma unroll
                    for (int b = 0; b < 8; b++)
                        #pragma unroll
                        for (int e = 0; e < 2; e++)
                            if (c[r / 2][b][r % 2 * 2 + e] > bar[r])
                                offer(own, index + 8 * r * keep, 1, keep, reach, c[r / 2][b][r % 2 * 2 + e],
                                      first + 8 * b + e);
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
