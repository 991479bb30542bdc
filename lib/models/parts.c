/* What several networks share: norms by kind, sizes read from weight files. */
#include "lib/models/parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

int part_norm(const struct nn_scope *s, int x, const char *name,
              enum part_norm kind, int64_t groups)
{
    switch (kind) {
    case PART_BATCH:
        return nn_batch_norm_layer(s, x, name);
    case PART_INSTANCE:
        return nn_instance_norm_layer(s, x, name, false);
    case PART_GROUP:
        return nn_group_norm_layer(s, x, name, groups);
    case PART_NONE:
        break;
    }
    return x;
}

bool part_has(const struct safetensors *w, const char *prefix, const char *name)
{
    char full[192];
    int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    return n > 0 && (size_t)n < sizeof full && safetensors_find(w, full, NULL);
}

enum part_norm part_norm_read(const struct safetensors *w, const char *prefix,
                              const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "%s.running_mean", name);
    if (part_has(w, prefix, full))
        return PART_BATCH;
    snprintf(full, sizeof full, "%s.weight", name);
    return part_has(w, prefix, full) ? PART_GROUP : PART_INSTANCE;
}

double part_he_std(int64_t out, int64_t kernel)
{
    return sqrt(2 / (double)(out * kernel * kernel));
}

int part_dim(const struct safetensors *w, const char *prefix, const char *name,
             int ndim, int axis)
{
    char full[192];
    struct safetensors_entry t;
    int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    if (n < 0 || (size_t)n >= sizeof full || !safetensors_find(w, full, &t) ||
        t.ndim != ndim || t.shape[axis] < 1 || t.shape[axis] > PARTS_MAX_WIDTH)
        return 0;
    return (int)t.shape[axis];
}

int part_count(const struct safetensors *w, const char *prefix,
               const char *before, const char *after, int first, int most)
{
    int n = 0;
    for (; n < most; n++) {
        char name[96];
        snprintf(name, sizeof name, "%s%d%s", before, first + n, after);
        if (!part_has(w, prefix, name))
            break;
    }
    return n;
}

int part_fail(struct nn_graph *g, const char *fmt, ...)
{
    struct err e = {.code = ERR_ARG};
    va_list args;
    va_start(args, fmt);
    vsnprintf(e.text, sizeof e.text, fmt, args);
    va_end(args);
    nn_graph_fail(g, &e);
    return -1;
}
