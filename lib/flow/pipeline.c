/* Pipeline files: YAML to a checked plan. The steps in order, problems
 * collected, and freeing. */
#include "lib/flow/pipeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/pipeline_load.h"

/* Note a line for the report, after those of the same place. */
PRINTF_LIKE(6, 0)
static void note(struct pipe_load *l, int line, int column, const char *where,
                 const char *kind, const char *fmt, va_list ap)
{
    char text[1200];
    size_t at = l->n_problems;
    if (at == PIPE_MAX_PROBLEMS || l->rc)
        return;
    (void)vsnprintf(text, sizeof text, fmt, ap);
    struct pipe_problem new = {line, column,
                               mem_printf("%s: %s: %s\n", where, kind, text)};
    if (new.text) /* it may quote names from anywhere */
        text_plain(new.text, strlen(new.text) - 1);
    struct pipe_problem *p =
        mem_resize(l->problems, at + 1, sizeof *l->problems);
    if (p)
        l->problems = p;
    if (!p || !new.text) {
        mem_free(new.text);
        pipe_no_memory(l);
        return;
    }
    for (; at && (p[at - 1].line > line ||
                  (p[at - 1].line == line && p[at - 1].column > column));
         at--)
        p[at] = p[at - 1];
    p[at] = new;
    l->n_problems++;
}

/* All notes into the report; they are freed. */
static void write_report(struct pipe_load *l)
{
    for (size_t i = 0; i < l->n_problems; i++) {
        struct err e;
        if (buf_puts(l->report, l->problems[i].text, &e) != OK)
            pipe_no_memory(l);
        mem_free(l->problems[i].text);
    }
    mem_free(l->problems);
}

PRINTF_LIKE(5, 0)
static void report_at(struct pipe_load *l, int line, int column,
                      const char *kind, const char *fmt, va_list ap)
{
    char where[1024];
    if (line > 0)
        (void)snprintf(where, sizeof where, "%s:%d:%d", l->p->path, line,
                       column);
    else
        (void)snprintf(where, sizeof where, "%s", l->p->path);
    note(l, line, column, where, kind, fmt, ap);
}

void pipe_no_memory(struct pipe_load *l)
{
    if (l->rc == OK)
        l->rc = err_set(l->e, ERR_NOMEM, "no memory for the pipeline");
}

void pipe_error(struct pipe_load *l, const struct yaml_node *at,
                const char *fmt, ...)
{
    va_list ap;
    l->errors++;
    va_start(ap, fmt);
    report_at(l, at ? at->line : 0, at ? at->column : 0, "error", fmt, ap);
    va_end(ap);
}

void pipe_error_at(struct pipe_load *l, int line, int column, const char *fmt,
                   ...)
{
    va_list ap;
    l->errors++;
    va_start(ap, fmt);
    report_at(l, line, column, "error", fmt, ap);
    va_end(ap);
}

void pipe_warn(struct pipe_load *l, const struct yaml_node *at, const char *fmt,
               ...)
{
    va_list ap;
    l->warnings++;
    va_start(ap, fmt);
    report_at(l, at ? at->line : 0, at ? at->column : 0, "warning", fmt, ap);
    va_end(ap);
}

void pipe_error_set(struct pipe_load *l, const char *set, const char *fmt, ...)
{
    char where[300];
    va_list ap;
    l->errors++;
    (void)snprintf(where, sizeof where, "--set %.250s", set);
    va_start(ap, fmt);
    note(l, 0, 0, where, "error", fmt, ap);
    va_end(ap);
}

char *pipe_hint(const char *word, const char *const *names, size_t n,
                char out[PIPE_HINT])
{
    const char *near = text_nearest(word, names, n);
    if (near)
        (void)snprintf(out, PIPE_HINT, " (did you mean '%.70s'?)", near);
    else
        out[0] = '\0';
    return out;
}

char *pipe_hint_stage(const struct pipe_load *l, const char *word,
                      char out[PIPE_HINT])
{
    const char *names[PIPE_MAX_STAGES];
    size_t n = 0;
    for (size_t i = 0; i < l->p->n_stages && n < PIPE_MAX_STAGES; i++)
        names[n++] = l->p->stages[i].name;
    return pipe_hint(word, names, n, out);
}

size_t pipe_stage_index(const struct pipeline *p, const char *name, size_t len)
{
    size_t i;
    for (i = 0; i < p->n_stages; i++)
        if (strlen(p->stages[i].name) == len &&
            memcmp(p->stages[i].name, name, len) == 0)
            break;
    return i;
}

void pipe_check_keys(struct pipe_load *l, const struct yaml_node *map,
                     const char *const *keys, const char *what)
{
    char hint[PIPE_HINT];
    size_t n = 0;
    while (keys[n])
        n++;
    for (size_t i = 0; i < map->n; i++) {
        const char *key = map->keys[i]->text;
        size_t k = 0;
        while (k < n && strcmp(keys[k], key) != 0)
            k++;
        if (k == n)
            pipe_error(l, map->keys[i], "unknown key '%.60s' in %s%s", key,
                       what, pipe_hint(key, keys, n, hint));
    }
}

bool pipe_name_ok(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 47 || s[0] < 'a' || s[0] > 'z')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

const struct info_port *pipe_port(const struct info_port *p, size_t n,
                                  const char *name, const char *usual)
{
    if (!name && n == 1)
        return p;
    for (size_t i = 0; i < n; i++)
        if (strcmp(p[i].name, name ? name : usual) == 0)
            return &p[i];
    return NULL;
}

