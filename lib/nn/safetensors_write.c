/* Weight files in the safetensors format: the writer. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/nn/json.h"
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

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts n names; ERR_ARG for two that are the same, or one that is too long
 * to be read again. */
static enum err_code check_list(const char *what, const char **name, size_t n,
                                struct err *e)
{
    if (n)
        qsort(name, n, sizeof *name, by_bytes);
    for (size_t i = 0; i < n; i++) {
        if (strlen(name[i]) > JSON_MAX_STRING)
            return err_set(e, ERR_ARG, "%s '%.60s...' is too long", what,
                           name[i]);
        if (i && strcmp(name[i - 1], name[i]) == 0)
            return err_set(e, ERR_ARG, "%s '%s' is given twice", what, name[i]);
    }
    return OK;
}

static enum err_code check_items(const struct safetensors_item *items,
                                 struct err *e)
{
    size_t n = 0;
    while (items[n].name)
        n++;
    if (n > SAFETENSORS_MAX_TENSORS)
        return err_set(e, ERR_ARG, "%zu tensors are more than %d", n,
                       SAFETENSORS_MAX_TENSORS);
    const char **name = mem_array(n ? n : 1, sizeof *name);
    if (!name)
        return err_set(e, ERR_NOMEM, "no memory for %zu names", n);
    enum err_code r = OK;
    for (size_t i = 0; i < n && !r; i++) {
        name[i] = items[i].name;
        if (!*name[i] || strcmp(name[i], "__metadata__") == 0)
            r = err_set(e, ERR_ARG, "a tensor cannot be named '%s'", name[i]);
    }
    if (!r)
        r = check_list("tensor", name, n, e);
    mem_free(name);
    return r;
}

static enum err_code check_meta(const struct safetensors_pair *meta,
                                struct err *e)
{
    size_t n = 0;
    while (meta && meta[n].key)
        n++;
    if (n > SAFETENSORS_MAX_META)
        return err_set(e, ERR_ARG, "%zu texts are more than %d", n,
                       SAFETENSORS_MAX_META);
    const char **key = mem_array(n ? n : 1, sizeof *key);
    if (!key)
        return err_set(e, ERR_NOMEM, "no memory for %zu names", n);
    enum err_code r = OK;
    for (size_t i = 0; i < n && !r; i++) {
        key[i] = meta[i].key;
        if (strlen(meta[i].value) > JSON_MAX_STRING)
            r = err_set(e, ERR_ARG, "the text '%.60s' has over %d bytes",
                        key[i], JSON_MAX_STRING);
    }
    if (!r)
        r = check_list("text", key, n, e);
    mem_free(key);
    return r;
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
    if (b->len - 8 > SAFETENSORS_MAX_HEADER ||
        at > SAFETENSORS_MAX_FILE - b->len)
        return err_set(e, ERR_ARG,
                       "a header of %zu and tensors of %zu bytes are too large",
                       b->len, at);
    uint64_t n = b->len - 8;
    for (int i = 0; i < 8; i++)
        b->data[i] = (uint8_t)(n >> (8 * i));
    return OK;
}

static enum err_code encode_head(struct buf *b,
                                 const struct safetensors_item *items,
                                 const struct safetensors_pair *meta,
                                 struct err *e)
{
    enum err_code r = check_items(items, e);
    if (!r)
        r = check_meta(meta, e);
    return r ? r : put_header(b, items, meta, e);
}

enum err_code safetensors_encode(struct buf *b,
                                 const struct safetensors_item *items,
                                 const struct safetensors_pair *meta,
                                 struct err *e)
{
    enum err_code r = encode_head(b, items, meta, e);
    for (const struct safetensors_item *it = items; it->name && !r; it++) {
        if (it->tensor->bytes)
            r = buf_put(b, it->tensor->data, it->tensor->bytes, e);
    }
    return r;
}

/* Tensors go from their own memory into the file. */
static enum err_code write_file(const char *path, const struct buf *head,
                                const struct safetensors_item *items,
                                struct err *e)
{
    struct file_atomic f;
    enum err_code r = file_atomic_open(&f, path, e);
    if (r)
        return r;
    r = file_atomic_put(&f, head->data, head->len, e);
    for (const struct safetensors_item *it = items; it->name && !r; it++)
        r = file_atomic_put(&f, it->tensor->data, it->tensor->bytes, e);
    return file_atomic_close(&f, r, e);
}

enum err_code safetensors_write(const char *path,
                                const struct safetensors_item *items,
                                const struct safetensors_pair *meta,
                                struct err *e)
{
    struct buf head;
    buf_init(&head, SAFETENSORS_MAX_FILE);
    enum err_code r = encode_head(&head, items, meta, e);
    if (!r)
        r = write_file(path, &head, items, e);
    buf_free(&head);
    if (r)
        err_wrap(e, "writing '%s'", path);
    return r;
}
