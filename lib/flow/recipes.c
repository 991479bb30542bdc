/* What the results of each stage of a pipeline come from. */
#include "lib/flow/recipes.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/base/lookup.h"
#include "lib/data/hash.h"
#include "lib/data/item.h"
#include "lib/data/recipe.h"
#include "lib/flow/params.h"

#define FILES_MAX ((size_t)50000000)
#define TABLES_MAX ((size_t)256 << 20) /* names and hashes of a folder */

struct recipes {
    const struct pipeline *p;
    struct buf *own; /* lines of each stage itself */
    char **text;     /* with all that feeds it, sorted */
};

static bool is_kind(const struct pipe_stage *s, const char *kind)
{
    return s->info && s->info->kind && strcmp(s->info->kind, kind) == 0;
}

static bool is_sink(const struct pipe_stage *s)
{
    return is_kind(s, "sink");
}

/* Failed items that a sink notes are no part of what it makes of good ones. */
static bool counts(const struct pipeline *p, const struct pipe_edge *g)
{
    return !is_sink(&p->stages[g->to]) || strcmp(g->from_port, "failed") != 0;
}

static const char *value_of(const struct pipe_stage *s, const char *name)
{
    for (size_t i = 0; i < s->n_params; i++)
        if (strcmp(s->params[i].name, name) == 0)
            return s->params[i].value;
    for (size_t i = 0; s->info && i < s->info->n_params; i++)
        if (strcmp(s->info->params[i].name, name) == 0)
            return s->info->params[i].def;
    return NULL;
}

static bool is_file(const char *path)
{
    struct stat st;
    return *path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static enum err_code put_float(struct buf *b, double v, struct err *e)
{
    char text[40];
    double back = 0;
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (text_to_f64(text, &back) && memcmp(&back, &v, sizeof v) == 0)
            break;
    }
    return buf_puts(b, text, e);
}

/* The value as one text, however it was written: "5.0" and "5" are one float,
 * "yes" and "true" one bool, "-30:30:30" and "-30,0,30" one list. */
static enum err_code put_plain(const struct info_param *in, const char *value,
                               struct buf *b, struct err *e)
{
    struct param_value v;
    struct err why;
    struct stage_param rule = {.name = in->name,
                               .min = in->min,
                               .max = in->max,
                               .choices = in->choices};
    if (!param_type_from_name(in->type, &rule.type) ||
        param_parse(&rule, value, &v, &why))
        return buf_puts(b, value, e);
    enum err_code rc = OK;
    switch (v.type) {
    case PARAM_BOOL:
        rc = buf_puts(b, v.b ? "true" : "false", e);
        break;
    case PARAM_INT:
        rc = buf_printf(b, e, "%lld", (long long)v.i);
        break;
    case PARAM_FLOAT:
        rc = put_float(b, v.f, e);
        break;
    case PARAM_FLOATS:
        for (size_t i = 0; i < v.floats.n && !rc; i++) {
            rc = i ? buf_puts(b, ",", e) : OK;
            if (!rc)
                rc = put_float(b, v.floats.v[i], e);
        }
        break;
    case PARAM_STR:
    case PARAM_PATH:
    case PARAM_ENUM:
    case PARAM_FOLDER:
    case PARAM_FILE:
    case PARAM_MODEL:
        rc = buf_puts(b, value, e);
        break;
    }
    param_value_free(&v);
    return rc;
}

