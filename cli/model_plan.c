/* facet model: the network that a file holds, built and planned. */
#include <stdio.h>
#include <string.h>

#include "cli/model_info.h"
#include "lib/base/mem.h"
#include "lib/nn/net.h"

#define RUNS 3 /* whose mean time is shown */
#define MAX_OUTPUTS 32

/* Run on a grey picture: what a step takes does not depend on its numbers. */
static enum err_code run(struct nn_net *net, const struct nn_graph *g,
                         struct nn_shape in, struct err *e)
{
    float *out[MAX_OUTPUTS] = {NULL};
    int n = nn_graph_outputs(g);
    enum err_code r = OK;
    if (n > MAX_OUTPUTS || nn_graph_inputs(g) != 1)
        return err_set(e, ERR_UNSUPPORTED, "it has %d inputs and %d outputs",
                       nn_graph_inputs(g), n);
    float *x = mem_calloc((size_t)(in.c * in.h * in.w), sizeof *x);
    for (int i = 0; i < n; i++) {
        const struct nn_shape s = nn_graph_shape(g, nn_graph_output(g, i));
        out[i] = mem_calloc((size_t)(s.c * s.h * s.w), sizeof **out);
        if (!out[i])
            r = ERR_NOMEM;
    }
    if (!x || r)
        r = err_set(e, ERR_NOMEM, "no memory to run it");
    const float *const inputs[] = {x};
    for (int i = 0; i < RUNS && !r; i++)
        r = nn_run(net, inputs, out, e);
    for (int i = 0; i < n; i++)
        mem_free(out[i]);
    mem_free(x);
    return r;
}

static enum err_code plan(struct model_info *i, const struct nn_graph *g,
                          bool layers, struct err *e)
{
    struct nn_net *net = NULL;
    struct buf b;
    const struct nn_options o = {.batch = 1};
    buf_init(&b, (size_t)4 << 20);
    enum err_code r = nn_plan(g, &o, &net, e);
    if (!r) {
        i->gflop = nn_graph_gflop(g);
        i->arena_bytes = nn_net_arena_bytes(net);
        i->plan_bytes = nn_net_bytes(net);
    }
    if (!r && layers)
        r = run(net, g, i->input, e);
    if (!r && layers)
        r = nn_net_describe(net, &b, e);
    if (!r && layers) {
        i->layers = mem_strdup(buf_str(&b));
        if (!i->layers)
            r = err_set(e, ERR_NOMEM, "no memory for a table");
    }
    buf_free(&b);
    nn_net_free(&net);
    return r;
}

void model_plan(struct model_info *i, bool layers)
{
    struct err *e = &i->why;
    struct nn_params *ps = nn_params_new(0, e);
    struct nn_graph *g = ps ? nn_graph_new(e) : NULL;
    if (g) {
        const struct nn_scope s = nn_scope(g, ps);
        nn_params_source(ps, i->w, i->prefix);
        enum err_code r = i->known->build(&s, i->input, i->w, i->prefix, e);
        nn_params_source(ps, NULL, NULL);
        if (!r)
            r = plan(i, g, layers, e);
        i->planned = r == OK;
    }
    nn_graph_free(&g);
    nn_params_free(&ps);
}
