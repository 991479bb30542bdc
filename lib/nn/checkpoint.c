/* Checkpoints: a whole training run into a file and back. */
#include "lib/nn/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/nn/checkpoint_impl.h"
#include "lib/nn/optim_impl.h"
#include "lib/nn/params_impl.h"

#define VERSION_KEY "facet.checkpoint"
#define SUM_KEY "facet.checksum"

/* All pairs of ours but the checksum: what a file must have, no more, no
 * less. */
static enum err_code put_meta(const struct nn_checkpoint_part *parts,
                              const struct nn_checkpoint_value *values,
                              struct nn_meta *m, struct err *e)
{
    char scope[128], text[80];
    enum err_code r = nn_meta_add(m, NN_CHECKPOINT_FORMAT, e, VERSION_KEY);
    for (const struct nn_checkpoint_part *p = parts; p->name && !r; p++) {
        if (p->optim) {
            snprintf(scope, sizeof scope, "optim.%s", p->name);
            r = nn_meta_add(m, nn_optim_word(p->optim->o.kind), e, "facet.%s",
                            scope);
            if (!r)
                r = nn_fields_put(m, scope, nn_optim_fields, p->optim, e);
        }
        if (p->schedule && !r) {
            snprintf(scope, sizeof scope, "schedule.%s", p->name);
            r = nn_meta_add(m, nn_schedule_word(p->schedule->kind), e,
                            "facet.%s", scope);
            if (!r)
                r = nn_fields_put(m, scope, nn_schedule_fields, p->schedule, e);
        }
    }
    for (const struct nn_checkpoint_value *v = values; v && v->name && !r;
         v++) {
        uint64_t bits;
        memcpy(&bits, v->number ? (void *)v->number : (void *)v->real,
               sizeof bits);
        nn_number_text(v->number ? NN_U64 : NN_F64, bits, text);
        r = nn_meta_add(m, text, e, "facet.value.%s", v->name);
    }
    return r;
}

/* ---- Saving ---- */

/* The index of an element that cannot be saved or loaded: NaN, and for all but
 * the optimisers' sums of squares, which may overflow, infinity. count if there
 * is none. */
static size_t unfit(const struct nn_items_entry *of, const void *data)
{
    const struct tensor *t = of->tensor;
    bool state = strncmp(of->name, "optim.", 6) == 0;
    return t->dtype == DT_F32 ? nn_find_not_finite(data, t->count, !state)
                              : t->count;
}

static size_t total_bytes(const struct nn_items *l)
{
    size_t all = 0;
    for (size_t i = 0; i < l->n; i++)
        all += l->entry[i].tensor->bytes;
    return all;
}

static enum err_code check_finite(const struct nn_items *l, struct err *e)
{
    int64_t n = (int64_t)l->n, first = n;
#pragma omp parallel for schedule(dynamic, 1)                                  \
    reduction(min                                                              \
              : first) if (total_bytes(l) > NN_CHECKPOINT_PARALLEL)
    for (int64_t i = 0; i < n; i++) {
        const struct nn_items_entry *x = &l->entry[i];
        if (i < first && unfit(x, x->tensor->data) < x->tensor->count)
            first = i;
    }
    if (first == n)
        return OK;
    const struct tensor *t = l->entry[first].tensor;
    size_t at = unfit(&l->entry[first], t->data);
    return err_set(
        e, ERR_DATA, "'%s' is not fit to be saved: element %zu of %zu is %g",
        l->entry[first].name, at, t->count, (double)tensor_f32(t)[at]);
}

static uint64_t checksum(const struct nn_items *l, const struct nn_meta *m)
{
    uint64_t sum = 0;
    int64_t n = (int64_t)l->n;
    for (size_t i = 0; i < m->n; i++)
        sum += nn_checksum_text(m->pair[i].key, m->pair[i].value);
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : sum)               \
    if (total_bytes(l) > NN_CHECKPOINT_PARALLEL)
    for (int64_t i = 0; i < n; i++) {
        const struct tensor *t = l->entry[i].tensor;
        sum += nn_checksum_tensor(l->entry[i].name, t->dtype, t->ndim, t->shape,
                                  t->data, t->bytes);
    }
    return sum;
}

