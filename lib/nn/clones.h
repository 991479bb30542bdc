/* Loops compiled for several instruction sets; include before all else. */
#ifndef FACET_NN_CLONES_H
#define FACET_NN_CLONES_H

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

/* Before a function: the compiler makes one copy for each set and the loader
 * chooses. Sanitizers cannot run before their own start-up, when it does. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&         \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES                                                                 \
    __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define CLONES
#endif

#endif
