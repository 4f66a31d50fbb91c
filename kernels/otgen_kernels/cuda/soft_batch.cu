// Many small entropic problems at once, a block a problem, float64: all sweeps of one in one launch. Its costs are
// filled in once, in global memory; its vectors lie in shared memory where they fit.
#define LOG2_E 1.4426950408889634
#include "block.cuh"
#include "soft_batch_costs.cuh"
#include "soft_batch_room.cuh"
#include "soft_batch_duals.cuh"
#include "soft_batch_proof.cuh"
#include "soft_batch_solve.cuh"

#include "dynamic.cuh"

// The indices of positive weights, in order, by one warp; returns how many, which all are told.
__device__ __noinline__ int list_positive(int size, const double* weights, int* at, int* count) {
    const Block block;
    if (block.warp == 0) {
        int found = 0;
        for (int first = 0; first < size; first += 32) {
            const int i = first + block.lane;
            const bool kept = i < size && weights[i] > 0.0;
            const unsigned all = __ballot_sync(EVERY_LANE, kept);
            if (kept) at[found + __popc(all & ((1u << block.lane) - 1u))] = i;
            found += __popc(all);
        }
        if (block.lane == 0) *count = found;
    }
    __syncthreads();
    return *count;
}

// Points without mass are given the soft c-transform of those of the other side that have it; a warp a point.
__device__ __noinline__ void extend(const double* x, const double* y, const double* weights, int size,
        const int* at, int count, const double* potential, const double* log_weights, Cost cost, double k,
        double damp, double* out) {
    const Block block;
    for (int i = block.warp; i < size; i += block.warps) {
        if (weights[i] > 0.0) continue;
        const double* point = x + (long long)i * cost.d;
        double most = -1e300, total = 0.0;
        for (int trial = 0; trial < 2; trial++) {
            for (int j = block.lane; j < count; j += 32) {
                const double c = power(distance(point, y + (long long)at[j] * cost.d, cost), cost);
                const double z = k * potential[j] + log_weights[j] - k * c;
                if (trial == 0) most = fmax(most, z);
                else total += exp2(z - most);
            }
            if (trial == 0) most = largest_of_warp(most);
        }
        total = sum_of_warp(total);
        if (block.lane == 0) out[i] = -(most + log2(total)) / k * damp;
    }
}

// Problem `from + blockIdx.x` of x (B, n, d), y (B, m, d), a (B, n) and b (B, m) >= 0; f, g, figures (B, 9) as on the
// host. Room of each block: room_costs n m, places n + m, and room_vectors unless those lie in shared memory.
extern "C" __global__ void __launch_bounds__(256, 1) sinkhorn_batch(const double* __restrict__ x,
        const double* __restrict__ y, const double* __restrict__ a, const double* __restrict__ b, int from, int n,
        int m, int d, int form, int shape, double q, double unit, double eps, double rho_a, double rho_b, double tol,
        int max_iter, int symmetric, int in_shared, double* room_costs, double* room_vectors, int* places,
        double* __restrict__ f, double* __restrict__ g, double* __restrict__ figures) {
    const Block block;
    DYNAMIC_SHARED(double, shared);
    __shared__ int counts[2];
    const long long problem = from + (long long)blockIdx.x;
    const Cost cost = {d, form, shape, q, unit};
    x += problem * n * d, y += problem * m * d, a += problem * n, b += problem * m;
    f += problem * n, g += problem * m, figures += problem * 9;
    int *row_at = places + (long long)blockIdx.x * (n + m), *column_at = row_at + n;
    double* vectors = in_shared ? shared
        : room_vectors + (long long)blockIdx.x * ((long long)N_VECTORS * n + (long long)M_VECTORS * m);
    Room room;
    room.n = list_positive(n, a, row_at, &counts[0]), room.m = list_positive(m, b, column_at, &counts[1]);
    room.by_row = vectors, room.by_column = vectors + (long long)N_VECTORS * n;
    room.costs = room_costs + (long long)blockIdx.x * n * m;
    double v[3] = {}, largest = 0.0;  // the masses, sum a_i b_j c_ij
    EACH(i, room.n) {
        const double weight = a[row_at[i]];
        room.of_rows(A)[i] = weight, room.of_rows(LOG_A)[i] = log2(weight), v[0] += weight;
    }
    EACH(j, room.m) {
        const double weight = b[column_at[j]];
        room.of_columns(B)[j] = weight, room.of_columns(LOG_B)[j] = log2(weight), v[1] += weight;
    }
    for (int i = block.warp; i < room.n; i += block.warps)
        for (int j = block.lane; j < room.m; j += 32) {
            const int row = row_at[i], column = column_at[j];
            const double c = power(distance(x + (long long)row * d, y + (long long)column * d, cost), cost);
            room.costs[(long long)i * room.m + j] = c;
            v[2] += a[row] * b[column] * c;
            largest = fmax(largest, c);
        }
    add_up(v);
    largest = largest_of(largest);
    const double mass_a = v[0], mass_b = v[1];
    const Options options = {eps, rho_a, rho_b, tol, max_iter};
    const int sweeps = symmetric ? solve_symmetric(room, options, largest, mass_a)
                                 : solve(room, options, v[2] / (mass_a * mass_b), largest, mass_a, mass_b);
    if (threadIdx.x == 0) figures[7] = sweeps;
    prove(room, eps, rho_a, rho_b, mass_a, mass_b, figures);
    EACH(i, room.n) f[row_at[i]] = room.of_rows(F)[i];
    EACH(j, room.m) g[column_at[j]] = room.of_columns(G)[j];
    if (room.n == n && room.m == m) return;
    __syncthreads();
    const double k = LOG2_E / eps;
    extend(x, y, a, n, column_at, room.m, room.of_columns(G), room.of_columns(LOG_B), cost, k,
           isinf(rho_a) ? 1.0 : rho_a / (rho_a + eps), f);
    extend(y, x, b, m, row_at, room.n, room.of_rows(F), room.of_rows(LOG_A), cost, k,
           isinf(rho_b) ? 1.0 : rho_b / (rho_b + eps), g);
}

