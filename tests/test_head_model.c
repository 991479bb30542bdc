/* Linear heads, the position map, and heads as a landmarker sees them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/geom/head_map.h"
#include "lib/geom/head_points.h"
#include "lib/geom/head_sample.h"
#include "lib/geom/rotation.h"

static struct err e;

static struct head_model *own(void)
{
    struct head_model *m = NULL;
    assert_int_equal(head_model_own(&m, &e), OK);
    return m;
}

static double apart(const float a[3], const float b[3])
{
    return sqrt(pow((double)a[0] - (double)b[0], 2) +
                pow((double)a[1] - (double)b[1], 2) +
                pow((double)a[2] - (double)b[2], 2));
}

/* The own head as a model gives the points that the own head itself gives. */
static void test_own(void **state)
{
    (void)state;
    struct head_model *m = own();
    struct head_params p;
    float want[LANDMARKS][3];
    memset(&p, 0, sizeof p);
    p.identity[2] = 1.5;
    p.expression[0] = 0.7; /* jaw_open: no lid moves */
    assert_int_equal(head_landmarks(&p, want, &e), OK);
    assert_int_equal(head_model_check(m, &e), OK);
    int open = head_model_expression(m, "JawOpen");
    assert_int_equal(open, 0);
    assert_int_equal(head_model_expression(m, "no_such"), -1);
    size_t n = (size_t)m->n_vertices * 3;
    for (int i = 0; i < LANDMARKS; i++) {
        float at[3];
        size_t v = (size_t)m->landmark[i];
        for (size_t k = 0; k < 3; k++)
            at[k] = m->mean[v][k] + 1.5F * m->identity[2 * n + 3 * v + k] +
                    0.7F * m->expression[(size_t)open * n + 3 * v + k];
        /* Lids are pushed onto the eyeball there and not here: the width of
         * the face moves them by a few hundredths of a millimetre. */
        assert_true(apart(at, want[i]) < (i >= 36 && i < 48 ? 2e-3 : 1e-5));
    }
    head_model_free(&m);
    assert_null(m);
}

static void test_check(void **state)
{
    (void)state;
    struct head_model *m = own();
    int32_t keep = m->triangle[7][1];
    m->triangle[7][1] = m->n_vertices;
    assert_int_equal(head_model_check(m, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "triangle 7"));
    m->triangle[7][1] = keep;
    m->landmark[3] = -1;
    assert_int_equal(head_model_check(m, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "point 3"));
    m->landmark[3] = 0;
    m->identity[5] = NAN;
    assert_int_equal(head_model_check(m, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "identity: number 5"));
    m->identity[5] = 0;
    m->part[0] = 9;
    assert_int_equal(head_model_check(m, &e), ERR_DATA);
    head_model_free(&m);
    assert_int_equal(head_model_new(3, 1, 0, 0, &m, &e), ERR_ARG);
    assert_int_equal(head_model_new(100, 1, 200, 200, &m, &e), ERR_ARG);
    assert_null(m);
}

/* A model in another frame and unit comes back to where it was. */
static void test_align(void **state)
{
    (void)state;
    struct head_model *m = own(), *want = own();
    double r[9];
    rotation_from_euler(10, -20, 5, r);
    size_t n = (size_t)m->n_vertices * 3;
    float *fields[] = {m->mean[0], m->identity, m->expression};
    size_t count[] = {1, (size_t)m->n_identity, (size_t)m->n_expression};
    for (int f = 0; f < 3; f++)
        for (size_t i = 0; i < count[f] * n; i += 3) {
            double v[3];
            for (size_t k = 0; k < 3; k++)
                v[k] = (double)fields[f][i + k];
            for (size_t k = 0; k < 3; k++)
                fields[f][i + k] =
                    (float)(8.9 * (r[3 * k] * v[0] + r[3 * k + 1] * v[1] +
                                   r[3 * k + 2] * v[2]) +
                            (f ? 0 : 3.5));
        }
    assert_int_equal(head_model_align(m, &e), OK);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        worst =
            fmax(worst, fabs((double)m->mean[0][i] - (double)want->mean[0][i]));
        worst = fmax(worst, fabs((double)m->expression[i] -
                                 (double)want->expression[i]));
    }
    assert_true(worst < 1e-5); /* f32 at coordinates of up to 3 units */
    head_model_free(&m);
    head_model_free(&want);
}

static void test_ray(void **state)
{
    (void)state;
    struct head_model *m = own();
    const float *tip = m->mean[m->landmark[30]];
    const double from[3] = {0, (double)tip[1], -0.5}, dir[3] = {0, 0, 1};
    const double away[3] = {0, -1, 0}, outside[3] = {0, -9, 0};
    struct head_node hit;
    float at[3];
    assert_true(head_model_ray(m, from, dir, 1U << HEAD_MODEL_FACE, &hit));
    head_node_at(&hit, m->mean[0], at);
    assert_true(apart(at, tip) < 1e-3); /* through the nose's tip itself */
    assert_false(head_model_ray(m, outside, away, 7U, &hit));
    head_model_free(&m);
}

