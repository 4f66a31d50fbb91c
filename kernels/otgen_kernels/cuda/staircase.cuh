// The staircase of the monotone plan of two sorted lines of weighted points, found by the ends of their weights.
//
// `Ends` are the running sums of the weights, the last of both sides being the same mass: what rounding leaves over
// belongs to the last points. Step t of n + m ends is that of x where it comes first or together with y's (merge path,
// Green, McColl and Bader 2012).
#include "double_double.cuh"

#define INFINITE __longlong_as_double(0x7ff0000000000000ll)

struct Ends {
    const double *hi, *lo;  // lo null: 0
    long long size;
    Two last;
    __device__ __forceinline__ Two stored(long long i) const { return {hi[i], lo ? lo[i] : 0.0}; }
    __device__ __forceinline__ Two at(long long i) const { return i < size - 1 ? stored(i) : last; }
    __device__ __forceinline__ Two start(long long i) const { return i > 0 ? at(i - 1) : Two{0.0, 0.0}; }
    // How many ends come before t.
    __device__ __forceinline__ long long before(Two t) const {
        long long low = 0, high = size;
        while (low < high) {
            const long long middle = (low + high) / 2;
            if (less(at(middle), t)) low = middle + 1;
            else high = middle;
        }
        return low;
    }
};

// Those of one line of (lines, n): stride 0 where all lines share theirs.
__device__ __forceinline__ void read_ends(Ends& a, Ends& b, const double* a_hi, const double* a_lo, const double* b_hi,
        const double* b_lo, long long line, long long n, long long m, int shared) {
    const long long at_a = shared ? 0 : line * n, at_b = shared ? 0 : line * m;
    a = {a_hi + at_a, a_lo ? a_lo + at_a : nullptr, n, {}};
    b = {b_hi + at_b, b_lo ? b_lo + at_b : nullptr, m, {}};
    a.last = b.last = larger(a.stored(n - 1), b.stored(m - 1));
}

// How many of the first t ends are of x.
__device__ __forceinline__ long long of_x(const Ends& a, const Ends& b, long long t) {
    long long low = max(0ll, t - b.size), high = min(t, a.size);
    while (low < high) {
        const long long middle = (low + high) / 2;
        if (!less(b.at(t - 1 - middle), a.at(middle))) low = middle + 1;
        else high = middle;
    }
    return low;
}

__device__ __forceinline__ double cost(double u, double p) { return p == 1.0 ? u : (p == 2.0 ? u * u : pow(u, p)); }
