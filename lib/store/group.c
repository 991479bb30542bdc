/* The rows of one snippet: which of them count. */
#include "lib/store/group.h"

#include <string.h>

#include "lib/base/mem.h"

void store_group_clear(struct store_group *g)
{
    for (size_t i = 0; i < g->n; i++)
        mem_free(g->lines[i]);
    for (size_t i = 0; i < g->n_dropped; i++)
        mem_free(g->dropped[i]);
    g->n = g->n_dropped = g->clashes = 0;
}

void store_group_free(struct store_group *g)
{
    store_group_clear(g);
    mem_free(g->rows);
    mem_free(g->lines);
    mem_free(g->age);
    mem_free(g->dropped);
    *g = (struct store_group){0};
}

/* A copy of row in one block, so that it outlives the base's line. */
static char *row_copy(const struct store_row *row, struct store_row *copy)
{
    size_t n = 0;
    for (int c = 0; c < STORE_COLS; c++)
        n += strlen(row->v[c]) + 1;
    char *p = mem_alloc(n);
    size_t at = 0;
    for (int c = 0; p && c < STORE_COLS; c++) {
        size_t k = strlen(row->v[c]) + 1;
        memcpy(p + at, row->v[c], k);
        copy->v[c] = p + at;
        at += k;
    }
    return p;
}

