/* Samples put back into the order of their stream. */
#include "lib/train/order.h"

#include "lib/base/mem.h"

static void swap(struct train_order_entry *a, struct train_order_entry *b)
{
    struct train_order_entry x = *a;
    *a = *b;
    *b = x;
}

static void sift_up(struct train_order *o, size_t i)
{
    while (i && o->entry[(i - 1) / 2].at > o->entry[i].at) {
        swap(&o->entry[(i - 1) / 2], &o->entry[i]);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct train_order *o)
{
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < o->n; k++)
            least = o->entry[k].at < o->entry[least].at ? k : least;
        if (least == i)
            return;
        swap(&o->entry[i], &o->entry[least]);
        i = least;
    }
}

static struct item *pop(struct train_order *o)
{
    struct item *it = o->entry[0].item;
    o->entry[0] = o->entry[--o->n];
    sift_down(o);
    return it;
}

enum err_code train_order_put(struct train_order *o, int64_t at,
                              struct item *it, struct err *e)
{
    bool here = at < o->next;
    for (size_t i = 0; i < o->n && !here; i++)
        here = o->entry[i].at == at;
    if (here) {
        item_free(&it);
        return OK;
    }
    if (o->n == TRAIN_ORDER_MAX) {
        item_free(&it);
        return err_set(e, ERR_STATE,
                       "%d samples wait for sample %lld, which does not come",
                       TRAIN_ORDER_MAX, (long long)o->next);
    }
    if (o->n == o->cap) {
        size_t cap = o->cap ? 2 * o->cap : 64;
        void *p = mem_resize(o->entry, cap, sizeof *o->entry);
        if (!p) {
            item_free(&it);
            return err_set(e, ERR_NOMEM, "no memory for waiting samples");
        }
        o->entry = p;
        o->cap = cap;
    }
    o->entry[o->n] = (struct train_order_entry){.at = at, .item = it};
    sift_up(o, o->n++);
    return OK;
}

bool train_order_take(struct train_order *o, struct item **out)
{
    *out = NULL;
    if (!o->n || o->entry[0].at != o->next)
        return false;
    *out = pop(o);
    o->next++;
    return true;
}

void train_order_skip(struct train_order *o, int64_t next)
{
    o->next = next;
    while (o->n && o->entry[0].at < next) {
        struct item *it = pop(o);
        item_free(&it);
    }
}

void train_order_free(struct train_order *o)
{
    while (o->n) {
        struct item *it = pop(o);
        item_free(&it);
    }
    mem_free(o->entry);
    *o = (struct train_order){0};
}
