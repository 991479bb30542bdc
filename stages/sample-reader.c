/* sample-reader: reads the samples of a store back, in a fixed order. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/hash.h"
#include "lib/data/item.h"
#include "lib/flow/stage.h"
#include "lib/media/image.h"
#include "lib/store/layout.h"
#include "lib/store/reader.h"

#define EMIT_AT_ONCE 4

struct ctx {
    const char *root, *set;
    bool pose, landmarks, generated, check;
    int64_t shard, shards, limit;
    struct store_reader *reader;
    int64_t met, sent;
    size_t bad;
    bool told;
};

/* Is this row one of ours: ok, of the set, of the shard, within the limit? */
static bool taken(const struct ctx *c, const struct stage *s,
                  const struct store_row *r, int64_t *met)
{
    if (!store_row_ok(r) || (*c->set && strcmp(c->set, r->v[COL_SET]) != 0))
        return false;
    if (!*r->v[COL_FRAME] && !*r->v[COL_GENERATED])
        return false;
    int64_t i = (*met)++;
    if (i % c->shards != c->shard)
        return false;
    i /= c->shards;
    if (c->limit > 0 && i >= c->limit)
        return false;
    return stage_replicas(s) <= 1 || i % stage_replicas(s) == stage_replica(s);
}

static enum err_code reader_open(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    if (c->shard >= c->shards)
        return err_set(e, ERR_ARG, "shard %lld is not one of 0 .. %lld",
                       (long long)c->shard, (long long)c->shards - 1);
    enum err_code rc = store_reader_open(c->root, &c->reader, e);
    int64_t n = 0, met = 0;
    while (!rc) {
        const struct store_row *row;
        rc = store_reader_next(c->reader, &row, e);
        if (rc || !row)
            break;
        n += taken(c, s, row, &met);
    }
    if (!rc && !met)
        rc = err_set(e, ERR_DATA, "no good samples%s%s in '%s'",
                     *c->set ? " of set " : "", c->set, c->root);
    if (!rc)
        rc = store_reader_rewind(c->reader, e);
    if (!rc)
        stage_expect(s, n);
    return rc;
}

/* File f of the row, checked; its sum is added to `sums`. */
static enum err_code read_file(const struct ctx *c, const struct store_row *row,
                               int f, struct buf *b, struct buf *sums,
                               struct err *e)
{
    char sum[STORE_SUM];
    enum err_code rc = store_reader_file(
        c->reader, row, f, image_caps_default.max_file, c->check, b, sum, e);
    return rc ? rc : buf_printf(sums, e, "%d %s\n", f, sum);
}

static enum err_code set_picture(const struct ctx *c, struct item *it,
                                 const char *field, const struct store_row *row,
                                 int f, struct buf *sums, struct err *e)
{
    struct buf b;
    struct tensor *t = NULL;
    enum err_code rc = read_file(c, row, f, &b, sums, e);
    if (!rc) {
        rc = image_decode(b.data, b.len, &image_caps_default, &t, e);
        if (rc)
            err_wrap(e, "'%s/%s'", c->root, row->v[store_file_cols[f]]);
    }
    buf_free(&b);
    return rc ? rc : item_set_tensor(it, field, t, e);
}

static enum err_code set_landmarks(const struct ctx *c, struct item *it,
                                   const struct store_row *row,
                                   struct buf *sums, struct err *e)
{
    struct tensor *points = NULL, *scores = NULL;
    struct buf b;
    char *path = path_join(c->root, row->v[COL_LANDMARKS]);
    enum err_code rc = path ? read_file(c, row, STORE_LANDMARKS, &b, sums, e)
                            : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc) {
        rc = store_parse_landmarks(b.data, b.len, path, &points, &scores, e);
        buf_free(&b);
    }
    mem_free(path);
    if (!rc)
        rc = item_set_tensor(it, "landmarks", points, e);
    if (!rc && scores)
        rc = item_set_tensor(it, "scores", scores, e);
    else
        tensor_free(&scores);
    return rc;
}

