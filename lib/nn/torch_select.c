/* Which tensors of a PyTorch file are its weights, and their names. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/nn/torch_tensors.h"

#define MAX_CHILDREN 256 /* sets at one level that are told apart */
#define MAX_UNWRAP 4     /* {"model": {"state_dict": {..}}} */

/* Where people keep weights in a checkpoint. */
static const char *const usual[] = {"state_dict",
                                    "model_state_dict",
                                    "model_state",
                                    "model",
                                    "model_weights",
                                    "net",
                                    "net_state_dict",
                                    "network",
                                    "weights",
                                    "params",
                                    "generator",
                                    "G",
                                    "netG",
                                    "discriminator",
                                    "D",
                                    "netD"};
/* What stands beside them and is no weight. */
static const char *const beside[] = {
    "scaler",      "amp",  "callback", "rng",   "loop", "hparam",
    "hyper_param", "args", "config",   "epoch", "loss", "metric",
    "history",     "best", "step",     "iter"};

struct child {
    char name[96];
    const struct pickle_value *v;
    size_t tensors;
    bool is_tensor, usual, beside;
};

struct choice {
    const struct torch_options *o;
    struct torch_weights *w;
    size_t limit;
    size_t visits; /* that may still be made, over all walks */
};

void torch_weights_free(struct torch_weights **w)
{
    if (!w || !*w)
        return;
    torch_tensors_free(&(*w)->tensor, (*w)->n);
    for (size_t i = 0; i < (*w)->n_left; i++)
        mem_free((*w)->left[i].what);
    mem_free((*w)->left);
    mem_free(*w);
    *w = NULL;
}

static enum err_code leave(struct torch_weights *w, char *what, struct err *e)
{
    void *p = what ? mem_resize(w->left, w->n_left + 1, sizeof *w->left) : NULL;
    if (!p) {
        mem_free(what);
        return err_set(e, ERR_NOMEM, "no memory for notes");
    }
    w->left = p;
    w->left[w->n_left++].what = what;
    return OK;
}

/* How many tensors stand below v. */
static enum err_code count(struct choice *c, const struct pickle_value *v,
                           size_t *n, struct err *e)
{
    struct torch_tensor *t = NULL;
    enum err_code r = torch_tensors_within(v, c->limit, &c->visits, &t, n, e);
    torch_tensors_free(&t, *n);
    return r;
}

static bool is_usual(const char *name)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (strcmp(name, usual[i]) == 0)
            return true;
    }
    return false;
}

static bool is_beside(const char *name)
{
    if (strcasestr(name, "optim") || strcasestr(name, "sched"))
        return true;
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        if (strncasecmp(name, beside[i], strlen(beside[i])) == 0)
            return true;
    }
    return false;
}

/* What a part is called to a person: its key if that can be printed, else its
 * number. */
static void name_child(struct child *x, const struct pickle_value *key,
                       uint32_t number)
{
    bool plain = key->type == PICKLE_STR && key->v.s.n < sizeof x->name &&
                 text_is_utf8(key->v.s.p, key->v.s.n);
    if (plain) {
        memcpy(x->name, key->v.s.p, key->v.s.n);
        text_plain(x->name, key->v.s.n);
        plain = memcmp(x->name, key->v.s.p, key->v.s.n) == 0;
    }
    if (plain)
        x->name[key->v.s.n] = 0;
    else if (key->type == PICKLE_INT)
        (void)snprintf(x->name, sizeof x->name, "%lld", (long long)key->v.i);
    else
        (void)snprintf(x->name, sizeof x->name, "#%u", (unsigned)number);
}

/* The named entries of a dict that hold tensors; more than MAX_CHILDREN are
 * not told apart (*n is then 0). */
static enum err_code list_children(struct choice *c,
                                   const struct pickle_items *p,
                                   struct child *child, size_t *n,
                                   struct err *e)
{
    *n = 0;
    for (uint32_t i = 0; i + 1 < p->n; i += 2) {
        struct child x = {.v = p->v[i + 1]};
        const struct pickle_value *key = p->v[i];
        x.is_tensor = torch_is_tensor(x.v);
        x.tensors = 1;
        enum err_code r = x.is_tensor ? OK : count(c, x.v, &x.tensors, e);
        if (r)
            return r;
        if (!x.tensors)
            continue;
        if (*n == MAX_CHILDREN) {
            *n = 0;
            return OK;
        }
        name_child(&x, key, i / 2);
        x.usual = !x.is_tensor && is_usual(x.name);
        x.beside = !x.usual && is_beside(x.name);
        child[(*n)++] = x;
    }
    return OK;
}

static void add_from(struct torch_weights *w, const char *name)
{
    size_t n = strlen(w->from);
    (void)snprintf(w->from + n, sizeof w->from - n, "%s%s", n ? "." : "", name);
}

static enum err_code take_all(struct choice *c, const struct pickle_value *v,
                              struct err *e)
{
    return torch_tensors_within(v, c->limit, &c->visits, &c->w->tensor,
                                &c->w->n, e);
}

