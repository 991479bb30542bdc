/* Weight files in the safetensors format: header, tensors, look-ups. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/json.h"
#include "lib/nn/safetensors_impl.h"

static const struct {
    const char *word;
    enum dtype dtype;
    size_t size;
} types[] = {
    {"F16", DT_F16, 2},   {"BF16", DT_BF16, 2},     {"F32", DT_F32, 4},
    {"F64", DT_F64, 8},   {"U8", DT_U8, 1},         {"U16", DT_U16, 2},
    {"I32", DT_I32, 4},   {"I64", DT_I64, 8},       {"BOOL", DT_COUNT, 1},
    {"I8", DT_COUNT, 1},  {"I16", DT_COUNT, 2},     {"U32", DT_COUNT, 4},
    {"U64", DT_COUNT, 8}, {"F8_E4M3", DT_COUNT, 1}, {"F8_E5M2", DT_COUNT, 1},
};

static enum err_code read_dtype(struct json *j, struct safetensors_part *t,
                                struct buf *s, struct err *e)
{
    enum err_code r = json_string(j, s, e);
    if (r)
        return r;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].word, buf_str(s)) == 0) {
            t->word = types[i].word;
            t->dtype = types[i].dtype;
            t->elem = types[i].size;
            return OK;
        }
    }
    return err_set(e, ERR_DATA, "unknown dtype '%.40s'", buf_str(s));
}

static enum err_code read_shape(struct json *j, struct safetensors_part *t,
                                struct err *e)
{
    enum err_code r = json_array(j, e);
    bool more = true;
    t->ndim = 0;
    while (!r) {
        r = json_element(j, &more, e);
        if (r || !more)
            return r;
        if (t->ndim == TENSOR_MAX_DIMS)
            return err_set(e, ERR_DATA, "more than %d dimensions",
                           TENSOR_MAX_DIMS);
        r = json_count(j, &t->shape[t->ndim++], e);
    }
    return r;
}

static enum err_code read_offsets(struct json *j, struct safetensors_part *t,
                                  struct err *e)
{
    int64_t v[2];
    bool more;
    enum err_code r = json_array(j, e);
    for (int i = 0; i < 2 && !r; i++) {
        r = json_element(j, &more, e);
        if (!r && !more)
            return err_set(e, ERR_DATA, "data_offsets needs two numbers");
        if (!r)
            r = json_count(j, &v[i], e);
    }
    if (!r)
        r = json_element(j, &more, e);
    if (!r && more)
        return err_set(e, ERR_DATA, "data_offsets needs two numbers");
    if (r)
        return r;
    t->begin = (size_t)v[0];
    t->end = (size_t)v[1];
    return OK;
}

/* {"dtype":..,"shape":..,"data_offsets":..}, each once, nothing else. */
static enum err_code read_entry(struct json *j, struct safetensors_part *t,
                                struct buf *s, struct err *e)
{
    unsigned seen = 0;
    enum err_code r = json_object(j, e);
    while (!r) {
        bool more;
        r = json_member(j, s, &more, e);
        if (r || !more)
            break;
        unsigned bit;
        if (strcmp(buf_str(s), "dtype") == 0) {
            bit = 1;
            r = read_dtype(j, t, s, e);
        } else if (strcmp(buf_str(s), "shape") == 0) {
            bit = 2;
            r = read_shape(j, t, e);
        } else if (strcmp(buf_str(s), "data_offsets") == 0) {
            bit = 4;
            r = read_offsets(j, t, e);
        } else {
            return err_set(e, ERR_DATA, "unknown key '%.40s'", buf_str(s));
        }
        if (!r && (seen & bit))
            return err_set(e, ERR_DATA, "a key stands twice");
        seen |= bit;
    }
    if (!r && seen != 7)
        return err_set(e, ERR_DATA, "dtype, shape or data_offsets missing");
    return r;
}

