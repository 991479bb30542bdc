/* Catalogues from a CSV: pose2pose's name, snippet, set or an index with path,
 * identity, split. */
#include "lib/store/catalogue_list.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "lib/base/text.h"
#include "lib/store/store.h"

#define LIST_MAX ((size_t)1 << 30)

enum column { C_PATH, C_NAME, C_SNIPPET, C_SET, C_SPLIT, C_IDENTITY, COLUMNS };
static const char *const names[COLUMNS] = {"path", "name",  "snippet",
                                           "set",  "split", "identity"};

struct list {
    const struct catalogue_options *o;
    struct catalogue *c;
    size_t cap;
    bool headed;
    int column[COLUMNS]; /* index of the field, -1: absent */
};

static enum err_code read_header(struct list *l, const struct table *t,
                                 struct err *e)
{
    for (int c = 0; c < COLUMNS; c++)
        l->column[c] = table_column(t, names[c]);
    if (l->column[C_PATH] < 0 &&
        (l->column[C_NAME] < 0 || l->column[C_SNIPPET] < 0))
        return err_set(e, ERR_DATA,
                       "line %zu: needs a column 'path', or 'name' and "
                       "'snippet'",
                       t->line);
    return OK;
}

static enum err_code add_record(struct list *l, const struct table *t,
                                struct err *e)
{
    char *const *f = t->field;
    if (t->n != t->columns)
        return err_set(e, ERR_DATA, "line %zu: %zu fields, the header has %zu",
                       t->line, t->n, t->columns);
    const char *v[COLUMNS];
    for (int c = 0; c < COLUMNS; c++)
        v[c] = l->column[c] < 0 ? NULL : f[l->column[c]];
    struct catalogue_entry en = {0};
    bool seed = v[C_NAME] && v[C_SNIPPET];
    en.path = v[C_PATH] ? mem_strdup(v[C_PATH])
                        : mem_printf("%s/%s", v[C_NAME], v[C_SNIPPET]);
    const char *set = v[C_SET] ? v[C_SET] : v[C_SPLIT];
    en.set = set && *set ? mem_strdup(set) : NULL;
    en.identity = v[C_IDENTITY] ? mem_strdup(v[C_IDENTITY]) : NULL;
    en.name = seed ? mem_strdup(v[C_NAME]) : NULL;
    en.snippet = seed ? mem_strdup(v[C_SNIPPET]) : NULL;
    enum err_code rc = OK;
    if (!en.path || (set && *set && !en.set) ||
        (v[C_IDENTITY] && !en.identity) || (seed && (!en.name || !en.snippet)))
        rc = err_set(e, ERR_NOMEM, "no memory for a listing");
    struct err why;
    if (!rc && store_check_path(en.path, "path", STORE_PARTS, &why) &&
        text_is_utf8(en.path, strlen(en.path)))
        rc = err_set(e, ERR_DATA, "line %zu: %s", t->line, why.text);
    if (!rc && l->c->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        struct catalogue_entry *grown =
            mem_resize(l->c->entries, cap, sizeof *grown);
        if (grown) {
            l->c->entries = grown;
            l->cap = cap;
        } else {
            rc = err_set(e, ERR_NOMEM, "no memory for a listing");
        }
    }
    if (rc)
        catalogue_entry_free(&en);
    else
        l->c->entries[l->c->n++] = en;
    return rc;
}

enum err_code catalogue_list(const struct catalogue_options *o,
                             struct catalogue *c, struct err *e)
{
    struct list l = {.o = o, .c = c};
    struct table t;
    enum err_code rc = table_open(&t, o->list, LIST_MAX, e);
    if (rc)
        return rc;
    while (!rc && !(rc = table_next(&t, e)) && t.n) {
        rc = l.headed ? add_record(&l, &t, e) : read_header(&l, &t, e);
        l.headed = true;
        if (rc)
            rc = err_wrap(e, "'%s'", o->list);
    }
    table_close(&t);
    return rc;
}
