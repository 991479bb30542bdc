/* Variables of a pipeline file: declarations, --set, "${var}" in texts. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/pipeline_load.h"

static size_t var_index(const struct pipeline *p, const char *name, size_t len)
{
    size_t i;
    for (i = 0; i < p->n_vars; i++)
        if (strlen(p->vars[i].name) == len &&
            memcmp(p->vars[i].name, name, len) == 0)
            break;
    return i;
}

static char *hint_var(const struct pipe_load *l, const char *word,
                      char out[PIPE_HINT])
{
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; i < l->p->n_vars && n < 64; i++)
        names[n++] = l->p->vars[i].name;
    return pipe_hint(word, names, n, out);
}

/* Append n bytes to b, within the limits. */
static bool put(struct pipe_load *l, const struct yaml_node *at, struct buf *b,
                const char *s, size_t n)
{
    struct err e;
    l->text_bytes += n;
    if (b->len + n > b->max || l->text_bytes > PIPE_MAX_TEXT) {
        pipe_error(l, at, "the text with its variables is too long");
        return false;
    }
    if (buf_put(b, s, n, &e) == OK)
        return true;
    pipe_no_memory(l);
    return false;
}

/* Append the value of the var called name[len]; false if that cannot be. */
static bool put_var(struct pipe_load *l, const struct yaml_node *at,
                    const char *name, size_t len, struct buf *b)
{
    char word[64], hint[PIPE_HINT];
    size_t i = var_index(l->p, name, len);
    if (i == l->p->n_vars) {
        size_t n = len < sizeof word ? len : sizeof word - 1;
        memcpy(word, name, n);
        word[n] = '\0';
        pipe_error(l, at, "no variable '%s'%s", word, hint_var(l, word, hint));
        return false;
    }
    l->var_used[i] = true;
    const char *value = l->p->vars[i].value;
    if (!value) /* reported where it is declared */
        return false;
    return put(l, at, b, value, strlen(value));
}

/* Append text with "${var}" replaced and "$${" as "${". */
static bool put_text(struct pipe_load *l, const struct yaml_node *at,
                     struct buf *b)
{
    bool ok = true;
    for (const char *s = at->text; *s;) {
        size_t plain = strcspn(s, "$");
        if (!put(l, at, b, s, plain))
            return false;
        s += plain;
        if (text_starts(s, "$${")) {
            ok = put(l, at, b, "${", 2) && ok;
            s += 3;
        } else if (text_starts(s, "${")) {
            const char *end = strchr(s, '}');
            if (!end) {
                pipe_error(l, at, "'${' without '}' (write '$${' for '${')");
                return false;
            }
            ok = put_var(l, at, s + 2, (size_t)(end - s - 2), b) && ok;
            s = end + 1;
        } else if (*s) {
            ok = put(l, at, b, s++, 1) && ok;
        }
    }
    return ok;
}

static bool put_node(struct pipe_load *l, const struct yaml_node *node,
                     const char *what, struct buf *b)
{
    if (yaml_is_null(node) || node->kind != YAML_SCALAR) {
        if (yaml_is_null(node))
            pipe_error(l, node,
                       "%s: no value (leave it out, or write \"\" for an "
                       "empty text)",
                       what);
        else
            pipe_error(l, node, "%s must be a text, not %s", what,
                       yaml_kind_name(node));
        return false;
    }
    return put_text(l, node, b);
}

char *pipe_text(struct pipe_load *l, const struct yaml_node *node,
                const char *what)
{
    struct buf b;
    char *out = NULL;
    bool ok = true;
    buf_init(&b, YAML_MAX_BYTES);
    if (node->kind == YAML_LIST) {
        for (size_t i = 0; i < node->n; i++) {
            if (i)
                ok = put(l, node, &b, ",", 1) && ok;
            ok = put_node(l, node->items[i], what, &b) && ok;
        }
    } else {
        ok = put_node(l, node, what, &b);
    }
    if (ok) {
        out = mem_strdup(buf_str(&b));
        if (!out)
            pipe_no_memory(l);
    }
    buf_free(&b);
    return out;
}

