// What is told of a problem's potentials, as in soft_batch_proof.py: value, bounds and errors, and the rounded plan.

// log sum_i w_i exp(-f_i / rho).
__device__ __noinline__ double log_asked(int size, const double* weights, const double* potential,
                                            double rho, double mass) {
    if (isinf(rho)) return log(mass);
    double least = -1e300, total = 0.0;
    EACH(i, size) least = fmax(least, -potential[i]);
    least = -largest_of(least);
    EACH(i, size) total += weights[i] * exp((least - potential[i]) / rho);
    return log(sum_of(total)) - least / rho;
}

// (t, t') for which (f + t, g + t') has the largest dual value; 0, 0 where masses agree.
__device__ __forceinline__ void best_shifts(double mass, double log_a, double log_b, double eps, double rho_a,
                                            double rho_b, double& shift_f, double& shift_g) {
    shift_f = shift_g = 0.0;
    if (!(mass > 0.0)) return;
    const double log_mass = log(mass);
    const double agreed = isinf(rho_a) ? log_a : isinf(rho_b) ? log_b
        : (eps * log_mass + rho_a * log_a + rho_b * log_b) / (eps + rho_a + rho_b);
    if (fmax(fabs(log_mass - agreed), fmax(fabs(log_a - agreed), fabs(log_b - agreed))) <= AGREE) return;
    const double both = eps * (agreed - log_mass);
    if (isinf(rho_a)) {
        shift_g = rho_b * (log_b - agreed);
        shift_f = both - shift_g;
    } else {
        shift_f = rho_a * (log_a - agreed);
        shift_g = both - shift_f;
    }
}

// out_i = v_0 + ... + v_i, by one warp; out may be v.
__device__ __noinline__ void running_sum(int size, const double* v, double* out) {
    const Block block;
    __syncthreads();
    if (block.warp == 0) {
        double before = 0.0;
        for (int first = 0; first < size; first += 32) {
            const int i = first + block.lane;
            double sum = i < size ? v[i] : 0.0;
            #pragma unroll
            for (int by = 1; by < 32; by *= 2) {
                const double lower = __shfl_up_sync(EVERY_LANE, sum, by);
                if (block.lane >= by) sum += lower;
            }
            if (i < size) out[i] = before + sum;
            before += __shfl_sync(EVERY_LANE, sum, 31);
        }
    }
    __syncthreads();
}

// The plan scaled down to the marginals and completed in the order of the points: gap and both bounds. What rows lack
// and what columns lack are laid side by side: a pair is given what its two stretches share.
__device__ __noinline__ void round_plan(Room room, const double* held, double eps, double dual,
                                           double mass_a, double mass_b, double* figures) {
    const Block block;
    const double *a = room.of_rows(A), *f = room.of_rows(F), *b = room.of_columns(B), *g = room.of_columns(G);
    double *rows = room.of_rows(ROWS), *left = room.of_rows(THERE);
    double *scale = room.of_columns(PLAIN), *lack = room.of_columns(BACK);
    double lacking = 0.0, total_lack = 0.0;
    EACH(j, room.m) {
        scale[j] = held[j] > b[j] ? b[j] / held[j] : 1.0;
        lack[j] = fmax(b[j] - held[j], 0.0);
        lacking += lack[j];
    }
    lacking = sum_of(lacking);
    for (int i = block.warp; i < room.n; i += block.warps) {
        double sum = 0.0;
        for (int j = block.lane; j < room.m; j += 32)
            sum += scale[j] * b[j] * exp((f[i] + g[j] - room.cost(i, j)) / eps);
        sum = sum_of_warp(sum);
        if (block.lane == 0) rows[i] = sum, total_lack += a[i] * fmax(1.0 - sum, 0.0);
    }
    total_lack = sum_of(total_lack);
    EACH(i, room.n)
        left[i] = a[i] * fmax(1.0 - rows[i], 0.0) * (total_lack > 0.0 ? lacking / total_lack : 1.0);
    running_sum(room.n, left, left);
    running_sum(room.m, lack, lack);
    double v[6] = {};  // upper, entropy, moved, lower, sum |b g|, sum b g
    for (int i = block.warp; i < room.n; i += block.warps) {
        const double part = rows[i] > 0.0 ? fmin(1.0, 1.0 / rows[i]) : 0.0;
        const double from = i > 0 ? left[i - 1] : 0.0, to = left[i];
        double least = 1e300;
        for (int j = block.lane; j < room.m; j += 32) {
            const double c = room.cost(i, j);
            least = fmin(least, c - g[j]);
            const double more = fmin(to, lack[j]) - fmax(from, j > 0 ? lack[j - 1] : 0.0);
            const double mass = part * scale[j] * a[i] * b[j] * exp((f[i] + g[j] - c) / eps) + fmax(more, 0.0);
            if (mass > 0.0) {
                v[0] += mass * c;
                v[1] += mass * log(mass / (a[i] * b[j]));
                v[2] += mass;
            }
        }
        least = -largest_of_warp(-least);
        if (block.lane == 0) v[3] += a[i] * least;
    }
    EACH(j, room.m) v[4] += fabs(b[j] * g[j]), v[5] += b[j] * g[j];
    add_up(v);
    const double lower = v[3] + v[5], objective = v[0] + eps * (v[1] - v[2] + mass_a * mass_b);
    const double slack = 1e-15 * (v[4] + fabs(lower)) * (4.0 + log2(double(room.n + room.m)));
    if (threadIdx.x > 0) return;
    figures[3] = fmax(objective - dual, 0.0);
    figures[5] = fmin(lower - slack, v[0]), figures[6] = v[0];
}

