/* One item through the stage machinery, with each allocation failing in turn:
 * nothing leaks, and it ends as done, as failed, or as an error that says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/flow/stage_run.h"

struct seen {
    int emitted, failed, settled;
};

static enum err_code take_emit(void *arg, struct work *parent, size_t port,
                               struct item *it, struct err *e)
{
    struct seen *seen = arg;
    (void)parent;
    (void)port;
    (void)e;
    seen->emitted++;
    item_free(&it);
    return OK;
}

static enum err_code take_fail(void *arg, struct work *w, struct err *e)
{
    struct seen *seen = arg;
    (void)e;
    assert_true(w->failed);
    seen->failed++;
    return OK;
}

static enum err_code take_settle(void *arg, struct work *w, struct err *e)
{
    struct seen *seen = arg;
    (void)e;
    seen->settled++;
    work_free(&w);
    return OK;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void hold(void *arg, struct work *const *w, size_t n)
{
    (void)arg;
    (void)w;
    (void)n;
}

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    (void)ctx;
    (void)n;
    for (int k = 0; k < 20; k++) {
        struct item *it = item_child(in[0], e);
        if (!it)
            return ERR_NOMEM;
        enum err_code rc = stage_emit(s, NULL, it, e);
        if (rc)
            return rc;
    }
    return OK;
}

static const struct stage_port in_ports[] = {{"in", "i i64", ""}, {0}};
static const struct stage_port out_ports[] = {{"out", "i i64", ""}, {0}};
static const struct stage_desc desc = {.name = "t",
                                       .help = "T.",
                                       .kind = STAGE_TRANSFORM,
                                       .in = in_ports,
                                       .out = out_ports,
                                       .transform = transform};

/* false: an error. */
static bool one_item(uint64_t nth, struct seen *seen, struct err *e)
{
    struct stage s = {0};
    struct item *it = item_new(e);
    assert_non_null(it);
    assert_int_equal(item_set_i64(it, "i", 1, e), OK);
    mem_fail_nth(nth);
    struct work *w = NULL;
    enum err_code rc = stage_init(&s, &desc, "t", e);
    if (rc) {
        item_free(&it);
    } else {
        s.retries = 1; /* ids of children are noted */
        s.io = (struct stage_io){.arg = seen,
                                 .emit = take_emit,
                                 .fail = take_fail,
                                 .settle = take_settle,
                                 .stopping = never,
                                 .hold = hold};
        w = work_new(it, e);
        rc = w ? stage_process(&s, &w, 1, 0, e) : ERR_NOMEM;
        if (rc && seen->settled == 0)
            work_free(&w);
    }
    bool hit = mem_fail_hit();
    mem_fail_nth(0);
    stage_free(&s);
    if (rc)
        assert_int_equal(e->code, ERR_NOMEM);
    return hit;
}

static void test_allocation_failures(void **state)
{
    int tried_again = 0;
    (void)state;
    for (uint64_t n = 1; n < 1000; n++) {
        struct err e = {0};
        struct seen seen = {0};
        int64_t before = mem_live();
        bool hit = one_item(n, &seen, &e);
        assert_int_equal(mem_live(), before);
        if (!e.code) { /* a retry made good what failed: 20 children, once */
            assert_int_equal(seen.emitted, 20);
            assert_int_equal(seen.failed, 0);
            assert_int_equal(seen.settled, 1);
        }
        if (!hit) {
            assert_int_equal(e.code, OK);
            assert_true(n > 20);
            assert_true(tried_again > 10);
            return;
        }
        tried_again += e.code == OK;
    }
    fail_msg("no end of allocations");
}

/* An input held back has the same child whatever emits it: its own call, that
 * of another input, or finish. */
struct keeper {
    struct item *held;
    int wait; /* this many inputs are let pass first */
};

static enum err_code keep_emit(struct keeper *k, struct stage *s, struct err *e)
{
    struct item *it = item_child(k->held, e);
    item_free(&k->held);
    return it ? stage_emit_late(s, NULL, it, e) : ERR_NOMEM;
}

static enum err_code keep(void *ctx, struct stage *s, struct item *const *in,
                          size_t n, struct err *e)
{
    struct keeper *k = ctx;
    (void)n;
    if (!k->held && !(k->held = item_copy(in[0], e)))
        return ERR_NOMEM;
    return k->wait-- == 0 ? keep_emit(k, s, e) : OK;
}

static enum err_code keep_finish(void *ctx, struct stage *s, struct err *e)
{
    struct keeper *k = ctx;
    return k->held ? keep_emit(k, s, e) : OK;
}

static struct item_id late_id, late_parent, late_custody;
static bool late_root;

static enum err_code note_emit(void *arg, struct work *parent, size_t port,
                               struct item *it, struct err *e)
{
    (void)arg;
    (void)port;
    (void)e;
    late_id = it->id;
    late_parent = it->parent;
    late_root = !parent;
    if (parent)
        late_custody = parent->id;
    item_free(&it);
    return OK;
}

static void test_late(void **state)
{
    const struct stage_desc d = {.name = "k",
                                 .help = "K.",
                                 .kind = STAGE_TRANSFORM,
                                 .in = in_ports,
                                 .out = out_ports,
                                 .ctx_size = sizeof(struct keeper),
                                 .transform = keep,
                                 .finish = keep_finish};
    struct item_id want = {{0}}, first = {{0}}, second = {{0}};
    first.b[0] = 1;
    second.b[0] = 2;
    (void)state;
    for (int wait = 0; wait < 3; wait++) {
        struct err e = {0};
        struct stage s;
        struct seen seen = {0};
        assert_int_equal(stage_init(&s, &d, "k", &e), OK);
        s.io = (struct stage_io){.arg = &seen,
                                 .emit = note_emit,
                                 .fail = take_fail,
                                 .settle = take_settle,
                                 .stopping = never,
                                 .hold = hold};
        ((struct keeper *)s.ctx)->wait = wait;
        for (int i = 0; i < 2; i++) {
            struct item *it = item_new(&e);
            assert_non_null(it);
            it->id = i ? second : first;
            assert_int_equal(item_set_i64(it, "i", i, &e), OK);
            struct work *w = work_new(it, &e);
            assert_non_null(w);
            if (i <= wait)
                assert_int_equal(stage_process(&s, &w, 1, 0, &e), OK);
            else
                work_free(&w);
        }
        assert_int_equal(stage_finish(&s, &e), OK);
        assert_int_equal(seen.failed, 0);
        assert_true(item_id_equal(&late_parent, &first));
        assert_int_equal(late_root, wait == 2);
        if (wait < 2)
            assert_true(item_id_equal(&late_custody, wait ? &second : &first));
        if (wait == 0)
            want = late_id;
        assert_true(item_id_equal(&late_id, &want));
        stage_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
