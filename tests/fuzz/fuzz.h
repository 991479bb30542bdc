/* What every fuzz target defines: look at n untrusted bytes. Returns 0. A
 * broken promise (not bad input) ends the program. */
#ifndef FACET_TESTS_FUZZ_H
#define FACET_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* assert() that stays in optimised builds. */
#define fuzz_check(what)                                                       \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

#endif
