/* Layers with their parameters: torch.nn modules by their state-dict names,
 * beginning as torch.nn 1.13 begins them (reset_parameters of each). */
#include "lib/nn/layer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct nn_scope nn_scope(struct nn_graph *g, struct nn_params *ps)
{
    return (struct nn_scope){.g = g, .ps = ps};
}

struct nn_scope nn_sub(const struct nn_scope *s, const char *fmt, ...)
{
    struct nn_scope sub = *s;
    size_t n = strlen(s->prefix), room = sizeof sub.prefix - n;
    va_list ap;
    va_start(ap, fmt);
    int k = vsnprintf(sub.prefix + n, room, fmt, ap);
    va_end(ap);
    if (k < 0 || (size_t)k + 1 >= room) {
        struct err why;
        err_set(&why, ERR_ARG, "the name '%s...' is longer than %zu bytes",
                sub.prefix, sizeof sub.prefix - 2);
        nn_graph_fail(s->g, &why);
        return *s;
    }
    sub.prefix[n + (size_t)k] = '.';
    sub.prefix[n + (size_t)k + 1] = 0;
    return sub;
}

/* The parameter <prefix><name>.<leaf>, <prefix><leaf> if name is "", or
 * <prefix><name> if there is no leaf. NULL after any failure, which the graph
 * keeps. */
static struct nn_param *param(const struct nn_scope *s, const char *name,
                              const char *leaf, bool buffer, int ndim,
                              const int64_t *shape, struct nn_init_spec init)
{
    struct err why;
    char full[256];
    struct nn_param *p = NULL;
    if (nn_graph_status(s->g, NULL))
        return NULL;
    const char *dot = *name && leaf ? "." : "";
    int k = snprintf(full, sizeof full, "%s%s%s%s", s->prefix, name, dot,
                     leaf ? leaf : "");
    if (k < 0 || (size_t)k >= sizeof full)
        err_set(&why, ERR_ARG, "the name '%.60s...' is too long", full);
    else if (nn_params_get(s->ps, full, ndim, shape, buffer, init, &p, &why) ==
             OK)
        return p;
    nn_graph_fail(s->g, &why);
    return NULL;
}

struct nn_param *nn_layer_param(const struct nn_scope *s, const char *name,
                                int ndim, const int64_t *shape,
                                struct nn_init_spec init)
{
    return param(s, name, NULL, false, ndim, shape, init);
}

static struct nn_param *vector(const struct nn_scope *s, const char *name,
                               const char *leaf, bool buffer, int64_t n,
                               enum nn_init kind, double scale)
{
    return param(s, name, leaf, buffer, 1, &n,
                 (struct nn_init_spec){.kind = kind, .scale = scale});
}

/* Is x a node, after everything so far went well? */
static bool usable(const struct nn_scope *s, int x)
{
    return x >= 0 && nn_graph_status(s->g, NULL) == OK;
}

/* kaiming_uniform_(a = sqrt 5), which is U(-1, 1) / sqrt(fan in); the fan in
 * of PyTorch is size(1) times the window, also for transposed ones. */
static struct nn_init_spec default_init(int64_t fan_in)
{
    double bound = fan_in > 0 ? 1.0 / sqrt((double)fan_in) : 0.0;
    return (struct nn_init_spec){.kind = NN_INIT_UNIFORM, .scale = bound};
}

int nn_conv_layer(const struct nn_scope *s, int x, const char *name,
                  const struct nn_conv_layer *c)
{
    if (!usable(s, x))
        return -1;
    int64_t in = nn_graph_shape(s->g, x).c;
    int64_t groups = c->groups > 0 ? c->groups : 1;
    if (in % groups || c->out % groups) {
        struct err why;
        err_set(&why, ERR_ARG,
                "'%s%s': %lld channels in, %lld out, not both divisible by "
                "%lld groups",
                s->prefix, name, (long long)in, (long long)c->out,
                (long long)groups);
        nn_graph_fail(s->g, &why);
        return -1;
    }
    int64_t shape[4] = {c->out, in / groups, c->kernel,
                        c->kernel_w ? c->kernel_w : c->kernel};
    if (c->transposed) {
        shape[0] = in;
        shape[1] = c->out / groups;
    }
    struct nn_init_spec init = default_init(shape[1] * shape[2] * shape[3]);
    struct nn_init_spec bias_init = init;
    if (c->init_std > 0.0) {
        init =
            (struct nn_init_spec){.kind = NN_INIT_NORMAL, .scale = c->init_std};
        bias_init = (struct nn_init_spec){.kind = NN_INIT_ZERO};
    }
    struct nn_param *w = param(s, name, "weight", false, 4, shape, init);
    struct nn_param *b = NULL;
    if (w && !c->no_bias)
        b = param(s, name, "bias", false, 1, &c->out, bias_init);
    if (!w || (!b && !c->no_bias))
        return -1;
    struct nn_conv_spec spec = {.stride = c->stride,
                                .pad = c->pad,
                                .dilation = c->dilation,
                                .groups = c->groups};
    return c->transposed
               ? nn_conv_transpose(s->g, x, w, b, &spec, c->output_pad)
               : nn_conv(s->g, x, w, b, &spec);
}

