// Products of tiles in high dimension on tensor cores, in split TF32, handed over in registers: c = <x_i, y_j> + t_j.
//
// Its arithmetic is reckoned in cells.cu. PASSES is the number of products: 3 of a split, or 1.
#include "copy.cuh"
#include "mma.cuh"

#include "dynamic.cuh"

#define THREADS 256
#define ROWS 256
#define SITES 128
#define SLICE 16
#define STAGES 4
#define PLANE(points) ((points) * 4 + 8)  // 4 coordinates of each; 8 floats more set the planes on other banks
#define SITE_STAGE (4 * PLANE(SITES) + SITES)  // four planes, and the terms
#define ROW_STAGE (4 * PLANE(ROWS))

struct __align__(8) Two { float x, y; };

// Starts the copy of coordinates first..first+15 of the points: (plane, point, 4), so that the 32 lanes of an operand,
// 8 points by 4 coordinates, read 32 banks.
template <int POINTS>
__device__ __forceinline__ void copy_slice(float* stage, const float* from, int d, int first) {
    const int plane = threadIdx.x % 4, point = threadIdx.x / 4;
    float* to = stage + plane * PLANE(POINTS) + point * 4;
    from += (long long)point * d + first + plane * 4;
    #pragma unroll
    for (int p = 0; p < POINTS; p += THREADS / 4) copy_16(to + p * 4, from + (long long)p * d);
}

// high + low = v to 2^-22 |v|, half of which goes to the cut of the tensor cores. Two integer additions, a mask and a
// subtraction: the instruction that rounds to TF32 becomes twice as many, because of numbers that are not finite.
__device__ __forceinline__ void halves(float v, float& high, float& low) {
    high = __uint_as_float((__float_as_uint(v) + 0x1000u) & 0xffffe000u);
    low = __uint_as_float(__float_as_uint(v - high) + 0x1000u);
}

// c += the products of 8 coordinates, two planes. rows and sites point to those of this lane, g and t of mma.cuh.
__device__ __forceinline__ void multiply(float (&c)[4][8][4], const float* rows, const float* sites) {
    float a[4][4], a_low[4][4];
    #pragma unroll
    for (int m = 0; m < 4; m++)
        #pragma unroll
        for (int k = 0; k < 4; k++) {
            a[m][k] = rows[k / 2 * PLANE(ROWS) + (16 * m + k % 2 * 8) * 4];
            if (PASSES == 3) halves(a[m][k], a[m][k], a_low[m][k]);
        }
    #pragma unroll
    for (int b = 0; b < 8; b++) {
        float high[2] = {sites[8 * b * 4], sites[PLANE(SITES) + 8 * b * 4]}, low[2];
        if (PASSES == 3) {
            halves(high[0], high[0], low[0]);
            halves(high[1], high[1], low[1]);
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
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
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
                    copy_16(stage + 4 * PLANE(SITES) + threadIdx.x * 4, term + next_site + threadIdx.x * 4);
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
            for (int pair = 0; pair < 4; pair += 2)
                multiply(c, row_stage + pair * PLANE(ROWS) + lane + warp % 4 * 64 * 4,  // lane = 4 g + t
                         stage + pair * PLANE(SITES) + lane + warp / 4 * 64 * 4);
            now = (now + 1) % STAGES;
        }
        const int first = warp / 4 * 64 + 2 * (lane % 4);
        #pragma unroll
        for (int b = 0; b < 8; b++) {
            const Two v = *(const Two*)(stage + 4 * PLANE(SITES) + first + 8 * b);
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
