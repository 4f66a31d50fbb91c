// Random numbers by their place in a stream: Philox4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
// easy as 1, 2, 3" (2011). Block b of the stream is the cipher of the counter (b, 0) under the key; its four words are
// two numbers of 53 bits, so that the number at a place is the same whatever launch makes it.

__device__ __forceinline__ unsigned high(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

// The numbers u0, u1 in [0, 1) of a block.
__device__ __forceinline__ void block_uniform(unsigned long long block, unsigned key0, unsigned key1, double u[2]) {
    unsigned c0 = (unsigned)block, c1 = (unsigned)(block >> 32), c2 = 0u, c3 = 0u;
    #pragma unroll
    for (int round = 0; round < 10; round++) {
        const unsigned h0 = high(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
        const unsigned h1 = high(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
        c0 = h1 ^ c1 ^ key0, c1 = l1, c2 = h0 ^ c3 ^ key1, c3 = l0;
        key0 += 0x9E3779B9u, key1 += 0xBB67AE85u;
    }
    u[0] = ((double)(c0 >> 5) * 67108864.0 + (double)(c1 >> 6)) / 9007199254740992.0;
    u[1] = ((double)(c2 >> 5) * 67108864.0 + (double)(c3 >> 6)) / 9007199254740992.0;
}

// out[t] = the number at first + t, t < count; a thread a block of the stream.
extern "C" __global__ void uniform(unsigned key0, unsigned key1, unsigned long long first, long long count,
                                   double* __restrict__ out) {
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned long long block = first / 2 + thread;
    const long long place = (long long)(2 * block - first);  // of u0; -1 where the draw begins with u1
    if (place >= count) return;
    double u[2];
    block_uniform(block, key0, key1, u);
    if (place >= 0) out[place] = u[0];
    if (place + 1 < count) out[place + 1] = u[1];
}

// The same places as standard normal numbers, by Box and Muller: r cos a, r sin a of r^2 = -2 log(1 - u0), a = 2 pi u1.
extern "C" __global__ void normal(unsigned key0, unsigned key1, unsigned long long first, long long count,
                                  double* __restrict__ out) {
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned long long block = first / 2 + thread;
    const long long place = (long long)(2 * block - first);
    if (place >= count) return;
    double u[2], sine, cosine;
    block_uniform(block, key0, key1, u);
    const double r = sqrt(-2.0 * log(1.0 - u[0]));
    sincospi(2.0 * u[1], &sine, &cosine);
    if (place >= 0) out[place] = r * cosine;
    if (place + 1 < count) out[place + 1] = r * sine;
}
