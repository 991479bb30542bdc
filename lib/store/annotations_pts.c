/* Folders as the iBUG group gives them: x.pts beside x.jpg. */
#include "lib/store/pts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/annotations.h"

#define MAX_FILES ((size_t)10000000)

static int compare(const void *key, const void *member)
{
    return strcmp(key, *(char *const *)member);
}

/* The picture of a .pts file, new memory; NULL in *out: there is none. Endings
 * as they are, in capitals, with one capital. */
static enum err_code find_picture(const struct file_list *l, const char *pts,
                                  char **out, struct err *e)
{
    static const char *const exts[] = {"jpg", "jpeg", "png", "ppm", "pgm"};
    size_t stem = strlen(pts) - 3;
    *out = NULL;
    for (size_t i = 0; i < 3 * (sizeof exts / sizeof *exts); i++) {
        char *name = mem_printf("%.*s%s", (int)stem, pts, exts[i / 3]);
        if (!name)
            return err_set(e, ERR_NOMEM, "no memory for the annotations");
        for (char *c = name + stem; *c && i % 3; c++)
            if (i % 3 == 1 || c == name + stem)
                *c = (char)(*c - 'a' + 'A');
        if (bsearch(name, l->names, l->n, sizeof *l->names, compare)) {
            *out = name;
            return OK;
        }
        mem_free(name);
    }
    return OK;
}

static enum err_code read_points(struct annotations *f, const char *pts,
                                 float *xy, struct err *e)
{
    struct buf b;
    char *path = path_join(f->root, pts);
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for the annotations");
    enum err_code r = file_read(path, PTS_MAX_FILE, &b, e);
    if (!r) {
        r = pts_parse(buf_str(&b), b.len, ANNOTATION_POINTS, xy, e);
        if (r)
            err_wrap(e, "'%s'", path);
    }
    buf_free(&b);
    mem_free(path);
    return r;
}

static enum err_code add_file(struct annotations *f, const struct file_list *l,
                              const char *pts, struct err *e)
{
    struct annotation *x;
    char *picture = NULL;
    enum err_code r = find_picture(l, pts, &picture, e);
    if (!r)
        r = annotations_add(f, picture ? picture : pts, &x, e);
    if (!r && !picture)
        r = annotation_spoil(x, e, "no picture stands beside '%s/%s'", f->root,
                             pts);
    if (!r && !x->bad) {
        struct err why;
        enum err_code bad = read_points(f, pts, x->xy, &why);
        if (bad == ERR_NOMEM)
            r = err_set(e, bad, "%s", why.text);
        else if (bad)
            r = annotation_spoil(x, e, "%s", why.text);
    }
    mem_free(picture);
    return r;
}

static bool is_pts(const char *name)
{
    char ext[16];
    path_ext(name, ext);
    return strcmp(ext, "pts") == 0;
}

enum err_code annotations_read_pts(struct annotations *f, struct err *e)
{
    struct file_list l;
    enum err_code r = file_walk(f->root, MAX_FILES, &l, e);
    if (r)
        return r;
    for (size_t i = 0; i < l.n_unreadable; i++)
        log_warn("%s", l.unreadable[i]);
    for (size_t i = 0; i < l.n && !r; i++)
        if (is_pts(l.names[i]))
            r = add_file(f, &l, l.names[i], e);
    file_list_free(&l);
    return r;
}
