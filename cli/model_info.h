/* What `facet model` knows of a file, for its two ways of saying it. */
#ifndef FACET_CLI_MODEL_INFO_H
#define FACET_CLI_MODEL_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/models/models.h"

struct model_stats { /* of one tensor; min .. deviation of finite numbers */
    double min, max, mean, deviation;
    uint64_t finite, nan, inf;
    bool known; /* false: a type that is not handled */
};

struct model_info {
    const char *path, *format;
    uint64_t file_bytes;
    char hash[33];
    struct safetensors *w;     /* owned */
    struct model_stats *stats; /* owned; one a tensor, or NULL */
    char **note;               /* what was left out, owned */
    size_t n_notes;
    uint64_t parameters, buffers, bytes;
    /* the network, if it is known */
    const struct model *known;
    char prefix[128];
    struct nn_shape input;
    bool planned;   /* gflop, arena and plan are set */
    struct err why; /* why not */
    double gflop;
    size_t arena_bytes, plan_bytes;
    char *layers; /* owned; the plan's table, or NULL */
};

/* A running statistic of batch norm, which is saved but not trained? */
bool model_is_buffer(const char *name);
/* Build and plan the network at i->input; with `layers` also run it and keep
 * the table of its steps. Failure is kept in i->why. */
void model_plan(struct model_info *i, bool layers);
enum err_code model_person(const struct model_info *i, bool table,
                           struct buf *b, struct err *e) MUST_USE;
enum err_code model_json(const struct model_info *i, struct buf *b,
                         struct err *e) MUST_USE;

#endif
