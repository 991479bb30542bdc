/* Parameters whose values stay in their file until somebody needs them. */
#include "lib/base/mem.h"
#include "lib/nn/params_impl.h"

enum err_code nn_loan_new(struct nn_param *p, struct safetensors *file,
                          const char *name, int ndim, const int64_t *shape,
                          struct err *e)
{
    struct safetensors_entry t;
    enum err_code r = safetensors_fits(file, name, ndim, shape, e);
    if (r)
        return r;
    bool there = safetensors_find(file, name, &t);
    struct nn_loan *l = mem_calloc(1, sizeof *l);
    struct tensor *empty =
        tensor_wrap(DT_F32, ndim, shape, NULL, NULL, NULL, e);
    if (!there || !l || !empty) {
        mem_free(l);
        tensor_free(&empty);
        return err_set(e, ERR_NOMEM, "no memory for parameter '%s'", p->name);
    }
    l->file = safetensors_ref(file);
    l->name = t.name;
    l->empty = empty;
    p->value = empty;
    p->loan = l;
    return OK;
}

void nn_loan_free(struct nn_param *p)
{
    struct nn_loan *l = p->loan;
    if (l) {
        if (p->value != l->empty)
            tensor_free(&l->empty);
        safetensors_free(&l->file);
        mem_free(l);
    }
    p->loan = NULL;
    tensor_free(&p->value);
}

enum err_code nn_param_hold(struct nn_param *p, struct err *e)
{
    struct nn_loan *l = p->loan;
    if (!l)
        return OK;
    if (!l->holders) {
        struct tensor *v = NULL;
        enum err_code r = safetensors_weight(l->file, l->name, l->empty->ndim,
                                             l->empty->shape, &v, e);
        if (r)
            return r;
        p->value = v;
    }
    l->holders++;
    return OK;
}

void nn_param_drop(struct nn_param *p)
{
    struct nn_loan *l = p ? p->loan : NULL;
    if (!l || --l->holders > 0)
        return;
    tensor_free(&p->value);
    p->value = l->empty;
}

enum err_code nn_param_take(struct nn_param *p, struct tensor **out,
                            struct err *e)
{
    const struct nn_loan *l = p->loan;
    *out = NULL;
    if (l && !l->holders)
        return safetensors_weight(l->file, l->name, l->empty->ndim,
                                  l->empty->shape, out, e);
    *out = tensor_copy(p->value, e);
    return *out ? OK : ERR_NOMEM;
}

enum err_code nn_params_hold(const struct nn_params *ps, struct err *e)
{
    enum err_code r = OK;
    for (size_t i = 0; i < ps->n && !r; i++)
        r = nn_param_hold(ps->list[i], e);
    return r;
}
