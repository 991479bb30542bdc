/* The parametric head: symmetry, closedness, points, winding, parameters; and
 * pictures of it: determinism, conventions, memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/geom/head.h"
#include "lib/geom/render.h"
#include "lib/geom/rotation.h"

static struct head_params random_head(uint64_t seed, bool face)
{
    struct head_params p;
    struct rng r;
    memset(&p, 0, sizeof p);
    rng_seed(&r, seed);
    for (int i = 0; i < HEAD_IDENTITY; i++)
        p.identity[i] = rng_normal(&r);
    for (int i = 0; face && i < HEAD_EXPRESSION; i++)
        p.expression[i] = rng_unit(&r);
    return p;
}

static struct head_mesh *make(const struct head_params *p)
{
    struct head_mesh *m;
    struct err e;
    assert_int_equal(head_mesh_new(p, &m, &e), OK);
    return m;
}

static void mirror_symmetry(void **state)
{
    (void)state;
    struct head_params p = random_head(3, true);
    p.expression[5] = p.expression[4]; /* both eyes alike */
    struct head_mesh *m = make(&p);
    for (int i = 0; i < m->n_vertices; i++) {
        int j = m->mirror[i];
        assert_int_equal(m->mirror[j], i);
        assert_true(fabsf(m->vertex[i][0] + m->vertex[j][0]) < 1e-6f);
        assert_true(fabsf(m->vertex[i][1] - m->vertex[j][1]) < 1e-6f);
        assert_true(fabsf(m->vertex[i][2] - m->vertex[j][2]) < 1e-6f);
        if (j != i)
            assert_true(fabsf(m->uv[i][0] + m->uv[j][0] - 1) < 1e-5f);
        for (int k = 0; k < 2; k++)
            assert_true(m->uv[i][k] >= 0 && m->uv[i][k] <= 1);
    }
    for (int i = 0; i < LANDMARKS; i++)
        assert_int_equal(m->mirror[m->landmark[i]],
                         m->landmark[landmark_mirror[i]]);
    head_mesh_free(&m);
    assert_null(m);
}

/* One winking eye changes nothing on the other side. */
static void one_eye(void **state)
{
    (void)state;
    struct head_params p;
    memset(&p, 0, sizeof p);
    float a[LANDMARKS][3], b[LANDMARKS][3];
    struct err e;
    assert_int_equal(head_landmarks(NULL, a, &e), OK);
    p.expression[4] = 1; /* blink_left: the picture's left, points 36-41 */
    assert_string_equal(head_expression_names[4], "blink_left");
    assert_int_equal(head_landmarks(&p, b, &e), OK);
    for (int i = 42; i < 48; i++)
        assert_memory_equal(a[i], b[i], sizeof a[i]);
    float open = a[41][1] - a[37][1], shut = b[41][1] - b[37][1];
    assert_true(open > 0.08f && shut < 0.3f * open);
}

struct edge {
    int32_t a, b; /* a < b */
    int8_t dir;
};

static int by_ends(const void *x, const void *y)
{
    const struct edge *p = x, *q = y;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return (p->b > q->b) - (p->b < q->b);
}

/* Every edge joins two triangles that run along it in opposite directions,
 * but for the borders: neck (96 edges), lid rims behind the eyeballs' surface
 * (2 x 24) and the two strips of teeth (2 x 36). */