static enum err_code write_all(const char *path, const struct nn_items *l,
                               const struct nn_meta *m, struct err *e)
{
    struct safetensors_pair *pair = mem_calloc(m->n + 1, sizeof *pair);
    if (!pair)
        return err_set(e, ERR_NOMEM, "no memory to write '%s'", path);
    for (size_t i = 0; i < m->n; i++) {
        pair[i].key = m->pair[i].key;
        pair[i].value = m->pair[i].value;
    }
    enum err_code r = nn_items_write(l, path, pair, e);
    mem_free(pair);
    return r;
}

enum err_code nn_checkpoint_save(const char *path,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 const struct safetensors_pair *meta,
                                 struct err *e)
{
    struct nn_items l = {0};
    struct nn_meta m = {0};
    enum err_code r = nn_checkpoint_check(parts, values, e);
    if (!r)
        r = nn_checkpoint_items(parts, &l, e);
    if (!r)
        r = check_finite(&l, e);
    if (!r)
        r = put_meta(parts, values, &m, e);
    for (const struct safetensors_pair *p = meta; p && p->key && !r; p++) {
        if (strncmp(p->key, "facet.", 6) == 0)
            r = err_set(e, ERR_ARG, "the key '%s' is not free for a text",
                        p->key);
        else
            r = nn_meta_add(&m, p->value, e, "%s", p->key);
    }
    if (!r) {
        char sum[24];
        snprintf(sum, sizeof sum, "%016" PRIx64, checksum(&l, &m));
        r = nn_meta_add(&m, sum, e, SUM_KEY);
    }
    if (!r)
        r = file_remove_temporaries(path, e);
    if (!r)
        r = write_all(path, &l, &m, e);
    nn_items_free(&l);
    nn_meta_free(&m);
    return r;
}

/* ---- Loading ---- */

/* A file's own word for what it is. */
static enum err_code check_format(const struct safetensors *w, struct err *e)
{
    const char *version = safetensors_meta(w, VERSION_KEY);
    if (!version)
        return err_set(e, ERR_DATA, "'%s' is no checkpoint (it lacks '%s')",
                       safetensors_origin(w), VERSION_KEY);
    if (strcmp(version, NN_CHECKPOINT_FORMAT) != 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "'%s' is a checkpoint of version %.20s; this program "
                       "reads version %s",
                       safetensors_origin(w), version, NN_CHECKPOINT_FORMAT);
    return OK;
}

static enum err_code check_sum(const struct safetensors *w, struct err *e)
{
    char sum[24];
    const char *there = safetensors_meta(w, SUM_KEY);
    if (!there)
        return err_set(e, ERR_DATA, "'%s' is damaged: it has no checksum",
                       safetensors_origin(w));
    snprintf(sum, sizeof sum, "%016" PRIx64, nn_checksum_file(w));
    if (strcmp(there, sum) != 0)
        return err_set(e, ERR_DATA,
                       "'%s' is damaged: its checksum is %s, not %.20s",
                       safetensors_origin(w), sum, there);
    return OK;
}

/* No more pairs of ours there than a save would write here. */
static enum err_code check_pairs(const struct safetensors *w,
                                 const struct nn_meta *m, struct err *e)
{
    const char *key, *value;
    for (size_t i = 0; safetensors_meta_at(w, i, &key, &value); i++) {
        bool known =
            strncmp(key, "facet.", 6) != 0 || strcmp(key, SUM_KEY) == 0;
        for (size_t k = 0; k < m->n && !known; k++)
            known = strcmp(m->pair[k].key, key) == 0;
        if (!known)
            return err_set(e, ERR_DATA,
                           "'%s' has '%.100s', which this run has no place for",
                           safetensors_origin(w), key);
    }
    return OK;
}

static enum err_code check_kind(const struct safetensors *w, const char *scope,
                                const char *here, struct err *e)
{
    char key[160];
    snprintf(key, sizeof key, "facet.%s", scope);
    const char *there = safetensors_meta(w, key);
    if (!there)
        return err_set(e, ERR_DATA, "'%s' lacks '%s'", safetensors_origin(w),
                       key);
    if (strcmp(there, here) != 0)
        return err_set(e, ERR_DATA, "'%s': %s is '%.40s' there and '%s' here",
                       safetensors_origin(w), scope, there, here);
    return OK;
}

/* What the file says of one part, as copies. */
struct taken {
    struct nn_optim optim;
    struct nn_schedule schedule;
};

