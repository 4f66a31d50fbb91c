// Softmax weights over the listed sites of samples, and sums of them by site: the places of each site in the lists are
// known in ascending order, and a warp adds them up in that order, in float64.

#define FULL 0xffffffffu

__device__ __forceinline__ double warp_sum(double v) {
    #pragma unroll
    for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(FULL, v, by);
    return v;
}

// weights = softmax of (score + h[index]) of each row, rate = 1 / (eps ln 2); all but h are (rows, k).
extern "C" __global__ void soften(const float* __restrict__ score, const int* __restrict__ index,
        const float* __restrict__ h, long long rows, int k, float rate, float* __restrict__ weights) {
    const long long r = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    score += r * k, index += r * k, weights += r * k;
    float peak = -1e38f, total = 0.0f;
    for (int t = 0; t < k; t++) {
        const float z = score[t] + h[index[t]];
        weights[t] = z;
        peak = fmaxf(peak, z);
    }
    for (int t = 0; t < k; t++) {
        const float p = exp2f((weights[t] - peak) * rate);
        weights[t] = p;
        total += p;
    }
    const float scale = 1.0f / total;
    for (int t = 0; t < k; t++) weights[t] *= scale;
}

// mass_i = sum of p and curvature_i = sum of p (1 - p) over the places of site i, starts[i] <= e < starts[i + 1] of
// `order`.
extern "C" __global__ void site_masses(const float* __restrict__ weights, const long long* __restrict__ order,
        const long long* __restrict__ starts, int n, double* __restrict__ mass, double* __restrict__ curvature) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= n) return;  // the whole warp
    double m = 0.0, c = 0.0;
    for (long long e = starts[i] + lane; e < starts[i + 1]; e += 32) {
        const float p = weights[order[e]];
        m += (double)p;
        c += (double)(p * (1.0f - p));
    }
    m = warp_sum(m), c = warp_sum(c);
    if (lane == 0) mass[i] = m, curvature[i] = c;
}

// base_r = sum_t p_rt v[index_rt]. From the highest site: the sum of the weights, rounded, is not 1, and a constant v
// must give that constant.
extern "C" __global__ void row_means(const float* __restrict__ weights, const int* __restrict__ index,
        const double* __restrict__ v, long long rows, int k, double* __restrict__ base) {
    const long long r = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    weights += r * k, index += r * k;
    const double first = v[index[0]];
    double mean = 0.0;
    for (int t = 1; t < k; t++) mean += (double)weights[t] * (v[index[t]] - first);
    base[r] = first + mean;
}

// out_i = sum of p (v_i - base of the row) over the places of site i.
extern "C" __global__ void site_differences(const float* __restrict__ weights, const long long* __restrict__ order,
        const long long* __restrict__ starts, const double* __restrict__ v, const double* __restrict__ base, int n,
        int k, double* __restrict__ out) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= n) return;
    const double own = v[i];
    double sum = 0.0;
    for (long long e = starts[i] + lane; e < starts[i + 1]; e += 32) {
        const long long place = order[e];
        sum += (double)weights[place] * (own - base[place / k]);
    }
    sum = warp_sum(sum);
    if (lane == 0) out[i] = sum;
}
