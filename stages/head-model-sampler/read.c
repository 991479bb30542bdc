/* A linear head from a safetensors file. */
#include "stages/head-model-sampler/read.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/safetensors.h"

struct sizes {
    int v, t, i, e;
};

static enum err_code size_of(const struct safetensors *w, const char *name,
                             int ndim, int axis, int *out, struct err *e)
{
    struct safetensors_entry x;
    if (!safetensors_find(w, name, &x))
        return err_set(e, ERR_NOTFOUND, "no tensor '%s'", name);
    if (x.ndim != ndim || x.shape[axis] > 1000000)
        return err_set(e, ERR_DATA, "'%s' has %d dimensions, or too large ones",
                       name, x.ndim);
    *out = (int)x.shape[axis];
    return OK;
}

static enum err_code get_sizes(const struct safetensors *w, struct sizes *n,
                               struct err *e)
{
    enum err_code r = size_of(w, "mean", 2, 0, &n->v, e);
    if (!r)
        r = size_of(w, "triangles", 2, 0, &n->t, e);
    if (!r)
        r = size_of(w, "identity", 3, 0, &n->i, e);
    return r ? r : size_of(w, "expression", 3, 0, &n->e, e);
}

/* Numbers with y turned down. */
static enum err_code get_field(const struct safetensors *w, const char *name,
                               int ndim, const int64_t *shape, float *out,
                               struct err *e)
{
    struct tensor *t = NULL;
    enum err_code r = safetensors_weight(w, name, ndim, shape, &t, e);
    if (r)
        return r;
    for (size_t i = 0; i < t->count; i++)
        out[i] = i % 3 == 1 ? -tensor_f32(t)[i] : tensor_f32(t)[i];
    tensor_free(&t);
    return OK;
}

/* Whole numbers of any type, `count` of them. */
static enum err_code get_numbers(const struct safetensors *w, const char *name,
                                 size_t count, struct tensor **out,
                                 struct err *e)
{
    enum err_code r = safetensors_tensor(w, name, out, e);
    if (r)
        return r;
    enum dtype d = (*out)->dtype;
    if ((*out)->count == count &&
        (d == DT_U8 || d == DT_U16 || d == DT_I32 || d == DT_I64))
        return OK;
    tensor_free(out);
    return err_set(e, ERR_DATA, "'%s': %zu whole numbers expected", name,
                   count);
}

/* Out of range stays so: head_model_check names it. */
static int32_t index_of(const struct tensor *t, size_t i)
{
    double v = tensor_get(t, i);
    return v >= 0 && v < 1e9 ? (int32_t)v : -1;
}

static enum err_code get_mesh(const struct safetensors *w,
                              const struct sizes *n, struct head_model *m,
                              struct err *e)
{
    struct tensor *tri = NULL, *part = NULL, *marks = NULL;
    enum err_code r = get_numbers(w, "triangles", 3 * (size_t)n->t, &tri, e);
    if (!r)
        r = get_numbers(w, "part", (size_t)n->t, &part, e);
    if (!r)
        r = get_numbers(w, "landmarks68", LANDMARKS, &marks, e);
    for (int t = 0; t < n->t && !r; t++) {
        for (int k = 0; k < 3; k++)
            m->triangle[t][k] = index_of(tri, (size_t)(3 * t + k));
        int p = index_of(part, (size_t)t);
        m->part[t] = (uint8_t)(p == 3 ? HEAD_MODEL_BALL : p & 255);
    }
    for (int i = 0; i < LANDMARKS && !r; i++)
        m->landmark[i] = index_of(marks, (size_t)i);
    tensor_free(&tri);
    tensor_free(&part);
    tensor_free(&marks);
    return r;
}

static enum err_code get_names(const struct safetensors *w,
                               struct head_model *m, struct err *e)
{
    const char *p = safetensors_meta(w, "expressions");
    for (int k = 0; k < m->n_expression; k++) {
        size_t n = p ? strcspn(p, ",") : 0;
        if (!n)
            return err_set(e, ERR_DATA, "metadata 'expressions' names %d of %d",
                           k, m->n_expression);
        m->name[k] = mem_strndup(p, n);
        if (!m->name[k])
            return err_set(e, ERR_NOMEM, "no memory for a head model");
        p += n + (p[n] == ',');
    }
    return OK;
}

static enum err_code fill(const struct safetensors *w, const struct sizes *n,
                          struct head_model *m, struct err *e)
{
    const int64_t mean[2] = {n->v, 3}, modes[3] = {n->i, n->v, 3},
                  moods[3] = {n->e, n->v, 3};
    enum err_code r = get_field(w, "mean", 2, mean, m->mean[0], e);
    if (!r)
        r = get_field(w, "identity", 3, modes, m->identity, e);
    if (!r)
        r = get_field(w, "expression", 3, moods, m->expression, e);
    if (!r)
        r = get_mesh(w, n, m, e);
    if (!r)
        r = get_names(w, m, e);
    if (!r)
        r = head_model_check(m, e);
    return r ? r : head_model_align(m, e);
}

enum err_code head_model_read(const char *path, struct head_model **out,
                              struct err *e)
{
    struct safetensors *w = NULL;
    struct head_model *m = NULL;
    struct sizes n = {0, 0, 0, 0};
    *out = NULL;
    enum err_code r = safetensors_read(path, &w, e);
    if (r)
        return r;
    r = get_sizes(w, &n, e);
    if (!r)
        r = head_model_new(n.v, n.t, n.i, n.e, &m, e);
    if (!r)
        r = fill(w, &n, m, e);
    safetensors_free(&w);
    if (r) {
        head_model_free(&m);
        return err_wrap(e, "'%.200s'", path);
    }
    *out = m;
    return OK;
}
