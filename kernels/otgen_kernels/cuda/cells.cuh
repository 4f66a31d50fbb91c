// What the kernels of cells share: scores are float32, descending, of equal ones the lowest index first.
#include "dynamic.cuh"

#define FULL 0xffffffffu
#define LOW (-1e30f)

__device__ __forceinline__ bool above(float s, int j, float t, int k) { return s > t || (s == t && j < k); }

// Puts (s, j) in its place in a descending list of `keep`, entries `stride` apart, if it belongs there: before the last
// one, and within reach of the first.
__device__ __forceinline__ void offer(float* score, int* index, int stride, int keep, float reach, float s, int j) {
    int at = keep - 1;
    if (!above(s, j, score[at * stride], index[at * stride]) || s <= score[0] - reach) return;
    #pragma unroll 1
    for (; at > 0 && above(s, j, score[(at - 1) * stride], index[(at - 1) * stride]); at--) {
        score[at * stride] = score[(at - 1) * stride];
        index[at * stride] = index[(at - 1) * stride];
    }
    score[at * stride] = s;
    index[at * stride] = j;
}