/* The file that a parameter names, new memory; NULL if it names none. */
static char *file_of(const struct pipe_stage *s, const struct info_param *in,
                     const char *value)
{
    struct err why;
    char *path = NULL;
    bool path_type = strcmp(in->type, "path") == 0;
    if (strcmp(in->type, "model") == 0 && *value) {
        if (lookup_model(s->argc ? s->argv[0] : NULL, value, &path, &why))
            path = NULL;
    } else if (strcmp(in->type, "file") == 0 || (path_type && !is_sink(s))) {
        path = mem_strdup(value); /* a sink's paths are what it writes */
    }
    if (path && !is_file(path)) {
        mem_free(path);
        path = NULL;
    }
    return path;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err_code add_name(struct file_list *l, const char *name,
                              struct err *e)
{
    if ((l->n & (l->n - 1)) == 0) { /* room for a power of two */
        char **grown = mem_resize(l->names, l->n ? 2 * l->n : 1, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for a folder's tables");
        l->names = grown;
    }
    l->names[l->n] = mem_strdup(name);
    if (!l->names[l->n])
        return err_set(e, ERR_NOMEM, "no memory for a folder's tables");
    l->n++;
    return OK;
}

static bool has_ending(const char *name, const char *ending)
{
    const char *base = path_base(name), *dot = strrchr(base, '.');
    return dot && dot != base && strcasecmp(dot, ending) == 0;
}

/* Annotations (*.pts) at any depth. */
static enum err_code list_points(const char *folder, struct file_list *out,
                                 struct err *e)
{
    struct file_list l = {0};
    struct err why;
    enum err_code rc = file_walk(folder, FILES_MAX, &l, &why);
    if (rc)
        return rc == ERR_NOMEM ? err_set(e, rc, "%s", why.text) : OK;
    for (size_t i = 0; i < l.n && !rc; i++)
        if (has_ending(l.names[i], ".pts"))
            rc = add_name(out, l.names[i], e);
    file_list_free(&l);
    return rc;
}

/* The names of all tables (*.csv) in a folder, and where landmarks.csv is none
 * of them, of all annotations below it; sorted. */
static enum err_code list_tables(const char *folder, struct file_list *l,
                                 struct err *e)
{
    enum err_code rc = OK;
    bool points = false;
    DIR *d = opendir(folder);
    if (!d)
        return OK; /* counts by its name: the source will say so */
    while (!rc) {
        errno = 0;
        struct dirent *f = readdir(d);
        if (!f && errno)
            rc = err_errno(e, ERR_IO, errno, "cannot read folder '%s'", folder);
        if (!f)
            break;
        if (f->d_name[0] != '.' && has_ending(f->d_name, ".csv"))
            rc = add_name(l, f->d_name, e);
        points = points || strcasecmp(f->d_name, "landmarks.csv") == 0;
    }
    closedir(d);
    if (!rc && !points)
        rc = list_points(folder, l, e);
    if (!rc && l->n)
        qsort(l->names, l->n, sizeof *l->names, by_text);
    return rc;
}

/* The hash of all tables in a folder that a source reads: which files it lists,
 * points, sets. *any: there are some. One that cannot be read counts by its
 * name: the source will say so. */
static enum err_code hash_tables(const char *folder, char hex[33], bool *any,
                                 struct err *e)
{
    struct file_list l = {0};
    struct buf b;
    buf_init(&b, TABLES_MAX);
    enum err_code rc = list_tables(folder, &l, e);
    for (size_t i = 0; i < l.n && !rc; i++) {
        struct err why;
        char *path = path_join(folder, l.names[i]);
        if (!path)
            rc = err_set(e, ERR_NOMEM, "no memory for a path");
        else if (hash_file(path, hex, &why) != OK)
            hex[0] = 0;
        if (!rc)
            rc = buf_printf(&b, e, "%s %s\n", l.names[i], hex);
        mem_free(path);
    }
    *any = l.n > 0;
    if (!rc && l.n)
        hash_bytes(b.data, b.len, hex);
    buf_free(&b);
    file_list_free(&l);
    return rc;
}

/* Variables of the environment that choose the arithmetic of networks, where
 * they are not as usual. Those that only choose among a CPU's kernels count as
 * little as the CPU does. */
static enum err_code put_variables(struct recipes *r, size_t i, struct err *e)
{
    static const struct {
        const char *name, *usual, *only; /* only: no other value is heeded */
    } known[] = {
        {"FACET_NN_PATH", "", "blas"},
        {"ONEDNN_DEFAULT_FPMATH_MODE", "STRICT", NULL},
        {"DNNL_DEFAULT_FPMATH_MODE", "STRICT", NULL},
    };
    const struct pipe_stage *s = &r->p->stages[i];
    bool networks = false;
    for (size_t k = 0; k < s->info->n_params && !networks; k++)
        networks = strcmp(s->info->params[k].type, "model") == 0;
    enum err_code rc = OK;
    for (size_t k = 0; networks && !rc && k < sizeof known / sizeof *known;
         k++) {
        const char *v = getenv(known[k].name);
        char key[160];
        if (!v || !*v || strcasecmp(v, known[k].usual) == 0 ||
            (known[k].only && strcmp(v, known[k].only) != 0))
            continue;
        (void)snprintf(key, sizeof key, "%s/%s", s->name, known[k].name);
        rc = recipe_put(&r->own[i], key, v, NULL, e);
    }
    return rc;
}

static enum err_code put_param(struct recipes *r, size_t i,
                               const struct info_param *in, struct err *e)
{
    const struct pipe_stage *s = &r->p->stages[i];
    const char *value = value_of(s, in->name);
    struct err why;
    char key[160], hex[33];
    if (in->aside || !value)
        return OK;
    (void)snprintf(key, sizeof key, "%s.%s", s->name, in->name);
    char *file = file_of(s, in, value);
    bool hashed = file && hash_file(file, hex, &why) == OK;
    mem_free(file);
    bool folder =
        strcmp(in->type, "path") == 0 || strcmp(in->type, "folder") == 0;
    if (!hashed && folder && is_kind(s, "source")) {
        enum err_code rc = hash_tables(value, hex, &hashed, e);
        if (rc)
            return rc;
    }
    if (hashed)
        return recipe_put(&r->own[i], key, hex, value, e);
    struct buf b;
    buf_init(&b, ITEM_MAX_STR);
    enum err_code rc = put_plain(in, value, &b, e);
    if (!rc)
        rc = recipe_put(&r->own[i], key, buf_str(&b), NULL, e);
    buf_free(&b);
    return rc;
}

/* A command in another language: what it says of itself, and its words; those
 * that are files (the script) by their bytes. An interpreter that is found on
 * PATH counts by its name. */
static enum err_code hash_command(const struct pipe_stage *s, char hex[33],
                                  struct err *e)
{
    struct buf b;
    struct err why;
    buf_init(&b, ITEM_MAX_STR);
    enum err_code rc = buf_puts(&b, s->info->text_hash, e);
    for (size_t i = 0; i < s->argc && !rc; i++) {
        char word[33];
        bool file = (i > 0 || strchr(s->argv[i], '/')) && is_file(s->argv[i]) &&
                    hash_program(s->argv[i], word, &why) == OK;
        rc = buf_printf(&b, e, "\n%s", file ? word : s->argv[i]);
    }
    if (!rc)
        hash_bytes(b.data, b.len, hex);
    buf_free(&b);
    return rc;
}

static enum err_code put_program(struct recipes *r, size_t i, struct err *e)
{
    const struct pipe_stage *s = &r->p->stages[i];
    char key[80], hex[33];
    enum err_code rc =
        s->ours ? hash_program(s->argv[0], hex, e) : hash_command(s, hex, e);
    (void)snprintf(key, sizeof key, "%s/program", s->name);
    return rc ? rc
              : recipe_put(&r->own[i], key, hex,
                           s->ours ? path_base(s->argv[0]) : s->run, e);
}

/* "<from>.<port>" of all edges to one input port, sorted. */
static enum err_code put_edges(struct recipes *r, size_t i, const char *port,
                               struct err *e)
{
    const struct pipeline *p = r->p;
    char key[160];
    struct buf b;
    buf_init(&b, ITEM_MAX_STR);
    enum err_code rc = OK;
    for (size_t k = 0; k < p->n_edges && !rc; k++) {
        const struct pipe_edge *g = &p->edges[k];
        if (g->to == i && strcmp(g->to_port, port) == 0 && counts(p, g))
            rc = buf_printf(&b, e, "%s.%s\n", p->stages[g->from].name,
                            g->from_port);
    }
    if (!rc && b.len)
        rc = recipe_sort((char *)b.data, b.len, e);
    for (size_t k = 0; k < b.len; k++)
        if (b.data[k] == '\n')
            b.data[k] = k + 1 < b.len ? ' ' : 0;
    (void)snprintf(key, sizeof key, "%s/from.%s", p->stages[i].name, port);
    if (!rc && b.len)
        rc = recipe_put(&r->own[i], key, (const char *)b.data, NULL, e);
    buf_free(&b);
    return rc;
}

static enum err_code put_own(struct recipes *r, size_t i, struct err *e)
{
    const struct stage_info *info = r->p->stages[i].info;
    enum err_code rc = put_program(r, i, e);
    if (!rc)
        rc = put_variables(r, i, e);
    for (size_t k = 0; k < info->n_params && !rc; k++)
        rc = put_param(r, i, &info->params[k], e);
    for (size_t k = 0; k < info->n_in && !rc; k++)
        rc = put_edges(r, i, info->in[k].name, e);
    return rc;
}

/* Mark all stages that feed `to`, it included (up), or that it feeds. */
static void reach(const struct pipeline *p, size_t from, bool up, bool *in)
{
    bool more = true;
    memset(in, 0, p->n_stages * sizeof *in);
    in[from] = true;
    while (more) {
        more = false;
        for (size_t k = 0; k < p->n_edges; k++) {
            const struct pipe_edge *g = &p->edges[k];
            size_t a = up ? g->to : g->from, b = up ? g->from : g->to;
            if (in[a] && !in[b] && (!up || counts(p, g)))
                more = in[b] = true;
        }
    }
}

static enum err_code put_whole(struct recipes *r, size_t i, bool *in,
                               struct err *e)
{
    struct buf b;
    buf_init(&b, ITEM_MAX_STR);
    enum err_code rc = OK;
    reach(r->p, i, true, in);
    for (size_t k = 0; k < r->p->n_stages && !rc; k++)
        if (in[k])
            rc = buf_put(&b, r->own[k].data, r->own[k].len, e);
    if (!rc)
        rc = recipe_sort((char *)b.data, b.len, e);
    if (!rc)
        rc = buf_puts(&b, "", e);
    if (!rc && !(r->text[i] = mem_strdup(buf_str(&b))))
        rc = err_set(e, ERR_NOMEM, "no memory for a recipe");
    buf_free(&b);
    return rc;
}

enum err_code recipes_new(const struct pipeline *p, struct recipes **out,
                          struct err *e)
{
    *out = NULL;
    struct recipes *r = mem_calloc(1, sizeof *r);
    bool *in = mem_calloc(p->n_stages ? p->n_stages : 1, sizeof *in);
    if (!r || !in) {
        mem_free(r);
        mem_free(in);
        return err_set(e, ERR_NOMEM, "no memory for the recipes");
    }
    r->p = p;
    r->own = mem_calloc(p->n_stages, sizeof *r->own);
    r->text = mem_calloc(p->n_stages, sizeof *r->text);
    enum err_code rc = r->own && r->text
                           ? OK
                           : err_set(e, ERR_NOMEM, "no memory for the recipes");
    for (size_t i = 0; i < p->n_stages && !rc; i++) {
        buf_init(&r->own[i], ITEM_MAX_STR);
        rc = put_own(r, i, e);
        if (rc)
            err_wrap(e, "stage '%s'", p->stages[i].name);
    }
    for (size_t i = 0; i < p->n_stages && !rc; i++)
        rc = put_whole(r, i, in, e);
    mem_free(in);
    if (rc)
        recipes_free(&r);
    *out = r;
    return rc;
}

void recipes_free(struct recipes **rp)
{
    struct recipes *r = *rp;
    if (!r)
        return;
    *rp = NULL;
    for (size_t i = 0; i < r->p->n_stages; i++) {
        if (r->own)
            buf_free(&r->own[i]);
        if (r->text)
            mem_free(r->text[i]);
    }
    mem_free(r->own);
    mem_free(r->text);
    mem_free(r);
}

const char *recipes_of(const struct recipes *r, size_t stage)
{
    return r->text[stage];
}

/* "settings-" and a hash of the recipes of all sinks of this root, so that what
 * belongs together is kept together. */
static enum err_code apart_name(const struct recipes *r, const char *root,
                                char out[16], struct err *e)
{
    struct buf b;
    char hex[33];
    buf_init(&b, ITEM_MAX_STR);
    enum err_code rc = OK;
    for (size_t k = 0; k < r->p->n_stages && !rc; k++) {
        const struct pipe_stage *s = &r->p->stages[k];
        const char *its = is_sink(s) ? value_of(s, "root") : NULL;
        if (!its || !recipe_same_root(its, root))
            continue;
        recipe_hash(r->text[k], hex);
        rc = buf_printf(&b, e, "%s\n", hex);
    }
    if (!rc)
        rc = recipe_sort((char *)b.data, b.len, e);
    if (!rc) {
        hash_bytes(b.data, b.len, hex);
        (void)snprintf(out, 16, "settings-%.6s", hex);
    }
    buf_free(&b);
    return rc;
}

/* Which rows of a store does this sink write? See struct recipe_sink. */
static const char *rows_of(const struct pipeline *p, size_t i)
{
    if (!p->stages[i].info || !p->stages[i].info->rows)
        return "";
    for (size_t k = 0; k < p->n_edges; k++)
        if (p->edges[k].to == i && counts(p, &p->edges[k]))
            return "samples";
    return "failures";
}

static enum err_code put_sink(const struct recipes *r, size_t i,
                              struct buf *out, struct err *e)
{
    const struct pipe_stage *s = &r->p->stages[i];
    const char *root = value_of(s, "root"), *other = value_of(s, "other");
    struct recipe_sink k = {0};
    if (strlen(root) >= sizeof k.root || strpbrk(root, "\t\n"))
        return OK; /* no store lies there: its stage will say so */
    (void)snprintf(k.name, sizeof k.name, "%s", s->name);
    (void)snprintf(k.root, sizeof k.root, "%s", root);
    (void)snprintf(k.other, sizeof k.other, "%s", other ? other : "");
    (void)snprintf(k.rows, sizeof k.rows, "%s", rows_of(r->p, i));
    recipe_hash(r->text[i], k.recipe);
    enum err_code rc = apart_name(r, root, k.apart, e);
    return rc ? rc : recipe_sink_put(out, &k, e);
}

enum err_code recipes_sinks(const struct recipes *r, size_t stage,
                            struct buf *out, struct err *e)
{
    const struct pipeline *p = r->p;
    const char *own =
        is_sink(&p->stages[stage]) ? value_of(&p->stages[stage], "root") : NULL;
    bool *in = mem_calloc(p->n_stages, sizeof *in);
    if (!in)
        return err_set(e, ERR_NOMEM, "no memory for the recipes");
    enum err_code rc = OK;
    reach(p, stage, false, in);
    for (size_t k = 0; k < p->n_stages && !rc; k++) {
        const char *root =
            is_sink(&p->stages[k]) ? value_of(&p->stages[k], "root") : NULL;
        if (root && (own ? recipe_same_root(root, own) : in[k]))
            rc = put_sink(r, k, out, e);
    }
    mem_free(in);
    return rc;
}
