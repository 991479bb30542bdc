/* The harness for operators fails where an operator is wrong: every fault of
 * a wrong op is found, and the text names case, variant, tensor and element.
 * Each check runs in a process of its own, as it ends in a failed test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/op.h"
#include "lib/nn/rows.h"
#include "lib/nn/threads.h"
#include "tests/support/nn_check.h"

#define GOLDEN "tests/golden/nn-elementwise.safetensors"

/* The op: -1.5 x + 0.25 as in the golden "scale", plus a learnt shift k[1]
 * for cases without golden. */
enum fault {
    NONE,
    VALUE,        /* the result is off by 1 in 1,000 */
    VALUE_LAST,   /* only in channels-last */
    PADDING,      /* writes into padding channels */
    GRADIENT,     /* the gradient is off by 1 in 20 */
    GRADIENT_ONE, /* one element's is */
    NOT_ADDED,    /* overwrites where it should add */
    UNTOUCHED,    /* leaves the gradient's memory as it is */
    PARAM,        /* the parameter's gradient has the wrong sign */
    PARAM_SET,    /* and is set, not added to */
    LEAK,         /* loses one block when the other cannot be had */
    DEAF          /* goes on without memory */
};

static float *element(const struct nn_view *v, int64_t i)
{
    return (float *)v->data + i;
}

static enum fault fault_of(const struct nn_exec *x)
{
    const enum fault *f = nn_attr(x->node);
    return *f;
}

/* Two blocks: one kept, one only while this runs. */
static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    enum fault f = fault_of(x);
    void *other = mem_alloc(64);
    x->state = mem_alloc(64);
    bool fails = !other || !x->state;
    if (!fails || f != LEAK)
        mem_free(other);
    if (fails && f != DEAF)
        return err_set(e, ERR_NOMEM, "no memory");
    return OK;
}

static void release(struct nn_exec *x)
{
    mem_free(x->state);
    x->state = NULL;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    enum fault f = fault_of(x);
    int64_t n = x->out.batch * nn_view_stride(&x->out);
    bool wrong = f == VALUE || (f == VALUE_LAST && x->out.layout == NN_LAST);
    float shift = 0.25F;
    if (x->node->n_param)
        shift += tensor_f32(x->node->param[0]->value)[0];
    for (int64_t i = 0; i < n; i++)
        *element(&x->out, i) =
            (wrong ? -1.502F : -1.5F) * *element(&x->in[0], i) + shift;
    if (f != PADDING)
        nn_zero_padding(&x->out);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    enum fault f = fault_of(x);
    int64_t n = x->out.batch * nn_view_stride(&x->out);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        float d = *element(&x->dout, i);
        sum += (double)d;
        if (!x->din[0].data || f == UNTOUCHED)
            continue;
        float g = -1.5F * d;
        if (f == GRADIENT || (f == GRADIENT_ONE && i == 37))
            g *= 1.05F;
        if (x->din_add[0] && f != NOT_ADDED)
            g += *element(&x->din[0], i);
        *element(&x->din[0], i) = g;
    }
    if (x->dparam) {
        float *to = x->node->param[0]->grad;
        to[0] = (f == PARAM_SET ? 0 : to[0]) + (float)(f == PARAM ? -sum : sum);
    }
    return OK;
}

static const struct nn_op op_wrong = {.name = "wrong",
                                      .flags = NN_OP_ANY | NN_OP_ADDS,
                                      .prepare = prepare,
                                      .forward = forward,
                                      .backward = backward,
                                      .release = release};

static int build(struct nn_graph *g, struct nn_params *ps, const int *in,
                 const void *arg)
{
    (void)ps;
    return nn_add_node(g, &op_wrong, in, 1, NULL, 0, arg, sizeof(enum fault),
                       nn_graph_shape(g, in[0]));
}

static int build_param(struct nn_graph *g, struct nn_params *ps, const int *in,
                       const void *arg)
{
    struct nn_param *p = NULL;
    struct err e = {0};
    const int64_t one = 1;
    if (nn_params_get(ps, "shift", 1, &one, false,
                      (struct nn_init_spec){.kind = NN_INIT_ZERO}, &p, &e))
        fail_msg("%s", e.text);
    return nn_add_node(g, &op_wrong, in, 1, &p, 1, arg, sizeof(enum fault),
                       nn_graph_shape(g, in[0]));
}

/* ---- one check in a child ---- */

static struct {
    enum fault fault;
    bool golden, param;
} todo;

static void check(void **state)
{
    (void)state;
    struct nn_check_case c = {.name = "scale.c20",
                              .n_in = 1,
                              .in = {{20, 2, 5}},
                              .batch = 2,
                              .build = todo.param ? build_param : build,
                              .arg = &todo.fault,
                              .no_inference = true};
    if (todo.golden)
        nn_check(GOLDEN, &c);
    else
        nn_check_differences(&c, 5);
}

/* What the child prints; its exit status is the number of failed tests. */
static int run(enum fault fault, bool golden, bool param, char *text, size_t n)
{
    int fd[2], status = -1;
    todo.fault = fault;
    todo.golden = golden;
    todo.param = param;
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct CMUnitTest one[] = {cmocka_unit_test(check)};
        if (dup2(fd[1], 1) < 0 || dup2(fd[1], 2) < 0)
            _exit(99);
        close(fd[0]);
        close(fd[1]);
        exit(cmocka_run_group_tests(one, NULL, NULL));
    }
    close(fd[1]);
    size_t have = 0;
    for (;;) {
        char spare[256];
        bool room = have + 1 < n;
        ssize_t k = read(fd[0], room ? text + have : spare,
                         room ? n - 1 - have : sizeof spare);
        if (k <= 0)
            break;
        have += room ? (size_t)k : 0;
    }
    text[have] = 0;
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void finds(enum fault fault, bool golden, bool param, const char *words)
{
    char text[4096];
    int failed = run(fault, golden, param, text, sizeof text);
    if (failed != 1)
        fail_msg("fault %d: %d failed tests:\n%s", (int)fault, failed, text);
    if (!strstr(text, "case 'scale.c20'") || !strstr(text, words))
        fail_msg("fault %d: no '%s' in:\n%s", (int)fault, words, text);
}

static void passes(bool golden, bool param)
{
    char text[4096];
    int failed = run(NONE, golden, param, text, sizeof text);
    if (failed)
        fail_msg("a right op fails:\n%s", text);
}

static void test_right(void **state)
{
    (void)state;
    passes(true, false);
    passes(false, false);
    passes(false, true);
}

static void test_against_golden(void **state)
{
    (void)state;
    finds(VALUE, true, false, "out[");
    finds(VALUE_LAST, true, false, "last");
    finds(PADDING, true, false, "padding channels");
    finds(GRADIENT, true, false, "din0[");
    finds(GRADIENT_ONE, true, false, "din0[37]");
    finds(NOT_ADDED, true, false, "adding");
    finds(UNTOUCHED, true, false, "din0[");
}

/* Forward and backward agree with themselves in all variants, so that only
 * differences can tell. */
static void test_differences(void **state)
{
    (void)state;
    finds(GRADIENT, false, false, "din0: along direction");
    finds(PARAM, false, true, "dp.shift: along direction");
    finds(PARAM_SET, false, true, "dp.shift[0]");
}

static void test_memory(void **state)
{
    (void)state;
    finds(LEAK, true, false, "1 blocks are left");
    finds(DEAF, true, false, "fails: code 0");
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right), cmocka_unit_test(test_against_golden),
        cmocka_unit_test(test_differences), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
