/* Test transform: passes items on, and misbehaves as told. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/flow/stage.h"

struct ctx {
    int64_t children, sleep_ms, fail_every, fail_attempts, crash_at, exit_at;
    int64_t close_ms, huge_at;
    bool fail_late, fail_open, crash_close, report;
    const char *note;
};

static enum err_code open_stage(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    if (c->report)
        stage_report(s, "opening");
    if (c->fail_open)
        return err_set(e, ERR_NOTFOUND, "cannot open 'weights.bin'");
    return OK;
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

static enum err_code emit_children(struct ctx *c, struct stage *s,
                                   const struct item *in, struct err *e)
{
    for (int64_t k = 0; k < c->children; k++) {
        struct item *it = item_child(in, e);
        if (!it)
            return ERR_NOMEM;
        if (item_set_i64(it, "k", k, e) ||
            (item_i64(in, "i", -1) == c->huge_at && make_huge(it, e))) {
            item_free(&it);
            return e->code;
        }
        enum err_code rc = stage_emit(s, NULL, it, e);
        if (rc)
            return rc;
    }
    return OK;
}

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    struct ctx *c = ctx;
    for (size_t i = 0; i < n; i++) {
        int64_t v = item_i64(in[i], "i", -1);
        if (*c->note && file_write_atomic(c->note, "", 0, e))
            return e->code;
        if (c->sleep_ms)
            usleep((useconds_t)c->sleep_ms * 1000);
        if (v == c->crash_at)
            raise(SIGABRT);
        if (v == c->exit_at)
            _exit(7);
        bool fails = c->fail_every && v % c->fail_every == 0 &&
                     (c->fail_attempts == 0 ||
                      in[i]->attempt < (uint32_t)c->fail_attempts);
        if (!fails || c->fail_late) {
            enum err_code rc = emit_children(c, s, in[i], e);
            if (rc == ERR_CANCEL)
                return rc;
            if (rc) /* this one, not the batch */
                stage_fail(s, in[i], rc, "%s", e->text);
        }
        if (fails)
            stage_fail(s, in[i], ERR_DATA, "%lld is no good", (long long)v);
    }
    return OK;
}

static void close_stage(void *ctx)
{
    struct ctx *c = ctx;
    if (c->crash_close)
        raise(SIGABRT);
    usleep((useconds_t)c->close_ms * 1000);
}

static const struct stage_port in_ports[] = {{"in", "i i64", "numbered items"},
                                             {0}};
static const struct stage_port out_ports[] = {
    {"out", "k i64", "the same, numbered again"}, {0}};
static const struct stage_param params[] = {
    {"children", PARAM_INT, offsetof(struct ctx, children), "1", 0, 1e9, NULL,
     NULL, "items out for each one in"},
    {"sleep-ms", PARAM_INT, offsetof(struct ctx, sleep_ms), "0", 0, 1e6, NULL,
     "ms", "time each item takes"},
    {"note", PARAM_PATH, offsetof(struct ctx, note), "", 0, 0, NULL, NULL,
     "a file that is made before that time"},
    {"fail-every", PARAM_INT, offsetof(struct ctx, fail_every), "0", 0, 1e9,
     NULL, NULL, "fail those that this divides"},
    {"fail-attempts", PARAM_INT, offsetof(struct ctx, fail_attempts), "0", 0,
     100, NULL, NULL, "fail only so many attempts (0: all)"},
    {"fail-late", PARAM_BOOL, offsetof(struct ctx, fail_late), "false", 0, 0,
     NULL, NULL, "fail after the children are out"},
    {"fail-open", PARAM_BOOL, offsetof(struct ctx, fail_open), "false", 0, 0,
     NULL, NULL, "fail to open"},
    {"crash-at", PARAM_INT, offsetof(struct ctx, crash_at), "-1", -1, 1e9, NULL,
     NULL, "crash at this item"},
    {"exit-at", PARAM_INT, offsetof(struct ctx, exit_at), "-1", -1, 1e9, NULL,
     NULL, "leave at this item"},
    {"huge-at", PARAM_INT, offsetof(struct ctx, huge_at), "-1", -1, 1e9, NULL,
     NULL, "make what comes of this item too large"},
    {"report", PARAM_BOOL, offsetof(struct ctx, report), "false", 0, 0, NULL,
     NULL, "report when it opens"},
    {"close-ms", PARAM_INT, offsetof(struct ctx, close_ms), "0", 0, 1e6, NULL,
     "ms", "time that closing takes"},
    {"crash-close", PARAM_BOOL, offsetof(struct ctx, crash_close), "false", 0,
     0, NULL, NULL, "crash when it closes"},
    {0}};
static const struct stage_desc desc = {
    .name = "t-work",
    .help = "Passes items on.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct ctx),
    .batch = 4,
    .open = open_stage,
    .transform = transform,
    .close = close_stage,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
