/* Faces followed through a clip: no swaps, cuts, absences, odd times. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/geom/face_tracks.h"

static const struct face_tracks_options opt = {
    .filter = {1, 5, 1}, .keep_s = 0.5, .jump = 0.5};

/* An ellipse of points whose outer eyes are `size` apart, about (x, y). */
static void face_at(struct face_seen *f, double x, double y, double size)
{
    for (int i = 0; i < LANDMARKS; i++) {
        double a = i * 0.7;
        f->points[i][0] = (float)(x + 0.8 * size * cos(a));
        f->points[i][1] = (float)(y + 0.8 * size * sin(a));
        f->points[i][2] = (float)(size * 0.1);
    }
    for (int e = 0; e < 2; e++) {
        f->points[e ? 45 : 36][0] = (float)(x + (e ? size : -size) / 2);
        f->points[e ? 45 : 36][1] = (float)y;
    }
    f->track = -7;
}

static struct face_tracks *tracks(void)
{
    struct err e = {0};
    struct face_tracks *t = face_tracks_new(&opt, &e);
    assert_non_null(t);
    return t;
}

static void go(struct face_tracks *t, double time_s, struct face_seen *f,
               size_t n)
{
    struct err e = {0};
    assert_int_equal(face_tracks_step(t, time_s, f, n, &e), OK);
}

/* Two faces pass each other, given in changing order. */
static void no_swap(void **state)
{
    (void)state;
    struct face_tracks *t = tracks();
    struct rng r;
    rng_seed(&r, 1);
    for (int k = 0; k < 75; k++) {
        struct face_seen f[2];
        int turned = k > 0 && rng_below(&r, 2);
        /* 3 px a frame of 100 px faces; 90 px apart when they pass */
        face_at(&f[turned], 100 + 3 * k + rng_normal(&r), 200, 100);
        face_at(&f[!turned], 300 - 3 * k + rng_normal(&r), 290, 100);
        go(t, k / 25.0, f, 2);
        assert_int_equal(f[turned].track, 0);
        assert_int_equal(f[!turned].track, 1);
    }
    face_tracks_free(&t);
}

/* Beyond `jump` it is another face, and unsmoothed; below it is smoothed. */
static void cut(void **state)
{
    (void)state;
    struct face_tracks *t = tracks();
    struct face_seen f, raw;
    for (int k = 0; k < 10; k++) {
        face_at(&f, 100, 100, 50);
        go(t, k / 25.0, &f, 1);
        assert_int_equal(f.track, 0);
    }
    face_at(&f, 110, 100, 50);
    raw = f;
    go(t, 0.4, &f, 1);
    assert_int_equal(f.track, 0);
    assert_true(f.points[3][0] < raw.points[3][0] - 2);
    face_at(&f, 150, 100, 50);
    raw = f;
    go(t, 0.44, &f, 1);
    assert_int_equal(f.track, 1);
    assert_memory_equal(f.points, raw.points, sizeof f.points);
    /* the same place, but 1.6 times the size */
    face_at(&f, 150, 100, 80);
    raw = f;
    go(t, 0.48, &f, 1);
    assert_int_equal(f.track, 2);
    assert_memory_equal(f.points, raw.points, sizeof f.points);
    face_tracks_free(&t);
}

/* Away for less than keep it is the same, for longer another one; one beside it
 * that stays is not touched by that. */
static void away(void **state)
{
    (void)state;
    struct face_tracks *t = tracks();
    int64_t back = -1;
    for (int k = 0; k < 60; k++) {
        struct face_seen f[2];
        size_t n = 0;
        face_at(&f[n++], 400, 100, 50);
        bool here = k < 10 || (k >= 20 && k < 30) || k >= 45;
        if (here)
            face_at(&f[n++], 100, 100, 50);
        go(t, k / 25.0, f, n);
        assert_int_equal(f[0].track, 0);
        if (here) {
            back = f[1].track;
            assert_int_equal(back, k < 45 ? 1 : 2);
        }
    }
    assert_int_equal(back, 2);
    face_tracks_free(&t);
}

