/* The stages of a pipeline file: names, counts, commands, descriptions. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/dirs.h"
#include "lib/flow/pipeline_load.h"

#define MAX_WORDS 128

bool pipe_key_set(const char *name)
{
    static const char *const keys[] = {"run", "replicas", "threads", "retries",
                                       "restart"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], name) == 0)
            return true;
    return false;
}

/* Reports about a value of the file, or of --set where there is one. */
static void bad_value(struct pipe_load *l, const struct yaml_node *at,
                      const char *set, const char *text)
{
    if (set)
        pipe_error_set(l, set, "%s", text);
    else
        pipe_error(l, at, "%s", text);
}

/* The counts of a stage. */
static const struct count {
    const char *key, *word; /* a text that means 0, or NULL */
    int lo, hi, fallback;
    size_t offset;
} counts[] = {
    {"replicas", "auto", 1, PIPE_MAX_REPLICAS, 1,
     offsetof(struct pipe_stage, replicas)},
    {"threads", NULL, 1, PIPE_MAX_THREADS, 0,
     offsetof(struct pipe_stage, threads)},
    {"retries", NULL, 0, PIPE_MAX_RETRIES, 0,
     offsetof(struct pipe_stage, retries)},
    {"restart", NULL, 0, PIPE_MAX_RESTART, -1,
     offsetof(struct pipe_stage, restart)},
};
#define N_COUNTS (sizeof counts / sizeof *counts)

static int to_count(struct pipe_load *l, const struct count *c,
                    const char *text, const struct yaml_node *at,
                    const char *set)
{
    char why[200];
    int64_t n = 0;
    if (c->word && strcmp(text, c->word) == 0)
        return 0;
    if (text_to_i64(text, &n) && n >= c->lo && n <= c->hi)
        return (int)n;
    (void)snprintf(why, sizeof why,
                   "%s: '%.60s' is not a whole number from %d to %d%s%s",
                   c->key, text, c->lo, c->hi, c->word ? " or " : "",
                   c->word ? c->word : "");
    bad_value(l, at, set, why);
    return c->fallback;
}

static void read_counts(struct pipe_load *l, struct pipe_stage *s,
                        const struct yaml_node *stage)
{
    for (size_t i = 0; i < N_COUNTS; i++) {
        const struct yaml_node *v = yaml_get(stage, counts[i].key);
        int *at = (int *)(void *)((char *)s + counts[i].offset);
        *at = counts[i].fallback;
        char *text = yaml_is_null(v) ? NULL : pipe_text(l, v, counts[i].key);
        if (text)
            *at = to_count(l, &counts[i], text, v, NULL);
        mem_free(text);
    }
}

void pipe_set_counts(struct pipe_load *l, struct pipe_stage *s)
{
    for (size_t i = 0; i < N_COUNTS; i++) {
        const char *set = pipe_find_set(l, s->name, counts[i].key);
        bool param = false;
        for (size_t k = 0; k < s->info->n_params; k++)
            param = param || !strcmp(s->info->params[k].name, counts[i].key);
        if (set && !param)
            *(int *)(void *)((char *)s + counts[i].offset) =
                to_count(l, &counts[i], strchr(set, '=') + 1, NULL, set);
    }
}

/* "30", "1.5", "500 ms", "30 s", "2 min", "1 h" as milliseconds. */
static bool to_ms(const char *text, int64_t *out)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1e3},       {"ms", 1},       {"s", 1e3},
                 {"sec", 1e3},    {"m", 60e3},     {"min", 60e3},
                 {"h", 36e5},     {"hours", 36e5}, {"minutes", 60e3},
                 {"seconds", 1e3}};
    char number[32];
    double v;
    size_t n = strspn(text, "0123456789."), k = 0;
    if (n == 0 || n >= sizeof number)
        return false;
    memcpy(number, text, n);
    number[n] = 0;
    const char *unit = text + n + strspn(text + n, " ");
    while (k < sizeof units / sizeof *units && strcmp(unit, units[k].unit) != 0)
        k++;
    if (k == sizeof units / sizeof *units || !text_to_f64(number, &v) ||
        v * units[k].ms < 1 || v * units[k].ms > PIPE_MAX_LIMIT_MS)
        return false;
    *out = (int64_t)(v * units[k].ms + 0.5);
    return true;
}

static void read_limit(struct pipe_load *l, const struct yaml_node *v,
                       const char *what, int64_t *out)
{
    char *text = yaml_is_null(v) ? NULL : pipe_text(l, v, what);
    if (text && !to_ms(text, out))
        pipe_error(l, v,
                   "%s: '%.60s' is not a time from 1 ms to 7 days (seconds, or "
                   "with a unit: '500 ms', '30 s', '2 min', '1 h')",
                   what, text);
    mem_free(text);
}

