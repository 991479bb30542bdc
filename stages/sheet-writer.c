/* sheet-writer: items to contact sheets, one PNG a picture (docs/store.md). */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/item.h"
#include "lib/flow/stage.h"
#include "lib/store/row.h"
#include "lib/store/sheet.h"
#include "stages/keyed.h"

enum picture { PICTURE_GENERATED, PICTURE_FRAME, PICTURE_POSE };
enum cells { CELLS_VIEWS, CELLS_SAMPLES };
enum labels { LABELS_NONE, LABELS_POSE, LABELS_NAME };

struct ctx {
    struct keyed files;
    int picture, cells, labels;
    int64_t columns, cell;
    bool source, overwrite;
    struct file_list snippets; /* of the sheets that were made anew */
};
KEYED_FIRST(struct ctx, files);

static const char *const picture_fields[] = {"generated", "frame", "pose"};

static struct sheet_options options(const struct ctx *c)
{
    return (struct sheet_options){
        .root = keys_root(c->files.keys),
        .keys = c->files.keys,
        .columns = c->columns,
        .cell = c->cell,
        .labels = c->labels != LABELS_NONE,
        .overwrite = c->overwrite,
        .synthetic = c->picture == PICTURE_GENERATED,
    };
}

static void label_of(const struct ctx *c, const struct item *it,
                     const struct sheet_cell *cell, char *out, size_t n)
{
    const struct tensor *t = item_tensor(it, "pose_deg");
    out[0] = 0;
    if (c->labels == LABELS_POSE && t && t->count == 3) {
        const float *p = tensor_f32(t);
        char deg[3][16];
        for (int a = 0; a < 3; a++) /* a sign, but "0" */
            snprintf(deg[a], sizeof deg[a], "%.4g", (double)p[a] + 0.0);
        snprintf(out, n, "rx %s%s ry %s%s", p[0] > 0 ? "+" : "", deg[0],
                 p[1] > 0 ? "+" : "", deg[1]);
        size_t k = strlen(out);
        if (p[2] != 0.0f)
            snprintf(out + k, n - k, " rz %s%s", p[2] > 0 ? "+" : "", deg[2]);
    } else if (c->labels != LABELS_NONE) {
        snprintf(out, n, "%lld", (long long)cell->index);
    }
    if (c->labels == LABELS_NAME)
        snprintf(out, n, "%s %lld", cell->snippet, (long long)cell->index);
}

/* Remember a snippet whose sheets of other settings are to go at the end. */
static enum err_code note_snippet(struct ctx *c, const struct sheet_cell *cell,
                                  struct err *e)
{
    struct file_list *l = &c->snippets;
    char *rel = mem_printf("%s/%s", cell->name, cell->snippet);
    if (rel && l->n && strcmp(l->names[l->n - 1], rel) == 0) {
        mem_free(rel);
        return OK;
    }
    char **grown = rel ? mem_resize(l->names, l->n + 1, sizeof *grown) : NULL;
    if (!grown) {
        mem_free(rel);
        return err_set(e, ERR_NOMEM, "no memory for a sheet's name");
    }
    l->names = grown;
    grown[l->n++] = rel;
    return OK;
}

static enum err_code add_item(struct ctx *c, const struct item *it,
                              struct err *e)
{
    bool failed = item_get(it, "error_code") != NULL;
    bool views = c->cells == CELLS_VIEWS;
    struct sheet_cell cell = {
        .name = item_str(it, "name", ""),
        .snippet = item_str(it, "snippet", ""),
        .group = views ? item_i64(it, "sample", 0) : 0,
        .index = views
                     ? item_i64(it, "view", -1)
                     : item_i64(it, "sample", item_i64(it, "frame_index", -1)),
        .count = item_i64(it, views ? "n_views" : "n_frames", 0),
        .face = item_i64(it, "n_faces", 0) > 0 ? item_i64(it, "face", 0) : 0,
    };
    char label[256];
    if (failed) {
        /* The picture failed before it had cells: no sheet will come. */
        if (cell.index < 0 || cell.count < 1)
            return OK;
        enum err_code code = err_from_word(item_str(it, "error_code", ""));
        snprintf(label, sizeof label, "%s", store_status(code, false));
    } else {
        cell.picture = item_tensor(it, picture_fields[c->picture]);
        if (!cell.picture)
            return err_set(e, ERR_DATA, "the item has no '%s' for the sheet",
                           picture_fields[c->picture]);
        label_of(c, it, &cell, label, sizeof label);
    }
    cell.label = label;
    if (c->source && (views || c->picture != PICTURE_FRAME))
        cell.source = item_tensor(it, "frame");
    if (cell.source && cell.source->ndim != 3)
        cell.source = NULL;
    char origin[33];
    keys_source(c->files.sources, it, origin);
    cell.origin = origin;
    struct sheet_options o = options(c);
    enum sheet_how how;
    enum err_code rc = sheet_add(&o, &cell, &how, e);
    bool last = cell.index == cell.count - 1; /* one cell speaks for a sheet */
    c->files.written += !rc && (how == SHEET_MADE || how == SHEET_ANEW);
    c->files.anew += !rc && how == SHEET_ANEW;
    c->files.there += !rc && how == SHEET_THERE && last;
    c->files.kept += !rc && how == SHEET_KEPT && last;
    if (!rc && (how == SHEET_MADE || how == SHEET_ANEW))
        rc = note_snippet(c, &cell, e);
    return rc;
}

