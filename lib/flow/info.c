/* What a stage says of itself: its --describe YAML read into stage_info. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/params.h"
#include "lib/flow/pipeline.h"
#include "lib/flow/ports.h"
#include "lib/flow/yaml.h"

#define MAX_PORTS 32

struct ctx {
    const char *origin;
    struct err *e;
};

static enum err_code no_memory(const struct ctx *c)
{
    return err_set(c->e, ERR_NOMEM, "%s: no memory", c->origin);
}

static enum err_code PRINTF_LIKE(3, 4)
    fail(const struct ctx *c, const struct yaml_node *at, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(c->e, ERR_DATA, "%s:%d:%d: error: %s", c->origin, at->line,
                   at->column, text);
}

/* Every key of map must be in the NULL-terminated list. */
static enum err_code check_keys(const struct ctx *c,
                                const struct yaml_node *map,
                                const char *const *keys, const char *what)
{
    size_t n = 0;
    while (keys[n])
        n++;
    if (map->kind != YAML_MAP)
        return fail(c, map, "%s must be a map, not %s", what,
                    yaml_kind_name(map));
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *key = map->keys[i];
        size_t k = 0;
        while (k < n && strcmp(keys[k], key->text) != 0)
            k++;
        if (k < n)
            continue;
        const char *near = text_nearest(key->text, keys, n);
        return fail(c, key, "unknown key '%.60s' in %s%s%s%s", key->text, what,
                    near ? " (did you mean '" : "", near ? near : "",
                    near ? "'?)" : "");
    }
    return OK;
}

/* The text under key into *out (new memory); NULL stays if there is none. */
static enum err_code get_text(const struct ctx *c, const struct yaml_node *map,
                              const char *key, char **out)
{
    const struct yaml_node *v = yaml_get(map, key);
    if (yaml_is_null(v))
        return OK;
    if (v->kind != YAML_SCALAR)
        return fail(c, v, "'%s' must be a text, not %s", key,
                    yaml_kind_name(v));
    *out = mem_strdup(v->text);
    return *out ? OK : no_memory(c);
}

static enum err_code need_text(const struct ctx *c, const struct yaml_node *map,
                               const char *key, char **out)
{
    enum err_code rc = get_text(c, map, key, out);
    return !rc && !*out ? fail(c, map, "no '%s'", key) : rc;
}

static enum err_code get_number(const struct ctx *c,
                                const struct yaml_node *map, const char *key,
                                double *out)
{
    const struct yaml_node *v = yaml_get(map, key);
    if (yaml_is_null(v))
        return OK;
    if (v->kind != YAML_SCALAR || !text_to_f64(v->text, out))
        return fail(c, v, "'%s' must be a number", key);
    return OK;
}

static enum err_code get_bool(const struct ctx *c, const struct yaml_node *map,
                              const char *key, bool *out)
{
    const struct yaml_node *v = yaml_get(map, key);
    if (yaml_is_null(v))
        return OK;
    if (v->kind != YAML_SCALAR || !text_to_bool(v->text, out))
        return fail(c, v, "'%s' must be true or false", key);
    return OK;
}

static enum err_code read_fields(const struct ctx *c,
                                 const struct yaml_node *at, const char *fields,
                                 struct info_port *out)
{
    struct port_spec spec;
    struct err why;
    enum err_code rc = port_parse(out->name, fields, &spec, &why);
    if (rc == ERR_NOMEM)
        return no_memory(c);
    if (rc)
        return fail(c, at, "%s", why.text);
    out->open = spec.open;
    out->fields = mem_calloc(spec.n ? spec.n : 1, sizeof *out->fields);
    if (!out->fields)
        rc = no_memory(c);
    for (size_t i = 0; i < spec.n && !rc; i++) {
        char type[160];
        struct info_field *f = &out->fields[i];
        struct field_type t = spec.field[i].type;
        f->optional = t.optional;
        t.optional = false;
        out->n++;
        f->name = mem_strdup(spec.field[i].name);
        f->type = mem_strdup(field_type_text(&t, type, sizeof type));
        if (!f->name || !f->type)
            rc = no_memory(c);
    }
    port_free(&spec);
    return rc;
}

