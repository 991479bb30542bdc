/* Messages between the runner and its processes. */
#include "lib/flow/control.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

static enum err_code env_str(const char *name, const char **out, struct err *e)
{
    *out = getenv(name);
    if (*out && **out)
        return OK;
    return err_set(e, ERR_ARG, "not started by a runner: %s is not set", name);
}

static enum err_code env_int(const char *name, int64_t max, int64_t *out,
                             struct err *e)
{
    const char *s;
    enum err_code rc = env_str(name, &s, e);
    if (!rc && (!text_to_i64(s, out) || *out < 0 || *out > max))
        rc = err_set(e, ERR_ARG, "%s='%.40s' is not a number in 0..%" PRId64,
                     name, s, max);
    return rc;
}

enum err_code control_env_read(struct control_env *out, struct err *e)
{
    int64_t index = 0, replica = 0, epoch = 0, threads = 0;
    enum err_code rc;
    if ((rc = env_str("FACET_CONTROL", &out->control, e)) ||
        (rc = env_str("FACET_DIR", &out->dir, e)) ||
        (rc = env_str("FACET_KEY", &out->key, e)) ||
        (rc = env_str("FACET_INSTANCE", &out->instance, e)) ||
        (rc = env_int("FACET_INDEX", INT_MAX, &index, e)) ||
        (rc = env_int("FACET_REPLICA", INT_MAX, &replica, e)) ||
        (rc = env_int("FACET_EPOCH", UINT32_MAX, &epoch, e)) ||
        (rc = env_int("FACET_THREADS", 4096, &threads, e)))
        return rc;
    out->index = (int)index;
    out->replica = (int)replica;
    out->epoch = (uint32_t)epoch;
    out->threads = threads < 1 ? 1 : (int)threads;
    return OK;
}

enum err_code control_env_write(const struct control_env *c,
                                char *out[CONTROL_ENV], struct err *e)
{
    out[0] = mem_printf("FACET_CONTROL=%s", c->control);
    out[1] = mem_printf("FACET_DIR=%s", c->dir);
    out[2] = mem_printf("FACET_KEY=%s", c->key);
    out[3] = mem_printf("FACET_INSTANCE=%s", c->instance);
    out[4] = mem_printf("FACET_INDEX=%d", c->index);
    out[5] = mem_printf("FACET_REPLICA=%d", c->replica);
    out[6] = mem_printf("FACET_EPOCH=%" PRIu32, c->epoch);
    out[7] = mem_printf("FACET_THREADS=%d", c->threads);
    bool all = true;
    for (int i = 0; i < CONTROL_ENV; i++)
        all = all && out[i];
    for (int i = 0; !all && i < CONTROL_ENV; i++) {
        mem_free(out[i]);
        out[i] = NULL;
    }
    return all ? OK : err_set(e, ERR_NOMEM, "no memory for an environment");
}

enum err_code control_endpoint(const char *dir, int index, uint32_t epoch,
                               char out[LINK_MAX_ENDPOINT + 8], struct err *e)
{
    int n = snprintf(out, LINK_MAX_ENDPOINT + 8, "ipc://%s/p%d.%" PRIu32, dir,
                     index, epoch);
    if (n < 0 || (size_t)n - strlen("ipc://") >=
                     sizeof((struct sockaddr_un *)0)->sun_path)
        return err_set(e, ERR_ARG, "'%s' is too long for a socket's path", dir);
    return OK;
}

struct item *control_new(const char *kind, uint32_t epoch, struct err *e)
{
    struct item *it = item_new(e);
    if (it) {
        snprintf(it->kind, sizeof it->kind, "%s", kind);
        it->epoch = epoch;
    }
    return it;
}

#define STATS 8
static const char *const stats_name[STATS] = {
    "in", "out", "failed", "done", "roots", "expect", "busy_ns", "out_bytes"};

enum err_code control_stats_put(struct item *it, const struct control_stats *s,
                                struct err *e)
{
    const int64_t v[STATS] = {s->in,    s->out,    s->failed,  s->done,
                              s->roots, s->expect, s->busy_ns, s->out_bytes};
    enum err_code rc = OK;
    for (int i = 0; !rc && i < STATS; i++)
        rc = item_set_i64(it, stats_name[i], v[i], e);
    return rc;
}

struct control_stats control_stats_get(const struct item *it)
{
    int64_t v[STATS];
    for (int i = 0; i < STATS; i++)
        v[i] = item_i64(it, stats_name[i], 0);
    return (struct control_stats){v[0], v[1], v[2], v[3],
                                  v[4], v[5], v[6], v[7]};
}

/* Split off up to n words at blanks; the last takes the rest of the line. */
static int split(char *line, char **word, int n)
{
    int k = 0;
    while (k < n && *line) {
        word[k++] = line;
        if (k == n)
            break;
        line += strcspn(line, " ");
        if (*line)
            *line++ = 0;
    }
    return k;
}

static bool next_line(const char **text, char *line, size_t size, struct err *e)
{
    size_t n = strcspn(*text, "\n");
    if (n == 0)
        return false;
    if (n >= size) {
        err_set(e, ERR_DATA, "a neighbour's line of %zu bytes", n);
        return false;
    }
    memcpy(line, *text, n);
    line[n] = 0;
    *text += n + ((*text)[n] == '\n');
    return true;
}

static bool numbers(const char *index, const char *epoch,
                    struct control_peer *out)
{
    int64_t i, k;
    if (!text_to_i64(index, &i) || !text_to_i64(epoch, &k) || i < 0 ||
        i > INT_MAX || k < 0 || k > UINT32_MAX)
        return false;
    out->index = (int)i;
    out->epoch = (uint32_t)k;
    return true;
}

bool control_up_next(const char **text, struct control_peer *out, struct err *e)
{
    char line[512], *word[2];
    *out = (struct control_peer){.edge = 0};
    if (!next_line(text, line, sizeof line, e))
        return false;
    if (split(line, word, 2) == 2 && numbers(word[0], word[1], out))
        return true;
    err_set(e, ERR_DATA, "malformed line of a sender");
    return false;
}

bool control_down_next(const char **text, struct control_peer *out,
                       struct err *e)
{
    char line[512], *word[6];
    int64_t edge;
    *out = (struct control_peer){.edge = 0};
    if (!next_line(text, line, sizeof line, e))
        return false;
    if (split(line, word, 6) != 6 || !text_to_i64(word[1], &edge) || edge < 0 ||
        edge > INT_MAX || !numbers(word[3], word[4], out) ||
        strlen(word[0]) >= sizeof out->out_port ||
        strlen(word[2]) >= sizeof out->to_port ||
        strlen(word[5]) >= sizeof out->endpoint) {
        err_set(e, ERR_DATA, "malformed line of a receiver");
        return false;
    }
    out->edge = (int)edge;
    snprintf(out->out_port, sizeof out->out_port, "%s", word[0]);
    snprintf(out->to_port, sizeof out->to_port, "%s", word[2]);
    snprintf(out->endpoint, sizeof out->endpoint, "%s", word[5]);
    return true;
}

void control_boot_id(char out[64])
{
    struct buf b;
    out[0] = 0;
    if (file_read("/proc/sys/kernel/random/boot_id", 256, &b, NULL))
        return;
    snprintf(out, 64, "%.*s", (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
    buf_free(&b);
}
