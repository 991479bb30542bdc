/* Test sink: has enough after some items, or ends the run; says where it
 * stands. */
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/flow/stage.h"

struct ctx {
    int64_t enough, breaks;
    const char *word, *save;
    int64_t n;
};

/* Busy until the run is stopped, then slow. The status goes with the report, so
 * whoever sees that knows that the runner has heard it. */
static enum err_code save(const struct ctx *c, struct stage *s, struct err *e)
{
    enum err_code r = file_write_atomic(c->save, "begun", 5, e);
    stage_report(s, "busy");
    while (!r && !stage_stopping(s))
        usleep(10000);
    sleep(3);
    if (!r)
        r = file_write_atomic(c->save, "saved", 5, e);
    return r ? r : err_set(e, ERR_CANCEL, "stopped");
}

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    struct ctx *c = ctx;
    (void)in;
    (void)n;
    c->n++;
    stage_status(s, "%s %lld", c->word, (long long)c->n);
    if (*c->save)
        return save(c, s, e);
    if (c->n == c->enough)
        stage_enough(s);
    if (c->n == c->breaks) {
        stage_break(s, ERR_DATA, "item %lld was too much", (long long)c->n);
        return err_set(e, ERR_DATA, "not shown");
    }
    return OK;
}

static enum err_code finish(void *ctx, struct stage *s, struct err *e)
{
    const struct ctx *c = ctx;
    struct buf b;
    buf_init(&b, 4096);
    enum err_code r = stage_config(s, &b, e);
    if (!r)
        stage_report(s, "had %s\n%s", c->n >= c->enough ? "enough" : "too few",
                     buf_str(&b));
    buf_free(&b);
    return r;
}

static const struct stage_port in[] = {{"in", "", "anything"}, {0}};
static const struct stage_param params[] = {
    {"enough", PARAM_INT, offsetof(struct ctx, enough), "10", 0, 1e9, NULL,
     NULL, "after so many"},
    {"breaks", PARAM_INT, offsetof(struct ctx, breaks), "0", 0, 1e9, NULL, NULL,
     "end the run at this one; 0: never"},
    {"word", PARAM_STR, offsetof(struct ctx, word), "at item", 0, 0, NULL, NULL,
     "what the status begins with"},
    {"save", PARAM_PATH, offsetof(struct ctx, save), "", 0, 0, NULL, NULL,
     "when stopped, write this file, slowly"},
    {0}};
static const struct stage_desc desc = {.name = "t-sated",
                                       .help = "Has enough.",
                                       .kind = STAGE_SINK,
                                       .in = in,
                                       .params = params,
                                       .ctx_size = sizeof(struct ctx),
                                       .transform = transform,
                                       .finish = finish};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