static enum err_code note_dropped(struct store_group *g, const char *path,
                                  struct err *e)
{
    if (g->n_dropped == g->cap_dropped) {
        size_t cap = g->cap_dropped ? 2 * g->cap_dropped : 16;
        char **grown = mem_resize(g->dropped, cap, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for a snippet's files");
        g->dropped = grown;
        g->cap_dropped = cap;
    }
    g->dropped[g->n_dropped] = mem_strdup(path);
    if (!g->dropped[g->n_dropped])
        return err_set(e, ERR_NOMEM, "no memory for a snippet's files");
    g->n_dropped++;
    return OK;
}

static enum err_code drop_files(struct store_group *g,
                                const struct store_row *r, struct err *e)
{
    enum err_code rc = OK;
    for (int f = 0; f < STORE_FILES && !rc; f++)
        if (*r->v[store_file_cols[f]])
            rc = note_dropped(g, r->v[store_file_cols[f]], e);
    return rc;
}

enum err_code store_group_drop(struct store_group *g, size_t i, struct err *e)
{
    enum err_code rc = drop_files(g, &g->rows[i], e);
    if (rc)
        return rc;
    mem_free(g->lines[i]);
    g->n--;
    memmove(g->rows + i, g->rows + i + 1, (g->n - i) * sizeof *g->rows);
    memmove(g->lines + i, g->lines + i + 1, (g->n - i) * sizeof *g->lines);
    memmove(g->age + i, g->age + i + 1, (g->n - i) * sizeof *g->age);
    return OK;
}

static enum err_code grow(struct store_group *g, struct err *e)
{
    size_t cap = g->cap ? 2 * g->cap : 64;
    struct store_row *rows = mem_resize(g->rows, cap, sizeof *rows);
    if (rows)
        g->rows = rows;
    char **lines = rows ? mem_resize(g->lines, cap, sizeof *lines) : NULL;
    if (lines)
        g->lines = lines;
    size_t *age = lines ? mem_resize(g->age, cap, sizeof *age) : NULL;
    if (!age)
        return err_set(e, ERR_NOMEM, "no memory for a snippet's rows");
    g->age = age;
    g->cap = cap;
    return OK;
}

/* Do both come from one source and from the settings of one run? */
static bool related(const struct store_group *g, const struct store_row *a,
                    const struct store_row *b)
{
    return strcmp(a->v[COL_SOURCE_HASH], b->v[COL_SOURCE_HASH]) == 0 &&
           store_kin_are(g->kin, a->v[COL_RECIPE], b->v[COL_RECIPE]);
}

/* Two items of one run that claim one sample. */
static bool clash(const struct store_row *a, const struct store_row *b)
{
    return store_row_ok(a) && store_row_ok(b) && *a->v[COL_ITEM] &&
           *b->v[COL_ITEM] && strcmp(a->v[COL_ITEM], b->v[COL_ITEM]) != 0;
}

enum err_code store_group_add(struct store_group *g,
                              const struct store_row *row, size_t age,
                              struct err *e)
{
    struct store_row copy;
    const struct store_row *last = g->n ? &g->rows[g->n - 1] : NULL;
    enum err_code rc = OK;
    if (last && store_row_compare(last, row) == 0) {
        bool same = store_row_same_key(last, row);
        bool kin = !same && related(g, last, row);
        g->clashes += same && age && g->age[g->n - 1] && clash(last, row);
        g->clashes += kin && store_row_ok(last) && store_row_ok(row);
        if ((same || kin) && store_row_ok(last) && !store_row_ok(row))
            return OK;
        for (int f = 0; f < STORE_FILES && !rc; f++) {
            enum store_col c = store_file_cols[f];
            if (*last->v[c] && strcmp(last->v[c], row->v[c]) != 0)
                rc = note_dropped(g, last->v[c], e);
        }
        if (!rc)
            mem_free(g->lines[--g->n]);
    }
    if (!rc && g->n == g->cap)
        rc = grow(g, e);
    if (rc)
        return rc;
    char *line = row_copy(row, &copy);
    if (!line)
        return err_set(e, ERR_NOMEM, "no memory for a row");
    g->rows[g->n] = copy;
    g->age[g->n] = age;
    g->lines[g->n++] = line;
    return OK;
}

/* Which rows are looked at: all (no key), those of one run, or those of one of
 * its sinks and all the run's failures. */
struct which {
    const struct store_row *key;
    const char *recipe; /* NULL: all of key's run */
};

static const struct which all = {NULL, NULL};

static bool looked_at(const struct store_group *g, const struct store_row *r,
                      const struct which *w)
{
    if (!w->key)
        return true;
    return related(g, r, w->key) && (!w->recipe || !store_row_ok(r) ||
                                     strcmp(r->v[COL_RECIPE], w->recipe) == 0);
}

/* The part of a sample from rows[i] that is one face (or has none): does it
 * have its own row, or all its views? Where it has some views it needs them
 * all, but for a failure, which is its whole outcome. *next: the row behind. */
static bool face_complete(const struct store_group *g, size_t i, size_t *next,
                          const struct which *w, bool *by_views)
{
    int64_t sample = store_row_i64(&g->rows[i], COL_SAMPLE, -1);
    int64_t face = store_row_i64(&g->rows[i], COL_FACE, -1);
    int64_t n_views = 0, views = 0;
    bool own = false, failed = false;
    for (; i < g->n; i++) {
        const struct store_row *r = &g->rows[i];
        if (store_row_i64(r, COL_SAMPLE, -1) != sample ||
            store_row_i64(r, COL_FACE, -1) != face)
            break;
        if (!looked_at(g, r, w))
            continue;
        int64_t n = store_row_i64(r, COL_N_VIEWS, 0);
        n_views = n > n_views ? n : n_views;
        if (store_row_i64(r, COL_VIEW, -1) >= 0) {
            views++;
            continue;
        }
        own = true;
        failed = !store_row_ok(r);
    }
    *next = i;
    *by_views = views > 0 && views >= n_views;
    return *by_views || (own && (failed || !views));
}

/* Does sample rows[i..] have its own row, or all its views, or all its faces?
 * *next: the first row of the next sample. *by_parts: its views or faces make
 * it whole. */
static bool sample_complete(const struct store_group *g, size_t i, size_t *next,
                            const struct which *w, bool *by_parts)
{
    int64_t sample = store_row_i64(&g->rows[i], COL_SAMPLE, -1);
    int64_t faces = 0, whole = 0;
    bool own = false;
    *by_parts = false;
    while (i < g->n && store_row_i64(&g->rows[i], COL_SAMPLE, -1) == sample) {
        bool views;
        size_t at = i;
        bool done = face_complete(g, i, &i, w, &views);
        if (store_row_i64(&g->rows[at], COL_FACE, -1) < 0) {
            own = own || done;
            *by_parts = *by_parts || views;
            continue;
        }
        whole += done;
        for (size_t k = at; k < i; k++) {
            int64_t n = store_row_i64(&g->rows[k], COL_FACES, 0);
            if (looked_at(g, &g->rows[k], w))
                faces = n > faces ? n : faces;
        }
    }
    *next = i;
    *by_parts = *by_parts || (faces > 0 && whole >= faces);
    return own || *by_parts;
}

/* Samples that are complete, of how many there should be. */
static int64_t count_complete(const struct store_group *g, size_t from,
                              const struct which *w, int64_t *n_frames)
{
    int64_t complete = 0;
    bool parts;
    *n_frames = 0;
    for (size_t i = from; i < g->n; i++) {
        int64_t n = store_row_i64(&g->rows[i], COL_N_FRAMES, 0);
        if (looked_at(g, &g->rows[i], w))
            *n_frames = n > *n_frames ? n : *n_frames;
    }
    for (size_t i = from, next; i < g->n; i = next)
        complete += sample_complete(g, i, &next, w, &parts);
    return complete;
}

static bool is_whole(const struct store_group *g)
{
    return g->n && store_row_i64(&g->rows[0], COL_SAMPLE, -1) < 0;
}

/* A snippet that now failed as a whole has no samples of other settings. */
static enum err_code settle_whole(struct store_group *g, struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = g->n; i > 1 && !rc; i--)
        if (g->age[0] > g->age[i - 1] &&
            !related(g, &g->rows[0], &g->rows[i - 1]))
            rc = store_group_drop(g, i - 1, e);
    return rc;
}

