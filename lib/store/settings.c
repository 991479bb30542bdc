/* What a store's results come from. */
#include "lib/store/settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/recipe.h"
#include "lib/store/kin.h"
#include "lib/store/scan.h"
#include "lib/store/writers.h"

#define RECIPE_MAX ((size_t)2 << 20)

static char *recipe_path(const char *root, const char *hash)
{
    return mem_printf("%s/" STORE_RECIPES "/%s.txt", root, hash);
}

/* The text of a recipe that the store has seen, new memory; "" unknown. */
static char *recipe_text(const char *root, const char *hash)
{
    struct buf b = {0};
    struct err why;
    char *path = *hash ? recipe_path(root, hash) : NULL;
    char *out = NULL;
    if (path && file_exists(path) &&
        file_read(path, RECIPE_MAX, &b, &why) == OK &&
        buf_puts(&b, "", &why) == OK)
        out = mem_strdup(buf_str(&b));
    buf_free(&b);
    mem_free(path);
    return out ? out : mem_strdup("");
}

static enum err_code keep_text(const struct store_settled *s, const char *root,
                               struct err *e)
{
    if (!*s->recipe)
        return OK;
    char *path = recipe_path(root, s->recipe);
    enum err_code rc =
        path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc && !file_exists(path)) {
        rc = file_remove_temporaries(path, e); /* of a killed writer */
        if (!rc)
            rc = file_write_atomic(path, s->text, strlen(s->text), e);
    }
    mem_free(path);
    return rc;
}

bool store_settled_ours(const struct store_settled *s, const char *recipe)
{
    if (strcmp(s->recipe, recipe) == 0)
        return true;
    for (size_t i = 0; i < s->n_kin; i++)
        if (strcmp(s->kin[i], recipe) == 0)
            return true;
    return false;
}