/* Plain columns under the names that the writer takes them from. */
static const struct {
    enum store_col col;
    const char *field;
    bool number;
} plain[] = {
    {COL_NAME, "name", false},
    {COL_SNIPPET, "snippet", false},
    {COL_SET, "set", false},
    {COL_IDENTITY, "identity", false},
    {COL_SOURCE, "path", false},
    {COL_METHOD, "method", false},
    {COL_MODEL, "model", false},
    {COL_SAMPLE, "sample", true},
    {COL_N_FRAMES, "n_frames", true},
    {COL_VIEW, "view", true},
    {COL_N_VIEWS, "n_views", true},
    {COL_PTS_NS, "pts_ns", true},
    {COL_FRAME_INDEX, "frame_index", true},
    {COL_SEED, "seed", true},
    {COL_FACE, "face", true},
    {COL_FACES, "n_faces", true},
};

static enum err_code set_plain(struct item *it, const struct store_row *row,
                               struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = 0; !rc && i < sizeof plain / sizeof *plain; i++) {
        const char *v = row->v[plain[i].col];
        int64_t n;
        if (!plain[i].number && (*v || i < 4)) /* the first four always */
            rc = item_set_str(it, plain[i].field, v, e);
        else if (plain[i].number && text_to_i64(v, &n))
            rc = item_set_i64(it, plain[i].field, n, e);
    }
    double deg[3];
    for (int a = 0; a < 3; a++)
        if (!text_to_f64(row->v[COL_RX_DEG + a], &deg[a]))
            return rc;
    struct tensor *t = rc ? NULL : tensor_new(DT_F32, 1, (int64_t[]){3}, e);
    if (!t)
        return rc ? rc : ERR_NOMEM;
    for (int a = 0; a < 3; a++)
        tensor_f32(t)[a] = (float)deg[a];
    return item_set_tensor(it, "pose_deg", t, e);
}

static enum err_code read_files(const struct ctx *c, struct item *it,
                                const struct store_row *row, struct err *e)
{
    const char *const *v = row->v;
    struct buf sums;
    char hash[33];
    buf_init(&sums, 4096);
    /* An export by identity may hold the generated picture alone. */
    enum err_code rc =
        set_picture(c, it, "frame", row,
                    *v[COL_FRAME] ? STORE_FRAME : STORE_GENERATED, &sums, e);
    if (!rc && c->pose && *v[COL_POSE])
        rc = set_picture(c, it, "pose", row, STORE_POSE, &sums, e);
    if (!rc && c->generated && *v[COL_GENERATED])
        rc = set_picture(c, it, "generated", row, STORE_GENERATED, &sums, e);
    if (!rc && c->landmarks && *v[COL_LANDMARKS])
        rc = set_landmarks(c, it, row, &sums, e);
    hash_bytes(sums.data, sums.len, hash); /* what these items come from */
    buf_free(&sums);
    return rc ? rc : item_set_str(it, "source_hash", hash, e);
}

/* One row to one item; what cannot be read is set aside as a failed item. */
static enum err_code emit(struct ctx *c, struct stage *s,
                          const struct store_row *row, struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = set_plain(it, row, e);
    if (rc) {
        item_free(&it);
        return rc;
    }
    const char *face = row->v[COL_FACE];
    char *key = mem_printf("%s/%s %s %s%s%s", row->v[COL_NAME],
                           row->v[COL_SNIPPET], row->v[COL_SAMPLE],
                           row->v[COL_VIEW], *face ? " f" : "", face);
    if (!key) {
        item_free(&it);
        return err_set(e, ERR_NOMEM, "no memory for a key");
    }
    item_set_key(it, key);
    mem_free(key);
    struct err why = {0};
    rc = read_files(c, it, row, &why);
    if (rc) {
        c->bad++;
        stage_fail(s, it, rc, "%s", why.text);
        item_free(&it);
        return OK;
    }
    return stage_emit(s, NULL, it, e);
}