/* Drop the sets that stand beside weights, and say so. */
static enum err_code drop_beside(struct choice *c, const struct child *child,
                                 size_t n, struct err *e)
{
    struct torch_weights *w = c->w;
    for (size_t i = 0; i < n; i++) {
        if (!child[i].beside)
            continue;
        size_t len = strlen(child[i].name), kept = 0;
        for (size_t k = 0; k < w->n; k++) {
            const char *name = w->tensor[k].name;
            if (strncmp(name, child[i].name, len) == 0 &&
                (name[len] == '.' || !name[len]))
                mem_free(w->tensor[k].name);
            else
                w->tensor[kept++] = w->tensor[k];
        }
        w->n = kept;
    }
    return torch_tensors_unique(w->tensor, w->n, e);
}

static enum err_code note_others(struct choice *c, const struct child *child,
                                 size_t n, const struct child *taken,
                                 struct err *e)
{
    enum err_code r = OK;
    for (size_t i = 0; i < n && !r; i++) {
        if (&child[i] == taken || (!taken && !child[i].beside))
            continue;
        r = leave(c->w,
                  mem_printf("%s: %zu tensor%s", child[i].name,
                             child[i].tensors,
                             child[i].tensors == 1 ? "" : "s"),
                  e);
    }
    return r;
}

/* The one child that is the weights; NULL if it cannot be said. */
static const struct child *the_one(const struct child *child, size_t n)
{
    const struct child *one = NULL;
    size_t candidates = 0;
    for (size_t i = 0; i < n; i++) {
        if (child[i].usual) {
            candidates++;
            one = &child[i];
        }
    }
    if (candidates)
        return candidates == 1 ? one : NULL;
    for (size_t i = 0; i < n; i++) {
        if (!child[i].beside) {
            candidates++;
            one = &child[i];
        }
    }
    return candidates == 1 && !one->is_tensor ? one : NULL;
}

/* The named parts of a checkpoint: of a dict, or the attributes of an object
 * that is no module (those keep their names as they are). */
static const struct pickle_items *parts_of(const struct pickle_value *v)
{
    const struct pickle_items *p = pickle_pairs(v);
    if (!p && v->type == PICKLE_OBJECT && !torch_is_tensor(v) &&
        !torch_is_module(v))
        p = pickle_pairs(v->v.object->state);
    return p;
}

static enum err_code choose(struct choice *c, const struct pickle_value *v,
                            struct child *child, struct err *e)
{
    for (int level = 0; level < MAX_UNWRAP; level++) {
        const struct pickle_items *p = parts_of(v);
        size_t n = 0;
        enum err_code r = p ? list_children(c, p, child, &n, e) : OK;
        if (r)
            return r;
        size_t sets = 0;
        for (size_t i = 0; i < n; i++)
            sets += !child[i].is_tensor;
        if (!sets)
            return take_all(c, v, e);
        const struct child *one = the_one(child, n);
        if (!one) {
            r = take_all(c, v, e);
            if (!r)
                r = drop_beside(c, child, n, e);
            c->w->several = true;
            return r ? r : note_others(c, child, n, NULL, e);
        }
        r = note_others(c, child, n, one, e);
        if (r)
            return r;
        add_from(c->w, one->name);
        v = one->v;
    }
    return take_all(c, v, e);
}

/* What stands under a key of v: a name, or a number in a list. */
static const struct pickle_value *child_of(const struct pickle_value *v,
                                           const char *key)
{
    int64_t i;
    const struct pickle_items *list = pickle_seq(v), *p = pickle_pairs(v);
    if (v->type == PICKLE_OBJECT && !p)
        return pickle_get(v->v.object->state, key);
    if (list && text_to_i64(key, &i) && i >= 0 && i < (int64_t)list->n)
        return list->v[i];
    if (p && pickle_get(v, key))
        return pickle_get(v, key);
    for (uint32_t k = 0; p && k + 1 < p->n && text_to_i64(key, &i); k += 2) {
        if (p->v[k]->type == PICKLE_INT && p->v[k]->v.i == i)
            return p->v[k + 1];
    }
    return NULL;
}

/* The value at a path like "models.generator"; keys may hold dots, the longest
 * that fits is taken. */
static enum err_code at_key(const struct pickle_value *root, const char *key,
                            const struct pickle_value **out, struct err *e)
{
    char word[TORCH_MAX_NAME];
    const char *rest = key;
    *out = root;
    while (*rest) {
        size_t n = strlen(rest);
        const struct pickle_value *v = NULL;
        if (n >= sizeof word)
            return err_set(e, ERR_ARG, "the key is too long");
        memcpy(word, rest, n + 1);
        for (;;) {
            v = child_of(*out, word);
            char *dot = v ? NULL : strrchr(word, '.');
            if (!dot)
                break;
            *dot = 0;
        }
        if (!v)
            return err_set(e, ERR_NOTFOUND, "there is no '%s'", key);
        *out = v;
        rest += strlen(word);
        rest += *rest == '.';
    }
    return OK;
}