/* Every node of the map is a place on the head, its mirror image the node on
 * the other side; lids and lips part, eyes lie on the balls. */
static void test_map(void **state)
{
    (void)state;
    struct head_model *m = own();
    struct head_node *node = mem_calloc(HEAD_MAP_NODES, sizeof *node);
    uint8_t part[HEAD_MAP_NODES];
    int count[HEAD_PARTS] = {0};
    assert_non_null(node);
    assert_int_equal(head_map_own(m, node, &e), OK);
    head_map_parts(part);
    for (int i = 0; i < HEAD_MAP_NODES; i++) {
        float a[3], b[3];
        float sum = 0;
        assert_true(node[i].n > 0);
        for (int k = 0; k < node[i].n; k++)
            sum += node[i].weight[k];
        assert_true(fabsf(sum - 1) < 1e-5F);
        head_node_at(&node[i], m->mean[0], a);
        head_node_at(&node[HEAD_MAP_MIRROR(i)], m->mean[0], b);
        b[0] = -b[0];
        /* Rays may meet an edge from either side: f32 rounding. */
        assert_true(apart(a, b) < 2e-3);
        assert_int_equal(part[i], part[HEAD_MAP_MIRROR(i)]);
        count[part[i]]++;
    }
    assert_int_equal(count[HEAD_EYE], 2 * 5 * 3);
    assert_int_equal(count[HEAD_MOUTH], 9 * 3);
    assert_true(count[HEAD_SKIN] > 1000 && count[HEAD_SCALP] > 200 &&
                count[HEAD_NECK] > 200);
    /* All 68 points lie near a node: nothing of the face is left out. */
    for (int i = 0; i < LANDMARKS; i++) {
        double best = (double)INFINITY;
        for (int k = 0; k < HEAD_MAP_NODES; k++) {
            float a[3];
            head_node_at(&node[k], m->mean[0], a);
            best = fmin(best, apart(a, m->mean[m->landmark[i]]));
        }
        /* Half of the widest cell: of the face, and before the ears. */
        assert_true(best < (i < HEAD_JAW ? 0.09 : 0.06));
    }
    /* Triangles are wound as the head's: before the viewer, in picture axes,
     * of negative area. A few about the nose and lips face away. */
    int32_t(*tri)[3] = mem_array(HEAD_MAP_TRIANGLES, sizeof *tri);
    int right = 0, wrong = 0;
    assert_non_null(tri);
    head_map_triangles(tri);
    for (int t = 0; t < HEAD_MAP_TRIANGLES; t++) {
        float v[3][3];
        for (int k = 0; k < 3; k++)
            head_node_at(&node[tri[t][k]], m->mean[0], v[k]);
        double area = (double)((v[1][0] - v[0][0]) * (v[2][1] - v[0][1]) -
                               (v[1][1] - v[0][1]) * (v[2][0] - v[0][0]));
        if (v[0][2] > -0.2F)
            *(area < 0 ? &right : &wrong) += 1;
    }
    assert_true(right > 1000 && wrong * 20 < right);
    mem_free(tri);
    mem_free(node);
    head_model_free(&m);
}

/* Laid under the own head the map must come to lie where it is from. */
static void test_register(void **state)
{
    (void)state;
    struct head_model *m = own();
    struct head_node *want = mem_calloc(HEAD_MAP_NODES, sizeof *want);
    struct head_node *got = mem_calloc(HEAD_MAP_NODES, sizeof *got);
    assert_true(want && got);
    /* Another head of the same kind: wider, with a longer nose. */
    size_t n = (size_t)m->n_vertices * 3;
    for (size_t i = 0; i < n; i++)
        m->mean[0][i] += 1.5F * m->identity[i] + m->identity[5 * n + i] -
                         m->identity[20 * n + i];
    assert_int_equal(head_map_own(m, want, &e), OK);
    assert_int_equal(head_map_register(m, got, &e), OK);
    uint8_t part[HEAD_MAP_NODES];
    double sum[HEAD_PARTS] = {0}, count[HEAD_PARTS] = {0};
    head_map_parts(part);
    for (int i = 0; i < HEAD_MAP_NODES; i++) {
        float a[3], b[3];
        head_node_at(&want[i], m->mean[0], a);
        head_node_at(&got[i], m->mean[0], b);
        sum[part[i]] += apart(a, b);
        count[part[i]]++;
    }
    /* Closest points slide along the surface by a small part of a cell (0.05
     * to 0.1); at the back nothing tells where a place belongs. */
    assert_true(sum[HEAD_SKIN] / count[HEAD_SKIN] < 0.015);
    assert_true(sum[HEAD_EYE] / count[HEAD_EYE] < 0.01);
    assert_true(sum[HEAD_MOUTH] / count[HEAD_MOUTH] < 0.02);
    assert_true(sum[HEAD_SCALP] / count[HEAD_SCALP] < 0.05);
    mem_free(want);
    mem_free(got);
    head_model_free(&m);
}

