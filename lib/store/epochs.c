/* The shuffled, resumable order of a training source's records. */
#include "lib/store/epochs.h"

#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/store/row.h"

struct list {
    size_t *v, n, cap;
};

struct pool {
    struct list records;
    size_t draw;
    size_t *round;  /* the records in the order of round number `at` */
    int64_t number; /* of the round that `round` holds; -1: none yet */
};

struct epochs {
    uint64_t seed;
    int64_t epochs, size, epoch; /* epoch: the one that `order` holds, or -1 */
    struct list val, order;
    struct pool *pool;
    size_t n_pools;
    int64_t next_val, next; /* next training sample, counted over all epochs */
    bool started;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the order of the samples");
}

static enum err_code list_add(struct list *l, size_t v, struct err *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        void *p = mem_resize(l->v, cap, sizeof *l->v);
        if (!p)
            return no_memory(e);
        l->v = p;
        l->cap = cap;
    }
    l->v[l->n++] = v;
    return OK;
}

/* Fisher-Yates; `what` keeps the shuffles of pools, rounds and epochs apart. */
static void shuffle(size_t *v, size_t n, uint64_t seed, uint64_t what,
                    int64_t number)
{
    const uint64_t key[3] = {seed, what, (uint64_t)number};
    struct rng r;
    rng_seed(&r, store_hash(0x65706f63, key, sizeof key));
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)rng_below(&r, i), t = v[i - 1];
        v[i - 1] = v[k];
        v[k] = t;
    }
}

enum err_code epochs_new(uint64_t seed, int64_t epochs, struct epochs **out,
                         struct err *e)
{
    *out = NULL;
    if (epochs < 0)
        return err_set(e, ERR_ARG, "%lld epochs are none", (long long)epochs);
    struct epochs *p = mem_calloc(1, sizeof *p);
    if (!p)
        return no_memory(e);
    p->seed = seed;
    p->epochs = epochs;
    p->epoch = -1;
    *out = p;
    return OK;
}

void epochs_free(struct epochs **p)
{
    struct epochs *x = *p;
    if (!x)
        return;
    for (size_t i = 0; i < x->n_pools; i++) {
        mem_free(x->pool[i].records.v);
        mem_free(x->pool[i].round);
    }
    mem_free(x->pool);
    mem_free(x->val.v);
    mem_free(x->order.v);
    mem_free(x);
    *p = NULL;
}

enum err_code epochs_pool(struct epochs *p, size_t draw, struct err *e)
{
    if (p->started)
        return err_set(e, ERR_STATE, "the order has been started");
    void *m = mem_resize(p->pool, p->n_pools + 1, sizeof *p->pool);
    if (!m)
        return no_memory(e);
    p->pool = m;
    p->pool[p->n_pools++] = (struct pool){.draw = draw, .number = -1};
    return OK;
}

enum err_code epochs_add(struct epochs *p, size_t record, bool validation,
                         struct err *e)
{
    if (p->started || !p->n_pools)
        return err_set(e, ERR_STATE, "the order takes no record now");
    return list_add(validation ? &p->val : &p->pool[p->n_pools - 1].records,
                    record, e);
}

/* Sizes of the pools, of an epoch, of the whole; no product overflows later. */
static enum err_code measure(struct epochs *p, struct err *e)
{
    size_t size = 0;
    for (size_t i = 0; i < p->n_pools; i++) {
        struct pool *q = &p->pool[i];
        if (q->draw == EPOCHS_ALL)
            q->draw = q->records.n;
        if (q->draw && !q->records.n)
            return err_set(e, ERR_DATA, "nothing to draw %zu samples from",
                           q->draw);
        if (!size_add(size, q->draw, &size))
            size = SIZE_MAX;
    }
    if (!size)
        return err_set(e, ERR_DATA, "no sample is left to train with");
    /* 2^31 epochs of 2^31 samples count without overflow, and nobody has
     * either. */
    if (size > INT32_MAX || p->val.n > INT32_MAX || p->epochs > INT32_MAX)
        return err_set(e, ERR_DATA,
                       "%zu samples an epoch, %lld epochs: more than 2^31",
                       size, (long long)p->epochs);
    p->size = (int64_t)size;
    return OK;
}