static enum err_code check_entry(const struct safetensors_part *t,
                                 size_t data_n, struct err *e)
{
    size_t bytes = t->elem;
    for (int i = 0; i < t->ndim; i++) {
        if (!size_mul(bytes, (size_t)t->shape[i], &bytes))
            return err_set(e, ERR_DATA, "the shape's product overflows");
    }
    if (t->begin > t->end || t->end > data_n)
        return err_set(e, ERR_DATA,
                       "offsets %zu..%zu outside the data (%zu bytes)",
                       t->begin, t->end, data_n);
    if (t->end - t->begin != bytes)
        return err_set(e, ERR_DATA,
                       "shape and dtype need %zu bytes, "
                       "offsets give %zu",
                       bytes, t->end - t->begin);
    return OK;
}

/* Room for one more in a growing list. */
static bool grow(void **list, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return true;
    size_t want = *cap ? *cap * 2 : 64;
    void *p = mem_resize(*list, want, size);
    if (!p)
        return false;
    *list = p;
    *cap = want;
    return true;
}

static enum err_code read_meta(struct safetensors *x, struct json *j,
                               struct buf *s, struct err *e)
{
    enum err_code r = json_object(j, e);
    while (!r) {
        bool more;
        r = json_member(j, s, &more, e);
        if (r || !more)
            break;
        if (x->n_meta >= SAFETENSORS_MAX_META)
            return err_set(e, ERR_DATA, "too many metadata entries");
        void *list = x->meta;
        if (!grow(&list, &x->cap_meta, x->n_meta, sizeof *x->meta))
            return err_set(e, ERR_NOMEM, "no memory for the metadata");
        x->meta = list;
        struct safetensors_text *p = &x->meta[x->n_meta];
        *p = (struct safetensors_text){.key = mem_strdup(buf_str(s))};
        if (!p->key)
            return err_set(e, ERR_NOMEM, "no memory for the metadata");
        x->n_meta++;
        r = json_string(j, s, e);
        if (r) {
            err_wrap(e, "metadata");
            return r;
        }
        p->value = mem_strdup(buf_str(s));
        if (!p->value)
            return err_set(e, ERR_NOMEM, "no memory for the metadata");
    }
    return r;
}

static enum err_code read_header(struct safetensors *x, struct json *j,
                                 struct err *e)
{
    struct buf s;
    buf_init(&s, JSON_MAX_STRING + 4);
    bool meta = false;
    enum err_code r = json_object(j, e);
    while (!r) {
        bool more;
        r = json_member(j, &s, &more, e);
        if (r || !more)
            break;
        if (strcmp(buf_str(&s), "__metadata__") == 0) {
            r = meta ? err_set(e, ERR_DATA, "two __metadata__ members")
                     : read_meta(x, j, &s, e);
            meta = true;
            continue;
        }
        if (x->n >= SAFETENSORS_MAX_TENSORS) {
            r = err_set(e, ERR_DATA, "too many tensors");
            break;
        }
        void *list = x->entry;
        if (!grow(&list, &x->cap, x->n, sizeof *x->entry)) {
            r = err_set(e, ERR_NOMEM, "no memory for the header");
            break;
        }
        x->entry = list;
        struct safetensors_part *t = &x->entry[x->n];
        *t = (struct safetensors_part){.name = mem_strdup(buf_str(&s))};
        if (!t->name) {
            r = err_set(e, ERR_NOMEM, "no memory for the header");
            break;
        }
        x->n++;
        r = read_entry(j, t, &s, e);
        if (!r)
            r = check_entry(t, x->data_n, e);
        if (r)
            err_wrap(e, "tensor '%.80s'", t->name);
    }
    buf_free(&s);
    if (!r)
        r = json_end(j, e);
    return r;
}

static int by_begin(const void *a, const void *b)
{
    const struct safetensors_part *p = a, *q = b;
    if (p->begin != q->begin)
        return p->begin < q->begin ? -1 : 1;
    return p->end < q->end ? -1 : p->end > q->end;
}

