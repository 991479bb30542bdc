/* Places of buffers in an arena: no two that live at once overlap, and the
 * whole is no larger than need be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/place.h"

static size_t pages(size_t bytes)
{
    return (bytes + NN_PAGE - 1) / NN_PAGE * NN_PAGE;
}

static void verify(const struct nn_place *b, int n, size_t total)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(b[i].offset % NN_PAGE, 0);
        assert_true(b[i].offset + b[i].bytes <= total);
        for (int k = 0; k < i; k++) {
            bool together = b[i].born <= b[k].last && b[k].born <= b[i].last;
            bool apart = b[i].offset + b[i].bytes <= b[k].offset ||
                         b[k].offset + b[k].bytes <= b[i].offset;
            assert_true(!together || apart || !b[i].bytes || !b[k].bytes);
        }
    }
}

static void test_chain_and_branch(void **state)
{
    (void)state;
    size_t total;
    /* A chain of equal buffers needs two, a branch one more. */
    struct nn_place chain[6];
    for (int i = 0; i < 6; i++)
        chain[i] = (struct nn_place){.bytes = 10000, .born = i, .last = i + 1};
    assert_int_equal(nn_place(chain, 6, &total, NULL), OK);
    verify(chain, 6, total);
    assert_int_equal(total, 2 * pages(10000));
    chain[0].last = 5;
    assert_int_equal(nn_place(chain, 6, &total, NULL), OK);
    verify(chain, 6, total);
    assert_int_equal(total, 3 * pages(10000));
}

/* Two gaps hold the last buffer: the smaller is taken. */
static void test_smallest_gap(void **state)
{
    (void)state;
    size_t total, k = NN_PAGE;
    struct nn_place b[] = {
        {.bytes = 9 * k, .born = 0, .last = 0}, /* leaves a gap of 9 */
        {.bytes = 8 * k, .born = 0, .last = 9},
        {.bytes = 3 * k, .born = 0, .last = 0}, /* leaves a gap of 3 */
        {.bytes = 2 * k, .born = 0, .last = 9},
        {.bytes = 2 * k - 7, .born = 1, .last = 9},
    };
    assert_int_equal(nn_place(b, 5, &total, NULL), OK);
    verify(b, 5, total);
    assert_int_equal(total, 22 * k);
    assert_int_equal(b[4].offset, b[2].offset);
}

static void test_random(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int round = 0; round < 50; round++) {
        struct nn_place b[60];
        size_t total, again, peak = 0;
        int n = (int)(rng_unit(&rng) * 60);
        for (int i = 0; i < n; i++) {
            int born = (int)(rng_unit(&rng) * 40);
            b[i] = (struct nn_place){
                .bytes = (size_t)(rng_unit(&rng) * rng_unit(&rng) * 1e6),
                .born = born,
                .last = born + (int)(rng_unit(&rng) * 8)};
        }
        for (int t = 0; t < 50; t++) {
            size_t alive = 0;
            for (int i = 0; i < n; i++)
                alive +=
                    b[i].born <= t && t <= b[i].last ? pages(b[i].bytes) : 0;
            peak = alive > peak ? alive : peak;
        }
        assert_int_equal(nn_place(b, n, &total, NULL), OK);
        verify(b, n, total);
        assert_true(total >= peak && total <= 2 * peak);
        assert_int_equal(nn_place(b, n, &again, NULL), OK);
        assert_int_equal(again, total);
    }
}

static void test_edges(void **state)
{
    (void)state;
    size_t total = 7;
    struct err e = {0};
    assert_int_equal(nn_place(NULL, 0, &total, &e), OK);
    assert_int_equal(total, 0);
    struct nn_place none[2] = {{.bytes = 0}, {.bytes = 1}};
    assert_int_equal(nn_place(none, 2, &total, &e), OK);
    assert_int_equal(total, NN_PAGE);
    struct nn_place huge[2] = {{.bytes = SIZE_MAX / 2},
                               {.bytes = SIZE_MAX / 2}};
    assert_int_equal(nn_place(huge, 2, &total, &e), ERR_ARG);
    huge[0].bytes = SIZE_MAX;
    assert_int_equal(nn_place(huge, 1, &total, &e), ERR_ARG);
    for (uint64_t n = 1; n <= 2; n++) {
        int64_t live = mem_live();
        mem_fail_nth(n);
        assert_int_equal(nn_place(none, 2, &total, &e), ERR_NOMEM);
        mem_fail_nth(0);
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_and_branch),
        cmocka_unit_test(test_smallest_gap),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
