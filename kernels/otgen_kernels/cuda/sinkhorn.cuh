// What the kernels of a sweep share: the state of the iteration, sums over all blocks, and what a penalty asks for.
#include "block.cuh"

#define MEMORY 5  // secant pairs, as in otgen's iteration

#define CONVERGED 1.0
#define STALLED 2.0

// What is decided on the way, all of it on the device; counts are doubles too, so that the host reads one array.
struct State {
    double value;     // of the semi-dual at the last point that was kept
    double best;      // the least error so far
    double since;     // sweeps since it last fell by a tenth
    double error;     // of the last sweep
    double attained;  // its dual value
    double pairs;     // secant pairs
    double first;     // the slot of the oldest
    double plain;     // 1 where there is a point before: the plain one is at hand, and the next pair can be learnt
    double rejected;  // 1 where this sweep's point was
    double done;      // 0, CONVERGED or STALLED: from then on nothing changes
};

__device__ __forceinline__ int slot(const State& s, int k) { return (int(s.first) + k) % MEMORY; }

// Where a thread begins and how far it goes on: an entry of any array is only ever touched by one thread.
__device__ __forceinline__ int begin() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int stride() { return gridDim.x * blockDim.x; }

// A block leaves its parts of K sums, (K, blocks).
template <int K> __device__ __forceinline__ void leave(double (&v)[K], double* parts) {
    add_up(v);
    if (threadIdx.x == 0)
        for (int k = 0; k < K; k++) parts[k * gridDim.x + blockIdx.x] = v[k];
}

// The K sums, of the parts in their order: the same in every block. The kernels of a sweep have one grid.
template <int K> __device__ __forceinline__ void collect(const double* parts, double (&v)[K]) {
    __shared__ double sums[K];
    const Block block;
    for (int k = block.warp; k < K; k += block.warps) {
        double sum = 0.0;
        for (int s = block.lane; s < gridDim.x; s += 32) sum += parts[k * gridDim.x + s];
        sum = sum_of_warp(sum);
        if (block.lane == 0) sums[k] = sum;
    }
    __syncthreads();
    #pragma unroll
    for (int k = 0; k < K; k++) v[k] = sums[k];
}

__device__ __forceinline__ bool first_thread() { return blockIdx.x == 0 && threadIdx.x == 0; }

// The share of its weight that a point is asked to ship: 1, or exp(-potential / rho) under a penalty.
__device__ __forceinline__ double asked(double potential, double rho) {
    return isinf(rho) ? 1.0 : exp(fmin(-potential / rho, 50.0));
}

// What a point adds to the dual value, for each unit of its weight.
__device__ __forceinline__ double dual_term(double potential, double rho, double most) {
    return isinf(rho) ? potential : -rho * expm1(fmin(-potential / rho, most));
}