/* time-limit: 30, or {item: 30, open: 120}. */
static void read_limits(struct pipe_load *l, struct pipe_stage *s,
                        const struct yaml_node *stage)
{
    static const char *const keys[] = {"item", "open", NULL};
    const struct yaml_node *v = yaml_get(stage, "time-limit");
    if (yaml_is_null(v))
        return;
    if (v->kind == YAML_MAP) {
        pipe_check_keys(l, v, keys, "a time-limit");
        read_limit(l, yaml_get(v, "item"), "time-limit: item", &s->item_ms);
        read_limit(l, yaml_get(v, "open"), "time-limit: open", &s->open_ms);
    } else if (v->kind == YAML_SCALAR) {
        read_limit(l, v, "time-limit", &s->item_ms);
    } else {
        pipe_error(l, v, "time-limit is a time, or a map with item and open");
    }
}

static void read_stage(struct pipe_load *l, const struct yaml_node *key,
                       const struct yaml_node *node)
{
    static const char *const keys[] = {"run",      "from",       "with",
                                       "replicas", "threads",    "retries",
                                       "restart",  "time-limit", NULL};
    struct pipe_stage *s = &l->p->stages[l->p->n_stages];
    if (!pipe_name_ok(key->text)) {
        pipe_error(l, key,
                   "'%.60s' is not a stage name (a small letter, then "
                   "a-z0-9_-, 47 at most)",
                   key->text);
        return;
    }
    s->name = mem_strdup(key->text);
    if (!s->name) {
        pipe_no_memory(l);
        return;
    }
    s->line = key->line;
    s->column = key->column;
    l->node[l->p->n_stages++] = node;
    if (node->kind != YAML_MAP) {
        pipe_error(l, node, "stage '%s' must be a map, not %s", key->text,
                   yaml_kind_name(node));
        return; /* counted, so that others may name it */
    }
    pipe_check_keys(l, node, keys, "a stage");
    read_counts(l, s, node);
    read_limits(l, s, node);
}

bool pipe_stage_bridged(const struct pipe_stage *st)
{
    return !st->ours || st->item_ms || st->open_ms || st->restart > 0;
}

void pipe_read_stages(struct pipe_load *l)
{
    const struct yaml_node *stages = yaml_get(l->root, "stages");
    size_t n = 0;
    if (yaml_is_null(stages))
        pipe_error(l, stages ? stages : l->root, "no stages");
    else if (stages->kind != YAML_MAP)
        pipe_error(l, stages, "stages must be a map, not %s",
                   yaml_kind_name(stages));
    else if (stages->n > PIPE_MAX_STAGES)
        pipe_error(l, stages, "more than %d stages", PIPE_MAX_STAGES);
    else if (stages->n == 0)
        pipe_error(l, stages, "no stages");
    else
        n = stages->n;
    l->p->stages = mem_calloc(n ? n : 1, sizeof *l->p->stages);
    l->node = mem_calloc(n ? n : 1, sizeof *l->node);
    if (!l->p->stages || !l->node) {
        pipe_no_memory(l);
        return;
    }
    for (size_t i = 0; i < n && !l->rc; i++)
        read_stage(l, stages->keys[i], stages->items[i]);
}

/* One word of a command line from *s into new memory; quotes and backslashes
 * as a shell has them, nothing else is special. NULL with *ok false if a quote
 * is not closed; NULL with *ok true at the end. */
static char *next_word(const char **s, bool *ok, struct buf *b)
{
    struct err e;
    char quote = 0;
    const char *p = *s + strspn(*s, " \t\n");
    *ok = true;
    b->len = 0;
    if (!*p)
        return NULL;
    for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
        if (quote && *p == quote) {
            quote = 0;
            continue;
        }
        if (!quote && (*p == '\'' || *p == '"')) {
            quote = *p;
            continue;
        }
        if (*p == '\\' && quote != '\'' && p[1])
            p++;
        if (buf_put(b, p, 1, &e) != OK)
            return NULL;
    }
    *s = p;
    *ok = quote == 0;
    if (quote || buf_puts(b, "", &e) != OK)
        return NULL;
    return mem_strdup(b->len ? buf_str(b) : "");
}

