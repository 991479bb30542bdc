/* Test transform: hands everything on, but after some items says so in a file
 * and stays until another file is there; or keeps back the samples of a stream
 * from one on, and the stream's end: a run that stands where it has to. */
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/flow/stage.h"

struct ctx {
    int64_t after, samples, n, kept;
    const char *held, *go;
};

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    struct ctx *c = ctx;
    (void)n;
    if (c->samples >= 0 && item_i64(in[0], "sample", -1) >= c->samples) {
        c->kept++;
        return OK;
    }
    if (c->n++ == c->after) {
        enum err_code r = file_write_atomic(c->held, "held", 4, e);
        if (r)
            return r;
        while (access(c->go, F_OK) != 0) {
            if (stage_stopping(s))
                return err_set(e, ERR_CANCEL, "stopped");
            usleep(10000);
        }
    }
    struct item *it = item_child(in[0], e);
    return it ? stage_emit(s, NULL, it, e) : ERR_NOMEM;
}

/* The stream's end would end the run. */
static enum err_code finish(void *ctx, struct stage *s, struct err *e)
{
    const struct ctx *c = ctx;
    if (!c->kept)
        return OK;
    while (!stage_stopping(s))
        usleep(10000);
    return err_set(e, ERR_CANCEL, "stopped");
}

static const struct stage_port in_ports[] = {{"in", "", "anything"}, {0}};
static const struct stage_port out_ports[] = {{"out", "", "the same"}, {0}};
static const struct stage_param params[] = {
    {"after", PARAM_INT, offsetof(struct ctx, after), "-1", -1, 1e9, NULL, NULL,
     "items that pass first"},
    {"held", PARAM_PATH, offsetof(struct ctx, held), "", 0, 0, NULL, NULL,
     "written when one waits"},
    {"samples", PARAM_INT, offsetof(struct ctx, samples), "-1", -1, 1e9, NULL,
     NULL, "the first sample that never comes through"},
    {"go", PARAM_PATH, offsetof(struct ctx, go), "", 0, 0, NULL, NULL,
     "what it waits for"},
    {0}};
static const struct stage_desc desc = {
    .name = "t-gate",
    .help = "Holds items up.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct ctx),
    .transform = transform,
    .finish = finish,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
