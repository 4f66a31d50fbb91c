// Products of tiles in high dimension on tensor cores, in split TF32, handed over in registers: c = <x_i, y_j> + t_j.
//
// The main loop of cells.cu, where its arithmetic is reckoned; PASSES is the number of products: 3 of a split, or 1.
#include "copy.cuh"
#include "mma.cuh"

#ifndef OTGEN_EMULATED
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) unsigned char name##_bytes[]; \
    type* name = (type*)name##_bytes
#endif

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
