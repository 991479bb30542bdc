/* The generator's framing of large frames, without the stage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stages/generator/framing.c"

#include "lib/base/mem.h"
#include "lib/base/rng.h"

/* Points whose box is side x side round (cx, cy). */
static void square(double side, double cx, double cy, float out[LANDMARKS][3])
{
    for (int i = 0; i < LANDMARKS; i++) {
        out[i][0] = (float)(cx + side * ((i % 3) / 2.0 - 0.5));
        out[i][1] = (float)(cy + side * ((i / 3 % 3) / 2.0 - 0.5));
        out[i][2] = (float)(i - 34);
    }
}

static struct framing choose(int64_t w, int64_t h, double side, double cx,
                             double cy, int64_t max_side)
{
    float pts[LANDMARKS][3];
    struct framing f;

    square(side, cx, cy, pts);
    framing_choose(w, h, (const float(*)[3])pts, max_side, &f);
    return f;
}

static void within_it_nothing_changes(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {
        {2048, 2048}, {2048, 1}, {1, 2048}, {64, 64}, {1920, 1080}};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct framing f = choose(sizes[i][0], sizes[i][1], 30, 20, 20, 2048);

        assert_false(f.changes);
        assert_false(f.cut);
        assert_int_equal(f.to_width, sizes[i][0]);
        assert_int_equal(f.to_height, sizes[i][1]);
    }
    assert_false(choose(12000, 9000, 3000, 6000, 4500, 0).changes);
}

/* A large face: the whole picture; a small one: its part; one between: both. */
static void reduces_or_cuts(void **state)
{
    (void)state;
    struct framing f = choose(12000, 9000, 3200, 6000, 4500, 2048);

    assert_true(f.changes && !f.cut);
    assert_int_equal(f.width, 12000);
    assert_int_equal(f.height, 9000);
    assert_int_equal(f.to_width, 2048);
    assert_int_equal(f.to_height, 1536);

    f = choose(12000, 9000, 300, 6000, 4500, 2048);
    assert_true(f.changes && f.cut);
    assert_int_equal(f.width, 2048);
    assert_int_equal(f.height, 2048);
    assert_int_equal(f.to_width, 2048);
    assert_int_equal(f.to_height, 2048);
    assert_int_equal(f.x0, 6000 - 1024);
    assert_int_equal(f.y0, 4500 - 1024);

    f = choose(12000, 9000, 1024, 6000, 4500, 2048); /* halved: 512 are left */
    assert_true(f.cut);
    assert_int_equal(f.width, 4096);
    assert_int_equal(f.to_width, 2048);
    assert_int_equal(f.to_height, 2048);

    f = choose(20000, 300, 200, 19900, 150, 2048); /* a panorama's end */
    assert_true(f.cut);
    assert_int_equal(f.x0, 20000 - 2048);
    assert_int_equal(f.y0, 0);
    assert_int_equal(f.height, 300);
    assert_int_equal(f.to_width, 2048);
    assert_int_equal(f.to_height, 300);

    f = choose(300, 20000, 2, 10, -50, 64); /* above the picture */
    assert_int_equal(f.x0, 0);
    assert_int_equal(f.y0, 0);
    assert_int_equal(f.to_width, 64);
    assert_int_equal(f.to_height, 64);

    f = choose(20000, 2, 100000, 0, 0, 16); /* no face has such points */
    assert_false(f.changes);
    f = choose(20000, 2, 4, 9000, 1, 16);
    assert_int_equal(f.to_height, 2);
    f = choose(20000, 1, 2, 9000, 0.5, 4); /* half a row is a row */
    assert_int_equal(f.to_width, 4);
    assert_int_equal(f.to_height, 1);
}

/* Whatever comes: the window lies in the frame, the view within max_side, the
 * face whole in the window if it is in the frame, and not too small. */
