/* model-grads IN OUT [exact|fast|blas]: run the network that a file holds
 * under "net." in a training plan, for comparison with PyTorch.
 *
 * Where IN holds case.eval, norms go by running statistics. IN holds also
 * either case.input [N,C,H,W] and case.dout.0, ...: OUT gets out.<i>, din and
 * g.<parameter>; or case.input.0, case.target.0, ...: OUT gets losses, of
 * training steps with MSE and Adam (1e-3, 0.5, 0.999). */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/models/models.h"
#include "lib/nn/optim.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"

#define PREFIX "net."
#define MAX_ITEMS 4096

struct job {
    struct safetensors *w;
    struct nn_params *ps;
    struct nn_graph *g;
    struct nn_train *t;
    struct nn_train_options o;
    struct safetensors_item item[MAX_ITEMS];
    size_t n;
};

static enum err_code get(const struct job *j, struct tensor **t, struct err *e,
                         const char *what, int i)
{
    char name[64];
    snprintf(name, sizeof name, i < 0 ? "case.%s" : "case.%s.%d", what, i);
    return safetensors_tensor(j->w, name, t, e);
}

/* A new tensor of the result. */
static float *keep(struct job *j, const char *name, int ndim,
                   const int64_t *shape, struct err *e)
{
    if (j->n + 1 >= MAX_ITEMS) {
        err_set(e, ERR_ARG, "too many tensors");
        return NULL;
    }
    struct tensor *t = tensor_new(DT_F32, ndim, shape, e);
    if (!t)
        return NULL;
    j->item[j->n] = (struct safetensors_item){mem_printf("%s", name), t};
    return tensor_f32(j->item[j->n++].tensor);
}

/* The network for pictures like x; loss: MSE to a second input. */
static enum err_code plan(struct job *j, const struct tensor *x, bool loss,
                          struct err *e)
{
    char prefix[32];
    const struct model *m = model_recognise(j->w, prefix, sizeof prefix);
    if (!m || strcmp(prefix, PREFIX) != 0 || x->ndim != 4)
        return err_set(e, ERR_DATA, "no network under '" PREFIX "'");
    j->ps = nn_params_new(1, e);
    j->g = nn_graph_new(e);
    if (!j->ps || !j->g)
        return ERR_NOMEM;
    nn_params_source(j->ps, j->w, prefix);
    nn_graph_eval(j->g, safetensors_find(j->w, "case.eval", NULL));
    struct nn_scope s = nn_scope(j->g, j->ps);
    struct nn_shape in = {x->shape[1], x->shape[2], x->shape[3]};
    enum err_code r = m->build(&s, in, j->w, prefix, e);
    nn_params_source(j->ps, NULL, NULL);
    if (!r && loss) {
        int made = nn_graph_nodes(j->g) - 1; /* its only output */
        struct nn_shape o = nn_graph_shape(j->g, made);
        int target = nn_input(j->g, o.c, o.h, o.w);
        nn_output(j->g, nn_mse_loss(j->g, made, target));
    }
    j->o.batch = x->shape[0];
    return r ? r : nn_train_new(j->g, &j->o, &j->t, e);
}

static enum err_code keep_outputs(struct job *j, const struct tensor *const *d,
                                  int n, struct err *e)
{
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "out.%d", i);
        float *v = keep(j, name, d[i]->ndim, d[i]->shape, e);
        if (!v)
            return ERR_NOMEM;
        nn_train_output(j->t, i, v);
    }
    return OK;
}

static enum err_code keep_grads(struct job *j, const struct tensor *x,
                                struct err *e)
{
    float *v = keep(j, "din", x->ndim, x->shape, e);
    if (!v)
        return ERR_NOMEM;
    nn_train_input_grad(j->t, 0, v);
    for (size_t i = 0; i < nn_params_count(j->ps); i++) {
        const struct nn_param *p = nn_params_at(j->ps, i);
        char name[256];
        snprintf(name, sizeof name, "g.%s", p->name);
        if (p->buffer)
            continue;
        v = keep(j, name, p->value->ndim, p->value->shape, e);
        if (!v)
            return ERR_NOMEM;
        memcpy(v, p->grad, p->value->bytes);
    }
    return OK;
}

