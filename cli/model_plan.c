/* facet model: a network that a file holds, built and planned. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/model_info.h"
#include "cli/tape_text.h"
#include "cli/weights_text.h"
#include "lib/base/mem.h"
#include "lib/nn/net.h"

#define RUNS 3 /* whose mean time is shown */
#define MAX_OUTPUTS 32
#define MAX_TABLE ((size_t)16 << 20)

static float *room_for(struct nn_shape s, struct err *e)
{
    size_t n;
    float *p = NULL;
    if (size_mul((size_t)s.c, (size_t)s.h, &n) && size_mul(n, (size_t)s.w, &n))
        p = mem_calloc(n, sizeof *p);
    if (!p)
        err_set(e, ERR_NOMEM, "no memory to run it");
    return p;
}

/* More than this machine has would end in the whole process being killed. */
static enum err_code check_memory(size_t bytes, struct err *e)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    char need[32], have[32];
    if (pages <= 0 || size <= 0)
        return OK;
    uint64_t all = (uint64_t)pages * (uint64_t)size;
    if (bytes <= all)
        return OK;
    return err_set(e, ERR_NOMEM, "to run it takes %s, this machine has %s",
                   weights_bytes(bytes, need), weights_bytes(all, have));
}

/* Run on a black picture: what a step takes does not depend on its numbers. */
static enum err_code run(struct nn_net *net, const struct nn_graph *g,
                         struct nn_shape in, struct err *e)
{
    float *out[MAX_OUTPUTS] = {NULL};
    int n = nn_graph_outputs(g);
    if (n > MAX_OUTPUTS)
        return err_set(e, ERR_UNSUPPORTED, "it has %d outputs", n);
    enum err_code r = check_memory(nn_net_bytes(net), e);
    float *x = r ? NULL : room_for(in, e);
    if (!r && !x)
        r = ERR_NOMEM;
    for (int i = 0; i < n && !r; i++) {
        out[i] = room_for(nn_graph_shape(g, nn_graph_output(g, i)), e);
        r = out[i] ? OK : ERR_NOMEM;
    }
    const float *const inputs[] = {x};
    for (int i = 0; i < RUNS && !r; i++)
        r = nn_run(net, inputs, out, e);
    for (int i = 0; i < n; i++)
        mem_free(out[i]);
    mem_free(x);
    return r;
}

static enum err_code put_shape(struct buf *b, const char *key,
                               struct nn_shape s, struct err *e)
{
    if (!s.c)
        return buf_printf(b, e, ",\"%s\":null", key);
    return buf_printf(b, e, ",\"%s\":[%" PRId64 ",%" PRId64 ",%" PRId64 "]",
                      key, s.c, s.h, s.w);
}

/* The steps as a JSON list. */
static enum err_code list_steps(const struct nn_net *net, struct buf *b,
                                struct err *e)
{
    enum err_code r = buf_puts(b, "[", e);
    for (int i = 0; i < nn_net_steps(net) && !r; i++) {
        struct nn_step_info s;
        nn_net_step(net, i, &s);
        r = buf_printf(b, e, "%s\n{\"node\":%d,\"what\":\"%s\"", i ? "," : "",
                       s.node, s.what);
        if (!r)
            r = put_shape(b, "from", s.from, e);
        if (!r)
            r = put_shape(b, "to", s.to, e);
        if (!r)
            r = buf_printf(b, e, ",\"seconds\":%.9f,\"gflop\":%.9g,\"kernel\":",
                           s.seconds, s.gflop);
        if (!r)
            r = text_quote(s.kernel, b, e);
        if (!r)
            r = buf_puts(b, "}", e);
    }
    return r ? r : buf_puts(b, "]", e);
}

static enum err_code tell_steps(struct model_network *n,
                                const struct nn_net *net, bool json,
                                struct err *e)
{
    struct buf b;
    buf_init(&b, MAX_TABLE);
    enum err_code r =
        json ? list_steps(net, &b, e) : nn_net_describe(net, &b, e);
    if (!r) {
        n->layers = mem_strdup(buf_str(&b));
        if (!n->layers)
            r = err_set(e, ERR_NOMEM, "no memory for a table");
    }
    buf_free(&b);
    return r;
}

static enum err_code plan(struct model_network *n, const struct nn_graph *g,
                          enum model_layers layers, struct err *e)
{
    struct nn_net *net = NULL;
    const struct nn_options o = {.batch = 1};
    enum err_code r = nn_plan(g, &o, &net, e);
    if (!r) {
        n->arena_bytes = nn_net_arena_bytes(net);
        n->plan_bytes = nn_net_bytes(net);
        n->planned = true;
    }
    if (!r && layers)
        r = run(net, g, n->input, e);
    if (!r && layers)
        r = tell_steps(n, net, layers == MODEL_JSON, e);
    nn_net_free(&net);
    return r;
}

static enum err_code build(struct model_network *n, struct nn_graph *g,
                           struct nn_params *ps, struct safetensors *w,
                           struct err *e)
{
    const struct nn_scope s = nn_scope(g, ps);
    struct nn_shape in = n->input;
    in.c = n->model->input.c;
    nn_params_lend(ps, w, n->prefix);
    enum err_code r = n->model->build(&s, in, w, n->prefix, e);
    nn_params_lend(ps, NULL, NULL);
    if (r)
        return r;
    if (nn_graph_inputs(g) != 1)
        return err_set(e, ERR_UNSUPPORTED, "it has %d inputs",
                       nn_graph_inputs(g));
    in = nn_graph_shape(g, nn_graph_input(g, 0));
    if (n->input.c && n->input.c != in.c)
        return err_set(e, ERR_ARG,
                       "its input has %" PRId64 " channels, not %" PRId64, in.c,
                       n->input.c);
    n->input = in;
    n->gflop = nn_graph_gflop(g);
    n->parameters = (uint64_t)nn_params_total(ps);
    n->built = true;
    return OK;
}

enum err_code model_plan(struct model_network *n, struct safetensors *w,
                         enum model_layers layers, struct err *e)
{
    n->why = (struct err){0};
    struct nn_params *ps = nn_params_new(0, &n->why);
    struct nn_graph *g = ps ? nn_graph_new(&n->why) : NULL;
    enum err_code r = g ? build(n, g, ps, w, &n->why) : ERR_NOMEM;
    if (!r)
        r = plan(n, g, layers, &n->why);
    nn_graph_free(&g);
    nn_params_free(&ps);
    if (!r) /* a kernel that was tried and not taken leaves a text */
        n->why = (struct err){0};
    else if (e)
        *e = n->why;
    return r;
}
