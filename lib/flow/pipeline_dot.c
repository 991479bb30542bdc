/* A pipeline as Graphviz source. */
#include <string.h>

#include "lib/flow/pipeline.h"
#include "lib/flow/pipeline_load.h"

/* Of an edge's label, if optional fields are among them. */
#define MAX_LINES 5

/* s inside a dot string: quotes and backslashes escaped. */
static enum err_code put_escaped(struct buf *out, const char *s, struct err *e)
{
    enum err_code rc = OK;
    for (; *s && !rc; s++) {
        if (*s == '"' || *s == '\\')
            rc = buf_puts(out, "\\", e);
        if (!rc && *s == '\n')
            rc = buf_puts(out, "\\n", e);
        else if (!rc)
            rc = buf_put(out, s, 1, e);
    }
    return rc;
}

static enum err_code put_stage(const struct pipe_stage *s, size_t index,
                               struct buf *out, struct err *e)
{
    bool source = s->info->n_in == 0, sink = s->info->n_out == 0;
    enum err_code rc = buf_printf(out, e, "  s%zu [label=\"", index);
    if (!rc)
        rc = put_escaped(out, s->name, e);
    if (!rc && strcmp(s->name, s->run) != 0)
        rc = buf_puts(out, "\\n", e);
    if (!rc && strcmp(s->name, s->run) != 0)
        rc = put_escaped(out, s->run, e);
    if (!rc && s->replicas == 0)
        rc = buf_puts(out, "\\n\xc3\x97 auto", e);
    else if (!rc && s->replicas > 1)
        rc = buf_printf(out, e, "\\n\xc3\x97 %d", s->replicas);
    if (!rc)
        rc = buf_printf(out, e, "\", fillcolor=\"%s\"%s%s];\n",
                        source ? "#dbeafe"
                        : sink ? "#dcfce7"
                               : "#f8fafc",
                        s->replicas != 1 ? ", peripheries=2" : "",
                        s->ours ? "" : ", style=\"filled,rounded,dashed\"");
    return rc;
}

/* What the port asks for, one a line; optional fields only while there are
 * few. */
static enum err_code put_fields(const struct info_port *port, struct buf *out,
                                struct err *e)
{
    enum err_code rc = OK;
    size_t left_out = 0;
    for (size_t i = 0; i < port->n && !rc; i++) {
        const struct info_field *f = &port->fields[i];
        if (f->optional && port->n > MAX_LINES) {
            left_out++;
            continue;
        }
        rc = put_escaped(out, f->name, e);
        if (!rc)
            rc = buf_puts(out, " ", e);
        if (!rc)
            rc = put_escaped(out, f->type, e);
        if (!rc)
            rc = buf_puts(out, f->optional ? "?\\l" : "\\l", e);
    }
    if (!rc && left_out)
        rc = buf_printf(out, e, "+ %zu optional\\l", left_out);
    return rc;
}

static enum err_code put_edge(const struct pipeline *p,
                              const struct pipe_edge *edge, struct buf *out,
                              struct err *e)
{
    const struct stage_info *to = p->stages[edge->to].info;
    const struct info_port *port =
        pipe_port(to->in, to->n_in, edge->to_port, edge->to_port);
    bool failed = strcmp(edge->from_port, "failed") == 0;
    enum err_code rc =
        buf_printf(out, e, "  s%zu -> s%zu [label=\"", edge->from, edge->to);
    if (!rc && port)
        rc = put_fields(port, out, e);
    if (!rc)
        rc = buf_puts(out, "\"", e);
    if (!rc && strcmp(edge->from_port, "out") != 0) {
        rc = buf_puts(out, ", taillabel=\"", e);
        if (!rc)
            rc = put_escaped(out, edge->from_port, e);
        if (!rc)
            rc = buf_puts(out, "\"", e);
    }
    if (!rc && strcmp(edge->to_port, "in") != 0) {
        rc = buf_puts(out, ", headlabel=\"", e);
        if (!rc)
            rc = put_escaped(out, edge->to_port, e);
        if (!rc)
            rc = buf_puts(out, "\"", e);
    }
    if (!rc && failed)
        rc = buf_puts(out, ", style=dashed, color=\"#b91c1c\"", e);
    return rc ? rc : buf_puts(out, "];\n", e);
}

enum err_code pipeline_dot(const struct pipeline *p, struct buf *out,
                           struct err *e)
{
    enum err_code rc =
        buf_puts(out,
                 "digraph pipeline {\n"
                 "  rankdir=LR;\n"
                 "  graph [fontname=\"Helvetica\", fontsize=12, labelloc=t",
                 e);
    if (!rc && p->help)
        rc = buf_puts(out, ", label=\"", e);
    if (!rc && p->help)
        rc = put_escaped(out, p->help, e);
    if (!rc && p->help)
        rc = buf_puts(out, "\"", e);
    if (!rc)
        rc = buf_puts(out,
                      "];\n"
                      "  node [shape=box, style=\"filled,rounded\", "
                      "fontname=\"Helvetica\", fontsize=11];\n"
                      "  edge [fontname=\"Helvetica\", fontsize=9, "
                      "labeldistance=2.2, labelangle=-20];\n",
                      e);
    for (size_t i = 0; i < p->n_stages && !rc; i++)
        rc = put_stage(&p->stages[i], i, out, e);
    for (size_t i = 0; i < p->n_edges && !rc; i++)
        rc = put_edge(p, &p->edges[i], out, e);
    return rc ? rc : buf_puts(out, "}\n", e);
}
