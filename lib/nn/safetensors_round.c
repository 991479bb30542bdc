/* A weight file rounded to f16. */
#include "lib/nn/safetensors_round.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define TYPE_KEY "dtype_of_training"

/* One being written. */
struct rounder {
    const struct safetensors *from;
    struct safetensors_item *item; /* NULL name ends it */
    struct tensor **tensor;        /* theirs, owned */
    struct safetensors_pair *meta; /* texts are from's */
    struct safetensors_rounding *told;
    enum dtype widest; /* of those rounded; DT_COUNT: none */
};

static bool is_kept(const char *const *keep, const char *name)
{
    for (; keep && *keep; keep++) {
        if (!strcmp(*keep, name))
            return true;
    }
    return false;
}

static double largest_of(const struct tensor *t)
{
    double m = 0;
    for (size_t i = 0; i < t->count; i++)
        m = fmax(m, fabs(tensor_get(t, i)));
    return m;
}

static void note(double error, double *most, char in[128], const char *name)
{
    if (error <= *most)
        return;
    *most = error;
    (void)snprintf(in, 128, "%s", name);
}

static void count_error(struct safetensors_rounding *told, const char *name,
                        double was, double is, double largest)
{
    double error = fabs(was - is);
    if (fabs(was) >= SAFETENSORS_F16_NORMAL) {
        note(error / fabs(was), &told->error, told->error_in, name);
    } else if (was != 0) {
        told->small++;
        told->zeroed += is == 0;
        note(error / largest, &told->small_error, told->small_in, name);
    }
}

static enum err_code round_one(struct rounder *x, const char *name,
                               const struct tensor *was, struct tensor *is,
                               struct err *e)
{
    uint16_t *to = is->data;
    double largest = largest_of(was);
    for (size_t i = 0; i < was->count; i++) {
        double v = tensor_get(was, i);
        to[i] = f32_to_f16((float)v);
        double now = tensor_get(is, i);
        if (!isfinite(v))
            return err_set(e, ERR_DATA,
                           "'%s': tensor '%s' element %zu is not finite",
                           safetensors_origin(x->from), name, i);
        if (!isfinite(now))
            return err_set(e, ERR_DATA,
                           "'%s': tensor '%s' element %zu is %.9g, which f16 "
                           "does not hold (up to %g)",
                           safetensors_origin(x->from), name, i, v,
                           SAFETENSORS_F16_LARGEST);
        count_error(x->told, name, v, now, largest);
    }
    x->told->rounded++;
    x->told->numbers += was->count;
    if (x->widest == DT_COUNT || dtype_size(was->dtype) > dtype_size(x->widest))
        x->widest = was->dtype;
    return OK;
}

static enum err_code add(struct rounder *x, size_t i, const char *const *keep,
                         struct err *e)
{
    struct safetensors_entry t = safetensors_at(x->from, i);
    struct tensor *raw = NULL, *half = NULL;
    enum err_code r = safetensors_tensor(x->from, t.name, &raw, e);
    if (r)
        return r;
    bool wide = t.dtype == DT_F32 || t.dtype == DT_F64 || t.dtype == DT_BF16;
    if (!wide || is_kept(keep, t.name)) {
        x->told->kept++;
    } else {
        half = tensor_new(DT_F16, t.ndim, t.shape, e);
        r = half ? round_one(x, t.name, raw, half, e) : ERR_NOMEM;
        tensor_free(&raw);
    }
    x->tensor[i] = half ? half : raw;
    x->item[i] = (struct safetensors_item){t.name, x->tensor[i]};
    return r;
}

static size_t meta_count(const struct safetensors *s)
{
    const char *key, *value;
    size_t n = 0;
    while (safetensors_meta_at(s, n, &key, &value))
        n++;
    return n;
}

static void set_meta(struct safetensors_pair *all, size_t *n,
                     struct safetensors_pair one)
{
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(all[i].key, one.key) == 0) {
            all[i] = one;
            return;
        }
    }
    all[(*n)++] = one;
}

static void add_meta(struct rounder *x, const struct safetensors_pair *more)
{
    size_t n = 0;
    while (safetensors_meta_at(x->from, n, &x->meta[n].key, &x->meta[n].value))
        n++;
    if (x->widest != DT_COUNT && !safetensors_meta(x->from, TYPE_KEY))
        x->meta[n++] =
            (struct safetensors_pair){TYPE_KEY, dtype_name(x->widest)};
    for (; more && more->key; more++)
        set_meta(x->meta, &n, *more);
    x->meta[n] = (struct safetensors_pair){NULL, NULL};
}

static enum err_code check(const struct safetensors *from,
                           const char *const *keep, struct err *e)
{
    if (safetensors_meta(from, "facet.checkpoint"))
        return err_set(e, ERR_ARG,
                       "'%s' is a checkpoint, which training goes on from bit "
                       "for bit: round the run's model.safetensors",
                       safetensors_origin(from));
    for (; keep && *keep; keep++) {
        if (!safetensors_find(from, *keep, NULL))
            return err_set(e, ERR_ARG, "'%s' has no tensor '%.200s' to keep",
                           safetensors_origin(from), *keep);
    }
    return OK;
}

enum err_code safetensors_round(const struct safetensors *from,
                                const char *const *keep,
                                const struct safetensors_pair *meta,
                                const char *path,
                                struct safetensors_rounding *out, struct err *e)
{
    *out = (struct safetensors_rounding){0};
    enum err_code r = check(from, keep, e);
    if (r)
        return r;
    size_t n = safetensors_count(from), more = 0;
    while (meta && meta[more].key)
        more++;
    struct rounder x = {.from = from, .told = out, .widest = DT_COUNT};
    x.item = mem_calloc(n + 1, sizeof *x.item);
    x.tensor = mem_calloc(n + 1, sizeof(struct tensor *));
    x.meta = mem_calloc(meta_count(from) + more + 2, sizeof *x.meta);
    if (!x.item || !x.tensor || !x.meta)
        r = err_set(e, ERR_NOMEM, "no memory for %zu tensors", n);
    for (size_t i = 0; i < n && !r; i++)
        r = add(&x, i, keep, e);
    if (!r) {
        add_meta(&x, meta);
        r = safetensors_write(path, x.item, x.meta, e);
    }
    for (size_t i = 0; x.tensor && i < n; i++)
        tensor_free(&x.tensor[i]);
    mem_free(x.tensor);
    mem_free(x.item);
    mem_free(x.meta);
    return r;
}
