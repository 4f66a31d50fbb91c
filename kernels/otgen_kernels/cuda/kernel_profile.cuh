// The kernels of kernel_kinds.py as functions of s, for a few pairs at once in registers; KIND says which.
#define GAUSSIAN 0
#define LAPLACE 1
#define IMQ 2
#define RATIONAL_QUADRATIC 3
#define POLYNOMIAL 4
#define ENERGY 5

// The special-function unit's own 2^z, 1 / u and 1 / sqrt(u): within 2 units in the last place or so of float32.
#ifdef OTGEN_EMULATED
static inline float power_of_two(float z) { return exp2f(z); }
static inline float reciprocal(float u) { return 1.0f / u; }
static inline float inverse_root(float u) { return 1.0f / sqrtf(u); }
#else
__device__ __forceinline__ float power_of_two(float z) {
    float v;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(v) : "f"(z));
    return v;
}
__device__ __forceinline__ float reciprocal(float u) {
    float v;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(v) : "f"(u));
    return v;
}
__device__ __forceinline__ float inverse_root(float u) {
    float v;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(v) : "f"(u));
    return v;
}
#endif
__device__ __forceinline__ double power_of_two(double z) { return exp2(z); }
__device__ __forceinline__ double reciprocal(double u) { return 1.0 / u; }
__device__ __forceinline__ double inverse_root(double u) { return rsqrt(u); }

// One coordinate's part in s.
template <typename T> __device__ __forceinline__ T joined(T s, T x, T y) {
    if (KIND == POLYNOMIAL) return fma(x, y, s);
    const T u = x - y;
    return fma(u, u, s);
}

// The arm of a gradient: slope times this is a pair's part in it.
template <typename T> __device__ __forceinline__ T arm(T x, T y) { return KIND == POLYNOMIAL ? y : x - y; }

// value = k and slope = 2 dk/ds of P pairs, dk/ds for the polynomial, 0 where a root ends; constants (3, scales).
template <int P, bool SLOPES>
__device__ __forceinline__ void profile(const REAL (&s)[P], const REAL* __restrict__ constants, int scales,
                                        REAL (&value)[P], REAL (&slope)[P]) {
    const REAL zero = 0, one = 1;
    const REAL least = sizeof(REAL) == 4 ? REAL(1e-37) : REAL(1e-300);
    if (KIND == ENERGY) {
        #pragma unroll
        for (int p = 0; p < P; p++) {
            const REAL inverse = inverse_root(fmax(s[p], least));
            value[p] = -s[p] * inverse;
            if (SLOPES) slope[p] = s[p] > zero ? -inverse : zero;
        }
        return;
    }
    if (KIND == POLYNOMIAL) {
        const REAL share = constants[0];
        #pragma unroll
        for (int p = 0; p < P; p++) {
            const REAL u = fma(share, s[p], one);
            value[p] = u * u * u;
            if (SLOPES) slope[p] = REAL(3) * share * u * u;
        }
        return;
    }
    REAL root[P];  // of s, for the Laplace kernel
    #pragma unroll
    for (int p = 0; p < P; p++) {
        value[p] = zero;
        if (SLOPES) slope[p] = zero;
        if (KIND == LAPLACE) root[p] = s[p] * inverse_root(fmax(s[p], least));
    }
    int j = 0;
    if (KIND == IMQ) {
        #pragma unroll 1
        for (; j + 1 < scales; j += 2) {  // one reciprocal for two scales: C is held so that C C' is in range
            const REAL c = constants[j], e = constants[j + 1];
            #pragma unroll
            for (int p = 0; p < P; p++) {
                const REAL u = c + s[p], t = e + s[p], both = reciprocal(u * t);
                const REAL one_over_u = both * t, one_over_t = both * u, k = c * one_over_u, l = e * one_over_t;
                value[p] += k + l;
                if (SLOPES) slope[p] = fma(k, one_over_u, fma(l, one_over_t, slope[p]));
            }
        }
    }
    #pragma unroll 1
    for (; j < scales; j++) {
        const REAL c = constants[j], q = constants[scales + j], w = constants[2 * scales + j];
        #pragma unroll
        for (int p = 0; p < P; p++) {
            if (KIND == IMQ) {
                const REAL u = reciprocal(c + s[p]), k = c * u;
                value[p] += k;
                if (SLOPES) slope[p] = fma(k, u, slope[p]);
            } else if (KIND == RATIONAL_QUADRATIC) {
                const REAL base = fma(c, s[p], one), k = power_of_two(q * log2(base));
                value[p] += k;
                if (SLOPES) slope[p] = fma(w, k * reciprocal(base), slope[p]);
            } else {
                const REAL k = power_of_two(c * (KIND == LAPLACE ? root[p] : s[p]));
                value[p] += k;
                if (SLOPES) slope[p] = fma(q, k, slope[p]);
            }
        }
    }
    #pragma unroll
    for (int p = 0; p < P; p++) {
        if (SLOPES && KIND == IMQ) slope[p] *= REAL(-2);
        if (SLOPES && KIND == LAPLACE) slope[p] = root[p] > zero ? slope[p] * reciprocal(root[p]) : zero;
    }
}
