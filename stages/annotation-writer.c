/* annotation-writer: annotated pictures into a folder that annotation-reader
 * reads: pictures, landmarks.csv, index.csv.
 *
 * Crash safety: the picture is written whole or not at all, then a small file
 * with its rows below .facet/rows: that is the commit. The two tables are made
 * of these files at the end, in the order of their names, so that their bytes
 * depend neither on the order of the items nor on how often the run was
 * killed. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"
#include "lib/media/image.h"
#include "lib/store/scan.h"
#include "lib/store/store.h"
#include "stages/keyed.h"

#define ROWS STORE_ANNOTATED
#define KEYS ".facet/keys" /* of the files in ROWS and of the pictures */
#define MAX_TABLE ((size_t)256 << 20) /* what annotation-reader takes */
#define MAX_ROW 65536
#define MAX_FILES ((size_t)10000000)

struct writer {
    struct keyed files;
    const char *split;
    int format;
    int64_t quality;
    bool overwrite;
};
KEYED_FIRST(struct writer, files);

static const char *const exts[] = {"jpg", "png"};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for an annotation");
}

/* NAME/SNIPPET_00007.jpg, below the root. */
static enum err_code picture_path(const struct writer *c, const struct item *it,
                                  char **out, struct err *e)
{
    const char *name = item_str(it, "name", "");
    const char *snippet = item_str(it, "snippet", "picture");
    int64_t k = item_i64(it, "frame_index", item_i64(it, "sample", 0));
    enum err_code r = store_check_path(name, "name", STORE_PARTS, e);
    if (!r)
        r = store_check_path(snippet, "snippet", 1, e);
    if (r)
        return r;
    *out = mem_printf("%s/%s_%05lld.%s", name, snippet, (long long)k,
                      exts[c->format]);
    return *out ? OK : no_memory(e);
}

static enum err_code put_index(const struct writer *c, const struct item *it,
                               const char *path, struct buf *b, struct err *e)
{
    const struct tensor *frame = item_tensor(it, "frame");
    const struct tensor *pose = item_tensor(it, "pose_deg");
    const char *name = item_str(it, "name", "");
    const char *text[4] = {
        path, name, item_str(it, "identity", name),
        *c->split ? c->split
                  : item_str(it, "split", item_str(it, "set", "train"))};
    enum err_code r = OK;
    for (int i = 0; i < 4 && !r; i++) {
        r = csv_put(b, text[i], e);
        if (!r)
            r = buf_puts(b, ",", e);
    }
    if (!r)
        r = buf_printf(b, e, "%lld,%lld", (long long)frame->shape[1],
                       (long long)frame->shape[0]);
    for (int i = 0; i < 3 && !r; i++)
        r = pose ? buf_printf(b, e, ",%.3f", (double)tensor_f32(pose)[i])
                 : buf_puts(b, ",", e);
    return r ? r : buf_puts(b, "\n", e);
}

static enum err_code put_points(const struct item *it, const char *path,
                                struct buf *b, struct err *e)
{
    const struct tensor *t = item_tensor(it, "landmarks_true");
    if (t->shape[1] < 2)
        return err_set(e, ERR_DATA, "landmarks_true has no x and y");
    enum err_code r = csv_put(b, path, e);
    for (int i = 0; i < LANDMARKS && !r; i++) {
        const float *p = tensor_f32(t) + i * t->shape[1];
        if (!(fabsf(p[0]) <= 1e6F && fabsf(p[1]) <= 1e6F))
            return err_set(e, ERR_DATA, "point %d is not finite", i);
        r = buf_printf(b, e, ",%.3f,%.3f", (double)p[0], (double)p[1]);
    }
    return r ? r : buf_puts(b, "\n", e);
}

static enum err_code put_picture(const struct writer *c, const char *path,
                                 const struct tensor *frame, struct err *e)
{
    struct buf b = {0};
    enum err_code r =
        c->format ? image_encode_png(frame, 6, NULL, &b, e)
                  : image_encode_jpeg(frame, (int)c->quality, NULL, &b, e);
    if (!r)
        r = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    return r;
}

/* Write the picture, then its rows. */
static enum err_code put_files(const struct writer *c, const struct item *it,
                               const char *path, const char *picture,
                               const char *row, struct err *e)
{
    struct buf b;
    buf_init(&b, MAX_ROW);
    enum err_code r = put_index(c, it, path, &b, e);
    if (!r)
        r = put_points(it, path, &b, e);
    if (!r) /* what a killed run may have left */
        r = file_remove_temporaries(picture, e);
    if (!r)
        r = put_picture(c, picture, item_tensor(it, "frame"), e);
    if (!r)
        r = file_write_atomic(row, b.data, b.len, e);
    buf_free(&b);
    return r;
}

