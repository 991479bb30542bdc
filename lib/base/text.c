/* Strict number parsing, edit distance, CSV, UTF-8. */
#include "lib/base/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

#define NEAR_MAX 64

bool text_to_i64(const char *s, int64_t *out)
{
    if (!s || !*s || !strchr("+-0123456789", *s))
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *end)
        return false;
    *out = v;
    return true;
}

bool text_to_f64(const char *s, double *out)
{
    /* Only decimal numbers: strtod would also take hex, inf and nan. */
    if (!s || !*s || s[strspn(s, "+-0123456789.eE")])
        return false;
    static locale_t c_locale;
    if (!c_locale)
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *end;
    double v = strtod_l(s, &end, c_locale);
    if (end == s || *end || !isfinite(v))
        return false;
    *out = v;
    return true;
}

/* Is s the lower-case word, or that in capitals, or with one? */
static bool is_word(const char *s, const char *word)
{
    size_t n = strlen(word);
    if (strlen(s) != n || strcasecmp(s, word) != 0)
        return false;
    return strcmp(s + 1, word + 1) == 0 ||
           !s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")];
}

bool text_to_bool(const char *s, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "y", "1"};
    static const char *const no[] = {"false", "no", "off", "n", "0"};
    for (int i = 0; s && *s && i < 5; i++) {
        if (is_word(s, yes[i])) {
            *out = true;
            return true;
        }
        if (is_word(s, no[i])) {
            *out = false;
            return true;
        }
    }
    return false;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

size_t text_distance(const char *a, const char *b)
{
    size_t n = strnlen(a, NEAR_MAX), m = strnlen(b, NEAR_MAX);
    size_t row[3][NEAR_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *cur = row[i % 3];
        const size_t *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        cur[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t cost = a[i - 1] != b[j - 1];
            cur[j] = min3(up[j] + 1, cur[j - 1] + 1, up[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1] && up2[j - 2] + 1 < cur[j])
                cur[j] = up2[j - 2] + 1;
        }
    }
    return row[n % 3][m];
}

const char *text_nearest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_d = SIZE_MAX;
    size_t len = strlen(word);
    size_t limit = len <= 3 ? 1 : len <= 6 ? 2 : 3;
    for (size_t i = 0; i < n; i++) {
        size_t d = text_distance(word, names[i]);
        if (d < best_d) {
            best_d = d;
            best = names[i];
        }
    }
    return best_d <= limit ? best : NULL;
}

static bool is_blank(char c, char separator)
{
    return (c == ' ' || c == '\t') && c != separator;
}

/* The rest of a quoted field from *pos, behind its first quote, which stood at
 * `start`; *pos then stands behind the last. */
static enum err_code csv_quoted(const char *text, size_t len, size_t *pos,
                                size_t start, struct buf *b, struct err *e)
{
    enum err_code rc = OK;
    size_t i = *pos;
    for (; !rc; i++) {
        if (i >= len) {
            rc = err_set(e, ERR_DATA,
                         "quoted field starting at byte %zu never ends", start);
        } else if (text[i] != '"') {
            rc = buf_put(b, text + i, 1, e);
        } else if (i + 1 < len && text[i + 1] == '"') {
            rc = buf_put(b, text + i++, 1, e);
        } else {
            i++;
            break;
        }
    }
    *pos = i;
    return rc;
}

/* One field from *pos; stops at the separator or a line end (left at *pos).
 * loose: blanks around it are none of it. */
