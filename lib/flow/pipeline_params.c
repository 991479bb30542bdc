/* The parameters of a pipeline's stages against their tables. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/params.h"
#include "lib/flow/pipeline_load.h"

static const struct info_param *find_info(const struct stage_info *info,
                                          const char *name)
{
    for (size_t i = 0; i < info->n_params; i++)
        if (strcmp(info->params[i].name, name) == 0)
            return &info->params[i];
    return NULL;
}

static char *hint_param(const struct stage_info *info, const char *word,
                        char out[PIPE_HINT])
{
    const char *names[PARAMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < info->n_params && n < PARAMS_MAX; i++)
        names[n++] = info->params[i].name;
    return pipe_hint(word, names, n, out);
}

/* A value as a program in another language reads it without our rules:
 * true or false, and lists without ranges. */
static enum err_code plain_value(const struct param_value *v, char **out,
                                 struct err *e)
{
    struct buf b;
    enum err_code rc = OK;
    buf_init(&b, (size_t)4 << 20);
    if (v->type == PARAM_BOOL)
        rc = buf_puts(&b, v->b ? "true" : "false", e);
    for (size_t i = 0; i < v->floats.n && !rc; i++) {
        char text[40];
        double back = 0;
        for (int digits = 6; digits <= 17; digits++) {
            (void)snprintf(text, sizeof text, "%.*g", digits, v->floats.v[i]);
            if (text_to_f64(text, &back) &&
                memcmp(&back, &v->floats.v[i], sizeof back) == 0)
                break;
        }
        rc = buf_printf(&b, e, i ? ",%s" : "%s", text);
    }
    if (!rc && !(*out = mem_strdup(buf_str(&b))))
        rc = err_set(e, ERR_NOMEM, "no memory for a value");
    buf_free(&b);
    return rc;
}

/* Does *value fit the parameter, and (look) is what it names there? The reason
 * is in e if not. *value (new memory) becomes the path that is meant, and for a
 * stage that is not ours the plain form. */
static enum err_code check_value(const struct pipe_stage *s,
                                 const struct info_param *in, bool look,
                                 char **value, struct err *e)
{
    struct param_value v;
    struct stage_param rule = {.name = in->name,
                               .min = in->min,
                               .max = in->max,
                               .choices = in->choices};
    if (!param_type_from_name(in->type, &rule.type))
        return err_set(e, ERR_ARG, "no parameter type '%s'", in->type);
    enum err_code rc = param_parse(&rule, *value, &v, e);
    if (rc)
        return rc;
    if (v.str) { /* of a path, what is meant */
        mem_free(*value);
        *value = v.str;
        v.str = NULL;
    }
    if (look)
        rc = param_look(rule.type, *value, s->ours ? s->argv[0] : NULL, e);
    if (!rc && !s->ours && (v.type == PARAM_BOOL || v.type == PARAM_FLOATS)) {
        char *plain = NULL;
        rc = plain_value(&v, &plain, e);
        if (!rc) {
            mem_free(*value);
            *value = plain;
        }
    }
    param_value_free(&v);
    return rc;
}

/* Append or replace. value is taken over. */
static void put_param(struct pipe_load *l, struct pipe_stage *s,
                      const char *name, char *value, int line, int column)
{
    struct pipe_param *p = NULL;
    for (size_t i = 0; i < s->n_params; i++)
        if (strcmp(s->params[i].name, name) == 0)
            p = &s->params[i];
    if (!p) {
        p = &s->params[s->n_params];
        p->name = mem_strdup(name);
        if (!p->name) {
            mem_free(value);
            pipe_no_memory(l);
            return;
        }
        s->n_params++;
    }
    mem_free(p->value);
    p->value = value;
    p->line = line;
    p->column = column;
}

/* Is there a --set stage.param=...? The last one. */
const char *pipe_find_set(const struct pipe_load *l, const char *stage,
                          const char *param)
{
    const char *found = NULL;
    size_t ns = strlen(stage), np = strlen(param);
    for (size_t i = 0; l->o->sets && l->o->sets[i]; i++) {
        const char *s = l->o->sets[i];
        if (strncmp(s, stage, ns) == 0 && s[ns] == '.' &&
            strncmp(s + ns + 1, param, np) == 0 && s[ns + 1 + np] == '=')
            found = s;
    }
    return found;
}