static enum err_code gradients(struct job *j, struct err *e)
{
    struct tensor *x = NULL, *d[16] = {NULL};
    const float *dout[16];
    int n = 0;
    enum err_code r = get(j, &x, e, "input", -1);
    j->o.input_grads = true;
    if (!r)
        r = plan(j, x, false, e);
    for (; !r && n < nn_graph_outputs(j->g); n++) {
        r = get(j, &d[n], e, "dout", n);
        dout[n] = r ? NULL : tensor_f32(d[n]);
    }
    const float *in = x ? tensor_f32(x) : NULL;
    if (!r)
        r = nn_train_forward(j->t, &in, e);
    if (!r)
        r = keep_outputs(j, (const struct tensor *const *)d, n, e);
    if (!r)
        r = nn_train_backward(j->t, dout, e);
    if (!r)
        r = keep_grads(j, x, e);
    for (int i = 0; i < n; i++)
        tensor_free(&d[i]);
    tensor_free(&x);
    return r;
}

static enum err_code one_step(struct job *j, struct nn_optim **opt, int i,
                              float *loss, struct err *e)
{
    static const struct nn_optim_options adam = {
        .kind = NN_ADAM, .lr = 1e-3, .beta1 = 0.5, .beta2 = 0.999};
    struct tensor *x = NULL, *y = NULL;
    enum err_code r = get(j, &x, e, "input", i);
    if (!r)
        r = get(j, &y, e, "target", i);
    if (!r && !j->t)
        r = plan(j, x, true, e);
    if (!r && !*opt)
        r = nn_optim_new(j->ps, &adam, opt, e);
    if (!r) {
        nn_params_zero_grad(j->ps);
        r = nn_train_forward(
            j->t, (const float *[]){tensor_f32(x), tensor_f32(y)}, e);
    }
    if (!r) {
        nn_train_output(j->t, 1, loss);
        r = nn_train_backward(j->t, NULL, e);
    }
    if (!r)
        r = nn_optim_step(*opt, NULL, e);
    tensor_free(&x);
    tensor_free(&y);
    return r;
}

static enum err_code steps(struct job *j, struct err *e)
{
    float loss[64];
    int64_t n = 0;
    struct nn_optim *opt = NULL;
    enum err_code r = OK;
    for (; !r && n < 64; n++) {
        char name[32];
        snprintf(name, sizeof name, "case.input.%d", (int)n);
        if (!safetensors_find(j->w, name, NULL))
            break;
        r = one_step(j, &opt, (int)n, &loss[n], e);
    }
    nn_optim_free(&opt);
    float *v = r ? NULL : keep(j, "losses", 1, &n, e);
    if (v)
        memcpy(v, loss, (size_t)n * sizeof *v);
    return r ? r : v ? OK : ERR_NOMEM;
}

static void release(struct job *j)
{
    for (size_t i = 0; i < j->n; i++) {
        char *name = NULL;
        struct tensor *t = NULL;
        memcpy(&name, &j->item[i].name, sizeof name);
        memcpy(&t, &j->item[i].tensor, sizeof t);
        mem_free(name);
        tensor_free(&t);
    }
    nn_train_free(&j->t);
    nn_graph_free(&j->g);
    nn_params_free(&j->ps);
    safetensors_free(&j->w);
}

int main(int argc, char **argv)
{
    static struct job j;
    struct err e = {0};
    const char *how = argc == 4 ? argv[3] : "exact";
    nn_threads_start(argv);
    if (argc < 3 || argc > 4) {
        fputs("usage: model-grads IN OUT [exact|fast|blas]\n", stderr);
        return 2;
    }
    j.o.mode = strcmp(how, "fast") == 0 ? NN_FAST : NN_EXACT;
    j.o.path = strcmp(how, "blas") == 0 ? NN_PATH_BLAS : NN_PATH_AUTO;
    enum err_code r = safetensors_read(argv[1], &j.w, &e);
    if (!r)
        r = safetensors_find(j.w, "case.input", NULL) ? gradients(&j, &e)
                                                      : steps(&j, &e);
    if (!r)
        r = safetensors_write(argv[2], j.item, NULL, &e);
    if (r)
        fprintf(stderr, "model-grads: %s\n", e.text);
    release(&j);
    return r ? 1 : 0;
}
