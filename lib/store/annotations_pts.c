/* Folders as the iBUG group gives them: x.pts beside x.jpg. */
#include "lib/store/pts.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/store/annotations.h"
#include "lib/store/catalogue.h"

#define MAX_FILES ((size_t)10000000)

static bool is_pts(const char *path)
{
    char ext[16];
    path_ext(path, ext);
    return strcmp(ext, "pts") == 0;
}

/* How much better a picture of this ending is than others beside the same .pts
 * file; 0: it is none. */
static int rank_of(const char *path)
{
    static const char *const first[] = {"jpg", "jpeg", "png", "ppm", "pgm"};
    const int n = sizeof first / sizeof *first;
    const char *kind = catalogue_kind(path);
    char ext[16];
    path_ext(path, ext);
    for (int i = 0; i < n; i++)
        if (strcmp(ext, first[i]) == 0)
            return n + 1 - i;
    return kind && strcmp(kind, "picture") == 0;
}

/* The first name of the list that is not before `key`. */
static size_t lower_bound(const struct file_list *l, const char *key, size_t n)
{
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strncmp(l->names[mid], key, n) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The picture of a .pts file, new memory; NULL in *out: there is none. Endings
 * as they are, in capitals, with one capital. */
static enum err_code find_picture(const struct file_list *l, const char *pts,
                                  char **out, struct err *e)
{
    size_t stem = strlen(pts) - 3; /* with the '.' */
    int best = 0;
    const char *found = NULL;
    for (size_t i = lower_bound(l, pts, stem);
         i < l->n && strncmp(l->names[i], pts, stem) == 0; i++) {
        int rank = strchr(l->names[i] + stem, '.') ? 0 : rank_of(l->names[i]);
        if (rank > best) {
            best = rank;
            found = l->names[i];
        }
    }
    *out = found ? mem_strdup(found) : NULL;
    return found && !*out
               ? err_set(e, ERR_NOMEM, "no memory for the annotations")
               : OK;
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

/* What the walk could not take: an annotation, or what may hold some. */
static enum err_code add_bad(struct annotations *f, const struct file_bad *b,
                             struct err *e)
{
    struct annotation *x;
    char ext[16];
    path_ext(b->path, ext);
    if (b->kind == FILE_BAD_FOLDER || is_pts(b->path) ||
        (b->kind == FILE_BAD_UNKNOWN && !*ext)) {
        enum err_code r = annotations_add(f, b->path, &x, e);
        return r ? r
                 : annotation_spoil(x, e, "'%.200s/%.200s': %s", f->root,
                                    b->path, b->why);
    }
    return OK; /* a picture: its .pts file says that there is none */
}

enum err_code annotations_read_pts(struct annotations *f, struct err *e)
{
    struct file_list l;
    enum err_code r = file_walk(f->root, MAX_FILES, &l, e);
    if (r)
        return r;
    size_t pictures = 0, paired = 0;
    for (size_t i = 0; i < l.n_bad && !r; i++)
        r = add_bad(f, &l.bad[i], e);
    for (size_t i = 0; i < l.n && !r; i++) {
        pictures += rank_of(l.names[i]) > 0;
        if (!is_pts(l.names[i]))
            continue;
        r = add_file(f, &l, l.names[i], e);
        paired += !r && !is_pts(f->face[f->n - 1].path);
    }
    f->unmarked = pictures > paired ? pictures - paired : 0;
    file_list_free(&l);
    return r;
}