// out (B, n, d) = sum_j pi_ij grad c(x_i, y_j) in x_i: a warp a row, a lane a column, then a lane a coordinate.
extern "C" __global__ void __launch_bounds__(256, 2) sinkhorn_batch_gradient(const double* __restrict__ x,
        const double* __restrict__ y, const double* __restrict__ a, const double* __restrict__ b,
        const double* __restrict__ f, const double* __restrict__ g, long long rows, int n, int m, int d, int form,
        int shape, double q, double unit, double eps, double* __restrict__ out) {
    const int lane = threadIdx.x % 32;
    const long long row = (long long)blockIdx.x * 8 + threadIdx.x / 32, problem = row / n;
    if (row >= rows) return;
    const Cost cost = {d, form, shape, q, unit};
    const double* point = x + row * d;
    out += row * d;
    for (int first = 0; first < m; first += 32) {
        const int j = min(first + lane, m - 1);
        const long long column = problem * m + j;
        const double* other = y + column * d;
        const double s = distance(point, other, cost), c = power(s, cost), weight = a[row] * b[column];
        double slope = 0.0;
        if (first + lane < m && weight > 0.0 && s > 0.0) {
            slope = weight * exp((f[row] + g[column] - c) / eps);
            if (slope > 0.0) slope *= q * c / s;
        }
        int largest = 0;  // the coordinate that the maximum is of, the first of equals
        if (form == MAXIMUM)
            while (largest < d - 1 && fabs(point[largest] - other[largest]) != s) largest++;
        for (int start = 0; start < d; start += 32) {
            const int k = start + lane;
            double sum = k < d && first > 0 ? out[k] : 0.0;
            for (int from = 0; from < 32 && first + from < m; from++) {
                const double pull = __shfl_sync(EVERY_LANE, slope, from);
                const int at = __shfl_sync(EVERY_LANE, largest, from);
                if (k >= d || pull == 0.0) continue;
                const double u = point[k] - y[(problem * m + first + from) * d + k];
                if (form == SQUARES) sum += 2.0 * unit * pull * u;
                else if (form == ABSOLUTES || at == k) sum += u > 0.0 ? pull : u < 0.0 ? -pull : 0.0;
            }
            if (k < d) out[k] = sum;
        }
    }
}

// out_p = sum_ij a_i b_j exp((f_i + g_j - c_ij) / eps) of problem p, a block each.
extern "C" __global__ void __launch_bounds__(256, 2) plan_mass_batch(const double* __restrict__ x,
        const double* __restrict__ y, const double* __restrict__ a, const double* __restrict__ b,
        const double* __restrict__ f, const double* __restrict__ g, int n, int m, int d, int form, int shape, double q,
        double unit, double eps, double* __restrict__ out) {
    const Block block;
    const long long problem = blockIdx.x;
    const Cost cost = {d, form, shape, q, unit};
    double total = 0.0;
    for (int i = block.warp; i < n; i += block.warps)
        for (int j = block.lane; j < m; j += 32) {
            const long long row = problem * n + i, column = problem * m + j;
            const double weight = a[row] * b[column];
            if (weight == 0.0) continue;  // its power may be infinite
            const double c = power(distance(x + row * d, y + column * d, cost), cost);
            total += weight * exp((f[row] + g[column] - c) / eps);
        }
    total = sum_of(total);
    if (threadIdx.x == 0) out[problem] = total;
}
