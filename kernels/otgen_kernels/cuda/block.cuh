// What the threads of a block find together; all of them call, and all are told.
#define MOST_WARPS 8
#define EVERY_LANE 0xffffffffu

struct Block {
    int lane, warp, warps;
    __device__ Block() : lane(threadIdx.x % 32), warp(threadIdx.x / 32), warps(blockDim.x / 32) {}
};

__device__ __forceinline__ double sum_of_warp(double v) {
    #pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) v += __shfl_xor_sync(EVERY_LANE, v, lane);
    return v;
}

__device__ __forceinline__ double largest_of_warp(double v) {
    #pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) v = fmax(v, __shfl_xor_sync(EVERY_LANE, v, lane));
    return v;
}

// v becomes the sums over all threads, or the largest, in one order; it waits for the block.
template <int K, bool LARGEST>
__device__ __forceinline__ void gather(double (&v)[K]) {
    __shared__ double held[K][MOST_WARPS];
    const Block block;
    __syncthreads();  // what was held before has been read by all
    #pragma unroll
    for (int k = 0; k < K; k++) {
        v[k] = LARGEST ? largest_of_warp(v[k]) : sum_of_warp(v[k]);
        if (block.lane == 0) held[k][block.warp] = v[k];
    }
    __syncthreads();
    #pragma unroll
    for (int k = 0; k < K; k++) {
        v[k] = held[k][0];
        for (int w = 1; w < block.warps; w++) v[k] = LARGEST ? fmax(v[k], held[k][w]) : v[k] + held[k][w];
    }
}

template <int K> __device__ __forceinline__ void add_up(double (&v)[K]) { gather<K, false>(v); }

__device__ __noinline__ double sum_of(double v) {
    double one[1] = {v};
    gather<1, false>(one);
    return one[0];
}

__device__ __noinline__ double largest_of(double v) {
    double one[1] = {v};
    gather<1, true>(one);
    return one[0];
}
