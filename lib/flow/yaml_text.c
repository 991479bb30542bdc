/* Values as YAML text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow/params.h"
#include "lib/flow/yaml.h"

enum err_code yaml_put_quoted(struct buf *out, const char *s, struct err *e)
{
    enum err_code rc = buf_puts(out, "\"", e);
    for (; *s && rc == OK; s++) {
        if (*s == '"' || *s == '\\')
            rc = buf_printf(out, e, "\\%c", *s);
        else if (*s == '\n')
            rc = buf_puts(out, "\\n", e);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            rc = buf_printf(out, e, "\\x%02x", (unsigned)*s);
        else
            rc = buf_put(out, s, 1, e);
    }
    return rc ? rc : buf_puts(out, "\"\n", e);
}

const char *yaml_number(double v, char out[40])
{
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(out, 40, "%.*g", digits, v);
        double back = strtod(out, NULL);
        if (memcmp(&back, &v, sizeof v) == 0)
            break;
    }
    return out;
}

static enum err_code put_floats(const struct stage_floats *f, struct buf *out,
                                struct err *e)
{
    enum err_code rc = buf_puts(out, "\"", e);
    for (size_t i = 0; i < f->n && !rc; i++) {
        char text[40];
        rc = buf_printf(out, e, "%s%s", i ? "," : "",
                        yaml_number(f->v[i], text));
    }
    return rc ? rc : buf_puts(out, "\"\n", e);
}

/* The index-th of "a|b|c". */
static enum err_code put_choice(const char *choices, int index, struct buf *out,
                                struct err *e)
{
    for (; index > 0; index--)
        choices += strcspn(choices, "|") + 1;
    return buf_printf(out, e, "%.*s\n", (int)strcspn(choices, "|"), choices);
}

enum err_code params_yaml(const struct params *p, struct buf *out,
                          struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = 0; i < p->n && !rc; i++) {
        const struct stage_param *t = &p->table[i];
        const char *at = (const char *)p->ctx + t->offset;
        char text[40];
        rc = buf_printf(out, e, "%s: ", t->name);
        if (rc)
            break;
        switch (t->type) {
        case PARAM_BOOL:
            rc = buf_puts(
                out, *(const bool *)(const void *)at ? "true\n" : "false\n", e);
            break;
        case PARAM_INT:
            rc = buf_printf(out, e, "%lld\n",
                            (long long)*(const int64_t *)(const void *)at);
            break;
        case PARAM_FLOAT:
            rc = buf_printf(
                out, e, "%s\n",
                yaml_number(*(const double *)(const void *)at, text));
            break;
        case PARAM_STR:
        case PARAM_PATH:
        case PARAM_FOLDER:
        case PARAM_FILE:
        case PARAM_MODEL:
            rc =
                yaml_put_quoted(out, *(const char *const *)(const void *)at, e);
            break;
        case PARAM_ENUM:
            rc = put_choice(t->choices, *(const int *)(const void *)at, out, e);
            break;
        case PARAM_FLOATS:
            rc = put_floats((const struct stage_floats *)(const void *)at, out,
                            e);
            break;
        }
    }
    return rc;
}
