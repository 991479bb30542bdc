/* The rasteriser against a plain one, and against input meant to break it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/geom/raster.h"

#define W 41
#define H 29

/* Plain reference: every pixel against every triangle, corners rounded to
 * 1/1024 pixel as documented, integer edge functions, top-left rule. */
static bool inside(const float v[3][3], int px, int py, double w[3])
{
    int64_t x[3], y[3];
    for (int k = 0; k < 3; k++) {
        x[k] = llrint((double)v[k][0] * 1024);
        y[k] = llrint((double)v[k][1] * 1024);
    }
    int64_t area =
        (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]);
    if (area == 0)
        return false;
    int64_t sign = area > 0 ? 1 : -1;
    for (int k = 0; k < 3; k++) {
        int a = (k + 1) % 3, b = (k + 2) % 3;
        int64_t dx = sign * (x[b] - x[a]), dy = sign * (y[b] - y[a]);
        int64_t e = dx * (py * 1024 - y[a]) - dy * (px * 1024 - x[a]);
        bool owned = dy < 0 || (dy == 0 && dx > 0);
        if (e < 0 || (e == 0 && !owned))
            return false;
        w[k] = (double)e / (double)(sign * area);
    }
    return true;
}

static void compare(const float (*xyz)[3], const int32_t (*tri)[3], int n)
{
    struct raster *r;
    struct err e;
    assert_int_equal(raster_new(W, H, &r, &e), OK);
    raster_draw(r, xyz, tri, n, 0);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            int best = -1;
            float top = -INFINITY;
            double bw[3] = {0, 0, 0};
            for (int t = 0; t < n; t++) {
                float v[3][3];
                double w[3];
                for (int k = 0; k < 3; k++)
                    memcpy(v[k], xyz[tri[t][k]], sizeof v[k]);
                if (!inside((const float(*)[3])v, x, y, w))
                    continue;
                double z = w[0] * (double)v[0][2] + w[1] * (double)v[1][2] +
                           w[2] * (double)v[2][2];
                if ((float)z > top) {
                    top = (float)z;
                    best = t;
                    memcpy(bw, w, sizeof bw);
                }
            }
            int at = y * W + x;
            if (best < 0) {
                assert_int_equal(r->triangle[at], -1);
                continue;
            }
            /* Depths that agree to rounding may be won by either. */
            assert_true(fabsf(r->z[at] - top) <= 1e-5f * (1 + fabsf(top)));
            if (r->triangle[at] == best) {
                assert_true(fabs((double)r->bary[at][0] - bw[0]) < 1e-6);
                assert_true(fabs((double)r->bary[at][1] - bw[1]) < 1e-6);
            }
        }
    raster_free(&r);
    assert_null(r);
}

static void against_plain(void **state)
{
    (void)state;
    struct rng g;
    rng_seed(&g, 11);
    for (int round = 0; round < 40; round++) {
        float xyz[30][3];
        int32_t tri[20][3];
        for (int i = 0; i < 30; i++) {
            bool whole = round % 2 == 0; /* corners on pixel centres too */
            double far = round % 5 == 4 ? 4 : 1.3;
            double x = rng_range(&g, W * (1 - far), W * far);
            double y = rng_range(&g, H * (1 - far), H * far);
            xyz[i][0] = (float)(whole ? floor(x) : x);
            xyz[i][1] = (float)(whole ? floor(y) : y);
            xyz[i][2] = (float)rng_range(&g, -5, 5);
        }
        for (int t = 0; t < 20; t++)
            for (int k = 0; k < 3; k++)
                tri[t][k] = (int32_t)rng_below(&g, 30);
        compare((const float(*)[3])xyz, (const int32_t(*)[3])tri, 20);
    }
}

/* A fan that tiles the picture: each pixel belongs to exactly one triangle,
 * whatever the sizes, also beyond the guard band. */
