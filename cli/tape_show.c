/* `facet tape show`: what is on a tape, for people and for programs. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/tape_text.h"
#include "cli/tape_verbs.h"
#include "lib/base/text.h"
#include "lib/data/tape.h"

#define MAX_ITEM_TEXT ((size_t)8 << 30) /* one item, printed in full */
#define SHOWN_STR 100                   /* bytes of a string in the summary */

const char tape_show_help[] =
    "usage: facet tape show [--full] [--json] [-n N] [TAPE]\n"
    "\n"
    "Prints the items of a tape (standard input if none or `-`): id and\n"
    "fields; of a tensor its type, smallest, largest and mean value.\n"
    "\n"
    "  --full   every value, in the form that `tape make --text` reads\n"
    "  --json   one JSON object a line; with --full the tensors' values too\n"
    "  -n N     only the first N items\n";

struct show {
    bool full, json;
    int64_t limit; /* -1: all */
};

/* Of the finite and infinite values; nan counts the others. */
struct stats {
    double min, max, mean;
    size_t nan, n;
};

static struct stats measure(const struct tensor *t)
{
    struct stats s = {0};
    double sum = 0;
    for (size_t i = 0; i < t->count; i++) {
        double v = tensor_get(t, i);
        if (isnan(v)) {
            s.nan++;
            continue;
        }
        if (s.n == 0 || v < s.min)
            s.min = v;
        if (s.n == 0 || v > s.max)
            s.max = v;
        sum += v;
        s.n++;
    }
    if (s.n)
        s.mean = sum / (double)s.n;
    return s;
}

/* For a person */

static enum err_code person_tensor(const struct tensor *t, struct buf *b,
                                   struct err *e)
{
    char type[128];
    struct stats s = measure(t);
    enum err_code code =
        buf_printf(b, e, "%-18s", tensor_describe(t, type, sizeof type));
    if (code == OK && t->count == 1) {
        code = buf_puts(b, "  ", e);
        return code ? code : text_element(t, 0, false, b, e);
    }
    if (code == OK && s.n)
        code = buf_printf(b, e, "  min %.6g  max %.6g  mean %.6g", s.min, s.max,
                          s.mean);
    if (code == OK && s.nan)
        code = buf_printf(b, e, "  nan %zu", s.nan);
    return code;
}

/* Cut at a character, not inside one. */
static enum err_code person_str(const char *s, struct buf *b, struct err *e)
{
    char cut[SHOWN_STR + 1];
    size_t n = strlen(s), m = n;
    if (n > SHOWN_STR) {
        m = SHOWN_STR;
        while (m && ((unsigned char)s[m] & 0xc0) == 0x80)
            m--;
    }
    memcpy(cut, s, m);
    cut[m] = '\0';
    enum err_code code = buf_printf(b, e, "%-18s  ", "str");
    if (code == OK)
        code = text_quote(cut, b, e);
    if (code == OK && m < n)
        code = buf_printf(b, e, "... (%zu bytes)", n);
    return code;
}

static enum err_code person_field(const struct field *f, struct buf *b,
                                  struct err *e)
{
    enum err_code code = buf_printf(b, e, "  %-16s  ", f->name);
    if (code)
        return code;
    switch (f->type) {
    case VAL_NIL:
        return buf_puts(b, "nil", e);
    case VAL_BOOL:
        return buf_printf(b, e, "%-18s  %s", "bool", f->v.b ? "true" : "false");
    case VAL_I64:
        return buf_printf(b, e, "%-18s  %" PRId64, "i64", f->v.i);
    case VAL_F64:
        return buf_printf(b, e, "%-18s  %.9g", "f64", f->v.f);
    case VAL_STR:
        return person_str(f->v.s, b, e);
    case VAL_TENSOR:
        break;
    }
    return person_tensor(f->v.t, b, e);
}

static enum err_code person(const struct item *it, uint64_t nr, struct buf *b,
                            struct err *e)
{
    static const struct item_id zero;
    char hex[33];
    item_id_hex(&it->id, hex);
    enum err_code code = buf_printf(b, e, "item %" PRIu64 "  %s", nr, hex);
    if (code == OK && strcmp(it->kind, "item") != 0)
        code = buf_printf(b, e, "  kind %s", it->kind);
    if (code == OK && it->attempt)
        code = buf_printf(b, e, "  attempt %" PRIu32, it->attempt);
    if (code == OK && it->epoch)
        code = buf_printf(b, e, "  epoch %" PRIu32, it->epoch);
    if (code == OK && !item_id_equal(&it->parent, &zero)) {
        item_id_hex(&it->parent, hex);
        code = buf_printf(b, e, "\n  (from %s)", hex);
    }
    if (code == OK)
        code = buf_puts(b, "\n", e);
    for (size_t i = 0; i < it->n && code == OK; i++) {
        code = person_field(&it->fields[i], b, e);
        if (code == OK)
            code = buf_puts(b, "\n", e);
    }
    return code;
}

/* For programs */

static enum err_code json_number(const char *key, double v, struct buf *b,
                                 struct err *e)
{
    if (!isfinite(v))
        return buf_printf(b, e, ",\"%s\":null", key);
    return buf_printf(b, e, ",\"%s\":%.17g", key, v);
}

