/* lib/media/draw: against the textbook's step-by-step Bresenham, clipping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/media/draw.h"

#define W 37
#define H 29
#define BIG 400 /* the unclipped reference's picture, origin in its middle */

static const uint8_t red[3] = {255, 1, 2};

static struct tensor *picture(int64_t h, int64_t w)
{
    const int64_t shape[3] = {h, w, 3};
    struct err e;
    struct tensor *t = tensor_new(DT_U8, 3, shape, &e);

    assert_non_null(t);
    return t;
}

static uint8_t big[BIG][BIG];

static void mark(int64_t x, int64_t y)
{
    assert_true(x >= -BIG / 2 && x < BIG / 2 && y >= -BIG / 2 && y < BIG / 2);
    big[y + BIG / 2][x + BIG / 2] = 1;
}

/* The error-term form, as scikit-image's _draw.pyx states it. */
static void reference_line(int64_t x, int64_t y, int64_t x1, int64_t y1)
{
    int64_t dx = x1 > x ? x1 - x : x - x1, sx = x1 > x ? 1 : -1;
    int64_t dy = y1 > y ? y1 - y : y - y1, sy = y1 > y ? 1 : -1;
    int steep = dy > dx;
    int64_t n = steep ? dy : dx, m = steep ? dx : dy, d = 2 * m - n;

    for (int64_t i = 0; i < n; i++) {
        mark(x, y);
        while (d >= 0) {
            if (steep)
                x += sx;
            else
                y += sy;
            d -= 2 * n;
        }
        if (steep)
            y += sy;
        else
            x += sx;
        d += 2 * m;
    }
    mark(x1, y1);
}

static void same_as_reference(const struct tensor *t)
{
    for (int64_t y = 0; y < H; y++)
        for (int64_t x = 0; x < W; x++) {
            const uint8_t *p = tensor_u8(t) + (y * W + x) * 3;
            int want = big[y + BIG / 2][x + BIG / 2];

            assert_int_equal(p[0], want ? 255 : 0);
            assert_int_equal(p[2], want ? 2 : 0);
        }
}

static void lines(void **state)
{
    (void)state;
    struct rng g;
    struct err e;

    rng_seed(&g, 1);
    for (int k = 0; k < 3000; k++) {
        struct tensor *t = picture(H, W);
        /* from well inside to well outside on all sides */
        int64_t span = k % 3 == 0 ? 40 : 380, half = span / 2;
        int64_t v[4];

        for (int i = 0; i < 4; i++)
            v[i] = (int64_t)rng_below(&g, (uint64_t)span) - half + 15;
        memset(big, 0, sizeof big);
        for (int i = 0; i < 4; i++)
            v[i] = v[i] >= BIG / 2 ? BIG / 2 - 1 : v[i];
        reference_line(v[0], v[1], v[2], v[3]);
        assert_int_equal(draw_line(t, v[0], v[1], v[2], v[3], red, &e), OK);
        same_as_reference(t);
        tensor_free(&t);
    }
}

/* Ends a quarter of a thousand million pixels away: done at once, and right:
 * the diagonal passes through the picture's diagonal. */
static void far_ends(void **state)
{
    (void)state;
    struct tensor *t = picture(20, 20);
    struct err e;
    const int64_t m = DRAW_MAX_COORD;

    assert_int_equal(draw_line(t, -m, -m, m, m, red, &e), OK);
    for (int64_t y = 0; y < 20; y++)
        for (int64_t x = 0; x < 20; x++)
            assert_int_equal(tensor_u8(t)[(y * 20 + x) * 3], x == y ? 255 : 0);
    assert_int_equal(draw_line(t, 0, m, 0, m, red, &e), OK);
    assert_int_equal(draw_line(t, -m - 1, 0, 0, 0, red, &e), ERR_ARG);
    assert_int_equal(draw_line(t, 0, 0, 0, m + 1, red, &e), ERR_ARG);
    assert_int_equal(draw_disc(t, 0, m + 1, 2, red, &e), ERR_ARG);
    tensor_free(&t);
}

static void discs(void **state)
{
    (void)state;
    struct tensor *t = picture(9, 9);
    struct err e;
    int n = 0;

    assert_int_equal(draw_disc(t, 4, 4, 2.0, red, &e), OK);
    for (int64_t i = 0; i < 81; i++)
        n += tensor_u8(t)[3 * i] == 255;
    assert_int_equal(n, 9);
    assert_int_equal(tensor_u8(t)[(3 * 9 + 3) * 3], 255);
    assert_int_equal(tensor_u8(t)[(2 * 9 + 4) * 3], 0);
    /* clipped at corners and wholly outside */
    assert_int_equal(draw_disc(t, 0, 0, 2.0, red, &e), OK);
    assert_int_equal(draw_disc(t, 9, 9, 2.0, red, &e), OK);
    assert_int_equal(draw_disc(t, -50, 4, 2.0, red, &e), OK);
    n = 0;
    for (int64_t i = 0; i < 81; i++)
        n += tensor_u8(t)[3 * i] == 255;
    assert_int_equal(n, 9 + 4 + 1);
    assert_int_equal(draw_disc(t, 4, 4, 0.0, red, &e), ERR_ARG);
    assert_int_equal(draw_disc(t, 4, 4, 1e9, red, &e), ERR_ARG);
    tensor_free(&t);
}

static void wrong_targets(void **state)
{
    (void)state;
    const int64_t grey[2] = {4, 4}, four[3] = {4, 4, 4}, none[3] = {0, 7, 3};
    struct err e;
    struct tensor *t = tensor_new(DT_U8, 2, grey, &e);

    assert_int_equal(draw_line(t, 0, 0, 1, 1, red, &e), ERR_ARG);
    tensor_free(&t);
    t = tensor_new(DT_U8, 3, four, &e);
    assert_int_equal(draw_disc(t, 0, 0, 2, red, &e), ERR_ARG);
    tensor_free(&t);
    t = tensor_new(DT_U8, 3, none, &e); /* empty: nothing to draw on */
    assert_int_equal(draw_line(t, -3, -3, 9, 9, red, &e), OK);
    assert_int_equal(draw_disc(t, 0, 0, 2, red, &e), OK);
    tensor_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(far_ends),
        cmocka_unit_test(discs),
        cmocka_unit_test(wrong_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
