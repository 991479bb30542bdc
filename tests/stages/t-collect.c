/* Test sink: appends one line for each item to a file, then reports. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/flow/stage.h"

struct ctx {
    const char *file;
    int64_t sleep_us;
    FILE *f;
    int64_t n, bad;
};

static enum err_code open_sink(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    (void)s;
    c->f = fopen(c->file, "ae");
    return c->f ? OK : err_set(e, ERR_IO, "cannot open '%s'", c->file);
}

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    struct ctx *c = ctx;
    (void)e;
    if (c->sleep_us)
        usleep((useconds_t)c->sleep_us);
    for (size_t k = 0; k < n; k++) {
        char id[33];
        int64_t i = item_i64(in[k], "i", -1);
        const struct tensor *t = item_tensor(in[k], "payload");
        for (size_t b = 0; t && b < t->bytes; b += 997)
            c->bad += tensor_u8(t)[b] != (uint8_t)(i & 255);
        item_id_hex(&in[k]->id, id);
        fprintf(c->f, "%lld %lld %s %s %d %s\n", (long long)i,
                (long long)item_i64(in[k], "k", -1), id,
                item_str(in[k], "way", "-"), stage_replica(s),
                item_str(in[k], "error_code", "-"));
        c->n++;
    }
    return OK;
}

static enum err_code finish(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    if (fflush(c->f))
        return err_set(e, ERR_IO, "cannot write '%s'", c->file);
    stage_report(s, "collected %lld, %lld bad bytes", (long long)c->n,
                 (long long)c->bad);
    return OK;
}

static void close_sink(void *ctx)
{
    struct ctx *c = ctx;
    if (c->f)
        fclose(c->f);
}

static const struct stage_port in_ports[] = {
    {"in", "i i64, payload u8[N]?", "numbered items"}, {0}};
static const struct stage_param params[] = {
    {"file", PARAM_PATH, offsetof(struct ctx, file), NULL, 0, 0, NULL, NULL,
     "where the lines go"},
    {"sleep-us", PARAM_INT, offsetof(struct ctx, sleep_us), "0", 0, 1e9, NULL,
     "us", "time each call takes"},
    {0}};
static const struct stage_desc desc = {
    .name = "t-collect",
    .help = "Notes what comes.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .ctx_size = sizeof(struct ctx),
    .batch = 8,
    .open = open_sink,
    .transform = transform,
    .finish = finish,
    .close = close_sink,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
