/* Which fields travel along each edge, from the sources on, and whether every
 * input port gets what it needs. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/pipeline_load.h"
#include "lib/flow/ports.h"

#define NO_STAGE ((size_t)-1)
#define MAX_HAVE (8 * (size_t)ITEM_MAX_FIELDS)

/* A field that items have at some place. A type of VAL_NIL is unknown. */
struct have_field {
    char name[ITEM_MAX_NAME + 1];
    struct field_type type; /* optional: may be missing by declaration */
    size_t lacking; /* a branch (stage) that does not give it, or NO_STAGE */
};
struct have {
    struct have_field *f;
    size_t n, cap;
    bool open; /* there may be others */
};
/* Of each stage: what its input items have, and the sizes its letters took. */
struct flow {
    struct have in;
    struct port_bind bind;
    bool done;
};

static void have_free(struct have *h)
{
    mem_free(h->f);
    memset(h, 0, sizeof *h);
}

static struct have_field *have_get(const struct have *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->f[i].name, name) == 0)
            return &h->f[i];
    return NULL;
}

/* Add or replace a field. False without memory (noted in l). */
static bool have_put(struct pipe_load *l, struct have *h,
                     const struct have_field *f)
{
    struct have_field *old = have_get(h, f->name);
    if (old) {
        *old = *f;
        return true;
    }
    if (h->n >= MAX_HAVE) { /* far more than an item can hold: stop looking */
        h->open = true;
        return true;
    }
    if (h->n == h->cap) {
        size_t cap = h->cap ? h->cap * 2 : 16;
        struct have_field *p = mem_resize(h->f, cap, sizeof *p);
        if (!p) {
            pipe_no_memory(l);
            return false;
        }
        h->f = p;
        h->cap = cap;
    }
    h->f[h->n++] = *f;
    return true;
}

/* What holds of both types. */
static struct field_type type_join(struct field_type a,
                                   const struct field_type *b)
{
    struct field_type unknown = {.type = VAL_NIL};
    bool optional = a.optional || b->optional;
    if (a.type != b->type) {
        bool numbers = (a.type == VAL_I64 || a.type == VAL_F64) &&
                       (b->type == VAL_I64 || b->type == VAL_F64);
        a = unknown;
        if (numbers)
            a.type = VAL_F64;
    } else if (a.type == VAL_TENSOR && a.dtype != b->dtype) {
        a.any_dtype = a.any_shape = true;
    } else if (a.type == VAL_TENSOR) {
        a.any_dtype = a.any_dtype || b->any_dtype;
        a.any_shape = a.any_shape || b->any_shape || a.ndim != b->ndim;
        for (int i = 0; i < a.ndim && !a.any_shape; i++)
            if (a.dim[i] != b->dim[i])
                a.dim[i] = DIM_ANY;
    }
    if (a.any_shape)
        a.ndim = 0;
    a.optional = optional;
    return a;
}

/* Join what another branch (stage `from`) gives into h, which holds what
 * the branches before it (the last of them `before`) give. */
static void have_join(struct pipe_load *l, struct have *h, const struct have *b,
                      size_t before, size_t from)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct have_field *f = have_get(b, h->f[i].name);
        if (f)
            h->f[i].type = type_join(h->f[i].type, &f->type);
        if (f && h->f[i].lacking == NO_STAGE)
            h->f[i].lacking = f->lacking;
        if (!f && !b->open && h->f[i].lacking == NO_STAGE)
            h->f[i].lacking = from;
    }
    for (size_t i = 0; i < b->n; i++) {
        struct have_field f = b->f[i];
        if (have_get(h, f.name))
            continue;
        if (!h->open && f.lacking == NO_STAGE)
            f.lacking = before;
        if (!have_put(l, h, &f))
            return;
    }
    h->open = h->open || b->open;
}

