/* Python pickles read as data: opcodes of numbers and strings. */
#include <math.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/nn/pickle_vm.h"

#define LONG_BYTES 32 /* of a long that is written as text */

static enum err_code take(struct pickle_vm *m, size_t n, const uint8_t **p,
                          struct err *e)
{
    if (n > m->n - m->at)
        return pickle_bad(m, e, "needs %zu bytes, %zu are left", n,
                          m->n - m->at);
    *p = m->data + m->at;
    m->at += n;
    return OK;
}

/* A little-endian count of `width` bytes. */
enum err_code pickle_take_count(struct pickle_vm *m, size_t width, size_t *n,
                                struct err *e)
{
    const uint8_t *p = NULL;
    enum err_code r = take(m, width, &p, e);
    if (r)
        return r;
    uint64_t v = 0;
    for (size_t i = width; i-- > 0;)
        v = v << 8 | p[i];
    *n = (size_t)v;
    return OK;
}

/* Up to a line's end, which is left out; nothing on failure. */
enum err_code pickle_take_line(struct pickle_vm *m, struct pickle_bytes *s,
                               struct err *e)
{
    const uint8_t *p = m->data + m->at;
    const uint8_t *end = memchr(p, '\n', m->n - m->at);
    *s = (struct pickle_bytes){NULL, 0};
    if (!end)
        return pickle_bad(m, e, "the line does not end");
    *s = (struct pickle_bytes){(const char *)p, (size_t)(end - p)};
    m->at += s->n + 1;
    if (s->n && s->p[s->n - 1] == '\r')
        s->n--;
    return OK;
}

/* A line that holds a number, as a string. */
enum err_code pickle_take_number(struct pickle_vm *m,
                                 char out[PICKLE_MAX_NUMBER + 1], struct err *e)
{
    struct pickle_bytes s;
    enum err_code r = pickle_take_line(m, &s, e);
    if (r)
        return r;
    if (s.n > PICKLE_MAX_NUMBER)
        return pickle_bad(m, e, "a number of %zu characters", s.n);
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return OK;
}

static enum err_code push_int(struct pickle_vm *m, int64_t i, struct err *e)
{
    struct pickle_value *v = pickle_new(m, PICKLE_INT, e);
    if (v)
        v->v.i = i;
    return pickle_push(m, v, e);
}

static enum err_code push_bool(struct pickle_vm *m, bool b, struct err *e)
{
    struct pickle_value *v = pickle_new(m, PICKLE_BOOL, e);
    if (v)
        v->v.b = b;
    return pickle_push(m, v, e);
}

static enum err_code push_float(struct pickle_vm *m, double f, struct err *e)
{
    struct pickle_value *v = pickle_new(m, PICKLE_FLOAT, e);
    if (v)
        v->v.f = f;
    return pickle_push(m, v, e);
}

static enum err_code push_bytes(struct pickle_vm *m, enum pickle_type type,
                                const void *p, size_t n, struct err *e)
{
    struct pickle_value *v = pickle_new(m, type, e);
    if (v)
        v->v.s = (struct pickle_bytes){p, n};
    return pickle_push(m, v, e);
}

/* A string or bytes after a count of `width` bytes. */
static enum err_code counted(struct pickle_vm *m, enum pickle_type type,
                             size_t width, struct err *e)
{
    size_t n;
    const uint8_t *p = NULL;
    enum err_code r = pickle_take_count(m, width, &n, e);
    if (!r && m->op == 'T' && n > INT32_MAX)
        return pickle_bad(m, e, "a negative length");
    if (!r)
        r = take(m, n, &p, e);
    return r ? r : push_bytes(m, type, p, n, e);
}

enum err_code pickle_op_true(struct pickle_vm *m, struct err *e)
{
    return push_bool(m, true, e);
}

enum err_code pickle_op_false(struct pickle_vm *m, struct err *e)
{
    return push_bool(m, false, e);
}

/* Numbers */

