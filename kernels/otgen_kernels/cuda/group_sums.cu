// sums[g] of the rows order[starts[g] .. starts[g + 1]) of x (N, d), in that order: a warp a group and 32 coordinates.
extern "C" __global__ void group_sums(const double* __restrict__ x, const long long* __restrict__ order,
        const long long* __restrict__ starts, int count, int d, double* __restrict__ sums) {
    const int group = (blockIdx.x * blockDim.x + threadIdx.x) / 32, c = blockIdx.y * 32 + threadIdx.x % 32;
    if (group >= count || c >= d) return;
    double sum = 0.0;
    for (long long t = starts[group]; t < starts[group + 1]; t++) sum += x[order[t] * d + c];
    sums[(long long)group * d + c] = sum;
}