static void split_words(struct pipe_load *l, struct pipe_stage *s,
                        const struct yaml_node *at, const char *set)
{
    struct buf b;
    bool ok = true;
    const char *rest = s->run;
    buf_init(&b, YAML_MAX_BYTES);
    s->argv = mem_calloc(MAX_WORDS + 1, sizeof *s->argv);
    while (s->argv && rest[strspn(rest, " \t\n")]) {
        char *word = next_word(&rest, &ok, &b);
        if (!word && ok)
            pipe_no_memory(l);
        if (!word)
            break;
        if (s->argc == MAX_WORDS) {
            mem_free(word);
            bad_value(l, at, set, "run: more than 128 words");
            buf_free(&b);
            return;
        }
        s->argv[s->argc++] = word;
    }
    if (!ok)
        bad_value(l, at, set, "run: a quote is not closed");
    else if (!s->argv)
        pipe_no_memory(l);
    else if (!s->argc && !l->rc)
        bad_value(l, at, set, "run: no command");
    buf_free(&b);
}

/* Is there such a program on PATH? */
static bool on_path(const char *name)
{
    const char *s = getenv("PATH");
    while (s && *s) {
        size_t len = strcspn(s, ":");
        char path[4096];
        int n = snprintf(path, sizeof path, "%.*s/%s", len ? (int)len : 1,
                         len ? s : ".", name);
        if (n > 0 && (size_t)n < sizeof path && access(path, X_OK) == 0)
            return true;
        s += len + (s[len] == ':');
    }
    return false;
}

/* argv[0] from a name to a path, unless it is a program on PATH that a whole
 * command line names. False if it cannot be run (reported). */
static bool find_program(struct pipe_load *l, struct pipe_stage *s,
                         const struct yaml_node *at, const char *set)
{
    char *path = NULL, why[700];
    struct err e;
    enum err_code rc = stage_find(l->o->stage_dirs, s->argv[0], &path, &e);
    if (rc == OK) {
        mem_free(s->argv[0]);
        s->argv[0] = path;
        return true;
    }
    if (rc == ERR_NOMEM) {
        pipe_no_memory(l);
        return false;
    }
    if (s->argc > 1 && !strchr(s->argv[0], '/')) {
        if (on_path(s->argv[0]))
            return true;
        (void)snprintf(why, sizeof why,
                       "run: no program '%.60s' among the stages or on PATH",
                       s->argv[0]);
        bad_value(l, at, set, why);
        return false;
    }
    (void)snprintf(why, sizeof why, "run: %s", e.text);
    bad_value(l, at, set, why);
    return false;
}

/* run: to argv. False if that cannot be (reported). */
static bool read_run(struct pipe_load *l, struct pipe_stage *s,
                     const struct yaml_node *node)
{
    const struct yaml_node *run = yaml_get(node, "run");
    const char *set = pipe_find_set(l, s->name, "run");
    if (node->kind != YAML_MAP)
        return false;
    if (!set && yaml_is_null(run)) {
        pipe_error_at(l, s->line, s->column, "stage '%s' has no 'run'",
                      s->name);
        return false;
    }
    if (!set && run->kind != YAML_SCALAR) {
        pipe_error(l, run, "run must be a text, not %s", yaml_kind_name(run));
        return false;
    }
    s->run = set ? mem_strdup(strchr(set, '=') + 1) : pipe_text(l, run, "run");
    if (!s->run && set)
        pipe_no_memory(l);
    if (!s->run)
        return false;
    size_t errors = l->errors;
    split_words(l, s, run, set);
    if (l->rc || l->errors > errors)
        return false;
    return find_program(l, s, run, set);
}

void pipe_read_commands(struct pipe_load *l)
{
    size_t n = 0, count = l->p->n_stages;
    struct info_job *jobs = mem_calloc(count ? count : 1, sizeof *jobs);
    size_t *stage = mem_calloc(count ? count : 1, sizeof *stage);
    if (!jobs || !stage) {
        pipe_no_memory(l);
        goto done;
    }
    for (size_t i = 0; i < count && !l->rc; i++)
        if (read_run(l, &l->p->stages[i], l->node[i])) {
            jobs[n].argv = l->p->stages[i].argv;
            stage[n++] = i;
        }
    if (l->rc)
        goto done;
    stage_info_jobs(jobs, n);
    for (size_t k = 0; k < n; k++) {
        struct pipe_stage *s = &l->p->stages[stage[k]];
        s->info = jobs[k].info;
        s->ours = s->info && s->info->ours;
        if (jobs[k].rc == ERR_NOMEM)
            pipe_no_memory(l);
        else if (jobs[k].rc)
            pipe_error(l, yaml_get(l->node[stage[k]], "run"), "stage '%s': %s",
                       s->name, jobs[k].e.text);
        else if (s->restart > 0 && strcmp(s->info->kind, "source") == 0)
            pipe_error(l, yaml_get(l->node[stage[k]], "restart"),
                       "stage '%s' is a source: started anew it would begin "
                       "again, so it cannot have a restart",
                       s->name);
    }
done:
    mem_free(jobs);
    mem_free(stage);
}
