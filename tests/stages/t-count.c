/* Test source: items numbered from 0, with a payload if asked for. */
#include <string.h>
#include <unistd.h>

#include "lib/flow/stage.h"

struct ctx {
    int64_t n, bytes, sleep_ms;
    bool expect;
    int64_t i;
};

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
    c->i++;
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port out[] = {
    {"out", "i i64, payload u8[N]", "numbered items"}, {0}};
static const struct stage_param params[] = {
    {"n", PARAM_INT, offsetof(struct ctx, n), "10", 0, 1e9, NULL, NULL,
     "how many"},
    {"bytes", PARAM_INT, offsetof(struct ctx, bytes), "0", 0, 1e9, NULL,
     "bytes", "size of the payload"},
    {"sleep-ms", PARAM_INT, offsetof(struct ctx, sleep_ms), "0", 0, 1e6, NULL,
     "ms", "time each item takes"},
    {"expect", PARAM_BOOL, offsetof(struct ctx, expect), "true", 0, 0, NULL,
     NULL, "announce the number of items"},
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