static void always_within(void **state)
{
    (void)state;
    struct rng r;

    rng_seed(&r, 5);
    for (int k = 0; k < 20000; k++) {
        int64_t w = 1 + (int64_t)rng_below(&r, k % 3 ? 3000 : 40000);
        int64_t h = 1 + (int64_t)rng_below(&r, k % 3 ? 3000 : 40000);
        int64_t most = 1 + (int64_t)rng_below(&r, 2500);
        double side = rng_unit(&r) * (double)(w < h ? w : h);
        double cx = side / 2 + rng_unit(&r) * ((double)w - side);
        double cy = side / 2 + rng_unit(&r) * ((double)h - side);
        struct framing f = choose(w, h, side, cx, cy, most);
        double sx = (double)f.to_width / (double)f.width;

        assert_true(f.x0 >= 0 && f.y0 >= 0 && f.width > 0 && f.height > 0);
        assert_true(f.x0 + f.width <= w && f.y0 + f.height <= h);
        assert_true(f.to_width >= 1 && f.to_height >= 1);
        assert_true(f.to_width <= most && f.to_height <= most);
        assert_true(f.to_width <= f.width && f.to_height <= f.height);
        if (!f.changes)
            continue;
        assert_true(cx - side / 2 > (double)f.x0 - 1.5);
        assert_true(cy - side / 2 > (double)f.y0 - 1.5);
        assert_true(cx + side / 2 < (double)(f.x0 + f.width) + 1.5);
        assert_true(cy + side / 2 < (double)(f.y0 + f.height) + 1.5);
        /* (sides are whole pixels: a few of them may go either way) */
        if (f.cut && f.width > 50)
            assert_true(side * sx > fmin(side, 0.25 * (double)most) * 0.95 - 1);
    }
}

static void not_a_face(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct framing f;
    static const float bad[] = {NAN, INFINITY, -1e9f, 1e9f};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        square(100, 3000, 3000, pts);
        pts[7][i % 2] = bad[i];
        framing_choose(6000, 6000, (const float(*)[3])pts, 512, &f);
        assert_false(f.changes);
    }
}

static struct tensor *floats(int ndim, const int64_t *shape, const float *v)
{
    struct tensor *t = tensor_new(DT_F32, ndim, shape, NULL);

    assert_non_null(t);
    memcpy(t->data, v, t->bytes);
    return t;
}

/* A frame whose pixel (x,y) is told by its colour. */
static struct tensor *chart(int64_t h, int64_t w)
{
    const int64_t shape[3] = {h, w, 3};
    struct tensor *t = tensor_new(DT_U8, 3, shape, NULL);

    assert_non_null(t);
    for (int64_t i = 0; i < h * w; i++) {
        tensor_u8(t)[3 * i] = (uint8_t)(i % w);
        tensor_u8(t)[3 * i + 1] = (uint8_t)(i / w);
    }
    return t;
}

static void put(struct item *it, const char *name, int ndim,
                const int64_t *shape, const float *v)
{
    assert_int_equal(item_set_tensor(it, name, floats(ndim, shape, v), NULL),
                     OK);
}

static enum err_code frame_item(struct item *it, double side, int64_t most,
                                struct framing *f, struct err *e)
{
    const struct tensor *frame = item_tensor(it, "frame");
    struct tensor *picture = NULL;

    *f = choose(frame->shape[1], frame->shape[0], side, 100, 80, most);
    enum err_code rc = framing_picture(f, frame, &picture, e);

    if (!rc)
        rc = framing_item(f, picture, it, e);
    tensor_free(&picture);
    return rc;
}

static struct item *filled(bool same_pose)
{
    const int64_t two[2] = {2, 2}, three[3] = {1, 2, 3}, four[1] = {4};
    const int64_t many[2] = {2, 4}, words[2] = {1, 5};
    const float v[8] = {100, 80, 5, 104, 88, -5, 90, 70};
    struct item *it = item_new(NULL);
    struct tensor *pose = same_pose ? chart(200, 240) : chart(50, 60);

    assert_non_null(it);
    assert_int_equal(item_set_tensor(it, "frame", chart(200, 240), NULL), OK);
    assert_int_equal(item_set_tensor(it, "pose", pose, NULL), OK);
    put(it, "landmarks_true", 2, two, v);
    put(it, "surface", 3, three, v);
    put(it, "box", 1, four, v);
    put(it, "boxes", 2, many, v);
    put(it, "target", 2, words, v); /* not points: left alone */
    return it;
}

