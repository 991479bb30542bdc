/* Weight files in the safetensors format: the writer. */
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/nn/safetensors.h"

static const char *word_of(enum dtype d)
{
    static const char *const words[DT_COUNT] = {
        [DT_U8] = "U8",   [DT_U16] = "U16", [DT_I32] = "I32",
        [DT_I64] = "I64", [DT_F16] = "F16", [DT_BF16] = "BF16",
        [DT_F32] = "F32", [DT_F64] = "F64"};
    return words[d];
}

static enum err_code put_string(struct buf *b, const char *s, struct err *e)
{
    if (!text_is_utf8(s, strlen(s)))
        return err_set(e, ERR_ARG, "a name or text is not UTF-8");
    enum err_code r = buf_puts(b, "\"", e);
    for (; *s && !r; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            r = buf_printf(b, e, "\\%c", c);
        else if (c < 0x20)
            r = buf_printf(b, e, "\\u%04x", c);
        else
            r = buf_put(b, s, 1, e);
    }
    return r ? r : buf_puts(b, "\"", e);
}

static enum err_code
put_meta(struct buf *b, const struct safetensors_pair *meta, struct err *e)
{
    enum err_code r = buf_puts(b, "\"__metadata__\":{", e);
    for (const struct safetensors_pair *p = meta; p->key && !r; p++) {
        if (p != meta)
            r = buf_puts(b, ",", e);
        if (!r)
            r = put_string(b, p->key, e);
        if (!r)
            r = buf_puts(b, ":", e);
        if (!r)
            r = put_string(b, p->value, e);
    }
    return r ? r : buf_puts(b, "}", e);
}

static enum err_code put_entry(struct buf *b, const struct safetensors_item *it,
                               size_t at, struct err *e)
{
    const struct tensor *t = it->tensor;
    enum err_code r = put_string(b, it->name, e);
    if (!r)
        r = buf_printf(b, e, ":{\"dtype\":\"%s\",\"shape\":[",
                       word_of(t->dtype));
    for (int i = 0; i < t->ndim && !r; i++)
        r = buf_printf(b, e, "%s%lld", i ? "," : "", (long long)t->shape[i]);
    if (!r)
        r = buf_printf(b, e, "],\"data_offsets\":[%zu,%zu]}", at,
                       at + t->bytes);
    return r;
}

static enum err_code check_names(const struct safetensors_item *items,
                                 struct err *e)
{
    for (const struct safetensors_item *a = items; a->name; a++) {
        if (!*a->name || strcmp(a->name, "__metadata__") == 0)
            return err_set(e, ERR_ARG, "a tensor cannot be named '%s'",
                           a->name);
        for (const struct safetensors_item *b = items; b < a; b++) {
            if (strcmp(a->name, b->name) == 0)
                return err_set(e, ERR_ARG, "tensor '%s' is given twice",
                               a->name);
        }
    }
    return OK;
}

/* The JSON text after eight bytes for its length, padded with spaces. */
static enum err_code put_header(struct buf *b,
                                const struct safetensors_item *items,
                                const struct safetensors_pair *meta,
                                struct err *e)
{
    static const char zero[8] = {0};
    enum err_code r = buf_put(b, zero, 8, e);
    if (!r)
        r = buf_puts(b, "{", e);
    if (!r && meta && meta->key)
        r = put_meta(b, meta, e);
    size_t at = 0;
    for (const struct safetensors_item *it = items; it->name && !r; it++) {
        if (it != items || (meta && meta->key))
            r = buf_puts(b, ",", e);
        if (!r)
            r = put_entry(b, it, at, e);
        if (!r && !size_add(at, it->tensor->bytes, &at))
            r = err_set(e, ERR_ARG, "the tensors are too large");
    }
    if (!r)
        r = buf_puts(b, "}", e);
    while (!r && b->len % 8)
        r = buf_puts(b, " ", e);
    if (r)
        return r;
    if (b->len - 8 > SAFETENSORS_MAX_HEADER)
        return err_set(e, ERR_ARG, "the header is too large");
    uint64_t n = b->len - 8;
    for (int i = 0; i < 8; i++)
        b->data[i] = (uint8_t)(n >> (8 * i));
    return OK;
}

enum err_code safetensors_encode(struct buf *b,
                                 const struct safetensors_item *items,
                                 const struct safetensors_pair *meta,
                                 struct err *e)
{
    enum err_code r = check_names(items, e);
    if (!r)
        r = put_header(b, items, meta, e);
    for (const struct safetensors_item *it = items; it->name && !r; it++) {
        if (it->tensor->bytes)
            r = buf_put(b, it->tensor->data, it->tensor->bytes, e);
    }
    return r;
}

enum err_code safetensors_write(const char *path,
                                const struct safetensors_item *items,
                                const struct safetensors_pair *meta,
                                struct err *e)
{
    struct buf b;
    buf_init(&b, SAFETENSORS_MAX_FILE);
    enum err_code r = safetensors_encode(&b, items, meta, e);
    if (!r)
        r = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    if (r)
        err_wrap(e, "writing '%s'", path);
    return r;
}
