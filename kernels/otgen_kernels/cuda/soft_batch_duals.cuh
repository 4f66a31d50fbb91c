// Sums over the potentials of one problem, as in soft_batch_solve.py and soft_batch_proof.py.
#define AGREE 0.01  // share by which a plan's mass may miss what its potentials ask for before they are shifted

__device__ __forceinline__ double decay(double potential, double rho) {
    return isinf(rho) ? 1.0 : exp(fmin(fmax(-potential / rho, -50.0), 50.0));
}

// sum |marginal - what it should be|, a share of what that is in all; back, in bits, answers the other side.
__device__ __noinline__ double marginal_error(int size, const double* weights,
                                                 const double* potential, const double* back, double k, double rho) {
    double v[2] = {};
    EACH(i, size) {
        const double want = decay(potential[i], rho);
        v[0] += weights[i] * fabs(exp2(fmin(k * potential[i] - back[i], 60.0)) - want);
        v[1] += weights[i] * want;
    }
    add_up(v);
    return v[0] / v[1];
}

__device__ __forceinline__ double dual_term(double weight, double potential, double rho) {
    return weight * (isinf(rho) ? potential : -rho * expm1(fmin(fmax(-potential / rho, -50.0), 50.0)));
}

// The dual value where f answers g, up to a constant; size is that of what is summed.
__device__ __noinline__ double semi_dual(Room room, double eps, double rho_a, double rho_b,
                                            double& size) {
    const double *a = room.of_rows(A), *f = room.of_rows(F), *b = room.of_columns(B), *g = room.of_columns(G);
    double v[3] = {};
    EACH(i, room.n) {
        const double term = dual_term(a[i], f[i], rho_a);
        v[0] += term, v[1] += fabs(term), v[2] += a[i] * decay(f[i], rho_a);
    }
    EACH(j, room.m) {
        const double term = dual_term(b[j], g[j], rho_b);
        v[0] += term, v[1] += fabs(term);
    }
    add_up(v);
    size = v[1];
    return v[0] - eps * v[2];
}

// log sum_i w_i exp(-f_i / rho), with all its digits where rho is large.
__device__ __noinline__ double log_mass(int size, const double* weights, const double* potential,
                                           double rho, double mass) {
    if (isinf(rho)) return log(mass);
    double v[2] = {-1e300, -1e300};  // minus the least, the largest
    EACH(i, size) v[0] = fmax(v[0], -potential[i]), v[1] = fmax(v[1], potential[i]);
    gather<2, true>(v);
    const double low = -v[0];
    const bool near = fmax(v[0], v[1]) < rho;
    double total = 0.0;
    EACH(i, size) total += weights[i] * (near ? expm1(-potential[i] / rho) : exp(-(potential[i] - low) / rho));
    total = sum_of(total);
    return near ? log(mass) + log1p(total / mass) : log(total) - low / rho;
}

// sum_j b_j v_j w_j of vectors of columns.
__device__ __noinline__ double product(Room room, const double* v, const double* w) {
    const double* b = room.of_columns(B);
    double total = 0.0;
    EACH(j, room.m) total += b[j] * v[j] * w[j];
    return sum_of(total);
}

// How far g is from where it was, a common shift aside.
__device__ __noinline__ double way_from(Room room, const double* now, const double* before,
                                           double mass) {
    const double* b = room.of_columns(B);
    double mean = 0.0, total = 0.0;
    EACH(j, room.m) mean += b[j] * (now[j] - before[j]);
    mean = sum_of(mean) / mass;
    EACH(j, room.m) total += b[j] * (now[j] - before[j] - mean) * (now[j] - before[j] - mean);
    return sqrt(sum_of(total));
}
