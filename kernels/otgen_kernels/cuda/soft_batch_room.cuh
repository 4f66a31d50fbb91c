// The vectors of one problem, and its half-steps: the soft c-transforms of rows and columns relative to a guess.
#define MEMORY 5

// Vectors of n, and of m: five secants come last. They lie in shared memory where they fit.
enum { A, LOG_A, F, THERE, ROWS, N_VECTORS };
enum { B, LOG_B, G, BACK, COLUMNS, PLAIN, MARK, LAST_POINT, LAST_RESIDUAL, RESIDUAL, STEP, POINTS,
       CHANGES = POINTS + MEMORY, M_VECTORS = CHANGES + MEMORY };

#define TOP 60.0  // bits: one such term is enough to know a guess as poor

struct Room {
    int n, m;
    double *by_row, *by_column, *costs;
    __device__ double* of_rows(int k) const { return by_row + (long long)k * n; }
    __device__ double* of_columns(int k) const { return by_column + (long long)k * m; }
    __device__ double cost(int i, int j) const { return costs[(long long)i * m + j]; }
};

#define EACH(i, size) for (int i = threadIdx.x; i < (size); i += blockDim.x)

__device__ __forceinline__ bool is_fair(double total) { return total >= 1e-6 && total <= 1e12; }

// there_i = there_i - log2 sum_j 2^(there_i + columns_j - k c_ij), all in bits, the same for any guess `there`; a warp
// a row.
__device__ __noinline__ void answer_rows(Room room, double k) {
    const Block block;
    double* there = room.of_rows(THERE);
    const double* columns = room.of_columns(COLUMNS);
    __syncthreads();
    for (int i = block.warp; i < room.n; i += block.warps) {
        double guess = there[i], total = 0.0;
        for (int trial = 0; trial < 2; trial++) {
            total = 0.0;
            for (int j = block.lane; j < room.m; j += 32)
                total += exp2(fmin(guess + columns[j] - k * room.cost(i, j), TOP));
            total = sum_of_warp(total);
            if (is_fair(total)) break;
            double largest = -1e300;
            for (int j = block.lane; j < room.m; j += 32) largest = fmax(largest, columns[j] - k * room.cost(i, j));
            guess = -largest_of_warp(largest);
        }
        __syncwarp();  // all have read the guess
        if (block.lane == 0) there[i] = guess - log2(total);
    }
    __syncthreads();
}

// out_j = the sum, or the least, of term(i, j) over i: a lane a column, rows shared out where columns are few.
template <bool LEAST_OF, typename Term>
__device__ __forceinline__ void fold_columns(Room room, Term term, double* out) {
    const Block block;
    __shared__ double parts[MOST_WARPS][32];
    const int chunks = (room.m + 31) / 32, shared_by = max(block.warps / chunks, 1), part = block.warp / chunks;
    __syncthreads();
    if (shared_by == 1) {
        for (int j = threadIdx.x; j < room.m; j += blockDim.x) {
            double value = LEAST_OF ? 1e300 : 0.0;
            for (int i = 0; i < room.n; i++) value = LEAST_OF ? fmin(value, term(i, j)) : value + term(i, j);
            out[j] = value;
        }
    } else {
        const int j = block.warp % chunks * 32 + block.lane;
        double value = LEAST_OF ? 1e300 : 0.0;
        if (part < shared_by && j < room.m)
            for (int i = part; i < room.n; i += shared_by)
                value = LEAST_OF ? fmin(value, term(i, j)) : value + term(i, j);
        parts[block.warp][block.lane] = value;
        __syncthreads();
        EACH(column, room.m) {
            double whole = parts[column / 32][column % 32];
            for (int s = 1; s < shared_by; s++) {
                const double more = parts[column / 32 + s * chunks][column % 32];
                whole = LEAST_OF ? fmin(whole, more) : whole + more;
            }
            out[column] = whole;
        }
    }
    __syncthreads();
}

// back_j = back_j - log2 sum_i 2^(back_j + rows_i - k c_ij); COLUMNS is lost.
__device__ __noinline__ void answer_columns(Room room, double k) {
    double *back = room.of_columns(BACK), *sums = room.of_columns(COLUMNS);
    const double* rows = room.of_rows(ROWS);
    const auto mass = [&](int i, int j) { return exp2(fmin(rows[i] + back[j] - k * room.cost(i, j), TOP)); };
    for (int trial = 0; trial < 2; trial++) {
        fold_columns<false>(room, mass, sums);
        double poor = 0.0;
        EACH(j, room.m) poor = is_fair(sums[j]) ? poor : 1.0;
        if (trial == 1 || largest_of(poor) == 0.0) break;
        fold_columns<true>(room, [&](int i, int j) { return k * room.cost(i, j) - rows[i]; }, back);
    }
    EACH(j, room.m) back[j] -= log2(sums[j]);
}
