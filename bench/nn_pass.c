/* nn_pass: times of passes over activations (ReLU, add, batch norm) in every
 * layout, forward and backward, one line each, with the GB/s of the arrays
 * that a pass must read and write once.
 *
 *   nn_pass [CHANNELS SIDE BATCH]      default 64 224 2 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/nn/op.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/threads.h"

#define RUNS 40

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "nn_pass: %s\n", what);
    exit(1);
}

static struct nn_param *param(struct nn_params *ps, const char *name, int64_t c,
                              bool buffer)
{
    struct nn_param *p = NULL;
    struct err e = {0};
    need(!nn_params_get(ps, name, 1, &c, buffer,
                        (struct nn_init_spec){.kind = NN_INIT_ONE}, &p, &e),
         e.text);
    return p;
}

/* One kind of pass: what it builds, and arrays that it reads and writes. */
struct kind {
    const char *name;
    int forward, backward; /* arrays moved, at least */
    bool relu, two;
};

static int build(const struct kind *k, struct nn_graph *g, struct nn_params *ps,
                 struct nn_shape s)
{
    int x = nn_input(g, s.c, s.h, s.w);
    if (!strcmp(k->name, "add"))
        return nn_add(g, x, nn_input(g, s.c, s.h, s.w));
    if (!strcmp(k->name, "concat"))
        return nn_concat(g, (const int[]){x, nn_input(g, s.c, s.h, s.w)}, 2);
    if (!strcmp(k->name, "dropout"))
        return nn_dropout(g, x, 0.5);
    if (!strcmp(k->name, "relu"))
        return nn_relu(g, x);
    if (!strcmp(k->name, "tanh"))
        return nn_tanh(g, x);
    if (!strcmp(k->name, "instance_norm"))
        return nn_instance_norm(g, x, NULL, NULL, 1e-5);
    return nn_batch_norm(g, x, param(ps, "weight", s.c, false),
                         param(ps, "bias", s.c, false),
                         param(ps, "running_mean", s.c, true),
                         param(ps, "running_var", s.c, true), 1e-5, 0.1);
}

static void *filled(const struct nn_view *v)
{
    size_t n = nn_view_bytes(v);
    struct nn_view f = *v;
    f.data = mem_aligned(n);
    need(f.data != NULL, "no memory");
    uint64_t z = 1;
    for (int64_t at = 0; at < v->batch * nn_view_stride(v); at += NN_ROW) {
        float row[NN_ROW];
        for (int i = 0; i < NN_ROW; i++) {
            z = z * 6364136223846793005u + 1442695040888963407u;
            row[i] = (float)(z >> 40) * 0x1p-23F - 1;
        }
        int64_t left = v->batch * nn_view_stride(v) - at;
        nn_row_put(&f, at, left < NN_ROW ? left : NN_ROW, row, false);
    }
    nn_zero_padding(&f);
    return f.data;
}

/* The best of some runs: what others on the machine do not disturb. */
static double best_ms(struct nn_exec *x,
                      enum err_code (*f)(struct nn_exec *, struct err *))
{
    double best = 1e9;
    struct err e = {0};
    for (int i = 0; i < RUNS; i++) {
        int64_t start = clock_ns();
        need(!f(x, &e), e.text);
        double ms = (double)(clock_ns() - start) * 1e-6;
        best = ms < best ? ms : best;
    }
    return best;
}

static void run(const struct kind *k, struct nn_shape s, int64_t batch,
                enum nn_path path, enum nn_layout layout, enum dtype type)
{
    static const char *const layouts[] = {"plain", "last", "block16"};
    struct err e = {0};
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = nn_params_new(1, &e);
    need(g && ps, e.text);
    int node = build(k, g, ps, s);
    need(!nn_graph_status(g, &e) && !nn_params_grads(ps, &e), e.text);
    struct nn_view v = {
        .dtype = type, .layout = layout, .shape = s, .batch = batch};
    const struct nn_node *n = &g->node[node];
    struct nn_view out = v;
    out.shape = n->shape;
    struct nn_exec x = {.node = n,
                        .path = path,
                        .training = true,
                        .backward = true,
                        .relu = k->relu,
                        .dparam = n->n_param > 0,
                        .in = {v, v},
                        .out = out,
                        .din = {v, v},
                        .dout = out,
                        .din_wanted = {true, k->two}};
    need(!n->op->prepare || !n->op->prepare(&x, &e), e.text);
    for (int i = 0; i < n->n_in; i++) {
        x.in[i].data = filled(&v);
        x.din[i].data = filled(&v);
    }
    x.out.data = filled(&out);
    x.dout.data = filled(&out);
    x.scratch = mem_aligned(x.scratch_bytes + 1);
    x.keep = mem_aligned(x.keep_bytes + 1);
    need(x.scratch && x.keep, "no memory");
    double forward = best_ms(&x, n->op->forward);
    double backward = best_ms(&x, n->op->backward);
    double mb = (double)nn_view_bytes(&v) * 1e-6;
    printf("%-14s %-7s %-8s %-4s forward %7.2f ms %6.1f GB/s   backward %7.2f "
           "ms %6.1f GB/s  %s\n",
           k->name, path == NN_PATH_DNNL ? "onednn" : "own", layouts[layout],
           type == DT_BF16 ? "bf16" : "f32", forward, k->forward * mb / forward,
           backward, k->backward * mb / backward, x.kernel);
    if (n->op->release)
        n->op->release(&x);
    for (int i = 0; i < n->n_in; i++) {
        mem_free(x.in[i].data);
        mem_free(x.din[i].data);
    }
    mem_free(x.out.data);
    mem_free(x.dout.data);
    mem_free(x.scratch);
    mem_free(x.keep);
    nn_graph_free(&g);
    nn_params_free(&ps);
}

int main(int argc, char **argv)
{
    static const struct kind kinds[] = {{"relu", 2, 3, false, false},
                                        {"add", 3, 3, false, true},
                                        {"concat", 4, 4, false, true},
                                        {"dropout", 2, 2, false, false},
                                        {"tanh", 2, 3, false, false},
                                        {"batch_norm", 2, 3, false, false},
                                        {"batch_norm+relu", 2, 3, true, false},
                                        {"instance_norm", 2, 3, false, false}};
    int64_t c = 64, side = 224, batch = 2;
    nn_threads_start(argv);
    if (argc == 4)
        need(text_to_i64(argv[1], &c) && text_to_i64(argv[2], &side) &&
                 text_to_i64(argv[3], &batch) && c > 0 && side > 0 && batch > 0,
             "CHANNELS SIDE BATCH are numbers");
    struct nn_shape s = {c, side, side};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        bool norm = strstr(kinds[k].name, "batch_norm") != NULL;
        for (enum nn_path p = norm && nn_has_dnnl() ? NN_PATH_DNNL
                                                    : NN_PATH_BLAS;
             p <= NN_PATH_BLAS; p++) {
            for (int l = 0; l < 6; l++)
                run(&kinds[k], s, batch, p, (enum nn_layout)(l % 3),
                    l < 3 ? DT_F32 : DT_BF16);
        }
    }
    return 0;
}
