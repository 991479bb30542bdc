/* Test source: items numbered from 0, with a payload if asked for. */
#include <string.h>
#include <unistd.h>

#include "lib/flow/stage.h"

struct ctx {
    int64_t n, bytes, sleep_ms, huge_at;
    bool expect, points;
    int64_t i;
};

static enum err_code add_points(struct item *it, int64_t i, struct err *e)
{
    const int64_t shape[2] = {68, 3};
    struct tensor *t = tensor_new(DT_F32, 2, shape, e);
    if (!t)
        return ERR_NOMEM;
    for (size_t k = 0; k < t->count; k++)
        tensor_f32(t)[k] = (float)((k * 7919 + (size_t)i * 104729) % 256);
    return item_set_tensor(it, "landmarks", t, e);
}

/* Larger, in all, than the header of a message may be. */
static enum err_code make_huge(struct item *it, struct err *e)
{
    static char text[1 << 20];
    char name[16] = "huge_a";
    enum err_code rc = OK;
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; !rc && i < 20; i++) {
        name[5] = (char)('a' + i);
        rc = item_set_str(it, name, text, e);
    }
    return rc;
}

static enum err_code produce(void *ctx, struct stage *s, bool *end,
                             struct err *e)
{
    struct ctx *c = ctx;
    if (c->i == 0 && c->expect)
        stage_expect(s, c->n);
    if (c->i >= c->n) {
        *end = true;
        return OK;
    }
    if (c->sleep_ms)
        usleep((useconds_t)c->sleep_ms * 1000);
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    struct tensor *t = tensor_new(DT_U8, 1, &c->bytes, e);
    if (!t || item_set_tensor(it, "payload", t, e) ||
        item_set_i64(it, "i", c->i, e)) {
        item_free(&it);
        return e->code;
    }
    t = item_tensor(it, "payload");
    memset(t->data, (int)(c->i & 255), t->bytes);
    if (c->points && add_points(it, c->i, e)) {
        item_free(&it);
        return e->code;
    }
    if (c->i == c->huge_at && make_huge(it, e)) {
        item_free(&it);
        return e->code;
    }
    c->i++;
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port out[] = {
    {"out", "i i64, payload u8[N], landmarks f32[68,3]?", "numbered items"},
    {0}};
static const struct stage_param params[] = {
    {"n", PARAM_INT, offsetof(struct ctx, n), "10", 0, 1e9, NULL, NULL,
     "how many"},
    {"bytes", PARAM_INT, offsetof(struct ctx, bytes), "0", 0, 1e9, NULL,
     "bytes", "size of the payload"},
    {"sleep-ms", PARAM_INT, offsetof(struct ctx, sleep_ms), "0", 0, 1e6, NULL,
     "ms", "time each item takes"},
    {"huge-at", PARAM_INT, offsetof(struct ctx, huge_at), "-1", -1, 1e9, NULL,
     NULL, "make this item too large"},
    {"expect", PARAM_BOOL, offsetof(struct ctx, expect), "true", 0, 0, NULL,
     NULL, "announce the number of items"},
    {"points", PARAM_BOOL, offsetof(struct ctx, points), "false", 0, 0, NULL,
     NULL, "add landmarks"},
    {0}};
static const struct stage_desc desc = {
    .name = "t-count",
    .help = "Counts.",
    .kind = STAGE_SOURCE,
    .out = out,
    .params = params,
    .ctx_size = sizeof(struct ctx),
    .produce = produce,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
