/* sample-writer: samples and failures into a store on disk (docs/store.md). */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/hash.h"
#include "lib/data/item.h"
#include "lib/flow/stage.h"
#include "lib/media/image.h"
#include "lib/store/done.h"
#include "lib/store/keys.h"
#include "lib/store/layout.h"
#include "lib/store/policy.h"
#include "lib/store/sources.h"
#include "lib/store/store.h"

#define POINTS 68
#define PNG_LEVEL 3
#define POSE_LEVEL 2 /* lines on black: a quarter of the time of 3 */
#define NUMBERS 16
#define FRAMES_KNOWN 16

/* A frame that was stored a moment ago, which the next views or faces of its
 * sample bring again: it need not be encoded again. */
struct known_frame {
    char path[512], picture[33], sum[STORE_SUM];
};

struct ctx {
    /* parameters */
    const char *root;
    int layout, format, pose_format, other;
    int64_t quality;
    bool frame, pose, landmarks, generated, overwrite;
    /* state */
    char *where; /* root, or its part for these settings */
    struct store *store;
    struct store_done *table;   /* with other=keep, in a pipeline */
    struct store_sinks writers; /* of this run's rows */
    struct sources *sources;
    struct known_frame known[FRAMES_KNOWN], next_known;
    size_t n_known;
    bool told;
    size_t written, there, changed, kept; /* files; samples that were kept */
    size_t noted, unnoted; /* failures with a row; whose row failed too */
    size_t own;            /* of them, those that failed here */
};

static const char *const exts[] = {"jpg", "png"};

/* A row in the making: texts of numbers, paths to free. */
struct draft {
    struct store_row row;
    char number[NUMBERS][32];
    int n_numbers;
    char *path[STORE_FILES];          /* enum store_file */
    char sum[STORE_FILES][STORE_SUM]; /* of what is stored there */
    char source[33], item[33];
    char *reason;
    size_t how[3]; /* enum store_put_how: how many files */
};

static void put_i64(struct draft *d, enum store_col c, int64_t v)
{
    char *out = d->number[d->n_numbers++];
    snprintf(out, sizeof d->number[0], "%lld", (long long)v);
    d->row.v[c] = out;
}

/* A whole-number field, where the item has it. */
static void take_i64(struct draft *d, enum store_col c, const struct item *it,
                     const char *field)
{
    const struct field *f = item_get(it, field);
    if (f && (f->type == VAL_I64 || f->type == VAL_F64))
        put_i64(d, c, item_i64(it, field, 0));
}

/* The shortest text that reads back as the same float. */
static void float_text(float v, char *out, size_t n)
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(out, n, "%.*g", digits, (double)v);
        if (strtof(out, NULL) == v) /* NaN: stays "nan" at 9 digits */
            return;
    }
}

static void take_pose(struct draft *d, const struct item *it)
{
    const struct tensor *t = item_tensor(it, "pose_deg");
    for (int a = 0; t && t->count == 3 && a < 3; a++) {
        char *out = d->number[d->n_numbers++];
        float_text(tensor_f32(t)[a], out, sizeof d->number[0]);
        d->row.v[COL_RX_DEG + a] = out;
    }
}

static void draft_free(struct draft *d)
{
    for (int i = 0; i < STORE_FILES; i++)
        mem_free(d->path[i]);
    mem_free(d->reason);
}

