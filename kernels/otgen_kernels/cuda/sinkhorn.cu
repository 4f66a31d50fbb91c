// A sweep of Sinkhorn's iteration but for its soft transforms: otgen's iteration.py, decisions included, on the device.
//
// The kernels of a sweep follow each other without a word from the host:
//   transform of rows, sum_rows, accept_point    the semi-dual: is the accelerated point kept?
//   transform of columns, sum_columns, learn     the marginal error: is this the end? else the residual, and its pair
//   orthogonalise, make_step, move_point         the secant pairs, in <u, v> = sum b u v, and the next point
// A kernel leaves parts of its sums; every block of the next one adds them up, all in one order, and decides alike. It
// reads the state `before` and its first thread writes the state `after`, which is another place: no block can read
// what another has changed. Once state.done is set, or a point is rejected, the rest of the sweep passes the state on.
//
// Pairs are made orthogonal by one pass (classical Gram-Schmidt: the kept ones are orthonormal, and one that is
// explained up to 1e-6 makes the oldest go); by Pythagoras dropping pairs needs no other pass.
#include "sinkhorn.cuh"

#define SUMS 5   // of sum_columns; after them the logarithmic masses of both sides, 4 each
#define KEPT (MEMORY - 1)
#define UNBOUNDED 1e300

// Parts of sum a exp(-p / rho) that stay in range: relative to the block's least p, with the most and sum a expm1.
__device__ __forceinline__ void leave_mass(const double* weights, const double* p, double scale, int n, double rho,
                                           double* parts) {
    double ends[2] = {-1e300, -1e300};
    for (int i = begin(); i < n; i += stride()) {
        ends[0] = fmax(ends[0], -scale * p[i]);
        ends[1] = fmax(ends[1], scale * p[i]);
    }
    gather<2, true>(ends);
    double sums[2] = {0.0, 0.0};
    for (int i = begin(); i < n; i += stride()) {
        sums[0] += weights[i] * exp(-(scale * p[i] + ends[0]) / rho);
        sums[1] += weights[i] * expm1(-scale * p[i] / rho);
    }
    leave(sums, parts);
    if (threadIdx.x == 0)
        for (int k = 0; k < 2; k++) parts[(2 + k) * gridDim.x + blockIdx.x] = ends[k];
}

// log sum a exp(-p / rho) of those parts; with all its digits where rho is large.
__device__ __forceinline__ double log_mass(const double* parts, double mass, double rho) {
    if (isinf(rho)) return log(mass);
    double least = -1e300, most = -1e300, sum = 0.0, more = 0.0;
    for (int s = 0; s < gridDim.x; s++) {
        least = fmax(least, parts[2 * gridDim.x + s]);
        most = fmax(most, parts[3 * gridDim.x + s]);
    }
    if (fmax(least, most) < rho) {
        for (int s = 0; s < gridDim.x; s++) more += parts[gridDim.x + s];
        return log(mass) + log1p(more / mass);
    }
    // A block without points has least = -1e300 and a sum of 0.
    for (int s = 0; s < gridDim.x; s++) sum += parts[s] * exp((parts[2 * gridDim.x + s] - least) / rho);
    return log(sum) + least / rho;
}

extern "C" __global__ void sum_rows(const double* __restrict__ there, const double* __restrict__ g,
        const double* __restrict__ a, const double* __restrict__ b, int n, int m, double damp, double rho_a,
        double rho_b, const double* __restrict__ before, double* __restrict__ parts) {
    if (((const State*)before)->done) return;
    const bool balanced = isinf(rho_a) && isinf(rho_b);
    double v[3] = {0.0, 0.0, 0.0};
    for (int i = begin(); i < n; i += stride()) {
        const double f = damp * there[i], term = dual_term(f, rho_a, 50.0);
        v[0] += a[i] * term;
        v[1] += a[i] * fabs(term);
        if (!balanced) v[2] += a[i] * asked(f, rho_a);
    }
    for (int j = begin(); j < m; j += stride()) {
        const double term = dual_term(g[j], rho_b, 50.0);
        v[0] += b[j] * term;
        v[1] += b[j] * fabs(term);
    }
    leave(v, parts);
}

extern "C" __global__ void accept_point(const double* __restrict__ there, const double* __restrict__ log_a,
        const double* __restrict__ log_b, int n, int m, double damp, double eps, double noise,
        const double* __restrict__ before, const double* __restrict__ parts, double* __restrict__ f,
        double* __restrict__ h_a, double* __restrict__ g, const double* __restrict__ plain, double* __restrict__ h_b,
        double* __restrict__ after) {
    State s = *(const State*)before;
    double v[3];
    collect(parts, v);
    const double dual = v[0] - eps * v[2], size = v[1] + eps * v[2];
    if (!s.done) {
        s.rejected = s.plain && !(dual >= s.value - noise * size) ? 1.0 : 0.0;
        if (s.rejected) s.pairs = s.plain = 0.0;
        else s.value = dual;
        for (int i = begin(); i < n && !s.rejected; i += stride()) {
            f[i] = damp * there[i];
            h_a[i] = f[i] + log_a[i];
        }
        for (int j = begin(); j < m && s.rejected; j += stride()) {
            g[j] = plain[j];
            h_b[j] = g[j] + log_b[j];
        }
    }
    if (first_thread()) *(State*)after = s;
}

