/* The supervisor's beginning: which processes, how started, how wired. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cores.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/flow/dirs.h"
#include "lib/flow/supervisor_internal.h"

#define MAX_PROCS 1024
/* Open files of a process; seen: 16 and 2. */
#define FILES_OWN ((size_t)24)
#define FILES_PEER ((size_t)3)
#define WIRING_MAX (1u << 20)

int supervisor_cores(void)
{
    return cores_usable("");
}

static bool is_transform(const struct pipe_stage *st)
{
    return st->info && st->info->kind &&
           strcmp(st->info->kind, "transform") == 0;
}

void supervisor_plan(const struct pipeline *p, size_t i, int cores,
                     int *replicas, int *threads)
{
    const struct pipe_stage *st = &p->stages[i];
    int autos = 0;
    for (size_t k = 0; k < p->n_stages; k++)
        autos += p->stages[k].replicas == 0 && is_transform(&p->stages[k]);
    *replicas = st->replicas;
    if (st->replicas == 0)
        *replicas = is_transform(st) && autos ? cores / autos : 1;
    if (*replicas < 1)
        *replicas = 1;
    *threads = st->threads > 0 ? st->threads : cores / *replicas;
    if (*threads < 1)
        *threads = 1;
}

enum err_code supervisor_make_procs(struct supervisor *s, struct err *e)
{
    size_t n = 0, stages = s->p->n_stages;
    int cores = supervisor_cores();
    s->replicas = mem_calloc(stages, sizeof *s->replicas);
    s->threads = mem_calloc(stages, sizeof *s->threads);
    if (!s->replicas || !s->threads)
        return err_set(e, ERR_NOMEM, "no memory for the processes");
    for (size_t i = 0; i < stages; i++) {
        supervisor_plan(s->p, i, cores, &s->replicas[i], &s->threads[i]);
        n += (size_t)s->replicas[i];
        if (n > MAX_PROCS)
            return err_set(e, ERR_ARG, "more than %d processes", MAX_PROCS);
    }
    /* Of any process, the runner or one that talks to all others. */
    enum err_code rc = limits_open_files(FILES_OWN + FILES_PEER * n, e);
    if (rc)
        return err_wrap(e, "%zu processes", n);
    s->proc = mem_calloc(n, sizeof *s->proc);
    s->fds = mem_calloc(n + 1, sizeof *s->fds);
    if (!s->proc || !s->fds)
        return err_set(e, ERR_NOMEM, "no memory for the processes");
    for (size_t i = 0; i < stages; i++)
        for (int r = 0; r < s->replicas[i]; r++) {
            struct proc *p = &s->proc[s->n_proc];
            p->stage = i;
            p->index = (int)s->n_proc++;
            p->replica = r;
            p->epoch = 1;
            p->run.log_fd = -1;
            p->stats.expect = -1;
        }
    return OK;
}

char *supervisor_name(const struct supervisor *s, const struct proc *p,
                      char *out, size_t n)
{
    const char *name = s->p->stages[p->stage].name;
    if (s->replicas[p->stage] > 1)
        snprintf(out, n, "%s.%d", name, p->replica);
    else
        snprintf(out, n, "%s", name);
    return out;
}

static void free_strings(char **v)
{
    for (size_t i = 0; v && v[i]; i++)
        mem_free(v[i]);
    mem_free(v);
}

/* The command line: ours is linked directly, any other goes under the
 * bridge, and so does one of ours with limits. */
static char **make_argv(const struct supervisor *s, const struct pipe_stage *st)
{
    size_t n = 0;
    bool bridged = pipe_stage_bridged(st);
    char **v = mem_calloc(st->argc + st->n_params + 9, sizeof *v);
    if (!v)
        return NULL;
    if (bridged) {
        v[n++] = mem_strdup(s->o.facet ? s->o.facet : "facet");
        v[n++] = mem_strdup("bridge");
        if (st->item_ms)
            v[n++] = mem_printf("--item-ms=%" PRId64, st->item_ms);
        if (st->open_ms)
            v[n++] = mem_printf("--open-ms=%" PRId64, st->open_ms);
        if (st->restart >= 0)
            v[n++] = mem_printf("--restart=%d", st->restart);
        v[n++] = mem_printf("%zu", st->argc);
        v[n++] = mem_strdup("--");
    }
    for (size_t i = 0; i < st->argc; i++)
        v[n++] = mem_strdup(st->argv[i]);
    if (!bridged)
        v[n++] = mem_strdup("--linked");
    for (size_t i = 0; i < st->n_params; i++)
        v[n++] = mem_printf("--%s=%s", st->params[i].name, st->params[i].value);
    for (size_t i = 0; i < n; i++)
        if (!v[i]) {
            for (size_t k = 0; k < n; k++)
                mem_free(v[k]);
            mem_free(v);
            return NULL;
        }
    return v;
}