/* A picture is there when its rows and itself are, and are what was written. */
static enum keys_state look(const struct writer *c, const char *path,
                            const char *rel, const char *source)
{
    enum keys_state row = keys_look(c->files.keys, rel, source);
    enum keys_state picture = keys_look(c->files.keys, path, source);
    return row == KEYS_NONE || picture == KEYS_NONE ? KEYS_NONE
           : row == picture                         ? row
                                                    : KEYS_OTHER;
}

static enum err_code writer_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    struct writer *c = ctx;
    char *path = NULL;
    (void)s;
    (void)n; /* batches of one */
    enum err_code r = picture_path(c, in[0], &path, e);
    if (r)
        return r;
    char *picture = path_join(keys_root(c->files.keys), path);
    char *rel = mem_printf("%s/%s.csv", ROWS, path);
    char *row = rel ? path_join(keys_root(c->files.keys), rel) : NULL;
    char source[33];
    keys_source(c->files.sources, in[0], source);
    if (!picture || !row) {
        r = no_memory(e);
    } else {
        enum keys_state state = look(c, path, rel, source);
        if (state == KEYS_KEPT) {
            c->files.kept++;
        } else if (state == KEYS_OURS && !c->overwrite) {
            c->files.there++;
        } else {
            r = put_files(c, in[0], path, picture, row, e);
            if (!r)
                r = keys_note(c->files.keys, path, source, e);
            if (!r)
                r = keys_note(c->files.keys, rel, source, e);
            c->files.written += r == OK;
            c->files.anew += r == OK && state == KEYS_OTHER;
        }
    }
    mem_free(rel);
    mem_free(path);
    mem_free(picture);
    mem_free(row);
    return r;
}

/* One file of rows: a line of index.csv, a line of landmarks.csv. Records of a
 * name with a line break have more lines, so they are parted as CSV. */
static enum err_code add_rows(const char *path, struct buf *index,
                              struct buf *points, struct err *e)
{
    struct buf b;
    char **field = NULL;
    size_t at = 0, n = 0;
    enum err_code r = file_read(path, MAX_ROW, &b, e);
    if (r)
        return r;
    r = csv_record(buf_str(&b), b.len, &at, &field, &n, e);
    csv_record_free(field, n);
    if (!r && (n != 9 || at >= b.len))
        r = err_set(e, ERR_DATA, "no rows of an annotation");
    if (!r)
        r = buf_put(index, b.data, at, e);
    if (!r)
        r = buf_put(points, b.data + at, b.len - at, e);
    if (r)
        err_wrap(e, "'%s'", path);
    buf_free(&b);
    return r;
}

static enum err_code put_heads(struct buf *index, struct buf *points,
                               struct err *e)
{
    enum err_code r = buf_puts(
        index, "path,name,photo_id,split,width,height,rx_deg,ry_deg,rz_deg\n",
        e);
    if (!r)
        r = buf_puts(points, "path", e);
    for (int i = 0; i < LANDMARKS && !r; i++)
        r = buf_printf(points, e, ",x%d,y%d", i, i);
    return r ? r : buf_puts(points, "\n", e);
}

static enum err_code write_table(const char *root, const char *name,
                                 const struct buf *b, struct err *e)
{
    char *path = path_join(root, name);
    enum err_code r = path ? file_remove_temporaries(path, e) : no_memory(e);
    if (!r)
        r = file_write_atomic(path, b->data, b->len, e);
    mem_free(path);
    return r;
}

/* Both tables of all that is there; the caller holds the lock. */
static enum err_code compose(const char *root, const char *rows, size_t *n,
                             struct err *e)
{
    struct file_list l = {0};
    struct buf index, points;
    buf_init(&index, MAX_TABLE);
    buf_init(&points, MAX_TABLE);
    enum err_code r = put_heads(&index, &points, e);
    if (!r)
        r = file_walk(rows, MAX_FILES, &l, e);
    if (!r)
        r = file_list_whole(&l, e);
    for (size_t i = 0; i < l.n && !r; i++) {
        char *path = path_join(rows, l.names[i]);
        r = path ? add_rows(path, &index, &points, e) : no_memory(e);
        mem_free(path);
    }
    *n = l.n;
    if (!r)
        r = write_table(root, "index.csv", &index, e);
    if (!r)
        r = write_table(root, "landmarks.csv", &points, e);
    file_list_free(&l);
    buf_free(&index);
    buf_free(&points);
    return r;
}

