/* Nothing moves: for whom does the run wait? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/flow/inhand.h"
#include "lib/flow/supervisor_internal.h"

#define QUIET (5000 * SUPERVISOR_MS) /* without progress: say so */
#define LOOK_EVERY (1000 * SUPERVISOR_MS)
#define SAY_MOST (60000 * SUPERVISOR_MS) /* between two lines */

static int64_t count(const struct supervisor *s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s->n_proc; i++) {
        const struct control_stats *c = &s->proc[i].stats;
        n += c->in + c->out + c->failed + c->done + c->roots;
        n += s->proc[i].state + (s->proc[i].ended ? 10 : 0);
    }
    return n;
}

/* The stages that what `from` emits gets to, into seen. The graph has no
 * cycles, and each stage is entered once. */
static void follow(const struct supervisor *s, size_t from, bool *seen)
{
    for (size_t i = 0; i < s->p->n_edges; i++) {
        size_t to = s->p->edges[i].to;
        if (s->p->edges[i].from != from || seen[to])
            continue;
        seen[to] = true;
        follow(s, to, seen);
    }
}

/* A stage further on has something in work: a stage that waits for room
 * downstream has something in work too, but is not to blame. */
static bool blames(const struct supervisor *s, const bool *holds, size_t stage)
{
    bool seen[SUPERVISOR_STAGES] = {false};
    follow(s, stage, seen);
    for (size_t i = 0; i < s->p->n_stages; i++)
        if (holds[i] && seen[i])
            return true;
    return false;
}

static void look(struct supervisor *s, int64_t now)
{
    bool holds[SUPERVISOR_STAGES] = {false};
    struct inhand_view v, worst = {0};
    const struct proc *who = NULL;
    for (size_t i = 0; i < s->n_proc; i++) {
        inhand_look(s->dir.path, s->proc[i].index, &v);
        if (v.since_ns && !s->proc[i].ended)
            holds[s->proc[i].stage] = true;
    }
    for (size_t i = 0; i < s->n_proc; i++) {
        const struct proc *p = &s->proc[i];
        inhand_look(s->dir.path, p->index, &v);
        if (!v.since_ns || p->ended || now - v.since_ns < QUIET ||
            (who && v.since_ns >= worst.since_ns) || blames(s, holds, p->stage))
            continue;
        who = p;
        worst = v;
    }
    s->stall[0] = 0;
    if (!who)
        return;
    char name[128], *text = worst.text;
    /* On one line of a terminal the name says more than the id. */
    size_t n = strlen(text);
    if (s->o.columns > 0 && worst.items == 1 && n > 35 &&
        strncmp(text + 32, " (", 2) == 0) {
        text[n - 1] = 0;
        text += 34;
    }
    snprintf(s->stall, sizeof s->stall,
             "waiting for %s, %" PRId64 " s: %s%.300s%s%s%s",
             supervisor_name(s, who, name, sizeof name),
             (now - worst.since_ns) / (1000 * SUPERVISOR_MS),
             worst.items ? "item " : "", text, worst.note[0] ? " (" : "",
             worst.note, worst.note[0] ? ")" : "");
}

void supervisor_watch(struct supervisor *s, int64_t now)
{
    int64_t moved = count(s);
    if (!s->gone || s->stopping || moved != s->moved || !s->moved_ns)
        s->moved_ns = now;
    s->moved = moved;
    if (now - s->moved_ns < QUIET) {
        s->stall[0] = 0;
        s->next_stall = 0;
        return;
    }
    if (now < s->look_at)
        return;
    s->look_at = now + LOOK_EVERY;
    look(s, now);
    if (!s->stall[0] || s->o.columns > 0 || now < s->next_stall)
        return;
    s->stall_step = s->next_stall ? 2 * s->stall_step : QUIET;
    if (s->stall_step > SAY_MOST)
        s->stall_step = SAY_MOST;
    s->next_stall = now + s->stall_step;
    supervisor_say(s, SUPERVISOR_INFO, "%s", s->stall);
}