static char **make_env(const struct supervisor *s, const struct proc *p,
                       struct err *e)
{
    size_t n = CONTROL_ENV;
    int threads = s->threads[p->stage];
    struct control_env c = {s->control_endpoint,
                            s->dir.path,
                            s->key,
                            s->p->stages[p->stage].name,
                            p->index,
                            p->replica,
                            threads,
                            p->epoch};
    char **v = mem_calloc(CONTROL_ENV + 5, sizeof *v);
    if (!v || control_env_write(&c, v, e)) {
        mem_free(v);
        err_set(e, ERR_NOMEM, "no memory for an environment");
        return NULL;
    }
    v[n++] = mem_printf("OMP_NUM_THREADS=%d", threads);
    v[n++] = mem_printf("OPENBLAS_NUM_THREADS=%d", threads);
    /* Idle pools of several processes must not spin on each other's cores;
     * measured on 2 cores: 20000 costs three times the CPU of 1000. */
    if (!getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY"))
        v[n++] = mem_strdup("GOMP_SPINCOUNT=1000");
    enum err_code rc = python_path(&v[n], e);
    if (v[n])
        n++;
    if (rc || !v[n - 1] || !v[CONTROL_ENV] || !v[CONTROL_ENV + 1]) {
        for (size_t i = 0; i < n; i++)
            mem_free(v[i]);
        mem_free(v);
        err_set(e, ERR_NOMEM, "no memory for an environment");
        return NULL;
    }
    return v;
}

enum err_code supervisor_launch(struct supervisor *s, struct proc *p,
                                struct err *e)
{
    const struct pipe_stage *st = &s->p->stages[p->stage];
    enum err_code rc = OK;
    char **argv = make_argv(s, st);
    char **env = argv ? make_env(s, p, e) : NULL;
    if (!argv || !env) {
        rc = err_set(e, ERR_NOMEM, "no memory to start a process");
    } else {
        struct launch_spec spec = {argv, (const char *const *)env};
        rc = s->o.launcher->start(&spec, &p->run, e);
    }
    free_strings(argv);
    free_strings(env);
    return rc ? err_wrap(e, "stage '%s'", st->name) : OK;
}

/* Every process that sends to stage `to`, once. */
static enum err_code put_senders(const struct supervisor *s, size_t to,
                                 struct buf *b, struct err *e)
{
    enum err_code rc = OK;
    for (size_t k = 0; k < s->n_proc && !rc; k++) {
        bool sends = false;
        for (size_t i = 0; i < s->p->n_edges; i++)
            sends = sends || (s->p->edges[i].to == to &&
                              s->p->edges[i].from == s->proc[k].stage);
        if (sends)
            rc = buf_printf(b, e, "%d %" PRIu32 "\n", s->proc[k].index,
                            s->proc[k].epoch);
    }
    return rc;
}

static enum err_code put_receivers(const struct supervisor *s, size_t from,
                                   struct buf *b, struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = 0; i < s->p->n_edges; i++) {
        const struct pipe_edge *g = &s->p->edges[i];
        for (size_t k = 0; g->from == from && k < s->n_proc && !rc; k++)
            if (s->proc[k].stage == g->to)
                rc = buf_printf(b, e, "%s %zu %s %d %" PRIu32 " %s\n",
                                g->from_port, i, g->to_port, s->proc[k].index,
                                s->proc[k].epoch, s->proc[k].endpoint);
    }
    return rc;
}

static void peer_name(const struct proc *p, char out[LINK_NAME])
{
    snprintf(out, LINK_NAME, "%d.%" PRIu32, p->index, p->epoch);
}

static enum err_code send_start(struct supervisor *s, const struct proc *p,
                                struct err *e)
{
    const struct pipe_stage *st = &s->p->stages[p->stage];
    char name[LINK_NAME];
    struct buf up, down, sinks;
    buf_init(&sinks, WIRING_MAX);
    buf_init(&up, WIRING_MAX);
    buf_init(&down, WIRING_MAX);
    peer_name(p, name);
    struct item *it = control_new("start", p->epoch, e);
    enum err_code rc = it ? OK : ERR_NOMEM;
    if (!rc)
        rc = put_senders(s, p->stage, &up, e);
    if (!rc)
        rc = put_receivers(s, p->stage, &down, e);
    if (!rc)
        rc = item_set_str(it, "up", buf_str(&up), e);
    if (!rc)
        rc = item_set_str(it, "down", buf_str(&down), e);
    if (!rc)
        rc = item_set_str(it, "dead", s->p->dead ? s->p->dead : "dead", e);
    if (!rc)
        rc = item_set_i64(it, "replicas", s->replicas[p->stage], e);
    if (!rc)
        rc = item_set_i64(it, "retries", st->retries, e);
    if (!rc)
        rc = item_set_str(it, "recipe", recipes_of(s->recipes, p->stage), e);
    if (!rc)
        rc = recipes_sinks(s->recipes, p->stage, &sinks, e);
    if (!rc)
        rc = item_set_str(it, "sinks", buf_str(&sinks), e);
    if (!rc)
        rc = link_send(s->control, name, it, e);
    item_free(&it);
    buf_free(&sinks);
    buf_free(&up);
    buf_free(&down);
    return rc;
}

enum err_code supervisor_send_start(struct supervisor *s, struct err *e)
{
    enum err_code rc = recipes_new(s->p, &s->recipes, e);
    for (size_t i = 0; !rc && i < s->n_proc; i++)
        rc = send_start(s, &s->proc[i], e);
    return rc;
}

void supervisor_tell(struct supervisor *s, const struct proc *p,
                     const char *kind)
{
    struct err e = {0};
    char name[LINK_NAME], shown[128];
    struct item *it = control_new(kind, p->epoch, &e);
    peer_name(p, name);
    if (!it || link_send(s->control, name, it, &e))
        supervisor_say(s, SUPERVISOR_ERROR, "cannot tell stage '%s' to %s: %s",
                       supervisor_name(s, p, shown, sizeof shown), kind,
                       e.text);
    item_free(&it);
}

void supervisor_tell_all(struct supervisor *s, const char *kind)
{
    for (size_t i = 0; i < s->n_proc; i++)
        if (!s->proc[i].ended && s->proc[i].state != PROC_STARTED)
            supervisor_tell(s, &s->proc[i], kind);
}