/* Every writer composes; the last one finds all. */
static enum err_code writer_finish(void *ctx, struct stage *s, struct err *e)
{
    struct writer *c = ctx;
    const char *root = keys_root(c->files.keys);
    char *rows = path_join(root, ROWS);
    char *lock = path_join(root, STORE_LOCK);
    size_t n = 0;
    int fd = -1;
    char more[120];
    enum err_code r = rows && lock ? file_mkdirs(rows, e) : no_memory(e);
    if (!r)
        r = file_lock(lock, &fd, e);
    if (!r)
        r = compose(root, rows, &n, e);
    if (fd >= 0)
        close(fd);
    if (!r && c->files.failed)
        stage_report(s,
                     "annotations: %lld failed and stand in no table; their "
                     "reasons are in the dead letters",
                     (long long)c->files.failed);
    if (!r)
        stage_report(s,
                     "annotations: %lld written%s, %lld there already; %zu "
                     "in '%s'",
                     (long long)c->files.written,
                     keyed_anew(&c->files, more, sizeof more),
                     (long long)c->files.there, n, root);
    size_t others = 0;
    if (!r)
        r = keyed_others(&c->files, s, &others, e);
    others /= 2; /* the picture and its rows */
    keyed_tell(&c->files, s, "pictures", others);
    mem_free(rows);
    mem_free(lock);
    return r;
}

/* A sample store has an index.csv of its own. The lock is the store's as well,
 * so that of two that come at once one is refused. */
static enum err_code claim_root(const char *root, struct err *e)
{
    char *rows = path_join(root, ROWS), *lock = path_join(root, STORE_LOCK);
    char *format = path_join(root, STORE_FORMAT);
    char *dir = path_join(root, STORE_DIR);
    int fd = -1;
    enum err_code r = rows && lock && format && dir ? OK : no_memory(e);
    if (!r)
        r = file_mkdirs(dir, e);
    if (!r)
        r = file_lock(lock, &fd, e);
    if (!r && file_exists(format))
        r = err_set(e, ERR_ARG,
                    "'%s' holds a sample store (sample-writer), whose "
                    "index.csv the annotations would replace: choose another "
                    "folder",
                    root);
    if (!r)
        r = file_mkdirs(rows, e);
    if (fd >= 0)
        close(fd);
    mem_free(rows);
    mem_free(lock);
    mem_free(format);
    mem_free(dir);
    return r;
}

static enum err_code writer_open(void *ctx, struct stage *s, struct err *e)
{
    struct writer *c = ctx;
    enum err_code r = keyed_open(&c->files, KEYS, s, e);
    if (!r)
        r = claim_root(keys_root(c->files.keys), e);
    return r;
}

static void writer_close(void *ctx)
{
    struct writer *c = ctx;
    keyed_close(&c->files);
}

#define AT(member) offsetof(struct writer, member)
static const struct stage_param params[] = {
    {"root", PARAM_PATH, AT(files.root), NULL, 0, 0, NULL, NULL,
     "folder to write: ROOT/NAME/SNIPPET_INDEX.jpg, ROOT/landmarks.csv, "
     "ROOT/index.csv"},
    {"split", PARAM_STR, AT(split), "", 0, 0, NULL, NULL,
     "split of all of them; where empty the field split, or set, or train"},
    {"format", PARAM_ENUM, AT(format), "jpg", 0, 0, "jpg|png", NULL,
     "of the pictures"},
    {"quality", PARAM_INT, AT(quality), "95", 1, 100, NULL, NULL,
     "of jpg pictures"},
    {"overwrite", PARAM_BOOL, AT(overwrite), "no", 0, 0, NULL, NULL,
     "write pictures again that are there"},
    KEYED_OTHER(struct writer, files),
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static const struct stage_port in_ports[] = {
    {"in",
     "frame u8[H,W,3], landmarks_true f32[68,*], name str, snippet str?, "
     "frame_index i64?, sample i64?, identity str?, split str?, set str?, "
     "pose_deg f32[3]?, path str?, source_hash str?",
     "Annotated pictures. Those of one identity (of one name, where there is "
     "none) have the same photo_id, so that none is on both sides of a "
     "validation."},
    {NULL, NULL, NULL},
};

static const struct stage_desc desc = {
    .name = "annotation-writer",
    .help = "Writes annotated pictures to a folder that annotation-reader "
            "reads. The tables appear at the end; pictures that are there "
            "already are left alone.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .aside = "root overwrite other",
    .ctx_size = sizeof(struct writer),
    .open = writer_open,
    .transform = writer_transform,
    .failed = keyed_failed,
    .finish = writer_finish,
    .close = writer_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
