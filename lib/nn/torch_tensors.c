/* Named tensors of a PyTorch file: the walk through its values. */
#include "lib/nn/torch_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define TENSOR_VISITS 8 /* what making a tensor's name costs */

struct walk {
    struct torch_tensor *t;
    size_t n, cap;
    struct buf path;
    const struct pickle_value *trail[TORCH_MAX_DEPTH];
    size_t depth, visits; /* visits: that may still be made */
    size_t left;          /* bytes that may still be taken */
};

static enum err_code visit(struct walk *w, const struct pickle_value *v,
                           struct err *e);

void torch_tensors_free(struct torch_tensor **t, size_t n)
{
    for (size_t i = 0; *t && i < n; i++)
        mem_free((*t)[i].name);
    mem_free(*t);
    *t = NULL;
}

static bool visited(struct walk *w, size_t n)
{
    bool fine = n <= w->visits;
    w->visits = fine ? w->visits - n : 0;
    return fine;
}

static enum err_code too_many(struct err *e)
{
    return err_set(e, ERR_DATA, "too many values to look at");
}

/* No name of the file's making reaches a terminal or a header unchecked. */
static enum err_code check_name(const struct buf *path, struct err *e)
{
    const unsigned char *p = path->data;
    const char *s = (const char *)path->data;
    if (path->len == 0)
        return err_set(e, ERR_DATA, "a tensor without a name");
    for (size_t i = 0; i < path->len; i++) {
        bool c1 = p[i] == 0xc2 && i + 1 < path->len && p[i + 1] < 0xa0;
        if (p[i] < 0x20 || p[i] == 0x7f || c1)
            return err_set(e, ERR_DATA,
                           "a tensor's name has a NUL or control character "
                           "at byte %zu",
                           i);
    }
    if (!text_is_utf8(s, path->len))
        return err_set(e, ERR_DATA, "a tensor's name is not UTF-8");
    if (strcmp(s, "__metadata__") == 0)
        return err_set(e, ERR_DATA, "a tensor is called __metadata__");
    return OK;
}

static enum err_code add_tensor(struct walk *w, const struct pickle_value *v,
                                struct err *e)
{
    struct err why = {0};
    if (w->n >= TORCH_MAX_TENSORS)
        return err_set(e, ERR_DATA, "more than %d tensors", TORCH_MAX_TENSORS);
    if (!visited(w, TENSOR_VISITS))
        return too_many(e);
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 64;
        void *p = mem_resize(w->t, cap, sizeof *w->t);
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory for a list of tensors");
        w->t = p;
        w->cap = cap;
    }
    /* a file that is one tensor and nothing else */
    enum err_code r = w->path.len ? OK : buf_puts(&w->path, "tensor", e);
    if (!r)
        r = check_name(&w->path, e);
    if (r)
        return r;
    struct torch_tensor *t = &w->t[w->n];
    *t = (struct torch_tensor){.usable = true};
    r = torch_view_of(v, w->left, &t->view, &why);
    if (r && r != ERR_UNSUPPORTED)
        return err_set(e, r, "tensor '%.200s': %s", buf_str(&w->path),
                       why.text);
    if (r) {
        t->usable = false;
        t->view.bytes = 0;
        (void)snprintf(t->why, sizeof t->why, "%s", why.text);
    }
    t->name = mem_strdup(buf_str(&w->path));
    if (!t->name)
        return err_set(e, ERR_NOMEM, "no memory for a tensor's name");
    w->left -= t->view.bytes;
    w->n++;
    return OK;
}

/* Visit v as `name` below the path. */
static enum err_code below(struct walk *w, const char *name, size_t n,
                           const struct pickle_value *v, struct err *e)
{
    size_t len = w->path.len;
    if (n > TORCH_MAX_NAME - len)
        return err_set(e, ERR_DATA, "a tensor's path of more than %d bytes",
                       TORCH_MAX_NAME);
    enum err_code r = len ? buf_puts(&w->path, ".", e) : OK;
    if (!r)
        r = buf_put(&w->path, name, n, e);
    if (!r)
        r = visit(w, v, e);
    w->path.len = len;
    return r;
}

static bool is_container(const struct pickle_value *v)
{
    switch (v->type) {
    case PICKLE_TUPLE:
    case PICKLE_LIST:
    case PICKLE_SET:
    case PICKLE_DICT:
    case PICKLE_OBJECT:
        return true;
    default:
        return false;
    }
}

static enum err_code visit_pairs(struct walk *w, const struct pickle_items *p,
                                 const struct pickle_value *but, struct err *e)
{
    enum err_code r = OK;
    for (uint32_t i = 0; i + 1 < p->n && !r; i += 2) {
        const struct pickle_value *key = p->v[i];
        bool left_out = false;
        char number[32];
        size_t named = but && key->type == PICKLE_STR ? but->v.list.n : 0;
        if (!visited(w, 1 + named))
            return too_many(e);
        if (!is_container(p->v[i + 1]))
            continue;
        if (key->type == PICKLE_STR) {
            for (uint32_t k = 0; but && k < but->v.list.n; k++) {
                const struct pickle_value *b = but->v.list.v[k];
                left_out = left_out ||
                           (b->type == PICKLE_STR && b->v.s.n == key->v.s.n &&
                            memcmp(b->v.s.p, key->v.s.p, key->v.s.n) == 0);
            }
            if (!left_out)
                r = below(w, key->v.s.p, key->v.s.n, p->v[i + 1], e);
            continue;
        }
        if (key->type == PICKLE_INT)
            (void)snprintf(number, sizeof number, "%lld", (long long)key->v.i);
        else /* by its place, so that names differ */
            (void)snprintf(number, sizeof number, "#%u", (unsigned)i / 2);
        r = below(w, number, strlen(number), p->v[i + 1], e);
    }
    return r;
}