/* name: value, or name: {default: value, help: text}. */
static void read_var(struct pipe_load *l, const struct yaml_node *key,
                     const struct yaml_node *value)
{
    static const char *const keys[] = {"default", "help", NULL};
    struct pipe_var *v = &l->p->vars[l->p->n_vars];
    const struct yaml_node *def = value, *help = NULL;
    if (!pipe_name_ok(key->text)) {
        pipe_error(l, key,
                   "'%.60s' is not a variable name (a small letter, then "
                   "a-z0-9_-, 47 at most)",
                   key->text);
        return;
    }
    if (value->kind == YAML_MAP) {
        pipe_check_keys(l, value, keys, "a variable");
        def = yaml_get(value, "default");
        help = yaml_get(value, "help");
    }
    v->name = mem_strdup(key->text);
    if (!v->name) {
        pipe_no_memory(l);
        return;
    }
    v->required = yaml_is_null(def);
    /* while n_vars does not count it yet, a default sees the ones before */
    if (!v->required)
        v->value = pipe_text(l, def, "default");
    if (help && !yaml_is_null(help))
        v->help = pipe_text(l, help, "help");
    l->p->n_vars++;
}

/* The --set argument for this var, or NULL; the last one counts. */
static const char *set_value(const struct pipe_load *l, const char *name)
{
    const char *value = NULL;
    size_t len = strlen(name);
    for (size_t i = 0; l->o->sets && l->o->sets[i]; i++) {
        const char *s = l->o->sets[i];
        if (strncmp(s, name, len) == 0 && s[len] == '=')
            value = s + len + 1;
    }
    return value;
}

static void set_var(struct pipe_load *l, struct pipe_var *v,
                    const struct yaml_node *key)
{
    const char *value = set_value(l, v->name);
    if (value) {
        mem_free(v->value);
        v->value = mem_strdup(value);
        if (!v->value)
            pipe_no_memory(l);
    } else if (v->required) {
        pipe_error(l, key, "variable '%s' must be set: --set %s=...%s%s%s",
                   v->name, v->name, v->help ? " (" : "",
                   v->help ? v->help : "", v->help ? ")" : "");
    }
}

/* --set arguments that name no variable (stage.param=... is for later). */
static void check_sets(struct pipe_load *l)
{
    char word[64], hint[PIPE_HINT];
    for (size_t i = 0; l->o->sets && l->o->sets[i]; i++) {
        const char *s = l->o->sets[i];
        size_t len = strcspn(s, "=");
        if (!s[len] || !len) {
            pipe_error_set(l, s, "want NAME=VALUE or STAGE.PARAMETER=VALUE");
            continue;
        }
        if (!text_is_utf8(s, strlen(s))) {
            pipe_error_set(l, s, "not valid UTF-8");
            continue;
        }
        if (memchr(s, '.', len) || var_index(l->p, s, len) < l->p->n_vars)
            continue;
        if (len >= sizeof word)
            len = sizeof word - 1;
        memcpy(word, s, len);
        word[len] = '\0';
        pipe_error_set(l, s, "no variable '%s'%s", word,
                       hint_var(l, word, hint));
    }
}

void pipe_read_vars(struct pipe_load *l)
{
    const struct yaml_node *vars = yaml_get(l->root, "vars");
    size_t n = 0;
    if (vars && !yaml_is_null(vars)) {
        if (vars->kind == YAML_MAP)
            n = vars->n;
        else
            pipe_error(l, vars, "vars must be a map, not %s",
                       yaml_kind_name(vars));
    }
    l->p->vars = mem_calloc(n ? n : 1, sizeof *l->p->vars);
    l->var_used = mem_calloc(n ? n : 1, sizeof *l->var_used);
    if (!l->p->vars || !l->var_used) {
        pipe_no_memory(l);
        return;
    }
    for (size_t i = 0; i < n && !l->rc; i++) {
        size_t before = l->p->n_vars;
        read_var(l, vars->keys[i], vars->items[i]);
        if (l->p->n_vars > before)
            set_var(l, &l->p->vars[before], vars->keys[i]);
    }
    check_sets(l);
}