static enum err_code take_part(const struct safetensors *w,
                               const struct nn_checkpoint_part *p,
                               struct taken *t, struct err *e)
{
    char scope[128];
    struct err why;
    enum err_code r = OK;
    if (p->optim) {
        snprintf(scope, sizeof scope, "optim.%s", p->name);
        t->optim = *p->optim;
        r = check_kind(w, scope, nn_optim_word(p->optim->o.kind), e);
        if (!r)
            r = nn_fields_get(w, scope, nn_optim_fields, &t->optim, e);
        if (!r && nn_checkpoint_optim(&t->optim, p->name, &why))
            r = err_set(e, ERR_DATA, "'%s': %s", safetensors_origin(w),
                        why.text);
    }
    if (p->schedule && !r) {
        snprintf(scope, sizeof scope, "schedule.%s", p->name);
        t->schedule = *p->schedule;
        r = check_kind(w, scope, nn_schedule_word(p->schedule->kind), e);
        if (!r)
            r = nn_fields_get(w, scope, nn_schedule_fields, &t->schedule, e);
        if (!r && nn_schedule_check(&t->schedule, &why))
            r = err_set(e, ERR_DATA, "'%s': %s: %s", safetensors_origin(w),
                        scope, why.text);
    }
    return r;
}

static enum err_code take_value(const struct safetensors *w,
                                const struct nn_checkpoint_value *v,
                                uint64_t *bits, struct err *e)
{
    char key[128];
    snprintf(key, sizeof key, "facet.value.%s", v->name);
    const char *text = safetensors_meta(w, key);
    if (!text)
        return err_set(e, ERR_DATA, "'%s' lacks '%s'", safetensors_origin(w),
                       key);
    if (!nn_number_read(text, v->number ? NN_U64 : NN_F64, bits))
        return err_set(e, ERR_DATA, "'%s': '%s' is '%.80s', no number",
                       safetensors_origin(w), key, text);
    return OK;
}

static enum err_code check_tensor(const struct safetensors *w,
                                  const struct nn_items_entry *here,
                                  struct err *e)
{
    struct safetensors_entry t;
    const struct tensor *v = here->tensor;
    if (!safetensors_find(w, here->name, &t))
        return err_set(e, ERR_DATA, "'%s' lacks tensor '%s'",
                       safetensors_origin(w), here->name);
    bool same = t.dtype == v->dtype && t.ndim == v->ndim;
    for (int i = 0; i < v->ndim && same; i++)
        same = t.shape[i] == v->shape[i];
    if (!same) {
        char a[96], b[96];
        struct tensor there = {.dtype = t.dtype, .ndim = t.ndim};
        memcpy(there.shape, t.shape, sizeof t.shape);
        return err_set(e, ERR_DATA, "'%s': tensor '%s' is %s there and %s here",
                       safetensors_origin(w), here->name,
                       t.dtype == DT_COUNT
                           ? t.dtype_word
                           : tensor_describe(&there, a, sizeof a),
                       tensor_describe(v, b, sizeof b));
    }
    size_t bytes, at = unfit(here, safetensors_bytes(w, here->name, &bytes));
    if (at < v->count)
        return err_set(e, ERR_DATA,
                       "'%s': tensor '%s' has a NaN or an infinity at element "
                       "%zu",
                       safetensors_origin(w), here->name, at);
    return OK;
}

static enum err_code check_tensors(const struct safetensors *w,
                                   const struct nn_items *l, struct err *e)
{
    enum err_code r = OK;
    for (size_t i = 0; i < l->n && !r; i++)
        r = check_tensor(w, &l->entry[i], e);
    if (r || safetensors_count(w) == l->n)
        return r;
    for (size_t i = 0; i < safetensors_count(w); i++) {
        const char *name = safetensors_at(w, i).name;
        bool known = false;
        for (size_t k = 0; k < l->n && !known; k++)
            known = strcmp(l->entry[k].name, name) == 0;
        if (!known)
            return err_set(e, ERR_DATA,
                           "'%s' has tensor '%.200s', which this run has no "
                           "place for",
                           safetensors_origin(w), name);
    }
    return OK;
}

/* The counter beside a running mean, if p is one; its tensor has been found to
 * be there and of the right kind. */
