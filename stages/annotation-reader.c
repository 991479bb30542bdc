/* annotation-reader: folders of annotated face pictures, one item a face; for
 * training, epoch after epoch. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"
#include "lib/store/epochs.h"
#include "lib/store/annotations.h"

#define MAX_FOLDERS 32

struct reader {
    /* parameters */
    const char *root, *more, *split, *resume;
    int64_t epochs, seed;
    double val_share;
    /* state */
    struct annotations folder[MAX_FOLDERS];
    size_t draw[MAX_FOLDERS];
    char *names; /* the folders of `more`, which folder[].root points into */
    size_t n_folders;
    struct {
        const struct annotation *face;
        size_t folder;
    } * record; /* the usable faces of the split, then the unusable ones */
    size_t n_records, n_usable;
    struct epochs *order; /* NULL: each face once */
    size_t next, next_bad;
    bool told;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the annotations");
}

/* "DIR:N,DIR" into the folders behind the first. A comma parts folders; what
 * stands behind the last colon is N if it is a number. */
static enum err_code parse_more(struct reader *c, const char **root,
                                struct err *e)
{
    c->names = mem_strdup(c->more);
    if (!c->names)
        return no_memory(e);
    c->n_folders = 1;
    for (char *p = c->names; *p;) {
        char *end = p + strcspn(p, ","), *next = *end ? end + 1 : end;
        *end = '\0';
        char *colon = strrchr(p, ':');
        int64_t n = 0;
        bool given = colon && text_to_i64(colon + 1, &n);
        if (given)
            *colon = '\0';
        if (!*p || (given && (n < 0 || n > INT32_MAX)))
            return err_set(e, ERR_ARG,
                           "more: '%.80s' is not FOLDER or FOLDER:N, N the "
                           "faces of an epoch",
                           c->more);
        if (c->n_folders == MAX_FOLDERS)
            return err_set(e, ERR_ARG, "more: %d folders at most",
                           MAX_FOLDERS - 1);
        root[c->n_folders] = p;
        c->draw[c->n_folders++] = given ? (size_t)n : EPOCHS_ALL;
        p = next;
    }
    return OK;
}

/* A face without a split belongs to any, if no index says better. */
static bool wanted(const struct reader *c, const struct annotations *f,
                   const struct annotation *x)
{
    return strcmp(c->split, "all") == 0 || strcmp(c->split, x->split) == 0 ||
           (!*x->split && (!f->indexed || x->bad));
}

static enum err_code list_records(struct reader *c, struct err *e)
{
    size_t all = 0, usable = 0;
    for (size_t i = 0; i < c->n_folders; i++)
        all += c->folder[i].n;
    c->record = mem_array(all + 1, sizeof *c->record);
    if (!c->record)
        return no_memory(e);
    for (int bad = 0; bad < 2; bad++) {
        for (size_t i = 0; i < c->n_folders; i++) {
            const struct annotations *f = &c->folder[i];
            size_t before = c->n_records;
            for (size_t k = 0; k < f->n; k++) {
                const struct annotation *x = &f->face[k];
                if (!!x->bad != bad || !wanted(c, f, x))
                    continue;
                c->record[c->n_records].face = x;
                c->record[c->n_records++].folder = i;
            }
            if (!bad && c->n_records == before)
                return err_set(e, ERR_DATA,
                               "'%s': no face of split '%s' among %zu", f->root,
                               c->split, f->n);
        }
        usable = bad ? usable : c->n_records;
    }
    c->n_usable = usable;
    return OK;
}

/* Only the first folder gives validation faces: the others are what training
 * has beside the pictures that count. */
static enum err_code start_order(struct reader *c, struct err *e)
{
    int64_t at = 0;
    enum err_code r = epochs_read_resume(c->resume, &at, e);
    if (!r)
        r = epochs_new((uint64_t)c->seed, c->epochs, &c->order, e);
    size_t i = 0;
    for (size_t f = 0; f < c->n_folders && !r; f++) {
        r = epochs_pool(c->order, f ? c->draw[f] : EPOCHS_ALL, e);
        for (; i < c->n_usable && c->record[i].folder == f && !r; i++)
            r = epochs_add(c->order, i,
                           f == 0 && epochs_held_back(c->record[i].face->photo,
                                                      c->val_share),
                           e);
    }
    return r ? r : epochs_start(c->order, at, e);
}

/* How many of the positions [from, to) are this replica's. */
static int64_t share_of(struct stage *s, int64_t from, int64_t to)
{
    int64_t n = stage_replicas(s), k = stage_replica(s);
    return (to + n - 1 - k) / n - (from + n - 1 - k) / n;
}

