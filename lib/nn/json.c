/* A strict pull reader for the small JSON headers of weight files. */
#include "lib/nn/json.h"

#include <string.h>

#include "lib/base/text.h"

static void skip_space(struct json *j)
{
    while (j->at < j->n && (j->text[j->at] == ' ' || j->text[j->at] == '\t' ||
                            j->text[j->at] == '\n' || j->text[j->at] == '\r'))
        j->at++;
}

static enum err_code bad(const struct json *j, const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "JSON byte %zu: %s", j->at, what);
}

static enum err_code expect(struct json *j, char c, const char *what,
                            struct err *e)
{
    skip_space(j);
    if (j->at >= j->n || j->text[j->at] != c)
        return bad(j, what, e);
    j->at++;
    return OK;
}

void json_init(struct json *j, const char *text, size_t n)
{
    *j = (struct json){.text = text, .n = n};
}

char json_peek(struct json *j)
{
    skip_space(j);
    if (j->at >= j->n)
        return 0;
    char c = j->text[j->at];
    return (c >= '0' && c <= '9') || c == '-' ? '0' : c;
}

static enum err_code open_level(struct json *j, char c, const char *what,
                                struct err *e)
{
    enum err_code r = expect(j, c, what, e);
    if (r)
        return r;
    if (j->depth >= JSON_MAX_NESTING)
        return bad(j, "nested too deeply", e);
    j->fresh[j->depth++] = true;
    return OK;
}

/* Is there another member before `close`? Eats the comma or the bracket. */
static enum err_code next(struct json *j, char close, bool *more, struct err *e)
{
    skip_space(j);
    bool *fresh = &j->fresh[j->depth - 1];
    if (j->at < j->n && j->text[j->at] == close) {
        j->at++;
        j->depth--;
        *more = false;
        return OK;
    }
    if (!*fresh) {
        enum err_code r =
            expect(j, ',', "',' or a closing bracket expected", e);
        if (r)
            return r;
    }
    *fresh = false;
    *more = true;
    return OK;
}

enum err_code json_object(struct json *j, struct err *e)
{
    return open_level(j, '{', "an object expected", e);
}

enum err_code json_array(struct json *j, struct err *e)
{
    return open_level(j, '[', "a list expected", e);
}

enum err_code json_element(struct json *j, bool *more, struct err *e)
{
    return next(j, ']', more, e);
}

enum err_code json_member(struct json *j, struct buf *key, bool *more,
                          struct err *e)
{
    enum err_code r = next(j, '}', more, e);
    if (r || !*more)
        return r;
    r = json_string(j, key, e);
    if (r)
        return r;
    return expect(j, ':', "':' expected", e);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits after \u; -1 if they are not there. */
static int32_t hex4(struct json *j)
{
    if (j->n - j->at < 4)
        return -1;
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(j->text[j->at + (size_t)i]);
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    j->at += 4;
    return v;
}

static size_t utf8_put(int32_t v, char out[4])
{
    if (v < 0x80) {
        out[0] = (char)v;
        return 1;
    }
    if (v < 0x800) {
        out[0] = (char)(0xC0 | v >> 6);
        out[1] = (char)(0x80 | (v & 63));
        return 2;
    }
    if (v < 0x10000) {
        out[0] = (char)(0xE0 | v >> 12);
        out[1] = (char)(0x80 | (v >> 6 & 63));
        out[2] = (char)(0x80 | (v & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | v >> 18);
    out[1] = (char)(0x80 | (v >> 12 & 63));
    out[2] = (char)(0x80 | (v >> 6 & 63));
    out[3] = (char)(0x80 | (v & 63));
    return 4;
}

/* After "\u": one code point, a surrogate pair read as one. */
static enum err_code unicode_escape(struct json *j, struct buf *s,
                                    struct err *e)
{
    int32_t v = hex4(j);
    if (v >= 0xD800 && v < 0xDC00) {
        if (j->n - j->at < 2 || j->text[j->at] != '\\' ||
            j->text[j->at + 1] != 'u')
            return bad(j, "half a surrogate pair", e);
        j->at += 2;
        int32_t low = hex4(j);
        if (low < 0xDC00 || low > 0xDFFF)
            return bad(j, "half a surrogate pair", e);
        v = 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
    } else if (v <= 0 || (v >= 0xDC00 && v <= 0xDFFF)) {
        return bad(j, "bad \\u escape", e);
    }
    char u[4];
    return buf_put(s, u, utf8_put(v, u), e);
}

static enum err_code escape(struct json *j, struct buf *s, struct err *e)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (j->at >= j->n)
        return bad(j, "the text ends inside a string", e);
    char c = j->text[j->at++];
    if (c == 'u')
        return unicode_escape(j, s, e);
    const char *p = c ? strchr(from, c) : NULL;
    if (!p)
        return bad(j, "bad escape", e);
    return buf_put(s, &to[p - from], 1, e);
}

enum err_code json_string(struct json *j, struct buf *s, struct err *e)
{
    enum err_code r = expect(j, '"', "a string expected", e);
    if (r)
        return r;
    s->len = 0;
    for (;;) {
        size_t start = j->at;
        while (j->at < j->n && j->text[j->at] != '"' &&
               j->text[j->at] != '\\' && (uint8_t)j->text[j->at] >= 0x20)
            j->at++;
        if (s->len + (j->at - start) > JSON_MAX_STRING)
            return bad(j, "the string is too long", e);
        r = buf_put(s, j->text + start, j->at - start, e);
        if (r)
            return r;
        if (j->at >= j->n)
            return bad(j, "the text ends inside a string", e);
        char c = j->text[j->at++];
        if (c == '"')
            break;
        if (c != '\\')
            return bad(j, "a control character in a string", e);
        r = escape(j, s, e);
        if (r)
            return r;
    }
    if (!text_is_utf8(buf_str(s), s->len))
        return bad(j, "the string is not UTF-8", e);
    return OK;
}

enum err_code json_count(struct json *j, int64_t *v, struct err *e)
{
    skip_space(j);
    size_t start = j->at;
    int64_t x = 0;
    while (j->at < j->n && j->text[j->at] >= '0' && j->text[j->at] <= '9') {
        int d = j->text[j->at] - '0';
        if (x > (INT64_MAX - d) / 10)
            return bad(j, "the number is too large", e);
        x = x * 10 + d;
        j->at++;
    }
    size_t digits = j->at - start;
    if (!digits || (digits > 1 && j->text[start] == '0'))
        return bad(j, "a whole number expected", e);
    char c = j->at < j->n ? j->text[j->at] : ' ';
    if (c == '.' || c == 'e' || c == 'E')
        return bad(j, "a whole number expected", e);
    *v = x;
    return OK;
}

enum err_code json_end(struct json *j, struct err *e)
{
    skip_space(j);
    if (j->at != j->n)
        return bad(j, "more text after the value", e);
    return OK;
}