// Of a symmetric problem f, a and rho_a are g, b and rho_b themselves.
extern "C" __global__ void sum_columns(const double* __restrict__ back, const double* __restrict__ f,
        const double* __restrict__ g, const double* __restrict__ a, const double* __restrict__ b, int n, int m,
        double damp, double eps, double rho_a, double rho_b, int shifted, const double* __restrict__ before,
        double* __restrict__ parts) {
    const State s = *(const State*)before;
    if (s.done || s.rejected) return;
    double v[SUMS] = {0.0, 0.0, 0.0, 0.0, 0.0};
    for (int i = begin(); i < n; i += stride()) v[3] += a[i] * dual_term(f[i], rho_a, UNBOUNDED);
    for (int j = begin(); j < m; j += stride()) {
        const double now = damp * back[j], wanted = asked(g[j], rho_b);
        v[0] += b[j] * fabs(exp(fmin((g[j] - back[j]) / eps, 50.0)) - wanted);
        v[1] += b[j] * wanted;
        v[2] += b[j] * asked(now, rho_b);
        v[3] += b[j] * dual_term(now, rho_b, UNBOUNDED);
        v[4] += b[j] * (now - g[j]);
    }
    leave(v, parts);
    if (!shifted) return;
    if (!isinf(rho_a)) leave_mass(a, f, 1.0, n, rho_a, parts + SUMS * gridDim.x);
    if (!isinf(rho_b)) leave_mass(b, back, damp, m, rho_b, parts + (SUMS + 4) * gridDim.x);
}

// The residual at g, in `residual`, and what it teaches: x and v, the changes since the point before, and their products
// with the pairs kept, (1 + 2 KEPT, blocks): |v|^2, <q, v>, <q, residual>. plain becomes the point of a plain sweep.
extern "C" __global__ void learn(const double* __restrict__ back, const double* __restrict__ b, int n, int m,
        double damp, double eps, double rho_a, double rho_b, double mass_a, double mass_b, int symmetric, int shifted,
        double tol, double floor, double patience, const double* __restrict__ log_b, const double* __restrict__ before,
        const double* __restrict__ parts, const double* __restrict__ q, double* f, double* g, double* __restrict__ h_b,
        double* __restrict__ plain, double* __restrict__ last, double* __restrict__ residual, double* __restrict__ x,
        double* __restrict__ v, double* __restrict__ products, double* __restrict__ after) {
    State s = *(const State*)before;
    if (symmetric) s.rejected = 0.0;
    const bool idle = s.done || s.rejected;
    double sums[SUMS];
    collect(parts, sums);
    double shift = 0.0;
    if (!idle) {
        s.error = sums[0] / sums[1];
        s.attained = sums[3] - eps * (sums[2] - mass_a * mass_b);
        if (shifted) {
            const double* masses = parts + SUMS * gridDim.x;
            shift = (log_mass(masses, mass_a, rho_a) - log_mass(masses + 4 * gridDim.x, mass_b, rho_b))
                  / (1.0 / rho_a + 1.0 / rho_b);
        }
        if (symmetric && s.plain && !(s.error <= 2.0 * s.best)) {
            s.rejected = 1.0;
            s.pairs = s.plain = 0.0;
        } else {
            if (s.error < 0.9 * s.best) s.best = s.error, s.since = 0.0;
            else s.since += 1.0;
            if (s.error <= tol) s.done = CONVERGED;
            else if (s.since >= patience && s.error < floor) s.done = STALLED;
        }
    }
    if (s.plain && s.pairs == MEMORY) s.first = slot(s, 1), s.pairs = KEPT;
    const bool learnt = s.plain;  // a pair can be made
    double w[1 + 2 * KEPT];
    #pragma unroll
    for (int k = 0; k < 1 + 2 * KEPT; k++) w[k] = 0.0;
    if (!idle && shift != 0.0)
        for (int i = begin(); i < n; i += stride()) f[i] += shift;
    for (int j = begin(); j < m && !idle; j += stride()) {
        const double point = g[j], now = damp * back[j] - shift;
        if (s.rejected) {
            g[j] = plain[j];
            h_b[j] = g[j] + log_b[j];
            continue;
        }
        // A constant changes nothing where both marginals are held.
        const double mean = symmetric || shifted ? 0.0 : sums[4] / mass_b;
        const double r = symmetric ? 0.5 * (now - point) : now - point - mean;
        if (symmetric && s.done) {  // stalled: the plain point of before is what is left
            if (s.done == CONVERGED) g[j] = point + r;
            continue;
        }
        plain[j] = symmetric ? point + r : now;
        if (s.done) continue;
        if (learnt) {
            const double change = r - residual[j];
            x[j] = point - last[j];
            v[j] = change;
            w[0] += b[j] * change * change;
            #pragma unroll
            for (int k = 0; k < KEPT; k++)
                if (k < s.pairs) {
                    const double along = b[j] * q[(long long)slot(s, k) * m + j];
                    w[1 + k] += along * change;
                    w[1 + KEPT + k] += along * r;
                }
        }
        last[j] = point;
        residual[j] = r;
    }
    if (!idle && !s.done && !s.rejected) leave(w, products);
    if (first_thread()) *(State*)after = s;
}

