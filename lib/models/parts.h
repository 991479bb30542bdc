/* What several networks share: norms by kind, sizes read from weight files. */
#ifndef FACET_MODELS_PARTS_H
#define FACET_MODELS_PARTS_H

#include "lib/nn/layer.h"
#include "lib/nn/safetensors.h"

#define PARTS_MAX_WIDTH 16384

enum part_norm {
    PART_BATCH,    /* weight, bias, running_mean, running_var */
    PART_INSTANCE, /* no parameters: torch.nn.InstanceNorm2d's default */
    PART_GROUP,    /* weight, bias; groups as given */
    PART_NONE
};

/* Instance and no norm leave the bias of the convolution before to it. */
int part_norm(const struct nn_scope *s, int x, const char *name,
              enum part_norm kind, int64_t groups);
/* The kind that the norm at prefix + "name" has in a file: running_mean tells
 * batch, weight group, neither instance. */
enum part_norm part_norm_read(const struct safetensors *w, const char *prefix,
                              const char *name);
/* Deviation of He's initialisation by fan out (torchvision's choice for
 * convolutions): sqrt(2 / (out k k)). */
double part_he_std(int64_t out, int64_t kernel);

/* Size along `axis` of the tensor prefix + name, which must have `ndim` axes;
 * 0 if there is none such, or it is no width (1..PARTS_MAX_WIDTH). */
int part_dim(const struct safetensors *w, const char *prefix, const char *name,
             int ndim, int axis);
/* How many of the tensors prefix + before + i + after, i = first, first + 1,
 * ..., follow one another; at most `most`. */
int part_count(const struct safetensors *w, const char *prefix,
               const char *before, const char *after, int first, int most);
bool part_has(const struct safetensors *w, const char *prefix,
              const char *name);

/* Keep an ERR_ARG as the graph's error; returns -1. */
int part_fail(struct nn_graph *g, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