/* Take a prefix off: all names that have it, or none unless all have it. */
static size_t strip(struct torch_weights *w, const char *prefix, size_t from,
                    size_t to, bool all)
{
    size_t n = strlen(prefix), have = 0;
    for (size_t i = from; i < to; i++)
        have +=
            text_starts(w->tensor[i].name, prefix) && w->tensor[i].name[n] != 0;
    if (all && have != to - from)
        return 0;
    for (size_t i = from; i < to && have; i++) {
        char *s = w->tensor[i].name;
        if (text_starts(s, prefix) && s[n])
            memmove(s, s + n, strlen(s + n) + 1);
    }
    return have;
}

static void strip_common(struct torch_weights *w)
{
    static const char *const prefixes[] = {"module.", "_orig_mod."};
    bool again = w->n > 0;
    while (again) {
        again = false;
        for (size_t i = 0; i < 2; i++) {
            if (!strip(w, prefixes[i], 0, w->n, true))
                continue;
            size_t n = strlen(w->stripped);
            (void)snprintf(w->stripped + n, sizeof w->stripped - n, "%s",
                           prefixes[i]);
            again = true;
        }
    }
}

/* In names of several sets: "generator.module.x" to "generator.x". */
static void strip_sets(struct torch_weights *w)
{
    for (size_t from = 0, to; from < w->n; from = to) {
        const char *dot = strchr(w->tensor[from].name, '.');
        size_t set = dot ? (size_t)(dot - w->tensor[from].name) + 1 : 0;
        char prefix[TORCH_MAX_NAME + 16];
        for (to = from + 1;
             to < w->n && set &&
             strncmp(w->tensor[to].name, w->tensor[from].name, set) == 0;
             to++)
            ;
        if (!set)
            continue;
        (void)snprintf(prefix, sizeof prefix, "%.*smodule.", (int)set,
                       w->tensor[from].name);
        bool every = true;
        for (size_t i = from; i < to; i++)
            every = every && text_starts(w->tensor[i].name, prefix);
        for (size_t i = from; i < to && every; i++) {
            char *s = w->tensor[i].name + set;
            memmove(s, s + 7, strlen(s + 7) + 1);
        }
        if (every && !w->stripped[0])
            (void)snprintf(w->stripped, sizeof w->stripped, "module.");
    }
}

static enum err_code keep_only(struct torch_weights *w, const char *prefix,
                               struct err *e)
{
    size_t kept = 0, left = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (text_starts(w->tensor[i].name, prefix)) {
            w->tensor[kept++] = w->tensor[i];
        } else {
            mem_free(w->tensor[i].name);
            left++;
        }
    }
    w->n = kept;
    if (!kept)
        return err_set(e, ERR_ARG, "no tensor's name starts with '%s'", prefix);
    return left ? leave(w,
                        mem_printf("names that do not start with '%s': "
                                   "%zu tensors",
                                   prefix, left),
                        e)
                : OK;
}

static enum err_code rename_all(struct choice *c, struct err *e)
{
    struct torch_weights *w = c->w;
    if (w->n == 0)
        return err_set(e, ERR_NOTFOUND, "there is no tensor in it");
    if (!c->o->keep_prefix) {
        strip_common(w);
        if (w->several)
            strip_sets(w);
    }
    enum err_code r = c->o->only ? keep_only(w, c->o->only, e) : OK;
    if (!r && c->o->strip && !strip(w, c->o->strip, 0, w->n, false))
        r = err_set(e, ERR_ARG, "no tensor's name starts with '%s'",
                    c->o->strip);
    return r ? r : torch_tensors_unique(w->tensor, w->n, e);
}

enum err_code torch_weights_of(const struct torch_file *f,
                               const struct torch_options *o,
                               struct torch_weights **out, struct err *e)
{
    const struct pickle_value *v = torch_file_root(f);
    struct choice c = {
        .o = o, .limit = torch_file_limit(f), .visits = TORCH_MAX_VISITS};
    struct child *child = mem_array(MAX_CHILDREN, sizeof *child);
    c.w = mem_calloc(1, sizeof *c.w);
    *out = NULL;
    enum err_code r = OK;
    if (!child || !c.w)
        r = err_set(e, ERR_NOMEM, "no memory for a list of tensors");
    if (!r && o->key) {
        r = at_key(v, o->key, &v, e);
        if (!r)
            (void)snprintf(c.w->from, sizeof c.w->from, "%s", o->key);
    }
    if (!r)
        r = o->all || o->key ? take_all(&c, v, e) : choose(&c, v, child, e);
    if (!r)
        r = rename_all(&c, e);
    mem_free(child);
    if (r) {
        if (e)
            err_wrap(e, "'%s'", torch_file_origin(f));
        torch_weights_free(&c.w);
    }
    *out = c.w;
    return r;
}
