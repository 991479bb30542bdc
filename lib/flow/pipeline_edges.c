/* `from:` to edges: which output port feeds which input port; cycles. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/pipeline_load.h"

#define MAX_EDGES 4096

/* "a, b, c" of a stage's ports into out. */
static char *port_list(const struct info_port *p, size_t n, char *out,
                       size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "",
                                 p[i].name);
    return out;
}

static char *hint_port(const struct info_port *p, size_t n, const char *word,
                       char out[PIPE_HINT])
{
    const char *names[33];
    size_t k = 0;
    for (size_t i = 0; i < n && k < 32; i++)
        names[k++] = p[i].name;
    names[k++] = "failed";
    return pipe_hint(word, names, k, out);
}

static bool add_edge(struct pipe_load *l, const struct yaml_node *at,
                     size_t from, const char *from_port, size_t to,
                     const char *to_port)
{
    struct pipeline *p = l->p;
    for (size_t i = 0; i < p->n_edges; i++)
        if (p->edges[i].from == from && p->edges[i].to == to &&
            strcmp(p->edges[i].from_port, from_port) == 0 &&
            strcmp(p->edges[i].to_port, to_port) == 0) {
            pipe_error(l, at, "'%s.%s' feeds '%s.%s' twice",
                       p->stages[from].name, from_port, p->stages[to].name,
                       to_port);
            return false;
        }
    if (p->n_edges == MAX_EDGES) {
        pipe_error(l, at, "more than %d links", MAX_EDGES);
        return false;
    }
    struct pipe_edge *edges =
        mem_resize(p->edges, p->n_edges + 1, sizeof *edges);
    if (!edges) {
        pipe_no_memory(l);
        return false;
    }
    p->edges = edges;
    struct pipe_edge *e = &edges[p->n_edges];
    *e = (struct pipe_edge){.from = from,
                            .to = to,
                            .from_port = mem_strdup(from_port),
                            .to_port = mem_strdup(to_port),
                            .line = at->line,
                            .column = at->column};
    p->n_edges++;
    if (e->from_port && e->to_port)
        return true;
    pipe_no_memory(l);
    return false;
}

/* The output port that text ("stage" or "stage.port") means; NULL if none
 * (reported, here or when the stage was described). */
static const char *find_origin(struct pipe_load *l, const struct yaml_node *at,
                               const char *text, size_t *from)
{
    char hint[PIPE_HINT], list[200];
    size_t dot = strcspn(text, ".");
    const char *port = text[dot] ? text + dot + 1 : NULL;
    *from = pipe_stage_index(l->p, text, dot);
    if (*from == l->p->n_stages) {
        char word[64];
        (void)snprintf(word, sizeof word, "%.*s", (int)(dot < 60 ? dot : 60),
                       text);
        pipe_error(l, at, "no stage '%s'%s", word,
                   pipe_hint_stage(l, word, hint));
        return NULL;
    }
    const struct pipe_stage *s = &l->p->stages[*from];
    if (!s->info) { /* already reported */
        l->unsure = true;
        return NULL;
    }
    if (s->info->n_out == 0) {
        pipe_error(l, at, "stage '%s' is a sink: nothing comes out of it",
                   s->name);
        return NULL;
    }
    if (port && strcmp(port, "failed") == 0)
        return "failed";
    const struct info_port *p =
        pipe_port(s->info->out, s->info->n_out, port, "out");
    if (p)
        return p->name;
    port_list(s->info->out, s->info->n_out, list, sizeof list);
    if (port)
        pipe_error(l, at, "stage '%s' has no output port '%.60s'%s (it has %s)",
                   s->name, port,
                   hint_port(s->info->out, s->info->n_out, port, hint), list);
    else
        pipe_error(l, at,
                   "stage '%s' has several output ports: say which of %s, as "
                   "in '%s.%s'",
                   s->name, list, s->name, s->info->out[0].name);
    return NULL;
}

/* One origin, or a list of them, of one input port. */
static void read_origins(struct pipe_load *l, const struct yaml_node *node,
                         size_t to, const char *to_port)
{
    if (node->kind == YAML_LIST) {
        if (node->n == 0)
            pipe_error(l, node, "from: an empty list");
        for (size_t i = 0; i < node->n && !l->rc; i++)
            if (node->items[i]->kind == YAML_LIST)
                pipe_error(l, node->items[i], "from: a list within a list");
            else
                read_origins(l, node->items[i], to, to_port);
        return;
    }
    size_t from;
    char *text = pipe_text(l, node, "from");
    if (!text)
        return;
    const char *port = find_origin(l, node, text, &from);
    if (port && to_port)
        (void)add_edge(l, node, from, port, to, to_port);
    mem_free(text);
}

/* from: {port: origins, ...} */
static void read_port_map(struct pipe_load *l, const struct yaml_node *map,
                          size_t to)
{
    const struct pipe_stage *s = &l->p->stages[to];
    char hint[PIPE_HINT], list[200];
    for (size_t i = 0; i < map->n && !l->rc; i++) {
        const char *name = map->keys[i]->text;
        const struct info_port *p =
            s->info ? pipe_port(s->info->in, s->info->n_in, name, name) : NULL;
        if (s->info && !p) {
            const char *names[32];
            size_t n = 0;
            for (size_t k = 0; k < s->info->n_in && n < 32; k++)
                names[n++] = s->info->in[k].name;
            pipe_error(
                l, map->keys[i],
                "stage '%s' has no input port '%.60s'%s (it has %s)", s->name,
                name, pipe_hint(name, names, n, hint),
                port_list(s->info->in, s->info->n_in, list, sizeof list));
        }
        read_origins(l, map->items[i], to, p ? p->name : NULL);
    }
}

