/* Fuzzes the pickle machine: what it reads must be walkable. */
#include "lib/nn/pickle.h"
#include "lib/nn/torch_tensors.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pickle *p = NULL;
    struct err e = {0};
    size_t used = 0, found = 0;
    char text[64];
    enum err_code code = pickle_read(data, n, &p, &used, &e);
    fuzz_check((code == OK) == (p != NULL));
    if (code)
        return 0;
    fuzz_check(used > 0 && used <= n && data[used - 1] == '.');
    const struct pickle_value *root = pickle_root(p);
    fuzz_check(pickle_describe(root, text, sizeof text) == text);
    (void)pickle_get(root, "state_dict");
    (void)pickle_class(root);
    struct torch_tensor *t = NULL;
    code = torch_tensors_of(root, (size_t)1 << 20, &t, &found, &e);
    size_t bytes = 0;
    for (size_t i = 0; code == OK && i < found; i++) {
        fuzz_check(t[i].name[0] != 0);
        bytes += t[i].view.bytes;
    }
    fuzz_check(bytes <= (size_t)1 << 20);
    torch_tensors_free(&t, found);
    pickle_free(&p);
    return 0;
}
