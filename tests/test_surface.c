/* lib/geom/surface and lib/geom/relief, lib/media/sample: what the generator's
 * method `warp` stands on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/geom/relief.h"
#include "lib/geom/rotation.h"
#include "lib/geom/surface.h"
#include "lib/media/sample.h"

#define UNIT 60.0

/* The mean head's points, turned and placed at (120,130), each moved by up to
 * `off` pixels. */
static void face(double ry_deg, double off, float out[LANDMARKS][3])
{
    float m[LANDMARKS][3];
    double r[9];
    struct rng g;
    struct err e;

    rng_seed(&g, 3);
    assert_int_equal(head_landmarks(NULL, m, &e), OK);
    rotation_from_euler(5, ry_deg, 3, r);
    for (int i = 0; i < LANDMARKS; i++)
        for (int a = 0; a < 3; a++) {
            double v = 0.0;

            for (int k = 0; k < 3; k++)
                v += r[3 * a + k] * (double)m[i][k];
            out[i][a] = (float)(UNIT * v + 120.0 + (a == 1 ? 10.0 : 0.0) +
                                off * rng_range(&g, -1, 1));
        }
}

static double worst_distance(const struct surface *s,
                             const float pts[LANDMARKS][3], int last)
{
    double worst = 0.0;

    for (int i = 0; i < last; i++) {
        const float *p = s->xyz[s->mesh->landmark[i]];
        double d = 0.0;

        for (int a = 0; a < 3; a++)
            d += pow((double)p[a] - (double)pts[i][a], 2);
        worst = fmax(worst, sqrt(d));
    }
    return worst;
}

/* Two pixels of scatter, up to 3.5 of distance, that no head can follow are met
 * to a sixth of a pixel (the smoothing term leaves half of that), but for the
 * inner lips, which lie on each other in the closed mouth and cannot be torn
 * apart. */
static void points_match(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct surface *s;
    struct err e;

    face(0, 2.0, pts);
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e), OK);
    double d = worst_distance(s, (const float(*)[3])pts, 60);

    printf("points are met to %.3f px\n", d);
    assert_true(d < 0.16);
    assert_true(fabs(s->unit_px - UNIT) < 0.1 * UNIT);
    surface_free(&s);
    assert_null(s);
}

/* The nose's tip faces the viewer, the back of the head does not. */
static void normals_point_out(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct surface *s;
    struct err e;
    int back = 0;

    face(0, 0, pts);
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e), OK);
    assert_true(s->normal[s->mesh->landmark[30]][2] > 0.5f);
    for (int v = 1; v < s->mesh->n_vertices; v++)
        if (s->xyz[v][2] < s->xyz[back][2])
            back = v;
    assert_true(s->normal[back][2] < -0.3f);
    surface_free(&s);
}

/* Depth all alike counts as no depth: the head's own is taken. */
static void flat_points(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct surface *s;
    struct err e;

    face(10, 0, pts);
    for (int i = 0; i < LANDMARKS; i++)
        pts[i][2] = 7.0f;
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e), OK);
    float nose = s->xyz[s->mesh->landmark[30]][2];
    float ear = s->xyz[s->mesh->landmark[0]][2];

    assert_true((double)(nose - ear) > 0.5 * UNIT);
    surface_free(&s);
}

static void relief_stands_still_and_turns(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct surface *s;
    struct relief *g;
    struct err e;
    struct relief_motion m = {{1, 0, 0, 0, 1, 0, 0, 0, 1}, 1.0, {0, 0, 0}};

    face(0, 0, pts);
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e), OK);
    assert_int_equal(relief_new(s, 3.0, &g, &e), OK);
    int n = g->cols * g->rows;
    float(*out)[3] = mem_array((size_t)n, sizeof *out);

    assert_non_null(out);
    relief_move(g, &m, 240, 260, out);
    assert_memory_equal(out, g->xyz, (size_t)n * sizeof *out);
    /* a turn moves the nose to the right and leaves the grid's rim alone */
    rotation_from_euler(0, 20, 0, m.r);
    relief_move(g, &m, 240, 260, out);
    for (int c = 0; c < g->cols; c++)
        assert_memory_equal(out[c], g->xyz[c], sizeof *out);
    const float *nose = s->xyz[s->mesh->landmark[30]];
    int col = (int)lround(((double)nose[0] - g->x0) / g->step);
    int row = (int)lround(((double)nose[1] - g->y0) / g->step);
    int at = row * g->cols + col;
    double turned =
        m.r[0] * (double)g->xyz[at][0] + m.r[2] * (double)g->xyz[at][2];

    assert_true(g->follow[at] > 0.999f);
    assert_true(fabs((double)g->xyz[at][2] - (double)nose[2]) < 0.05 * UNIT);
    assert_true(fabs((double)out[at][0] - turned) < 0.01);
    for (int i = 0; i < n; i++) {
        assert_true(isfinite(g->xyz[i][2]));
        assert_true(g->follow[i] >= 0.0f && g->follow[i] <= 1.0f);
    }
    mem_free(out);
    relief_free(&g);
    surface_free(&s);
}

