// The cost of a pair (unit s)^q, float64, its form and shape known when it runs: each is taken once a problem.
#include "forms.cuh"

struct Cost {
    int d, form, shape;
    double q, unit;
};

__device__ __forceinline__ double distance(const double* x, const double* y, Cost cost) {
    double s = 0.0;
    for (int k = 0; k < cost.d; k++) {
        const double u = x[k] - y[k];
        s = cost.form == SQUARES ? fma(u, u, s) : cost.form == ABSOLUTES ? s + fabs(u) : fmax(s, fabs(u));
    }
    return s * cost.unit;
}

__device__ __noinline__ double power(double s, Cost cost) {
    if (cost.shape == IDENTITY) return s;
    if (cost.shape == ROOT) return sqrt(s);
    if (cost.shape == SQUARE) return s * s;
    return pow(s, cost.q);
}
