/* Which true boxes were found, and average precision, by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/geom/box_match.h"

static void test_each_truth_is_found_once(void **state)
{
    (void)state;
    const float truth[2][4] = {{0, 0, 10, 10}, {20, 0, 30, 10}};
    /* Near the first, the first again but weaker, half beside the second (its
     * overlap is a third), somewhere else. */
    const struct scored_box b[4] = {{{1, 0, 11, 10}, 0.9F},
                                    {{0, 0, 10, 10}, 0.8F},
                                    {{25, 0, 35, 10}, 0.7F},
                                    {{50, 50, 60, 60}, 0.6F}};
    enum box_verdict v[4];
    int found[2];
    box_match(b, 4, truth, 2, NULL, 0, 0.5, v, found);
    assert_int_equal(v[0], BOX_FOUND);
    assert_int_equal(v[1], BOX_FALSE); /* the truth is taken */
    assert_int_equal(v[2], BOX_FALSE);
    assert_int_equal(v[3], BOX_FALSE);
    assert_int_equal(found[0], 0);
    assert_int_equal(found[1], -1);
    box_match(b, 4, truth, 2, NULL, 0, 0.3, v, found);
    assert_int_equal(v[2], BOX_FOUND);
    assert_int_equal(found[1], 2);
}

static void test_ignored_boxes_do_not_count(void **state)
{
    (void)state;
    const float truth[1][4] = {{0, 0, 10, 10}};
    const float ignore[1][4] = {{40, 40, 80, 80}};
    const struct scored_box b[4] = {
        {{41, 41, 79, 79}, 0.9F}, /* the ignored one itself */
        {{50, 50, 55, 55}, 0.8F}, /* a small part of it */
        {{70, 70, 110, 110}, 0.7F} /* a sixteenth of this is in it */,
        {{0, 0, 10, 10}, 0.6F}};
    enum box_verdict v[4];
    int found[1];
    box_match(b, 4, truth, 1, ignore, 1, 0.5, v, found);
    assert_int_equal(v[0], BOX_IGNORED);
    assert_int_equal(v[1], BOX_IGNORED);
    assert_int_equal(v[2], BOX_FALSE);
    assert_int_equal(v[3], BOX_FOUND);
}

static void test_average_precision(void **state)
{
    (void)state;
    /* Found, false, found; three truths: precision 1 up to a third of recall,
     * 2/3 up to two thirds, nothing beyond. The order given is no matter. */
    struct box_vote v[3] = {{0.7F, true}, {0.9F, true}, {0.8F, false}};
    double ap = box_average_precision(v, 3, 3);
    assert_true(fabs(ap - (1.0 + 2.0 / 3) / 3) < 1e-12);
    struct box_vote all[2] = {{0.5F, true}, {0.4F, true}};
    assert_true(box_average_precision(all, 2, 2) == 1);
    assert_true(box_average_precision(NULL, 0, 5) == 0);
    assert_true(isnan(box_average_precision(NULL, 0, 0)));
    /* Of equal scores the false one counts first. */
    struct box_vote even[2] = {{0.5F, true}, {0.5F, false}};
    assert_true(box_average_precision(even, 2, 1) == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_truth_is_found_once),
        cmocka_unit_test(test_ignored_boxes_do_not_count),
        cmocka_unit_test(test_average_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
