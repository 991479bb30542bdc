/* Errors: setting, wrapping, naming. */
#include "lib/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const words[ERR_COUNT] = {
    [OK] = "ok",
    [ERR_ARG] = "arg",
    [ERR_NOMEM] = "nomem",
    [ERR_IO] = "io",
    [ERR_DATA] = "data",
    [ERR_NOTFOUND] = "notfound",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_NOFACE] = "noface",
    [ERR_CANCEL] = "cancel",
    [ERR_STATE] = "state",
};

/* Cut the middle out of text[n] so that `keep` bytes are left, the last ones
 * among them: where a cause stands, and where a path's name. */
static size_t cut_middle(char *text, size_t n, size_t keep)
{
    const size_t tail = 80;
    if (n <= keep)
        return n;
    memmove(text + keep - tail, text + n - tail, tail + 1);
    memcpy(text + keep - tail - 3, "...", 3);
    return keep;
}

/* Append ": cause" to text[size]. What is too long (a path, mostly) loses its
 * middle: a text without its cause helps nobody. */
static void append_cause(char *text, size_t size, const char *cause)
{
    char last[sizeof((struct err *)0)->text];
    snprintf(last, sizeof last, "%s", cause);
    size_t used = strlen(text), n = strlen(last), room = size - 3;
    if (used + n > room) {
        size_t half = room / 2;
        used = cut_middle(text, used, n < half ? room - n : half);
        cut_middle(last, n, room - used);
    }
    snprintf(text + used, size - used, ": %s", last);
}

enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (e) {
        /* Formatted aside: an argument may point into e->text. */
        char text[sizeof e->text];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        e->code = code;
        memcpy(e->text, text, sizeof text);
    }
    return code;
}

enum err_code err_errno(struct err *e, enum err_code code, int errno_value,
                        const char *fmt, ...)
{
    if (e) {
        char text[sizeof e->text];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        char why[128];
        /* The GNU form: returns the text, which may not be in `why`. */
        const char *w = strerror_r(errno_value, why, sizeof why);
        append_cause(text, sizeof text, w);
        e->code = code;
        memcpy(e->text, text, sizeof text);
    }
    return code;
}

enum err_code err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e)
        return ERR_STATE;
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    append_cause(text, sizeof text, e->text);
    memcpy(e->text, text, sizeof text);
    return e->code;
}

const char *err_word(enum err_code code)
{
    if ((int)code < 0 || code >= ERR_COUNT)
        return "unknown";
    return words[code];
}

enum err_code err_from_word(const char *word)
{
    for (int i = 0; i < ERR_COUNT; i++)
        if (strcmp(words[i], word) == 0)
            return (enum err_code)i;
    return ERR_COUNT;
}
