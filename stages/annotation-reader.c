/* annotation-reader: a folder of annotated face pictures, one item a face. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"

#define MAX_CSV ((size_t)256 << 20)
#define COORDS (2 * LANDMARKS)

/* One face of landmarks.csv, with what index.csv says of it. */
struct face_row {
    char *path, *split, *name; /* split and name "" if index.csv has none */
    float xy[COORDS];
};

struct reader {
    const char *root, *split;
    struct face_row *row;
    size_t n, cap, next;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the annotations");
}

static enum err_code add_face(struct reader *c, char **field, size_t n,
                              struct err *e)
{
    if (n != 1 + COORDS)
        return err_set(e, ERR_DATA,
                       "%zu columns, %d expected (path, x0, y0, "
                       ".. x67, y67)",
                       n, 1 + COORDS);
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 256;
        void *p = mem_resize(c->row, cap, sizeof *c->row);
        if (!p)
            return no_memory(e);
        c->row = p;
        c->cap = cap;
    }
    struct face_row *r = &c->row[c->n];
    *r = (struct face_row){.path = NULL};
    for (size_t i = 0; i < COORDS; i++) {
        double v;
        if (!text_to_f64(field[i + 1], &v) || fabs(v) > 1e6)
            return err_set(e, ERR_DATA, "column %zu: '%.40s' is no coordinate",
                           i + 2, field[i + 1]);
        r->xy[i] = (float)v;
    }
    r->path = mem_strdup(field[0]);
    r->split = mem_strdup("");
    r->name = mem_strdup("");
    c->n++;
    return r->path && r->split && r->name ? OK : no_memory(e);
}

static struct face_row *find_face(struct reader *c, const char *path,
                                  size_t hint)
{
    for (size_t k = 0; k < c->n; k++) { /* both files are in one order */
        struct face_row *r = &c->row[(hint + k) % c->n];
        if (strcmp(r->path, path) == 0)
            return r;
    }
    return NULL;
}

/* Columns of index.csv that we use; -1: not there. */
struct columns {
    int path, split, name;
};

static void read_columns(char **field, size_t n, struct columns *k)
{
    *k = (struct columns){-1, -1, -1};
    for (size_t i = 0; i < n; i++) {
        if (strcmp(field[i], "path") == 0)
            k->path = (int)i;
        else if (strcmp(field[i], "split") == 0)
            k->split = (int)i;
        else if (strcmp(field[i], "name") == 0 ||
                 (k->name < 0 && strcmp(field[i], "photo_id") == 0))
            k->name = (int)i;
    }
}

static enum err_code add_index(struct reader *c, char **field, size_t n,
                               const struct columns *k, size_t line,
                               struct err *e)
{
    if ((int)n <= k->path || (int)n <= k->split || (int)n <= k->name)
        return err_set(e, ERR_DATA, "%zu columns are too few", n);
    struct face_row *r = find_face(c, field[k->path], line);
    if (!r)
        return OK; /* a picture without annotation */
    for (int i = 0; i < 2; i++) {
        int col = i ? k->name : k->split;
        char *copy = col >= 0 ? mem_strdup(field[col]) : NULL;
        char **to = i ? &r->name : &r->split;
        if (col >= 0 && !copy)
            return no_memory(e);
        if (copy) {
            mem_free(*to);
            *to = copy;
        }
    }
    return OK;
}

/* Read root/file; is_index chooses what its records are. */
static enum err_code read_csv(struct reader *c, const char *file, bool is_index,
                              struct err *e)
{
    struct buf b;
    buf_init(&b, MAX_CSV);
    char *path = path_join(c->root, file);
    enum err_code r = path ? OK : no_memory(e);
    if (!r)
        r = file_read(path, MAX_CSV, &b, e);
    struct columns k = {-1, -1, -1};
    size_t at = 0, line = 0;
    while (!r) {
        char **field = NULL;
        size_t n = 0;
        r = csv_record(buf_str(&b), b.len, &at, &field, &n, e);
        if (!r && n && line == 0) {
            read_columns(field, n, &k);
            if (k.path != 0 && !(is_index && k.path > 0))
                r = err_set(e, ERR_DATA, "no column 'path' in the head line");
        } else if (!r && n) {
            r = is_index ? add_index(c, field, n, &k, line - 1, e)
                         : add_face(c, field, n, e);
        }
        csv_record_free(field, n);
        line++;
        if (r)
            err_wrap(e, "'%s' record %zu", path, line);
        else if (!n)
            break;
    }
    buf_free(&b);
    mem_free(path);
    return r;
}