static struct head_sample posed(double rx, double ry, double rz, double near)
{
    return (struct head_sample){.pose_deg = {rx, ry, rz},
                                .near = near,
                                .scale_px = 100,
                                .centre_px = {200, 150}};
}

/* Where the jaw is in sight it is marked; where it is turned away, the mark is
 * on the outline: nothing of the row lies farther out, and the surface there
 * stands on edge. */
static void test_contour(void **state)
{
    (void)state;
    struct head_model *m = own();
    struct head_sampler *s = NULL;
    struct head_jaw *jaw = mem_calloc(1, sizeof *jaw);
    assert_non_null(jaw);
    assert_int_equal(head_jaw_find(m, jaw, &e), OK);
    assert_int_equal(head_sampler_new(m, NULL, 0, &s, &e), OK);
    for (int side = -1; side <= 1; side += 2) {
        struct head_sample h = posed(0, 40 * side, 0, 0);
        double r[9];
        head_sampler_pose(s, NULL, NULL, &h, NULL);
        rotation_from_euler(0, 40 * side, 0, r);
        int moved = 0;
        for (int i = 0; i < HEAD_JAW; i++) {
            double shift = (double)(h.clean[i][0] - h.truth[i][0]) * side;
            bool far = side > 0 ? i > 8 : i < 8;
            if (!far)
                assert_true(fabs(shift) < 1e-3);
            else if (i != 7 && i != 9)
                moved += shift > 2;
            assert_true(shift > -1e-3);
            for (int k = 0; k < jaw->n[i] && far; k++) {
                float p[3];
                head_node_at(&jaw->node[i][k], m->mean[0], p);
                double x =
                    200 + 100 * (r[0] * (double)p[0] + r[1] * (double)p[1] +
                                 r[2] * (double)p[2]);
                assert_true((x - (double)h.clean[i][0]) * side < 1e-3);
            }
        }
        assert_true(moved >= 6); /* of 7 far points */
    }
    /* Not turned, the head's outline is its jaw line, or in front of it. */
    struct head_sample h = posed(0, 0, 0, 0);
    head_sampler_pose(s, NULL, NULL, &h, NULL);
    for (int i = 0; i < HEAD_JAW; i++)
        assert_true(hypot((double)(h.clean[i][0] - h.truth[i][0]),
                          (double)(h.clean[i][1] - h.truth[i][1])) < 5);
    head_sampler_free(&s);
    mem_free(jaw);
    head_model_free(&m);
}

/* Axes and signs: where the nose's tip goes in the picture. */
static void test_axes(void **state)
{
    (void)state;
    struct head_model *m = own();
    struct head_sampler *s = NULL;
    assert_int_equal(head_sampler_new(m, NULL, 0, &s, &e), OK);
    struct head_sample at = posed(0, 0, 0, 0), h = posed(0, 30, 0, 0);
    head_sampler_pose(s, NULL, NULL, &at, NULL);
    head_sampler_pose(s, NULL, NULL, &h, NULL);
    assert_true(h.truth[30][0] > at.truth[30][0] + 10); /* +yaw: right */
    h = posed(20, 0, 0, 0);
    head_sampler_pose(s, NULL, NULL, &h, NULL);
    assert_true(h.truth[30][1] < at.truth[30][1] - 5); /* +pitch: up */
    h = posed(0, 0, 20, 0);
    head_sampler_pose(s, NULL, NULL, &h, NULL);
    assert_true(h.truth[27][0] > at.truth[27][0] + 5); /* +roll: clockwise */
    /* A near camera draws the nose larger than what is behind it. */
    h = posed(0, 0, 0, 0.15);
    head_sampler_pose(s, NULL, NULL, &h, NULL);
    float wide = h.truth[35][0] - h.truth[31][0],
          plain = at.truth[35][0] - at.truth[31][0];
    assert_true(wide > 1.03F * plain);
    assert_true(h.truth[16][0] - h.truth[0][0] <
                at.truth[16][0] - at.truth[0][0]);
    head_sampler_free(&s);
    head_model_free(&m);
}

