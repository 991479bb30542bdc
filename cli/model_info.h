/* What `facet model` knows of a file, for its two ways of saying it. */
#ifndef FACET_CLI_MODEL_INFO_H
#define FACET_CLI_MODEL_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/models/models.h"

#define MODEL_MAX_NETWORKS 16 /* of one file */

/* What a tensor is for. */
enum model_role {
    MODEL_PARAMETER, /* trained */
    MODEL_BUFFER,    /* saved beside: statistics of batch norms, counters */
    MODEL_STATE,     /* an optimiser's, or an averaged copy in a checkpoint */
    MODEL_ROLES
};

struct model_stats { /* of one tensor; min .. deviation of finite numbers */
    double min, max, mean, deviation;
    uint64_t finite, nan, inf;
    bool known; /* false: a type that is not handled */
};

/* A network that was found in the file. */
struct model_network {
    const struct model *model;
    const char *prefix;
    struct nn_shape input; /* as asked, else as usual; c is the file's */
    bool built, planned;   /* parameters, gflop; the rest */
    struct err why;        /* why not */
    uint64_t parameters;
    double gflop;
    size_t arena_bytes, plan_bytes;
    char *layers; /* owned; its steps as a table or a JSON list, or NULL */
};

struct model_info {
    const char *path, *format;
    uint64_t file_bytes;
    char hash[33];
    bool torch; /* a PyTorch file: its weights, as import-torch takes them */
    char from[256], stripped[128]; /* where they stood; a prefix taken off */
    struct safetensors *w;         /* owned */
    enum model_role *role;         /* owned; one a tensor */
    struct model_stats *stats;     /* owned; one a tensor, or NULL */
    char **note;                   /* what was left out, owned */
    size_t n_notes;
    uint64_t numbers[MODEL_ROLES], bytes;
    struct model_found found[MODEL_MAX_NETWORKS];
    struct model_network net[MODEL_MAX_NETWORKS];
    size_t n_nets;
};

/* How steps are to be told, if at all. */
enum model_layers { MODEL_NO_LAYERS, MODEL_TABLE, MODEL_JSON };

uint64_t model_numbers_of(const struct safetensors_entry *t);
enum err_code model_take_roles(struct model_info *i, struct err *e) MUST_USE;
enum err_code model_take_stats(struct model_info *i, struct err *e) MUST_USE;
/* "f32", "bool": the file's word in our way of writing; returns out. */
const char *model_type_of(const struct safetensors_entry *t, char out[16]);

/* Build and plan n->model at h and w of n->input (and c, if it is not 0); with
 * layers also run it and tell its steps. ERR_ARG: a shape that it does not
 * take. The same is in n->why. */
enum err_code model_plan(struct model_network *n, struct safetensors *w,
                         enum model_layers layers, struct err *e) MUST_USE;
enum err_code model_person(const struct model_info *i, bool table,
                           struct buf *b, struct err *e) MUST_USE;
enum err_code model_json(const struct model_info *i, struct buf *b,
                         struct err *e) MUST_USE;

/* `facet model FILE --to f16 -o OUT`: write i->w rounded, and append what that
 * did. */
struct model_rounding {
    const char *output;
    const char *const *keep; /* tensors left as they are; NULL ends it */
    const struct safetensors_pair *meta; /* set; a NULL key ends it */
};
enum err_code model_round(const struct model_info *i,
                          const struct model_rounding *q, struct buf *b,
                          struct err *e) MUST_USE;

#endif