/* Sort by place; every byte of the data belongs to exactly one tensor. */
static enum err_code check_layout(struct safetensors *x, struct err *e)
{
    if (x->n)
        qsort(x->entry, x->n, sizeof *x->entry, by_begin);
    size_t at = 0;
    for (size_t i = 0; i < x->n; i++) {
        const struct safetensors_part *t = &x->entry[i];
        if (t->begin != at)
            return err_set(e, ERR_DATA, "tensor '%.80s' %s", t->name,
                           t->begin < at ? "overlaps the one before"
                                         : "leaves a hole before it");
        at = t->end;
    }
    if (at != x->data_n)
        return err_set(e, ERR_DATA, "%zu bytes after the last tensor",
                       x->data_n - at);
    return OK;
}

/* An ordered index by name: names compared through the entry table. */
static void sift(const struct safetensors_part *t, size_t *a, size_t i,
                 size_t n)
{
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= n)
            return;
        if (c + 1 < n && strcmp(t[a[c]].name, t[a[c + 1]].name) < 0)
            c++;
        if (strcmp(t[a[i]].name, t[a[c]].name) >= 0)
            return;
        size_t swap = a[i];
        a[i] = a[c];
        a[c] = swap;
        i = c;
    }
}

static enum err_code build_index(struct safetensors *x, struct err *e)
{
    x->by_name = mem_array(x->n ? x->n : 1, sizeof *x->by_name);
    if (!x->by_name)
        return err_set(e, ERR_NOMEM, "no memory for the header");
    for (size_t i = 0; i < x->n; i++)
        x->by_name[i] = i;
    for (size_t i = x->n / 2; i-- > 0;)
        sift(x->entry, x->by_name, i, x->n);
    for (size_t m = x->n; m > 1; m--) {
        size_t swap = x->by_name[0];
        x->by_name[0] = x->by_name[m - 1];
        x->by_name[m - 1] = swap;
        sift(x->entry, x->by_name, 0, m - 1);
    }
    for (size_t i = 1; i < x->n; i++) {
        const char *a = x->entry[x->by_name[i - 1]].name;
        if (strcmp(a, x->entry[x->by_name[i]].name) == 0)
            return err_set(e, ERR_DATA, "tensor '%.80s' stands twice", a);
    }
    return OK;
}

enum err_code safetensors_understand(struct safetensors *x, const void *head,
                                     size_t n, struct err *e)
{
    struct json j;
    json_init(&j, head, n);
    enum err_code r = read_header(x, &j, e);
    if (!r)
        r = check_layout(x, e);
    if (!r)
        r = build_index(x, e);
    return r;
}

const char *safetensors_origin(const struct safetensors *s)
{
    return s->origin;
}

size_t safetensors_count(const struct safetensors *s)
{
    return s->n;
}

struct safetensors_entry safetensors_at(const struct safetensors *s, size_t i)
{
    const struct safetensors_part *t = &s->entry[i];
    struct safetensors_entry out = {.name = t->name,
                                    .dtype_word = t->word,
                                    .dtype = t->dtype,
                                    .ndim = t->ndim,
                                    .bytes = t->end - t->begin};
    memcpy(out.shape, t->shape, sizeof out.shape);
    return out;
}

static const struct safetensors_part *find(const struct safetensors *s,
                                           const char *name)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct safetensors_part *t = &s->entry[s->by_name[mid]];
        int c = strcmp(name, t->name);
        if (c == 0)
            return t;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

bool safetensors_find(const struct safetensors *s, const char *name,
                      struct safetensors_entry *out)
{
    const struct safetensors_part *t = find(s, name);
    if (t && out)
        *out = safetensors_at(s, (size_t)(t - s->entry));
    return t != NULL;
}

const char *safetensors_meta(const struct safetensors *s, const char *key)
{
    for (size_t i = 0; i < s->n_meta; i++) {
        if (strcmp(s->meta[i].key, key) == 0)
            return s->meta[i].value;
    }
    return NULL;
}

