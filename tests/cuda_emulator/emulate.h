// CUDA C++ on the host: a block's threads are fibers, run one at a time until each waits for the others.
//
// Blocks run one after the other, so a block's shared memory may be static. A warp's collective (shuffle, ballot,
// __syncwarp) waits for all 32 lanes, __syncthreads for the block; who would wait for ever is reported. Between waits
// the threads run in an order that OTGEN_EMULATOR_ORDER turns round: what depends on it has a race.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

struct dim3 { unsigned x, y, z; };
typedef dim3 uint3;
struct __attribute__((aligned(16))) float4 { float x, y, z, w; };
static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;

#define OTGEN_EMULATED 1
#define __global__
#define __device__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __shared__ static __attribute__((section("shared_memory")))  // between the two below, if there is any
extern "C" __attribute__((weak, visibility("hidden"))) char __start_shared_memory[], __stop_shared_memory[];
#define __launch_bounds__(...)
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))

#ifdef __x86_64__  // glibc's swapcontext asks the kernel for the signal mask, which takes a hundred times as long
asm(R"(
.text
.local otgen_switch
.type otgen_switch, @function
otgen_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
extern "C" __attribute__((visibility("hidden"))) void otgen_switch(void** from, void* to);
struct Context { void* top; };
static void switch_context(Context* from, Context* to) { otgen_switch(&from->top, to->top); }
static void make_context(Context* context, char* stack, size_t size, void (*run)()) {
    void** top = (void**)((uintptr_t)(stack + size) / 16 * 16);
    *--top = 0;           // as if called: the stack is 8 short of a multiple of 16
    *--top = (void*)run;  // where `ret` goes
    for (int k = 0; k < 6; k++) *--top = 0;
    context->top = top;
}
#else
#include <ucontext.h>
typedef ucontext_t Context;
static void switch_context(Context* from, Context* to) { swapcontext(from, to); }
static void make_context(Context* context, char* stack, size_t size, void (*run)()) {
    getcontext(context);
    context->uc_stack.ss_sp = stack, context->uc_stack.ss_size = size, context->uc_link = 0;
    makecontext(context, run, 0);
}
#endif

namespace emulator {
enum State { READY, BLOCK, WARP, DONE };
struct Fiber { Context context; State state; int parity; uint3 at; const char* place; };
static const size_t STACK = 64 * 1024;
static Fiber fibers[1024];
static char* stacks;
static Context scheduler;
static int current, threads;
static char problem[512];
static unsigned long long slots[2][1024];
static char* dynamic;
struct Call { void (*run)(void**); void** arguments; };
static Call call;

static void enter() {
    call.run(call.arguments);
    fibers[current].state = DONE;
    switch_context(&fibers[current].context, &scheduler);
}
static inline void wait(State state, const char* place) {
    fibers[current].state = state;
    fibers[current].place = place;
    switch_context(&fibers[current].context, &scheduler);
}
// Copies beside the arithmetic: they are made when their group is waited for; until then the place holds NaN.
struct Copy { void* to; const void* from; int bytes, group; };
static Copy copies[1024][128];
static int copies_started[1024], copies_groups[1024];
static void copies_forget() { memset(copies_started, 0, sizeof copies_started), memset(copies_groups, 0, sizeof copies_groups); }
static inline void copy_async(void* to, const void* from, int bytes) {
    if (copies_started[current] == 128) { snprintf(problem, sizeof problem, "copies nobody waits for"); return; }
    if ((uintptr_t)to % bytes || (uintptr_t)from % bytes) snprintf(problem, sizeof problem, "a copy that is not aligned");
    memset(to, 0xff, bytes);
    copies[current][copies_started[current]++] = {to, from, bytes, copies_groups[current]};
}
static inline void copies_end_group() { copies_groups[current]++; }
static inline void copies_wait(int left) {
    int kept = 0;
    for (int k = 0; k < copies_started[current]; k++) {
        const Copy& copy = copies[current][k];
        if (copy.group < copies_groups[current] - left) memcpy(copy.to, copy.from, copy.bytes);
        else copies[current][kept++] = copy;
    }
    copies_started[current] = kept;
}
// Runs one block; says in `problem` what went wrong.
static void block(bool backwards) {
    copies_forget();
    for (int t = 0; t < threads; t++) {
        Fiber& fiber = fibers[t];
        fiber.state = READY;
        fiber.parity = 0;
        fiber.at.x = t % blockDim.x, fiber.at.y = t / blockDim.x % blockDim.y, fiber.at.z = t / (blockDim.x * blockDim.y);
        make_context(&fiber.context, stacks + t * STACK, STACK, enter);
    }
    for (;;) {
        bool ran = false;
        for (int k = 0; k < threads; k++) {
            const int t = backwards ? threads - 1 - k : k;
            if (fibers[t].state != READY) continue;
            ran = true;
            current = t;
            threadIdx = fibers[t].at;
            switch_context(&scheduler, &fibers[t].context);
        }
        if (ran) {
            for (int w = 0; w < threads; w += 32) {
                bool all = true;
                for (int t = w; t < w + 32; t++) all = all && fibers[t].state == WARP;
                if (all) for (int t = w; t < w + 32; t++) fibers[t].state = READY;
            }
            continue;
        }
        int done = 0, waiting = 0;
        for (int t = 0; t < threads; t++) done += fibers[t].state == DONE, waiting += fibers[t].state == BLOCK;
        if (done == threads) return;
        if (waiting < threads) {
            const char* places[4] = {"ready", 0, 0, "at the end"};
            int first = 0;
            for (int t = 0; t < threads; t++) if (fibers[t].state != fibers[0].state) { first = t; break; }
            const char* a = fibers[0].state == DONE ? places[3] : fibers[0].place;
            const char* b = fibers[first].state == DONE ? places[3] : fibers[first].place;
            snprintf(problem, sizeof problem, "threads wait for ever: 0 %s, %d %s", a, first, b);
            return;
        }
        for (int t = 0; t < threads; t++) fibers[t].state = READY;
    }
}
static const char* launch(void (*run)(void**), const unsigned* grid, const unsigned* size, int shared, int backwards,
                          void** arguments) {
    problem[0] = 0;
    if (!stacks) stacks = (char*)malloc(1024 * STACK);
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {size[0], size[1], size[2]};
    threads = size[0] * size[1] * size[2];
    call = {run, arguments};
    dynamic = (char*)aligned_alloc(128, (shared + 255) / 128 * 128);
    const unsigned long long blocks = 1ull * grid[0] * grid[1] * grid[2];
    for (unsigned long long k = 0; k < blocks && !problem[0]; k++) {
        const unsigned long long b = backwards ? blocks - 1 - k : k;
        blockIdx = {(unsigned)(b % grid[0]), (unsigned)(b / grid[0] % grid[1]), (unsigned)(b / grid[0] / grid[1])};
        memset(dynamic, 0xff, shared);  // NaN, as what blocks before have left may be
        if (__start_shared_memory) memset(__start_shared_memory, 0xff, __stop_shared_memory - __start_shared_memory);
        block(backwards);
    }
    free(dynamic);
    return problem[0] ? problem : 0;
}
static inline void whole(unsigned mask) {
    if (mask != 0xffffffffu && !problem[0]) snprintf(problem, sizeof problem, "a collective of part of a warp");
}
template <typename T> static inline T exchange(T value, int from, const char* place) {
    static_assert(sizeof(T) <= 8, "a shuffle moves 8 bytes at most");
    const int lane = current % 32, base = current - lane, parity = fibers[current].parity;
    fibers[current].parity = 1 - parity;
    memcpy(&slots[parity][current], &value, sizeof(T));
    wait(WARP, place);
    if (from < 0 || from > 31) from = lane;
    T found;
    memcpy(&found, &slots[parity][base + from], sizeof(T));
    return found;
}
// Tensor cores. TF32: 10 digits after the point, ties away from zero; a sum of products is cut to float32.
static inline float masked(float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    bits &= 0xffffe000u;
    memcpy(&v, &bits, 4);
    return v;
}
static inline float tf32(float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits += 0x1000u;
    memcpy(&v, &bits, 4);
    return masked(v);
}
static inline float cut(double v) {
    const float f = (float)v;
    return fabs((double)f) > fabs(v) ? nextafterf(f, 0.0f) : f;
}
struct Two { float first, second; };
static void mma_16x8x8(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
    const int lane = current % 32, base = current - lane, g = lane / 4, t = lane % 4;
    float row[2][8], column[2][8];
    for (int part = 0; part < 3; part++) {  // k = 0..3 of a, k = 4..7 of a, b
        const int parity = fibers[current].parity;
        const Two mine = part == 2 ? Two{b[0], b[1]} : Two{a[2 * part], a[2 * part + 1]};
        exchange(mine, lane, "in mma_16x8x8");
        for (int k = 0; k < 4; k++) {
            Two found;
            if (part < 2) {
                memcpy(&found, &slots[parity][base + 4 * g + k], sizeof found);
                row[0][4 * part + k] = masked(found.first), row[1][4 * part + k] = masked(found.second);
            } else {
                for (int n = 0; n < 2; n++) {
                    memcpy(&found, &slots[parity][base + 4 * (2 * t + n) + k], sizeof found);
                    column[n][k] = masked(found.first), column[n][4 + k] = masked(found.second);
                }
            }
        }
    }
    for (int r = 0; r < 2; r++)
        for (int n = 0; n < 2; n++) {
            double sum = c[2 * r + n];
            for (int k = 0; k < 8; k++) sum += (double)row[r][k] * (double)column[n][k];
            c[2 * r + n] = cut(sum);
        }
}
}  // namespace emulator

#define DYNAMIC_SHARED(type, name) type* name = (type*)emulator::dynamic

static inline void __syncthreads() { emulator::wait(emulator::BLOCK, "in __syncthreads"); }
static inline void __syncwarp(unsigned mask = 0xffffffffu) {
    emulator::whole(mask);
    emulator::wait(emulator::WARP, "in __syncwarp");
}
template <typename T> static inline T __shfl_sync(unsigned mask, T value, int lane) {
    emulator::whole(mask);
    return emulator::exchange(value, lane & 31, "in __shfl_sync");
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T value, int bits) {
    emulator::whole(mask);
    return emulator::exchange(value, emulator::current % 32 ^ bits, "in __shfl_xor_sync");
}
template <typename T> static inline T __shfl_up_sync(unsigned mask, T value, int by) {
    emulator::whole(mask);
    return emulator::exchange(value, emulator::current % 32 - by, "in __shfl_up_sync");
}
template <typename T> static inline T __shfl_down_sync(unsigned mask, T value, int by) {
    emulator::whole(mask);
    return emulator::exchange(value, emulator::current % 32 + by, "in __shfl_down_sync");
}
static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    emulator::whole(mask);
    const int lane = emulator::current % 32, base = emulator::current - lane, parity = emulator::fibers[emulator::current].parity;
    emulator::exchange<int>(predicate != 0, lane, "in __ballot_sync");
    unsigned found = 0;
    for (int k = 0; k < 32; k++) {
        int set;
        memcpy(&set, &emulator::slots[parity][base + k], sizeof set);
        found |= (unsigned)(set != 0) << k;
    }
    return found;
}
static inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
static inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, p) == 0xffffffffu; }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
template <typename T> static inline T __ldg(const T* p) { return *p; }
template <typename T> static inline T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }
template <typename T> static inline T atomicMax(T* p, T v) { T old = *p; *p = old > v ? old : v; return old; }
static inline float __int_as_float(int v) { float f; memcpy(&f, &v, 4); return f; }
static inline int __float_as_int(float v) { int i; memcpy(&i, &v, 4); return i; }
static inline unsigned __float_as_uint(float v) { unsigned i; memcpy(&i, &v, 4); return i; }
static inline float __uint_as_float(unsigned v) { float f; memcpy(&f, &v, 4); return f; }
static inline double __longlong_as_double(long long v) { double f; memcpy(&f, &v, 8); return f; }
static inline long long __double_as_longlong(double v) { long long i; memcpy(&i, &v, 8); return i; }
// What <cmath> gives in the global namespace of CUDA for both precisions.
static inline float fma(float a, float b, float c) { return fmaf(a, b, c); }
static inline float fabs(float a) { return fabsf(a); }
static inline float fmax(float a, float b) { return fmaxf(a, b); }
static inline float fmin(float a, float b) { return fminf(a, b); }
static inline float sqrt(float a) { return sqrtf(a); }
static inline float pow(float a, float b) { return powf(a, b); }
static inline float exp(float a) { return expf(a); }
static inline float log(float a) { return logf(a); }
static inline float exp2(float a) { return exp2f(a); }
static inline float log2(float a) { return log2f(a); }
static inline float floor(float a) { return floorf(a); }
static inline float rint(float a) { return rintf(a); }
static inline void sincospi(double a, double* s, double* c) {
    const double pi = 3.141592653589793, r = fmod(a, 2.0);
    *s = ::sin(pi * r), *c = ::cos(pi * r);
}
static inline float rsqrt(float a) { return 1.0f / sqrtf(a); }
static inline double rsqrt(double a) { return 1.0 / ::sqrt(a); }
static inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline long long min(long long a, long long b) { return a < b ? a : b; }
static inline long long max(long long a, long long b) { return a > b ? a : b; }
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
