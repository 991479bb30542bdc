/* Named tensors of a PyTorch file, and which of them are weights. */
#ifndef FACET_NN_TORCH_TENSORS_H
#define FACET_NN_TORCH_TENSORS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/nn/torch_view.h"

#define TORCH_MAX_NAME 1024 /* bytes of a tensor's name */
#define TORCH_MAX_TENSORS 65536
#define TORCH_MAX_DEPTH 64                  /* of containers */
#define TORCH_MAX_VISITS ((size_t)16 << 20) /* values looked at, in all */

struct torch_tensor {
    char *name; /* its path: "layer1.0.weight" */
    struct torch_view view;
    bool usable; /* false: `why` says why it cannot be written */
    char why[96];
};

/* Every tensor below `root` by its path: keys of dicts, numbers in lists and
 * tuples, attributes of objects, joined by dots. nn.Modules saved whole give
 * the names of their state_dict(). Values in cycles and in what is no
 * container are passed over. Malformed tensors and names (NUL and control
 * characters, not UTF-8, too long, twice the same), and the caps above, are
 * ERR_DATA. max: the most bytes all may take. The views point into the tree
 * that root is of. */
enum err_code torch_tensors_of(const struct pickle_value *root, size_t max,
                               struct torch_tensor **out, size_t *n,
                               struct err *e) MUST_USE;
/* The same within *visits values looked at, which are taken off it: a tree that
 * shares its branches is small to store and endless to walk. */
enum err_code torch_tensors_within(const struct pickle_value *root, size_t max,
                                   size_t *visits, struct torch_tensor **out,
                                   size_t *n, struct err *e) MUST_USE;
/* An nn.Module saved whole, or a TorchScript object? */
bool torch_is_module(const struct pickle_value *v);
void torch_tensors_free(struct torch_tensor **t, size_t n);
/* ERR_DATA if two have one name. */
enum err_code torch_tensors_unique(const struct torch_tensor *t, size_t n,
                                   struct err *e) MUST_USE;

/* How the weights of a file are chosen. */
struct torch_options {
    const char *key;   /* "model.ema": what stands there; NULL: see below */
    bool all;          /* everything, optimiser states too */
    bool keep_prefix;  /* leave "module." and "_orig_mod." before names */
    const char *strip; /* taken off names that start so; NULL */
    const char *only;  /* only names that start so; NULL */
};

/* The weights of a file, and what a person should know of the choice. */
struct torch_weights {
    struct torch_tensor *tensor;
    size_t n;
    char from[256];     /* "state_dict": where they stood; "": the top */
    bool several;       /* more than one set: names are full paths */
    char stripped[128]; /* prefixes taken off, "" if none */
    struct torch_left {
        char *what; /* "optimizer: 126 tensors" */
    } * left;
    size_t n_left;
};

/* Without a key: the top if it holds tensors or is a module; else what stands
 * under the one usual key (state_dict, model, ..); else under the one key that
 * holds tensors; else all sets but those of optimisers, by full paths.
 * ERR_NOTFOUND if there is no such key or no tensor; ERR_ARG if `strip` or
 * `only` fits no name; ERR_DATA as torch_tensors_of, or if two names become
 * one. */
enum err_code torch_weights_of(const struct torch_file *f,
                               const struct torch_options *o,
                               struct torch_weights **out,
                               struct err *e) MUST_USE;
void torch_weights_free(struct torch_weights **w);

#endif
