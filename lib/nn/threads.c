/* How many threads networks use, and how they wait for each other. */
#include "lib/nn/threads.h"

#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/cores.h"

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
    if (!getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY"))
        anew = setenv("GOMP_SPINCOUNT", "1000", 1) == 0;
    if (!getenv("OPENBLAS_CORETYPE") && needs_coretype() &&
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 1) == 0)
        anew = true;
    if (anew)
        execv("/proc/self/exe", argv);
    /* Not possible: run as we are, only slower beside others. */
}

void nn_threads_set(int n)
{
    omp_set_num_threads(n >= 1 ? n : cores_usable(""));
}