/* Frames left out: time, not number, is what counts. A step seen every frame
 * and every third frame has come as far after the same time, within the share
 * of one of the longer steps (alpha is first order in dt). */
static void left_out(void **state)
{
    (void)state;
    double came[2];
    for (int every = 1; every <= 3; every += 2) {
        struct face_tracks *t = tracks();
        struct face_seen f;
        for (int k = 0; k <= 30; k += every) {
            face_at(&f, k < 12 ? 100 : 102, 100, 100);
            go(t, k / 50.0, &f, 1);
            assert_int_equal(f.track, 0);
        }
        came[every / 2] = (double)f.points[5][0] - (100 + 80 * cos(5 * 0.7));
        face_tracks_free(&t);
    }
    assert_true(came[0] > 0.8 && came[1] > 0.8);
    assert_true(fabs(came[0] - came[1]) < 0.3);
}

/* A frame twice, and a clock that runs back. */
static void odd_times(void **state)
{
    (void)state;
    struct face_tracks *t = tracks();
    struct face_seen f, g;
    face_at(&f, 100, 100, 50);
    go(t, 1, &f, 1);
    face_at(&f, 103, 100, 50);
    go(t, 1.04, &f, 1);
    g = f;
    face_at(&f, 103, 100, 50);
    go(t, 1.04, &f, 1);
    assert_int_equal(f.track, 0);
    assert_memory_equal(f.points, g.points, sizeof g.points);
    face_at(&f, 103, 100, 50);
    g = f;
    go(t, 0.5, &f, 1);
    assert_int_equal(f.track, 1);
    assert_memory_equal(f.points, g.points, sizeof g.points);
    go(t, 0.54, NULL, 0);
    face_tracks_free(&t);
}

/* Refused, and nothing changed. */
static void refused(void **state)
{
    (void)state;
    struct face_tracks *t = tracks();
    struct face_seen f, good;
    struct err e = {0};
    face_at(&f, 100, 100, 50);
    go(t, 0, &f, 1);
    face_at(&f, 100, 100, 50);
    f.points[9][1] = NAN;
    assert_int_equal(face_tracks_step(t, 0.04, &f, 1, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "landmark 9"));
    face_at(&f, 100, 100, 50);
    assert_int_equal(face_tracks_step(t, (double)NAN, &f, 1, &e), ERR_DATA);
    assert_int_equal(face_tracks_step(t, 0.04, &f, FACE_TRACKS_MOST + 1, &e),
                     ERR_DATA);
    face_at(&good, 100, 100, 50);
    go(t, 0.04, &good, 1);
    assert_int_equal(good.track, 0);
    face_tracks_free(&t);
}

static void no_memory(void **state)
{
    (void)state;
    int64_t live = mem_live();
    bool hit = true;
    for (uint64_t n = 1; hit; n++) {
        struct err e = {0};
        struct face_seen f[2];
        enum err_code rc = OK;
        mem_fail_nth(n);
        struct face_tracks *t = face_tracks_new(&opt, &e);
        for (int k = 0; t && !rc && k < 3; k++) {
            face_at(&f[0], 100, 100, 50);
            face_at(&f[1], 300, 100, 50);
            rc = face_tracks_step(t, k, f, 2, &e);
        }
        hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(e.code, hit ? ERR_NOMEM : OK);
        face_tracks_free(&t);
        assert_int_equal(mem_live(), live);
        assert_true(n < 20);
    }
}

/* A profile, whose eye corners fall together, still has a size. */
static void sizes(void **state)
{
    (void)state;
    struct face_seen f;
    face_at(&f, 0, 0, 100);
    assert_true(fabs(face_size(f.points) - 100) < 1e-3);
    f.points[36][0] = f.points[45][0];
    /* 0.55 of a box of 160 */
    assert_true(fabs(face_size(f.points) - 88) < 1);
    memset(&f, 0, sizeof f);
    assert_true(face_size(f.points) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_swap),   cmocka_unit_test(cut),
        cmocka_unit_test(away),      cmocka_unit_test(left_out),
        cmocka_unit_test(odd_times), cmocka_unit_test(refused),
        cmocka_unit_test(no_memory), cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
