/* A growing list of named tensors on their way into a file. */
#include "lib/nn/items.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/mem.h"

static bool grow(struct nn_items *l)
{
    if (l->n < l->cap)
        return true;
    size_t want = l->cap ? 2 * l->cap : 64;
    struct nn_items_entry *p = mem_resize(l->entry, want, sizeof *p);
    if (!p)
        return false;
    l->entry = p;
    l->cap = want;
    return true;
}

enum err_code nn_items_add(struct nn_items *l, struct tensor *t, struct err *e,
                           const char *fmt, ...)
{
    char name[1024];
    va_list ap;
    va_start(ap, fmt);
    int k = vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    enum err_code r = OK;
    char *copy = NULL;
    if (k < 0 || (size_t)k >= sizeof name)
        r = err_set(e, ERR_ARG, "the tensor name '%.60s...' is too long", name);
    else if (t)
        copy = mem_strdup(name);
    if (!r && (!copy || !grow(l)))
        r = err_set(e, ERR_NOMEM, "no memory for tensor '%s'", name);
    if (r) {
        mem_free(copy);
        tensor_free(&t);
        return r;
    }
    l->entry[l->n++] = (struct nn_items_entry){.name = copy, .tensor = t};
    return OK;
}

enum err_code nn_items_write(const struct nn_items *l, const char *path,
                             const struct safetensors_pair *meta, struct err *e)
{
    struct safetensors_item *item = mem_calloc(l->n + 1, sizeof *item);
    if (!item)
        return err_set(e, ERR_NOMEM, "no memory to write '%s'", path);
    for (size_t i = 0; i < l->n; i++) {
        item[i].name = l->entry[i].name;
        item[i].tensor = l->entry[i].tensor;
    }
    enum err_code r = safetensors_write(path, item, meta, e);
    mem_free(item);
    return r;
}

void nn_items_free(struct nn_items *l)
{
    for (size_t i = 0; i < l->n; i++) {
        mem_free(l->entry[i].name);
        tensor_free(&l->entry[i].tensor);
    }
    mem_free(l->entry);
    *l = (struct nn_items){0};
}