/* What is common to samples and failures. */
static void draft_start(struct draft *d, const struct ctx *c,
                        const struct item *it, struct store_key *k)
{
    memset(d, 0, sizeof *d);
    store_row_clear(&d->row);
    const char **v = d->row.v;
    v[COL_NAME] = item_str(it, "name", "");
    v[COL_SNIPPET] = item_str(it, "snippet", "");
    v[COL_SET] = item_str(it, "set", "");
    v[COL_IDENTITY] = item_str(it, "identity", "");
    v[COL_SOURCE] = item_str(it, "path", "");
    v[COL_NOTE] = item_str(it, "decode_note", "");
    v[COL_METHOD] = item_str(it, "method", "");
    v[COL_MODEL] = item_str(it, "model", "");
    take_i64(d, COL_N_FRAMES, it, "n_frames");
    /* A renderer numbers the frames of a clip by frame_index alone. */
    const char *sample = item_get(it, "sample") || !item_get(it, "n_frames")
                             ? "sample"
                             : "frame_index";
    bool faces = item_i64(it, "n_faces", 0) > 0;
    take_i64(d, COL_SAMPLE, it, sample);
    if (faces) {
        take_i64(d, COL_FACE, it, "face");
        take_i64(d, COL_FACES, it, "n_faces");
    }
    take_i64(d, COL_VIEW, it, "view");
    take_i64(d, COL_N_VIEWS, it, "n_views");
    take_i64(d, COL_PTS_NS, it, "pts_ns");
    take_i64(d, COL_FRAME_INDEX, it, "frame_index");
    take_i64(d, COL_SEED, it, "seed");
    take_pose(d, it);
    keys_source(c->sources, it, d->source);
    v[COL_SOURCE_HASH] = d->source;
    item_id_hex(&it->id, d->item);
    v[COL_ITEM] = d->item;
    const struct tensor *frame = item_tensor(it, "frame");
    if (frame && frame->ndim == 3) {
        put_i64(d, COL_HEIGHT, frame->shape[0]);
        put_i64(d, COL_WIDTH, frame->shape[1]);
    }
    *k = (struct store_key){
        .name = v[COL_NAME],
        .snippet = v[COL_SNIPPET],
        .set = v[COL_SET],
        .identity = v[COL_IDENTITY],
        .sample = item_i64(it, sample, -1),
        .face = faces ? item_i64(it, "face", 0) : -1,
        .view = item_i64(it, "view", -1),
    };
}

/* Name a file in d->path and the row. */
static enum err_code name_file(const struct ctx *c, struct draft *d,
                               const struct store_key *k, enum store_file file,
                               const char *ext, struct err *e)
{
    d->path[file] = store_file_path((enum store_layout)c->layout, file, k, ext);
    if (!d->path[file])
        return err_set(e, ERR_NOMEM, "no memory for a path");
    d->row.v[store_file_cols[file]] = d->path[file];
    d->row.v[store_sum_cols[file]] = d->sum[file];
    return OK;
}

static enum err_code put_bytes(struct ctx *c, struct draft *d,
                               enum store_file file, const struct buf *b,
                               struct err *e)
{
    enum store_put_how how;
    enum err_code rc = store_put(c->store, d->path[file], b->data, b->len,
                                 c->overwrite, d->sum[file], &how, e);
    if (!rc)
        d->how[how]++;
    return rc;
}

static enum err_code put_picture(struct ctx *c, struct draft *d,
                                 enum store_file file, const struct tensor *t,
                                 int png_level, const struct image_text *text,
                                 struct err *e)
{
    struct buf b = {0};
    enum err_code rc = text_ends(d->path[file], ".png")
                           ? image_encode_png(t, png_level, text, &b, e)
                           : image_encode_jpeg(t, (int)c->quality, text, &b, e);
    rc = rc ? err_wrap(e, "cannot encode '%s'", d->path[file])
            : put_bytes(c, d, file, &b, e);
    buf_free(&b);
    return rc;
}

/* The frame, which all views and faces of a sample have in common. */
static enum err_code put_frame(struct ctx *c, struct draft *d,
                               const struct tensor *t, struct err *e)
{
    const char *path = d->path[STORE_FRAME];
    struct known_frame *next = &c->next_known;
    bool again;
    char owner[STORE_SUM];
    hash_bytes(t->data, t->bytes, next->picture);
    snprintf(next->path, sizeof next->path, "%s", path);
    for (size_t i = 0; i < c->n_known; i++)
        if (strcmp(c->known[i].path, path) == 0 &&
            strcmp(c->known[i].picture, next->picture) == 0) {
            memcpy(d->sum[STORE_FRAME], c->known[i].sum, STORE_SUM);
            next->path[0] = 0;
            return OK;
        }
    /* Another item of this run may bring the same frame, no other one. */
    snprintf(owner, sizeof owner, "%s-%lld", next->picture,
             (long long)t->shape[0]);
    enum err_code rc = store_claim(c->store, path, owner, &again, e);
    if (!rc)
        rc = put_picture(c, d, STORE_FRAME, t, PNG_LEVEL, NULL, e);
    if (!rc)
        memcpy(next->sum, d->sum[STORE_FRAME], STORE_SUM);
    if (!rc && again && d->how[STORE_SAME])
        d->how[STORE_SAME]--; /* our own of this run */
    if (strlen(path) >= sizeof next->path)
        next->path[0] = 0;
    return rc;
}

