// What follows the search of the highest sites: parts of the sites merged in a fixed order, counts, values.
#include "cells.cuh"

// The highest of all parts of a row, (splits, rows) each, and how many rows each site has: whole numbers, added in any
// order. counts may be null.
extern "C" __global__ void best_merge(const float* __restrict__ part_scores, const int* __restrict__ part_indices,
        int rows, int splits, float* __restrict__ scores, int* __restrict__ indices, long long* __restrict__ counts) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= rows) return;
    float best = part_scores[i];
    int at = part_indices[i];
    for (int s = 1; s < splits; s++) {
        const float v = part_scores[(long long)s * rows + i];
        if (v > best) best = v, at = part_indices[(long long)s * rows + i];  // sites ascend with s
    }
    scores[i] = best;
    indices[i] = at;
    if (counts) atomicAdd((unsigned long long*)counts + at, 1ull);
}

// The lists of all parts of a row, (splits, rows, keep) each, merged into one; `heads` (rows, splits), zeros at first,
// counts what has been taken. Places without a site within reach of the highest hold LOW and site 0.
extern "C" __global__ void top_merge(const float* __restrict__ part_scores, const int* __restrict__ part_indices,
        int rows, int splits, int keep, float reach, int* __restrict__ heads, float* __restrict__ scores,
        int* __restrict__ indices) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= rows) return;
    int* head = heads + (long long)i * splits;
    float bar = LOW;
    for (int t = 0; t < keep; t++) {
        float best = LOW;
        int at = 0, from = -1;
        for (int s = 0; s < splits; s++) {
            if (head[s] >= keep) continue;
            const long long place = ((long long)s * rows + i) * keep + head[s];
            const float v = part_scores[place];
            const int j = part_indices[place];
            if (v > bar && above(v, j, best, at)) best = v, at = j, from = s;
        }
        if (from >= 0) head[from]++;
        if (t == 0) bar = fmaxf(best - reach, LOW);
        scores[(long long)i * keep + t] = best;
        indices[(long long)i * keep + t] = at;
    }
}

// counts[indices[i]] += 1.
extern "C" __global__ void histogram(const int* __restrict__ indices, int rows, long long* __restrict__ counts) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < rows) atomicAdd((unsigned long long*)counts + indices[i], 1ull);
}

// values[i] = <x_i, y_j> + h_j at j = indices[i], a warp a row.
extern "C" __global__ void values_at(const double* __restrict__ x, const double* __restrict__ y,
        const double* __restrict__ h, const long long* __restrict__ indices, int rows, int d,
        double* __restrict__ values) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= rows) return;  // the whole warp
    const long long j = indices[i];
    double s = 0.0;
    for (int c = lane; c < d; c += 32) s = fma(x[(long long)i * d + c], y[j * d + c], s);
    #pragma unroll
    for (int by = 16; by > 0; by /= 2) s += __shfl_xor_sync(FULL, s, by);
    if (lane == 0) values[i] = s + h[j];
}
