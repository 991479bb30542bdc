/* landmarks.csv and index.csv: the annotations of a 300-W style folder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "lib/store/annotations.h"

#define MAX_CSV ((size_t)256 << 20)
#define MAX_COORD 1e6

/* Columns of index.csv that we use; -1: not there. */
struct columns {
    int path, split, name, photo;
};

/* What a record is done with. */
struct reading {
    struct annotations *f;
    const char *csv;
    struct columns k;
    struct annotation **sorted; /* index.csv: the faces by path */
};

static void read_columns(const struct table *t, struct columns *k)
{
    *k = (struct columns){table_column(t, "path"), table_column(t, "split"),
                          table_column(t, "name"), table_column(t, "photo_id")};
    if (k->name < 0)
        k->name = k->photo;
}

static enum err_code add_points(struct reading *c, const struct table *t,
                                struct err *e)
{
    struct annotation *x;
    struct err why;
    enum err_code r = annotations_add(c->f, t->field[0], &x, e);
    if (r)
        return r;
    if (t->n != 1 + ANNOTATION_COORDS)
        return annotation_spoil(
            x, e,
            "'%s' line %zu: %zu columns, %d expected (path, x0, y0, .. x67, "
            "y67)%s",
            t->path, t->line, t->n, 1 + ANNOTATION_COORDS,
            t->n == 1 + 2 * ANNOTATION_COORDS && t->separator == ','
                ? ": are they decimal commas? Write 1.5, or put numbers in "
                  "quotes"
                : "");
    for (size_t i = 0; i < ANNOTATION_COORDS; i++) {
        double v;
        if (table_number(t, i + 1, &v, &why))
            return annotation_spoil(x, e, "%s", why.text);
        if (!(fabs(v) <= MAX_COORD))
            return annotation_spoil(x, e,
                                    "'%s' line %zu column %zu: '%.40s' is no "
                                    "coordinate",
                                    t->path, t->line, i + 2, t->field[i + 1]);
        x->xy[i] = (float)v;
    }
    return OK;
}

static int by_path(const void *a, const void *b)
{
    const struct annotation *p = *(const struct annotation *const *)a;
    const struct annotation *q = *(const struct annotation *const *)b;
    int order = strcmp(p->path, q->path);
    return order ? order : (p > q) - (p < q);
}

/* Where the sorted faces of that picture begin, or would. */
static size_t find(const struct reading *c, const char *path)
{
    size_t lo = 0, hi = c->f->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(c->sorted[mid]->path, path) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static enum err_code add_index(struct reading *c, const struct table *t,
                               struct err *e)
{
    char *const *field = t->field;
    size_t n = t->n;
    const struct columns *k = &c->k;
    bool few = (int)n <= k->split || (int)n <= k->name || (int)n <= k->photo;
    enum err_code r = OK;
    if ((int)n <= k->path)
        return OK; /* no picture is named */
    for (size_t i = find(c, field[k->path]);
         i < c->f->n && strcmp(c->sorted[i]->path, field[k->path]) == 0 && !r;
         i++) {
        struct annotation *x = c->sorted[i];
        if (few)
            r = annotation_spoil(x, e, "'%s' line %zu: %zu columns are too few",
                                 c->csv, t->line, n);
        if (!r && !few && k->split >= 0)
            r = annotation_set(&x->split, field[k->split], e);
        if (!r && !few && k->name >= 0)
            r = annotation_set(&x->name, field[k->name], e);
        if (!r && !few && k->photo >= 0)
            r = annotation_set(&x->photo, field[k->photo], e);
    }
    return r;
}

/* The head line: which columns there are. */
static enum err_code read_head(struct reading *c, const struct table *t,
                               struct err *e)
{
    read_columns(t, &c->k);
    if (c->k.path == 0 || (c->sorted && c->k.path > 0))
        return OK;
    if (c->k.path > 0)
        return err_set(e, ERR_DATA,
                       "'%s' line %zu: 'path' must be the first column", c->csv,
                       t->line);
    return err_set(e, ERR_DATA,
                   "'%s' line %zu: no column 'path' in the head line "
                   "('%.40s'%s)",
                   c->csv, t->line, t->n ? t->field[0] : "",
                   t->n > 1 ? ", .." : "");
}

/* Every record of a file; c->sorted tells which of the two it is. */
static enum err_code read_csv(struct reading *c, struct err *e)
{
    struct table t;
    bool headed = false;
    enum err_code r = table_open(&t, c->csv, MAX_CSV, e);
    if (r)
        return r;
    while (!r && !(r = table_next(&t, e)) && t.n) {
        r = !headed     ? read_head(c, &t, e)
            : c->sorted ? add_index(c, &t, e)
                        : add_points(c, &t, e);
        headed = true;
    }
    table_close(&t);
    return r;
}

/* Number the faces of one picture: their ids must differ. */
static void number_twins(struct annotation **sorted, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->path, sorted[i]->path) == 0)
            sorted[i]->twin = sorted[i - 1]->twin + 1;
}

static enum err_code sort_faces(struct annotations *f, struct annotation ***out,
                                struct err *e)
{
    struct annotation **v = mem_array(f->n + 1, sizeof *v);
    *out = v;
    if (!v)
        return err_set(e, ERR_NOMEM, "no memory for the annotations");
    for (size_t i = 0; i < f->n; i++)
        v[i] = &f->face[i];
    qsort(v, f->n, sizeof *v, by_path);
    return OK;
}

enum err_code annotations_read_csv(struct annotations *f, const char *csv,
                                   struct err *e)
{
    struct reading c = {.f = f, .csv = csv};
    struct annotation **sorted = NULL;
    enum err_code r = read_csv(&c, e);
    if (!r)
        r = sort_faces(f, &sorted, e);
    if (!r)
        number_twins(sorted, f->n);
    mem_free(sorted);
    return r;
}

enum err_code annotations_read_index(struct annotations *f, const char *csv,
                                     struct err *e)
{
    struct reading c = {.f = f, .csv = csv};
    enum err_code r = sort_faces(f, &c.sorted, e);
    if (!r)
        r = read_csv(&c, e);
    mem_free(c.sorted);
    return r;
}