enum err_code pickle_op_int(struct pickle_vm *m, struct err *e)
{
    char s[PICKLE_MAX_NUMBER + 1];
    int64_t i;
    enum err_code r = pickle_take_number(m, s, e);
    if (r)
        return r;
    if (strcmp(s, "00") == 0 || strcmp(s, "01") == 0)
        return push_bool(m, s[1] == '1', e);
    if (!text_to_i64(s, &i))
        return pickle_bad(m, e, "no whole number");
    return push_int(m, i, e);
}

enum err_code pickle_op_binint(struct pickle_vm *m, struct err *e)
{
    size_t n = 0;
    enum err_code r = pickle_take_count(m, 4, &n, e);
    return r ? r : push_int(m, (int32_t)(uint32_t)n, e);
}

enum err_code pickle_op_binint1(struct pickle_vm *m, struct err *e)
{
    size_t n = 0;
    enum err_code r = pickle_take_count(m, 1, &n, e);
    return r ? r : push_int(m, (int64_t)n, e);
}

enum err_code pickle_op_binint2(struct pickle_vm *m, struct err *e)
{
    size_t n = 0;
    enum err_code r = pickle_take_count(m, 2, &n, e);
    return r ? r : push_int(m, (int64_t)n, e);
}

/* Two's complement bytes, lowest first. */
static enum err_code push_long(struct pickle_vm *m, const uint8_t *p, size_t n,
                               struct err *e)
{
    uint8_t sign = n && p[n - 1] & 0x80 ? 0xff : 0;
    while (n > 8 && p[n - 1] == sign && (p[n - 2] & 0x80) == (sign & 0x80))
        n--;
    if (n > 8)
        return push_bytes(m, PICKLE_LONG, p, n, e);
    uint64_t v = sign ? UINT64_MAX : 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return push_int(m, (int64_t)v, e);
}

static enum err_code long_of(struct pickle_vm *m, size_t width, struct err *e)
{
    size_t n = 0;
    const uint8_t *p = NULL;
    enum err_code r = pickle_take_count(m, width, &n, e);
    if (!r && n > INT32_MAX)
        return pickle_bad(m, e, "a negative length");
    if (!r)
        r = take(m, n, &p, e);
    return r ? r : push_long(m, p, n, e);
}

enum err_code pickle_op_long1(struct pickle_vm *m, struct err *e)
{
    return long_of(m, 1, e);
}

enum err_code pickle_op_long4(struct pickle_vm *m, struct err *e)
{
    return long_of(m, 4, e);
}