static void near_to(const struct tensor *t, const double *want, size_t n)
{
    assert_non_null(t);
    assert_int_equal(t->count, n);
    for (size_t i = 0; i < n; i++)
        assert_float_equal((double)tensor_f32(t)[i], want[i], 1e-4);
}

/* Cut, and halved: everything of the item moves alike, the colours too. */
static void the_item_moves(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        struct item *it = filled(same);
        struct framing f;
        struct err e;

        assert_int_equal(frame_item(it, 40, 80, &f, &e), OK);
        /* keep 20 of 40: half; 160 of 240 x 200 are shown */
        assert_int_equal(f.width, 160);
        assert_int_equal(f.height, 160);
        assert_int_equal(f.x0, 20);
        assert_int_equal(f.y0, 0);
        const struct tensor *p = item_tensor(it, "frame");

        assert_int_equal(p->shape[0], 80);
        assert_int_equal(p->shape[1], 80);
        /* pixel (10,30) is the mean of columns 40, 41 and rows 60, 61 */
        assert_in_range(tensor_u8(p)[(30 * 80 + 10) * 3], 40, 41);
        assert_in_range(tensor_u8(p)[(30 * 80 + 10) * 3 + 1], 60, 61);
#define X(v) (((v) + 0.5 - 20) / 2 - 0.5)
#define Y(v) (((v) + 0.5) / 2 - 0.5)
        near_to(item_tensor(it, "landmarks_true"),
                (const double[]){X(100), Y(80), X(5), Y(104)}, 4);
        near_to(item_tensor(it, "surface"),
                (const double[]){X(100), Y(80), 2.5, X(104), Y(88), -2.5}, 6);
        near_to(item_tensor(it, "box"),
                (const double[]){X(100), Y(80), X(5), Y(104)}, 4);
        near_to(item_tensor(it, "boxes"),
                (const double[]){X(100), Y(80), X(5), Y(104), X(88), Y(-5),
                                 X(90), Y(70)},
                8);
        near_to(item_tensor(it, "target"),
                (const double[]){100, 80, 5, 104, 88}, 5);
        near_to(item_tensor(it, "view_window"),
                (const double[]){20, 0, 180, 160}, 4);
        p = item_tensor(it, "pose");
        assert_int_equal(p->shape[0], same ? 80 : 40);
        assert_int_equal(p->shape[1], same ? 80 : 40);
        /* its own pixel (5,15) was (10,15) of 60 x 50 */
        if (!same) {
            assert_int_equal(tensor_u8(p)[(15 * 40 + 5) * 3], 10);
            assert_int_equal(tensor_u8(p)[(15 * 40 + 5) * 3 + 1], 15);
        }
        item_free(&it);
    }
}

/* Reduced whole: a pose picture of a size of its own still fits. */
static void a_small_pose_stays(void **state)
{
    (void)state;
    struct item *it = filled(false);
    struct framing f;
    struct err e;

    assert_int_equal(frame_item(it, 150, 80, &f, &e), OK);
    assert_false(f.cut);
    assert_int_equal(item_tensor(it, "pose")->shape[0], 50);
    assert_int_equal(item_tensor(it, "pose")->shape[1], 60);
    assert_int_equal(item_tensor(it, "frame")->shape[0], 67);
    item_free(&it);
}

static void no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 200; n++) {
        struct item *it = filled(true);
        int64_t live = mem_live();
        struct framing f;
        struct err e;

        mem_fail_nth(n);
        enum err_code rc = frame_item(it, 40, 80, &f, &e);
        bool hit = mem_fail_hit();

        mem_fail_nth(0);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        item_free(&it);
        assert_true(mem_live() <= live);
        if (!hit) {
            assert_true(n > 10);
            return;
        }
    }
    fail_msg("never without a failure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_it_nothing_changes),
        cmocka_unit_test(reduces_or_cuts),
        cmocka_unit_test(always_within),
        cmocka_unit_test(not_a_face),
        cmocka_unit_test(the_item_moves),
        cmocka_unit_test(a_small_pose_stays),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