bool safetensors_meta_at(const struct safetensors *s, size_t i,
                         const char **key, const char **value)
{
    if (i >= s->n_meta)
        return false;
    *key = s->meta[i].key;
    *value = s->meta[i].value;
    return true;
}

const void *safetensors_bytes(const struct safetensors *s, const char *name,
                              size_t *n)
{
    const struct safetensors_part *t = find(s, name);
    *n = t ? t->end - t->begin : 0;
    return t && s->data ? s->data + t->begin : NULL;
}

enum err_code safetensors_tensor(const struct safetensors *s, const char *name,
                                 struct tensor **out, struct err *e)
{
    *out = NULL;
    const struct safetensors_part *t = find(s, name);
    if (!t)
        return err_set(e, ERR_NOTFOUND, "'%s' has no tensor '%s'", s->origin,
                       name);
    if (t->dtype == DT_COUNT)
        return err_set(e, ERR_UNSUPPORTED, "'%s': tensor '%s' is of type %s",
                       s->origin, name, t->word);
    *out = tensor_new_mapped(t->dtype, t->ndim, t->shape, e);
    if (!*out)
        return ERR_NOMEM;
    enum err_code r = safetensors_fetch(s, t, (*out)->data, e);
    if (r)
        tensor_free(out);
    return r;
}

static enum err_code check_shape(const struct safetensors *s,
                                 const struct safetensors_part *t, int ndim,
                                 const int64_t *shape, struct err *e)
{
    bool same = t->ndim == ndim;
    for (int i = 0; i < ndim && same; i++)
        same = t->shape[i] == shape[i];
    if (same)
        return OK;
    struct tensor want = {.dtype = DT_F32, .ndim = ndim};
    struct tensor have = {.dtype = DT_F32, .ndim = t->ndim};
    memcpy(want.shape, shape, sizeof *shape * (size_t)ndim);
    memcpy(have.shape, t->shape, sizeof have.shape);
    char a[96], b[96];
    return err_set(e, ERR_DATA, "'%s': tensor '%s' has shape %s, %s expected",
                   s->origin, t->name, tensor_describe(&have, a, sizeof a),
                   tensor_describe(&want, b, sizeof b));
}

enum err_code safetensors_fits(const struct safetensors *s, const char *name,
                               int ndim, const int64_t *shape, struct err *e)
{
    const struct safetensors_part *t = find(s, name);
    if (!t)
        return err_set(e, ERR_NOTFOUND, "'%s' has no tensor '%s'", s->origin,
                       name);
    enum err_code r = check_shape(s, t, ndim, shape, e);
    if (r)
        return r;
    if (t->dtype != DT_F16 && t->dtype != DT_BF16 && t->dtype != DT_F32 &&
        t->dtype != DT_F64)
        return err_set(e, ERR_UNSUPPORTED, "'%s': weight '%s' is of type %s",
                       s->origin, name, t->word);
    return OK;
}

enum err_code safetensors_weight(const struct safetensors *s, const char *name,
                                 int ndim, const int64_t *shape,
                                 struct tensor **out, struct err *e)
{
    *out = NULL;
    enum err_code r = safetensors_fits(s, name, ndim, shape, e);
    if (r)
        return r;
    struct tensor *raw = NULL;
    r = safetensors_tensor(s, name, &raw, e);
    if (r)
        return r;
    struct tensor *w = raw;
    if (raw->dtype != DT_F32) {
        w = tensor_new_mapped(DT_F32, ndim, shape, e);
        for (size_t i = 0; w && i < w->count; i++)
            tensor_f32(w)[i] = (float)tensor_get(raw, i);
        tensor_free(&raw);
        if (!w)
            return ERR_NOMEM;
    }
    for (size_t i = 0; i < w->count; i++) {
        if (!isfinite(tensor_f32(w)[i])) {
            tensor_free(&w);
            return err_set(e, ERR_DATA,
                           "'%s': tensor '%s' element %zu is not finite",
                           s->origin, name, i);
        }
    }
    *out = w;
    return OK;
}