static void closed(void **state)
{
    (void)state;
    struct head_mesh *m = make(NULL);
    size_t n = 3 * (size_t)m->n_triangles;
    struct edge *edges = mem_array(n, sizeof *edges);
    assert_non_null(edges);
    for (int t = 0; t < m->n_triangles; t++)
        for (int k = 0; k < 3; k++) {
            int32_t a = m->triangle[t][k], b = m->triangle[t][(k + 1) % 3];
            assert_true(a >= 0 && a < m->n_vertices && a != b);
            struct edge *e = &edges[3 * t + k];
            e->a = a < b ? a : b;
            e->b = a < b ? b : a;
            e->dir = a < b ? 1 : -1;
        }
    qsort(edges, n, sizeof *edges, by_ends);
    int border = 0, neck = 0;
    for (size_t i = 0; i < n;) {
        size_t j = i + 1;
        while (j < n && by_ends(&edges[i], &edges[j]) == 0)
            j++;
        if (j - i == 1) {
            border++;
            neck += m->vertex[edges[i].a][1] > 1.5f;
        } else {
            assert_int_equal(j - i, 2);
            assert_int_equal(edges[i].dir + edges[i + 1].dir, 0);
        }
        i = j;
    }
    assert_int_equal(neck, 96);
    assert_int_equal(border, 96 + 48 + 72);
    mem_free(edges);
    head_mesh_free(&m);
}

static void points_are_vertices(void **state)
{
    (void)state;
    for (uint64_t s = 0; s < 5; s++) {
        struct head_params p = random_head(s, true);
        struct head_mesh *m = make(&p);
        float pts[LANDMARKS][3];
        struct err e;
        assert_int_equal(head_landmarks(&p, pts, &e), OK);
        for (int i = 0; i < LANDMARKS; i++)
            assert_memory_equal(pts[i], m->vertex[m->landmark[i]],
                                sizeof pts[i]);
        head_mesh_free(&m);
    }
    float mean[LANDMARKS][3], c[3] = {0, 0, 0};
    struct err e;
    assert_int_equal(head_landmarks(NULL, mean, &e), OK);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            c[k] += mean[i][k] / LANDMARKS;
    for (int k = 0; k < 3; k++)
        assert_true(fabsf(c[k]) < 1e-5f);
    /* The unit is the outer-eye distance; the eyes are pushed onto the balls,
     * which moves the corners by less than a hundredth. */
    assert_true(fabs(landmark_outer_eye(mean[0], 3) - 1) < 0.01);
    /* A face: chin below, nose tip in front of all, ears' side behind. */
    assert_true(mean[8][1] > 0.7f && mean[27][1] < -0.3f);
    for (int i = 0; i < LANDMARKS; i++)
        assert_true(mean[30][2] >= mean[i][2]);
    assert_true(mean[16][2] < -0.5f && mean[16][0] > 0.7f);
}

static void outward(const struct head_mesh *m, int t, double n[3])
{
    const float *a = m->vertex[m->triangle[t][0]],
                *b = m->vertex[m->triangle[t][1]],
                *c = m->vertex[m->triangle[t][2]];
    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        n[k] = -(double)((b[i] - a[i]) * (c[j] - a[j]) -
                         (b[j] - a[j]) * (c[i] - a[i]));
    }
}

/* The volume that a part encloses, with the outward normals. */
static double volume(const struct head_mesh *m, int part)
{
    double v = 0;
    for (int t = 0; t < m->n_triangles; t++) {
        double n[3];
        if (m->part[t] != part)
            continue;
        outward(m, t, n);
        for (int k = 0; k < 3; k++)
            v += n[k] * (double)m->vertex[m->triangle[t][0]][k] / 6;
    }
    return v;
}

static void normals_point_out(void **state)
{
    (void)state;
    struct head_mesh *m = make(NULL);
    /* Two eyeballs of radius 12.3 mm in units of 90 mm, a little more for the
     * cornea, a little less for the facets. */
    double ball = 2 * 4.18879 * pow(12.3 / 90, 3), eyes = volume(m, HEAD_EYE);
    assert_true(eyes > 0.93 * ball && eyes < 1.07 * ball);
    assert_true(volume(m, HEAD_EAR) > 0);
    int good = 0, all = 0;
    for (int t = 0; t < m->n_triangles; t++) {
        double n[3], d = 0;
        if (m->part[t] > HEAD_BROW)
            continue;
        outward(m, t, n);
        const float *p = m->vertex[m->triangle[t][0]];
        d = n[0] * (double)p[0] + n[2] * ((double)p[2] + 0.7);
        if (p[1] < -0.9f)
            d += n[1] * ((double)p[1] + 0.6);
        good += d > 0;
        all++;
    }
    assert_true(all > 15000 && good > 0.97 * all);
    head_mesh_free(&m);
}

