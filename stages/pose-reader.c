/* pose-reader: pictures whose head pose is known, from an index.csv. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"

#define MAX_CSV ((size_t)256 << 20)

enum { TO_LEFT, TO_RIGHT };

struct picture {
    char *path, *name;
    double yaw;      /* ours: + to the picture's right */
    const char *bad; /* why it cannot be used; a fixed text */
};

struct pose_reader {
    const char *root, *split;
    int positive;
    struct picture *picture;
    size_t n, cap, next;
};

/* Columns of index.csv; -1: not there. */
struct columns {
    int path, yaw, split, name;
};

static enum err_code read_head(const struct table *t, struct columns *k,
                               struct err *e)
{
    *k =
        (struct columns){table_column(t, "path"), table_column(t, "yaw_deg"),
                         table_column(t, "split"), table_column(t, "identity")};
    return k->path < 0 || k->yaw < 0
               ? err_set(e, ERR_DATA,
                         "'%s' line %zu: no columns 'path' and 'yaw_deg' in "
                         "the head line",
                         t->path, t->line)
               : OK;
}

static enum err_code grow(struct pose_reader *c, struct err *e)
{
    if (c->n < c->cap)
        return OK;
    size_t cap = c->cap ? 2 * c->cap : 256;
    void *p = mem_resize(c->picture, cap, sizeof *c->picture);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for the pictures");
    c->picture = p;
    c->cap = cap;
    return OK;
}

static enum err_code add(struct pose_reader *c, const struct columns *k,
                         const struct table *t, struct err *e)
{
    struct picture x = {.bad = NULL};
    char *const *field = t->field;
    size_t n = t->n;
    bool few = (int)n <= k->path || (int)n <= k->yaw || (int)n <= k->split ||
               (int)n <= k->name;
    if (few)
        return err_set(e, ERR_DATA, "'%s' line %zu: %zu columns are too few",
                       t->path, t->line, n);
    if (k->split >= 0 && strcmp(c->split, "all") != 0 &&
        strcmp(field[k->split], c->split) != 0)
        return OK;
    if (!text_to_f64(field[k->yaw], &x.yaw) || !(fabs(x.yaw) <= 180))
        x.bad = strchr(field[k->yaw], ',')
                    ? "its yaw_deg is no angle (a decimal comma? write 1.5)"
                    : "its yaw_deg is no angle";
    else if (c->positive == TO_LEFT)
        x.yaw = x.yaw == 0 ? 0 : -x.yaw;
    enum err_code r = grow(c, e);
    if (r)
        return r;
    char *full = path_join(c->root, field[k->path]);
    const char *name = k->name < 0 ? "" : field[k->name];
    if (full && (!text_is_utf8(full, strlen(full)) ||
                 !text_is_utf8(name, strlen(name))))
        x.bad = "its path or name is not UTF-8";
    x.path = full ? text_escaped(full) : NULL;
    x.name = text_escaped(name);
    mem_free(full);
    c->picture[c->n++] = x;
    return x.path && x.name ? OK
                            : err_set(e, ERR_NOMEM, "no memory for a picture");
}

static enum err_code read_index(struct pose_reader *c, const char *csv,
                                struct err *e)
{
    struct table t;
    struct columns k = {-1, -1, -1, -1};
    bool headed = false;
    enum err_code r = table_open(&t, csv, MAX_CSV, e);
    if (r)
        return r;
    while (!r && !(r = table_next(&t, e)) && t.n) {
        r = headed ? add(c, &k, &t, e) : read_head(&t, &k, e);
        headed = true;
    }
    table_close(&t);
    return r;
}

static enum err_code reader_open(void *ctx, struct stage *s, struct err *e)
{
    struct pose_reader *c = ctx;
    char *csv = path_join(c->root, "index.csv");
    enum err_code r = csv ? read_index(c, csv, e)
                          : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!r && !c->n)
        r = err_set(e, ERR_DATA, "'%s': no picture of split '%s'", csv,
                    c->split);
    mem_free(csv);
    size_t n = (size_t)stage_replicas(s);
    c->next = (size_t)stage_replica(s);
    if (!r)
        stage_expect(s, (int64_t)((c->n + n - 1 - c->next) / n));
    return r;
}

static void reader_close(void *ctx)
{
    struct pose_reader *c = ctx;
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->picture[i].path);
        mem_free(c->picture[i].name);
    }
    mem_free(c->picture);
}

static enum err_code fill(const struct picture *p, struct item *it,
                          struct err *e)
{
    const char *base = path_base(p->path);
    enum err_code r = item_set_str(it, "path", p->path, e);
    if (!r)
        r = item_set_str(it, "name", *p->name ? p->name : base, e);
    if (!r)
        r = item_set_str(it, "snippet", base, e);
    if (!r && !p->bad)
        r = item_set_f64(it, "yaw_true", p->yaw, e);
    item_set_key(it, p->path);
    return r;
}

static enum err_code reader_produce(void *ctx, struct stage *s, bool *end,
                                    struct err *e)
{
    struct pose_reader *c = ctx;
    if (c->next >= c->n) {
        *end = true;
        return OK;
    }
    const struct picture *p = &c->picture[c->next];
    c->next += (size_t)stage_replicas(s);
    struct item *it = item_new(e);
    enum err_code r = it ? fill(p, it, e) : ERR_NOMEM;
    if (!r && !p->bad)
        return stage_emit(s, NULL, it, e);
    if (!r)
        stage_fail(s, it, ERR_DATA, "'%s': %s", p->path, p->bad);
    item_free(&it);
    return r;
}

static const struct stage_port out_ports[] = {
    {"out", "path str, name str, snippet str, yaw_true f64",
     "A picture and its known yaw in degrees, + where the nose points to the "
     "picture's right."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"root", PARAM_FOLDER, offsetof(struct pose_reader, root), NULL, 0, 0, NULL,
     NULL, "A folder with index.csv: path, yaw_deg; split, identity if any."},
    {"split", PARAM_STR, offsetof(struct pose_reader, split), "all", 0, 0, NULL,
     NULL, "Only pictures of this split; all for every one."},
    {"positive", PARAM_ENUM, offsetof(struct pose_reader, positive), "left", 0,
     0, "left|right", NULL,
     "To which side of the picture the nose points where yaw_deg is positive: "
     "left, as the data set Pointing'04 counts; right, as everywhere here."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "pose-reader",
    .help = "Lists pictures of heads whose yaw is known. The pictures are read "
            "later.",
    .kind = STAGE_SOURCE,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct pose_reader),
    .open = reader_open,
    .produce = reader_produce,
    .close = reader_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