/* Has rows[i] lost a file to rows[k], which was written later? */
static bool overwritten(const struct store_group *g, size_t i, size_t k)
{
    const struct store_row *a = &g->rows[i], *b = &g->rows[k];
    if (g->age[k] <= g->age[i])
        return false;
    for (int f = 0; f < STORE_FILES; f++)
        if (*a->v[store_file_cols[f]] &&
            strcmp(a->v[store_file_cols[f]], b->v[store_file_cols[f]]) == 0 &&
            strcmp(a->v[store_sum_cols[f]], b->v[store_sum_cols[f]]) != 0)
            return true;
    return false;
}

/* Views and faces of a sample share its frame: when one of them brings another
 * frame, the rows that were made of the old one are void. */
static enum err_code settle_shared(struct store_group *g, struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = g->n; i > 0 && !rc; i--) {
        bool lost = false;
        int64_t sample = store_row_i64(&g->rows[i - 1], COL_SAMPLE, -1);
        for (int side = 0; side < 2 && !lost; side++)
            for (size_t k = i - 1; !lost;) {
                if (side ? k + 1 >= g->n : k == 0)
                    break;
                k = side ? k + 1 : k - 1;
                if (store_row_i64(&g->rows[k], COL_SAMPLE, -1) != sample)
                    break;
                lost = overwritten(g, i - 1, k);
                /* two sinks of a run with one file: each would take it */
                g->clashes += lost &&
                              related(g, &g->rows[i - 1], &g->rows[k]) &&
                              !store_row_same_key(&g->rows[i - 1], &g->rows[k]);
            }
        if (lost)
            rc = store_group_drop(g, i - 1, e);
    }
    return rc;
}

/* Once the settings that were written last have all their samples, rows of
 * other ones go: frames that there are no more, faces, views. */
static enum err_code settle_others(struct store_group *g, struct err *e)
{
    size_t newest = 0;
    for (size_t i = 1; i < g->n; i++)
        if (g->age[i] > g->age[newest])
            newest = i;
    if (!g->n || !g->age[newest])
        return OK; /* settled when it was merged */
    struct store_row key;
    char *kept = row_copy(&g->rows[newest], &key);
    if (!kept)
        return err_set(e, ERR_NOMEM, "no memory for a row");
    int64_t n_frames;
    const struct which run = {&key, NULL};
    int64_t complete = count_complete(g, is_whole(g), &run, &n_frames);
    enum err_code rc = OK;
    if (n_frames > 0 && complete >= n_frames)
        for (size_t i = g->n; i > 0 && !rc; i--)
            if (!related(g, &g->rows[i - 1], &key))
                rc = store_group_drop(g, i - 1, e);
    mem_free(kept);
    return rc;
}

