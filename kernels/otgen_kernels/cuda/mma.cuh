// Products of tiles on tensor cores: c (16 x 8) += a (16 x 8) b (8 x 8), TF32 in, float32 out, by one warp.
//
// Lane 4 g + t, g = 0..7 and t = 0..3, holds
//   a[0] = A(g, t), a[1] = A(g + 8, t), a[2] = A(g, t + 4), a[3] = A(g + 8, t + 4)     A(row, k)
//   b[0] = B(t, g), b[1] = B(t + 4, g)                                                  B(k, column)
//   c[0] = C(g, 2 t), c[1] = C(g, 2 t + 1), c[2] = C(g + 8, 2 t), c[3] = C(g + 8, 2 t + 1)
//
// TF32 keeps 11 of float32's 24 digits. A float32 split as v = high + low, both TF32, is off by 2^-23 |v| at most, and
// the three products high low + low high + high high leave 2^-22 |a b|: what is dropped is low low. The sums run in
// float32, cut rather than rounded: by 2^-23 of the largest partial sum for each 8 of k, at worst.

// v rounded to TF32, ties away from zero.
__device__ __forceinline__ float tf32(float v) {
#ifdef OTGEN_EMULATED
    return emulator::tf32(v);
#else
    unsigned rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(v));
    return __uint_as_float(rounded);
#endif
}

__device__ __forceinline__ void split_tf32(float v, float& high, float& low) {
    high = tf32(v);
    low = tf32(v - high);
}

// All 32 lanes take part. Entries are TF32: the last 13 digits of a float32 are not looked at.
__device__ __forceinline__ void mma_16x8x8(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
#ifdef OTGEN_EMULATED
    emulator::mma_16x8x8(c, a, b);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#endif
}

// The product of split operands, small terms first.
__device__ __forceinline__ void mma_split(float (&c)[4], const float (&a_high)[4], const float (&a_low)[4],
                                          const float (&b_high)[2], const float (&b_low)[2]) {
    mma_16x8x8(c, a_low, b_high);
    mma_16x8x8(c, a_high, b_low);
    mma_16x8x8(c, a_high, b_high);
}
