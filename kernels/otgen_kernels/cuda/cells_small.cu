// The highest <x, y_j> + t_j of every row in low dimension: rows in registers, sites in shared memory, each read once
// for all rows of a warp. A pair costs DIM multiply-adds and a maximum; four sites are then compared at once.
// compiled for DIM: 1 2 3 4 5 6 7 8
#include "cells.cuh"

#define THREADS 128
#define WIDTH ((DIM + 4) / 4 * 4)

struct __align__(16) Site { float v[WIDTH]; };  // the coordinates, then the term

// The sites `first` and on, whole blocks of them; beyond `end` stand ones that are never the highest.
__device__ __forceinline__ void load_sites(Site* sites, const float* y, const float* term, int first, int end) {
    const int j = first + threadIdx.x;
    __syncthreads();  // those before have been read by all
    #pragma unroll
    for (int c = 0; c < DIM; c++) sites[threadIdx.x].v[c] = j < end ? y[(long long)j * DIM + c] : 0.0f;
    sites[threadIdx.x].v[DIM] = j < end ? term[j] : 2.0f * LOW;
    __syncthreads();
}

// Scores of 4 sites and ROWS rows.
template <int ROWS>
__device__ __forceinline__ void scores_of(const Site* sites, const float u[ROWS][DIM], float s[ROWS][4]) {
    #pragma unroll
    for (int b = 0; b < 4; b++) {
        const Site site = sites[b];
        #pragma unroll
        for (int a = 0; a < ROWS; a++) {
            s[a][b] = site.v[DIM];
            #pragma unroll
            for (int c = 0; c < DIM; c++) s[a][b] = fmaf(u[a][c], site.v[c], s[a][b]);
        }
    }
}

template <int ROWS>
__device__ __forceinline__ void load_rows(const float* x, int rows, float u[ROWS][DIM]) {
    #pragma unroll
    for (int a = 0; a < ROWS; a++) {
        const int i = min((int)(blockIdx.x * ROWS + a) * THREADS + (int)threadIdx.x, rows - 1);
        #pragma unroll
        for (int c = 0; c < DIM; c++) u[a][c] = x[(long long)i * DIM + c];
    }
}

// Sites are shared out over blockIdx.y in runs; scores and indices are (splits, rows).
extern "C" __global__ void __launch_bounds__(128) best(const float* __restrict__ x, const float* __restrict__ y,
        const float* __restrict__ term, int rows, int n, int run, float* __restrict__ scores,
        int* __restrict__ indices) {
    constexpr int ROWS = 4;
    __shared__ Site sites[THREADS];
    const int begin = blockIdx.y * run, end = min(begin + run, n);
    float u[ROWS][DIM], s[ROWS][4], highest[ROWS];
    int at[ROWS];
    load_rows<ROWS>(x, rows, u);
    #pragma unroll
    for (int a = 0; a < ROWS; a++) highest[a] = LOW, at[a] = 0;
    for (int first = begin; first < end; first += THREADS) {
        load_sites(sites, y, term, first, end);
        for (int k = 0; k < THREADS; k += 4) {
            scores_of<ROWS>(sites + k, u, s);
            #pragma unroll
            for (int a = 0; a < ROWS; a++)
                if (fmaxf(fmaxf(s[a][0], s[a][1]), fmaxf(s[a][2], s[a][3])) > highest[a])
                    #pragma unroll
                    for (int b = 0; b < 4; b++)
                        if (s[a][b] > highest[a]) highest[a] = s[a][b], at[a] = first + k + b;  // the first of equals
        }
    }
    #pragma unroll
    for (int a = 0; a < ROWS; a++) {
        const int i = (blockIdx.x * ROWS + a) * THREADS + threadIdx.x;
        if (i >= rows) continue;
        scores[(long long)blockIdx.y * rows + i] = highest[a];
        indices[(long long)blockIdx.y * rows + i] = at[a];
    }
}

// As best, but for the `keep` highest within reach: lists (splits, rows, keep), each thread's in its own shared memory.
extern "C" __global__ void __launch_bounds__(128, 8) top(const float* __restrict__ x, const float* __restrict__ y,
        const float* __restrict__ term, int rows, int n, int run, int keep, float reach, float* __restrict__ scores,
        int* __restrict__ indices) {
    constexpr int ROWS = 2;
    DYNAMIC_SHARED(float, lists);  // scores (keep, ROWS, THREADS), then indices
    __shared__ Site sites[THREADS];
    const int begin = blockIdx.y * run, end = min(begin + run, n), stride = ROWS * THREADS;
    float* score = lists + threadIdx.x;
    int* index = (int*)(lists + keep * stride) + threadIdx.x;
    float u[ROWS][DIM], s[ROWS][4], bar[ROWS];
    load_rows<ROWS>(x, rows, u);
    #pragma unroll
    for (int a = 0; a < ROWS; a++) bar[a] = LOW;
    for (int t = 0; t < keep * ROWS; t++) score[t * THREADS] = LOW, index[t * THREADS] = 0;
    for (int first = begin; first < end; first += THREADS) {
        load_sites(sites, y, term, first, end);
        for (int k = 0; k < THREADS; k += 4) {
            scores_of<ROWS>(sites + k, u, s);
            #pragma unroll
            for (int a = 0; a < ROWS; a++) {
                if (!(fmaxf(fmaxf(s[a][0], s[a][1]), fmaxf(s[a][2], s[a][3])) > bar[a])) continue;
                float* own = score + a * THREADS;
                #pragma unroll
                for (int b = 0; b < 4; b++)
                    offer(own, index + a * THREADS, stride, keep, reach, s[a][b], first + k + b);
                bar[a] = fmaxf(own[(keep - 1) * stride], own[0] - reach);
            }
        }
    }
    #pragma unroll
    for (int a = 0; a < ROWS; a++) {
        const int i = (blockIdx.x * ROWS + a) * THREADS + threadIdx.x;
        if (i >= rows) continue;
        for (int t = 0; t < keep; t++) {
            const long long place = ((long long)blockIdx.y * rows + i) * keep + t;
            scores[place] = score[t * stride + a * THREADS];
            indices[place] = index[t * stride + a * THREADS];
        }
    }
}
