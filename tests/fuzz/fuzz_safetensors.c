/* Fuzzes the reader of weight files. What it lists must be readable. */
#include "lib/nn/safetensors.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct safetensors *s = NULL;
    struct err e = {0};
    enum err_code code = safetensors_parse(data, n, "input", &s, &e);
    fuzz_check((code == OK) == (s != NULL));
    for (size_t i = 0; code == OK && i < safetensors_count(s); i++) {
        struct safetensors_entry entry = safetensors_at(s, i), found;
        struct tensor *t = NULL;
        fuzz_check(safetensors_find(s, entry.name, &found));
        enum err_code got = safetensors_tensor(s, entry.name, &t, &e);
        fuzz_check(got == OK || entry.dtype == DT_COUNT);
        fuzz_check(got || (t->dtype == entry.dtype && t->bytes <= n));
        tensor_free(&t);
        got =
            safetensors_weight(s, entry.name, entry.ndim, entry.shape, &t, &e);
        fuzz_check((got == OK) == (t != NULL));
        tensor_free(&t);
    }
    if (code == OK)
        (void)safetensors_meta(s, "format");
    safetensors_free(&s);
    fuzz_check(s == NULL);
    return 0;
}