/* The row is committed: its frame is known from now on. */
static void know_frame(struct ctx *c)
{
    if (!c->next_known.path[0])
        return;
    memmove(c->known + 1, c->known, (FRAMES_KNOWN - 1) * sizeof *c->known);
    c->known[0] = c->next_known;
    c->n_known += c->n_known < FRAMES_KNOWN;
}

static enum err_code put_points(struct ctx *c, struct draft *d,
                                const struct tensor *points,
                                const struct tensor *scores, struct err *e)
{
    struct buf b;
    buf_init(&b, 65536);
    const float *p = tensor_f32(points);
    enum err_code rc = buf_puts(&b, "x,y,z,score\n", e);
    for (int i = 0; !rc && i < POINTS; i++) {
        char t[4][32] = {"", "", "", ""};
        for (int a = 0; a < 3; a++)
            float_text(p[3 * i + a], t[a], sizeof t[a]);
        if (scores)
            float_text(tensor_f32(scores)[i], t[3], sizeof t[3]);
        rc = buf_printf(&b, e, "%s,%s,%s,%s\n", t[0], t[1], t[2], t[3]);
    }
    if (!rc)
        rc = put_bytes(c, d, STORE_LANDMARKS, &b, e);
    buf_free(&b);
    return rc;
}

/* A generated picture says so itself, wherever it travels. */
static enum err_code put_generated(struct ctx *c, struct draft *d,
                                   const struct tensor *t, struct err *e)
{
    const char *const *v = d->row.v;
    char *source = mem_printf("%s/%s sample %s", v[COL_NAME], v[COL_SNIPPET],
                              *v[COL_SAMPLE] ? v[COL_SAMPLE] : "0");
    char pose[112];
    snprintf(pose, sizeof pose, "rx %s ry %s rz %s degrees", v[COL_RX_DEG],
             v[COL_RY_DEG], v[COL_RZ_DEG]);
    struct image_text text[9] = {
        {"Synthetic", "true"},
        {"Software", STORE_SOFTWARE},
        {"Comment", "Generated picture: not a photograph."},
        {"Source", source},
    };
    size_t n = 4;
    if (*v[COL_METHOD])
        text[n++] = (struct image_text){"Method", v[COL_METHOD]};
    if (*v[COL_MODEL])
        text[n++] = (struct image_text){"Model", v[COL_MODEL]};
    if (*v[COL_RX_DEG])
        text[n++] = (struct image_text){"Pose", pose};
    if (*v[COL_SEED])
        text[n++] = (struct image_text){"Seed", v[COL_SEED]};
    text[n] = (struct image_text){NULL, NULL};
    enum err_code rc =
        source ? put_picture(c, d, STORE_GENERATED, t, PNG_LEVEL, text, e)
               : err_set(e, ERR_NOMEM, "no memory for a picture's text");
    mem_free(source);
    return rc;
}

static enum err_code write_files(struct ctx *c, struct draft *d,
                                 const struct store_key *k,
                                 const struct item *it, struct err *e)
{
    const struct tensor *frame = c->frame ? item_tensor(it, "frame") : NULL;
    const struct tensor *pose = c->pose ? item_tensor(it, "pose") : NULL;
    const struct tensor *points =
        item_tensor(it, k->view >= 0 ? "target" : "landmarks");
    const struct tensor *made =
        c->generated ? item_tensor(it, "generated") : NULL;
    bool flat = c->layout == STORE_IDENTITY; /* pictures to learn from only */
    enum err_code rc = OK;
    c->next_known.path[0] = 0;
    if (!frame && !made && !(c->landmarks && points && !flat))
        return err_set(e, ERR_DATA, "nothing to store: the item has no %s",
                       c->frame ? "frame" : "generated picture");
    if (frame) {
        rc = name_file(c, d, k, STORE_FRAME, exts[c->format], e);
        if (!rc)
            rc = put_frame(c, d, frame, e);
    }
    if (!rc && pose && !flat) {
        rc = name_file(c, d, k, STORE_POSE, exts[c->pose_format], e);
        if (!rc)
            rc = put_picture(c, d, STORE_POSE, pose, POSE_LEVEL, NULL, e);
    }
    if (!rc && c->landmarks && points && !flat) {
        rc = name_file(c, d, k, STORE_LANDMARKS, "csv", e);
        if (!rc)
            rc = put_points(c, d, points, item_tensor(it, "scores"), e);
    }
    if (!rc && made) {
        rc = name_file(c, d, k, STORE_GENERATED, "png", e);
        if (!rc)
            rc = put_generated(c, d, made, e);
    }
    return rc;
}

