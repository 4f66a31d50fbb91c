// The loops of soft_batch_solve.py, where the reasons are: annealed, accelerated, guarded. A thread looks after its own
// entries of every vector; others read them after a wait.
#define ENDLESS __longlong_as_double(0x7ff0000000000000ll)
#define RADIUS 3.0
#define FACTOR 4.0
#define STAGE_TOL 1e-2
#define STAGE_SWEEPS 60
#define ROUNDOFF 2.2e-16
#define NOISE 1e-13   // share that the sums of a semi-dual may be off by
#define PATIENCE 300  // sweeps without a tenth less error, near the rounding of the exponents, until it may be the end
#define SHARE 0.1     // of their way that potentials got no farther than, where they go round in noise

struct Options {
    double eps, rho_a, rho_b, tol;
    int max_iter;
};

struct Secants {
    int first, held;  // pair t lies at place (first + t) % MEMORY
};

// Add a secant pair, its change made orthonormal to the others; the oldest goes where there is no room.
__device__ __noinline__ Secants learn(Room room, Secants known) {
    int first = known.first, held = known.held;
    double *x = room.of_columns(STEP), *v = room.of_columns(COLUMNS);
    const double *g = room.of_columns(G), *residual = room.of_columns(RESIDUAL);
    const double *last_point = room.of_columns(LAST_POINT), *last_residual = room.of_columns(LAST_RESIDUAL);
    EACH(j, room.m) x[j] = g[j] - last_point[j], v[j] = residual[j] - last_residual[j];
    const double size = sqrt(product(room, v, v));
    for (int t = 0; t < held; t++) {
        const double *point = room.of_columns(POINTS + (first + t) % MEMORY);
        const double *change = room.of_columns(CHANGES + (first + t) % MEMORY);
        const double along = product(room, change, v);
        EACH(j, room.m) x[j] -= along * point[j], v[j] -= along * change[j];
    }
    double norm = sqrt(product(room, v, v));
    if (!(norm > 1e-3 * size)) {  // the others explain it all and yet it goes on: it takes the place of all
        EACH(j, room.m) x[j] = g[j] - last_point[j], v[j] = residual[j] - last_residual[j];
        norm = size, held = 0;
    }
    if (!(norm > 0.0)) return {first, held};
    if (held == MEMORY) first = (first + 1) % MEMORY, held--;
    double *point = room.of_columns(POINTS + (first + held) % MEMORY);
    double *change = room.of_columns(CHANGES + (first + held) % MEMORY);
    EACH(j, room.m) point[j] = x[j] / norm, change[j] = v[j] / norm;
    return {first, held + 1};
}

// g moves by its residual and what the secants know of it, by `reach` at most in any entry.
__device__ __noinline__ void extrapolate(Room room, Secants secants, double reach) {
    const double *b = room.of_columns(B), *residual = room.of_columns(RESIDUAL);
    double *g = room.of_columns(G), *step = room.of_columns(STEP);
    double along[MEMORY] = {};
    EACH(j, room.m) {
        room.of_columns(LAST_POINT)[j] = g[j], room.of_columns(LAST_RESIDUAL)[j] = residual[j];
        #pragma unroll
        for (int t = 0; t < MEMORY; t++)
            if (t < secants.held)
                along[t] += b[j] * room.of_columns(CHANGES + (secants.first + t) % MEMORY)[j] * residual[j];
    }
    add_up(along);
    double longest = 0.0;
    EACH(j, room.m) {
        double moved = residual[j];
        #pragma unroll
        for (int t = 0; t < MEMORY; t++)
            if (t < secants.held) {
                const int place = (secants.first + t) % MEMORY;
                moved -= along[t] * (room.of_columns(POINTS + place)[j] + room.of_columns(CHANGES + place)[j]);
            }
        step[j] = moved;
        longest = fmax(longest, fabs(moved));
    }
    longest = largest_of(longest);
    const double ratio = secants.held > 0 && longest > 0.0 ? fmin(1.0, reach / longest) : 1.0;
    EACH(j, room.m) g[j] += ratio * step[j];
}