static enum err_code csv_field(const char *text, size_t len, size_t *pos,
                               char separator, bool loose, char **out,
                               struct err *e)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    size_t i = *pos;
    while (loose && i < len && is_blank(text[i], separator))
        i++;
    const char ends[] = {separator, '\r', '\n', '\0'};
    enum err_code rc = buf_put(&b, "", 0, e);
    if (i < len && text[i] == '"') {
        size_t start = i++;
        if (!rc)
            rc = csv_quoted(text, len, &i, start, &b, e);
        while (loose && i < len && is_blank(text[i], separator))
            i++;
        if (!rc && i < len && (!text[i] || !strchr(ends, text[i])))
            rc = err_set(e, ERR_DATA, "text after a closing quote at byte %zu",
                         i);
    } else {
        size_t from = i;
        while (i < len && text[i] != separator && text[i] != '\n' &&
               text[i] != '\r')
            i++;
        size_t to = i;
        while (loose && to > from && is_blank(text[to - 1], separator))
            to--;
        if (!rc)
            rc = buf_put(&b, text + from, to - from, e);
    }
    if (!rc && memchr(b.data, 0, b.len))
        rc = err_set(e, ERR_DATA, "NUL byte in a field at byte %zu", *pos);
    if (!rc) {
        *out = mem_strndup((const char *)b.data, b.len);
        if (!*out)
            rc = err_set(e, ERR_NOMEM, "no memory for a CSV field");
    }
    buf_free(&b);
    *pos = i;
    return rc;
}

static enum err_code record(const char *text, size_t len, size_t *pos,
                            char separator, bool loose, char ***fields,
                            size_t *n, struct err *e)
{
    *fields = NULL;
    *n = 0;
    if (*pos >= len)
        return OK;
    for (;;) {
        char **grown = mem_resize(*fields, *n + 1, sizeof *grown);
        enum err_code rc;
        if (!grown) {
            rc = err_set(e, ERR_NOMEM, "no memory for a CSV record");
        } else {
            *fields = grown;
            rc = csv_field(text, len, pos, separator, loose, &grown[*n], e);
        }
        if (rc) {
            csv_record_free(*fields, *n);
            *fields = NULL;
            *n = 0;
            return rc;
        }
        ++*n;
        if (*pos < len && text[*pos] == separator) {
            ++*pos;
            continue;
        }
        if (*pos < len && text[*pos] == '\r')
            ++*pos;
        if (*pos < len && text[*pos] == '\n')
            ++*pos;
        return OK;
    }
}

enum err_code csv_record(const char *text, size_t len, size_t *pos,
                         char ***fields, size_t *n, struct err *e)
{
    return record(text, len, pos, ',', false, fields, n, e);
}

enum err_code csv_record_loose(const char *text, size_t len, size_t *pos,
                               char separator, char ***fields, size_t *n,
                               struct err *e)
{
    return record(text, len, pos, separator, true, fields, n, e);
}

void csv_record_drop(char **fields, size_t *n)
{
    if (*n)
        mem_free(fields[--*n]);
}

void csv_record_free(char **fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(fields[i]);
    mem_free(fields);
}

enum err_code csv_put(struct buf *b, const char *s, struct err *e)
{
    size_t n = strlen(s);
    if (!s[strcspn(s, ",\"\r\n")] && *s != ' ' && *s != '\t' &&
        (!n || (s[n - 1] != ' ' && s[n - 1] != '\t')))
        return buf_puts(b, s, e);
    enum err_code rc = buf_puts(b, "\"", e);
    for (; !rc && *s; s++) {
        if (*s == '"')
            rc = buf_puts(b, "\"", e);
        if (!rc)
            rc = buf_put(b, s, 1, e);
    }
    return rc ? rc : buf_puts(b, "\"", e);
}

bool text_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* Bytes of the UTF-8 character at p, of which n are left, and its number in
 * *v; 0 if there is none. */
static size_t utf8_at(const unsigned char *p, size_t n, uint32_t *v)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned c = p[0];
    size_t more = c < 0x80             ? 0
                  : (c & 0xe0) == 0xc0 ? 1
                  : (c & 0xf0) == 0xe0 ? 2
                  : (c & 0xf8) == 0xf0 ? 3
                                       : 4;
    if (more == 4 || more >= n)
        return 0;
    *v = more == 0 ? c : c & (0x3fu >> more);
    for (size_t k = 1; k <= more; k++) {
        if ((p[k] & 0xc0) != 0x80)
            return 0;
        *v = *v << 6 | (p[k] & 0x3fu);
    }
    if (*v < least[more] || *v > 0x10ffff || (*v >= 0xd800 && *v < 0xe000))
        return 0;
    return more + 1;
}

