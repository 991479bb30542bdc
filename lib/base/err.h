/* Errors: a code for the program, a text for the person. */
#ifndef FACET_BASE_ERR_H
#define FACET_BASE_ERR_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_code {
    OK = 0,
    ERR_ARG,         /* the caller asked for something impossible */
    ERR_NOMEM,       /* no memory, or a cap on memory was met */
    ERR_IO,          /* the operating system refused */
    ERR_DATA,        /* input from outside is malformed */
    ERR_NOTFOUND,    /* a named thing does not exist */
    ERR_UNSUPPORTED, /* well-formed, but not something we can do */
    ERR_NOFACE,      /* a picture without a usable face */
    ERR_CANCEL,      /* asked to stop */
    ERR_STATE,       /* called at the wrong time */
    ERR_COUNT
};

struct err {
    enum err_code code;
    char text[512];
};

/* Set e (may be NULL) to code and a formatted text; returns code, so that
 * `return err_set(e, ERR_IO, "cannot open '%s'", path);` reads well. */
enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* As err_set, with ": <strerror(errno_value)>" appended. */
enum err_code err_errno(struct err *e, enum err_code code, int errno_value,
                        const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Put a formatted prefix and ": " before the text of e (which must not be
 * NULL); keeps the code, which is returned. The context of an outer caller:
 * file, stage, item. */
enum err_code err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A short stable word for a code: "ok", "decode", ... as used in index.csv
 * and dead letters: ok arg nomem io data notfound unsupported noface cancel
 * state. */
const char *err_word(enum err_code code);

/* The code of such a word; ERR_COUNT if there is none. */
enum err_code err_from_word(const char *word);

#endif
