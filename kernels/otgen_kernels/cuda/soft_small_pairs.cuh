// A pair of soft_small.cuh: its z, its part of a gradient, and the sizes of what a block holds.
#define SHAPE IDENTITY  // of costs.cuh: here the shape is an argument
#include "costs.cuh"
#include "fast.cuh"
#include "soft.cuh"

#define BILINEAR 3
#define THREADS 128
#define COLUMNS 128
#define PER_THREAD (D <= 4 ? 4 : 2)
#define ROWS (THREADS * PER_THREAD)
#define WORDS ((D + 4) / 4 * 4)  // of a column: coordinates, offset, room up to 16 bytes
#define USUAL (FORM == SQUARES ? ROOT : IDENTITY)
#define ENOUGH 1.0995116e12f     // 2^40
#define NEAREST 1e-30f           // distances below count as this where a cost is steep

// What a row sums beside its total: coordinates, or values in passes of 4 or 8.
#define EXTRAS (MODE == TOTAL ? 0 : MODE == GRADIENT || D > 4 ? D : 4)
#define ROOM (MODE == TOTAL ? 1 : EXTRAS)
// One power in so many (a divisor of 32) where the special-function unit is what a pair waits for, else none.
#define EXP2_BY_FMA (FORM == BILINEAR ? (D == 2 ? 8 : D == 3 ? 16 : 1024) : FORM == SQUARES && D <= 3 ? 8 : 1024)

__device__ __forceinline__ float fast_power(float s, int shape, float q) {
    if (shape == IDENTITY) return s;
    if (shape == ROOT) return fast_sqrt(s);
    if (shape == SQUARE) return s * s;
    return fast_exp2(q * fast_log2(s));
}

// z of a row and a column but for what start holds; `row` is a slope or the row's place from the tile's centre.
__device__ __forceinline__ float score(const float (&row)[D], const float (&column)[WORDS], float start, float k,
                                       float unit, int shape, float q) {
    if (FORM == BILINEAR) {
        #pragma unroll
        for (int c = 0; c < D; c++) start = fmaf(row[c], column[c], start);
        return start;
    }
    float s = 0.0f;
    #pragma unroll
    for (int c = 0; c < D; c++) s = joined(s, row[c], column[c]);
    return fmaf(-k, fast_power(unit * s, shape, q), start);
}

template <int WIDTH> __device__ __forceinline__ void read(const float* columns, int j, float (&column)[WIDTH]) {
    #pragma unroll
    for (int part = 0; part < WIDTH / 4; part++) {
        const float4 four = reinterpret_cast<const float4*>(columns)[j * (WIDTH / 4) + part];
        column[4 * part] = four.x, column[4 * part + 1] = four.y;
        column[4 * part + 2] = four.z, column[4 * part + 3] = four.w;
    }
}

// 2^z of a pair, times grad_x c but for a factor that all pairs share.
__device__ __forceinline__ float add_gradient(const float (&row)[D], const float (&column)[WORDS], float start, float k,
                                              float unit, int shape, float q, float* extras) {
    float away[D], s = 0.0f;
    #pragma unroll
    for (int c = 0; c < D; c++) away[c] = row[c] - column[c], s = joined(s, row[c], column[c]);
    const float u = unit * s, root = rsqrtf(fmaxf(u, NEAREST));
    const float power = shape == ROOT ? u * root : fast_power(u, shape, q);
    const float steep = shape == IDENTITY ? 1.0f : shape == SQUARE ? u : shape == ROOT ? root : power * root * root;
    const float e = fast_exp2(fmaf(-k, power, start)), weight = e * steep;
    float left = s > 0.0f ? weight : 0.0f;  // of a maximum, for the lowest coordinate that attains it
    #pragma unroll
    for (int c = 0; c < D; c++) {
        if (FORM == SQUARES) extras[c] = fmaf(weight, away[c], extras[c]);
        else if (FORM == ABSOLUTES) {
            if (away[c] != 0.0f) extras[c] += copysignf(weight, away[c]);
        } else {
            const float here = fabsf(away[c]) == s ? left : 0.0f;
            extras[c] += copysignf(here, away[c]), left -= here;
        }
    }
    return e;
}
