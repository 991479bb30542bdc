/* What the two kinds of annotated folders have in common. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/annotations.h"

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the annotations");
}

enum err_code annotation_set(char **to, const char *s, struct err *e)
{
    char *copy = mem_strdup(s);
    if (!copy)
        return no_memory(e);
    mem_free(*to);
    *to = copy;
    return OK;
}

enum err_code annotation_spoil(struct annotation *f, struct err *e,
                               const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return f->bad ? OK : annotation_set(&f->bad, text, e);
}

enum err_code annotations_add(struct annotations *f, const char *path,
                              struct annotation **out, struct err *e)
{
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 256;
        void *p = mem_resize(f->face, cap, sizeof *f->face);
        if (!p)
            return no_memory(e);
        f->face = p;
        f->cap = cap;
    }
    struct annotation *x = &f->face[f->n++];
    *x = (struct annotation){.path = NULL};
    *out = x;
    enum err_code r = annotation_set(&x->path, path, e);
    if (!r)
        r = annotation_set(&x->split, "", e);
    if (!r)
        r = annotation_set(&x->name, "", e);
    if (!r)
        r = annotation_set(&x->photo, "", e);
    return r;
}

void annotations_free(struct annotations *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct annotation *x = &f->face[i];
        mem_free(x->path);
        mem_free(x->split);
        mem_free(x->name);
        mem_free(x->photo);
        mem_free(x->bad);
    }
    mem_free(f->face);
    *f = (struct annotations){.root = NULL};
}

/* The split that a folder's name says: helen/trainset/x.jpg is "train". */
static const char *split_of_path(const char *path)
{
    static const struct {
        const char *folder, *split;
    } known[] = {{"train", "train"},
                 {"trainset", "train"},
                 {"test", "test"},
                 {"testset", "test"}};
    for (const char *p = path, *end; (end = strchr(p, '/')); p = end + 1) {
        size_t n = (size_t)(end - p);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strlen(known[i].folder) == n &&
                strncmp(p, known[i].folder, n) == 0)
                return known[i].split;
    }
    return "";
}

/* The picture's name without folder and extension, and without the number of
 * the face in it: 134212_2.jpg is of photo 134212 (AFW, HELEN), but
 * image_0012.jpg (LFPW) is one of its own. */
static enum err_code photo_of_path(const char *path, char **out, struct err *e)
{
    const char *base = path_base(path), *dot = strrchr(base, '.');
    size_t n = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    size_t digits = 0;
    while (digits < n && base[n - 1 - digits] >= '0' &&
           base[n - 1 - digits] <= '9')
        digits++;
    if ((digits == 1 || digits == 2) && n > digits + 1 &&
        base[n - 1 - digits] == '_')
        n -= digits + 1;
    char *stem = mem_strndup(base, n);
    if (!stem)
        return no_memory(e);
    mem_free(*out);
    *out = stem;
    return OK;
}

static enum err_code check_points(struct annotation *x, struct err *e)
{
    float lo[2], hi[2];
    for (int i = 0; i < ANNOTATION_COORDS; i++) {
        lo[i % 2] = i < 2 ? x->xy[i] : fminf(lo[i % 2], x->xy[i]);
        hi[i % 2] = i < 2 ? x->xy[i] : fmaxf(hi[i % 2], x->xy[i]);
    }
    if (hi[0] - lo[0] >= 1 && hi[1] - lo[1] >= 1)
        return OK;
    return annotation_spoil(x, e, "the points lie within one pixel");
}

/* Fill in what the files left open. */
static enum err_code complete(struct annotations *f, struct err *e)
{
    enum err_code r = OK;
    for (size_t i = 0; i < f->n && !r; i++) {
        struct annotation *x = &f->face[i];
        if (!*x->path || !text_is_utf8(x->path, strlen(x->path)))
            r = annotation_spoil(x, e, "its path is empty or not UTF-8");
        if (!r && !x->bad)
            r = check_points(x, e);
        if (!r && !f->indexed)
            r = annotation_set(&x->split, split_of_path(x->path), e);
        if (!r && !*x->photo)
            r = photo_of_path(x->path, &x->photo, e);
    }
    return r;
}

static enum err_code some_usable(const struct annotations *f, struct err *e)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->face[i].bad)
            return OK;
    if (!f->n)
        return err_set(e, ERR_DATA,
                       "'%s': no annotation (landmarks.csv, or .pts files "
                       "beside pictures)",
                       f->root);
    return err_set(e, ERR_DATA, "'%s': none of %zu annotations is usable: %s",
                   f->root, f->n, f->face[0].bad);
}

/* ROOT/NAME (x.csv), or x.CSV if only that is there; new memory. */
static char *table_path(const char *root, const char *name)
{
    char *path = path_join(root, name);
    if (!path || file_exists(path))
        return path;
    size_t n = strlen(path);
    memcpy(path + n - 3, "CSV", 3);
    if (!file_exists(path))
        memcpy(path + n - 3, "csv", 3);
    return path;
}

enum err_code annotations_read(struct annotations *f, const char *root,
                               struct err *e)
{
    *f = (struct annotations){.root = root};
    if (!file_is_dir(root))
        return err_set(e, ERR_NOTFOUND, "no folder '%s'", root);
    char *points = table_path(root, "landmarks.csv");
    char *index = table_path(root, "index.csv");
    enum err_code r = points && index ? OK : no_memory(e);
    if (!r)
        r = file_exists(points) ? annotations_read_csv(f, points, e)
                                : annotations_read_pts(f, e);
    if (!r && f->n && file_exists(index)) {
        f->indexed = true;
        r = annotations_read_index(f, index, e);
    }
    if (!r)
        r = complete(f, e);
    if (!r)
        r = some_usable(f, e);
    mem_free(points);
    mem_free(index);
    return r;
}