/* Files of a bare tree that cannot be read become failed items. */
static enum err_code fail_lost(struct ctx *c, struct stage *s, struct err *e)
{
    size_t n;
    const struct file_bad *lost = store_reader_lost(c->reader, &n);
    enum err_code rc = OK;
    for (size_t i = 0; !rc && i < n; i++) {
        struct item *it = item_new(e);
        char *text = text_escaped(lost[i].path);
        char *path = text ? path_join(c->root, text) : NULL;
        const char *base = text ? path_base(text) : "";
        char *name = text && base > text + 1
                         ? mem_strndup(text, (size_t)(base - text - 1))
                         : mem_strdup(".");
        rc = it && path && name ? item_set_str(it, "path", path, e)
                                : err_set(e, ERR_NOMEM, "no memory for a path");
        if (!rc)
            rc = item_set_str(it, "name", name, e);
        if (!rc)
            rc = item_set_str(it, "snippet", base, e);
        if (!rc)
            rc = item_set_str(it, "set", "", e);
        if (!rc)
            rc = item_set_str(it, "identity", "", e);
        if (!rc) {
            item_set_key(it, text);
            stage_fail(s, it, lost[i].code, "%s", lost[i].why);
            c->bad++;
        }
        item_free(&it);
        mem_free(name);
        mem_free(path);
        mem_free(text);
    }
    return rc;
}

static enum err_code reader_produce(void *ctx, struct stage *s, bool *end,
                                    struct err *e)
{
    struct ctx *c = ctx;
    enum err_code rc = OK;
    if (!c->told && stage_replica(s) == 0)
        rc = fail_lost(c, s, e);
    c->told = true;
    for (int k = 0; !rc && k < EMIT_AT_ONCE;) {
        const struct store_row *row;
        rc = store_reader_next(c->reader, &row, e);
        if (!rc && !row) {
            *end = true;
            break;
        }
        if (rc || !taken(c, s, row, &c->met))
            continue;
        k++;
        rc = emit(c, s, row, e);
    }
    return rc;
}

static enum err_code reader_finish(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    (void)e;
    if (c->bad)
        stage_report(s, "%zu samples of '%s' could not be read", c->bad,
                     c->root);
    return OK;
}

static void reader_close(void *ctx)
{
    struct ctx *c = ctx;
    store_reader_close(&c->reader);
}

#define AT(m) offsetof(struct ctx, m)
static const struct stage_param params[] = {
    {"root", PARAM_FOLDER, AT(root), NULL, 0, 0, NULL, NULL,
     "a store of sample-writer, or a bare tree "
     "<name>/<snippet>/frame_<i>.jpg as pose2pose has it"},
    {"set", PARAM_STR, AT(set), "", 0, 0, NULL, NULL,
     "take only this set (train, test); empty: all"},
    {"pose", PARAM_BOOL, AT(pose), "yes", 0, 0, NULL, NULL,
     "read pose pictures"},
    {"landmarks", PARAM_BOOL, AT(landmarks), "yes", 0, 0, NULL, NULL,
     "read landmarks"},
    {"generated", PARAM_BOOL, AT(generated), "yes", 0, 0, NULL, NULL,
     "read generated pictures"},
    {"check", PARAM_BOOL, AT(check), "yes", 0, 0, NULL, NULL,
     "files must be those that were stored, byte by byte, where the store says "
     "what they were; no: as they are"},
    {"shard", PARAM_INT, AT(shard), "0", 0, 1e9, NULL, NULL,
     "which part to take, 0 .. shards-1"},
    {"shards", PARAM_INT, AT(shards), "1", 1, 1e9, NULL, NULL,
     "parts the samples are dealt into"},
    {"limit", PARAM_INT, AT(limit), "0", 0, 1e15, NULL, NULL,
     "take the first so many; 0: all"},
    {0}};

static const struct stage_port out[] = {
    {"out",
     "frame u8[H,W,3], pose u8[h,w,3]?, generated u8[a,b,3]?, landmarks "
     "f32[68,3]?, scores f32[68]?, name str, snippet str, set str, identity "
     "str, sample i64?, n_frames i64?, view i64?, n_views i64?, pose_deg "
     "f32[3]?, method str?, model str?, seed i64?, path str?, pts_ns i64?, "
     "frame_index i64?, source_hash str, face i64?, n_faces i64?",
     "one item a good sample or view, in the order of index.csv"},
    {0}};

static const struct stage_desc desc = {
    .name = "sample-reader",
    .help = "Reads the good samples of a store back, in the order of its "
            "index.csv. A file that cannot be read makes a failed item.",
    .kind = STAGE_SOURCE,
    .out = out,
    .params = params,
    .aside = "root set shard shards limit check",
    .ctx_size = sizeof(struct ctx),
    .open = reader_open,
    .produce = reader_produce,
    .finish = reader_finish,
    .close = reader_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
