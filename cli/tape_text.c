/* Writing items as text. */
#include "cli/tape_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

enum err_code text_quote(const char *s, struct buf *out, struct err *e)
{
    enum err_code code = buf_puts(out, "\"", e);
    for (; *s && code == OK; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            code = buf_printf(out, e, "\\%c", c);
        else if (c == '\n')
            code = buf_puts(out, "\\n", e);
        else if (c == '\t')
            code = buf_puts(out, "\\t", e);
        else if (c < 0x20 || c == 0x7f)
            code = buf_printf(out, e, "\\u%04x", c);
        else
            code = buf_put(out, s, 1, e);
    }
    return code ? code : buf_puts(out, "\"", e);
}

static enum err_code put_float(double v, int digits, bool json, struct buf *out,
                               struct err *e)
{
    if (isfinite(v))
        return buf_printf(out, e, "%.*g", digits, v);
    if (json)
        return buf_puts(out, "null", e);
    return buf_puts(out, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf", e);
}

enum err_code text_element(const struct tensor *t, size_t i, bool json,
                           struct buf *out, struct err *e)
{
    switch (t->dtype) {
    case DT_U8:
        return buf_printf(out, e, "%u", tensor_u8(t)[i]);
    case DT_U16:
    case DT_I32:
        return buf_printf(out, e, "%.0f", tensor_get(t, i));
    case DT_I64:
        return buf_printf(out, e, "%" PRId64, tensor_i64(t)[i]);
    case DT_F64:
        return put_float(tensor_get(t, i), 17, json, out, e);
    case DT_F16:
    case DT_BF16:
    case DT_F32:
    case DT_COUNT:
        break;
    }
    return put_float(tensor_get(t, i), 9, json, out, e);
}

/* A tensor's elements, one line for each run of the last dimension. */
static enum err_code put_elements(const struct tensor *t, struct buf *out,
                                  struct err *e)
{
    size_t row = t->ndim ? (size_t)t->shape[t->ndim - 1] : 1;
    enum err_code code = OK;
    for (size_t i = 0; i < t->count && code == OK; i++) {
        bool breaks = t->ndim > 1 && i % row == 0;
        code = buf_puts(out, breaks ? "\n    " : " ", e);
        if (code == OK)
            code = text_element(t, i, false, out, e);
    }
    return code;
}

static enum err_code put_field(const struct field *f, struct buf *out,
                               struct err *e)
{
    char type[128];
    enum err_code code = buf_printf(out, e, "  %s ", f->name);
    if (code)
        return code;
    switch (f->type) {
    case VAL_NIL:
        code = buf_puts(out, "nil", e);
        break;
    case VAL_BOOL:
        code = buf_printf(out, e, "bool %s", f->v.b ? "true" : "false");
        break;
    case VAL_I64:
        code = buf_printf(out, e, "i64 %" PRId64, f->v.i);
        break;
    case VAL_F64:
        code = buf_puts(out, "f64 ", e);
        if (code == OK)
            code = put_float(f->v.f, 17, false, out, e);
        break;
    case VAL_STR:
        code = buf_puts(out, "str ", e);
        if (code == OK)
            code = text_quote(f->v.s, out, e);
        break;
    case VAL_TENSOR:
        code = buf_puts(out, tensor_describe(f->v.t, type, sizeof type), e);
        if (code == OK)
            code = put_elements(f->v.t, out, e);
        break;
    }
    return code ? code : buf_puts(out, "\n", e);
}

enum err_code text_item_write(const struct item *it, struct buf *out,
                              struct err *e)
{
    static const struct item_id zero;
    char hex[33];
    item_id_hex(&it->id, hex);
    enum err_code code = buf_printf(out, e, "item: id=%s", hex);
    if (code == OK && !item_id_equal(&it->parent, &zero)) {
        item_id_hex(&it->parent, hex);
        code = buf_printf(out, e, " parent=%s", hex);
    }
    if (code == OK && strcmp(it->kind, "item") != 0)
        code = buf_printf(out, e, " kind=%s", it->kind);
    if (code == OK && it->attempt)
        code = buf_printf(out, e, " attempt=%" PRIu32, it->attempt);
    if (code == OK && it->epoch)
        code = buf_printf(out, e, " epoch=%" PRIu32, it->epoch);
    if (code == OK)
        code = buf_puts(out, "\n", e);
    for (size_t i = 0; i < it->n && code == OK; i++)
        code = put_field(&it->fields[i], out, e);
    return code;
}
