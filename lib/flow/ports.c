/* Port specifications read into tables, and whether items or the types of
 * edges satisfy them. */
#include "lib/flow/ports.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"

#define MAX_TYPE_TEXT 128

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static int64_t letter_dim(char c)
{
    return DIM_LETTER - (c <= 'Z' ? c - 'A' : c - 'a' + 26);
}

static size_t letter_index(int64_t dim)
{
    return (size_t)(DIM_LETTER - dim);
}

static char letter_char(size_t k)
{
    return (char)(k < 26 ? 'A' + (int)k : 'a' + (int)k - 26);
}

/* Put formatted text at out + *used, cut to n bytes. */
static void PRINTF_LIKE(4, 5)
    add(char *out, size_t n, size_t *used, const char *fmt, ...)
{
    va_list ap;
    if (*used >= n)
        return;
    va_start(ap, fmt);
    int k = vsnprintf(out + *used, n - *used, fmt, ap);
    va_end(ap);
    if (k > 0)
        *used += (size_t)k;
}

static enum err_code bad_type(const char *text, const char *why, struct err *e)
{
    return err_set(e, ERR_ARG, "type '%.100s': %s", text, why);
}

static enum err_code parse_dim(const char *word, size_t len, int64_t *out)
{
    char num[20];
    if (len == 1 && *word == '*') {
        *out = DIM_ANY;
        return OK;
    }
    if (len == 1 && is_letter(*word)) {
        *out = letter_dim(*word);
        return OK;
    }
    if (len == 0 || len >= sizeof num)
        return ERR_ARG;
    memcpy(num, word, len);
    num[len] = '\0';
    if (strspn(num, "0123456789") != len || !text_to_i64(num, out))
        return ERR_ARG;
    return OK;
}

/* The inside of the brackets: s[len]. */
static enum err_code parse_shape(const char *s, size_t len, const char *text,
                                 struct field_type *out, struct err *e)
{
    if (len == 3 && memcmp(s, "...", 3) == 0) {
        out->any_shape = true;
        return OK;
    }
    const char *end = s + len;
    while (len && s <= end) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const char *stop = comma ? comma : end;
        while (s < stop && *s == ' ')
            s++;
        size_t n = (size_t)(stop - s);
        while (n && s[n - 1] == ' ')
            n--;
        if (out->ndim == TENSOR_MAX_DIMS)
            return bad_type(text, "more than 8 sizes", e);
        if (parse_dim(s, n, &out->dim[out->ndim]))
            return bad_type(text,
                            "a size is a number, one letter, or '*' "
                            "([...] is any shape)",
                            e);
        out->ndim++;
        s = stop + 1;
    }
    return OK;
}

static bool plain_type(const char *word, struct field_type *out)
{
    static const struct {
        const char *name;
        enum value_type type;
    } plain[] = {{"str", VAL_STR},
                 {"i64", VAL_I64},
                 {"f64", VAL_F64},
                 {"bool", VAL_BOOL}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(plain[i].name, word) == 0) {
            out->type = plain[i].type;
            return true;
        }
    if (strcmp(word, "tensor") == 0) {
        out->type = VAL_TENSOR;
        out->any_dtype = out->any_shape = true;
        return true;
    }
    return false;
}

static enum err_code unknown_type(const char *word, const char *text,
                                  struct err *e)
{
    static const char *const known[] = {"u8",  "u16",  "i32",   "i64",
                                        "f16", "bf16", "f32",   "f64",
                                        "str", "bool", "tensor"};
    const char *near =
        text_nearest(word, known, sizeof known / sizeof known[0]);
    if (near)
        return err_set(e, ERR_ARG,
                       "type '%.100s': no type '%.40s' (did you mean '%s'?)",
                       text, word, near);
    return err_set(e, ERR_ARG,
                   "type '%.100s': no type '%.40s' (str, i64, f64, bool, "
                   "tensor, or u8 u16 i32 i64 f16 bf16 f32 f64 with a shape)",
                   text, word);
}

enum err_code field_type_parse(const char *text, struct field_type *out,
                               struct err *e)
{
    char word[MAX_TYPE_TEXT];
    size_t len = strlen(text);
    memset(out, 0, sizeof *out);
    if (len == 0 || len >= sizeof word)
        return bad_type(text, "empty or too long", e);
    memcpy(word, text, len + 1);
    if (word[len - 1] == '?') {
        out->optional = true;
        word[--len] = '\0';
    }
    char *open = strchr(word, '[');
    if (!open) {
        if (plain_type(word, out))
            return OK;
        if (dtype_from_name(word, &out->dtype))
            return bad_type(text, "a tensor needs a shape, as in f32[68,3]", e);
        return unknown_type(word, text, e);
    }
    if (word[len - 1] != ']')
        return bad_type(text, "the shape does not end with ']'", e);
    *open = '\0';
    word[len - 1] = '\0';
    if (!dtype_from_name(word, &out->dtype))
        return unknown_type(word, text, e);
    out->type = VAL_TENSOR;
    return parse_shape(open + 1, (size_t)(word + len - 1 - (open + 1)), text,
                       out, e);
}