/* Decimal digits, perhaps a sign before and an L behind them. */
enum err_code pickle_op_long(struct pickle_vm *m, struct err *e)
{
    char s[PICKLE_MAX_NUMBER + 1];
    enum err_code r = pickle_take_number(m, s, e);
    if (r)
        return r;
    size_t n = strlen(s), i = s[0] == '-' || s[0] == '+';
    if (n && s[n - 1] == 'L')
        s[--n] = 0;
    uint8_t *b = pickle_alloc(m->tree, LONG_BYTES, e);
    if (!b)
        return ERR_NOMEM;
    if (i == n)
        return pickle_bad(m, e, "no whole number");
    for (; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return pickle_bad(m, e, "no whole number");
        unsigned carry = (unsigned)(s[i] - '0');
        for (size_t k = 0; k < LONG_BYTES; k++) {
            carry += b[k] * 10u;
            b[k] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    unsigned carry = 1;
    for (size_t k = 0; k < LONG_BYTES && s[0] == '-'; k++) {
        carry += (uint8_t)~b[k];
        b[k] = (uint8_t)carry;
        carry >>= 8;
    }
    return push_long(m, b, LONG_BYTES, e);
}

enum err_code pickle_op_float(struct pickle_vm *m, struct err *e)
{
    char s[PICKLE_MAX_NUMBER + 1];
    double f;
    enum err_code r = pickle_take_number(m, s, e);
    if (r)
        return r;
    if (strcmp(s, "nan") == 0)
        f = (double)NAN;
    else if (strcmp(s, "inf") == 0 || strcmp(s, "-inf") == 0)
        f = s[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    else if (!text_to_f64(s, &f))
        return pickle_bad(m, e, "no number");
    return push_float(m, f, e);
}

enum err_code pickle_op_binfloat(struct pickle_vm *m, struct err *e)
{
    const uint8_t *p = NULL;
    enum err_code r = take(m, 8, &p, e);
    if (r)
        return r;
    uint64_t bits = 0;
    double f;
    for (size_t i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    memcpy(&f, &bits, sizeof f);
    return push_float(m, f, e);
}

/* Strings */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* n hexadecimal digits at s[at]; -1 if they are not there. */
static int64_t hex_at(struct pickle_bytes s, size_t at, size_t n)
{
    int64_t v = 0;
    if (n > s.n || at > s.n - n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int d = hex_digit(s.p[at + i]);
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

/* 'raw-unicode-escape': Latin-1, and \uXXXX, \UXXXXXXXX. */
enum err_code pickle_op_unicode(struct pickle_vm *m, struct err *e)
{
    struct pickle_bytes s;
    enum err_code r = pickle_take_line(m, &s, e);
    if (r)
        return r;
    char *out = pickle_alloc(m->tree, s.n * 2 + 1, e);
    if (!out)
        return ERR_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        size_t digits = 0;
        if (s.p[i] == '\\' && i + 1 < s.n)
            digits = s.p[i + 1] == 'u' ? 4 : s.p[i + 1] == 'U' ? 8 : 0;
        if (!digits) {
            n += put_utf8(out + n, (uint8_t)s.p[i]);
            continue;
        }
        int64_t c = hex_at(s, i + 2, digits);
        if (c < 0 || c > 0x10ffff)
            return pickle_bad(m, e, "a bad \\%c", s.p[i + 1]);
        n += put_utf8(out + n, (uint32_t)c);
        i += 1 + digits;
    }
    return push_bytes(m, PICKLE_STR, out, n, e);
}

/* One escape of a Python 2 string at s.p[*i] == '\\'; the byte, and *i on its
 * last character; -1 if it is none. */
static int escape(struct pickle_bytes s, size_t *i)
{
    static const char names[] = "abfnrtv\\'\"", bytes[] = "\a\b\f\n\r\t\v\\'\"";
    if (*i + 1 >= s.n)
        return -1;
    char c = s.p[++*i];
    const char *name = c ? strchr(names, c) : NULL;
    if (name)
        return bytes[name - names];
    if (c == 'x') {
        int64_t v = hex_at(s, *i + 1, 2);
        *i += 2;
        return (int)v;
    }
    int v = 0, digits = 0;
    for (; digits < 3 && *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '7';
         digits++, ++*i)
        v = v * 8 + s.p[*i] - '0';
    --*i;
    return digits ? v & 0xff : -1;
}

/* repr() of a Python 2 str. */
enum err_code pickle_op_string(struct pickle_vm *m, struct err *e)
{
    struct pickle_bytes s;
    enum err_code r = pickle_take_line(m, &s, e);
    if (r)
        return r;
    if (s.n < 2 || s.p[0] != s.p[s.n - 1] || !strchr("'\"", s.p[0]) || !s.p[0])
        return pickle_bad(m, e, "a string without quotes");
    s = (struct pickle_bytes){s.p + 1, s.n - 2};
    char *out = pickle_alloc(m->tree, s.n + 1, e);
    if (!out)
        return ERR_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int c = s.p[i] == '\\' ? escape(s, &i) : (uint8_t)s.p[i];
        if (c < 0)
            return pickle_bad(m, e, "a bad escape in a string");
        out[n++] = (char)c;
    }
    return push_bytes(m, PICKLE_STR, out, n, e);
}

#define COUNTED(name, type, width)                                             \
    enum err_code name(struct pickle_vm *m, struct err *e)                     \
    {                                                                          \
        return counted(m, type, width, e);                                     \
    }
COUNTED(pickle_op_str1, PICKLE_STR, 1)
COUNTED(pickle_op_str4, PICKLE_STR, 4)
COUNTED(pickle_op_str8, PICKLE_STR, 8)
COUNTED(pickle_op_bytes1, PICKLE_BYTES, 1)
COUNTED(pickle_op_bytes4, PICKLE_BYTES, 4)
COUNTED(pickle_op_bytes8, PICKLE_BYTES, 8)