enum err_code epochs_start(struct epochs *p, int64_t resume, struct err *e)
{
    if (p->started)
        return err_set(e, ERR_STATE, "the order has been started");
    if (resume < 0)
        return err_set(e, ERR_ARG, "position %lld is before the first",
                       (long long)resume);
    enum err_code r = measure(p, e);
    for (size_t i = 0; !r && i < p->n_pools; i++) {
        struct pool *q = &p->pool[i];
        q->round = mem_array(q->records.n + 1, sizeof *q->round);
        r = q->round ? OK : no_memory(e);
    }
    if (!r) {
        p->order.v = mem_array((size_t)p->size, sizeof *p->order.v);
        r = p->order.v ? OK : no_memory(e);
    }
    if (r)
        return r;
    int64_t val = (int64_t)p->val.n;
    p->next = resume > val ? resume - val : 0;
    p->started = true;
    return OK;
}

int64_t epochs_val_count(const struct epochs *p)
{
    return (int64_t)p->val.n;
}

int64_t epochs_size(const struct epochs *p)
{
    return p->size;
}

int64_t epochs_left(const struct epochs *p)
{
    if (!p->epochs)
        return -1;
    int64_t all = p->size * p->epochs;
    return (int64_t)p->val.n - p->next_val +
           (p->next < all ? all - p->next : 0);
}

/* The k-th record that is ever drawn from pool i: round k / n, place k % n. */
static size_t drawn(struct epochs *p, size_t i, int64_t k)
{
    struct pool *q = &p->pool[i];
    int64_t n = (int64_t)q->records.n, number = k / n;
    if (q->number != number) {
        memcpy(q->round, q->records.v, q->records.n * sizeof *q->round);
        shuffle(q->round, q->records.n, p->seed, 1 + i, number);
        q->number = number;
    }
    return q->round[k % n];
}

static void fill_epoch(struct epochs *p, int64_t epoch)
{
    p->order.n = 0;
    for (size_t i = 0; i < p->n_pools; i++)
        for (size_t k = 0; k < p->pool[i].draw; k++)
            p->order.v[p->order.n++] =
                drawn(p, i, epoch * (int64_t)p->pool[i].draw + (int64_t)k);
    shuffle(p->order.v, p->order.n, p->seed, 0, epoch);
    p->epoch = epoch;
}

enum err_code epochs_next(struct epochs *p, struct epochs_sample *out,
                          bool *end, struct err *e)
{
    if (!p->started)
        return err_set(e, ERR_STATE, "the order has not been started");
    int64_t val = (int64_t)p->val.n;
    *end = false;
    if (p->next_val < val) {
        int64_t k = p->next_val++;
        *out = (struct epochs_sample){p->val.v[k], k, -1, k};
        return OK;
    }
    int64_t epoch = p->next / p->size, slot = p->next % p->size;
    if (p->epochs ? epoch >= p->epochs : epoch > INT32_MAX) {
        *end = true;
        return OK;
    }
    if (epoch != p->epoch)
        fill_epoch(p, epoch);
    *out = (struct epochs_sample){p->order.v[slot], val + p->next, epoch, slot};
    p->next++;
    return OK;
}

bool epochs_held_back(const char *group, double share)
{
    uint64_t h = store_hash(0x76616c, group, strlen(group));
    return (double)(h >> 11) * 0x1.0p-53 < share;
}

static enum err_code parse_position(const struct buf *b, const char *path,
                                    int64_t *position, struct err *e)
{
    char text[65] = "";
    size_t n = b->len;
    while (n && (b->data[n - 1] == '\n' || b->data[n - 1] == '\r'))
        n--;
    if (n)
        memcpy(text, b->data, n);
    if (strlen(text) == n && text_to_i64(text, position) && *position >= 0)
        return OK;
    *position = 0;
    return err_set(e, ERR_DATA, "'%s': '%.30s' is no position of a sample",
                   path, text);
}

enum err_code epochs_read_resume(const char *folder, int64_t *position,
                                 struct err *e)
{
    *position = 0;
    if (!*folder)
        return OK;
    char *path = path_join(folder, "position");
    if (!path)
        return no_memory(e);
    enum err_code r = OK;
    if (file_exists(path)) {
        struct buf b;
        r = file_read(path, 64, &b, e);
        if (!r)
            r = parse_position(&b, path, position, e);
        buf_free(&b);
    }
    mem_free(path);
    return r;
}
