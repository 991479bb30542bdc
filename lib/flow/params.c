/* Parameter tables: from text to the members of a stage's context. */
#include "lib/flow/params.h"

#include <math.h>
#include <string.h>

#include "lib/base/lookup.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

static const char *const type_names[] = {"bool", "int",  "float",  "str",
                                         "path", "enum", "floats", "folder",
                                         "file", "model"};
#define N_TYPES (sizeof type_names / sizeof type_names[0])

static void *member(const struct params *p, size_t i)
{
    return (char *)p->ctx + p->table[i].offset;
}

/* Index of name[len] in the table, or n. */
static size_t find(const struct params *p, const char *name, size_t len)
{
    size_t i;
    for (i = 0; i < p->n; i++)
        if (strlen(p->table[i].name) == len &&
            memcmp(p->table[i].name, name, len) == 0)
            break;
    return i;
}

static enum err_code unknown(const struct params *p, const char *name,
                             size_t len, struct err *e)
{
    const char *names[PARAMS_MAX];
    char word[65];
    if (len > 64)
        len = 64;
    memcpy(word, name, len);
    word[len] = '\0';
    for (size_t i = 0; i < p->n; i++)
        names[i] = p->table[i].name;
    const char *near = text_nearest(word, names, p->n);
    if (near)
        return err_set(e, ERR_NOTFOUND,
                       "no parameter '%s' (did you mean '%s'?)", word, near);
    return err_set(e, ERR_NOTFOUND, "no parameter '%s'", word);
}

/* Move a parsed value into the context; p owns what it points to. */
static void store(struct params *p, size_t i, struct param_value *v)
{
    void *at = member(p, i);
    void *own = NULL;
    switch (v->type) {
    case PARAM_BOOL:
        memcpy(at, &v->b, sizeof v->b);
        break;
    case PARAM_INT:
        memcpy(at, &v->i, sizeof v->i);
        break;
    case PARAM_FLOAT:
        memcpy(at, &v->f, sizeof v->f);
        break;
    case PARAM_ENUM: {
        int k = (int)v->i;
        memcpy(at, &k, sizeof k);
        break;
    }
    case PARAM_STR:
    case PARAM_PATH:
    case PARAM_FOLDER:
    case PARAM_FILE:
    case PARAM_MODEL: {
        const char *s = v->str;
        own = v->str;
        v->str = NULL;
        memcpy(at, &s, sizeof s);
        break;
    }
    case PARAM_FLOATS:
        own = v->floats.v;
        memcpy(at, &v->floats, sizeof v->floats);
        v->floats = (struct stage_floats){0};
        break;
    }
    mem_free(p->owned[i]);
    p->owned[i] = own;
}

static enum err_code set_index(struct params *p, size_t i, const char *value,
                               struct err *e)
{
    struct param_value v;
    enum err_code rc = param_parse(&p->table[i], value, &v, e);
    if (rc)
        return err_wrap(e, "parameter '%s'", p->table[i].name), rc;
    store(p, i, &v);
    param_value_free(&v);
    return OK;
}

static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 47 || s[0] < 'a' || s[0] > 'z' || s[n - 1] == '-')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static enum err_code check_entry(const struct stage_param *p, struct err *e)
{
    if (!name_ok(p->name) || text_starts(p->name, "no-"))
        return err_set(e, ERR_ARG,
                       "parameter name '%s' is not lower-case words joined "
                       "by '-', or begins with 'no-'",
                       p->name);
    if ((size_t)p->type >= N_TYPES)
        return err_set(e, ERR_ARG, "parameter '%s': no such type", p->name);
    if (!p->help || !*p->help)
        return err_set(e, ERR_ARG, "parameter '%s' has no help", p->name);
    if (isnan(p->min) || isnan(p->max) || p->min > p->max)
        return err_set(e, ERR_ARG, "parameter '%s': min is above max", p->name);
    if ((p->type == PARAM_ENUM) != (p->choices && *p->choices))
        return err_set(e, ERR_ARG,
                       "parameter '%s': an enum, and nothing else, has "
                       "choices",
                       p->name);
    if (p->def) {
        struct param_value v;
        enum err_code rc = param_parse(p, p->def, &v, e);
        if (rc)
            return err_wrap(e, "parameter '%s': default", p->name), rc;
        param_value_free(&v);
    }
    return OK;
}

const char *param_type_name(enum param_type t)
{
    return (size_t)t < N_TYPES ? type_names[t] : "?";
}

bool param_type_from_name(const char *name, enum param_type *out)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(type_names[i], name) == 0) {
            *out = (enum param_type)i;
            return true;
        }
    return false;
}