/* One item a sample, face and view in a run. */
static enum err_code claim_row(struct ctx *c, const struct draft *d,
                               const struct store_key *k, struct err *e)
{
    bool again;
    char part[96] = "";
    if (k->face >= 0)
        snprintf(part, sizeof part, " face %lld", (long long)k->face);
    size_t n = strlen(part);
    if (k->view >= 0)
        snprintf(part + n, sizeof part - n, " view %lld", (long long)k->view);
    char *what = mem_printf("sample %lld%s of '%s/%s'", (long long)k->sample,
                            part, k->name, k->snippet);
    enum err_code rc = what ? store_claim(c->store, what, d->item, &again, e)
                            : err_set(e, ERR_NOMEM, "no memory for a sample");
    mem_free(what);
    return rc;
}

/* Is the item's snippet finished under other settings, which are to be kept? */
static bool keep_other(struct ctx *c, const struct draft *d)
{
    struct store_done_entry en;
    uint64_t about[2];
    const char *const *v = d->row.v;
    if (!c->table ||
        !store_done_find(c->table, v[COL_NAME], v[COL_SNIPPET], &en) ||
        !en.finished)
        return false;
    store_about(d->source, v[COL_SET], v[COL_IDENTITY], about);
    if (store_done_match(&en, about) == STORE_MATCH)
        return false;
    c->kept++;
    return true;
}

static enum err_code write_sample(struct ctx *c, const struct item *it,
                                  struct err *e)
{
    struct draft d;
    struct store_key k;
    draft_start(&d, c, it, &k);
    enum err_code rc = store_check_key((enum store_layout)c->layout, &k, e);
    if (k.sample < 0) { /* one picture, no sampler before us */
        k.sample = 0;
        d.row.v[COL_SAMPLE] = "0";
        if (!*d.row.v[COL_N_FRAMES])
            d.row.v[COL_N_FRAMES] = "1";
    }
    d.row.v[COL_STATUS] = "ok";
    if (!rc && keep_other(c, &d)) {
        draft_free(&d);
        return OK;
    }
    if (!rc)
        rc = claim_row(c, &d, &k, e);
    if (!rc)
        rc = write_files(c, &d, &k, it, e);
    if (rc)
        store_unput(c->store);
    else
        rc = store_log(c->store, &d.row, e);
    if (!rc) {
        know_frame(c);
        c->written += d.how[STORE_NEW];
        c->changed += d.how[STORE_CHANGED];
        c->there += d.how[STORE_SAME];
    }
    draft_free(&d);
    return rc;
}

