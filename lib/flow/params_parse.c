/* One parameter value from text, by the rule of its table entry. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/describe.h"
#include "lib/flow/params.h"

static bool has_limits(const struct stage_param *p)
{
    return p->min < 0 || p->min > 0 || p->max < 0 || p->max > 0;
}

static enum err_code check_range(const struct stage_param *p, double v,
                                 const char *text, struct err *e)
{
    char range[80];
    if (!has_limits(p) || (v >= p->min && v <= p->max))
        return OK;
    param_range_text(p, range, sizeof range);
    if (text_starts(range, ">") || text_starts(range, "<"))
        return err_set(e, ERR_ARG, "%.80s is not %s", text, range);
    return err_set(e, ERR_ARG, "%.80s is outside %s", text, range);
}

static enum err_code parse_int(const struct stage_param *p, const char *text,
                               struct param_value *out, struct err *e)
{
    if (!text_to_i64(text, &out->i))
        return err_set(e, ERR_ARG, "'%.80s' is not an integer", text);
    return check_range(p, (double)out->i, text, e);
}

static enum err_code parse_float(const struct stage_param *p, const char *text,
                                 struct param_value *out, struct err *e)
{
    if (!text_to_f64(text, &out->f) || !isfinite(out->f))
        return err_set(e, ERR_ARG, "'%.80s' is not a number%s", text,
                       strchr(text, ',') ? " (is it a decimal comma? write 1.5)"
                                         : "");
    return check_range(p, out->f, text, e);
}

/* path: "~/" stands for HOME. */
static enum err_code parse_str(const char *text, bool path,
                               struct param_value *out, struct err *e)
{
    if (!text_is_utf8(text, strlen(text)))
        return err_set(e, ERR_ARG, "the text is not valid UTF-8");
    if (path)
        return path_expand(text, &out->str, e);
    out->str = mem_strdup(text);
    return out->str ? OK : err_set(e, ERR_NOMEM, "no memory for a value");
}

/* Split "a|b|c" into new names that point into *copy; NULL: no memory. */
static const char **split_choices(const char *choices, char **copy, size_t *n)
{
    size_t most = 1;
    for (const char *c = choices; *c; c++)
        most += *c == '|';
    const char **names = mem_array(most, sizeof *names);
    *copy = names ? mem_strdup(choices) : NULL;
    if (!*copy) {
        mem_free(names);
        return NULL;
    }
    *n = 0;
    for (char *s = *copy; s;) {
        names[(*n)++] = s;
        s = strchr(s, '|');
        if (s)
            *s++ = '\0';
    }
    return names;
}

static enum err_code parse_enum(const struct stage_param *p, const char *text,
                                struct param_value *out, struct err *e)
{
    char list[300] = "", *copy;
    size_t n, used = 0;
    const char **names = split_choices(p->choices ? p->choices : "", &copy, &n);
    if (!names)
        return err_set(e, ERR_NOMEM, "no memory for a value");
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            out->i = (int64_t)i;
            mem_free(copy);
            mem_free(names);
            return OK;
        }
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     i ? ", " : "", names[i]);
    }
    const char *near = text_nearest(text, names, n);
    if (near)
        err_set(e, ERR_ARG, "'%.80s' is not one of %s (did you mean '%s'?)",
                text, list, near);
    else
        err_set(e, ERR_ARG, "'%.80s' is not one of %s", text, list);
    mem_free(copy);
    mem_free(names);
    return ERR_ARG;
}

static enum err_code push(struct stage_floats *f, size_t *cap, double v,
                          struct err *e)
{
    if (f->n >= PARAMS_MAX_FLOATS)
        return err_set(e, ERR_ARG, "more than %d numbers", PARAMS_MAX_FLOATS);
    if (f->n == *cap) {
        size_t want = *cap ? *cap * 2 : 16;
        double *v2 = mem_resize(f->v, want, sizeof *v2);
        if (!v2)
            return err_set(e, ERR_NOMEM, "no memory for a list");
        f->v = v2;
        *cap = want;
    }
    f->v[f->n++] = v;
    return OK;
}