static void check_inputs(struct pipe_load *l, size_t to,
                         const struct yaml_node *from)
{
    const struct pipe_stage *s = &l->p->stages[to];
    for (size_t k = 0; k < s->info->n_in; k++) {
        const char *name = s->info->in[k].name;
        bool fed = false;
        for (size_t i = 0; i < l->p->n_edges && !fed; i++)
            fed = l->p->edges[i].to == to &&
                  strcmp(l->p->edges[i].to_port, name) == 0;
        if (!fed)
            pipe_error(l, from, "input port '%s' of stage '%s' is not fed",
                       name, s->name);
    }
}

static void read_from(struct pipe_load *l, size_t to)
{
    const struct pipe_stage *s = &l->p->stages[to];
    const struct yaml_node *from = yaml_get(l->node[to], "from");
    if (yaml_is_null(from))
        from = NULL; /* `from: ~` undoes a merged one */
    bool source = s->info && s->info->n_in == 0;
    size_t errors = l->errors;
    char list[200];
    if (source && from)
        pipe_error(l, from, "stage '%s' is a source: it takes no 'from'",
                   s->name);
    if (source)
        return;
    if (!from) {
        if (s->info)
            pipe_error_at(l, s->line, s->column,
                          "stage '%s' is a %s: it needs a 'from'", s->name,
                          s->info->kind);
        return;
    }
    if (from->kind == YAML_MAP) {
        read_port_map(l, from, to);
    } else {
        const struct info_port *p =
            s->info ? pipe_port(s->info->in, s->info->n_in, NULL, "in") : NULL;
        if (s->info && !p)
            pipe_error(
                l, from,
                "stage '%s' has several input ports (%s): 'from' must "
                "be a map from port to origin",
                s->name,
                port_list(s->info->in, s->info->n_in, list, sizeof list));
        read_origins(l, from, to, p ? p->name : NULL);
    }
    if (s->info && errors == l->errors && !l->unsure && !l->rc)
        check_inputs(l, to, from);
}

/* From stage `at`, which lies on or behind a cycle, back along edges from
 * stages that are left until one is met twice; that cycle as text. */
static void report_cycle(struct pipe_load *l, size_t at, const bool *done)
{
    size_t path[PIPE_MAX_STAGES], where[PIPE_MAX_STAGES], n = 0;
    const struct pipe_edge *last = NULL;
    char text[400];
    memset(where, 0, sizeof where);
    while (!where[at]) {
        path[n++] = at;
        where[at] = n;
        for (size_t i = 0; i < l->p->n_edges; i++)
            if (l->p->edges[i].to == at && !done[l->p->edges[i].from]) {
                last = &l->p->edges[i];
                break;
            }
        if (!last)
            return;
        at = last->from;
    }
    size_t used =
        (size_t)snprintf(text, sizeof text, "%s", l->p->stages[at].name);
    for (size_t i = n; i >= where[at] && used < sizeof text; i--)
        used += (size_t)snprintf(text + used, sizeof text - used, " -> %s",
                                 l->p->stages[path[i - 1]].name);
    pipe_error_at(l, last->line, last->column, "a cycle: %s", text);
}

static void check_cycles(struct pipe_load *l)
{
    bool done[PIPE_MAX_STAGES] = {false};
    bool more = true;
    while (more) {
        more = false;
        for (size_t s = 0; s < l->p->n_stages; s++) {
            bool ready = !done[s];
            for (size_t i = 0; i < l->p->n_edges && ready; i++)
                ready = l->p->edges[i].to != s || done[l->p->edges[i].from];
            if (ready)
                done[s] = more = true;
        }
    }
    for (size_t s = 0; s < l->p->n_stages; s++)
        if (!done[s]) {
            report_cycle(l, s, done);
            return;
        }
}

/* Outputs that go nowhere, and a pipeline that keeps nothing. */
static void check_ends(struct pipe_load *l)
{
    bool sink = false, errors = l->errors > 0; /* these may be why */
    for (size_t s = 0; s < l->p->n_stages; s++)
        if (!l->p->stages[s].info)
            return; /* who knows */
    for (size_t s = 0; s < l->p->n_stages; s++) {
        const struct pipe_stage *st = &l->p->stages[s];
        sink = sink || st->info->n_out == 0;
        for (size_t k = 0; k < st->info->n_out && !errors; k++) {
            bool used = false;
            for (size_t i = 0; i < l->p->n_edges && !used; i++)
                used = l->p->edges[i].from == s &&
                       strcmp(l->p->edges[i].from_port,
                              st->info->out[k].name) == 0;
            if (!used)
                pipe_warn(l, l->node[s],
                          "nothing takes output '%s' of stage '%s': its items "
                          "are dropped",
                          st->info->out[k].name, st->name);
        }
    }
    if (!sink && l->p->n_stages)
        pipe_error(l, yaml_get(l->root, "stages"),
                   "no sink: nothing keeps what this pipeline makes");
}

void pipe_read_edges(struct pipe_load *l)
{
    for (size_t i = 0; i < l->p->n_stages && !l->rc; i++)
        read_from(l, i);
    if (l->rc)
        return;
    check_cycles(l);
    check_ends(l);
}