// Solve from zero; returns the sweeps it took.
__device__ __noinline__ int solve(Room room, Options options, double typical,
                                     double largest, double mass_a, double mass_b) {
    const double eps = options.eps, rho_a = options.rho_a, rho_b = options.rho_b;
    const bool balanced = isinf(rho_a) && isinf(rho_b);
    const int n = room.n, m = room.m, stages = typical > eps ? int(ceil(log(typical / eps) / log(FACTOR))) : 0;
    double *f = room.of_rows(F), *there = room.of_rows(THERE), *b = room.of_columns(B), *g = room.of_columns(G);
    double *back = room.of_columns(BACK), *plain = room.of_columns(PLAIN), *mark = room.of_columns(MARK);
    double* residual = room.of_columns(RESIDUAL);
    EACH(i, n) f[i] = 0.0;
    EACH(j, m) g[j] = 0.0;
    int done = 0;
    for (int stage = 0; stage <= stages; stage++) {
        const double now = stage < stages ? eps * pow(typical / eps, 1.0 - double(stage) / stages) : eps;
        const double k = LOG2_E / now;
        const double damp_a = isinf(rho_a) ? 1.0 : rho_a / (rho_a + now);
        const double damp_b = isinf(rho_b) ? 1.0 : rho_b / (rho_b + now);
        double target = options.tol;
        int most = options.max_iter - done;
        if (stage < stages)  // the last sweep is at the user's eps
            target = fmax(target, STAGE_TOL), most = min(STAGE_SWEEPS, options.max_iter - done - 1);
        Secants secants = {0, 0};
        int since = 0;
        bool guarded = false, learned = false;
        double value = -ENDLESS, best = ENDLESS, way = 0.0;
        EACH(i, n) there[i] = f[i] * k / damp_a;
        EACH(j, m) back[j] = g[j] * k / damp_b;
        for (int sweep = 0; sweep < most; sweep++) {
            done++;
            EACH(j, m) room.of_columns(COLUMNS)[j] = k * g[j] + room.of_columns(LOG_B)[j];
            answer_rows(room, k);
            EACH(i, n) f[i] = damp_a * there[i] / k;
            double size;
            const double dual = semi_dual(room, now, rho_a, rho_b, size);
            if (guarded && !(dual >= value - NOISE * size)) {
                EACH(j, m) g[j] = plain[j];
                secants.held = 0, guarded = learned = false;
                continue;
            }
            value = dual;
            EACH(i, n) room.of_rows(ROWS)[i] = k * f[i] + room.of_rows(LOG_A)[i];
            answer_columns(room, k);
            const double error = marginal_error(m, b, g, back, k, rho_b);
            EACH(j, m) plain[j] = damp_b * back[j] / k;
            if (!balanced) {  // (f + t, plain - t) has the largest dual value
                const double one = log_mass(n, room.of_rows(A), f, rho_a, mass_a);
                const double other = log_mass(m, b, plain, rho_b, mass_b);
                const double shift = (one - other) / (1.0 / rho_a + 1.0 / rho_b);
                EACH(i, n) f[i] += shift;
                EACH(j, m) plain[j] -= shift;
            }
            if (error <= target) break;
            double mean = 0.0;
            EACH(j, m) {
                residual[j] = plain[j] - g[j];
                mean += b[j] * residual[j];
            }
            if (balanced) {
                mean = sum_of(mean) / mass_b;
                EACH(j, m) residual[j] -= mean;
            }
            if (error < 0.9 * best || since == PATIENCE) {
                best = fmin(error, best), since = 0, way = 0.0;
                EACH(j, m) mark[j] = g[j];
            }
            since++;
            way += sqrt(product(room, residual, residual));
            if (since == PATIENCE && error < ROUNDOFF * (16.0 + k * largest)
                && way_from(room, g, mark, mass_b) <= SHARE * way) break;
            if (learned) secants = learn(room, secants);
            learned = true;
            extrapolate(room, secants, RADIUS * now);
            guarded = true;
        }
        if (done > 0) EACH(j, m) g[j] = plain[j];
    }
    return done;
}

// The same for a problem of one cloud with itself: f <- (f + T f) / 2.
__device__ __noinline__ int solve_symmetric(Room room, Options options, double largest,
                                               double mass) {
    const double k = LOG2_E / options.eps, rho = options.rho_a;
    const double damp = isinf(rho) ? 1.0 : rho / (rho + options.eps);
    double *f = room.of_columns(G), *there = room.of_rows(THERE), *step = room.of_columns(STEP);
    double best = ENDLESS, way = 0.0;
    int since = 0, done = 0;
    EACH(i, room.n) f[i] = there[i] = 0.0;
    while (done < options.max_iter) {
        done++;
        EACH(i, room.n) room.of_columns(COLUMNS)[i] = k * f[i] + room.of_columns(LOG_B)[i];
        answer_rows(room, k);
        const double error = marginal_error(room.n, room.of_columns(B), f, there, k, rho);
        EACH(i, room.n) step[i] = 0.5 * (damp * there[i] / k - f[i]);
        if (error < 0.9 * best || since == PATIENCE) {
            best = fmin(error, best), since = 0, way = 0.0;
            EACH(i, room.n) room.of_columns(MARK)[i] = f[i];
        }
        since++;
        way += sqrt(product(room, step, step));
        const bool lost = since == PATIENCE && error < ROUNDOFF * (16.0 + k * largest)
                          && way_from(room, f, room.of_columns(MARK), mass) <= SHARE * way;
        EACH(i, room.n) f[i] += step[i];
        if (error <= options.tol || lost) break;
    }
    EACH(i, room.n) room.of_rows(F)[i] = f[i];
    return done;
}