static bool is_mine(struct stage *s, int64_t position)
{
    return position % stage_replicas(s) == stage_replica(s);
}

static enum err_code reader_open(void *ctx, struct stage *s, struct err *e)
{
    struct reader *c = ctx;
    const char *root[MAX_FOLDERS] = {c->root};
    enum err_code r = parse_more(c, root, e);
    for (size_t i = 0; i < c->n_folders && !r; i++)
        r = annotations_read(&c->folder[i], root[i], e);
    if (!r)
        r = list_records(c, e);
    if (r)
        return r;
    size_t bad = c->n_records - c->n_usable;
    if (bad)
        log_warn("%zu of %zu annotations cannot be used", bad, c->n_records);
    if (!c->epochs) {
        stage_expect(s, share_of(s, 0, (int64_t)c->n_usable));
        return OK;
    }
    r = start_order(c, e);
    if (r)
        return r;
    int64_t val = epochs_val_count(c->order);
    int64_t all = val + epochs_size(c->order) * c->epochs;
    int64_t left = epochs_left(c->order) - val;
    stage_expect(s, share_of(s, 0, val) + share_of(s, all - left, all));
    return OK;
}

static void reader_close(void *ctx)
{
    struct reader *c = ctx;
    for (size_t i = 0; i < c->n_folders; i++)
        annotations_free(&c->folder[i]);
    mem_free(c->record);
    mem_free(c->names);
    epochs_free(&c->order);
}

