/* Reading items from text. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/tape_text.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"

#define MAX_TENSOR ((size_t)1 << 30) /* bytes; as much as the wire takes */
#define MAX_TOKEN 63

/* Words and strings */

static void skip_blank(struct text_reader *r)
{
    for (; r->pos < r->n; r->pos++) {
        char c = r->text[r->pos];
        if (c == '#')
            while (r->pos + 1 < r->n && r->text[r->pos + 1] != '\n')
                r->pos++;
        else if (c == '\n')
            r->line++;
        else if (c != ' ' && c != '\t' && c != '\r' && c != ',')
            return;
    }
}

/* The next word without taking it; false at the end. A word ends at a blank
 * or, outside brackets, at a comma. */
static bool peek_word(struct text_reader *r, char out[MAX_TOKEN + 1])
{
    size_t n = 0, depth = 0;
    skip_blank(r);
    for (size_t i = r->pos; i < r->n; i++) {
        char c = r->text[i];
        if (strchr(" \t\r\n#", c) || c == '\0' || (c == ',' && !depth))
            break;
        depth += c == '[';
        depth -= c == ']' && depth;
        if (n < MAX_TOKEN)
            out[n++] = c;
    }
    out[n] = '\0';
    return r->pos < r->n;
}

static void take_word(struct text_reader *r)
{
    size_t depth = 0;
    for (; r->pos < r->n; r->pos++) {
        char c = r->text[r->pos];
        if (strchr(" \t\r\n#", c) || (c == ',' && !depth))
            return;
        depth += c == '[';
        depth -= c == ']' && depth;
    }
}

static bool next_word(struct text_reader *r, char out[MAX_TOKEN + 1])
{
    bool there = peek_word(r, out);
    take_word(r);
    return there;
}

