// Shared memory whose size the launch gives; the emulator has its own.
#ifndef OTGEN_EMULATED
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) unsigned char name##_bytes[]; \
    type* name = (type*)name##_bytes
#endif