static enum err_code visit_list(struct walk *w, const struct pickle_items *p,
                                struct err *e)
{
    enum err_code r = OK;
    for (uint32_t i = 0; i < p->n && !r; i++) {
        char number[16];
        if (!visited(w, 1))
            return too_many(e);
        if (!is_container(p->v[i]))
            continue;
        (void)snprintf(number, sizeof number, "%u", (unsigned)i);
        r = below(w, number, strlen(number), p->v[i], e);
    }
    return r;
}

/* An nn.Module's __dict__: the names of its state_dict(). */
static enum err_code
visit_module(struct walk *w, const struct pickle_value *state, struct err *e)
{
    const struct pickle_value *but =
        pickle_get(state, "_non_persistent_buffers_set");
    const struct pickle_items *p =
        pickle_pairs(pickle_get(state, "_parameters"));
    enum err_code r = p ? visit_pairs(w, p, NULL, e) : OK;
    p = pickle_pairs(pickle_get(state, "_buffers"));
    if (p && !r)
        r = visit_pairs(w, p, but && but->type == PICKLE_SET ? but : NULL, e);
    p = pickle_pairs(pickle_get(state, "_modules"));
    return p && !r ? visit_pairs(w, p, NULL, e) : r;
}

static bool is_module(const struct pickle_value *state)
{
    return pickle_pairs(pickle_get(state, "_parameters")) &&
           pickle_pairs(pickle_get(state, "_modules"));
}

bool torch_is_module(const struct pickle_value *v)
{
    const struct pickle_value *c = pickle_class(v);
    static const char script[] = "__torch__";
    if (!c)
        return false;
    if (c->type == PICKLE_GLOBAL && c->v.global.module_n >= sizeof script - 1 &&
        memcmp(c->v.global.module, script, sizeof script - 1) == 0)
        return true;
    return is_module(v->v.object->state);
}

static enum err_code visit_object(struct walk *w, const struct pickle_value *v,
                                  struct err *e)
{
    const struct pickle_object *o = v->v.object;
    const struct pickle_items *attributes = pickle_pairs(o->state);
    /* they are searched for names */
    if (attributes && !visited(w, attributes->n))
        return too_many(e);
    if (is_module(o->state))
        return visit_module(w, o->state, e);
    enum err_code r = OK;
    /* attributes; or what a class with __slots__ or its own state keeps */
    if (attributes)
        r = visit_pairs(w, attributes, NULL, e);
    else if (o->state && is_container(o->state))
        r = visit(w, o->state, e);
    if (!r && o->pairs.n)
        r = visit_pairs(w, &o->pairs, NULL, e);
    if (!r && o->items.n)
        r = visit_list(w, &o->items, e);
    /* a named tuple, or what else is made of its arguments alone */
    if (!r && !o->state && !o->pairs.n && !o->items.n && pickle_seq(o->args))
        r = visit_list(w, pickle_seq(o->args), e);
    return r;
}

static enum err_code visit(struct walk *w, const struct pickle_value *v,
                           struct err *e)
{
    if (torch_is_tensor(v))
        return add_tensor(w, v, e);
    for (size_t i = 0; i < w->depth; i++) {
        if (w->trail[i] == v)
            return OK; /* a cycle */
    }
    if (!visited(w, 1))
        return too_many(e);
    if (w->depth == TORCH_MAX_DEPTH)
        return err_set(e, ERR_DATA, "containers nest deeper than %d",
                       TORCH_MAX_DEPTH);
    w->trail[w->depth++] = v;
    enum err_code r = OK;
    if (v->type == PICKLE_DICT)
        r = visit_pairs(w, &v->v.list, NULL, e);
    else if (v->type == PICKLE_OBJECT)
        r = visit_object(w, v, e);
    else if (is_container(v))
        r = visit_list(w, &v->v.list, e);
    w->depth--;
    return r;
}

static int by_name(const void *a, const void *b)
{
    const struct torch_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

enum err_code torch_tensors_unique(const struct torch_tensor *t, size_t n,
                                   struct err *e)
{
    const struct torch_tensor **sorted = mem_array(n, sizeof *sorted);
    if (!sorted)
        return err_set(e, ERR_NOMEM, "no memory for a list of tensors");
    for (size_t i = 0; i < n; i++)
        sorted[i] = &t[i];
    if (n)
        qsort(sorted, n, sizeof *sorted, by_name);
    enum err_code r = OK;
    for (size_t i = 1; i < n && !r; i++) {
        if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
            r = err_set(e, ERR_DATA, "tensor '%.200s' stands twice",
                        sorted[i]->name);
    }
    mem_free(sorted);
    return r;
}

enum err_code torch_tensors_within(const struct pickle_value *root, size_t max,
                                   size_t *visits, struct torch_tensor **out,
                                   size_t *n, struct err *e)
{
    struct walk w = {.left = max, .visits = *visits};
    buf_init(&w.path, TORCH_MAX_NAME + 32);
    *out = NULL;
    *n = 0;
    enum err_code r = visit(&w, root, e);
    buf_free(&w.path);
    *visits = w.visits;
    if (!r)
        r = torch_tensors_unique(w.t, w.n, e);
    if (r) {
        torch_tensors_free(&w.t, w.n);
        return r;
    }
    *out = w.t;
    *n = w.n;
    return OK;
}

enum err_code torch_tensors_of(const struct pickle_value *root, size_t max,
                               struct torch_tensor **out, size_t *n,
                               struct err *e)
{
    size_t visits = TORCH_MAX_VISITS;
    return torch_tensors_within(root, max, &visits, out, n, e);
}
