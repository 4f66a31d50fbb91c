// Copies from global to shared memory that run beside the arithmetic: cp.async, 16 bytes a thread, in groups.

__device__ __forceinline__ void copy_16(void* shared, const void* global) {
#ifdef OTGEN_EMULATED
    emulator::copy_async(shared, global, 16);
#else
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                 :: "r"((unsigned)__cvta_generic_to_shared(shared)), "l"(global) : "memory");
#endif
}

// Ends a group: the copies that this thread has started since the last one.
__device__ __forceinline__ void copies_end_group() {
#ifdef OTGEN_EMULATED
    emulator::copies_end_group();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until all groups of this thread but the LEFT newest have arrived; others see them after a barrier.
template <int LEFT> __device__ __forceinline__ void copies_wait() {
#ifdef OTGEN_EMULATED
    emulator::copies_wait(LEFT);
#else
    asm volatile("cp.async.wait_group %0;" :: "n"(LEFT) : "memory");
#endif
}
