/* Reading a store sample by sample. */
#include "lib/store/reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/catalogue.h"
#include "lib/store/scan.h"
#include "lib/store/store.h"

#define TREE_MAX ((size_t)50000000)
#define POINTS 68
#define CSV_MAX ((size_t)1 << 20)

struct store_reader {
    char *root;
    /* a store */
    struct store_scan *scan;
    const struct store_group *group;
    size_t next;
    /* a bare tree */
    struct file_list files;
    size_t *frames; /* indices of frame files, in index order */
    size_t n_frames, at;
    struct file_bad *lost; /* moved here from files, and doubles */
    size_t n_lost;
    struct catalogue sets; /* metadata.csv, sorted by path */
    struct store_row row;
    char *text[6]; /* what row points to */
    char number[2][24];
};

static const char *const pictures[] = {"png", "jpg", "jpeg", NULL};
static const char *const tables[] = {"csv", NULL};

/* Index of path's ending in a list; -1: it is not there. */
static int ending_of(const char *path, const char *const *exts)
{
    char ext[16];
    path_ext(path, ext);
    for (int i = 0; exts[i]; i++)
        if (strcmp(ext, exts[i]) == 0)
            return i;
    return -1;
}

/* "…/frame_12.jpg": 12, else -1. */
static int64_t frame_number(const char *path)
{
    const char *base = path_base(path);
    if (!text_starts(base, "frame_") || base == path ||
        ending_of(path, pictures) < 0)
        return -1;
    char digits[20];
    size_t n = strcspn(base + 6, ".");
    if (n == 0 || n >= sizeof digits)
        return -1;
    memcpy(digits, base + 6, n);
    digits[n] = 0;
    int64_t v;
    return text_to_i64(digits, &v) && v >= 0 ? v : -1;
}

static size_t folder_length(const char *path)
{
    const char *base = path_base(path);
    return base > path ? (size_t)(base - path - 1) : 0;
}

static int by_frame(const void *a, const void *b, void *list)
{
    const struct file_list *sorting = list;
    const char *x = sorting->names[*(const size_t *)a];
    const char *y = sorting->names[*(const size_t *)b];
    size_t nx = folder_length(x), ny = folder_length(y);
    int d = memcmp(x, y, nx < ny ? nx : ny);
    if (!d && nx != ny)
        return nx < ny ? -1 : 1;
    int64_t i = frame_number(x), j = frame_number(y);
    return d ? d : i != j ? (i > j) - (i < j) : strcmp(x, y);
}

/* Note a file that cannot be taken; both strings are taken over. */
static enum err_code add_lost(struct store_reader *r, char *path, char *why,
                              enum err_code code, struct err *e)
{
    struct file_bad *grown =
        path && why ? mem_resize(r->lost, r->n_lost + 1, sizeof *grown) : NULL;
    if (!grown) {
        mem_free(path);
        mem_free(why);
        return err_set(e, ERR_NOMEM, "no memory for a listing");
    }
    r->lost = grown;
    grown[r->n_lost++] = (struct file_bad){path, why, code, FILE_BAD_FILE};
    return OK;
}

/* Is this a name of the tree's, or may it hold some? */
static bool of_tree(const struct file_bad *b)
{
    static const char *const stems[] = {"frame_", "pose_", "landmarks_"};
    const char *base = path_base(b->path);
    if (b->kind == FILE_BAD_FOLDER ||
        (b->kind == FILE_BAD_UNKNOWN && !strchr(base, '.')))
        return true;
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        if (text_starts(base, stems[i]))
            return true;
    return false;
}

/* Frames that are none by their name, and second ones of the same number
 * (frame_1.jpg, frame_1.png, frame_01.jpg): the first by name is taken. */