static enum err_code set_tensors(struct item *it, const struct annotation *f,
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
static enum err_code set_name(struct item *it, const struct annotation *f,
                              struct err *e)
{
    const char *base = path_base(f->path), *dot = strrchr(base, '.');
    char *raw = mem_strndup(base, dot && dot != base ? (size_t)(dot - base)
                                                     : strlen(base));
    char *stem = raw ? text_escaped(raw) : NULL;
    mem_free(raw);
    if (!stem)
        return no_memory(e);
    enum err_code r = item_set_str(it, "name", *f->name ? f->name : stem, e);
    if (!r)
        r = item_set_str(it, "snippet", stem, e);
    mem_free(stem);
    return r;
}

static enum err_code set_order(const struct reader *c, struct item *it,
                               const struct epochs_sample *at, struct err *e)
{
    enum err_code r = item_set_i64(it, "sample", at->position, e);
    if (!r)
        r = item_set_str(it, "role", at->epoch < 0 ? "val" : "train", e);
    if (!r)
        r = item_set_i64(it, "epoch", at->epoch, e);
    if (!r)
        r = item_set_i64(it, "val_count", epochs_val_count(c->order), e);
    if (!r)
        r = item_set_i64(it, "epoch_size", epochs_size(c->order), e);
    return r;
}

/* The picture's path; what could be twice (a picture of another folder, of
 * another epoch, with several faces) stands in front. */
static enum err_code set_key(struct item *it, const struct annotation *f,
                             size_t folder, const struct epochs_sample *at,
                             struct err *e)
{
    char *key = at ? mem_printf("%lld.%lld:%s", (long long)at->epoch,
                                (long long)at->slot, f->path)
                : folder || f->twin
                    ? mem_printf("%zu.%d:%s", folder, f->twin, f->path)
                    : mem_strdup(f->path);
    if (!key)
        return no_memory(e);
    item_set_key(it, key);
    mem_free(key);
    return OK;
}

static enum err_code make_face(const struct reader *c, size_t record,
                               const struct epochs_sample *at,
                               struct item **out, struct err *e)
{
    size_t folder = c->record[record].folder;
    const struct annotation *f = c->record[record].face;
    struct item *it = item_new(e);
    char *full = path_join(c->folder[folder].root, f->path);
    char *path = full ? text_escaped(full) : NULL; /* the same, if it is good */
    enum err_code r = it && path ? OK : no_memory(e);
    mem_free(full);
    if (!r)
        r = item_set_str(it, "path", path, e);
    if (!r)
        r = set_name(it, f, e);
    if (!r)
        r = item_set_str(it, "split", f->split, e);
    if (!r && !f->bad)
        r = set_tensors(it, f, e);
    if (!r && at)
        r = set_order(c, it, at, e);
    if (!r)
        r = set_key(it, f, folder, at, e);
    mem_free(path);
    if (r)
        item_free(&it);
    *out = it;
    return r;
}

/* One annotation that cannot be used, by the first replica. */
static enum err_code fail_one(struct reader *c, struct stage *s, struct err *e)
{
    size_t i = c->n_usable + c->next_bad++;
    struct item *it;
    if (stage_replica(s) != 0)
        return OK;
    enum err_code r = make_face(c, i, NULL, &it, e);
    if (r == ERR_NOMEM)
        return r;
    if (r) { /* its name is no text: only the reason can be told */
        log_warn("set aside: %s", c->record[i].face->bad);
        return OK;
    }
    stage_fail(s, it, ERR_DATA, "%s", c->record[i].face->bad);
    item_free(&it);
    return OK;
}

static enum err_code reader_produce(void *ctx, struct stage *s, bool *end,
                                    struct err *e)
{
    struct reader *c = ctx;
    struct epochs_sample at;
    struct item *it;
    size_t unmarked = 0;
    for (size_t i = 0; !c->told && i < c->n_folders; i++)
        unmarked += c->folder[i].unmarked;
    if (unmarked && stage_replica(s) == 0)
        stage_report(s, "left out: %zu pictures without points", unmarked);
    c->told = true;
    if (c->next_bad < c->n_records - c->n_usable)
        return fail_one(c, s, e);
    do {
        enum err_code r = OK;
        if (c->order)
            r = epochs_next(c->order, &at, end, e);
        else if (!(*end = c->next >= c->n_usable))
            at = (struct epochs_sample){c->next, (int64_t)c->next, -1, 0};
        if (r || *end)
            return r;
        c->next++;
    } while (!is_mine(s, at.position));
    enum err_code r = make_face(c, at.record, c->order ? &at : NULL, &it, e);
    return r ? r : stage_emit(s, NULL, it, e);
}

static const struct stage_port out_ports[] = {
    {"out",
     "path str, name str, snippet str, split str, landmarks_true f32[68,2], "
     "box f32[4], sample i64?, role str?, epoch i64?, val_count i64?, "
     "epoch_size i64?",
     "One face: its picture's path, annotated points and their box x0,y0,x1,"
     "y1 in pixels. With epochs also its place in the stream (sample, from 0 "
     "without gaps), val or train, the epoch (-1: validation), and how many "
     "faces the validation and an epoch have."},
    {NULL, NULL, NULL},
};

#define AT(member) offsetof(struct reader, member)
static const struct stage_param params[] = {
    {"root", PARAM_FOLDER, AT(root), NULL, 0, 0, NULL, NULL,
     "A folder with landmarks.csv (path, x0, y0, .. x67, y67; pixels, (0,0) "
     "the centre of the first) and index.csv (path, split; name and photo_id "
     "if any); or with x.pts beside x.jpg (iBUG), split by folders named "
     "trainset and testset, or by an index.csv."},
    {"more", PARAM_STR, AT(more), "", 0, 0, NULL, NULL,
     "More such folders: FOLDER:N,FOLDER:N. With epochs, N faces are drawn "
     "anew for each epoch, in rounds that show all of them equally often; "
     "without N every epoch has all."},
    {"split", PARAM_STR, AT(split), "test", 0, 0, NULL, NULL,
     "Which split to read: train, test, ...; all for every face. Faces of "
     "folders that tell no split are of any."},
    {"epochs", PARAM_INT, AT(epochs), "0", 0, 1e6, NULL, NULL,
     "0: each face once. Else for training: the validation faces once, then "
     "so many epochs, each in an order of its own."},
    {"seed", PARAM_INT, AT(seed), "1", 0, 1e15, NULL, NULL,
     "another seed, other orders"},
    {"val-share", PARAM_FLOAT, AT(val_share), "0.05", 0, 0.9, NULL, NULL,
     "With epochs: share of the photos of root that is held back from "
     "training for validation; a hash of the photo's name decides, so it is "
     "always the same ones and all faces of a photo are on one side."},
    {"resume", PARAM_PATH, AT(resume), "", 0, 0, NULL, NULL,
     "With epochs: go on at the sample whose number a trainer has written to "
     "FOLDER/position, if there is one (validation comes first all the "
     "same)."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "annotation-reader",
    .help = "Lists annotated face pictures. Reads csv or .pts files; the "
            "pictures themselves are read later. What cannot be used is set "
            "aside, one annotation by one.",
    .kind = STAGE_SOURCE,
    .out = out_ports,
    .params = params,
    .aside = "epochs resume",
    .ctx_size = sizeof(struct reader),
    .open = reader_open,
    .produce = reader_produce,
    .close = reader_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
