/* Recipes: what a result came from, as text. */
#define XXH_STATIC_LINKING_ONLY
#include "lib/data/recipe.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/base/mem.h"

#define SHOWN 2 /* differences that are spelt out */

static enum err_code put_escaped(struct buf *b, const char *s, struct err *e)
{
    enum err_code rc = OK;
    for (; *s && !rc; s++) {
        const char *esc = *s == '\t'                 ? "%09"
                          : *s == '\n' || *s == '\r' ? "%0a"
                          : *s == '%'                ? "%25"
                                                     : NULL;
        rc = esc ? buf_puts(b, esc, e) : buf_put(b, s, 1, e);
    }
    return rc;
}

enum err_code recipe_put(struct buf *b, const char *key, const char *counts,
                         const char *shown, struct err *e)
{
    enum err_code rc = put_escaped(b, key, e);
    if (!rc)
        rc = buf_puts(b, "\t", e);
    if (!rc)
        rc = put_escaped(b, counts, e);
    if (!rc && shown)
        rc = buf_puts(b, "\t", e);
    if (!rc && shown)
        rc = put_escaped(b, shown, e);
    return rc ? rc : buf_puts(b, "\n", e);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum err_code recipe_sort(char *text, size_t n, struct err *e)
{
    size_t lines = 0, k = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    char *copy = mem_strndup(text, n);
    char **line = mem_array(lines + 1, sizeof *line);
    enum err_code rc = copy && line ? OK : err_set(e, ERR_NOMEM, "no memory");
    for (char *p = copy; !rc && *p; k++) {
        line[k] = p;
        p += strcspn(p, "\n");
        if (*p)
            *p++ = 0;
    }
    if (!rc)
        qsort(line, k, sizeof *line, by_bytes);
    for (size_t i = 0; !rc && i < k; i++) {
        size_t len = strlen(line[i]);
        memcpy(text + at, line[i], len);
        at += len;
        text[at++] = '\n';
    }
    mem_free(line);
    mem_free(copy);
    return rc;
}

/* A line's parts, as lengths from its beginning. */
struct line {
    const char *key, *counts, *shown;
    size_t n_key, n_counts, n_shown, whole;
};

static struct line line_at(const char *p)
{
    struct line l = {.key = p, .whole = strcspn(p, "\n")};
    l.n_key = strcspn(p, "\t\n");
    l.counts = p + l.n_key + (p[l.n_key] == '\t');
    l.n_counts = strcspn(l.counts, "\t\n");
    bool shown = l.counts[l.n_counts] == '\t';
    l.shown = shown ? l.counts + l.n_counts + 1 : l.counts;
    l.n_shown = strcspn(l.shown, "\t\n");
    return l;
}

void recipe_hash(const char *text, char hex[RECIPE_HASH])
{
    XXH3_state_t state;
    hex[0] = 0;
    if (!*text)
        return;
    XXH3_128bits_reset(&state);
    for (const char *p = text; *p; p += p[0] == '\n') {
        struct line l = line_at(p);
        XXH3_128bits_update(&state, l.key, l.n_key);
        XXH3_128bits_update(&state, "\t", 1);
        XXH3_128bits_update(&state, l.counts, l.n_counts);
        XXH3_128bits_update(&state, "\n", 1);
        p += l.whole;
    }
    XXH128_hash_t h = XXH3_128bits_digest(&state);
    (void)snprintf(hex, RECIPE_HASH, "%016llx%016llx",
                   (unsigned long long)h.high64, (unsigned long long)h.low64);
}

static int compare(const char *a, size_t n, const char *b, size_t m)
{
    int d = memcmp(a, b, n < m ? n : m);
    return d ? d : (n > m) - (n < m);
}

/* "key: a -> b" behind what stands in out; a or b is NULL where it lacks. */
static void tell(char *out, size_t n, size_t count, const struct line *a,
                 const struct line *b)
{
    const struct line *k = a ? a : b;
    size_t at = strlen(out);
    if (count >= SHOWN || at + 1 >= n)
        return;
    /* Hashes of two programs of one name say nothing to a person. */
    bool same =
        a && b && compare(a->shown, a->n_shown, b->shown, b->n_shown) == 0;
    if (same)
        (void)snprintf(out + at, n - at, "%s%.*s: another %.*s",
                       count ? ", " : "", (int)k->n_key, k->key,
                       a->n_shown > 60 ? 60 : (int)a->n_shown, a->shown);
    else
        (void)snprintf(out + at, n - at, "%s%.*s: %.*s -> %.*s",
                       count ? ", " : "", (int)k->n_key, k->key,
                       !a                ? 6
                       : a->n_shown > 60 ? 60
                                         : (int)a->n_shown,
                       a ? a->shown : "(none)",
                       !b                ? 6
                       : b->n_shown > 60 ? 60
                                         : (int)b->n_shown,
                       b ? b->shown : "(none)");
}

char *recipe_differ(const char *before, const char *now, char *out, size_t n)
{
    const char *p = before, *q = now;
    size_t count = 0;
    out[0] = 0;
    if (!*p != !*q)
        (void)snprintf(out, n, "unknown");
    if (!*p || !*q)
        return out;
    while (*p || *q) {
        struct line a = line_at(p), b = line_at(q);
        int d = !*p ? 1 : !*q ? -1 : compare(a.key, a.n_key, b.key, b.n_key);
        if (d || compare(a.counts, a.n_counts, b.counts, b.n_counts))
            tell(out, n, count++, d <= 0 ? &a : NULL, d >= 0 ? &b : NULL);
        if (d <= 0)
            p += a.whole + (p[a.whole] == '\n');
        if (d >= 0)
            q += b.whole + (q[b.whole] == '\n');
    }
    size_t at = strlen(out);
    if (count > SHOWN && at < n)
        (void)snprintf(out + at, n - at, " and %zu more", count - SHOWN);
    return out;
}

enum err_code recipe_sink_put(struct buf *b, const struct recipe_sink *s,
                              struct err *e)
{
    return buf_printf(b, e, "%s\t%s\t%s\t%s\t%s\t%s\n", s->name, s->recipe,
                      s->apart, s->other, s->rows, s->root);
}

bool recipe_sink_next(const char **text, struct recipe_sink *out)
{
    const char *p = *text;
    char *const into[] = {out->name,  out->recipe, out->apart,
                          out->other, out->rows,   out->root};
    const size_t room[] = {sizeof out->name,  sizeof out->recipe,
                           sizeof out->apart, sizeof out->other,
                           sizeof out->rows,  sizeof out->root};
    if (!*p)
        return false;
    for (int i = 0; i < 6; i++) {
        size_t n = strcspn(p, i < 5 ? "\t\n" : "\n");
        size_t take = n < room[i] ? n : room[i] - 1;
        memcpy(into[i], p, take);
        into[i][take] = 0;
        p += n + (p[n] == '\t' && i < 5);
    }
    *text = p + (*p == '\n');
    return true;
}

/* Without "./" before it and '/' behind it. */
static const char *plain(const char *s, size_t *n)
{
    while (s[0] == '.' && s[1] == '/')
        s += 1 + strspn(s + 1, "/");
    *n = strlen(s);
    while (*n > 1 && s[*n - 1] == '/')
        --*n;
    return s;
}

bool recipe_same_root(const char *a, const char *b)
{
    size_t n, m;
    const char *x = plain(a, &n), *y = plain(b, &m);
    if (compare(x, n, y, m) == 0)
        return true;
    /* One may be absolute, or lead through a link. */
    char *one = realpath(a, NULL), *two = one ? realpath(b, NULL) : NULL;
    bool same = one && two && strcmp(one, two) == 0;
    free(one); /* realpath's own memory, not ours */
    free(two);
    return same;
}
