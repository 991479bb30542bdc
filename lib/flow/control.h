/* What the runner and its processes say to each other, and the run's private
 * folder. Messages are items of other kinds over one more link: the runner is
 * the ROUTER. In the order in which they occur:
 *
 *   process to runner                      runner to process
 *   hello  pid endpoint key boot_id
 *                                          start  replicas retries dead up down
 *                                                 recipe sinks
 *   ready  (opened)
 *                                          go
 *   stats  counters (and the status line), a few times a second
 *   enough (a sink that needs no more)
 *                                          finish (a source: stop producing)
 *   report text (a result line)
 *                                          stop
 *   fatal  text, counters (it ends with 3)
 *   bye    counters (it ends with 0)
 *                                          bye    leave now
 */
#ifndef FACET_FLOW_CONTROL_H
#define FACET_FLOW_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/flow/link.h"

#define CONTROL_KEY 33 /* bytes of a run's key, with the NUL */
#define CONTROL_ENV 8  /* entries of control_env_write */

/* What a started process needs to find its runner: FACET_CONTROL, FACET_DIR,
 * FACET_KEY, FACET_INSTANCE, FACET_INDEX, FACET_REPLICA, FACET_EPOCH,
 * FACET_THREADS. Strings belong to the environment. */
struct control_env {
    const char *control; /* endpoint of the runner */
    const char *dir;     /* the run's folder */
    const char *key, *instance;
    int index; /* of the process in the run */
    int replica, threads;
    uint32_t epoch;
};
enum err_code control_env_read(struct control_env *out, struct err *e) MUST_USE;
/* "NAME=value" strings, each to be given back with mem_free. */
enum err_code control_env_write(const struct control_env *c,
                                char *out[CONTROL_ENV], struct err *e) MUST_USE;

/* Endpoint of process `index`: "ipc://DIR/p<index>.<epoch>". ERR_ARG if the
 * path is longer than the system takes. */
enum err_code control_endpoint(const char *dir, int index, uint32_t epoch,
                               char out[LINK_MAX_ENDPOINT + 8],
                               struct err *e) MUST_USE;

/* A message without fields. */
struct item *control_new(const char *kind, uint32_t epoch,
                         struct err *e) MUST_USE;

/* The counters of a process. */
struct control_stats {
    int64_t in, out, failed, done; /* items; done: inputs DONE */
    int64_t roots, expect;         /* source: items DONE; announced or -1 */
    int64_t busy_ns;               /* in the stage's own functions */
    int64_t out_bytes;
};
enum err_code control_stats_put(struct item *it, const struct control_stats *s,
                                struct err *e) MUST_USE;
struct control_stats control_stats_get(const struct item *it);

/* Neighbours travel as lines: "INDEX EPOCH" each sender, and
 * "OUT_PORT EDGE TO_PORT INDEX EPOCH ENDPOINT" each receiver. */
struct control_peer {
    char out_port[64], to_port[64];
    int edge, index;
    uint32_t epoch;
    char endpoint[LINK_MAX_ENDPOINT + 8];
};
/* Read the next line of *text and move behind it; false at the end. A
 * malformed line sets e. */
bool control_up_next(const char **text, struct control_peer *out,
                     struct err *e);
bool control_down_next(const char **text, struct control_peer *out,
                       struct err *e);

/* This boot of this machine, from /proc; "" where there is none. */
void control_boot_id(char out[64]);

#endif