char *field_type_text(const struct field_type *t, char *out, size_t n)
{
    size_t used = 0;
    if (n)
        out[0] = '\0';
    switch (t->type) {
    case VAL_STR:
        add(out, n, &used, "str");
        break;
    case VAL_I64:
        add(out, n, &used, "i64");
        break;
    case VAL_F64:
        add(out, n, &used, "f64");
        break;
    case VAL_BOOL:
        add(out, n, &used, "bool");
        break;
    case VAL_NIL:
        add(out, n, &used, "nil");
        break;
    case VAL_TENSOR:
        if (t->any_dtype) {
            add(out, n, &used, "tensor");
            break;
        }
        add(out, n, &used, "%s[", dtype_name(t->dtype));
        if (t->any_shape)
            add(out, n, &used, "...");
        for (int i = 0; i < t->ndim; i++) {
            const char *comma = i ? "," : "";
            if (t->dim[i] >= 0)
                add(out, n, &used, "%s%lld", comma, (long long)t->dim[i]);
            else if (t->dim[i] == DIM_ANY)
                add(out, n, &used, "%s*", comma);
            else
                add(out, n, &used, "%s%c", comma,
                    letter_char(letter_index(t->dim[i])));
        }
        add(out, n, &used, "]");
        break;
    }
    if (t->optional)
        add(out, n, &used, "?");
    return out;
}

static bool field_name_ok(const char *s, size_t n)
{
    if (n == 0 || n > ITEM_MAX_NAME || s[0] < 'a' || s[0] > 'z')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') ||
              s[i] == '_' || s[i] == '.'))
            return false;
    return true;
}

/* One "name type" in s[len] (no comma outside brackets) into f. */
static enum err_code parse_field(const char *s, size_t len,
                                 struct port_field *f, struct err *e)
{
    char type[MAX_TYPE_TEXT];
    while (len && (*s == ' ' || *s == '\n'))
        s++, len--;
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\n'))
        len--;
    size_t n = 0;
    while (n < len && s[n] != ' ')
        n++;
    if (!field_name_ok(s, n))
        return err_set(e, ERR_ARG,
                       "'%.*s' is not a field name (a-z0-9_., at most %d)",
                       (int)(n < 60 ? n : 60), s, ITEM_MAX_NAME);
    memset(f, 0, sizeof *f);
    memcpy(f->name, s, n);
    size_t t = n;
    while (t < len && s[t] == ' ')
        t++;
    if (t == len || len - t >= sizeof type)
        return err_set(e, ERR_ARG, "field '%s' has no type", f->name);
    memcpy(type, s + t, len - t);
    type[len - t] = '\0';
    enum err_code rc = field_type_parse(type, &f->type, e);
    return rc ? err_wrap(e, "field '%s'", f->name) : OK;
}

/* Where the field that starts at s ends: a comma outside brackets, or NUL. */
static const char *field_end(const char *s)
{
    int depth = 0;
    for (; *s; s++) {
        if (*s == '[')
            depth++;
        else if (*s == ']' && depth)
            depth--;
        else if (*s == ',' && !depth)
            break;
    }
    return s;
}

static enum err_code port_wrap(const char *name, struct err *e)
{
    return err_wrap(e, "port '%s'", name);
}

enum err_code port_parse(const char *name, const char *fields,
                         struct port_spec *out, struct err *e)
{
    enum err_code rc = OK;
    memset(out, 0, sizeof *out);
    out->name = mem_strdup(name);
    out->field = mem_calloc(ITEM_MAX_FIELDS, sizeof *out->field);
    if (!out->name || !out->field) {
        rc = err_set(e, ERR_NOMEM, "no memory for a port");
        goto done;
    }
    const char *s = fields + strspn(fields, " \n");
    while (*s && rc == OK) {
        const char *end = field_end(s);
        if (out->n == ITEM_MAX_FIELDS) {
            rc = err_set(e, ERR_ARG, "more than %d fields", ITEM_MAX_FIELDS);
            break;
        }
        if (strncmp(s + strspn(s, " \n"), "...", 3) == 0) {
            out->open = true;
            s += strspn(s, " \n") + 3;
            if (s[strspn(s, " \n")])
                rc = err_set(e, ERR_ARG, "'...' must be the last");
            break;
        }
        struct port_field *f = &out->field[out->n];
        rc = parse_field(s, (size_t)(end - s), f, e);
        if (rc == OK && port_field(out, f->name))
            rc = err_set(e, ERR_ARG, "field '%s' occurs twice", f->name);
        if (rc == OK)
            out->n++;
        if (rc == OK && *end == ',' && !end[1 + strspn(end + 1, " \n")])
            rc = err_set(e, ERR_ARG, "the list ends with a comma");
        s = *end ? end + 1 : end;
    }
    if (rc)
        port_wrap(name, e);
done:
    if (rc)
        port_free(out);
    return rc;
}

void port_free(struct port_spec *p)
{
    if (!p)
        return;
    mem_free(p->name);
    mem_free(p->field);
    memset(p, 0, sizeof *p);
}

enum err_code ports_parse(const struct stage_port *table,
                          struct port_spec **out, size_t *n, struct err *e)
{
    size_t count = 0;
    *out = NULL;
    *n = 0;
    while (table && table[count].name)
        count++;
    struct port_spec *p = mem_calloc(count ? count : 1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for ports");
    for (size_t i = 0; i < count; i++) {
        enum err_code rc = port_parse(
            table[i].name, table[i].fields ? table[i].fields : "", &p[i], e);
        if (rc) {
            ports_free(&p, i);
            return rc;
        }
    }
    *out = p;
    *n = count;
    return OK;
}

void ports_free(struct port_spec **p, size_t n)
{
    if (!p || !*p)
        return;
    for (size_t i = 0; i < n; i++)
        port_free(&(*p)[i]);
    mem_free(*p);
    *p = NULL;
}

const struct port_spec *ports_find(const struct port_spec *p, size_t n,
                                   const char *name)
{
    if (!name)
        return n == 1 ? p : NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(p[i].name, name) == 0)
            return &p[i];
    return NULL;
}

const struct port_field *port_field(const struct port_spec *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->field[i].name, name) == 0)
            return &p->field[i];
    return NULL;
}