/* A step far too fine is raised to the most nodes allowed. */
static void relief_is_bounded(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct surface *s;
    struct relief *g;
    struct err e;

    face(0, 0, pts);
    for (int i = 0; i < LANDMARKS; i++)
        for (int a = 0; a < 3; a++)
            pts[i][a] *= 50.0f;
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e), OK);
    assert_int_equal(relief_new(s, 0.01, &g, &e), OK);
    assert_true(g->cols * g->rows <= RELIEF_MAX_NODES);
    relief_free(&g);
    surface_free(&s);
}

static void refuses(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct surface *s;
    struct err e;

    face(0, 0, pts);
    pts[40][2] = NAN;
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e),
                     ERR_DATA);
    assert_null(s);
    face(0, 0, pts);
    pts[4][0] = INFINITY;
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e),
                     ERR_DATA);
    memset(pts, 0, sizeof pts);
    assert_int_equal(surface_new((const float(*)[3])pts, NULL, &s, &e),
                     ERR_DATA);
}

static void no_memory(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct err e;
    int64_t live = mem_live();

    face(10, 0, pts);
    for (uint64_t n = 1; n < 300; n++) {
        struct surface *s = NULL;
        struct relief *g = NULL;

        mem_fail_nth(n);
        enum err_code rc = surface_new((const float(*)[3])pts, NULL, &s, &e);

        if (rc == OK)
            rc = relief_new(s, 6.0, &g, &e);
        bool hit = mem_fail_hit();

        mem_fail_nth(0);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        relief_free(&g);
        surface_free(&s);
        assert_int_equal(mem_live(), live);
        if (!hit)
            return;
    }
    fail_msg("never without a failure");
}

static void sampling(void **state)
{
    (void)state;
    uint8_t px[5 * 7 * 3];
    struct sample_source s = {px, 7, 5};
    float a[3], b[3];

    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 7; x++)
            for (int c = 0; c < 3; c++)
                px[(y * 7 + x) * 3 + c] = (uint8_t)(10 * x + 20 * y + c);
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 7; x++) {
            sample_bicubic(&s, (float)x, (float)y, a);
            sample_bilinear(&s, (float)x, (float)y, b);
            assert_true(a[1] == (float)px[(y * 7 + x) * 3 + 1]);
            assert_true(b[2] == (float)px[(y * 7 + x) * 3 + 2]);
        }
    /* both keep a plane; rounding of f32 sums of values below 256: 1e-4 */
    sample_bicubic(&s, 2.25f, 2.5f, a);
    sample_bilinear(&s, 2.25f, 2.5f, b);
    assert_true(fabsf(a[0] - 72.5f) < 1e-4f && fabsf(b[0] - 72.5f) < 1e-4f);
    /* outside: reflected, however far */
    sample_bilinear(&s, -1.0f, 0.0f, a);
    assert_true(a[0] == 0.0f);
    sample_bilinear(&s, -2.0f, 5.0f, a);
    assert_true(a[0] == 90.0f);
    sample_bicubic(&s, 1e30f, -1e30f, a);
    assert_true(isfinite(a[0]));
    assert_int_equal(sample_reflect(-1, 4), 0);
    assert_int_equal(sample_reflect(4, 4), 3);
    assert_int_equal(sample_reflect(-5, 4), 3);
    assert_int_equal(sample_reflect(123456, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory),
        cmocka_unit_test(points_match),
        cmocka_unit_test(normals_point_out),
        cmocka_unit_test(flat_points),
        cmocka_unit_test(relief_stands_still_and_turns),
        cmocka_unit_test(relief_is_bounded),
        cmocka_unit_test(refuses),
        cmocka_unit_test(sampling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