static void parameters(void **state)
{
    (void)state;
    struct err e;
    struct head_mesh *m = NULL;
    float a[LANDMARKS][3], b[LANDMARKS][3];
    assert_int_equal(head_landmarks(NULL, a, &e), OK);
    for (int i = 0; i < HEAD_IDENTITY + HEAD_EXPRESSION; i++) {
        struct head_params p;
        memset(&p, 0, sizeof p);
        double *v = i < HEAD_IDENTITY ? &p.identity[i]
                                      : &p.expression[i - HEAD_IDENTITY];
        const char *name = i < HEAD_IDENTITY
                               ? head_identity_names[i]
                               : head_expression_names[i - HEAD_IDENTITY];
        *v = 1;
        struct head_mesh *q = make(&p), *z = make(NULL);
        float most = 0;
        for (int k = 0; k < q->n_vertices; k++)
            for (int c = 0; c < 3; c++)
                most = fmaxf(most, fabsf(q->vertex[k][c] - z->vertex[k][c]));
        if (!(most > 0.006f && most < 0.4f)) /* each does something */
            fail_msg("%s moves %g", name, (double)most);
        head_mesh_free(&q);
        head_mesh_free(&z);
        *v = (double)NAN;
        assert_int_equal(head_landmarks(&p, b, &e), ERR_ARG);
        assert_non_null(strstr(e.text, name));
        assert_int_equal(head_mesh_new(&p, &m, &e), ERR_ARG);
        assert_null(m);
    }
    /* A smile goes up and out, an open jaw down. */
    struct head_params p;
    memset(&p, 0, sizeof p);
    p.expression[1] = 1;
    assert_int_equal(head_landmarks(&p, b, &e), OK);
    assert_true(b[54][0] > a[54][0] + 0.02f && b[54][1] < a[54][1] - 0.02f);
    memset(&p, 0, sizeof p);
    p.expression[0] = 1;
    assert_int_equal(head_landmarks(&p, b, &e), OK);
    assert_true(b[66][1] - b[62][1] > 0.15f && b[8][1] > a[8][1] + 0.1f);
    assert_true(fabsf(b[30][1] - a[30][1]) < 1e-6f);
}