static void tiles(float reach, float cx, float cy)
{
    enum { N = 37 };
    float xyz[N + 1][3];
    int count[W * H];
    struct raster *r;
    struct err e;
    memset(count, 0, sizeof count);
    xyz[N][0] = cx;
    xyz[N][1] = cy;
    xyz[N][2] = 0;
    for (int i = 0; i < N; i++) {
        double a = 2 * 3.14159265358979323846 * i / (double)N;
        xyz[i][0] = cx + (float)cos(a) * reach;
        xyz[i][1] = cy + (float)sin(a) * reach;
        xyz[i][2] = 0;
    }
    assert_int_equal(raster_new(W, H, &r, &e), OK);
    for (int i = 0; i < N; i++) {
        const int32_t t[1][3] = {{N, i, (i + 1) % N}};
        raster_clear(r);
        raster_draw(r, (const float(*)[3])xyz, t, 1, 0);
        for (int p = 0; p < W * H; p++)
            count[p] += r->triangle[p] == 0;
    }
    for (int p = 0; p < W * H; p++)
        assert_int_equal(count[p], 1);
    raster_free(&r);
}

static void no_gap_no_overlap(void **state)
{
    (void)state;
    tiles(60, 20, 14);
    tiles(61.7f, 20.25f, 14.5f);
    tiles(5000, 7, 3);
    tiles(100000, 20, 14);
    tiles(3.0e6f, 20, 14);
    tiles(1.0e12f, 20.5f, 14);
}

static void wild_input(void **state)
{
    (void)state;
    const float in = INFINITY, big = 3.0e38f;
    const float xyz[9][3] = {{NAN, 0, 0},     {10, in, 0},    {20, 20, NAN},
                             {0, 0, 0},       {30, 0, 0},     {0, 25, 0},
                             {-big, -big, 1}, {big, -big, 1}, {0, big, 1}};
    const int32_t bad[4][3] = {{0, 3, 4}, {1, 3, 4}, {2, 3, 4}, {3, 3, 4}};
    struct raster *r;
    struct err e;
    assert_int_equal(raster_new(W, H, &r, &e), OK);
    raster_draw(r, xyz, bad, 4, 0);
    for (int p = 0; p < W * H; p++)
        assert_int_equal(r->triangle[p], -1);
    const int32_t huge[1][3] = {{6, 7, 8}};
    raster_draw(r, xyz, huge, 1, 0);
    assert_int_equal(r->triangle[14 * W + 20], 0);
    assert_true(fabsf(r->z[14 * W + 20] - 1) < 1e-6f);
    raster_free(&r);
}

static void culling_and_ties(void **state)
{
    (void)state;
    const float xyz[6][3] = {{2, 2, 1}, {30, 2, 1}, {2, 25, 1},
                             {2, 2, 1}, {30, 2, 1}, {2, 25, 1}};
    const int32_t back[1][3] = {{0, 1, 2}}, front[1][3] = {{0, 2, 1}};
    struct raster *r;
    struct err e;
    assert_int_equal(raster_new(W, H, &r, &e), OK);
    int at = 8 * W + 8;
    raster_draw(r, xyz, back, 1, 1); /* positive area: seen from behind */
    assert_int_equal(r->triangle[at], -1);
    raster_draw(r, xyz, front, 1, 1);
    assert_int_equal(r->triangle[at], 0);
    raster_clear(r);
    const int32_t both[2][3] = {{0, 1, 2}, {3, 4, 5}};
    raster_draw(r, xyz, both, 2, 0); /* same depth: the first stays */
    assert_int_equal(r->triangle[at], 0);
    raster_free(&r);
}

static void sizes_and_memory(void **state)
{
    (void)state;
    struct raster *r;
    struct err e;
    assert_int_equal(raster_new(0, 5, &r, &e), ERR_ARG);
    assert_int_equal(raster_new(5, 40000, &r, &e), ERR_ARG);
    assert_null(r);
    int64_t live = mem_live();
    for (uint64_t n = 1; n <= 4; n++) {
        mem_fail_nth(n);
        assert_int_equal(raster_new(8, 8, &r, &e), ERR_NOMEM);
        assert_true(mem_fail_hit());
        assert_int_equal(mem_live(), live);
    }
    mem_fail_nth(0);
    raster_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_plain), cmocka_unit_test(no_gap_no_overlap),
        cmocka_unit_test(wild_input), cmocka_unit_test(culling_and_ties),
        cmocka_unit_test(sizes_and_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
