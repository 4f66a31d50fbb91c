// The forms and shapes of costs, as otgen_kernels/costs.py numbers them.
#define SQUARES 0
#define ABSOLUTES 1
#define MAXIMUM 2
#define IDENTITY 0
#define ROOT 1
#define SQUARE 2
#define POWER 3