static void memory(void **state)
{
    (void)state;
    struct err e;
    struct head_mesh *m;
    int64_t live = mem_live();
    int failed = 0;
    for (uint64_t n = 1; n <= 10; n++) {
        mem_fail_nth(n);
        enum err_code rc = head_mesh_new(NULL, &m, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        failed += hit;
        head_mesh_free(&m);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(failed, 7);
}

static struct render_scene scene_of(uint64_t seed, int size)
{
    struct render_scene s;
    struct rng r;
    memset(&s, 0, sizeof s);
    rng_seed(&r, seed);
    s.head = random_head(seed, false);
    s.scale_px = 0.3 * size;
    s.cx = s.cy = 0.5 * size;
    s.camera = 9;
    s.grain = 1;
    render_look_random(&r, &s.look);
    render_light_random(&r, &s.light);
    s.back = BACK_BOKEH;
    return s;
}

/* The same bytes for the same scene, whatever was drawn before. */
static void same_bytes(void **state)
{
    (void)state;
    enum { S = 72 };
    static uint8_t a[S * S * 3], b[S * S * 3], c[S * S * 3];
    struct render *r, *q;
    struct err e;
    float p[LANDMARKS][3], p2[LANDMARKS][3];
    struct render_scene one = scene_of(1, S), two = scene_of(2, S);
    assert_int_equal(render_new(S, S, 2, &r, &e), OK);
    assert_int_equal(render_draw(r, &one, a, p, &e), OK);
    assert_int_equal(render_draw(r, &two, c, p2, &e), OK);
    assert_int_equal(render_draw(r, &one, c, p2, &e), OK);
    assert_int_equal(render_new(S, S, 2, &q, &e), OK);
    assert_int_equal(render_draw(q, &one, b, p2, &e), OK);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(a, c, sizeof a);
    assert_memory_equal(p, p2, sizeof p);
    assert_int_equal(render_draw(q, &two, b, p2, &e), OK);
    assert_true(memcmp(a, b, sizeof a) != 0);
    render_free(&r);
    render_free(&q);
}

/* Without perspective the points are scale * R * (head - mean) exactly. */
static void points_in_the_picture(void **state)
{
    (void)state;
    enum { S = 64 };
    static uint8_t rgb[S * S * 3];
    struct render *r;
    struct err e;
    float p[LANDMARKS][3], h[LANDMARKS][3], t[LANDMARKS][3];
    struct render_scene s = scene_of(4, S);
    s.camera = 0;
    s.pose_deg[0] = 12;
    s.pose_deg[1] = -25;
    s.pose_deg[2] = 7;
    assert_int_equal(render_new(S, S, 1, &r, &e), OK);
    assert_int_equal(render_draw(r, &s, rgb, p, &e), OK);
    double m[9];
    float mean[3] = {0, 0, 0};
    assert_int_equal(head_landmarks(&s.head, h, &e), OK);
    rotation_from_euler(12, -25, 7, m);
    rotation_about_mean(m, h[0], t[0], LANDMARKS);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            mean[k] += t[i][k] / LANDMARKS;
    for (int i = 0; i < LANDMARKS; i++) {
        const double at[3] = {s.cx, s.cy, 0};
        for (int k = 0; k < 3; k++) {
            double want = at[k] + s.scale_px * (double)(t[i][k] - mean[k]);
            assert_true(fabs(want - (double)p[i][k]) < 1e-4);
        }
    }
    render_free(&r);
}

static void render_errors(void **state)
{
    (void)state;
    static uint8_t rgb[16 * 16 * 3];
    float p[LANDMARKS][3];
    struct render *r;
    struct err e;
    assert_int_equal(render_new(0, 16, 3, &r, &e), ERR_ARG);
    assert_int_equal(render_new(16, 9000, 3, &r, &e), ERR_ARG);
    assert_int_equal(render_new(16, 16, 7, &r, &e), ERR_ARG);
    assert_null(r);
    int64_t live = mem_live();
    int failed = 0;
    for (uint64_t n = 1; n <= 24; n++) {
        mem_fail_nth(n);
        enum err_code rc = render_new(16, 16, 1, &r, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        failed += hit;
        render_free(&r);
        assert_int_equal(mem_live(), live);
    }
    assert_true(failed >= 18 && failed < 24);
    assert_int_equal(render_new(16, 16, 1, &r, &e), OK);
    struct render_scene s = scene_of(1, 16);
    s.scale_px = 0;
    assert_int_equal(render_draw(r, &s, rgb, p, &e), ERR_ARG);
    s = scene_of(1, 16);
    s.pose_deg[1] = (double)NAN;
    assert_int_equal(render_draw(r, &s, rgb, p, &e), ERR_ARG);
    s = scene_of(1, 16);
    s.camera = 0.5;
    assert_int_equal(render_draw(r, &s, rgb, p, &e), ERR_ARG);
    render_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mirror_symmetry),
        cmocka_unit_test(one_eye),
        cmocka_unit_test(closed),
        cmocka_unit_test(points_are_vertices),
        cmocka_unit_test(normals_point_out),
        cmocka_unit_test(parameters),
        cmocka_unit_test(memory),
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(points_in_the_picture),
        cmocka_unit_test(render_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