/* What leaves stage s by a port, into out (the caller frees it). */
static void have_out(struct pipe_load *l, const struct flow *flow, size_t s,
                     const char *port, struct have *out)
{
    static const char *const error[] = {"error_code", "error_text",
                                        "error_stage"};
    const struct stage_info *info = l->p->stages[s].info;
    struct have_field f = {.lacking = NO_STAGE};
    memset(out, 0, sizeof *out);
    out->open = flow[s].in.open;
    for (size_t i = 0; i < flow[s].in.n; i++)
        if (!have_put(l, out, &flow[s].in.f[i]))
            return;
    if (strcmp(port, "failed") == 0) {
        f.type.type = VAL_STR;
        /* A source names what it could not read by the texts that all its items
         * have (stage_fail). */
        const struct info_port *first = info->n_out ? &info->out[0] : NULL;
        bool source = info->kind && strcmp(info->kind, "source") == 0;
        for (size_t i = 0; source && first && i < first->n; i++) {
            if (first->fields[i].optional ||
                strcmp(first->fields[i].type, "str") != 0)
                continue;
            (void)snprintf(f.name, sizeof f.name, "%s", first->fields[i].name);
            if (!have_put(l, out, &f))
                return;
        }
        for (size_t i = 0; i < 3; i++) {
            (void)snprintf(f.name, sizeof f.name, "%s", error[i]);
            if (!have_put(l, out, &f))
                return;
        }
        return;
    }
    const struct info_port *p = pipe_port(info->out, info->n_out, port, port);
    out->open = out->open || p->open;
    for (size_t i = 0; i < p->n; i++) {
        struct field_type t;
        if (field_type_parse(p->fields[i].type, &t, NULL) != OK)
            continue; /* it was checked when the description was read */
        (void)snprintf(f.name, sizeof f.name, "%s", p->fields[i].name);
        f.type = field_type_resolve(&t, &flow[s].bind);
        f.type.optional = p->fields[i].optional;
        const struct have_field *old = have_get(out, f.name);
        if (f.type.optional && old) { /* may be left as it was */
            f.type.optional = old->type.optional;
            f.type = type_join(f.type, &old->type);
        }
        if (!have_put(l, out, &f))
            return;
    }
}

static void missing(struct pipe_load *l, const struct pipe_edge *edge,
                    const struct info_field *want, const struct have *h)
{
    char list[300] = "", hint[PIPE_HINT] = "";
    const char *names[256];
    size_t used = 0, n = 0;
    for (size_t i = 0; i < h->n && n < 256; i++) {
        if (h->f[i].type.type == VAL_NIL)
            continue;
        names[n++] = h->f[i].name;
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     n > 1 ? ", " : "", h->f[i].name);
    }
    if (used >= sizeof list)
        memcpy(list + sizeof list - 4, "...", 4);
    pipe_error_at(l, edge->line, edge->column,
                  "stage '%s' needs the field '%s' (%s), which '%s' does not "
                  "give; it gives %s%s",
                  l->p->stages[edge->to].name, want->name, want->type,
                  l->p->stages[edge->from].name, n ? list : "no fields",
                  pipe_hint(want->name, names, n, hint));
}

/* From here on taken as given, so that one fault is reported once. */
static void put_unknown(struct pipe_load *l, struct have *h, const char *name)
{
    struct have_field f = {.type = {.type = VAL_NIL}, .lacking = NO_STAGE};
    (void)snprintf(f.name, sizeof f.name, "%s", name);
    (void)have_put(l, h, &f);
}

/* " (here u8[4,*])" if letters of t are known from other fields, else "". */
static char *here_text(const struct field_type *t, const struct port_bind *b,
                       char *out, size_t n)
{
    struct field_type known = field_type_resolve(t, b);
    char text[160];
    out[0] = '\0';
    for (int i = 0; i < t->ndim; i++)
        if (t->dim[i] < 0 && known.dim[i] >= 0) {
            (void)snprintf(out, n, " (here %s)",
                           field_type_text(&known, text, sizeof text));
            break;
        }
    return out;
}

