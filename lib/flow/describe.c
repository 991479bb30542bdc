/* What a stage says of itself as YAML, and whether its table is sound. */
#include "lib/flow/describe.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/flow/params.h"
#include "lib/flow/ports.h"
#include "lib/flow/yaml.h"

static const char *const kinds[] = {"source", "transform", "sink"};

static enum err_code put_pair(struct buf *out, const char *key, const char *s,
                              struct err *e)
{
    enum err_code rc = OK;
    if (!s)
        return OK;
    rc = buf_printf(out, e, "%s: ", key);
    return rc ? rc : yaml_put_quoted(out, s, e);
}

static enum err_code put_number(struct buf *out, const char *key, double v,
                                struct err *e)
{
    char text[40];
    return buf_printf(out, e, "%s: %s\n", key, yaml_number(v, text));
}

static enum err_code put_ports(struct buf *out, const char *key,
                               const struct stage_port *p, struct err *e)
{
    enum err_code rc = OK;
    if (!p)
        return OK;
    rc = buf_printf(out, e, "%s:\n", key);
    for (; p->name && rc == OK; p++) {
        rc = put_pair(out, "  - name", p->name, e);
        if (!rc)
            rc = put_pair(out, "    fields", p->fields ? p->fields : "", e);
        if (!rc)
            rc = put_pair(out, "    help", p->help, e);
    }
    return rc;
}

/* Is name one of the words of list? */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p && *p; p += strcspn(p, " ")) {
        p += strspn(p, " ");
        if (strncmp(p, name, n) == 0 && (p[n] == ' ' || !p[n]))
            return true;
    }
    return false;
}

static enum err_code put_param(struct buf *out, const struct stage_desc *d,
                               const struct stage_param *p, struct err *e)
{
    bool limits = p->min < 0 || p->min > 0 || p->max < 0 || p->max > 0;
    enum err_code rc = put_pair(out, "  - name", p->name, e);
    if (!rc)
        rc = buf_printf(out, e, "    type: %s\n", param_type_name(p->type));
    if (!rc)
        rc = put_pair(out, "    default", p->def, e);
    if (!rc && limits && p->min > -DBL_MAX)
        rc = put_number(out, "    min", p->min, e);
    if (!rc && limits && p->max < DBL_MAX)
        rc = put_number(out, "    max", p->max, e);
    if (!rc)
        rc = put_pair(out, "    choices", p->choices, e);
    if (!rc)
        rc = put_pair(out, "    unit", p->unit, e);
    if (!rc && listed(d->aside, p->name))
        rc = buf_puts(out, "    result: false\n", e);
    if (!rc)
        rc = put_pair(out, "    help", p->help, e);
    return rc;
}

static bool stage_name_ok(const char *s)
{
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || n > 47 || s[0] < 'a' || s[0] > 'z' || s[n - 1] == '-')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static enum err_code check_ports(const struct stage_port *table,
                                 const char *what, bool wanted, struct err *e)
{
    struct port_spec *p = NULL;
    size_t n = 0;
    if (!wanted && table)
        return err_set(e, ERR_ARG, "this kind has no %s ports", what);
    if (!wanted)
        return OK;
    if (!table || !table[0].name)
        return err_set(e, ERR_ARG, "no %s ports", what);
    enum err_code rc = ports_parse(table, &p, &n, e);
    for (size_t i = 0; i < n && rc == OK; i++) {
        if (!stage_name_ok(p[i].name) || strcmp(p[i].name, "failed") == 0)
            rc = err_set(e, ERR_ARG, "%s port name '%s' is not allowed", what,
                         p[i].name);
        else if (ports_find(p, i, p[i].name) != NULL)
            rc = err_set(e, ERR_ARG, "%s port '%s' occurs twice", what,
                         p[i].name);
    }
    ports_free(&p, n);
    return rc;
}

