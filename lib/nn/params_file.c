/* Named parameters of networks: into files, out of files, into each other. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/items.h"
#include "lib/nn/params_impl.h"

enum err_code nn_params_put(const struct nn_params *ps, const char *prefix,
                            struct nn_items *l, struct err *e)
{
    char counter[2 * NN_PARAM_NAME_MAX + 32];
    enum err_code r = nn_params_hold(ps, e);
    for (size_t i = 0; i < ps->n && !r; i++) {
        struct nn_param *p = ps->list[i];
        r = nn_items_add(l, tensor_ref(p->value), e, "%s%s", prefix, p->name);
        if (r || !nn_params_counter(p, prefix, counter, sizeof counter))
            continue;
        struct tensor *t = tensor_new(DT_I64, 0, NULL, e);
        if (t)
            tensor_i64(t)[0] = p->updates;
        r = nn_items_add(l, t, e, "%s", counter);
    }
    return r;
}

enum err_code nn_params_save(const struct nn_params *ps, const char *path,
                             const struct safetensors_pair *meta, struct err *e)
{
    struct nn_items l = {0};
    enum err_code r = nn_params_put(ps, "", &l, e);
    if (!r)
        r = nn_items_write(&l, path, meta, e);
    nn_items_free(&l);
    return r;
}

/* What a file says about one parameter; value NULL: it is left alone. */
struct fresh {
    struct tensor *value;
    int64_t updates;
};

static bool same_shape(const struct safetensors_entry *t,
                       const struct tensor *v)
{
    bool same = t->ndim == v->ndim;
    for (int i = 0; i < v->ndim && same; i++)
        same = t->shape[i] == v->shape[i];
    return same;
}

static enum err_code read_one(const struct nn_param *p,
                              const struct safetensors *w, const char *prefix,
                              bool partial, struct fresh *f, struct err *e)
{
    struct safetensors_entry t;
    char *name = mem_printf("%s%s", prefix, p->name);
    if (!name)
        return err_set(e, ERR_NOMEM, "no memory for a name");
    enum err_code r = OK;
    bool skip = partial &&
                (!safetensors_find(w, name, &t) || !same_shape(&t, p->value));
    f->updates = p->updates;
    if (!skip)
        r = safetensors_weight(w, name, p->value->ndim, p->value->shape,
                               &f->value, e);
    mem_free(name);
    char counter[2 * NN_PARAM_NAME_MAX + 32];
    if (r || skip || !nn_params_counter(p, prefix, counter, sizeof counter))
        return r;
    return nn_params_read_counter(w, counter, &f->updates, e);
}

enum err_code nn_params_load(struct nn_params *ps, const struct safetensors *w,
                             const char *prefix, bool partial, size_t *skipped,
                             struct err *e)
{
    if (skipped)
        *skipped = 0;
    if (prefix && strlen(prefix) > NN_PARAM_NAME_MAX)
        return err_set(e, ERR_ARG, "the prefix of names in '%s' is too long",
                       safetensors_origin(w));
    struct fresh *fresh = mem_calloc(ps->n ? ps->n : 1, sizeof *fresh);
    if (!fresh)
        return err_set(e, ERR_NOMEM, "no memory to load '%s'",
                       safetensors_origin(w));
    /* All of the file is read before the first value changes. */
    enum err_code r = nn_params_hold(ps, e);
    for (size_t i = 0; i < ps->n && !r; i++)
        r = read_one(ps->list[i], w, prefix ? prefix : "", partial, &fresh[i],
                     e);
    for (size_t i = 0; i < ps->n && !r; i++) {
        struct nn_param *p = ps->list[i];
        if (fresh[i].value) {
            memcpy(p->value->data, fresh[i].value->data, p->value->bytes);
            p->updates = fresh[i].updates;
            p->version++;
        } else if (skipped) {
            ++*skipped;
        }
    }
    for (size_t i = 0; i < ps->n; i++)
        tensor_free(&fresh[i].value);
    mem_free(fresh);
    return r;
}

enum err_code nn_params_match(const struct nn_params *to,
                              const struct nn_params *from, struct err *e)
{
    char a[96], b[96];
    for (size_t i = 0; i < from->n; i++) {
        const struct nn_param *p = from->list[i];
        const struct nn_param *q = nn_params_find(to, p->name);
        if (!q)
            return err_set(e, ERR_ARG, "no parameter '%s' to copy into",
                           p->name);
        const struct tensor *v = p->value, *u = q->value;
        bool same = v->ndim == u->ndim && p->buffer == q->buffer;
        for (int k = 0; k < v->ndim && same; k++)
            same = v->shape[k] == u->shape[k];
        if (!same)
            return err_set(e, ERR_ARG,
                           "parameter '%s' is %s and cannot be copied into %s",
                           p->name, tensor_describe(v, a, sizeof a),
                           tensor_describe(u, b, sizeof b));
    }
    return OK;
}

enum err_code nn_params_copy(struct nn_params *to, const struct nn_params *from,
                             struct err *e)
{
    enum err_code r = nn_params_match(to, from, e);
    if (!r)
        r = nn_params_hold(to, e);
    if (!r)
        r = nn_params_hold(from, e);
    for (size_t i = 0; i < from->n && !r; i++) {
        const struct nn_param *p = from->list[i];
        struct nn_param *q = nn_params_find(to, p->name);
        if (q == p)
            continue;
        memcpy(q->value->data, p->value->data, p->value->bytes);
        q->updates = p->updates;
        q->version++;
    }
    return r;
}
