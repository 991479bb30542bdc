/* Fuzzes the reader of PyTorch files, from the container to the tensors. */
#include "lib/nn/torch_import.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct torch_options choices[] = {{0},
                                                   {.all = true},
                                                   {.key = "state_dict.a"},
                                                   {.only = "a", .strip = "m"}};
    struct torch_file *f = NULL;
    struct err e = {0};
    enum err_code code = torch_file_parse(data, n, "input", &f, &e);
    fuzz_check((code == OK) == (f != NULL));
    for (size_t i = 0; code == OK && i < 4; i++) {
        struct torch_import *m = NULL;
        enum err_code got = torch_import_from(f, &choices[i], true, &m, &e);
        fuzz_check((got == OK) == (m != NULL));
        if (got)
            continue;
        size_t bytes = 0;
        for (size_t k = 0; k < m->n; k++)
            bytes += m->item[k].tensor->bytes;
        fuzz_check(m->n && m->n <= m->weights->n);
        fuzz_check(bytes <= torch_file_limit(f));
        struct safetensors *s = NULL;
        if (bytes < (size_t)1 << 20) {
            got = torch_import_safetensors(m, &s, &e);
            fuzz_check(got == OK && safetensors_count(s) == m->n);
        }
        safetensors_free(&s);
        torch_import_free(&m);
    }
    torch_file_free(&f);
    fuzz_check(f == NULL);
    return 0;
}