static void test_draw(void **state)
{
    (void)state;
    struct head_model *m = own();
    struct head_node *node = mem_calloc(HEAD_MAP_NODES, sizeof *node);
    float(*map)[3] = mem_array(HEAD_MAP_NODES, sizeof *map);
    struct head_sampler *s = NULL;
    const struct head_range g = {90, 35, 25, 1, 1, 0, 4.5};
    struct head_range exact = g;
    exact.noise = 0;
    assert_true(node && map);
    assert_int_equal(head_map_own(m, node, &e), OK);
    assert_int_equal(head_sampler_new(m, node, HEAD_MAP_NODES, &s, &e), OK);
    assert_int_equal(head_sampler_nodes(s), HEAD_MAP_NODES);
    double far_yaw = 0, noise = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct head_sample a, b;
        struct rng r;
        rng_seed(&r, seed);
        head_sampler_draw(s, &r, &g, &a, map);
        rng_seed(&r, seed);
        head_sampler_draw(s, &r, &g, &b, NULL);
        assert_memory_equal(a.points, b.points, sizeof a.points);
        assert_memory_equal(a.truth, b.truth, sizeof a.truth);
        far_yaw = fmax(far_yaw, fabs(a.pose_deg[1]));
        for (int i = 17; i < LANDMARKS; i++)
            noise += hypot((double)(a.points[i][0] - a.clean[i][0]),
                           (double)(a.points[i][1] - a.clean[i][1])) /
                     a.scale_px / 51 / 300;
        /* The map is the same head as the points. */
        double best = (double)INFINITY;
        for (int i = 0; i < HEAD_MAP_NODES; i++) {
            assert_true(isfinite(map[i][0] + map[i][1] + map[i][2]));
            best = fmin(best, apart(map[i], a.head[30]));
        }
        assert_true(best < 0.08);
        /* Seen by the camera it is where the true points are. */
        float seen[LANDMARKS][3];
        head_sample_see(&a, (const float(*)[3])a.head, LANDMARKS, seen);
        for (int i = 0; i < LANDMARKS; i++)
            assert_true(apart(seen[i], a.truth[i]) < 1e-3); /* f32, to 600 px */
        rng_seed(&r, seed);
        head_sampler_draw(s, &r, &exact, &b, NULL);
        assert_memory_equal(b.points, b.clean, sizeof b.points);
    }
    assert_true(far_yaw > 70 && far_yaw <= 90);
    /* As the landmarker: 2 to 4 % of the outer-eye distance. */
    assert_true(noise > 0.015 && noise < 0.045);
    head_sampler_free(&s);
    mem_free(node);
    mem_free(map);
    head_model_free(&m);
}

/* Blinks go together more often than not; lips shut only over open jaws. */
static void test_mood(void **state)
{
    (void)state;
    struct head_model *m = NULL;
    static const char *const names[] = {"eyeBlink_L", "eyeBlink_R", "jawOpen",
                                        "mouthClose", "mouthLeft"};
    assert_int_equal(head_model_new(100, 1, 0, 5, &m, &e), OK);
    for (int k = 0; k < 5; k++)
        m->name[k] = mem_strdup(names[k]);
    struct head_mood mood;
    struct rng r;
    int blinks = 0, both = 0, open = 0, shut = 0;
    head_mood_learn(m, &mood);
    rng_seed(&r, 3);
    for (int i = 0; i < 4000; i++) {
        float w[5];
        head_mood_draw(&mood, &r, 1, w);
        for (int k = 0; k < 5; k++)
            assert_true(w[k] >= 0 && w[k] <= 1);
        blinks += w[0] > 0;
        both += w[0] > 0 && w[1] > 0;
        open += w[2] > 0.3F;
        shut += w[3] > 0;
        assert_true(w[3] <= w[2]);
        head_mood_draw(&mood, &r, 0, w);
        assert_true(w[0] == 0 && w[2] == 0 && w[4] == 0);
    }
    assert_true(blinks > 400 && blinks < 1600);
    assert_true(both * 10 > blinks * 7);
    assert_true(open > 200 && shut > 50);
    head_model_free(&m);
}

static void test_memory(void **state)
{
    (void)state;
    struct head_model *m = own();
    int64_t live = mem_live();
    for (uint64_t n = 1;; n++) {
        struct head_sampler *s = NULL;
        struct head_model *copy = NULL;
        mem_fail_nth(n);
        enum err_code r = head_sampler_new(m, NULL, 0, &s, &e);
        if (!r)
            r = head_model_own(&copy, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        head_sampler_free(&s);
        head_model_free(&copy);
        assert_int_equal(mem_live(), live);
        if (!hit)
            break;
        assert_int_equal(r, ERR_NOMEM);
    }
    head_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),     cmocka_unit_test(test_check),
        cmocka_unit_test(test_align),   cmocka_unit_test(test_ray),
        cmocka_unit_test(test_map),     cmocka_unit_test(test_register),
        cmocka_unit_test(test_contour), cmocka_unit_test(test_axes),
        cmocka_unit_test(test_draw),    cmocka_unit_test(test_mood),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