/* fields: as a list of {name, type, optional} into the text form. */
static enum err_code list_fields(const struct ctx *c,
                                 const struct yaml_node *list, struct buf *b)
{
    static const char *const keys[] = {"name", "type", "optional", NULL};
    enum err_code rc = OK;
    for (size_t i = 0; i < list->n && !rc; i++) {
        const struct yaml_node *f = list->items[i];
        char *name = NULL, *type = NULL, *optional = NULL;
        bool may_miss = false;
        rc = check_keys(c, f, keys, "a field");
        if (!rc)
            rc = need_text(c, f, "name", &name);
        if (!rc)
            rc = need_text(c, f, "type", &type);
        if (!rc)
            rc = get_text(c, f, "optional", &optional);
        if (!rc && optional && !text_to_bool(optional, &may_miss))
            rc = fail(c, yaml_get(f, "optional"),
                      "'optional' must be true or false");
        if (!rc)
            rc = buf_printf(b, c->e, "%s%s %s%s", i ? ", " : "", name, type,
                            may_miss ? "?" : "");
        mem_free(name);
        mem_free(type);
        mem_free(optional);
    }
    return rc;
}

/* A port is a map {name, fields, help}; a bare text is the fields of the port
 * called `name`. */
static enum err_code read_port(const struct ctx *c,
                               const struct yaml_node *node, const char *name,
                               struct info_port *out)
{
    static const char *const keys[] = {"name", "fields", "help", NULL};
    if (node->kind == YAML_SCALAR) {
        out->name = mem_strdup(name);
        if (!out->name)
            return no_memory(c);
        return read_fields(c, node, node->text, out);
    }
    enum err_code rc = check_keys(c, node, keys, "a port");
    if (!rc)
        rc = need_text(c, node, "name", &out->name);
    if (!rc)
        rc = get_text(c, node, "help", &out->help);
    const struct yaml_node *f = yaml_get(node, "fields");
    if (rc)
        return rc;
    if (!f || f->kind == YAML_SCALAR)
        return read_fields(c, f ? f : node, f ? f->text : "", out);
    if (f->kind == YAML_MAP)
        return fail(c, f,
                    "'fields' must be a text such as \"name str\", or a "
                    "list of maps");
    struct buf b;
    buf_init(&b, 65536);
    rc = list_fields(c, f, &b);
    if (!rc)
        rc = read_fields(c, f, buf_str(&b), out);
    buf_free(&b);
    return rc;
}

static enum err_code read_ports(const struct ctx *c,
                                const struct yaml_node *top, const char *key,
                                struct info_port **out, size_t *n)
{
    const struct yaml_node *v = yaml_get(top, key);
    enum err_code rc = OK;
    if (yaml_is_null(v))
        return OK;
    if (v->kind == YAML_MAP)
        return fail(c, v, "'%s' must be a list of ports, or one text", key);
    size_t count = v->kind == YAML_LIST ? v->n : 1;
    if (count > MAX_PORTS)
        return fail(c, v, "more than %d ports", MAX_PORTS);
    *out = mem_calloc(count ? count : 1, sizeof **out);
    if (!*out)
        return no_memory(c);
    for (size_t i = 0; i < count && !rc; i++) {
        const struct yaml_node *p = v->kind == YAML_LIST ? v->items[i] : v;
        *n = i + 1;
        rc = read_port(c, p, key, &(*out)[i]);
        for (size_t k = 0; k < i && !rc; k++)
            if (strcmp((*out)[k].name, (*out)[i].name) == 0)
                rc = fail(c, p, "port '%s' occurs twice", (*out)[i].name);
    }
    return rc;
}

/* choices: "a|b" or a list of texts, kept as "a|b". */
static enum err_code read_choices(const struct ctx *c,
                                  const struct yaml_node *map,
                                  struct info_param *out)
{
    const struct yaml_node *v = yaml_get(map, "choices");
    struct buf b;
    if (!v || v->kind != YAML_LIST)
        return get_text(c, map, "choices", &out->choices);
    enum err_code rc = OK;
    buf_init(&b, 2 * YAML_MAX_BYTES);
    for (size_t i = 0; i < v->n && !rc; i++) {
        if (v->items[i]->kind != YAML_SCALAR)
            rc = fail(c, v->items[i], "a choice must be a text");
        else
            rc = buf_printf(&b, c->e, "%s%s", i ? "|" : "", v->items[i]->text);
    }
    if (!rc && !(out->choices = mem_strdup(buf_str(&b))))
        rc = no_memory(c);
    buf_free(&b);
    return rc;
}

