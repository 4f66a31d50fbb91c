// What the parts of a row come to: sums of 2^(z - peak), each relative to its own peak, folded in their order.
// peaks and totals are (splits, n), extras (splits, n, width).

__device__ __forceinline__ double largest(const double* peaks, int n, int splits, int i) {
    double peak = peaks[i];
    for (int s = 1; s < splits; s++) peak = fmax(peak, peaks[(long long)s * n + i]);
    return peak;
}

__device__ __forceinline__ double folded(const double* peaks, const double* totals, int n, int splits, int i,
                                         double peak) {
    double total = 0.0;
    for (int s = 0; s < splits; s++) {
        const long long at = (long long)s * n + i;
        total += totals[at] * exp2(peaks[at] - peak);
    }
    return total;
}

// v_i = -bit log2 sum 2^z, bit the worth of one bit on the costs' scale; order, or null, is where the rows' answers go.
extern "C" __global__ void merge_total(const double* __restrict__ peaks, const double* __restrict__ totals, int n,
        int splits, double bit, const int* __restrict__ order, double* __restrict__ v) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const double peak = largest(peaks, n, splits, i);
    v[order ? order[i] : i] = -bit * (peak + log2(folded(peaks, totals, n, splits, i, peak)));
}

// sum p and sum p ln p of p = 2^(f + z), f_i times to_bits.
extern "C" __global__ void merge_entropy(const double* __restrict__ peaks, const double* __restrict__ totals,
        const double* __restrict__ extras, int n, int splits, const double* __restrict__ f, double to_bits, double bit,
        double* __restrict__ mass, double* __restrict__ entropy) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const double peak = largest(peaks, n, splits, i), moved = f[i] * to_bits + peak;
    double total = 0.0, moment = 0.0;
    for (int s = 0; s < splits; s++) {
        const long long at = (long long)s * n + i;
        const double down = peaks[at] - peak, scale = exp2(down);
        if (scale > 0.0) total += scale * totals[at], moment += scale * (extras[at] + down * totals[at]);
    }
    mass[i] = exp2(moved) * total;
    entropy[i] = exp2(moved) * (moment + moved * total) * bit;
}

// sum p V_c of p = 2^(f + z), or of p scaled to sum to mass_i where mass is not null. order, or null, is where the
// rows' answers go, and where their f and mass stand.
extern "C" __global__ void merge_columns(const double* __restrict__ peaks, const double* __restrict__ totals,
        const double* __restrict__ extras, int n, int splits, int width, const double* __restrict__ f, double to_bits,
        const double* __restrict__ mass, const int* __restrict__ order, double* __restrict__ out) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)n * width) return;
    const int i = int(at / width), c = int(at % width);
    const double peak = largest(peaks, n, splits, i);
    double sum = 0.0;
    for (int s = 0; s < splits; s++) {
        const long long part = (long long)s * n + i;
        sum += extras[part * width + c] * exp2(peaks[part] - peak);
    }
    const int place = order ? order[i] : i;
    const double scale = mass ? mass[place] / folded(peaks, totals, n, splits, i, peak)
                              : exp2(f[place] * to_bits + peak);
    out[(long long)place * width + c] = scale * sum;
}
