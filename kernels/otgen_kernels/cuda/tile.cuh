// A tile of 64 x 64 pairs in the registers of 256 threads, 4 x 4 each: thread (ty, tx) has rows ty + 16 a and columns
// tx + 16 b, so that the 16 lanes of a half warp share their rows and read neighbouring columns.
#define TILE 64
#define THREADS 256

// s of every pair of the tile at (row, column), coordinates read from global memory in slices. Rows and
// columns beyond the clouds repeat the last one: who reads s asks whether there is such a pair.
template <typename T, int SLICE = 16>
__device__ __forceinline__ void tile_distances(const REAL* x, const REAL* y, int n, int m, int d, int row, int column,
                                               T s[4][4]) {
    __shared__ T xs[SLICE][TILE + 1];
    __shared__ T ys[SLICE][TILE + 1];
    const int thread = threadIdx.x, tx = thread % 16, ty = thread / 16;
    #pragma unroll
    for (int a = 0; a < 4; a++)
        #pragma unroll
        for (int b = 0; b < 4; b++) s[a][b] = T(0);
    for (int first = 0; first < d; first += SLICE) {
        const int width = min(SLICE, d - first);
        __syncthreads();  // the slice before has been read by all
        for (int t = thread; t < TILE * width; t += THREADS) {
            const int point = t / width, k = t % width;
            xs[k][point] = T(x[(long long)min(row + point, n - 1) * d + first + k]);
            ys[k][point] = T(y[(long long)min(column + point, m - 1) * d + first + k]);
        }
        __syncthreads();
        for (int k = 0; k < width; k++) {
            T u[4], v[4];
            #pragma unroll
            for (int a = 0; a < 4; a++) u[a] = xs[k][ty + 16 * a];
            #pragma unroll
            for (int b = 0; b < 4; b++) v[b] = ys[k][tx + 16 * b];
            #pragma unroll
            for (int a = 0; a < 4; a++)
                #pragma unroll
                for (int b = 0; b < 4; b++) s[a][b] = joined(s[a][b], u[a], v[b]);
        }
    }
}
