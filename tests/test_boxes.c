/* Boxes: overlap by hand, order of ties, suppression. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/geom/boxes.h"

/* Cases are small whole numbers: one rounding of the quotient. */
static void same(double have, double want)
{
    assert_true(fabs(have - want) < 1e-15);
}

static void test_area(void **state)
{
    (void)state;
    const float box[4] = {1, 2, 4, 7}, back[4] = {4, 2, 1, 7},
                dot[4] = {3, 3, 3, 3};
    same(boxes_area(box, BOXES_SPAN), 15);
    same(boxes_area(box, BOXES_PIXELS), 24);
    same(boxes_area(back, BOXES_SPAN), 0);
    same(boxes_area(back, BOXES_PIXELS), 0);
    same(boxes_area(dot, BOXES_SPAN), 0);
    same(boxes_area(dot, BOXES_PIXELS), 1);
}

static void test_iou(void **state)
{
    (void)state;
    static const struct {
        float a[4], b[4];
        double span, pixels;
    } cases[] = {
        {{0, 0, 9, 9}, {0, 0, 9, 9}, 1, 1},
        {{0, 0, 9, 9}, {0, 0, 9, 4}, 36.0 / 81, 0.5},
        {{0, 0, 4, 4}, {2, 2, 6, 6}, 4.0 / 28, 9.0 / 41},
        /* Edge to edge: no area in common, but a column of pixels. */
        {{0, 0, 4, 4}, {4, 0, 8, 4}, 0, 5.0 / 45},
        {{0, 0, 4, 4}, {5, 0, 9, 4}, 0, 0},
        {{0, 0, 4, 4}, {20, 20, 24, 24}, 0, 0},
        /* Apart in both axes: two negative spans are no area. */
        {{0, 0, 1, 1}, {8, 8, 9, 9}, 0, 0},
        {{3, 3, 3, 3}, {3, 3, 3, 3}, 0, 1},
        {{-5, -5, 5, 5}, {-5, -5, 0, 0}, 0.25, 36.0 / 121},
        {{NAN, 0, 4, 4}, {0, 0, 4, 4}, 0, 0},
        {{0, 0, 4, 4}, {0, 0, 4, NAN}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        same(boxes_iou(cases[i].a, cases[i].b, BOXES_SPAN), cases[i].span);
        same(boxes_iou(cases[i].b, cases[i].a, BOXES_SPAN), cases[i].span);
        same(boxes_iou(cases[i].a, cases[i].b, BOXES_PIXELS), cases[i].pixels);
    }
}

/* box[0] keeps where a box came from. */
static void test_sort(void **state)
{
    (void)state;
    struct err e = {0};
    struct scored_box b[6] = {{{0}, 0.5f},  {{1}, 0.9f}, {{2}, NAN},
                              {{3}, -1.0f}, {{4}, 0.9f}, {{5}, 0.5f}};
    static const float order[6] = {1, 4, 0, 5, 3, 2};
    assert_int_equal(boxes_sort(b, 0, &e), OK);
    assert_int_equal(boxes_sort(b, 1, &e), OK);
    assert_int_equal(boxes_sort(b, 6, &e), OK);
    for (int i = 0; i < 6; i++)
        assert_true(b[i].box[0] == order[i]);
}

/* Every length of a run's end, with few different scores. */
static void test_sort_stable(void **state)
{
    (void)state;
    struct err e = {0};
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t n = 0; n < 70; n++) {
        struct scored_box b[70];
        for (size_t i = 0; i < n; i++)
            b[i] =
                (struct scored_box){{(float)i}, (float)(rng_unit(&rng) * 4.0)};
        for (size_t i = 0; i < n; i++)
            b[i].score = floorf(b[i].score);
        assert_int_equal(boxes_sort(b, n, &e), OK);
        bool seen[70] = {false};
        for (size_t i = 0; i < n; i++) {
            assert_false(seen[(int)b[i].box[0]]);
            seen[(int)b[i].box[0]] = true;
            if (!i)
                continue;
            assert_true(b[i - 1].score >= b[i].score);
            assert_true(b[i - 1].score > b[i].score ||
                        b[i - 1].box[0] < b[i].box[0]);
        }
    }
}

static void test_sort_no_memory(void **state)
{
    (void)state;
    struct err e = {0};
    struct scored_box b[2] = {{{1}, 0.1f}, {{2}, 0.2f}};
    int64_t live = mem_live();
    mem_fail_nth(1);
    assert_int_equal(boxes_sort(b, 2, &e), ERR_NOMEM);
    mem_fail_nth(0);
    assert_true(b[0].box[0] == 1 && b[1].box[0] == 2);
    assert_int_equal(mem_live(), live);
}

static void test_nms(void **state)
{
    (void)state;
    /* The second overlaps the first by 1/2 and the third by 2/3, in pixels; the
     * third overlaps the first by 4/11. */
    const struct scored_box in[4] = {{{0, 0, 9, 9}, 0.9f},
                                     {{0, 0, 9, 4}, 0.8f},
                                     {{0, -1, 9, 3}, 0.7f},
                                     {{50, 50, 59, 59}, 0.6f}};
    static const struct {
        double limit;
        int left, index[4];
    } cases[] = {
        {0.7, 4, {0, 1, 2, 3}},
        /* As much as the limit stays. */
        {0.5, 3, {0, 1, 3}},
        /* What went takes nothing along. */
        {0.45, 3, {0, 2, 3}},
        {0.3, 2, {0, 3}},
    };
    struct scored_box b[4];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        memcpy(b, in, sizeof in);
        assert_int_equal(boxes_nms(b, 4, cases[c].limit, BOXES_PIXELS),
                         cases[c].left);
        for (int i = 0; i < cases[c].left; i++)
            assert_memory_equal(&b[i], &in[cases[c].index[i]], sizeof *b);
    }
    /* 36/81: the other convention keeps it. */
    memcpy(b, in, sizeof in);
    assert_int_equal(boxes_nms(b, 2, 0.45, BOXES_SPAN), 2);
    assert_int_equal(boxes_nms(b, 0, 0.3, BOXES_SPAN), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_area),
        cmocka_unit_test(test_iou),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_sort_stable),
        cmocka_unit_test(test_sort_no_memory),
        cmocka_unit_test(test_nms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