static void read_top(struct pipe_load *l)
{
    static const char *const keys[] = {"version", "help", "vars",
                                       "stages",  "dead", NULL};
    const struct yaml_node *version;
    if (l->root->kind != YAML_MAP) {
        pipe_error(l, l->root, "a pipeline must be a map, not %s",
                   yaml_kind_name(l->root));
        return;
    }
    pipe_check_keys(l, l->root, keys, "the pipeline");
    version = yaml_get(l->root, "version");
    if (!version)
        pipe_error(l, l->root, "no 'version: 1'");
    else if (version->kind != YAML_SCALAR || strcmp(version->text, "1") != 0)
        pipe_error(l, version, "version must be 1");
    pipe_read_vars(l);
    const struct yaml_node *help = yaml_get(l->root, "help");
    if (!yaml_is_null(help))
        l->p->help = pipe_text(l, help, "help");
    pipe_read_stages(l);
}

/* `dead:`, else below the var `out`, else "dead". */
static void choose_dead(struct pipe_load *l)
{
    const struct yaml_node *dead = yaml_get(l->root, "dead");
    const char *out = NULL;
    if (!yaml_is_null(dead)) {
        l->p->dead = pipe_text(l, dead, "dead");
        if (l->p->dead && !*l->p->dead)
            pipe_error(l, dead, "dead: no folder");
        return;
    }
    for (size_t i = 0; i < l->p->n_vars; i++)
        if (strcmp(l->p->vars[i].name, "out") == 0) {
            out = l->p->vars[i].value;
            l->var_used[i] = true;
        }
    l->p->dead = out && *out ? mem_printf("%s/dead", out) : mem_strdup("dead");
    if (!l->p->dead)
        pipe_no_memory(l);
}

static void read_dead(struct pipe_load *l)
{
    struct err e;
    char *path = NULL;
    choose_dead(l);
    if (!l->p->dead)
        return;
    enum err_code rc = path_expand(l->p->dead, &path, &e);
    if (rc == ERR_NOMEM) {
        pipe_no_memory(l);
    } else if (rc) {
        pipe_error(l, l->root, "dead: %s", e.text);
    } else {
        mem_free(l->p->dead);
        l->p->dead = path;
    }
}

static void warn_unused_vars(struct pipe_load *l)
{
    const struct yaml_node *vars = yaml_get(l->root, "vars");
    for (size_t i = 0; i < l->p->n_vars && vars && vars->kind == YAML_MAP; i++)
        for (size_t k = 0; k < vars->n && !l->var_used[i]; k++)
            if (strcmp(vars->keys[k]->text, l->p->vars[i].name) == 0)
                pipe_warn(l, vars->keys[k], "variable '%s' is never used",
                          l->p->vars[i].name);
}

static void all_steps(struct pipe_load *l)
{
    read_top(l);
    if (l->rc || l->root->kind != YAML_MAP)
        return;
    read_dead(l);
    pipe_read_commands(l);
    if (!l->rc)
        pipe_read_params(l);
    if (!l->rc)
        pipe_read_edges(l);
    if (!l->rc)
        pipe_check_fields(l);
    if (!l->errors)
        warn_unused_vars(l);
}

enum err_code pipeline_load(const char *path, const struct pipe_options *o,
                            struct pipeline **out, struct buf *report_to,
                            struct err *e)
{
    struct pipe_load l = {.o = o, .report = report_to, .e = e};
    struct err why;
    *out = NULL;
    enum err_code rc = yaml_read_file(path, &l.root, &why);
    if (rc) {
        if (e)
            *e = why;
        if (rc != ERR_NOMEM && buf_printf(report_to, e, "%s\n", why.text) != OK)
            rc = ERR_NOMEM;
        return rc;
    }
    l.p = mem_calloc(1, sizeof *l.p);
    if (l.p)
        l.p->path = mem_strdup(path);
    if (!l.p || !l.p->path)
        pipe_no_memory(&l);
    else
        all_steps(&l);
    write_report(&l);
    rc = l.rc;
    if (!rc && l.errors)
        rc = err_set(e, ERR_DATA, "%s has %zu error%s", path, l.errors,
                     l.errors > 1 ? "s" : "");
    mem_free(l.node);
    mem_free(l.var_used);
    yaml_node_free(&l.root);
    if (rc)
        pipeline_free(&l.p);
    *out = l.p;
    return rc;
}

static void free_stage(struct pipe_stage *s)
{
    mem_free(s->name);
    mem_free(s->run);
    for (size_t i = 0; s->argv && i < s->argc; i++)
        mem_free(s->argv[i]);
    mem_free(s->argv);
    stage_info_free(&s->info);
    for (size_t i = 0; i < s->n_params; i++) {
        mem_free(s->params[i].name);
        mem_free(s->params[i].value);
    }
    mem_free(s->params);
}

void pipeline_free(struct pipeline **pp)
{
    if (!pp || !*pp)
        return;
    struct pipeline *p = *pp;
    for (size_t i = 0; i < p->n_vars; i++) {
        mem_free(p->vars[i].name);
        mem_free(p->vars[i].value);
        mem_free(p->vars[i].help);
    }
    for (size_t i = 0; i < p->n_stages; i++)
        free_stage(&p->stages[i]);
    for (size_t i = 0; i < p->n_edges; i++) {
        mem_free(p->edges[i].from_port);
        mem_free(p->edges[i].to_port);
    }
    mem_free(p->vars);
    mem_free(p->stages);
    mem_free(p->edges);
    mem_free(p->path);
    mem_free(p->help);
    mem_free(p->dead);
    mem_free(p);
    *pp = NULL;
}