/* One wanted field of an edge's input port. */
static void check_field(struct pipe_load *l, const struct pipe_edge *edge,
                        const struct info_field *want, struct have *h,
                        struct port_bind *b)
{
    const struct have_field *f = have_get(h, want->name);
    const char *to = l->p->stages[edge->to].name;
    struct field_type type;
    char has[160], here[200];
    if (field_type_parse(want->type, &type, NULL) != OK)
        return;
    if (!f) {
        if (!want->optional && !h->open) {
            missing(l, edge, want, h);
            put_unknown(l, h, want->name);
        }
        return;
    }
    if (f->lacking != NO_STAGE && !want->optional) {
        pipe_error_at(l, edge->line, edge->column,
                      "stage '%s' needs the field '%s' (%s), which does not "
                      "come on every way: '%s' does not give it",
                      to, want->name, want->type,
                      l->p->stages[f->lacking].name);
        put_unknown(l, h, want->name);
        return;
    }
    if (f->type.type != VAL_NIL && !field_type_fits(&f->type, &type, b)) {
        struct field_type plain = f->type;
        plain.optional = false;
        field_type_text(&plain, has, sizeof has);
        pipe_error_at(l, edge->line, edge->column,
                      "stage '%s' needs the field '%s' as %s%s, but from '%s' "
                      "it comes as %s",
                      to, want->name, want->type,
                      here_text(&type, b, here, sizeof here),
                      l->p->stages[edge->from].name, has);
    } else if (f->type.optional && !want->optional) {
        struct yaml_node at = {.line = edge->line, .column = edge->column};
        pipe_warn(l, &at,
                  "stage '%s' needs the field '%s', which may be missing: "
                  "such items will fail",
                  to, want->name);
    }
}

static void check_edge(struct pipe_load *l, const struct pipe_edge *edge,
                       struct have *h, struct port_bind *b)
{
    const struct stage_info *info = l->p->stages[edge->to].info;
    const struct info_port *port =
        pipe_port(info->in, info->n_in, edge->to_port, edge->to_port);
    port_bind_reset(b);
    for (size_t i = 0; i < port->n; i++)
        check_field(l, edge, &port->fields[i], h, b);
}

/* Sizes that all edges agree on stay known. */
static void join_binds(struct port_bind *a, const struct port_bind *b)
{
    for (size_t i = 0; i < PORT_LETTERS; i++)
        if (a->size[i] != b->size[i])
            a->size[i] = -1;
}

/* All inputs of stage s are done: check its edges and join what they bring. */
static void do_stage(struct pipe_load *l, struct flow *flow, size_t s)
{
    size_t before = NO_STAGE;
    port_bind_reset(&flow[s].bind);
    for (size_t i = 0; i < l->p->n_edges && !l->rc; i++) {
        const struct pipe_edge *edge = &l->p->edges[i];
        struct port_bind b;
        struct have h;
        if (edge->to != s)
            continue;
        have_out(l, flow, edge->from, edge->from_port, &h);
        if (!l->rc)
            check_edge(l, edge, &h, &b);
        if (!l->rc && before == NO_STAGE) {
            flow[s].in = h;
            flow[s].bind = b;
            memset(&h, 0, sizeof h);
        } else if (!l->rc) {
            have_join(l, &flow[s].in, &h, before, edge->from);
            join_binds(&flow[s].bind, &b);
        }
        before = edge->from;
        have_free(&h);
    }
    if (l->p->stages[s].info->n_in && before == NO_STAGE)
        flow[s].in.open = true; /* its `from` is wrong, as reported */
    flow[s].done = true;
}

static bool is_ready(const struct pipe_load *l, const struct flow *flow,
                     size_t s)
{
    if (flow[s].done || !l->p->stages[s].info)
        return false;
    for (size_t i = 0; i < l->p->n_edges; i++)
        if (l->p->edges[i].to == s && !flow[l->p->edges[i].from].done)
            return false;
    return true;
}

void pipe_check_fields(struct pipe_load *l)
{
    size_t n = l->p->n_stages;
    bool more = true;
    struct flow *flow = mem_calloc(n ? n : 1, sizeof *flow);
    if (!flow) {
        pipe_no_memory(l);
        return;
    }
    while (more && !l->rc) {
        more = false;
        for (size_t s = 0; s < n && !l->rc; s++)
            if (is_ready(l, flow, s)) {
                do_stage(l, flow, s);
                more = true;
            }
    }
    for (size_t s = 0; s < n; s++)
        have_free(&flow[s].in);
    mem_free(flow);
}
