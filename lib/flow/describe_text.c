/* A stage's table as --help text and as a manual page. */
#include <stdio.h>
#include <string.h>

#include "lib/flow/describe.h"
#include "lib/flow/params.h"

#define WIDTH 80

static bool is_required(const struct stage_param *p)
{
    return p->def == NULL;
}

static enum err_code put_usage(const struct stage_desc *d, struct buf *out,
                               struct err *e)
{
    enum err_code rc = buf_printf(out, e, "usage: %s", d->name);
    for (const struct stage_param *p = d->params; !rc && p && p->name; p++)
        if (is_required(p))
            rc = buf_printf(out, e, " --%s %s", p->name,
                            p->type == PARAM_PATH     ? "PATH"
                            : p->type == PARAM_FOLDER ? "FOLDER"
                                                      : "VALUE");
    if (rc)
        return rc;
    if (d->kind == STAGE_SOURCE)
        return buf_puts(out, " [--PARAMETER VALUE]... --stdio > TAPE\n", e);
    if (d->kind == STAGE_SINK)
        return buf_puts(out, " [--PARAMETER VALUE]... --stdio < TAPE\n", e);
    return buf_puts(out, " [--PARAMETER VALUE]... --stdio < TAPE > TAPE\n", e);
}

static enum err_code put_ports(const char *title, const struct stage_port *p,
                               struct buf *out, struct err *e)
{
    enum err_code rc = OK;
    if (!p || !p->name)
        return OK;
    rc = buf_printf(out, e, "\n%s:\n", title);
    for (; p->name && !rc; p++) {
        const char *fields = p->fields && *p->fields ? p->fields : "any item";
        int col = (int)strlen(p->name) + 2;
        rc = buf_printf(out, e, "  %s", p->name);
        if (!rc && col < 11)
            rc = buf_printf(out, e, "%*s", 12 - col, "");
        else if (!rc)
            rc = buf_puts(out, " ", e);
        if (!rc)
            rc = describe_wrap(out, fields, 12, WIDTH, col < 11 ? 12 : col + 1,
                               e);
        if (!rc && p->help && *p->help)
            rc = describe_wrap(out, p->help, 14, WIDTH, 0, e);
    }
    return rc;
}

static enum err_code put_option(const struct describe_option *o,
                                struct buf *out, struct err *e)
{
    int col = (int)strlen(o->flag) + 2;
    enum err_code rc = buf_printf(out, e, "  %s", o->flag);
    if (!rc && col + 2 > 26) {
        rc = buf_puts(out, "\n", e);
        col = 0;
    } else if (!rc) {
        rc = buf_printf(out, e, "%*s", 26 - col, "");
        col = 26;
    }
    return rc ? rc : describe_wrap(out, o->help, 26, WIDTH, col, e);
}

enum err_code describe_help(const struct stage_desc *d,
                            const struct describe_option *options,
                            struct buf *out, struct err *e)
{
    static const char *const kinds[] = {"source", "transform", "sink"};
    enum err_code rc = describe_check(d, e);
    if (!rc)
        rc = put_usage(d, out, e);
    if (!rc)
        rc = buf_printf(out, e, "\n%s (%s): ", d->name, kinds[d->kind]);
    if (!rc)
        rc = describe_wrap(out, d->help, 0, WIDTH,
                           (int)(strlen(d->name) + strlen(kinds[d->kind]) + 5),
                           e);
    if (!rc)
        rc = put_ports("Input", d->in, out, e);
    if (!rc)
        rc = put_ports("Output", d->out, out, e);
    if (!rc && d->params && d->params[0].name)
        rc = buf_puts(out, "\nParameters:\n", e);
    if (!rc)
        rc = params_help(d->params, WIDTH, out, e);
    if (!rc && options && options->flag)
        rc = buf_puts(out, "\nOptions:\n", e);
    for (; !rc && options && options->flag; options++)
        rc = put_option(options, out, e);
    return rc;
}

/* s with what troff would take for its own protected: '\', '-', and '.' or
 * "'" at the start of a line. */
static enum err_code put_troff(struct buf *out, const char *s, struct err *e)
{
    enum err_code rc = OK;
    bool line_start = true;
    for (; *s && !rc; s++) {
        if (line_start && (*s == '.' || *s == '\''))
            rc = buf_puts(out, "\\&", e);
        if (rc)
            break;
        if (*s == '\\')
            rc = buf_puts(out, "\\e", e);
        else if (*s == '-')
            rc = buf_puts(out, "\\-", e);
        else
            rc = buf_put(out, s, 1, e);
        line_start = *s == '\n';
    }
    return rc;
}

