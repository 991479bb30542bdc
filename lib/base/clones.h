/* Loops compiled for several instruction sets; include before all else.
 * Nothing is fused (-ffp-contract=off; only lib/nn/thin_kernel.c asks for it),
 * so a loop that keeps to a fixed order gives the same bits by every set, on
 * every CPU, from every compiler. */
#ifndef FACET_BASE_CLONES_H
#define FACET_BASE_CLONES_H

#if defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define CLONES_SANITIZED 1
#endif
#elif defined(__GNUC__)
#pragma GCC optimize("O3")
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLONES_SANITIZED 1
#endif
#endif

/* Before a static function: the compiler makes one copy for each set and the
 * loader chooses. Sanitizers cannot run before their own start-up, when it
 * does. Only static ones with a name of their own in the whole tree
 * (tests/py/layers.py looks): Clang 14 calls an external one by a name that
 * other files do not know, and makes an external name of a static one's. It
 * also never chooses a copy for arch=x86-64-v4, hence one for a feature. Other
 * architectures have one vector set, which is always there. */
#if !defined(__x86_64__) || !defined(__gnu_linux__) || defined(CLONES_SANITIZED)
#define CLONES
#elif defined(__clang__) && __clang_major__ >= 14
#define CLONES __attribute__((target_clones("default", "avx2", "avx512bw")))
#elif defined(__GNUC__) && !defined(__clang__)
#define CLONES                                                                 \
    __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define CLONES
#endif

#endif
