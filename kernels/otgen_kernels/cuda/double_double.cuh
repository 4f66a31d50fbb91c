// Sums of twice the digits of a double: an unevaluated pair hi + lo, |lo| <= ulp(hi) / 2 (Dekker 1971).
//
// Ends of weights along a line are such sums: the mass between two of them then keeps the digits of the smallest weight.
struct Two { double hi, lo; };

__device__ __forceinline__ Two added(double a, double b) {  // exact (Knuth)
    const double s = a + b, t = s - a;
    return {s, (a - (s - t)) + (b - t)};
}
__device__ __forceinline__ Two added(Two a, Two b) {
    const Two s = added(a.hi, b.hi), t = added(a.lo, b.lo);
    const double c = s.lo + t.hi, hi = s.hi + c, low = (c - (hi - s.hi)) + t.lo, sum = hi + low;
    return {sum, low - (sum - hi)};
}
__device__ __forceinline__ double between(Two a, Two b) {  // b - a
    const Two s = added(b.hi, -a.hi);
    return s.hi + (s.lo + (b.lo - a.lo));
}
__device__ __forceinline__ bool less(Two a, Two b) { return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo); }
__device__ __forceinline__ Two smaller(Two a, Two b) { return less(b, a) ? b : a; }
__device__ __forceinline__ Two larger(Two a, Two b) { return less(a, b) ? b : a; }