/* .TP, a bold head, then the text. */
static enum err_code put_item(struct buf *out, const char *head,
                              const char *text, struct err *e)
{
    enum err_code rc = buf_puts(out, ".TP\n\\fB", e);
    if (!rc)
        rc = put_troff(out, head, e);
    if (!rc)
        rc = buf_puts(out, "\\fR\n", e);
    if (!rc)
        rc = put_troff(out, text, e);
    return rc ? rc : buf_puts(out, "\n", e);
}

static enum err_code man_ports(const char *title, const struct stage_port *p,
                               struct buf *out, struct err *e)
{
    enum err_code rc = OK;
    if (!p || !p->name)
        return OK;
    rc = buf_printf(out, e, ".SH %s\n", title);
    for (; p->name && !rc; p++) {
        rc = put_item(out, p->name,
                      p->fields && *p->fields ? p->fields : "any item", e);
        if (!rc && p->help && *p->help)
            rc = buf_puts(out, ".br\n", e);
        if (!rc && p->help && *p->help)
            rc = put_troff(out, p->help, e);
        if (!rc)
            rc = buf_puts(out, "\n", e);
    }
    return rc;
}

static enum err_code man_param(const struct stage_param *p, struct buf *out,
                               struct err *e)
{
    char head[200], range[80];
    bool flag = p->type == PARAM_BOOL;
    (void)snprintf(head, sizeof head, "--%s%s%s%s", flag ? "[no-]" : "",
                   p->name, flag ? "" : " ",
                   flag                    ? ""
                   : p->type == PARAM_ENUM ? p->choices
                                           : param_type_name(p->type));
    enum err_code rc = put_item(out, head, p->help, e);
    struct buf facts;
    buf_init(&facts, 65536);
    param_range_text(p, range, sizeof range);
    if (!rc && p->unit)
        rc = buf_printf(&facts, e, "Unit: %s. ", p->unit);
    if (!rc && *range)
        rc = buf_printf(&facts, e, "Range: %s. ", range);
    if (!rc && !p->def)
        rc = buf_puts(&facts, "Required.", e);
    else if (!rc)
        rc = buf_printf(&facts, e, "Default: %s.",
                        param_default_text(p->type, p->def));
    if (!rc)
        rc = put_troff(out, buf_str(&facts), e);
    buf_free(&facts);
    return rc ? rc : buf_puts(out, "\n", e);
}

/* The first sentence of help, without its full stop. */
static size_t summary_length(const char *help)
{
    const char *stop = strstr(help, ". ");
    size_t n = stop ? (size_t)(stop - help) : strlen(help);
    return n && help[n - 1] == '.' ? n - 1 : n;
}

enum err_code describe_man(const struct stage_desc *d,
                           const struct describe_option *options,
                           struct buf *out, struct err *e)
{
    struct buf text;
    enum err_code rc = describe_check(d, e);
    if (rc)
        return rc;
    buf_init(&text, 1 << 20);
    rc = buf_printf(out, e, ".TH \"FACET-%s\" 1 \"\" \"facet\"\n.SH NAME\n",
                    d->name);
    if (!rc)
        rc = buf_printf(&text, e, "facet-%s - %.*s\n", d->name,
                        (int)summary_length(d->help), d->help);
    if (!rc)
        rc = put_troff(out, buf_str(&text), e);
    if (!rc)
        rc = buf_puts(out, ".SH SYNOPSIS\n", e);
    text.len = 0;
    if (!rc)
        rc = put_usage(d, &text, e);
    if (!rc)
        rc = put_troff(out, buf_str(&text) + strlen("usage: "), e);
    if (!rc)
        rc = buf_puts(out, ".SH DESCRIPTION\n", e);
    if (!rc)
        rc = put_troff(out, d->help, e);
    if (!rc)
        rc = buf_puts(out, "\n", e);
    if (!rc)
        rc = man_ports("INPUT", d->in, out, e);
    if (!rc)
        rc = man_ports("OUTPUT", d->out, out, e);
    if (!rc && d->params && d->params[0].name)
        rc = buf_puts(out, ".SH PARAMETERS\n", e);
    for (const struct stage_param *p = d->params; !rc && p && p->name; p++)
        rc = man_param(p, out, e);
    if (!rc && options && options->flag)
        rc = buf_puts(out, ".SH OPTIONS\n", e);
    for (; !rc && options && options->flag; options++)
        rc = put_item(out, options->flag, options->help, e);
    buf_free(&text);
    return rc;
}