/* The rules of lib/flow/params hold for other people's tables too. */
static enum err_code check_param(const struct ctx *c,
                                 const struct yaml_node *node,
                                 const struct info_param *in)
{
    struct stage_param table[2] = {{0}};
    struct err why;
    enum param_type type;
    if (!param_type_from_name(in->type, &type)) {
        static const char *const types[] = {"bool", "int",  "float",  "str",
                                            "path", "enum", "floats", "folder",
                                            "file", "model"};
        const char *near =
            text_nearest(in->type, types, sizeof types / sizeof *types);
        return fail(c, yaml_get(node, "type"),
                    "no parameter type '%.40s' (%s%s%s)", in->type,
                    near ? "did you mean '" : "",
                    near ? near
                         : "bool int float str path enum floats folder file "
                           "model",
                    near ? "'?" : "");
    }
    table[0] = (struct stage_param){.name = in->name,
                                    .type = type,
                                    .def = in->def,
                                    .min = in->min,
                                    .max = in->max,
                                    .choices = in->choices,
                                    .help = "."};
    if (params_check_table(table, &why) == OK)
        return OK;
    if (why.code == ERR_NOMEM)
        return no_memory(c);
    return fail(c, node, "%s", why.text);
}

static enum err_code read_param(const struct ctx *c,
                                const struct yaml_node *node,
                                struct info_param *out)
{
    static const char *const keys[] = {"name",   "type",    "default", "min",
                                       "max",    "choices", "unit",    "help",
                                       "result", NULL};
    bool shapes = true;
    enum err_code rc = check_keys(c, node, keys, "a parameter");
    if (!rc)
        rc = need_text(c, node, "name", &out->name);
    if (!rc)
        rc = need_text(c, node, "type", &out->type);
    if (!rc)
        rc = get_text(c, node, "default", &out->def);
    if (!rc)
        rc = read_choices(c, node, out);
    if (!rc)
        rc = get_text(c, node, "unit", &out->unit);
    if (!rc)
        rc = get_text(c, node, "help", &out->help);
    if (!rc)
        rc = get_bool(c, node, "result", &shapes);
    out->aside = !shapes;
    bool has_min = !yaml_is_null(yaml_get(node, "min"));
    bool has_max = !yaml_is_null(yaml_get(node, "max"));
    out->min = has_max ? -(double)INFINITY : 0;
    out->max = has_min ? (double)INFINITY : 0;
    if (!rc)
        rc = get_number(c, node, "min", &out->min);
    if (!rc)
        rc = get_number(c, node, "max", &out->max);
    return rc ? rc : check_param(c, node, out);
}

static enum err_code read_params(const struct ctx *c,
                                 const struct yaml_node *top,
                                 struct stage_info *out)
{
    const struct yaml_node *v = yaml_get(top, "params");
    enum err_code rc = OK;
    if (yaml_is_null(v))
        return OK;
    if (v->kind != YAML_LIST)
        return fail(c, v, "'params' must be a list of maps");
    if (v->n > PARAMS_MAX)
        return fail(c, v, "more than %d parameters", PARAMS_MAX);
    out->params = mem_calloc(v->n ? v->n : 1, sizeof *out->params);
    if (!out->params)
        return no_memory(c);
    for (size_t i = 0; i < v->n && !rc; i++) {
        out->n_params = i + 1;
        rc = read_param(c, v->items[i], &out->params[i]);
        for (size_t k = 0; k < i && !rc; k++)
            if (strcmp(out->params[k].name, out->params[i].name) == 0)
                rc = fail(c, v->items[i], "parameter '%s' occurs twice",
                          out->params[i].name);
    }
    return rc;
}

