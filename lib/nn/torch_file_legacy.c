/* Files written by PyTorch: one pickle after another, then raw storages
 * (torch.save before 1.6): magic number, protocol, system, object, keys; for
 * each key its number of elements (i64) and the elements. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/torch_file_impl.h"

static bool is_magic(const struct pickle_value *v)
{
    static const uint8_t magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                    0x20, 0x6a, 0xa8, 0x50, 0x19};
    return v->type == PICKLE_LONG && v->v.s.n == sizeof magic &&
           memcmp(v->v.s.p, magic, sizeof magic) == 0;
}

static int compare(struct pickle_bytes a, struct pickle_bytes b)
{
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return a.n ? memcmp(a.p, b.p, a.n) : 0;
}

static int by_key(const void *a, const void *b)
{
    const struct torch_record *x = a, *y = b;
    return compare(x->key, y->key);
}

static struct torch_record *find(const struct torch_file *x,
                                 struct pickle_bytes key)
{
    const struct torch_record want = {.key = key};
    return bsearch(&want, x->record, x->n_records, sizeof want, by_key);
}

/* One record for each storage that the tree names. */
static enum err_code list_storages(struct torch_file *x, struct err *e)
{
    const struct pickle_items *ids = pickle_ids(x->tree);
    x->record = mem_array((size_t)ids->n + 1, sizeof *x->record);
    if (!x->record)
        return err_set(e, ERR_NOMEM, "no memory for %u storages",
                       (unsigned)ids->n);
    for (uint32_t i = 0; i < ids->n; i++) {
        struct torch_storage s;
        const struct pickle_items *id = pickle_seq(ids->v[i]->v.id);
        if (id && id->n && pickle_is_str(id->v[0], "module"))
            continue;
        enum err_code r = torch_storage_of(ids->v[i], &s, e);
        if (r)
            return err_wrap(e, "persistent id at byte %zu", ids->v[i]->at);
        x->record[x->n_records++] =
            (struct torch_record){s.key, s.type, s.elements, NULL};
    }
    if (x->n_records)
        qsort(x->record, x->n_records, sizeof *x->record, by_key);
    size_t n = 0;
    for (size_t i = 0; i < x->n_records; i++) {
        const struct torch_record *t = &x->record[i];
        if (n && compare(x->record[n - 1].key, t->key) == 0) {
            if (x->record[n - 1].type != t->type ||
                x->record[n - 1].elements != t->elements)
                return err_set(e, ERR_DATA,
                               "storage '%.*s' is said to be two things",
                               (int)t->key.n, t->key.p);
            continue;
        }
        x->record[n++] = *t;
    }
    x->n_records = n;
    if (n > TORCH_MAX_STORAGES)
        return err_set(e, ERR_DATA, "%zu storages, more than %d", n,
                       TORCH_MAX_STORAGES);
    return OK;
}

static enum err_code place(struct torch_file *x, const struct pickle_value *key,
                           size_t *at, struct err *e)
{
    if (key->type != PICKLE_STR || key->v.s.n > 64)
        return err_set(e, ERR_DATA, "a storage's key is no short string");
    int n = (int)key->v.s.n;
    struct torch_record *t = find(x, key->v.s);
    if (!t)
        return err_set(e, ERR_DATA, "storage '%.*s' is in no tensor", n,
                       key->v.s.p);
    if (t->data)
        return err_set(e, ERR_DATA, "storage '%.*s' stands twice", n,
                       key->v.s.p);
    if (x->data_n - *at < 8)
        return err_set(e, ERR_DATA, "the file ends at storage '%.*s'", n,
                       key->v.s.p);
    uint64_t count = 0;
    for (size_t i = 8; i-- > 0;)
        count = count << 8 | x->data[*at + i];
    if (count != t->elements)
        return err_set(e, ERR_DATA,
                       "storage '%.*s' has %llu elements, its tensors say %zu",
                       n, key->v.s.p, (unsigned long long)count, t->elements);
    *at += 8;
    size_t bytes = t->elements * t->type->size; /* checked when listed */
    if (bytes > x->data_n - *at)
        return err_set(e, ERR_DATA,
                       "the file ends inside storage '%.*s': %zu bytes of %zu",
                       n, key->v.s.p, x->data_n - *at, bytes);
    t->data = x->data + *at;
    *at += bytes;
    return OK;
}

