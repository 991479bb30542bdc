/* How many threads networks use, and how they wait for each other. */
#include "lib/nn/threads.h"

#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/cores.h"

/* How long threads spin at a barrier: turns in GCC's libgomp, milliseconds in
 * LLVM's libomp. */
#ifdef KMP_VERSION_MAJOR
#define WAIT "KMP_BLOCKTIME"
#define WAIT_VALUE "0"
#else
#define WAIT "GOMP_SPINCOUNT"
#define WAIT_VALUE "1000"
#endif

/* An AMD CPU with AVX-512, where OpenBLAS before 0.3.22 takes Haswell's
 * kernels. */
static bool needs_coretype(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_is("amd") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

void nn_threads_start(char **argv)
{
    bool anew = false;
    if (!getenv(WAIT) && !getenv("OMP_WAIT_POLICY"))
        anew = setenv(WAIT, WAIT_VALUE, 1) == 0;
    if (!getenv("OPENBLAS_CORETYPE") && needs_coretype() &&
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 1) == 0)
        anew = true;
    if (anew)
        execv("/proc/self/exe", argv);
    /* Not possible: run as we are, only slower beside others. */
}

void nn_threads_set(int n)
{
    /* With OMP_DYNAMIC=true libgomp takes fewer the higher the load is. */
    omp_set_dynamic(0);
    omp_set_num_threads(n >= 1 ? n : cores_usable(""));
}