static enum err_code read_kind(const struct ctx *c, const struct yaml_node *top,
                               struct stage_info *out)
{
    static const char *const kinds[] = {"source", "transform", "sink"};
    enum err_code rc = need_text(c, top, "kind", &out->kind);
    if (rc)
        return rc;
    bool source = strcmp(out->kind, "source") == 0;
    bool sink = strcmp(out->kind, "sink") == 0;
    if (!source && !sink && strcmp(out->kind, "transform") != 0) {
        const char *near = text_nearest(out->kind, kinds, 3);
        return fail(c, yaml_get(top, "kind"), "no kind '%.40s' (%s%s%s)",
                    out->kind, near ? "did you mean '" : "",
                    near ? near : "source, transform or sink",
                    near ? "'?" : "");
    }
    if (source != (out->n_in == 0))
        return fail(c, top, "a %s %s input ports", out->kind,
                    source ? "has no" : "needs");
    if (sink != (out->n_out == 0))
        return fail(c, top, "a %s %s output ports", out->kind,
                    sink ? "has no" : "needs");
    return OK;
}

static enum err_code read_runtime(const struct ctx *c,
                                  const struct yaml_node *top,
                                  struct stage_info *out)
{
    char *runtime = NULL;
    double batch = 1;
    enum err_code rc = get_text(c, top, "runtime", &runtime);
    out->ours = runtime && strcmp(runtime, "facet") == 0;
    mem_free(runtime);
    if (!rc)
        rc = get_number(c, top, "batch", &batch);
    if (!rc && !(batch >= 1 && batch <= 65536 && floor(batch) >= batch))
        rc = fail(c, yaml_get(top, "batch"),
                  "'batch' must be a whole number from 1 to 65536");
    out->batch = (int64_t)(batch >= 1 && batch <= 65536 ? batch : 1);
    return rc;
}

enum err_code stage_info_parse(const char *yaml, size_t n, const char *origin,
                               struct stage_info **out, struct err *e)
{
    static const char *const keys[] = {"name", "help",   "kind",  "in",
                                       "out",  "params", "batch", "runtime",
                                       "rows", NULL};
    struct ctx c = {origin, e};
    struct yaml_node *top = NULL;
    *out = NULL;
    enum err_code rc = yaml_read(yaml, n, origin, &top, e);
    if (rc)
        return rc;
    struct stage_info *i = mem_calloc(1, sizeof *i);
    if (!i) {
        yaml_node_free(&top);
        return no_memory(&c);
    }
    rc = check_keys(&c, top, keys, "a stage's description");
    if (!rc)
        rc = get_bool(&c, top, "rows", &i->rows);
    if (!rc)
        rc = need_text(&c, top, "name", &i->name);
    if (!rc)
        rc = get_text(&c, top, "help", &i->help);
    if (!rc)
        rc = read_ports(&c, top, "in", &i->in, &i->n_in);
    if (!rc)
        rc = read_ports(&c, top, "out", &i->out, &i->n_out);
    if (!rc)
        rc = read_kind(&c, top, i);
    if (!rc)
        rc = read_params(&c, top, i);
    if (!rc)
        rc = read_runtime(&c, top, i);
    yaml_node_free(&top);
    if (rc)
        stage_info_free(&i);
    *out = i;
    return rc;
}

static void free_ports(struct info_port *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < p[i].n; k++) {
            mem_free(p[i].fields[k].name);
            mem_free(p[i].fields[k].type);
        }
        mem_free(p[i].fields);
        mem_free(p[i].name);
        mem_free(p[i].help);
    }
    mem_free(p);
}

void stage_info_free(struct stage_info **info)
{
    if (!info || !*info)
        return;
    struct stage_info *i = *info;
    free_ports(i->in, i->n_in);
    free_ports(i->out, i->n_out);
    for (size_t k = 0; k < i->n_params; k++) {
        struct info_param *p = &i->params[k];
        mem_free(p->name);
        mem_free(p->type);
        mem_free(p->def);
        mem_free(p->choices);
        mem_free(p->unit);
        mem_free(p->help);
    }
    mem_free(i->params);
    mem_free(i->name);
    mem_free(i->help);
    mem_free(i->kind);
    mem_free(i);
    *info = NULL;
}