/* The list of keys, then the storages in its order. */
static enum err_code place_storages(struct torch_file *x, size_t at,
                                    struct err *e)
{
    struct pickle *keys = NULL;
    size_t used;
    enum err_code r = list_storages(x, e);
    if (!r)
        r = pickle_read(x->data + at, x->data_n - at, &keys, &used, e);
    if (r)
        return r == ERR_DATA && e ? err_wrap(e, "list of storages") : r;
    const struct pickle_items *list = pickle_seq(pickle_root(keys));
    if (!list)
        r = err_set(e, ERR_DATA, "the list of storages is none");
    at += used;
    for (uint32_t i = 0; !r && i < list->n; i++)
        r = place(x, list->v[i], &at, e);
    pickle_free(&keys);
    return r;
}

/* One of the small pickles before the object. */
static enum err_code step(struct torch_file *x, size_t *at, struct pickle **out,
                          struct err *e)
{
    size_t used = 0;
    enum err_code r =
        pickle_read(x->data + *at, x->data_n - *at, out, &used, e);
    if (!r)
        *at += used;
    return r;
}

static enum err_code check_header(struct torch_file *x, size_t *at,
                                  struct err *e)
{
    struct pickle *p = NULL;
    enum err_code r = step(x, at, &p, e);
    if (!r &&
        (pickle_root(p)->type != PICKLE_INT || pickle_root(p)->v.i != 1001))
        r = err_set(e, ERR_UNSUPPORTED, "an unknown version of torch.save");
    pickle_free(&p);
    if (!r)
        r = step(x, at, &p, e);
    if (!r) {
        const struct pickle_value *v =
            pickle_get(pickle_root(p), "little_endian");
        if (v && v->type == PICKLE_BOOL && !v->v.b)
            r = err_set(e, ERR_UNSUPPORTED, "its numbers are big-endian");
    }
    pickle_free(&p);
    return r;
}

static enum err_code refuse_others(const struct torch_file *x, struct err *e)
{
    const uint8_t *p = x->data;
    if (x->data_n == 0)
        return err_set(e, ERR_DATA, "the file is empty");
    if (x->data_n > 262 && memcmp(p + 257, "ustar", 5) == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "a tar file, as PyTorch before 0.1.10 wrote; "
                       "torch.load and torch.save in any later PyTorch make "
                       "one that can be read");
    if (x->data_n > 9 && p[8] == '{' && p[6] == 0 && p[7] == 0)
        return err_set(e, ERR_DATA, "a safetensors file, not PyTorch's");
    return OK;
}

enum err_code torch_file_legacy(struct torch_file *x, struct err *e)
{
    size_t at = 0;
    enum err_code r = refuse_others(x, e);
    if (r)
        return r;
    r = step(x, &at, &x->tree, e);
    if (r == ERR_DATA && e)
        return err_wrap(e, "no PyTorch file");
    if (r)
        return r;
    if (!is_magic(pickle_root(x->tree))) {
        x->format = TORCH_PICKLE;
        return OK;
    }
    x->format = TORCH_LEGACY;
    pickle_free(&x->tree);
    r = check_header(x, &at, e);
    if (!r)
        r = step(x, &at, &x->tree, e);
    return r ? r : place_storages(x, at, e);
}

enum err_code torch_file_record(struct torch_file *x,
                                const struct torch_storage *s,
                                const uint8_t **data, size_t *n, struct err *e)
{
    const struct torch_record *t = x->n_records ? find(x, s->key) : NULL;
    if (!t || !t->data)
        return err_set(e, ERR_DATA, "the file has no storage '%.*s'",
                       (int)s->key.n, s->key.p);
    *data = t->data;
    *n = t->elements * t->type->size;
    return OK;
}