int nn_linear_layer(const struct nn_scope *s, int x, const char *name,
                    int64_t out, bool no_bias)
{
    if (!usable(s, x))
        return -1;
    int64_t shape[2] = {out, nn_graph_shape(s->g, x).c};
    struct nn_init_spec init = default_init(shape[1]);
    struct nn_param *w = param(s, name, "weight", false, 2, shape, init);
    struct nn_param *b = NULL;
    if (w && !no_bias)
        b = param(s, name, "bias", false, 1, &out, init);
    if (!w || (!b && !no_bias))
        return -1;
    return nn_linear(s->g, x, w, b);
}

/* weight 1 and bias 0 of a norm; false after a failure. */
static bool affine_pair(const struct nn_scope *s, const char *name, int64_t c,
                        struct nn_param **gamma, struct nn_param **beta)
{
    *gamma = vector(s, name, "weight", false, c, NN_INIT_ONE, 0.0);
    *beta = vector(s, name, "bias", false, c, NN_INIT_ZERO, 0.0);
    return *gamma && *beta;
}

int nn_batch_norm_layer(const struct nn_scope *s, int x, const char *name)
{
    struct nn_param *gamma, *beta;
    if (!usable(s, x))
        return -1;
    int64_t c = nn_graph_shape(s->g, x).c;
    if (!affine_pair(s, name, c, &gamma, &beta))
        return -1;
    struct nn_param *mean =
        vector(s, name, "running_mean", true, c, NN_INIT_ZERO, 0.0);
    struct nn_param *var =
        vector(s, name, "running_var", true, c, NN_INIT_ONE, 0.0);
    if (!mean || !var)
        return -1;
    return nn_batch_norm(s->g, x, gamma, beta, mean, var, 1e-5, 0.1);
}

int nn_instance_norm_layer(const struct nn_scope *s, int x, const char *name,
                           bool affine)
{
    struct nn_param *gamma = NULL, *beta = NULL;
    if (!usable(s, x))
        return -1;
    if (affine &&
        !affine_pair(s, name, nn_graph_shape(s->g, x).c, &gamma, &beta))
        return -1;
    return nn_instance_norm(s->g, x, gamma, beta, 1e-5);
}

int nn_group_norm_layer(const struct nn_scope *s, int x, const char *name,
                        int64_t groups)
{
    struct nn_param *gamma, *beta;
    if (!usable(s, x) ||
        !affine_pair(s, name, nn_graph_shape(s->g, x).c, &gamma, &beta))
        return -1;
    return nn_group_norm(s->g, x, groups, gamma, beta, 1e-5);
}

int nn_prelu_layer(const struct nn_scope *s, int x, const char *name,
                   bool per_channel)
{
    if (!usable(s, x))
        return -1;
    int64_t n = per_channel ? nn_graph_shape(s->g, x).c : 1;
    struct nn_param *w =
        vector(s, name, "weight", false, n, NN_INIT_FILL, 0.25);
    return w ? nn_prelu(s->g, x, w) : -1;
}

/* Begins as insightface's heads do: N(0, 0.01); only directions matter. */
int nn_cosine_margin_layer(const struct nn_scope *s, int x, const char *name,
                           int64_t classes, int label, double scale,
                           double angle, double cosine)
{
    if (!usable(s, x))
        return -1;
    int64_t shape[2] = {classes, nn_graph_shape(s->g, x).c};
    struct nn_param *w =
        param(s, name, "weight", false, 2, shape,
              (struct nn_init_spec){.kind = NN_INIT_NORMAL, .scale = 0.01});
    return w ? nn_cosine_margin(s->g, x, w, label, scale, angle, cosine) : -1;
}
