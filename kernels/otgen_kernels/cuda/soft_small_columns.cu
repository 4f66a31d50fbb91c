// Sums of 2^z V_j and of 2^z grad_x c over the pairs of each row in low dimension and float32, as soft_small.cuh goes
// through them.
//
// A row's sums over a tile are float32, from tile to tile float64. The gradient of squared distances is made of the
// moments sum 2^z (y_j - o'), which cost a multiply-add a coordinate:
//   sum 2^z (x_i - y_j) = (x_i - o') sum 2^z - sum 2^z (y_j - o'),   o' the tile's centre, the first part in float64;
// other costs take their differences first: the weight of a close pair may be large, and must not meet others' digits.
//
// A pair of d = 3 costs, by instructions issued (128 lanes a cycle; counted, in parentheses as sm_90's machine code has
// them with its loop; not measured on a device):
//   gradient of squares: 1 add (offset + shift), 3 fma, 1 ex2 (16 lanes a cycle), 1 add, 3 fma, 1/4 load: 9.25 (9.4)
//     min(128 / 9.4, 16) = 13.6 pairs a cycle; 132 SMs of 1.755 GHz: 3.2e12 pairs/s
//   average of 4 columns under squares: 1 add, 3 fma, 1 ex2, 1 add, 4 fma, 2/4 loads: 10.5 (10.7), 2.8e12 pairs/s
//   gradient of distances: 18.25 (18.5), of which rsqrt and ex2 take 2 of 16 lanes: 6.9 pairs a cycle, 1.6e12 pairs/s
//   gradient of city blocks: 20.5 (20.6), of maxima 27.5 (27.6)
// Rounding: the terms of a row as far as the host's rounding() says, where its own tiles are no larger than most;
// `terms` tells where they are. Sums over a tile: by 128 * 2^-24 = 7.6e-6 of their absolute terms at most; of moments,
// those are of the tile's size, not of |x_i - y_j|.
// compiled for D: 2 3 4 8; FORM: 0 1 2 3; MODE: 2 3
#include "soft_small.cuh"

#define RESIDENT (D > 3 && (MODE == AVERAGE || FORM == SQUARES) ? 4 : 5)  // blocks that leave room for their registers

// Block (i, s, e): rows i, a run of tiles s, pass e over the columns of values (m, width); a gradient has one pass over
// the width coordinates that there are. Row s of all that is written.
extern "C" __global__ void __launch_bounds__(128, RESIDENT) columns(
        const double* __restrict__ x, const double* __restrict__ x_centres, const double* __restrict__ y,
        const double* __restrict__ y_centres, const double* __restrict__ y_widths, const double* __restrict__ h,
        const int* __restrict__ order, int n, int m, double to_bits, double k, double unit, int shape, double q,
        double cut, int run, const double* __restrict__ values, int width, double* __restrict__ peaks,
        double* __restrict__ totals, double* __restrict__ extras, double* __restrict__ terms) {
    reduce_rows({x, x_centres, y, y_centres, y_widths, h, order, n, m, to_bits, k, unit, shape, q, cut, run},
                {values, width, peaks, totals, extras, terms});
}
