/* Reader of iBUG .pts files. */
#include "lib/store/pts.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/text.h"

struct words {
    const char *at, *end;
    char word[48]; /* the last one, cut */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word; false at the end. One that is too long to be anything of
 * ours keeps its beginning, which then fits nothing. */
static bool next_word(struct words *w)
{
    while (w->at < w->end && is_space(*w->at))
        w->at++;
    const char *from = w->at;
    /* "version:1" is two words */
    while (w->at < w->end && !is_space(*w->at) &&
           (w->at == from || w->at[-1] != ':'))
        w->at++;
    size_t n = (size_t)(w->at - from);
    if (n >= sizeof w->word)
        n = sizeof w->word - 1;
    memcpy(w->word, from, n);
    w->word[n] = '\0';
    for (size_t i = 0; i < n; i++) /* the word is shown in messages */
        if ((unsigned char)w->word[i] < 0x20 ||
            (unsigned char)w->word[i] > 0x7e)
            w->word[i] = '?';
    return n > 0;
}

static enum err_code expect(struct words *w, const char *word, struct err *e)
{
    if (next_word(w) && strcmp(w->word, word) == 0)
        return OK;
    return err_set(e, ERR_DATA, "'%s' where '%s' should stand", w->word, word);
}

static enum err_code coordinate(struct words *w, int i, int axis, float *out,
                                struct err *e)
{
    double v;
    char why[120];
    if (!next_word(w))
        return err_set(e, ERR_DATA, "ends at point %d", i);
    if (!text_to_f64(w->word, &v) || !isfinite(v) || fabs(v) > PTS_MAX_COORD)
        return strchr(w->word, ',')
                   ? err_set(e, ERR_DATA, "point %d: %s", i,
                             text_no_number(w->word, why, sizeof why))
                   : err_set(e, ERR_DATA, "point %d: '%s' is no %c coordinate",
                             i, w->word, axis ? 'y' : 'x');
    *out = (float)(v - 1);
    return OK;
}

enum err_code pts_parse(const char *text, size_t n, int points, float *xy,
                        struct err *e)
{
    struct words w = {text, text + n, ""};
    double version;
    int64_t count = 0;
    if (n > PTS_MAX_FILE)
        return err_set(e, ERR_DATA, "%zu bytes are no file of points", n);
    size_t from;
    enum err_code r = text_check(text, n, &from, e);
    w.at += from;
    if (!r)
        r = expect(&w, "version:", e);
    if (r)
        return r;
    if (!next_word(&w) || !text_to_f64(w.word, &version))
        return err_set(e, ERR_DATA, "version '%s' is no number", w.word);
    r = expect(&w, "n_points:", e);
    if (r)
        return r;
    if (!next_word(&w) || !text_to_i64(w.word, &count) || count != points)
        return err_set(e, ERR_DATA, "'%s' points, %d expected", w.word, points);
    r = expect(&w, "{", e);
    for (int i = 0; !r && i < 2 * points; i++)
        r = coordinate(&w, i / 2, i % 2, &xy[i], e);
    if (!r)
        r = expect(&w, "}", e);
    if (!r && next_word(&w))
        r = err_set(e, ERR_DATA, "'%s' after the closing brace", w.word);
    return r;
}