/* Every word of list must be a parameter. */
static enum err_code check_list(const struct stage_desc *d, const char *list,
                                struct err *e)
{
    for (const char *p = list; p && *p; p += strcspn(p, " ")) {
        const struct stage_param *q = d->params;
        p += strspn(p, " ");
        size_t n = strcspn(p, " ");
        while (q && q->name && (strncmp(q->name, p, n) != 0 || q->name[n]))
            q++;
        if (n && (!q || !q->name))
            return err_set(e, ERR_ARG, "'%.*s' is listed, but no parameter",
                           (int)n, p);
    }
    return OK;
}

static enum err_code check_desc(const struct stage_desc *d, struct err *e)
{
    if ((size_t)d->kind >= sizeof kinds / sizeof kinds[0])
        return err_set(e, ERR_ARG, "no such kind");
    if (!d->help || !*d->help)
        return err_set(e, ERR_ARG, "no help");
    if (d->kind == STAGE_SOURCE ? !d->produce : !d->transform)
        return err_set(e, ERR_ARG, "a %s needs %s()", kinds[d->kind],
                       d->kind == STAGE_SOURCE ? "produce" : "transform");
    enum err_code rc = check_ports(d->in, "input", d->kind != STAGE_SOURCE, e);
    if (!rc)
        rc = check_ports(d->out, "output", d->kind != STAGE_SINK, e);
    if (!rc)
        rc = params_check_table(d->params, e);
    if (!rc && d->params && d->params[0].name && !d->ctx_size)
        rc = err_set(e, ERR_ARG, "parameters without a context");
    if (!rc)
        rc = check_list(d, d->aside, e);
    for (const struct stage_param *p = d->params; !rc && p && p->name; p++)
        if (p->offset >= d->ctx_size)
            rc = err_set(e, ERR_ARG, "parameter '%s' lies outside the context",
                         p->name);
    return rc;
}

enum err_code describe_check(const struct stage_desc *d, struct err *e)
{
    if (!stage_name_ok(d->name))
        return err_set(e, ERR_ARG,
                       "stage name '%s' is not lower-case words joined by '-'",
                       d->name ? d->name : "");
    enum err_code rc = check_desc(d, e);
    return rc ? err_wrap(e, "stage '%s'", d->name) : OK;
}

enum err_code describe_yaml(const struct stage_desc *d, struct buf *out,
                            struct err *e)
{
    enum err_code rc = describe_check(d, e);
    if (!rc)
        rc = buf_printf(out, e, "name: %s\nkind: %s\nruntime: facet\n", d->name,
                        kinds[d->kind]);
    if (!rc)
        rc = buf_printf(out, e, "batch: %zu\n", d->batch ? d->batch : 1);
    if (!rc && d->rows)
        rc = buf_puts(out, "rows: true\n", e);
    if (!rc)
        rc = put_pair(out, "help", d->help, e);
    if (!rc)
        rc = put_ports(out, "in", d->in, e);
    if (!rc)
        rc = put_ports(out, "out", d->out, e);
    if (!rc && d->params && d->params[0].name)
        rc = buf_puts(out, "params:\n", e);
    for (const struct stage_param *p = d->params; !rc && p && p->name; p++)
        rc = put_param(out, d, p, e);
    return rc;
}

enum err_code describe_wrap(struct buf *out, const char *text, int indent,
                            int width, int first_col, struct err *e)
{
    enum err_code rc = OK;
    int col = first_col;
    bool word_before = false;
    while (*text && rc == OK) {
        if (*text == '\n') {
            rc = buf_puts(out, "\n", e);
            col = 0;
            word_before = false;
            text++;
            continue;
        }
        if (*text == ' ') {
            text++;
            continue;
        }
        size_t len = strcspn(text, " \n");
        if (word_before && col + 1 + (int)len > width) {
            rc = buf_puts(out, "\n", e);
            col = 0;
            word_before = false;
        }
        if (!rc && col == 0) {
            rc = buf_printf(out, e, "%*s", indent, "");
            col = indent;
        } else if (!rc && word_before) {
            rc = buf_puts(out, " ", e);
            col++;
        }
        if (!rc)
            rc = buf_put(out, text, len, e);
        col += (int)len;
        word_before = true;
        text += len;
    }
    return rc ? rc : buf_puts(out, "\n", e);
}