static enum err_code read_kin(struct store_settled *s, const char *sinks,
                              struct err *e)
{
    struct recipe_sink k;
    while (recipe_sink_next(&sinks, &k)) {
        char(*grown)[33] = mem_resize(s->kin, s->n_kin + 1, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for the settings");
        s->kin = grown;
        /* those that write rows come first */
        size_t at = s->n_kin++;
        if (*k.rows) {
            memcpy(grown[at], grown[s->n_rows], sizeof *grown);
            at = s->n_rows++;
        }
        snprintf(grown[at], sizeof *grown, "%s", k.recipe);
    }
    return OK;
}

static void count(struct store_settled *s, const char *recipe, size_t rows,
                  size_t *most, char most_recipe[33])
{
    s->before.rows += rows;
    if (store_settled_ours(s, recipe))
        return;
    s->before.others += rows;
    if (rows > *most) {
        *most = rows;
        snprintf(most_recipe, 33, "%s", recipe);
    }
}

/* From the summary of the last merge; false if there is none. Untrusted. */
static bool count_summary(struct store_settled *s, const char *root,
                          size_t *most, char most_recipe[33])
{
    struct buf b = {0};
    struct err why;
    char *path = path_join(root, STORE_SUMMARY);
    bool there = path && file_exists(path) &&
                 file_read(path, (size_t)1 << 24, &b, &why) == OK &&
                 buf_puts(&b, "", &why) == OK;
    for (const char *p = there ? buf_str(&b) : ""; *p;) {
        char recipe[34], number[24];
        int64_t rows;
        size_t n = strcspn(p, "\n"), k = strcspn(p, " \n");
        snprintf(recipe, sizeof recipe, "%.*s", (int)k, p);
        snprintf(number, sizeof number, "%.*s", k < n ? (int)(n - k - 1) : 0,
                 p + k + (k < n));
        if (text_to_i64(number, &rows) && rows > 0)
            count(s, strcmp(recipe, "-") == 0 ? "" : recipe, (size_t)rows, most,
                  most_recipe);
        p += n + (p[n] == '\n');
    }
    buf_free(&b);
    mem_free(path);
    return there;
}

/* Row by row: a store of an earlier version, or without its dot folder. */
static enum err_code count_rows(struct store_settled *s, const char *root,
                                size_t *most, char most_recipe[33],
                                struct err *e)
{
    struct store_scan *scan = NULL;
    size_t unknown = 0;
    enum err_code rc = store_scan_open_locked(root, &scan, e);
    while (!rc) {
        const struct store_group *g;
        rc = store_scan_next(scan, &g, e);
        if (rc || !g)
            break;
        for (size_t i = 0; i < g->n; i++)
            if (*g->rows[i].v[COL_RECIPE])
                count(s, g->rows[i].v[COL_RECIPE], 1, most, most_recipe);
            else
                unknown++;
    }
    store_scan_close(&scan);
    if (!rc && unknown)
        count(s, "", unknown, most, most_recipe);
    return rc;
}

enum err_code store_settled_count(struct store_settled *s, const char *root,
                                  struct err *e)
{
    size_t most = 0;
    char recipe[33] = "";
    enum err_code rc = OK;
    if (!count_summary(s, root, &most, recipe))
        rc = count_rows(s, root, &most, recipe, e);
    if (rc || !s->before.others)
        return rc;
    char *text = recipe_text(root, recipe);
    if (text)
        recipe_differ(text, s->text ? s->text : "", s->before.differ,
                      sizeof s->before.differ);
    if (!*s->before.differ)
        snprintf(s->before.differ, sizeof s->before.differ, "unknown");
    mem_free(text);
    return OK;
}

static bool differs(void *arg, const struct store_peer *p)
{
    const struct store_settled *s = arg;
    return strcmp(p->run, s->run) != 0 && !store_settled_ours(s, p->recipe);
}

/* Two runs of other settings would write the same files in turn. */
static enum err_code check_peers(struct store_settled *s, const char *root,
                                 struct err *e)
{
    struct store_peer p;
    bool found;
    enum err_code rc = store_peers(root, differs, s, &p, &found, e);
    if (rc || !found)
        return rc;
    char differ[300];
    char *text = recipe_text(root, p.recipe);
    recipe_differ(text ? text : "", s->text, differ, sizeof differ);
    mem_free(text);
    return err_set(e, ERR_STATE,
                   "another run with other settings (%s) is writing to '%s' "
                   "(process %s): wait for it, choose another folder, or keep "
                   "the results apart with other=apart",
                   *differ ? differ : "unknown", root, p.pid);
}

enum err_code store_settled_open(struct store_settled *s, const char *root,
                                 const struct store_settings *set,
                                 struct err *e)
{
    *s = (struct store_settled){0};
    s->text = mem_strdup(set ? set->recipe : "");
    if (!s->text)
        return err_set(e, ERR_NOMEM, "no memory for the settings");
    recipe_hash(s->text, s->recipe);
    snprintf(s->run, sizeof s->run, "%s", set ? set->run_key : "");
    enum err_code rc = set ? read_kin(s, set->sinks, e) : OK;
    if (!rc)
        rc = check_peers(s, root, e);
    if (!rc)
        rc = store_settled_count(s, root, e);
    if (!rc && set && set->other == STORE_REFUSE && s->before.others)
        rc = err_set(e, ERR_ARG,
                     "'%s' holds %zu samples from other settings (%s), which "
                     "other=refuse does not touch: choose another folder, or "
                     "other=remake, keep or apart",
                     root, s->before.others, s->before.differ);
    if (!rc)
        rc = keep_text(s, root, e);
    return rc ? rc
              : store_kin_note(root, s->recipe, (const char(*)[33])s->kin,
                               s->n_rows, e);
}

enum err_code store_settled_sign(const struct store_settled *s, const char *dir,
                                 struct err *e)
{
    char *path = path_join(dir, STORE_RUN);
    char *text = mem_printf("%s\n%s\n%ld\n", s->recipe, s->run, (long)getpid());
    enum err_code rc = path && text
                           ? file_write_atomic(path, text, strlen(text), e)
                           : err_set(e, ERR_NOMEM, "no memory for a path");
    mem_free(path);
    mem_free(text);
    return rc;
}

void store_settled_free(struct store_settled *s)
{
    mem_free(s->kin);
    mem_free(s->text);
}

static struct store_claim_slot *slot_of(const struct store_claims *c,
                                        uint64_t what)
{
    size_t i = (size_t)what & (c->cap - 1);
    while (c->slots[i].what && c->slots[i].what != what)
        i = (i + 1) & (c->cap - 1);
    return &c->slots[i];
}

static enum err_code grow(struct store_claims *c, struct err *e)
{
    struct store_claims bigger = {.n = c->n, .cap = c->cap ? 2 * c->cap : 1024};
    bigger.slots = mem_calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return err_set(e, ERR_NOMEM, "no memory for %zu stored samples",
                       bigger.cap);
    for (size_t i = 0; i < c->cap; i++)
        if (c->slots[i].what)
            *slot_of(&bigger, c->slots[i].what) = c->slots[i];
    mem_free(c->slots);
    *c = bigger;
    return OK;
}

enum err_code store_claims_add(struct store_claims *c, const char *what,
                               const char *owner, bool *again, struct err *e)
{
    uint64_t w = store_hash(11, what, strlen(what)) | 1;
    uint64_t o = store_hash(12, owner, strlen(owner));
    if (4 * (c->n + 1) > 3 * c->cap) {
        enum err_code rc = grow(c, e);
        if (rc)
            return rc;
    }
    struct store_claim_slot *s = slot_of(c, w);
    *again = s->what != 0;
    if (*again && s->owner != o)
        return err_set(e, ERR_DATA,
                       "%s was stored in this run already, of another item: "
                       "each would overwrite the other",
                       what);
    c->n += !*again;
    *s = (struct store_claim_slot){w, o};
    return OK;
}