static bool wanted(const struct reader *c, const struct face_row *r)
{
    return strcmp(c->split, "all") == 0 || strcmp(c->split, r->split) == 0;
}

static enum err_code reader_open(void *ctx, struct stage *s, struct err *e)
{
    struct reader *c = ctx;
    enum err_code r = read_csv(c, "landmarks.csv", false, e);
    if (!r)
        r = read_csv(c, "index.csv", true, e);
    if (r)
        return r;
    int64_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += wanted(c, &c->row[i]);
    if (!n)
        return err_set(e, ERR_DATA, "'%s': no face of split '%s' among %zu",
                       c->root, c->split, c->n);
    stage_expect(s, n);
    return OK;
}

static void reader_close(void *ctx)
{
    struct reader *c = ctx;
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->row[i].path);
        mem_free(c->row[i].split);
        mem_free(c->row[i].name);
    }
    mem_free(c->row);
    c->row = NULL;
    c->n = 0;
}

static enum err_code set_tensors(struct item *it, const struct face_row *f,
                                 struct err *e)
{
    double b[4];
    const int64_t two[2] = {LANDMARKS, 2}, four = 4;
    struct tensor *t = tensor_new(DT_F32, 2, two, e);
    if (!t)
        return ERR_NOMEM;
    memcpy(t->data, f->xy, t->bytes);
    enum err_code r = item_set_tensor(it, "landmarks_true", t, e);
    if (r)
        return r;
    t = tensor_new(DT_F32, 1, &four, e);
    if (!t)
        return ERR_NOMEM;
    landmark_box(f->xy, 2, b);
    for (int i = 0; i < 4; i++)
        tensor_f32(t)[i] = (float)b[i];
    return item_set_tensor(it, "box", t, e);
}

/* The picture's name without folder and extension. */
static enum err_code set_name(struct item *it, const struct face_row *f,
                              struct err *e)
{
    const char *base = path_base(f->path), *dot = strrchr(base, '.');
    char *stem = mem_strndup(base, dot && dot != base ? (size_t)(dot - base)
                                                      : strlen(base));
    if (!stem)
        return no_memory(e);
    enum err_code r = item_set_str(it, "name", *f->name ? f->name : stem, e);
    if (!r)
        r = item_set_str(it, "snippet", stem, e);
    mem_free(stem);
    return r;
}

static enum err_code emit_face(struct reader *c, struct stage *s,
                               const struct face_row *f, struct err *e)
{
    struct item *it = item_new(e);
    char *path = path_join(c->root, f->path);
    enum err_code r = it && path ? OK : no_memory(e);
    if (!r)
        r = item_set_str(it, "path", path, e);
    if (!r)
        r = set_name(it, f, e);
    if (!r)
        r = item_set_str(it, "split", f->split, e);
    if (!r)
        r = set_tensors(it, f, e);
    if (!r) {
        /* Names as long as a key may be; longer ones keep their end, which
         * tells pictures of one folder apart. */
        size_t n = strlen(f->path), cut = n > 60 ? n - 60 : 0;
        item_set_key(it, f->path + cut);
    }
    mem_free(path);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static enum err_code reader_produce(void *ctx, struct stage *s, bool *end,
                                    struct err *e)
{
    struct reader *c = ctx;
    while (c->next < c->n && !wanted(c, &c->row[c->next]))
        c->next++;
    if (c->next >= c->n) {
        *end = true;
        return OK;
    }
    return emit_face(c, s, &c->row[c->next++], e);
}

static const struct stage_port out_ports[] = {
    {"out",
     "path str, name str, snippet str, split str, landmarks_true f32[68,2], "
     "box f32[4]",
     "One face: its picture's path, annotated points and their box x0,y0,x1,"
     "y1 in pixels."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"root", PARAM_PATH, offsetof(struct reader, root), NULL, 0, 0, NULL, NULL,
     "A folder with landmarks.csv (path, x0, y0, .. x67, y67; pixels, (0,0) "
     "the centre of the first) and index.csv (path, split; name if any)."},
    {"split", PARAM_STR, offsetof(struct reader, split), "test", 0, 0, NULL,
     NULL, "Which split to read: train, test, ...; all for every face."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "annotation-reader",
    .help = "Lists annotated face pictures. Reads the two csv files of a "
            "300-W style folder; the pictures themselves are read later.",
    .kind = STAGE_SOURCE,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct reader),
    .open = reader_open,
    .produce = reader_produce,
    .close = reader_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