/* One line: reasons come from libraries and may hold anything. */
static char *one_line(const char *s)
{
    char *out = mem_strdup(s);
    for (char *p = out; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return out;
}

/* A failure is only a row. Its name becomes no path, so it may be one that no
 * sample could have; one that has none is named by its id. */
static enum err_code write_failure(struct ctx *c, const struct item *it,
                                   const char *status, const char *reason,
                                   const char *stage, struct err *e)
{
    struct draft d;
    struct store_key k;
    enum err_code rc = OK;
    draft_start(&d, c, it, &k);
    if (keep_other(c, &d)) {
        draft_free(&d);
        return OK;
    }
    const char **v = d.row.v;
    v[COL_NAME] = *v[COL_NAME] ? v[COL_NAME] : "unnamed";
    v[COL_SNIPPET] = *v[COL_SNIPPET] ? v[COL_SNIPPET] : d.item;
    d.reason = one_line(reason);
    v[COL_STATUS] = status;
    v[COL_REASON] = d.reason;
    v[COL_STAGE] = stage;
    v[COL_NOTE] = "";
    rc = d.reason ? store_log(c->store, &d.row, e)
                  : err_set(e, ERR_NOMEM, "no memory for a reason");
    c->noted += rc == OK;
    draft_free(&d);
    return rc;
}

/* What failed in a stage before. */
static enum err_code note_failure(struct ctx *c, const struct item *it,
                                  struct err *e)
{
    enum err_code code = err_from_word(item_str(it, "error_code", ""));
    /* Before there is a frame, bad data means that it cannot be decoded. */
    return write_failure(c, it, store_status(code, !item_tensor(it, "frame")),
                         item_str(it, "error_text", ""),
                         item_str(it, "error_stage", ""), e);
}

/* What failed here. A store that cannot take the pictures may still take the
 * row; where it cannot, the dead letter is what is left. */
static void writer_failed(void *ctx, struct stage *s, const struct item *in,
                          const struct err *why)
{
    struct ctx *c = ctx;
    struct err e = {0};
    enum err_code rc = item_get(in, "error_code")
                           ? note_failure(c, in, &e)
                           : write_failure(c, in,
                                           why->code == ERR_IO
                                               ? "write error"
                                               : store_status(why->code, false),
                                           why->text, stage_instance(s), &e);
    c->own++;
    if (rc && c->unnoted++ == 0)
        log_warn("a failure has no row in the store: %s", e.text);
}

static enum err_code writer_open(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    enum err_code rc = policy_root((enum policy)c->other, stage_sinks(s),
                                   stage_instance(s), c->root, &c->where, e);
    const struct store_settings set = {stage_recipe(s), stage_sinks(s),
                                       stage_run_key(s),
                                       policy_of_store((enum policy)c->other)};
    if (!rc)
        rc = store_open(c->where, (enum store_layout)c->layout, &set, &c->store,
                        e);
    if (!rc)
        rc = sources_open(c->where, false, &c->sources, e);
    if (!rc && (enum policy)c->other == POLICY_KEEP)
        rc = store_sinks_read(&c->writers, stage_sinks(s), NULL, e);
    if (!rc && c->writers.n)
        rc = store_done_load(c->where, NULL, &c->writers, &c->table, e);
    return rc;
}

/* Once, when there is something to do or all is over. */
static void tell(struct ctx *c, struct stage *s)
{
    const struct store_before *b = store_before(c->store);
    if (c->told || stage_replica(s) != 0)
        return;
    c->told = true;
    if (b->others)
        stage_report(s,
                     "%zu of %zu samples in '%s' are there from other settings "
                     "(%s): %s",
                     b->others, b->rows, c->where, b->differ,
                     (enum policy)c->other == POLICY_KEEP ? "kept"
                                                          : "made anew");
}

static enum err_code writer_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    struct ctx *c = ctx;
    enum err_code rc = OK;
    tell(c, s);
    for (size_t i = 0; !rc && i < n; i++)
        rc = item_get(in[i], "error_code") ? note_failure(c, in[i], e)
                                           : write_sample(c, in[i], e);
    return rc;
}

static void report(const struct ctx *c, struct stage *s,
                   const struct store_totals *t)
{
    char more[160] = "";
    size_t n = 0;
    if (c->changed)
        n += (size_t)snprintf(more, sizeof more, ", %zu replaced", c->changed);
    if (t->removed)
        snprintf(more + n, sizeof more - n, ", %zu removed", t->removed);
    stage_report(s, "%zu files written, %zu were there%s, %zu failures noted",
                 c->written, c->there, more, c->noted);
    if (c->own)
        stage_report(s,
                     "%zu samples could not be stored%s; their reasons are in "
                     "the dead letters",
                     c->own, c->unnoted ? "" : " (index.csv has them)");
    if (c->unnoted)
        stage_report(s, "%zu of them have no row: the store took none",
                     c->unnoted);
    if (c->kept) {
        log_warn("%zu samples were not made: '%s' holds their clips or "
                 "pictures from other settings or sources (other=keep)",
                 c->kept, c->where);
        stage_report(s, "%zu samples left as they are, of other settings",
                     c->kept);
    }
    if (stage_replica(s) == 0)
        stage_report(s,
                     "%s: %zu snippets (%zu finished), %zu samples ok, %zu "
                     "failed; see index.csv",
                     c->where, t->snippets, t->finished, t->ok, t->failed);
    if (stage_replica(s) == 0 && t->others)
        stage_report(s, "%zu samples from other settings are still there",
                     t->others);
    if (t->damaged)
        stage_report(s, "%zu damaged rows left out", t->damaged);
}

