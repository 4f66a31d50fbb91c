// Fast float32 instructions, by name: results within about 2 units in the last place, denormals as zero.
__device__ __forceinline__ float fast_exp2(float z) {
#ifdef OTGEN_EMULATED
    return z < -126.0f ? 0.0f : exp2f(z);
#else
    float v;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(v) : "f"(z));
    return v;
#endif
}

__device__ __forceinline__ float fast_log2(float s) {
#ifdef OTGEN_EMULATED
    return s < 1.17549435e-38f ? -INFINITY : log2f(s);
#else
    float v;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(v) : "f"(s));
    return v;
#endif
}

__device__ __forceinline__ float fast_sqrt(float s) {
#ifdef OTGEN_EMULATED
    return s < 1.17549435e-38f ? 0.0f : sqrtf(s);
#else
    float v;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(v) : "f"(s));
    return v;
#endif
}

// 2^z by fused multiply-adds alone, to leave the special-function unit to others: z = n + r, n whole, |r| <= 1/2, and
// the minimax polynomial of cpu/exp2.py, 7.5e-8 off. Outside of -126..126 it stays at their powers.
__device__ __forceinline__ float polynomial_exp2(float z) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it leaves the whole part in the last bits
    z = fminf(fmaxf(z, -126.0f), 126.0f);
    const float n = z + magic, r = z - (n - magic);
    float v = fmaf(r, 1.32764721678e-3f, 9.67554132102e-3f);
    v = fmaf(r, v, 5.55071327329e-2f);
    v = fmaf(r, v, 2.40221197240e-1f);
    v = fmaf(r, v, 6.93146967065e-1f);
    v = fmaf(r, v, 1.00000007165f);
    return __int_as_float(__float_as_int(v) + (int)((unsigned)__float_as_int(n) << 23));
}