/* Failures of a whole sample or snippet are void once all its parts exist. */
static enum err_code settle_failures(struct store_group *g, struct err *e)
{
    enum err_code rc = OK;
    size_t i = is_whole(g), next;
    int64_t n_frames;
    int64_t complete = count_complete(g, i, &all, &n_frames);
    bool whole = i > 0;
    while (i < g->n && !rc) {
        bool parts;
        (void)sample_complete(g, i, &next, &all, &parts);
        /* absent numbers come first: one row, before all faces and views */
        if (parts && !store_row_ok(&g->rows[i]) &&
            store_row_i64(&g->rows[i], COL_VIEW, -1) < 0 &&
            store_row_i64(&g->rows[i], COL_FACE, -1) < 0) {
            rc = store_group_drop(g, i, e);
            next--;
        }
        i = next;
    }
    if (!rc && whole && n_frames > 0 && complete >= n_frames)
        rc = store_group_drop(g, 0, e);
    return rc;
}

void store_group_keep_named(struct store_group *g)
{
    for (size_t d = g->n_dropped; d > 0; d--) {
        bool named = false;
        for (size_t i = 0; i < g->n && !named; i++)
            for (int f = 0; f < STORE_FILES && !named; f++)
                named = strcmp(g->rows[i].v[store_file_cols[f]],
                               g->dropped[d - 1]) == 0;
        if (!named)
            continue;
        mem_free(g->dropped[d - 1]);
        g->dropped[d - 1] = g->dropped[--g->n_dropped];
    }
}

enum err_code store_group_settle(struct store_group *g, struct err *e)
{
    enum err_code rc = is_whole(g) ? settle_whole(g, e) : OK;
    if (!rc)
        rc = settle_shared(g, e);
    if (!rc)
        rc = settle_others(g, e);
    if (!rc)
        rc = settle_failures(g, e);
    store_group_keep_named(g);
    return rc;
}

void store_group_measure(const struct store_group *g, struct store_outcome *out)
{
    *out = (struct store_outcome){0};
    bool whole = is_whole(g);
    for (size_t i = 0; i < g->n; i++) {
        const struct store_row *r = &g->rows[i];
        out->ok += store_row_ok(r);
        out->failed += !store_row_ok(r);
        out->views |= store_row_i64(r, COL_VIEW, -1) >= 0;
        out->mixed |= !related(g, r, &g->rows[0]);
    }
    int64_t n_frames = 0;
    int64_t complete = count_complete(g, whole, &all, &n_frames);
    int64_t said = whole ? store_row_i64(&g->rows[0], COL_N_FRAMES, 0) : 0;
    out->n_frames = said > n_frames ? said : n_frames;
    out->finished = whole || (out->n_frames > 0 && complete >= out->n_frames);
}

/* Does each sample come from one sink? */
static bool shared_out(const struct store_group *g)
{
    const struct store_row *first = NULL; /* good one of the sample */
    for (size_t i = 0; i < g->n; i++) {
        const struct store_row *r = &g->rows[i];
        if (!store_row_ok(r))
            continue;
        if (!first || store_row_i64(first, COL_SAMPLE, -1) !=
                          store_row_i64(r, COL_SAMPLE, -1))
            first = r;
        if (strcmp(first->v[COL_RECIPE], r->v[COL_RECIPE]) != 0)
            return false;
    }
    return true;
}

bool store_group_all_gave(const struct store_group *g,
                          const char (*recipes)[33], const bool *gives,
                          size_t n)
{
    int64_t n_frames, whole = 0;
    bool apart = shared_out(g);
    if (is_whole(g))
        return true;
    (void)count_complete(g, 0, &all, &n_frames);
    for (size_t i = 0; i < n; i++) {
        const struct which its = {&g->rows[0], recipes[i]};
        bool some = false;
        if (!gives[i])
            continue;
        for (size_t k = 0; k < g->n && !some; k++)
            some = looked_at(g, &g->rows[k], &its);
        if (!some || (!apart && count_complete(g, 0, &its, &whole) < n_frames))
            return false;
    }
    return true;
}