// Make exact what is held exactly, once more, and write value, bounds and errors.
__device__ __noinline__ void prove(Room room, double eps, double rho_a, double rho_b,
                                      double mass_a, double mass_b, double* figures) {
    const Block block;
    const double k = LOG2_E / eps;
    const bool balanced = isinf(rho_a) && isinf(rho_b);
    double *a = room.of_rows(A), *f = room.of_rows(F), *rows = room.of_rows(ROWS), *there = room.of_rows(THERE);
    double *b = room.of_columns(B), *g = room.of_columns(G), *held = room.of_columns(STEP);
    EACH(i, room.n) there[i] = k * f[i];
    EACH(j, room.m) room.of_columns(BACK)[j] = k * g[j];
    if (isinf(rho_b) && !balanced) {
        EACH(i, room.n) rows[i] = there[i] + room.of_rows(LOG_A)[i];
        answer_columns(room, k);
        EACH(j, room.m) g[j] = room.of_columns(BACK)[j] / k;
    }
    if (isinf(rho_a)) {
        EACH(j, room.m) room.of_columns(COLUMNS)[j] = k * g[j] + room.of_columns(LOG_B)[j];
        answer_rows(room, k);
        EACH(i, room.n) f[i] = there[i] / k;
    }
    const auto mass_of = [&](int i, int j) { return a[i] * b[j] * exp((f[i] + g[j] - room.cost(i, j)) / eps); };
    fold_columns<false>(room, mass_of, held);
    double v[3] = {};  // value, entropy, moved
    for (int i = block.warp; i < room.n; i += block.warps) {
        double sum = 0.0;
        for (int j = block.lane; j < room.m; j += 32) {
            const double c = room.cost(i, j), exponent = (f[i] + g[j] - c) / eps, mass = a[i] * b[j] * exp(exponent);
            sum += mass;
            v[0] += mass * c;
            v[1] += mass * exponent;
        }
        sum = sum_of_warp(sum);
        if (block.lane == 0) rows[i] = sum, v[2] += sum;
    }
    add_up(v);
    double value = v[0], entropy = v[1], moved = v[2];
    if (!balanced) {
        double shift_f, shift_g;
        const double log_a = log_asked(room.n, a, f, rho_a, mass_a);
        const double log_b = log_asked(room.m, b, g, rho_b, mass_b);
        best_shifts(moved, log_a, log_b, eps, rho_a, rho_b, shift_f, shift_g);
        if (shift_f != 0.0 || shift_g != 0.0) {
            const double grown = (shift_f + shift_g) / eps, factor = exp(grown);
            EACH(i, room.n) f[i] += shift_f, rows[i] *= factor;
            EACH(j, room.m) g[j] += shift_g, held[j] *= factor;
            entropy = factor * (entropy + grown * moved);
            value *= factor, moved *= factor;
        }
    }
    entropy += mass_a * mass_b - moved;
    double w[4] = {};  // primal, dual, error, mass
    EACH(i, room.n) {
        const double want = a[i] * (isinf(rho_a) ? 1.0 : exp(-f[i] / rho_a));
        w[1] += a[i] * (isinf(rho_a) ? f[i] : -rho_a * expm1(-f[i] / rho_a));
        w[2] += fabs(rows[i] - want);
        w[3] += 0.5 * want;
        if (!isinf(rho_a)) w[0] += rho_a * ((rows[i] > 0.0 ? rows[i] * log(rows[i] / a[i]) : 0.0) - rows[i] + a[i]);
    }
    EACH(j, room.m) {
        const double want = b[j] * (isinf(rho_b) ? 1.0 : exp(-g[j] / rho_b));
        w[1] += b[j] * (isinf(rho_b) ? g[j] : -rho_b * expm1(-g[j] / rho_b));
        w[2] += fabs(held[j] - want);
        w[3] += 0.5 * want;
        if (!isinf(rho_b)) w[0] += rho_b * ((held[j] > 0.0 ? held[j] * log(held[j] / b[j]) : 0.0) - held[j] + b[j]);
    }
    add_up(w);
    const double primal = value + eps * entropy + w[0], dual = w[1] - eps * (moved - mass_a * mass_b);
    if (threadIdx.x == 0) {
        figures[0] = value, figures[1] = primal, figures[2] = dual, figures[4] = w[2], figures[8] = w[3];
        figures[3] = fmax(primal - dual, 0.0), figures[5] = figures[6] = nan("");
    }
    if (!balanced) return;
    round_plan(room, held, eps, dual, mass_a, mass_b, figures);
    // (f + t, g - t) prove the same: both sides get half of the dual value.
    double sides[2] = {};
    EACH(i, room.n) sides[0] += a[i] * f[i];
    EACH(j, room.m) sides[1] += b[j] * g[j];
    add_up(sides);
    const double shift = 0.5 * (sides[1] - sides[0]) / mass_a;
    EACH(i, room.n) f[i] += shift;
    EACH(j, room.m) g[j] -= shift;
}
