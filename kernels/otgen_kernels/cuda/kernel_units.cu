// What comes before and after a sum of a kernel: the power of two that clouds are scaled by, the kernel's constants in
// those units, scaled points and weights, and the sums of the parts of all blocks, in the order of the parts.
// compiled for REAL: float double
#define GAUSSIAN 0
#define LAPLACE 1
#define IMQ 2
#define RATIONAL_QUADRATIC 3
#define POLYNOMIAL 4
#define ENERGY 5
#define NEAR 8  // clouds of an extent between 2^-8 and 2^8 stay as they are
#define WARPS 8

__device__ __forceinline__ double largest_of_warp(double v) {
    #pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) v = fmax(v, __shfl_xor_sync(0xffffffffu, v, lane));
    return v;
}

// Block (k, c, side): the least and the largest of 32 coordinates, and the largest weight, of a part of a cloud's rows.
extern "C" __global__ void __launch_bounds__(32 * WARPS) extent(const REAL* __restrict__ x, const REAL* __restrict__ y,
        const double* __restrict__ a, const double* __restrict__ b, int n, int m, int d, double* __restrict__ low,
        double* __restrict__ high, double* __restrict__ most) {
    __shared__ double held[3][WARPS][32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, k = blockIdx.x * 32 + lane;
    const REAL* points = blockIdx.z ? y : x;
    const double* weights = blockIdx.z ? b : a;
    const long long size = blockIdx.z ? m : n;
    const int begin = int(size * blockIdx.y / gridDim.y), end = int(size * (blockIdx.y + 1) / gridDim.y);
    double least = 1.7e308, largest = -1.7e308, weight = 0.0;
    if (k < d)
        for (int i = begin + warp; i < end; i += WARPS) {
            const double v = points[(long long)i * d + k];
            least = fmin(least, v), largest = fmax(largest, v);
        }
    if (blockIdx.x == 0)
        for (int i = begin + threadIdx.x; i < end; i += 32 * WARPS) weight = fmax(weight, weights[i]);
    held[0][warp][lane] = least, held[1][warp][lane] = largest, held[2][warp][lane] = weight;
    __syncthreads();
    if (warp > 0) return;
    for (int w = 1; w < WARPS; w++) {
        least = fmin(least, held[0][w][lane]), largest = fmax(largest, held[1][w][lane]);
        weight = fmax(weight, held[2][w][lane]);
    }
    const long long part = blockIdx.z * gridDim.y + blockIdx.y;
    if (k < d) low[part * d + k] = least, high[part * d + k] = largest;
    weight = largest_of_warp(weight);
    if (blockIdx.x == 0 && lane == 0) most[part] = weight;
}

// units: the exponent e, and what the weights of x and of y are divided by; constants (3, scales). One block.
extern "C" __global__ void __launch_bounds__(32 * WARPS, 2) settle(const double* __restrict__ low,
        const double* __restrict__ high, const double* __restrict__ most, int parts, int clouds, int d, int kind,
        const double* __restrict__ given, int scales, double bandwidth, double reach, double* __restrict__ units,
        REAL* __restrict__ constants) {
    __shared__ double held[WARPS];
    double widest = 0.0;
    for (int k = threadIdx.x; k < d; k += 32 * WARPS) {
        double least = low[k], largest = high[k];
        for (int part = 1; part < parts * clouds; part++) {
            least = fmin(least, low[(long long)part * d + k]);
            largest = fmax(largest, high[(long long)part * d + k]);
        }
        widest = fmax(widest, 0.5 * largest - 0.5 * least);  // halves: the difference itself may overflow
    }
    widest = largest_of_warp(widest);
    if (threadIdx.x % 32 == 0) held[threadIdx.x / 32] = widest;
    __syncthreads();
    for (int w = 0; w < WARPS; w++) widest = fmax(widest, held[w]);
    int e = 0;
    if (widest > 0.0 && kind != POLYNOMIAL) {
        e = ilogb(widest) + 2;
        if (e >= -NEAR && e <= NEAR) e = 0;
    }
    if (threadIdx.x == 0) units[0] = e;
    if (threadIdx.x < 2) {
        const int side = min(int(threadIdx.x), clouds - 1);
        double largest = 0.0;
        for (int part = 0; part < parts; part++) largest = fmax(largest, most[side * parts + part]);
        units[1 + threadIdx.x] = largest > 0.0 ? largest : 1.0;
    }
    const double log2_e = 1.4426950408889634, h = ldexp(bandwidth, -e), most_root = sqrt(reach);
    for (int j = threadIdx.x; j < scales; j += 32 * WARPS) {
        const double root = fmin(fmax(sqrt(given[j]) * h, 1.0 / most_root), most_root), C = root * root;
        double c = C, q = 0.0, w = 0.0;
        if (kind == GAUSSIAN) c = -0.5 * log2_e / C, q = -1.0 / C;
        if (kind == LAPLACE) c = -log2_e / root, q = -1.0 / root;
        if (kind == RATIONAL_QUADRATIC) {
            const double held_h = fmin(fmax(h, 1.0 / reach), reach);  // its tail is heavier
            c = 0.5 / (given[j] * held_h * held_h), q = -given[j], w = -1.0 / (held_h * held_h);
        }
        if (kind == POLYNOMIAL) c = 1.0 / d;
        constants[j] = REAL(c), constants[scales + j] = REAL(q), constants[2 * scales + j] = REAL(w);
    }
}

// points = x 2^-e, small = w / most.
extern "C" __global__ void rescale(const REAL* __restrict__ x, const double* __restrict__ w, int n, int d, int side,
        const double* __restrict__ units, REAL* __restrict__ points, REAL* __restrict__ small) {
    const long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const int e = int(units[0]);
    if (t < (long long)n * d) points[t] = e ? REAL(ldexp(double(x[t]), -e)) : x[t];
    if (t < n) small[t] = REAL(w[t] / units[1 + side]);
}

// out = 2^(power e) times the other side's unit of weights times the sum of `splits` parts of that size.
extern "C" __global__ void merge(const double* __restrict__ part, int splits, long long size, int other, int power,
        const double* __restrict__ units, double* __restrict__ out) {
    const long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= size) return;
    double sum = part[t];
    for (int s = 1; s < splits; s++) sum += part[s * size + t];
    out[t] = ldexp(sum * units[1 + other], power * int(units[0]));
}

// sum_i a_i sum_s part[s][i], in the same order on every device. One block.
extern "C" __global__ void __launch_bounds__(512) total(const double* __restrict__ part, int splits, int n,
        const REAL* __restrict__ a, int power, const double* __restrict__ units, double* __restrict__ out) {
    __shared__ double held[512];
    double sum = 0.0;
    for (int i = threadIdx.x; i < n; i += 512) {
        double row = part[i];
        for (int s = 1; s < splits; s++) row += part[(long long)s * n + i];
        sum += double(a[i]) * row;
    }
    held[threadIdx.x] = sum;
    for (int half = 256; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) held[threadIdx.x] += held[threadIdx.x + half];
    }
    if (threadIdx.x == 0) out[0] = ldexp(held[0] * units[1] * units[2], power * int(units[0]));
}
