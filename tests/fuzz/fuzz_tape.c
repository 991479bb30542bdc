/* Fuzzes tape_next. The checksums of an input are made right on the way, as
 * far as its records can be told apart, so that changes get past them. */
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "lib/base/mem.h"
#include "lib/data/tape.h"
#include "tests/fuzz/fuzz.h"

static uint64_t le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static void mend(uint8_t *p, size_t n)
{
    size_t at = 8;
    while (n >= 4 && at <= n - 4) {
        uint64_t parts = le(p + at, 4), size = 4 + 8 * parts;
        if (parts > 72 || size > n - at)
            return;
        for (size_t i = 0; i < parts; i++) {
            uint64_t v = le(p + at + 4 + 8 * i, 8);
            if (v > n)
                return;
            size += v;
        }
        if (size > n - at || n - at - size < 8)
            return;
        uint64_t sum = XXH3_64bits(p + at, size);
        at += size;
        for (size_t i = 0; i < 8; i++)
            p[at + i] = (uint8_t)(sum >> (8 * i));
        at += 8;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = {0};
    uint8_t *copy = n ? mem_alloc(n) : NULL;
    if (!copy)
        return 0;
    memcpy(copy, data, n);
    mend(copy, n);
    FILE *f = fmemopen(copy, n, "rb");
    struct tape *t = f ? tape_read_stream(f, "input", &e) : NULL;
    for (int bad = 0; t && bad < 100;) {
        struct item *it = NULL;
        enum err_code code = tape_next(t, &it, &e);
        fuzz_check(code == OK || !it);
        if (code == ERR_STATE || (code == OK && !it))
            break;
        bad += code != OK;
        item_free(&it);
    }
    tape_abort(&t);
    if (f)
        fclose(f);
    mem_free(copy);
    return 0;
}