static enum err_code writer_finish(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    struct store_totals t;
    enum err_code rc = store_finish(c->store, &t, e);
    if (rc)
        return rc;
    tell(c, s);
    report(c, s, &t);
    return t.clashes ? err_set(e, ERR_DATA,
                               "%zu samples were stored by two items or sinks "
                               "each in '%s'; of each the later one is there",
                               t.clashes, c->where)
                     : OK;
}

static void writer_close(void *ctx)
{
    struct ctx *c = ctx;
    store_close(&c->store);
    store_done_free(&c->table);
    store_sinks_free(&c->writers);
    sources_close(&c->sources);
    mem_free(c->where);
}

#define AT(m) offsetof(struct ctx, m)
static const struct stage_param params[] = {
    {"root", PARAM_PATH, AT(root), NULL, 0, 0, NULL, NULL,
     "folder of the store; made where missing"},
    {"layout", PARAM_ENUM, AT(layout), "pairs", 0, 0, "pairs|views|identity",
     NULL,
     "pairs: <name>/<snippet>/frame_<i>, pose_<i>; views: the same with "
     "view_<i>_<vv>.png; identity: <set>/<identity>/<picture> with "
     "metadata.csv"},
    {"format", PARAM_ENUM, AT(format), "jpg", 0, 0, "jpg|png", NULL,
     "of frames"},
    {"pose-format", PARAM_ENUM, AT(pose_format), "png", 0, 0, "jpg|png", NULL,
     "of pose pictures; jpg, with smeared colours, is what the seed wrote"},
    {"quality", PARAM_INT, AT(quality), "95", 1, 100, NULL, NULL,
     "of JPEG; from 90 up colours are kept at full size"},
    {"frame", PARAM_BOOL, AT(frame), "yes", 0, 0, NULL, NULL, "store frames"},
    {"pose", PARAM_BOOL, AT(pose), "yes", 0, 0, NULL, NULL,
     "store pose pictures"},
    {"landmarks", PARAM_BOOL, AT(landmarks), "yes", 0, 0, NULL, NULL,
     "store landmarks"},
    {"generated", PARAM_BOOL, AT(generated), "yes", 0, 0, NULL, NULL,
     "store generated pictures, always as PNG that says so"},
    {"overwrite", PARAM_BOOL, AT(overwrite), "no", 0, 0, NULL, NULL,
     "write files again that are there, also when they are the same"},
    {"other", PARAM_ENUM, AT(other), POLICY_DEFAULT, 0, 0, POLICY_CHOICES, NULL,
     POLICY_HELP},
    {0}};

static const struct stage_port in[] = {
    {"in",
     "name str, snippet str, path str?, identity str?, set str?, sample i64?, "
     "n_frames i64?, frame_index i64?, pts_ns i64?, face i64?, n_faces i64?, "
     "view i64?, n_views i64?, "
     "pose_deg f32[3]?, method str?, model str?, seed i64?, "
     "frame u8[H,W,3]?, pose u8[h,w,3]?, generated u8[a,b,3]?, "
     "landmarks f32[68,3]?, target f32[68,3]?, scores f32[68]?, "
     "decode_note str?, source_hash str?, error_code str?, error_text str?, "
     "error_stage str?",
     "one item a sample, or a view of a sample; items of `failed` ports (with "
     "error_code) are noted as that sample's status"},
    {0}};

static const struct stage_desc desc = {
    .name = "sample-writer",
    .help = "Stores frames, pose pictures, landmarks and generated views, and "
            "what became of every sample. An item is done once its files and "
            "its row are safe on disk; running again writes nothing twice.",
    .kind = STAGE_SINK,
    .in = in,
    .params = params,
    .aside = "root overwrite other",
    .rows = true,
    .ctx_size = sizeof(struct ctx),
    .open = writer_open,
    .transform = writer_transform,
    .failed = writer_failed,
    .finish = writer_finish,
    .close = writer_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
