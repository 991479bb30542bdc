/* Fuzzes the picture readers: PNG, JPEG, PNM and their texts. The checksums of
 * PNG chunks are made right on the way, so that changes get past them. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/media/image.h"
#include "tests/fuzz/fuzz.h"

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

/* CRC-32 as PNG has it (ISO 3309), bit by bit. */
static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

static void mend(uint8_t *p, size_t n)
{
    size_t at = 8;
    while (n >= 12 && at <= n - 12 && be32(p + at) <= n - 12 - at) {
        size_t length = be32(p + at);
        uint32_t crc = crc32_of(p + at + 4, length + 4);
        at += 8 + length;
        for (int i = 0; i < 4; i++)
            p[at + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 4;
    }
}

static void look(const uint8_t *data, size_t n)
{
    static const struct image_caps caps = {
        .max_file = 1 << 20, .max_side = 1024, .max_pixels = 1 << 16};
    struct tensor *t = NULL;
    struct err e = {0};
    char *text = NULL;
    enum err_code code = image_decode(data, n, &caps, &t, &e);
    fuzz_check((code == OK) == (t != NULL));
    if (code == OK) {
        fuzz_check(t->dtype == DT_U8 && t->ndim == 3 && t->shape[2] == 3);
        fuzz_check(t->count > 0 && t->count / 3 <= caps.max_pixels);
        fuzz_check(image_is_picture(data, n));
    } else {
        fuzz_check(e.code == code && e.text[0]);
    }
    tensor_free(&t);
    code = image_png_text(data, n, "Title", &text, &e);
    fuzz_check((code == OK) == (text != NULL));
    mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *copy = n ? mem_alloc(n) : NULL;
    if (copy) {
        memcpy(copy, data, n);
        if (data[0] == 0x89)
            mend(copy, n);
        look(copy, n);
    }
    mem_free(copy);
    return 0;
}
