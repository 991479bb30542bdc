/* Test sink: what comes, as a tape. */
#include "lib/data/tape.h"
#include "lib/flow/stage.h"

struct ctx {
    const char *file;
    struct tape *tape;
};

static enum err_code open_sink(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    (void)s;
    c->tape = tape_open_write(c->file, e);
    return c->tape ? OK : e->code;
}

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    struct ctx *c = ctx;
    (void)s;
    (void)n;
    return tape_put(c->tape, in[0], e);
}

static enum err_code finish(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    (void)s;
    return tape_close(&c->tape, e);
}

static void close_sink(void *ctx)
{
    struct ctx *c = ctx;
    if (c->tape)
        tape_abort(&c->tape);
}

static const struct stage_port in_ports[] = {{"in", "", "anything"}, {0}};
static const struct stage_param params[] = {{"file", PARAM_PATH,
                                             offsetof(struct ctx, file), NULL,
                                             0, 0, NULL, NULL, "the tape"},
                                            {0}};
static const struct stage_desc desc = {
    .name = "t-tape",
    .help = "Writes a tape.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .ctx_size = sizeof(struct ctx),
    .open = open_sink,
    .transform = transform,
    .finish = finish,
    .close = close_sink,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