static enum err_code look_model(const char *name, const char *program,
                                struct err *e)
{
    char *path = NULL;
    if (strchr(name, '/') || text_ends(name, ".safetensors"))
        return lookup_path(name, 0, e);
    enum err_code rc = lookup_model(program, name, &path, e);
    mem_free(path);
    return rc;
}

enum err_code param_look(enum param_type type, const char *value,
                         const char *program, struct err *e)
{
    if (!*value)
        return OK;
    if (type == PARAM_MODEL)
        return look_model(value, program, e);
    if (type == PARAM_FOLDER || type == PARAM_FILE)
        return lookup_path(value, type == PARAM_FOLDER, e);
    return OK;
}

enum err_code params_check_table(const struct stage_param *table, struct err *e)
{
    for (size_t i = 0; table && table[i].name; i++) {
        if (i >= PARAMS_MAX)
            return err_set(e, ERR_ARG, "more than %d parameters", PARAMS_MAX);
        enum err_code rc = check_entry(&table[i], e);
        if (rc)
            return rc;
        for (size_t j = 0; j < i; j++)
            if (strcmp(table[i].name, table[j].name) == 0)
                return err_set(e, ERR_ARG, "parameter '%s' occurs twice",
                               table[i].name);
    }
    return OK;
}

enum err_code params_init(struct params *p, const struct stage_param *table,
                          void *ctx, struct err *e)
{
    memset(p, 0, sizeof *p);
    enum err_code rc = params_check_table(table, e);
    if (rc)
        return rc;
    p->table = table;
    p->ctx = ctx;
    while (table && table[p->n].name)
        p->n++;
    if (p->n && !ctx)
        return err_set(e, ERR_ARG, "parameters without a context");
    for (size_t i = 0; i < p->n; i++) {
        if (!table[i].def)
            continue;
        rc = set_index(p, i, table[i].def, e);
        if (rc) {
            params_free(p);
            return rc;
        }
    }
    return OK;
}

void params_free(struct params *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        mem_free(p->owned[i]);
    memset(p, 0, sizeof *p);
}

enum err_code params_set(struct params *p, const char *name, const char *value,
                         struct err *e)
{
    size_t i = find(p, name, strlen(name));
    if (i == p->n)
        return unknown(p, name, strlen(name), e);
    enum err_code rc = set_index(p, i, value, e);
    if (rc == OK)
        p->given[i] = true;
    return rc;
}

/* The value of a "--name" without '=': the next argument, or for a BOOL also
 * none. NULL if there should be one and is not. */
static const char *next_value(const struct stage_param *entry, int argc,
                              char *const *argv, int *i)
{
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    bool b;
    if (entry->type == PARAM_BOOL && (!next || !text_to_bool(next, &b)))
        return "true";
    if (!next || text_starts(next, "--"))
        return NULL;
    ++*i;
    return next;
}

enum err_code params_arg(struct params *p, int argc, char *const *argv, int *i,
                         struct err *e)
{
    const char *arg = argv[*i];
    if (!text_starts(arg, "--") || !arg[2])
        return err_set(e, ERR_NOTFOUND, "unexpected argument '%.80s'", arg);
    const char *name = arg + 2, *value = strchr(name, '=');
    size_t len = value ? (size_t)(value - name) : strlen(name);
    size_t k = find(p, name, len);
    if (k == p->n && !value && text_starts(name, "no-")) {
        k = find(p, name + 3, len - 3);
        if (k < p->n && p->table[k].type == PARAM_BOOL)
            value = "=false";
        else
            k = p->n;
    }
    if (k == p->n)
        return unknown(p, name, len, e);
    int at = *i;
    value = value ? value + 1 : next_value(&p->table[k], argc, argv, &at);
    if (!value)
        return err_set(e, ERR_ARG, "parameter '%s': needs a value",
                       p->table[k].name);
    enum err_code rc = set_index(p, k, value, e);
    if (rc)
        return rc;
    p->given[k] = true;
    *i = at + 1;
    return OK;
}

enum err_code params_args(struct params *p, int argc, char *const *argv,
                          int first, struct err *e)
{
    for (int i = first; i < argc;) {
        enum err_code rc = params_arg(p, argc, argv, &i, e);
        if (rc)
            return rc;
    }
    return params_done(p, e);
}

enum err_code params_done(const struct params *p, struct err *e)
{
    char list[400] = "";
    size_t used = 0, missing = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->given[i] || p->table[i].def)
            continue;
        const char *name = p->table[i].name;
        size_t len = strlen(name);
        if (used + len + 3 < sizeof list) {
            if (missing)
                memcpy(list + used, ", ", 3), used += 2;
            memcpy(list + used, name, len + 1);
            used += len;
        }
        missing++;
    }
    if (!missing)
        return OK;
    return err_set(e, ERR_ARG, "missing parameter%s: %s",
                   missing > 1 ? "s" : "", list);
}