/* The numbers of "a", "a:b" or "a:b:c" in piece; their count, 0 if wrong. */
static int split_range(char *piece, double v[3])
{
    int n = 0;
    for (char *s = piece; s;) {
        char *colon = strchr(s, ':');
        if (colon)
            *colon++ = '\0';
        if (n == 3 || !text_to_f64(s, &v[n]) || !isfinite(v[n]))
            return 0;
        n++;
        s = colon;
    }
    return n;
}

static enum err_code push_range(struct stage_floats *f, size_t *cap,
                                const double v[3], int n, const char *text,
                                struct err *e)
{
    double first = v[0], last = v[1];
    double step = n == 3 ? v[2] : (last < first ? -1.0 : 1.0);
    double steps = (last - first) / step;
    if (!(fabs(step) > 0) || !isfinite(steps) || steps < 0)
        return err_set(e, ERR_ARG, "'%.80s': the step never reaches the end",
                       text);
    if (steps >= PARAMS_MAX_FLOATS)
        return err_set(e, ERR_ARG, "'%.80s': more than %d numbers", text,
                       PARAMS_MAX_FLOATS);
    size_t count = (size_t)floor(steps + 1e-3);
    for (size_t i = 0; i <= count; i++) {
        double x = first + (double)i * step;
        if (fabs(x - last) <= 1e-3 * fabs(step))
            x = last;
        enum err_code rc = push(f, cap, x, e);
        if (rc)
            return rc;
    }
    return OK;
}

static enum err_code parse_piece(const char *piece, size_t len,
                                 struct stage_floats *f, size_t *cap,
                                 struct err *e)
{
    char word[100], copy[100];
    double v[3];
    if (len >= sizeof word)
        return err_set(e, ERR_ARG, "'%.80s...' is not a number", piece);
    memcpy(word, piece, len);
    word[len] = '\0';
    memcpy(copy, word, len + 1);
    int n = split_range(copy, v);
    if (n == 0)
        return err_set(e, ERR_ARG, "'%s' is not a number or first:last:step",
                       word);
    if (n == 1)
        return push(f, cap, v[0], e);
    return push_range(f, cap, v, n, word, e);
}

static enum err_code parse_floats(const struct stage_param *p, const char *text,
                                  struct param_value *out, struct err *e)
{
    size_t cap = 0;
    enum err_code rc = OK;
    for (const char *s = text; *text && s && rc == OK;) {
        const char *comma = strchr(s, ',');
        size_t len = comma ? (size_t)(comma - s) : strlen(s);
        rc = parse_piece(s, len, &out->floats, &cap, e);
        s = comma ? comma + 1 : NULL;
        if (s)
            s += strspn(s, " ");
    }
    for (size_t i = 0; i < out->floats.n && rc == OK; i++) {
        char word[40];
        (void)snprintf(word, sizeof word, "%.9g", out->floats.v[i]);
        rc = check_range(p, out->floats.v[i], word, e);
    }
    return rc;
}

enum err_code param_parse(const struct stage_param *p, const char *text,
                          struct param_value *out, struct err *e)
{
    enum err_code rc = ERR_ARG;
    memset(out, 0, sizeof *out);
    out->type = p->type;
    if (strlen(text) > PARAMS_MAX_TEXT)
        return err_set(e, ERR_ARG, "the value is longer than %d bytes",
                       PARAMS_MAX_TEXT);
    switch (p->type) {
    case PARAM_BOOL:
        rc = OK;
        if (!text_to_bool(text, &out->b))
            rc = err_set(e, ERR_ARG, "'%.80s' is not true or false", text);
        break;
    case PARAM_INT:
        rc = parse_int(p, text, out, e);
        break;
    case PARAM_FLOAT:
        rc = parse_float(p, text, out, e);
        break;
    case PARAM_STR:
        rc = parse_str(text, false, out, e);
        break;
    case PARAM_PATH:
    case PARAM_FOLDER:
    case PARAM_FILE:
    case PARAM_MODEL:
        rc = parse_str(text, true, out, e);
        break;
    case PARAM_ENUM:
        rc = parse_enum(p, text, out, e);
        break;
    case PARAM_FLOATS:
        rc = parse_floats(p, text, out, e);
        break;
    }
    if (rc)
        param_value_free(out);
    return rc;
}

