/* Tensors: shapes checked, references counted. */
#include "lib/data/tensor.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[DT_COUNT] = {
    [DT_U8] = {"u8", 1},   [DT_U16] = {"u16", 2}, [DT_I32] = {"i32", 4},
    [DT_I64] = {"i64", 8}, [DT_F16] = {"f16", 2}, [DT_BF16] = {"bf16", 2},
    [DT_F32] = {"f32", 4}, [DT_F64] = {"f64", 8},
};

size_t dtype_size(enum dtype d)
{
    return (unsigned)d < DT_COUNT ? dtypes[d].size : 0;
}

const char *dtype_name(enum dtype d)
{
    return (unsigned)d < DT_COUNT ? dtypes[d].name : "?";
}

bool dtype_from_name(const char *name, enum dtype *out)
{
    for (int i = 0; i < DT_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = (enum dtype)i;
            return true;
        }
    return false;
}

enum err_code tensor_measure(enum dtype d, int ndim, const int64_t *shape,
                             size_t max_bytes, size_t *count, size_t *bytes,
                             struct err *e)
{
    if ((unsigned)d >= DT_COUNT)
        return err_set(e, ERR_DATA, "unknown dtype %d", (int)d);
    if (ndim < 0 || ndim > TENSOR_MAX_DIMS)
        return err_set(e, ERR_DATA, "%d dimensions, want 0 to %d", ndim,
                       TENSOR_MAX_DIMS);
    size_t n = 1;
    bool fits = true, empty = false;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0)
            return err_set(e, ERR_DATA, "size %lld in dimension %d",
                           (long long)shape[i], i);
        if (shape[i] == 0)
            empty = true;
        else if (fits)
            fits = size_mul(n, (size_t)shape[i], &n);
    }
    size_t total = 0;
    if (!fits || !size_mul(n, dtypes[d].size, &total) || total > max_bytes)
        return err_set(e, ERR_DATA, "tensor is larger than %zu bytes",
                       max_bytes);
    *count = empty ? 0 : n;
    *bytes = empty ? 0 : total;
    return OK;
}

/* A tensor without data, its shape measured. */
static struct tensor *tensor_shell(enum dtype d, int ndim, const int64_t *shape,
                                   struct err *e)
{
    size_t count, bytes;
    if (tensor_measure(d, ndim, shape, SIZE_MAX / 2, &count, &bytes, e))
        return NULL;
    struct tensor *t = mem_calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_NOMEM, "no memory for a tensor");
        return NULL;
    }
    t->dtype = d;
    t->ndim = ndim;
    for (int i = 0; i < ndim; i++)
        t->shape[i] = shape[i];
    t->count = count;
    t->bytes = bytes;
    t->refs = 1;
    return t;
}

struct tensor *tensor_new(enum dtype d, int ndim, const int64_t *shape,
                          struct err *e)
{
    struct tensor *t = tensor_shell(d, ndim, shape, e);
    if (!t)
        return NULL;
    t->data = mem_aligned(t->bytes);
    if (!t->data) {
        err_set(e, ERR_NOMEM, "no memory for a tensor of %zu bytes", t->bytes);
        mem_free(t);
        return NULL;
    }
    memset(t->data, 0, t->bytes);
    t->release = mem_free;
    t->owner = t->data;
    return t;
}

struct tensor *tensor_new_mapped(enum dtype d, int ndim, const int64_t *shape,
                                 struct err *e)
{
    struct tensor *t = tensor_shell(d, ndim, shape, e);
    if (!t)
        return NULL;
    t->data = mem_map(t->bytes);
    if (!t->data) {
        err_set(e, ERR_NOMEM, "no memory for a tensor of %zu bytes", t->bytes);
        mem_free(t);
        return NULL;
    }
    t->mapped = true;
    return t;
}

struct tensor *tensor_wrap(enum dtype d, int ndim, const int64_t *shape,
                           void *data, void (*release)(void *), void *owner,
                           struct err *e)
{
    struct tensor *t = tensor_shell(d, ndim, shape, e);
    if (!t) {
        if (release)
            release(owner);
        return NULL;
    }
    t->data = data;
    t->release = release;
    t->owner = owner;
    return t;
}

struct tensor *tensor_copy(const struct tensor *src, struct err *e)
{
    struct tensor *t = tensor_new(src->dtype, src->ndim, src->shape, e);
    if (t && src->bytes)
        memcpy(t->data, src->data, src->bytes);
    return t;
}

struct tensor *tensor_ref(struct tensor *t)
{
    t->refs++;
    return t;
}

void tensor_free(struct tensor **t)
{
    struct tensor *p = *t;
    *t = NULL;
    if (!p || --p->refs > 0)
        return;
    if (p->release)
        p->release(p->owner);
    if (p->mapped)
        mem_unmap(p->data, p->bytes);
    mem_free(p);
}

bool tensor_equal(const struct tensor *a, const struct tensor *b)
{
    if (a->dtype != b->dtype || a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0;
}

double tensor_get(const struct tensor *t, size_t i)
{
    const char *p = (const char *)t->data + i * dtypes[t->dtype].size;
    union {
        uint8_t u8;
        uint16_t u16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } v;
    memcpy(&v, p, dtypes[t->dtype].size);
    switch (t->dtype) {
    case DT_U8:
        return v.u8;
    case DT_U16:
        return v.u16;
    case DT_I32:
        return v.i32;
    case DT_I64:
        return (double)v.i64;
    case DT_F16:
        return (double)f16_to_f32(v.u16);
    case DT_BF16:
        return (double)bf16_to_f32(v.u16);
    case DT_F32:
        return (double)v.f32;
    case DT_F64:
    case DT_COUNT:
        break;
    }
    return v.f64;
}

char *tensor_describe(const struct tensor *t, char *out, size_t n)
{
    int used = snprintf(out, n, "%s[", dtype_name(t->dtype));
    for (int i = 0; i < t->ndim && used > 0 && (size_t)used < n; i++)
        used += snprintf(out + used, n - (size_t)used, "%s%lld", i ? "," : "",
                         (long long)t->shape[i]);
    if (used > 0 && (size_t)used < n)
        snprintf(out + used, n - (size_t)used, "]");
    return out;
}

static uint32_t float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exp = h >> 10 & 31, man = h & 0x3ffu;
    if (exp == 31) /* inf, nan */
        return bits_float(sign | 0x7f800000u | man << 13);
    if (exp != 0)
        return bits_float(sign | (exp + 112) << 23 | man << 13);
    /* zero and subnormals: man * 2^-24, exact in float */
    float v = (float)man * 0x1.0p-24f;
    return sign ? -v : v;
}

uint16_t f32_to_f16(float f)
{
    uint32_t u = float_bits(f);
    uint32_t sign = u >> 16 & 0x8000u;
    uint32_t a = u & 0x7fffffffu;
    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00u);
    if (a < 0x38800000u) { /* subnormal: round |f| * 2^24 to an integer */
        float scaled = bits_float(a) * 0x1.0p24f;
        float magic = 0x1.0p23f; /* the FPU rounds to nearest even here */
        float r = scaled + magic;
        return (uint16_t)(sign | (float_bits(r) & 0x7fffu));
    }
    uint32_t rounded = a + 0xfffu + (a >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

float bf16_to_f32(uint16_t h)
{
    return bits_float((uint32_t)h << 16);
}

uint16_t f32_to_bf16(float f)
{
    uint32_t u = float_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
