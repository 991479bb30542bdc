/* How many threads networks use, and how they wait for each other. */
#ifndef FACET_NN_THREADS_H
#define FACET_NN_THREADS_H

/* Call first in main. OpenMP's threads spin for milliseconds at every barrier,
 * which on a machine shared with other stages costs more than the work itself
 * (measured, libgomp: 6 times slower with two busy neighbours; 1,000 turns
 * instead lose nothing on an idle machine. libomp, which Clang uses, spins for
 * 200 ms: 7 to 9 times slower at a load of 30 on two cores). It reads its
 * setting when it is loaded, so the program is started anew with
 * GOMP_SPINCOUNT or KMP_BLOCKTIME set, unless that or OMP_WAIT_POLICY is there
 * already. OpenBLAS reads
 * OPENBLAS_CORETYPE then: set to SkylakeX on AMD CPUs with AVX-512, which
 * Debian 12's 0.3.21 does not know (measured on two Zen 5 cores: 380 instead
 * of 220 GFLOP/s), unless it is there already. argv as main's. */
void nn_threads_start(char **argv);

/* Threads that networks use from now on in the calling thread, so many and no
 * fewer (the order of sums depends on it); n < 1: all cores. */
void nn_threads_set(int n);

#endif
