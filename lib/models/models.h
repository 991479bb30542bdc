/* All networks by name: for `facet model`, benchmarks and tests. */
#ifndef FACET_MODELS_MODELS_H
#define FACET_MODELS_MODELS_H

#include "lib/nn/layer.h"
#include "lib/nn/safetensors.h"

struct model {
    const char *name;      /* "global-generator" */
    const char *help;      /* one line, with the source */
    struct nn_shape input; /* as it is usually run: [3,256,256] */
    /* Do these weights (names under prefix, may be "") look like this network?
     * Only shapes and names are read. */
    bool (*matches)(const struct safetensors *w, const char *prefix);
    /* Write the network with one nn_input of `input` (c is fixed, h and w may
     * be others) and its nn_outputs. Widths and depths are read from w's
     * shapes under prefix if w is not NULL, else the published sizes. The
     * parameters come from s->ps (see nn_params_source). */
    enum err_code (*build)(const struct nn_scope *s, struct nn_shape input,
                           const struct safetensors *w, const char *prefix,
                           struct err *e);
};

size_t model_count(void);
const struct model *model_at(size_t i);
const struct model *model_find(const char *name); /* NULL if none */
/* The network that a file holds, under "" or a prefix that ends in a dot
 * ("module.", "generator."), which is written to prefix[n]; of several the
 * first of the list above. NULL if none. Test: tests/test_models.c. */
const struct model *model_recognise(const struct safetensors *w, char *prefix,
                                    size_t n);
/* All of them (a checkpoint of a generator and its discriminator has two), in
 * the order of the list above: the first max; their number. */
struct model_found {
    const struct model *model;
    char prefix[128];
};
size_t model_recognise_all(const struct safetensors *w, struct model_found *out,
                           size_t max);

#endif