static enum err_code part_frames(struct store_reader *r, struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = 0; !rc && i < r->files.n_bad; i++)
        if (of_tree(&r->files.bad[i]))
            rc = add_lost(r, mem_strdup(r->files.bad[i].path),
                          mem_strdup(r->files.bad[i].why), r->files.bad[i].code,
                          e);
    for (size_t i = 0; !rc && i < r->files.n; i++)
        if (text_starts(path_base(r->files.names[i]), "frame_") &&
            frame_number(r->files.names[i]) < 0)
            rc = add_lost(r, mem_strdup(r->files.names[i]),
                          mem_strdup("not <name>/<snippet>/frame_<number>.jpg "
                                     "(or .jpeg, .png)"),
                          ERR_UNSUPPORTED, e);
    size_t kept = 0;
    for (size_t i = 0; !rc && i < r->n_frames; i++) {
        const char *path = r->files.names[r->frames[i]];
        const char *last = kept ? r->files.names[r->frames[kept - 1]] : "";
        size_t n = folder_length(path);
        if (kept && folder_length(last) == n && memcmp(last, path, n) == 0 &&
            frame_number(last) == frame_number(path))
            rc = add_lost(r, mem_strdup(path),
                          mem_printf("'%s' has the same number", last),
                          ERR_UNSUPPORTED, e);
        else
            r->frames[kept++] = r->frames[i];
    }
    r->n_frames = rc ? r->n_frames : kept;
    return rc;
}

static enum err_code open_tree(struct store_reader *r, struct err *e)
{
    enum err_code rc = file_walk(r->root, TREE_MAX, &r->files, e);
    if (rc)
        return rc;
    r->frames = r->files.n ? mem_array(r->files.n, sizeof *r->frames) : NULL;
    if (r->files.n && !r->frames)
        return err_set(e, ERR_NOMEM, "no memory for %zu files", r->files.n);
    for (size_t i = 0; i < r->files.n; i++)
        if (frame_number(r->files.names[i]) >= 0)
            r->frames[r->n_frames++] = i;
    if (!r->n_frames)
        return err_set(e, ERR_DATA,
                       "'%s' is no store: it has neither index.csv nor "
                       "<name>/<snippet>/frame_<i>.jpg",
                       r->root);
    qsort_r(r->frames, r->n_frames, sizeof *r->frames, by_frame, &r->files);
    rc = part_frames(r, e);
    if (rc)
        return rc;
    char *list = path_join(r->root, "metadata.csv");
    if (!list)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    struct catalogue_options o = {.root = r->root,
                                  .list = list,
                                  .pattern = "",
                                  .media = MEDIA_ANY,
                                  .set = "",
                                  .train_fraction = 1};
    if (file_exists(list))
        rc = catalogue_load(&o, &r->sets, e);
    mem_free(list);
    return rc;
}

enum err_code store_reader_open(const char *root, struct store_reader **out,
                                struct err *e)
{
    *out = NULL;
    if (!file_is_dir(root))
        return err_set(e, ERR_NOTFOUND, "there is no folder '%s'", root);
    struct store_reader *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory to read a store");
    enum err_code rc = OK;
    r->root = mem_strdup(root);
    char *index = path_join(root, "index.csv");
    char *dir = path_join(root, STORE_DIR);
    if (!r->root || !index || !dir)
        rc = err_set(e, ERR_NOMEM, "no memory to read a store");
    else if (file_exists(index) || file_is_dir(dir))
        rc = store_scan_open(root, &r->scan, e);
    else
        rc = open_tree(r, e);
    mem_free(index);
    mem_free(dir);
    if (rc)
        store_reader_close(&r);
    *out = r;
    return rc;
}

static void drop_text(struct store_reader *r)
{
    for (size_t i = 0; i < sizeof r->text / sizeof *r->text; i++) {
        mem_free(r->text[i]);
        r->text[i] = NULL;
    }
}

static int by_path(const void *key, const void *entry)
{
    return strcmp(key, ((const struct catalogue_entry *)entry)->path);
}

/* The file that belongs to a frame, <stem><number as the frame has it>.<ext>,
 * relative to root, new memory; "" if there is none. Of several, the ending
 * that stands first in exts. */
