/* Catalogues from a CSV: the seed's name, snippet, set or an index with path,
 * identity, split. */
#include "lib/store/catalogue_list.h"

#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
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
    size_t line;
    size_t n_columns;
    int column[COLUMNS]; /* index of the field, -1: absent */
};

static enum err_code read_header(struct list *l, char *const *f, size_t n,
                                 struct err *e)
{
    l->n_columns = n;
    for (int c = 0; c < COLUMNS; c++) {
        l->column[c] = -1;
        for (size_t i = 0; i < n; i++) {
            const char *s = f[i];
            if (i == 0 && text_starts(s, "\xef\xbb\xbf"))
                s += 3; /* a byte order mark */
            if (strcmp(s, names[c]) == 0)
                l->column[c] = (int)i;
        }
    }
    if (l->column[C_PATH] < 0 &&
        (l->column[C_NAME] < 0 || l->column[C_SNIPPET] < 0))
        return err_set(e, ERR_DATA,
                       "line 1: needs a column 'path', or 'name' and "
                       "'snippet'");
    return OK;
}

static enum err_code add_record(struct list *l, char *const *f, size_t n,
                                struct err *e)
{
    if (n != l->n_columns)
        return err_set(e, ERR_DATA, "line %zu: %zu fields, the header has %zu",
                       l->line, n, l->n_columns);
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
        rc = err_set(e, ERR_DATA, "line %zu: %s", l->line, why.text);
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
    struct buf b;
    enum err_code rc = file_read(o->list, LIST_MAX, &b, e);
    if (rc)
        return rc;
    size_t pos = 0;
    for (l.line = 1; !rc; l.line++) {
        char **f;
        size_t n;
        rc = csv_record((const char *)b.data, b.len, &pos, &f, &n, e);
        if (rc) {
            rc = err_wrap(e, "line %zu", l.line);
            break;
        }
        if (n == 0)
            break;
        if (l.line == 1)
            rc = read_header(&l, f, n, e);
        else if (n > 1 || *f[0]) /* an empty line is none */
            rc = add_record(&l, f, n, e);
        csv_record_free(f, n);
    }
    buf_free(&b);
    return rc ? err_wrap(e, "'%s'", o->list) : OK;
}
