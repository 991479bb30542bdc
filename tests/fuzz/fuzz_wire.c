/* Fuzzes wire_decode. An input is: the number of parts (u8), the sizes of parts
 * 1.. (u16 each, little-endian), parts 1.., and the rest is the header. What
 * decodes must encode again to the same item. */
#include <string.h>

#include "lib/data/wire.h"
#include "tests/fuzz/fuzz.h"

/* Byte for byte: item_equal takes NaNs of any sort as the same. */
static void same(const struct item *a, const struct item *b)
{
    char why[512];
    fuzz_check(item_equal(a, b, 0, true, why, sizeof why));
    fuzz_check(item_id_equal(&a->parent, &b->parent));
    fuzz_check(strcmp(a->kind, b->kind) == 0);
    fuzz_check(a->attempt == b->attempt && a->epoch == b->epoch);
    for (size_t i = 0; i < a->n; i++)
        if (a->fields[i].type == VAL_TENSOR)
            fuzz_check(tensor_equal(a->fields[i].v.t, b->fields[i].v.t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct wire_caps caps = {
        .max_bytes = 1 << 20, .max_header = 1 << 18, .max_nesting = 8};
    size_t parts = n ? data[0] % 8 : 0, at = 1 + 2 * parts, sizes = 0;
    for (size_t i = 0; i < parts && at <= n; i++)
        sizes += data[1 + 2 * i] + 256u * data[2 + 2 * i];
    if (n == 0 || at > n || sizes > n - at)
        return 0;
    struct wire_msg msg = {.n = 0}, again;
    struct item *it, *back;
    struct err e = {0};
    size_t head = at + sizes;
    if (wire_msg_add(&msg, data + head, n - head, &e))
        return 0;
    for (size_t i = 0; i < parts; i++) {
        size_t size = data[1 + 2 * i] + 256u * data[2 + 2 * i];
        fuzz_check(wire_msg_add(&msg, data + at, size, &e) == OK);
        at += size;
    }
    enum err_code code = wire_decode(&msg, &caps, &it, &e);
    fuzz_check(msg.n == 0 && (code == OK) == (it != NULL));
    fuzz_check(code == OK || code == ERR_DATA || code == ERR_UNSUPPORTED);
    if (code) {
        fuzz_check(e.code == code && e.text[0]);
        return 0;
    }
    fuzz_check(wire_encode(it, &again, &e) == OK);
    fuzz_check(wire_decode(&again, NULL, &back, &e) == OK);
    same(it, back);
    item_free(&it);
    item_free(&back);
    return 0;
}