static char *companion(const struct store_reader *r, const char *frame,
                       const char *stem, const char *const *exts)
{
    const char *base = path_base(frame);
    char *key = mem_printf("%.*s%s%.*s.", (int)(base - frame), frame, stem,
                           (int)strcspn(base + 6, "."), base + 6);
    if (!key)
        return NULL;
    size_t n = strlen(key), low = 0, high = r->files.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strncmp(r->files.names[mid], key, n) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    const char *found = "";
    for (int best = INT_MAX;
         low < r->files.n && strncmp(r->files.names[low], key, n) == 0; low++) {
        const char *name = r->files.names[low];
        int rank = strchr(name + n, '.') ? -1 : ending_of(name, exts);
        if (rank >= 0 && rank < best) {
            best = rank;
            found = name;
        }
    }
    mem_free(key);
    return mem_strdup(found);
}

static enum err_code next_of_tree(struct store_reader *r,
                                  const struct store_row **row, struct err *e)
{
    drop_text(r);
    *row = NULL;
    if (r->at == r->n_frames)
        return OK;
    const char *path = r->files.names[r->frames[r->at++]];
    size_t n = folder_length(path);
    int64_t i = frame_number(path);
    char *folder = r->text[0] = mem_strndup(path, n);
    size_t cut = folder ? folder_length(folder) : 0;
    r->text[1] = folder ? mem_strndup(folder, cut) : NULL;
    r->text[2] = companion(r, path, "pose_", pictures);
    r->text[3] = companion(r, path, "landmarks_", tables);
    r->text[4] = mem_strndup(path, strcspn(path, "/"));
    for (int k = 0; k < 5; k++)
        if (!r->text[k])
            return err_set(e, ERR_NOMEM, "no memory for a sample");
    const struct catalogue_entry *en =
        r->sets.n ? bsearch(folder, r->sets.entries, r->sets.n,
                            sizeof *r->sets.entries, by_path)
                  : NULL;
    size_t of_snippet = 0;
    for (size_t k = 0; k < r->n_frames; k++) {
        /* the frames of a folder stand together: look around only */
        size_t j = r->at - 1 + k;
        if (j >= r->n_frames)
            break;
        const char *other = r->files.names[r->frames[j]];
        if (folder_length(other) != n || memcmp(other, path, n) != 0)
            break;
        of_snippet = (size_t)frame_number(other) + 1;
    }
    snprintf(r->number[0], sizeof r->number[0], "%lld", (long long)i);
    snprintf(r->number[1], sizeof r->number[1], "%zu", of_snippet);
    store_row_clear(&r->row);
    const char **v = r->row.v;
    v[COL_NAME] = *r->text[1] ? r->text[1] : ".";
    v[COL_SNIPPET] = path_base(folder);
    v[COL_SAMPLE] = r->number[0];
    v[COL_N_FRAMES] = r->number[1];
    v[COL_SET] = en ? en->set : "";
    v[COL_IDENTITY] = r->text[4];
    v[COL_STATUS] = "ok";
    v[COL_FRAME] = path;
    v[COL_POSE] = r->text[2];
    v[COL_LANDMARKS] = r->text[3];
    *row = &r->row;
    return OK;
}

/* An index may come from anywhere: its paths must stay below root. */
static enum err_code check_row(const struct store_reader *r,
                               const struct store_row *row, struct err *e)
{
    static const enum store_col cols[] = {COL_FRAME, COL_POSE, COL_LANDMARKS,
                                          COL_GENERATED};
    for (size_t i = 0; i < sizeof cols / sizeof *cols; i++)
        if (*row->v[cols[i]] &&
            store_check_path(row->v[cols[i]], store_columns[cols[i]],
                             STORE_PARTS, e))
            return err_wrap(e, "the index of '%s'", r->root);
    return OK;
}

enum err_code store_reader_next(struct store_reader *r,
                                const struct store_row **row, struct err *e)
{
    if (!r->scan)
        return next_of_tree(r, row, e);
    *row = NULL;
    while (!r->group || r->next == r->group->n) {
        enum err_code rc = store_scan_next(r->scan, &r->group, e);
        r->next = 0;
        if (rc || !r->group)
            return rc;
    }
    *row = &r->group->rows[r->next++];
    return check_row(r, *row, e);
}

