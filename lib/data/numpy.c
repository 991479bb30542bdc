/* numpy's array type strings. */
#include "lib/data/numpy.h"

#include <ctype.h>
#include <string.h>

static const char *const names[DT_COUNT] = {
    [DT_U8] = "|u1",  [DT_U16] = "<u2", [DT_I32] = "<i4",
    [DT_I64] = "<i8", [DT_F16] = "<f2", [DT_BF16] = "bfloat16",
    [DT_F32] = "<f4", [DT_F64] = "<f8",
};

const char *numpy_name(enum dtype d)
{
    return names[d];
}

static bool same(const char *name, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(name, word, n) == 0;
}

/* name for a message: cut, unprintable bytes as '?'. */
static void printable(const char *name, size_t n, char out[24])
{
    size_t m = n < 23 ? n : 23;
    for (size_t i = 0; i < m; i++)
        out[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
    out[m] = '\0';
}

enum err_code numpy_dtype(const char *name, size_t n, enum dtype *out,
                          struct err *e)
{
    for (int d = 0; d < DT_COUNT; d++)
        if (same(name, n, names[d])) {
            *out = (enum dtype)d;
            return OK;
        }
    char s[24];
    const char *why = "not one of |u1 <u2 <i4 <i8 <f2 <f4 <f8 bfloat16";
    printable(name, n, s);
    if (strchr(s, 'O'))
        why = "object arrays are refused";
    else if (s[0] == '>')
        why = "big-endian; send little-endian";
    else if (s[0] && s[1] == 'c')
        why = "complex numbers are not taken";
    return err_set(e, ERR_UNSUPPORTED, "array type '%s': %s", s, why);
}

enum err_code numpy_scalar(const char *name, size_t n, const void *data,
                           size_t size, struct numpy_scalar *out, struct err *e)
{
    static const char *const types[] = {"|b1", "|u1", "<u2", "<u4",
                                        "<u8", "|i1", "<i2", "<i4",
                                        "<i8", "<f2", "<f4", "<f8"};
    enum { N = sizeof types / sizeof *types };
    const unsigned char *p = data;
    size_t k = 0;
    char s[24];
    printable(name, n, s);
    while (k < N && !same(name, n, types[k]))
        k++;
    if (k == N)
        return err_set(e, ERR_UNSUPPORTED,
                       "numpy scalars of type '%s' are not taken", s);
    if (size != (size_t)(s[2] - '0'))
        return err_set(e, ERR_DATA, "a numpy scalar '%s' of %zu bytes", s,
                       size);
    uint64_t u = 0;
    for (size_t i = size; i-- > 0;)
        u = u << 8 | p[i];
    *out = (struct numpy_scalar){.type = NUMPY_INT};
    if (s[1] == 'f') {
        float f = f16_to_f32((uint16_t)u);
        out->type = NUMPY_FLOAT;
        if (size == 4)
            memcpy(&f, p, sizeof f);
        out->f = (double)f;
        if (size == 8)
            memcpy(&out->f, p, sizeof out->f);
        return OK;
    }
    if (s[1] == 'b') {
        out->type = NUMPY_BOOL;
        u = u != 0;
    }
    if (s[1] == 'u' && u > INT64_MAX)
        return err_set(e, ERR_UNSUPPORTED, "an integer above 2^63-1");
    if (s[1] == 'i' && size < 8 && (u >> (8 * size - 1)) & 1)
        u |= UINT64_MAX << (8 * size); /* extend the sign */
    out->i = (int64_t)u;
    return OK;
}