static enum err_code json_tensor(const struct tensor *t, bool full,
                                 struct buf *b, struct err *e)
{
    struct stats s = measure(t);
    enum err_code code =
        buf_printf(b, e, "{\"dtype\":\"%s\",\"shape\":[", dtype_name(t->dtype));
    for (int i = 0; i < t->ndim && code == OK; i++)
        code = buf_printf(b, e, "%s%" PRId64, i ? "," : "", t->shape[i]);
    if (code == OK)
        code = buf_puts(b, "]", e);
    if (code == OK && s.n) {
        code = json_number("min", s.min, b, e);
        if (code == OK)
            code = json_number("max", s.max, b, e);
        if (code == OK)
            code = json_number("mean", s.mean, b, e);
    }
    if (code == OK && s.nan)
        code = buf_printf(b, e, ",\"nan\":%zu", s.nan);
    if (code == OK && full) {
        code = buf_puts(b, ",\"data\":[", e);
        for (size_t i = 0; i < t->count && code == OK; i++) {
            if (i)
                code = buf_puts(b, ",", e);
            if (code == OK)
                code = text_element(t, i, true, b, e);
        }
        if (code == OK)
            code = buf_puts(b, "]", e);
    }
    return code ? code : buf_puts(b, "}", e);
}

static enum err_code json_field(const struct field *f, bool full, struct buf *b,
                                struct err *e)
{
    enum err_code code = buf_printf(b, e, "\"%s\":", f->name);
    if (code)
        return code;
    switch (f->type) {
    case VAL_NIL:
        return buf_puts(b, "null", e);
    case VAL_BOOL:
        return buf_puts(b, f->v.b ? "true" : "false", e);
    case VAL_I64:
        return buf_printf(b, e, "%" PRId64, f->v.i);
    case VAL_F64:
        if (!isfinite(f->v.f)) /* JSON has no word for it */
            return buf_puts(b, "null", e);
        /* Python and others tell 3.0 from 3. */
        return buf_printf(
            b, e,
            fabs(f->v.f) < 1e15 && floor(f->v.f) >= f->v.f ? "%.1f" : "%.17g",
            f->v.f);
    case VAL_STR:
        return text_quote(f->v.s, b, e);
    case VAL_TENSOR:
        break;
    }
    return json_tensor(f->v.t, full, b, e);
}

static enum err_code json(const struct item *it, uint64_t nr, bool full,
                          struct buf *b, struct err *e)
{
    char id[33], parent[33];
    item_id_hex(&it->id, id);
    item_id_hex(&it->parent, parent);
    enum err_code code =
        buf_printf(b, e,
                   "{\"index\":%" PRIu64 ",\"kind\":\"%s\",\"id\":\"%s\","
                   "\"parent\":\"%s\",\"attempt\":%" PRIu32
                   ",\"epoch\":%" PRIu32 ",\"fields\":{",
                   nr, it->kind, id, parent, it->attempt, it->epoch);
    for (size_t i = 0; i < it->n && code == OK; i++) {
        if (i)
            code = buf_puts(b, ",", e);
        if (code == OK)
            code = json_field(&it->fields[i], full, b, e);
    }
    return code ? code : buf_puts(b, "}}\n", e);
}

static enum err_code show_item(const struct show *s, const struct item *it,
                               uint64_t nr, struct err *e)
{
    struct buf b;
    enum err_code code;
    buf_init(&b, MAX_ITEM_TEXT);
    if (s->json)
        code = json(it, nr, s->full, &b, e);
    else if (s->full)
        code = text_item_write(it, &b, e);
    else
        code = person(it, nr, &b, e);
    if (code == OK && fwrite(b.data, 1, b.len, stdout) != b.len)
        code = err_set(e, ERR_IO, "cannot write to standard output");
    buf_free(&b);
    return code;
}

static enum err_code show_tape(const struct show *s, const char *path,
                               struct err *e)
{
    struct tape *t = tape_open_read(path, e);
    if (!t)
        return e->code;
    enum err_code code = OK;
    for (int64_t nr = 0; s->limit < 0 || nr < s->limit; nr++) {
        struct item *it;
        code = tape_next(t, &it, e);
        if (code || !it)
            break;
        code = show_item(s, it, (uint64_t)nr, e);
        item_free(&it);
        if (code)
            break;
    }
    tape_abort(&t);
    return code;
}

int tape_show_run(int argc, char **argv)
{
    static const char *const options[] = {"--full", "--json", "-n", NULL};
    struct show s = {.limit = -1};
    struct err e = {0};
    const char *path = NULL, *v;
    int missing = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--full") == 0)
            s.full = true;
        else if (strcmp(argv[i], "--json") == 0)
            s.json = true;
        else if ((v = cli_value(argc, argv, &i, "-n", &missing))) {
            if (missing || !text_to_i64(v, &s.limit) || s.limit < 0)
                return cli_usage("tape", "-n needs a count");
        } else if (argv[i][0] == '-' && argv[i][1])
            return cli_unknown("tape", argv[i], options);
        else if (path)
            return cli_usage("tape", "show takes one tape");
        else
            path = argv[i];
    }
    enum err_code code = show_tape(&s, path ? path : "-", &e);
    return code ? cli_fail("tape", &e, CLI_BROKEN) : CLI_OK;
}