// x and v without what the pairs kept explain of v; parts of |v|^2 and <v, residual>.
extern "C" __global__ void orthogonalise(const double* __restrict__ b, int m, const double* __restrict__ before,
        const double* __restrict__ products, const double* __restrict__ p, const double* __restrict__ q,
        const double* __restrict__ residual, double* __restrict__ x, double* __restrict__ v,
        double* __restrict__ parts) {
    const State s = *(const State*)before;
    if (s.done || s.rejected || !s.plain) return;
    double w[1 + 2 * KEPT], sums[2] = {0.0, 0.0};
    collect(products, w);
    for (int j = begin(); j < m; j += stride()) {
        double xs = x[j], vs = v[j];
        #pragma unroll
        for (int k = 0; k < KEPT; k++)
            if (k < s.pairs) {
                const long long at = (long long)slot(s, k) * m + j;
                xs -= w[1 + k] * p[at];
                vs -= w[1 + k] * q[at];
            }
        x[j] = xs;
        v[j] = vs;
        sums[0] += b[j] * vs * vs;
        sums[1] += b[j] * vs * residual[j];
    }
    leave(sums, parts);
}

// The new pair at unit length in its slot, and in x the step that cancels what the pairs explain of the residual.
extern "C" __global__ void make_step(int m, const double* __restrict__ before, const double* __restrict__ products,
        const double* __restrict__ norms, const double* __restrict__ residual, const double* __restrict__ v, double* p,
        double* q, double* __restrict__ x, double* __restrict__ lengths, double* __restrict__ after) {
    State s = *(const State*)before;
    if (!s.done && !s.rejected) {
        double w[1 + 2 * KEPT], sums[2];
        collect(products, w);
        collect(norms, sums);
        int dropped = 0;
        double square = sums[0], along = sums[1], norm = 0.0;
        if (s.plain)
            while (true) {
                norm = sqrt(square);
                if (norm > 1e-6 * sqrt(w[0])) break;
                norm = 0.0;
                if (dropped == int(s.pairs)) break;
                // What old pairs explain in full is known better by now.
                square += w[1 + dropped] * w[1 + dropped];
                along += w[1 + dropped] * w[1 + KEPT + dropped];
                dropped++;
            }
        const int fresh = slot(s, int(s.pairs));
        double most[1] = {0.0};
        for (int j = begin(); j < m; j += stride()) {
            double out = residual[j], xs = 0.0, vs = 0.0;
            if (norm > 0.0) xs = x[j], vs = v[j];
            #pragma unroll
            for (int k = 0; k < KEPT; k++)
                if (k < s.pairs) {
                    const long long at = (long long)slot(s, k) * m + j;
                    if (k < dropped) xs += w[1 + k] * p[at], vs += w[1 + k] * q[at];
                    else out -= w[1 + KEPT + k] * (p[at] + q[at]);
                }
            if (norm > 0.0) {
                const long long at = (long long)fresh * m + j;
                p[at] = xs / norm;
                q[at] = vs / norm;
                out -= along / norm * (p[at] + q[at]);
            }
            x[j] = out;
            most[0] = fmax(most[0], fabs(out));
        }
        gather<1, true>(most);
        if (threadIdx.x == 0) lengths[blockIdx.x] = most[0];
        s.first = slot(s, dropped);
        s.pairs += (norm > 0.0 ? 1.0 : 0.0) - dropped;
    }
    if (first_thread()) *(State*)after = s;
}

// The next point g, no further than radius eps from the last where the step is an accelerated one.
extern "C" __global__ void move_point(int m, double eps, double radius, const double* __restrict__ log_b,
        const double* __restrict__ before, const double* __restrict__ lengths, const double* __restrict__ x,
        double* __restrict__ g, double* __restrict__ h_b, double* __restrict__ after) {
    State s = *(const State*)before;
    if (!s.done && !s.rejected) {
        double length = 0.0;
        for (int k = 0; k < gridDim.x; k++) length = fmax(length, lengths[k]);
        length /= eps;
        const double scale = length > radius && s.pairs ? radius / length : 1.0;
        for (int j = begin(); j < m; j += stride()) {
            g[j] += scale * x[j];
            h_b[j] = g[j] + log_b[j];
        }
        s.plain = 1.0;
    }
    if (first_thread()) *(State*)after = s;
}