/* A \uXXXX escape at p as UTF-8; false if it is none of ours. */
static enum err_code put_escape(const char *p, size_t left, struct buf *out,
                                struct err *e)
{
    unsigned v = 0;
    for (size_t i = 0; i < 4; i++) {
        if (i >= left || !memchr("0123456789abcdefABCDEF", p[i], 22))
            return err_set(e, ERR_DATA, "\\u needs four hexadecimal digits");
        unsigned c = (unsigned char)p[i] | 0x20u;
        v = v * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (v == 0 || (v >= 0xd800 && v < 0xe000))
        return err_set(e, ERR_DATA, "\\u%04x is not taken", v);
    char u[3] = {(char)v, 0, 0};
    size_t n = 1;
    if (v >= 0x800) {
        u[0] = (char)(0xe0 | v >> 12);
        u[1] = (char)(0x80 | (v >> 6 & 0x3f));
        u[2] = (char)(0x80 | (v & 0x3f));
        n = 3;
    } else if (v >= 0x80) {
        u[0] = (char)(0xc0 | v >> 6);
        u[1] = (char)(0x80 | (v & 0x3f));
        n = 2;
    }
    return buf_put(out, u, n, e);
}

/* A quoted string, unescaped, into out (initialised here). */
static enum err_code read_string(struct text_reader *r, struct buf *out,
                                 struct err *e)
{
    static const char from[] = "\"\\/nrtbf", to[] = "\"\\/\n\r\t\b\f";
    enum err_code code = OK;
    buf_init(out, ITEM_MAX_STR);
    skip_blank(r);
    if (r->pos >= r->n || r->text[r->pos] != '"')
        return err_set(e, ERR_DATA, "a quoted string is missing");
    for (r->pos++; r->pos < r->n && code == OK; r->pos++) {
        char c = r->text[r->pos];
        if (c == '"') {
            r->pos++;
            return OK;
        }
        if (c == '\n')
            break;
        if (c != '\\') {
            code = buf_put(out, &c, 1, e);
            continue;
        }
        c = ++r->pos < r->n ? r->text[r->pos] : '\0';
        const char *at = c ? strchr(from, c) : NULL;
        if (at) {
            code = buf_put(out, &to[at - from], 1, e);
        } else if (c == 'u') {
            code = put_escape(r->text + r->pos + 1, r->n - r->pos - 1, out, e);
            r->pos += 4;
        } else {
            code = err_set(e, ERR_DATA, "unknown escape in a string");
        }
    }
    buf_free(out);
    return code ? code : err_set(e, ERR_DATA, "a string does not end");
}

/* Tensors */

/* A number, or one of nan, inf, -inf. */
static bool any_number(const char *s, double *out)
{
    *out = strcmp(s, "nan") == 0    ? (double)NAN
           : strcmp(s, "inf") == 0  ? (double)INFINITY
           : strcmp(s, "-inf") == 0 ? -(double)INFINITY
                                    : 0;
    return !isfinite(*out) || text_to_f64(s, out);
}

enum err_code text_set_element(struct tensor *t, size_t i, const char *number,
                               struct err *e)
{
    static const struct {
        int64_t lo, hi;
    } range[DT_COUNT] = {[DT_U8] = {0, UINT8_MAX},
                         [DT_U16] = {0, UINT16_MAX},
                         [DT_I32] = {INT32_MIN, INT32_MAX},
                         [DT_I64] = {INT64_MIN, INT64_MAX}};
    int64_t v = 0;
    double f = 0;
    if (range[t->dtype].hi) {
        if (!text_to_i64(number, &v) || v < range[t->dtype].lo ||
            v > range[t->dtype].hi)
            return err_set(e, ERR_DATA, "'%s' is not a %s", number,
                           dtype_name(t->dtype));
    } else if (!any_number(number, &f)) {
        return err_set(e, ERR_DATA, "'%s' is not a number", number);
    }
    switch (t->dtype) {
    case DT_U8:
        tensor_u8(t)[i] = (uint8_t)v;
        break;
    case DT_U16:
        ((uint16_t *)t->data)[i] = (uint16_t)v;
        break;
    case DT_I32:
        tensor_i32(t)[i] = (int32_t)v;
        break;
    case DT_I64:
        tensor_i64(t)[i] = v;
        break;
    case DT_F16:
        ((uint16_t *)t->data)[i] = f32_to_f16((float)f);
        break;
    case DT_BF16:
        ((uint16_t *)t->data)[i] = f32_to_bf16((float)f);
        break;
    case DT_F32:
        tensor_f32(t)[i] = (float)f;
        break;
    case DT_F64:
    case DT_COUNT:
        tensor_f64(t)[i] = f;
        break;
    }
    return OK;
}

/* "f32[68,3]" to a zeroed tensor. */
static enum err_code new_of_type(const char *type, struct tensor **out,
                                 struct err *e)
{
    char name[8];
    enum dtype d;
    int64_t shape[TENSOR_MAX_DIMS];
    int ndim = 0;
    size_t n = strcspn(type, "["), count, bytes;
    const char *p = type + n;
    if (n < sizeof name) {
        memcpy(name, type, n);
        name[n] = '\0';
    }
    if (n >= sizeof name || *p != '[' || !dtype_from_name(name, &d))
        return err_set(e, ERR_DATA,
                       "'%s' is no type; str, i64, f64, bool, nil or a tensor "
                       "such as f32[68,3]",
                       type);
    for (p++; *p && *p != ']'; p += *p == ',') {
        char size[24] = "";
        n = strcspn(p, ",]");
        if (n < sizeof size)
            memcpy(size, p, n);
        if (ndim == TENSOR_MAX_DIMS || n >= sizeof size ||
            !text_to_i64(size, &shape[ndim++]))
            return err_set(e, ERR_DATA, "'%s' has a bad shape", type);
        p += n;
    }
    if (strcmp(p, "]") != 0)
        return err_set(e, ERR_DATA, "'%s' has no closing bracket", type);
    enum err_code code =
        tensor_measure(d, ndim, shape, MAX_TENSOR, &count, &bytes, e);
    if (code)
        return code;
    *out = tensor_new(d, ndim, shape, e);
    return *out ? OK : ERR_NOMEM;
}

/* All elements alike, counting up, or random. */
static enum err_code generate(struct tensor *t, const char *how,
                              const char *argument, struct err *e)
{
    struct rng rng;
    int64_t seed = 0;
    char number[MAX_TOKEN + 1];
    bool noise = strcmp(how, "noise") == 0, fill = strcmp(how, "fill") == 0;
    bool floats = t->dtype >= DT_F16;
    enum err_code code = OK;
    if (noise && !text_to_i64(argument, &seed))
        return err_set(e, ERR_DATA, "'noise' needs a seed");
    rng_seed(&rng, (uint64_t)seed);
    for (size_t i = 0; i < t->count && code == OK; i++) {
        if (fill)
            snprintf(number, sizeof number, "%s", argument);
        else if (noise && floats)
            snprintf(number, sizeof number, "%.9g", rng_unit(&rng));
        else
            snprintf(number, sizeof number, "%zu",
                     noise ? (size_t)rng_below(&rng, 256)
                           : (floats ? i : i % 256));
        code = text_set_element(t, i, number, e);
    }
    return code;
}

static enum err_code read_tensor(struct text_reader *r, const char *type,
                                 struct tensor **out, struct err *e)
{
    char word[MAX_TOKEN + 1], argument[MAX_TOKEN + 1] = "";
    enum err_code code = new_of_type(type, out, e);
    if (code)
        return code;
    struct tensor *t = *out;
    (void)peek_word(r, word);
    if (strcmp(word, "fill") == 0 || strcmp(word, "ramp") == 0 ||
        strcmp(word, "noise") == 0) {
        take_word(r);
        if (strcmp(word, "ramp") != 0)
            (void)next_word(r, argument);
        code = generate(t, word, argument, e);
    } else {
        for (size_t i = 0; i < t->count && code == OK; i++) {
            if (!next_word(r, word))
                code = err_set(e, ERR_DATA,
                               "%s needs %zu values, there are "
                               "%zu",
                               type, t->count, i);
            else
                code = text_set_element(t, i, word, e);
        }
    }
    if (code)
        tensor_free(out);
    return code;
}

/* Fields and items */

static enum err_code read_value(struct text_reader *r, struct item *it,
                                const char *name, const char *type,
                                struct err *e)
{
    char word[MAX_TOKEN + 1] = "";
    if (strcmp(type, "nil") == 0)
        return item_set_nil(it, name, e);
    if (strcmp(type, "str") == 0) {
        struct buf s;
        enum err_code code = read_string(r, &s, e);
        if (code == OK) {
            code = item_set_str(it, name, buf_str(&s), e);
            buf_free(&s);
        }
        return code;
    }
    if (strcmp(type, "i64") == 0 || strcmp(type, "f64") == 0 ||
        strcmp(type, "bool") == 0) {
        int64_t i;
        double f;
        bool b;
        (void)next_word(r, word);
        if (type[0] == 'i' && text_to_i64(word, &i))
            return item_set_i64(it, name, i, e);
        if (type[0] == 'f' && any_number(word, &f))
            return item_set_f64(it, name, f, e);
        if (type[0] == 'b' && text_to_bool(word, &b))
            return item_set_bool(it, name, b, e);
        return err_set(e, ERR_DATA, "'%s' is not a value of type %s", word,
                       type);
    }
    struct tensor *t = NULL;
    enum err_code code = read_tensor(r, type, &t, e);
    return code ? code : item_set_tensor(it, name, t, e);
}

enum err_code text_value(struct item *it, const char *name, const char *type,
                         const char *value, struct err *e)
{
    struct text_reader r = {.text = value, .n = strlen(value), .line = 1};
    enum err_code code = read_value(&r, it, name, type, e);
    skip_blank(&r);
    if (code == OK && r.pos < r.n)
        code = err_set(e, ERR_DATA, "'%.40s' follows the value", value + r.pos);
    return code;
}

/* One "key=value" of an item: line. */
static enum err_code read_attribute(struct item *it, const char *word,
                                    bool *has_id, struct err *e)
{
    const char *value = strchr(word, '=') + 1;
    size_t n = (size_t)(value - word);
    int64_t v = -1;
    if (strncmp(word, "id=", n) == 0 && item_id_from_hex(value, &it->id)) {
        *has_id = true;
        return OK;
    }
    if (strncmp(word, "parent=", n) == 0 &&
        item_id_from_hex(value, &it->parent))
        return OK;
    if (strncmp(word, "kind=", n) == 0 && *value &&
        strlen(value) < sizeof it->kind) {
        memcpy(it->kind, value, strlen(value) + 1);
        return OK;
    }
    bool number = text_to_i64(value, &v) && v >= 0 && v <= UINT32_MAX;
    if (strncmp(word, "attempt=", n) == 0 && number) {
        it->attempt = (uint32_t)v;
        return OK;
    }
    if (strncmp(word, "epoch=", n) == 0 && number) {
        it->epoch = (uint32_t)v;
        return OK;
    }
    return err_set(e, ERR_DATA,
                   "'%s' is not one of id= and parent= (32 "
                   "hexadecimal digits), kind=, attempt=, epoch=",
                   word);
}

static enum err_code read_fields(struct text_reader *r, struct item *it,
                                 bool *has_id, struct err *e)
{
    char name[MAX_TOKEN + 1], type[MAX_TOKEN + 1];
    enum err_code code = OK;
    while (code == OK && peek_word(r, name) && strchr(name, '=')) {
        take_word(r);
        code = read_attribute(it, name, has_id, e);
    }
    while (code == OK && peek_word(r, name) && strcmp(name, "item:") != 0) {
        take_word(r);
        if (item_get(it, name))
            code = err_set(e, ERR_DATA, "field '%s' occurs twice", name);
        else if (!next_word(r, type))
            code = err_set(e, ERR_DATA, "field '%s' has no type", name);
        else if ((code = read_value(r, it, name, type, e)))
            err_wrap(e, "field '%s'", name);
    }
    return code;
}

enum err_code text_item_read(struct text_reader *r, struct item **out,
                             bool *has_id, struct err *e)
{
    char word[MAX_TOKEN + 1];
    struct err why = {0};
    *out = NULL;
    *has_id = false;
    if (!next_word(r, word))
        return OK;
    if (strcmp(word, "item:") != 0)
        return err_set(e, ERR_DATA, "line %d: 'item:' expected, not '%s'",
                       r->line, word);
    *out = item_new(e);
    if (!*out)
        return ERR_NOMEM;
    enum err_code code = read_fields(r, *out, has_id, &why);
    if (code) {
        item_free(out);
        err_set(e, code, "line %d: %s", r->line, why.text);
    }
    return code;
}
