// The largest z and the sum of 2^z of each row in low dimension and float32, as soft_small.cuh goes through the pairs.
//
// A pair of d = 3 costs, by instructions issued (128 lanes a cycle):
//   1 add (offset + shift), 3 fma, 1 ex2 (16 lanes a cycle), 1 add, 1/4 of a load of 16 bytes: 6.25
//   one power in 16 by the polynomial, 13 instead of 1: 7.0, and 15/16 of an ex2
//   min(128 / 7.0, 16 / (15/16)) = 17.07 pairs a cycle; 132 SMs of 1.755 GHz: 3.95e12 pairs/s
// Rounding: the terms of a row as far as the host's rounding() says; their sum by 36 * 2^-24 = 2.1e-6 relative at most
// (runs of 32, four of them a tile).
// compiled for D: 2 3 4 8; FORM: 0 1 2 3
#define MODE TOTAL
#include "soft_small.cuh"

// Block (i, s) takes `run` tiles and writes row s of peaks, totals (splits, n).
extern "C" __global__ void __launch_bounds__(128, 8) total(const double* __restrict__ x,
        const double* __restrict__ x_centres, const double* __restrict__ y, const double* __restrict__ y_centres,
        const double* __restrict__ y_widths, const double* __restrict__ h, const int* __restrict__ order, int n, int m,
        double to_bits, double k, double unit, int shape, double q, double cut, int run, double* __restrict__ peaks,
        double* __restrict__ totals) {
    reduce_rows({x, x_centres, y, y_centres, y_widths, h, order, n, m, to_bits, k, unit, shape, q, cut, run},
                {nullptr, 0, peaks, totals, nullptr, nullptr});
}