static bool read_counter(const struct safetensors *w, const char *part,
                         const struct nn_param *p, int64_t *updates)
{
    char prefix[80], name[2 * NN_PARAM_NAME_MAX + 32];
    size_t bytes;
    snprintf(prefix, sizeof prefix, "%s.", part);
    if (!nn_params_counter(p, prefix, name, sizeof name))
        return false;
    memcpy(updates, safetensors_bytes(w, name, &bytes), sizeof *updates);
    return true;
}

static enum err_code check_counters(const struct safetensors *w,
                                    const struct nn_checkpoint_part *part,
                                    struct err *e)
{
    for (size_t i = 0; i < part->ps->n; i++) {
        const struct nn_param *p = part->ps->list[i];
        int64_t updates;
        if (read_counter(w, part->name, p, &updates) && updates < 0)
            return err_set(e, ERR_DATA,
                           "'%s': the statistics '%s.%s' are of %" PRId64
                           " batches",
                           safetensors_origin(w), part->name, p->name, updates);
    }
    return OK;
}

/* Everything has been checked: into its places. Nothing here can fail. */
static void put_back(const struct safetensors *w, const struct nn_items *l,
                     const struct nn_checkpoint_part *parts,
                     const struct taken *taken)
{
    /* Statistics stand twice, under "<part>." and "ema.<part>.". What comes
     * first in the list is what counts. */
    for (size_t i = l->n; i-- > 0;) {
        struct tensor *t = l->entry[i].tensor;
        size_t bytes;
        const void *data = safetensors_bytes(w, l->entry[i].name, &bytes);
        if (bytes)
            memcpy(t->data, data, bytes);
    }
    for (; parts->name; parts++, taken++) {
        for (size_t i = 0; i < parts->ps->n; i++) {
            struct nn_param *p = parts->ps->list[i];
            (void)read_counter(w, parts->name, p, &p->updates);
            p->version++;
        }
        if (parts->optim)
            *parts->optim = taken->optim;
        if (parts->schedule)
            *parts->schedule = taken->schedule;
    }
}

enum err_code nn_checkpoint_apply(const struct safetensors *w,
                                  const struct nn_checkpoint_part *parts,
                                  const struct nn_checkpoint_value *values,
                                  struct err *e)
{
    struct nn_items l = {0};
    struct nn_meta m = {0};
    size_t n_parts = 0, n_values = 0;
    while (parts[n_parts].name)
        n_parts++;
    while (values && values[n_values].name)
        n_values++;
    struct taken *taken = mem_calloc(n_parts + 1, sizeof *taken);
    uint64_t *bits = mem_calloc(n_values + 1, sizeof *bits);
    enum err_code r = taken && bits
                          ? nn_checkpoint_check(parts, values, e)
                          : err_set(e, ERR_NOMEM, "no memory to read '%s'",
                                    safetensors_origin(w));
    if (!r)
        r = check_format(w, e);
    if (!r)
        r = nn_checkpoint_items(parts, &l, e);
    if (!r)
        r = put_meta(parts, values, &m, e);
    for (size_t i = 0; i < n_parts && !r; i++)
        r = take_part(w, &parts[i], &taken[i], e);
    for (size_t i = 0; i < n_values && !r; i++)
        r = take_value(w, &values[i], &bits[i], e);
    if (!r)
        r = check_pairs(w, &m, e);
    if (!r)
        r = check_tensors(w, &l, e);
    for (size_t i = 0; i < n_parts && !r; i++)
        r = check_counters(w, &parts[i], e);
    if (!r)
        put_back(w, &l, parts, taken);
    for (size_t i = 0; i < n_values && !r; i++)
        memcpy(values[i].number ? (void *)values[i].number
                                : (void *)values[i].real,
               &bits[i], sizeof bits[i]);
    nn_items_free(&l);
    nn_meta_free(&m);
    mem_free(taken);
    mem_free(bits);
    return r;
}

enum err_code nn_checkpoint_take(const struct safetensors *w,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 struct err *e)
{
    enum err_code r = check_format(w, e);
    if (!r)
        r = check_sum(w, e);
    return r ? r : nn_checkpoint_apply(w, parts, values, e);
}

enum err_code nn_checkpoint_load(const char *path,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 struct err *e)
{
    struct safetensors *w = NULL;
    enum err_code r = safetensors_read(path, &w, e);
    if (!r)
        r = nn_checkpoint_take(w, parts, values, e);
    safetensors_free(&w);
    return r;
}