static void read_with(struct pipe_load *l, struct pipe_stage *s,
                      const struct yaml_node *with, bool *given)
{
    char hint[PIPE_HINT];
    for (size_t i = 0; i < with->n && !l->rc; i++) {
        const struct yaml_node *key = with->keys[i], *value = with->items[i];
        const struct info_param *in = find_info(s->info, key->text);
        struct err e;
        if (!in) {
            pipe_error(l, key, "stage '%s' has no parameter '%.60s'%s", s->name,
                       key->text, hint_param(s->info, key->text, hint));
            continue;
        }
        given[in - s->info->params] = true;
        char *text = pipe_text(l, value, key->text);
        if (!text || pipe_find_set(l, s->name, in->name)) {
            mem_free(text);
            continue;
        }
        enum err_code rc = check_value(s, in, l->o->look, &text, &e);
        if (rc == ERR_NOMEM)
            pipe_no_memory(l);
        else if (rc)
            pipe_error(l, value, "stage '%s', parameter '%s': %s", s->name,
                       in->name, e.text);
        put_param(l, s, in->name, text, value->line, value->column);
    }
}

/* The --set stage.param=value arguments of one stage. */
static void read_sets(struct pipe_load *l, struct pipe_stage *s, bool *given)
{
    for (size_t i = 0; i < s->info->n_params && !l->rc; i++) {
        const struct info_param *in = &s->info->params[i];
        const char *set = pipe_find_set(l, s->name, in->name);
        struct err e;
        if (!set)
            continue;
        given[i] = true;
        char *value = mem_strdup(strchr(set, '=') + 1);
        if (!value) {
            pipe_no_memory(l);
            return;
        }
        enum err_code rc = check_value(s, in, l->o->look, &value, &e);
        if (rc == ERR_NOMEM)
            pipe_no_memory(l);
        else if (rc)
            pipe_error_set(l, set, "stage '%s', parameter '%s': %s", s->name,
                           in->name, e.text);
        put_param(l, s, in->name, value, 0, 0);
    }
}

/* A default, too, may name what is not there: weights that do not ship. */
static void look_default(struct pipe_load *l, const struct pipe_stage *s,
                         const struct info_param *in)
{
    enum param_type type;
    struct err e;
    if (!l->o->look || !param_type_from_name(in->type, &type))
        return;
    enum err_code rc =
        param_look(type, in->def, s->ours ? s->argv[0] : NULL, &e);
    if (rc == ERR_NOMEM)
        pipe_no_memory(l);
    else if (rc)
        pipe_error_at(l, s->line, s->column,
                      "stage '%s', parameter '%s' by default: %s", s->name,
                      in->name, e.text);
}

static void read_stage(struct pipe_load *l, size_t index)
{
    struct pipe_stage *s = &l->p->stages[index];
    const struct yaml_node *with = yaml_get(l->node[index], "with");
    bool given[PARAMS_MAX] = {false};
    s->params = mem_calloc(s->info->n_params + 1, sizeof *s->params);
    if (!s->params) {
        pipe_no_memory(l);
        return;
    }
    if (with && with->kind == YAML_MAP)
        read_with(l, s, with, given);
    else if (with && !yaml_is_null(with))
        pipe_error(l, with, "with must be a map, not %s", yaml_kind_name(with));
    read_sets(l, s, given);
    for (size_t i = 0; i < s->info->n_params; i++)
        if (!given[i] && !s->info->params[i].def)
            pipe_error_at(l, s->line, s->column,
                          "stage '%s' needs the parameter '%s'", s->name,
                          s->info->params[i].name);
        else if (!given[i])
            look_default(l, s, &s->info->params[i]);
}

/* --set stage.param=...: are there such a stage and parameter? */
static void check_sets(struct pipe_load *l)
{
    for (size_t i = 0; l->o->sets && l->o->sets[i]; i++) {
        const char *s = l->o->sets[i];
        char word[64], hint[PIPE_HINT];
        size_t len = strcspn(s, "="), dot = strcspn(s, ".");
        if (!s[len] || dot >= len)
            continue; /* a variable */
        size_t k = pipe_stage_index(l->p, s, dot);
        if (k == l->p->n_stages) {
            (void)snprintf(word, sizeof word, "%.*s",
                           (int)(dot < 60 ? dot : 60), s);
            pipe_error_set(l, s, "no stage '%s'%s", word,
                           pipe_hint_stage(l, word, hint));
            continue;
        }
        size_t n = len - dot - 1;
        (void)snprintf(word, sizeof word, "%.*s", (int)(n < 60 ? n : 60),
                       s + dot + 1);
        const struct stage_info *info = l->p->stages[k].info;
        if (!pipe_key_set(word) && info && !find_info(info, word))
            pipe_error_set(l, s, "stage '%s' has no parameter '%s'%s",
                           l->p->stages[k].name, word,
                           hint_param(info, word, hint));
    }
}

void pipe_read_params(struct pipe_load *l)
{
    check_sets(l);
    for (size_t i = 0; i < l->p->n_stages && !l->rc; i++)
        if (l->p->stages[i].info) {
            read_stage(l, i);
            pipe_set_counts(l, &l->p->stages[i]);
        }
}