enum err_code store_reader_rewind(struct store_reader *r, struct err *e)
{
    r->at = 0;
    if (!r->scan)
        return OK;
    store_scan_close(&r->scan);
    r->group = NULL;
    r->next = 0;
    return store_scan_open(r->root, &r->scan, e);
}

void store_reader_close(struct store_reader **rp)
{
    struct store_reader *r = *rp;
    if (!r)
        return;
    *rp = NULL;
    store_scan_close(&r->scan);
    file_list_free(&r->files);
    for (size_t i = 0; i < r->n_lost; i++) {
        mem_free(r->lost[i].path);
        mem_free(r->lost[i].why);
    }
    mem_free(r->lost);
    mem_free(r->frames);
    catalogue_free(&r->sets);
    drop_text(r);
    mem_free(r->root);
    mem_free(r);
}

const struct file_bad *store_reader_lost(const struct store_reader *r,
                                         size_t *n)
{
    *n = r->n_lost;
    return r->lost;
}

/* One line of four numbers, the last may be empty. */
static bool point_of(char *const *f, size_t n, float *p, float *score,
                     bool *scored)
{
    double v[4] = {0};
    if (n != 3 && n != 4)
        return false;
    *scored = n == 4 && *f[3];
    for (size_t a = 0; a < (*scored ? 4u : 3u); a++) {
        if (!text_to_f64(f[a], &v[a]) || v[a] < -1e9 || v[a] > 1e9)
            return false;
        if (a < 3)
            p[a] = (float)v[a];
    }
    *score = (float)v[3];
    return true;
}

enum err_code store_reader_file(const struct store_reader *r,
                                const struct store_row *row, int f, size_t max,
                                bool check, struct buf *b, char sum[STORE_SUM],
                                struct err *e)
{
    const char *rel = row->v[store_file_cols[f]];
    const char *said = row->v[store_sum_cols[f]];
    *b = (struct buf){0};
    char *path = path_join(r->root, rel);
    enum err_code rc = path ? file_read(path, max, b, e)
                            : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc)
        store_sum(b->data, b->len, sum);
    if (!rc && check && *said && strcmp(said, sum) != 0) {
        buf_free(b);
        rc =
            err_set(e, ERR_DATA,
                    "'%s' is not the file that was stored (it has %s, not %s): "
                    "it was changed since",
                    path, sum, said);
    }
    mem_free(path);
    return rc;
}

enum err_code store_parse_landmarks(const void *data, size_t n_data,
                                    const char *path, struct tensor **points,
                                    struct tensor **scores, struct err *e)
{
    *points = *scores = NULL;
    struct tensor *p = tensor_new(DT_F32, 2, (int64_t[]){POINTS, 3}, e);
    struct tensor *s = tensor_new(DT_F32, 1, (int64_t[]){POINTS}, e);
    enum err_code rc = p && s ? OK : ERR_NOMEM;
    size_t pos = 0;
    int scored = 0;
    for (int i = -1; !rc && i < POINTS; i++) {
        char **f;
        size_t n;
        rc = csv_record(data, n_data, &pos, &f, &n, e);
        if (rc)
            break;
        bool one = false;
        if (i >= 0 &&
            !point_of(f, n, tensor_f32(p) + 3 * i, tensor_f32(s) + i, &one))
            rc = err_set(e, ERR_DATA, "'%s' line %d: not a point x,y,z,score",
                         path, i + 2);
        scored += one;
        csv_record_free(f, n);
    }
    if (!rc && scored < POINTS)
        tensor_free(&s);
    if (rc) {
        tensor_free(&p);
        tensor_free(&s);
    }
    *points = p;
    *scores = s;
    return rc;
}

enum err_code store_read_landmarks(const char *path, struct tensor **points,
                                   struct tensor **scores, struct err *e)
{
    struct buf b;
    *points = *scores = NULL;
    enum err_code rc = file_read(path, CSV_MAX, &b, e);
    if (rc)
        return rc;
    rc = store_parse_landmarks(b.data, b.len, path, points, scores, e);
    buf_free(&b);
    return rc;
}