void param_value_free(struct param_value *v)
{
    if (!v)
        return;
    mem_free(v->str);
    mem_free(v->floats.v);
    v->str = NULL;
    v->floats = (struct stage_floats){0};
}

char *param_range_text(const struct stage_param *p, char *out, size_t n)
{
    if (!has_limits(p))
        (void)snprintf(out, n, "%s", "");
    else if (p->max >= DBL_MAX)
        (void)snprintf(out, n, ">= %.10g", p->min);
    else if (p->min <= -DBL_MAX)
        (void)snprintf(out, n, "<= %.10g", p->max);
    else
        (void)snprintf(out, n, "%.10g..%.10g", p->min, p->max);
    return out;
}

const char *param_default_text(enum param_type type, const char *def)
{
    bool b;
    if (type == PARAM_BOOL && text_to_bool(def, &b))
        return b ? "yes" : "no";
    return *def ? def : "\"\"";
}

static const char *meta(const struct stage_param *p)
{
    switch (p->type) {
    case PARAM_BOOL:
        return "";
    case PARAM_INT:
        return " INT";
    case PARAM_FLOAT:
        return " NUMBER";
    case PARAM_STR:
        return " TEXT";
    case PARAM_PATH:
        return " PATH";
    case PARAM_ENUM:
        return " ";
    case PARAM_FLOATS:
        return " LIST";
    case PARAM_FOLDER:
        return " FOLDER";
    case PARAM_FILE:
        return " FILE";
    case PARAM_MODEL:
        return " MODEL";
    }
    return "";
}

static enum err_code help_entry(const struct stage_param *p, int width,
                                struct buf *out, struct err *e)
{
    char range[80], left[120];
    enum { COLUMN = 26 };
    (void)snprintf(left, sizeof left, "  --%s%s%s%s",
                   p->type == PARAM_BOOL ? "[no-]" : "", p->name, meta(p),
                   p->type == PARAM_ENUM ? p->choices : "");
    param_range_text(p, range, sizeof range);
    struct buf text;
    buf_init(&text, 65536);
    enum err_code rc = buf_printf(&text, e, "%s [", p->help);
    if (!rc && p->unit)
        rc = buf_printf(&text, e, "%s; ", p->unit);
    if (!rc && *range)
        rc = buf_printf(&text, e, "%s; ", range);
    if (!rc && !p->def)
        rc = buf_puts(&text, "required]", e);
    else if (!rc)
        rc = buf_printf(&text, e, "default %s]",
                        param_default_text(p->type, p->def));
    int col = (int)strlen(left);
    if (!rc)
        rc = buf_puts(out, left, e);
    if (!rc && col + 2 > COLUMN) {
        rc = buf_puts(out, "\n", e);
        col = 0;
    } else if (!rc) {
        rc = buf_printf(out, e, "%*s", COLUMN - col, "");
        col = COLUMN;
    }
    if (!rc)
        rc = describe_wrap(out, buf_str(&text), COLUMN, width, col, e);
    buf_free(&text);
    return rc;
}

enum err_code params_help(const struct stage_param *table, int width,
                          struct buf *out, struct err *e)
{
    for (size_t i = 0; table && table[i].name; i++) {
        enum err_code rc = help_entry(&table[i], width, out, e);
        if (rc)
            return rc;
    }
    return OK;
}
