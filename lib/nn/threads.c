/* How many threads networks use, and how they wait for each other. */
#include "lib/nn/threads.h"

#include <omp.h>
#include <stdlib.h>
#include <unistd.h>

void nn_threads_start(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0)
        execv("/proc/self/exe", argv);
    /* Not possible: run as we are, only slower beside others. */
}

void nn_threads_set(int n)
{
    omp_set_num_threads(n >= 1 ? n : omp_get_num_procs());
}
