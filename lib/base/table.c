/* Tables of other people's programs. */
#include "lib/base/table.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/base/file.h"
#include "lib/base/text.h"

enum err_code table_open(struct table *t, const char *path, size_t max,
                         struct err *e)
{
    *t = (struct table){.path = path};
    enum err_code rc = file_read(path, max, &t->text, e);
    if (rc)
        return rc;
    rc = text_check((const char *)t->text.data, t->text.len, &t->pos, e);
    if (rc) {
        buf_free(&t->text);
        return err_wrap(e, "'%s'", path);
    }
    table_rewind(t);
    return OK;
}

void table_rewind(struct table *t)
{
    csv_record_free(t->field, t->n);
    t->field = NULL;
    t->n = t->columns = 0;
    t->pos = text_bom((const char *)t->text.data, t->text.len);
    t->next_line = 1;
    t->separator = 0;
}

#define UNIT_SEPARATOR '\x1f' /* ASCII's own, which nobody types */

/* What parts the fields of the first line that has any, the header: a
 * semicolon, which spreadsheets write where commas are decimal; a comma; a tab.
 * Where it has none there is one column, whose values may hold any of them. */
static char find_separator(const char *s, size_t n)
{
    bool quoted = false, any = false, semicolon = false, comma = false,
         tab = false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"') {
            quoted = !quoted;
        } else if (quoted) {
            any = true;
        } else if (s[i] == '\n' || s[i] == '\r') {
            if (any)
                break;
            semicolon = comma = tab = false; /* separators alone */
        } else if (s[i] == ';') {
            semicolon = true;
        } else if (s[i] == ',') {
            comma = true;
        } else if (s[i] == '\t') {
            tab = true;
        } else if (s[i] != ' ') {
            any = true;
        }
    }
    return semicolon ? ';' : comma ? ',' : tab ? '\t' : UNIT_SEPARATOR;
}

static size_t line_ends(const char *s, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines +=
            s[i] == '\n' || (s[i] == '\r' && (i + 1 == n || s[i + 1] != '\n'));
    return lines;
}

/* Before the header separators of any kind say nothing. */
static bool is_blank(const struct table *t)
{
    const char *nothing = t->columns ? "" : " ,;\t";
    for (size_t i = 0; i < t->n; i++)
        if (t->field[i][strspn(t->field[i], nothing)])
            return false;
    return true;
}

enum err_code table_next(struct table *t, struct err *e)
{
    const char *text = (const char *)t->text.data;
    size_t len = t->text.len;
    if (!t->separator)
        t->separator = find_separator(text + t->pos, len - t->pos);
    do {
        size_t from = t->pos;
        csv_record_free(t->field, t->n);
        t->field = NULL;
        t->n = 0;
        enum err_code rc = csv_record_loose(text, len, &t->pos, t->separator,
                                            &t->field, &t->n, e);
        t->line = t->next_line;
        if (rc)
            return err_wrap(e, "'%s' line %zu", t->path, t->line);
        t->next_line += line_ends(text + from, t->pos - from);
    } while (t->n && is_blank(t));
    while (t->n > (t->columns ? t->columns : 1) && !*t->field[t->n - 1])
        csv_record_drop(t->field, &t->n);
    if (!t->columns)
        t->columns = t->n;
    return OK;
}

int table_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->field[i], name) == 0)
            return (int)i;
    for (size_t i = 0; i < t->n; i++)
        if (strcasecmp(t->field[i], name) == 0)
            return (int)i;
    return -1;
}

enum err_code table_number(const struct table *t, size_t column, double *out,
                           struct err *e)
{
    char why[120];
    if (column >= t->n)
        return err_set(e, ERR_DATA, "'%s' line %zu: %zu columns, no column %zu",
                       t->path, t->line, t->n, column + 1);
    if (text_to_f64(t->field[column], out))
        return OK;
    return err_set(e, ERR_DATA, "'%s' line %zu column %zu: %s", t->path,
                   t->line, column + 1,
                   text_no_number(t->field[column], why, sizeof why));
}

void table_close(struct table *t)
{
    csv_record_free(t->field, t->n);
    buf_free(&t->text);
    *t = (struct table){0};
}