size_t text_bom(const char *s, size_t n)
{
    return n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

bool text_is_utf16(const char *s, size_t n)
{
    return n >= 2 &&
           (memcmp(s, "\xff\xfe", 2) == 0 || memcmp(s, "\xfe\xff", 2) == 0);
}

enum err_code text_check(const char *s, size_t n, size_t *from, struct err *e)
{
    *from = text_bom(s, n);
    if (text_is_utf16(s, n))
        return err_set(e, ERR_DATA, "UTF-16: save it as UTF-8");
    if (memchr(s, '\0', n < 4096 ? n : 4096))
        return err_set(e, ERR_DATA, "it is no text");
    return OK;
}

const char *text_no_number(const char *s, char *out, size_t size)
{
    size_t comma = strcspn(s, ",");
    char copy[48];
    double v;
    bool decimal = s[comma] && strlen(s) < sizeof copy;
    if (decimal) {
        memcpy(copy, s, strlen(s) + 1);
        copy[comma] = '.';
        decimal = text_to_f64(copy, &v);
    }
    if (decimal)
        snprintf(out, size, "'%s' has a decimal comma: write %s", s, copy);
    else if (!*s)
        snprintf(out, size, "empty where a number should stand");
    else
        snprintf(out, size, "'%.40s' is no number", s);
    text_plain(out, strlen(out));
    return out;
}

bool text_is_utf8(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    uint32_t v;
    for (size_t i = 0; i < n;) {
        size_t k = utf8_at(p + i, n - i, &v);
        if (k == 0)
            return false;
        i += k;
    }
    return true;
}

/* C0, DEL, C1; what ends a line; what turns the direction of writing. */
static bool is_control(uint32_t v)
{
    return v < 0x20 || (v >= 0x7f && v < 0xa0) || v == 0x2028 || v == 0x2029 ||
           (v >= 0x202a && v <= 0x202e) || (v >= 0x2066 && v <= 0x2069);
}

void text_plain(char *s, size_t n)
{
    unsigned char *p = (unsigned char *)s;
    for (size_t i = 0; i < n;) {
        uint32_t v = 0;
        size_t k = utf8_at(p + i, n - i, &v);
        bool bad = k == 0 || is_control(v);
        k = k ? k : 1;
        if (bad)
            memset(p + i, '?', k);
        i += k;
    }
}

char *text_escaped(const char *s)
{
    static const char hex[] = "0123456789abcdef";
    bool utf8 = text_is_utf8(s, strlen(s));
    char *out = mem_alloc(4 * strlen(s) + 1);
    size_t k = 0;
    for (; out && *s; s++) {
        uint8_t c = (uint8_t)*s;
        if (c >= 0x20 && c != 0x7f && (c < 0x80 || utf8)) {
            out[k++] = *s;
        } else {
            out[k++] = '\\';
            out[k++] = 'x';
            out[k++] = hex[c >> 4];
            out[k++] = hex[c & 15];
        }
    }
    if (out)
        out[k] = 0;
    return out;
}

/* Bytes of the escape sequence at p (colours, cursor moves, titles), 0 if none
 * of n bytes. */
static size_t escape_at(const unsigned char *p, size_t n)
{
    size_t i = 2;
    if (n < 2 || p[0] != 0x1b)
        return 0;
    if (p[1] == '[') {
        while (i < n && p[i] >= 0x20 && p[i] < 0x40)
            i++;
        return i < n && p[i] >= 0x40 && p[i] < 0x7f ? i + 1 : 0;
    }
    if (p[1] != ']')
        return p[1] >= 0x40 && p[1] < 0x60 ? 2 : 0;
    while (i < n && p[i] != 0x07 && p[i] != 0x1b)
        i++;
    if (i < n && p[i] == 0x07)
        return i + 1;
    return i + 1 < n && p[i + 1] == '\\' ? i + 2 : 0;
}

size_t text_shown(char *s, size_t n)
{
    unsigned char *p = (unsigned char *)s;
    size_t from = 0, to = 0;
    while (n && p[n - 1] == '\r')
        n--;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\r')
            from = i + 1;
    for (size_t i = from; i < n;) {
        size_t k = escape_at(p + i, n - i);
        if (k)
            i += k;
        else
            p[to++] = p[i++] == '\t' ? ' ' : p[i - 1];
    }
    text_plain(s, to);
    return to;
}