static enum err_code sheet_open(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    return keyed_open(&c->files, SHEET_KEYS, s, e);
}

static void sheet_close(void *ctx)
{
    struct ctx *c = ctx;
    keyed_close(&c->files);
    file_list_free(&c->snippets);
}

static enum err_code sheet_transform(void *ctx, struct stage *s,
                                     struct item *const *in, size_t n,
                                     struct err *e)
{
    enum err_code rc = OK;
    (void)s;
    for (size_t i = 0; !rc && i < n; i++)
        rc = add_item(ctx, in[i], e);
    return rc;
}

static enum err_code sheet_done(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    struct sheet_options o = options(c);
    size_t incomplete;
    enum err_code rc = sheet_finish(&o, &incomplete, e);
    if (c->files.failed)
        stage_report(s,
                     "%lld cells failed: their reasons are in the dead "
                     "letters",
                     (long long)c->files.failed);
    if (rc)
        return rc;
    size_t swept = 0, others = 0;
    for (size_t i = 0; i < c->snippets.n && !rc; i++) {
        size_t n;
        rc = keys_sweep(c->files.keys, c->snippets.names[i], &n, e);
        swept += n;
    }
    if (!rc)
        rc = keyed_others(&c->files, s, &others, e);
    if (rc)
        return rc;
    char more[160];
    size_t n = strlen(keyed_anew(&c->files, more, sizeof more));
    if (c->files.there)
        n += (size_t)snprintf(more + n, sizeof more - n, ", %lld were there",
                              (long long)c->files.there);
    if (swept)
        snprintf(more + n, sizeof more - n, ", %zu removed", swept);
    stage_report(s, "%lld sheet%s made in %s%s", (long long)c->files.written,
                 c->files.written == 1 ? "" : "s", keys_root(c->files.keys),
                 more);
    keyed_tell(&c->files, s, "sheets", others);
    if (incomplete && stage_replicas(s) <= 1)
        stage_report(s, "%zu sheets have empty cells: some views are missing",
                     incomplete);
    return OK;
}

#define AT(m) offsetof(struct ctx, m)
static const struct stage_param params[] = {
    {"root", PARAM_PATH, AT(files.root), NULL, 0, 0, NULL, NULL,
     "folder of the sheets: <root>/<name>/<snippet>/sheet_<i>.png; may be a "
     "store's"},
    {"picture", PARAM_ENUM, AT(picture), "generated", 0, 0,
     "generated|frame|pose", NULL, "which field the cells show"},
    {"cells", PARAM_ENUM, AT(cells), "views", 0, 0, "views|samples", NULL,
     "views: a sheet a sample, a cell a view; samples: a sheet a clip, a cell "
     "a sample"},
    {"columns", PARAM_INT, AT(columns), "0", 0, 256, NULL, NULL,
     "cells in a row; 0: the nearest to a square"},
    {"cell", PARAM_INT, AT(cell), "160", 8, 2048, NULL, "px", "side of a cell"},
    {"labels", PARAM_ENUM, AT(labels), "pose", 0, 0, "none|pose|name", NULL,
     "text under the cells"},
    {"source", PARAM_BOOL, AT(source), "yes", 0, 0, NULL, NULL,
     "show the source frame above the cells"},
    {"overwrite", PARAM_BOOL, AT(overwrite), "no", 0, 0, NULL, NULL,
     "make sheets again that are there"},
    KEYED_OTHER(struct ctx, files),
    {0}};

static const struct stage_port in[] = {
    {"in",
     "name str, snippet str, sample i64?, frame_index i64?, n_frames i64?, "
     "view i64?, n_views "
     "i64?, generated u8[a,b,3]?, frame u8[H,W,3]?, pose u8[h,w,3]?, "
     "pose_deg f32[3]?, path str?, source_hash str?, face i64?, n_faces "
     "i64?, error_code str?",
     "one item a cell; views that failed (with error_code) leave theirs "
     "empty, so that the sheet can be whole"},
    {0}};

static const struct stage_desc desc = {
    .name = "sheet-writer",
    .help = "Lays items out on contact sheets, one PNG a picture. Cells are "
            "kept on disk until their sheet is whole; a sheet that lacks some "
            "at the end is made with empty cells.",
    .kind = STAGE_SINK,
    .in = in,
    .params = params,
    .aside = "root overwrite other",
    .ctx_size = sizeof(struct ctx),
    .open = sheet_open,
    .transform = sheet_transform,
    .failed = keyed_failed,
    .finish = sheet_done,
    .close = sheet_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
