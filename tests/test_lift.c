/* The face's frame, putting a head into a picture, the lifting network's
 * sizes and numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/geom/face_frame.h"
#include "lib/geom/head.h"
#include "lib/geom/rotation.h"
#include "lib/models/lift.h"
#include "lib/models/lifter.h"
#include "lib/nn/net.h"

static struct err e;

static void draw_points(float p[LANDMARKS][3])
{
    struct rng r;
    assert_int_equal(head_landmarks(NULL, p, &e), OK);
    rng_seed(&r, 5);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            p[i][k] += (float)(0.05 * rng_normal(&r));
}

/* Moved, enlarged and tilted points look the same in their frame. */
static void test_frame(void **state)
{
    (void)state;
    float ref[LANDMARKS][2], p[LANDMARKS][3], q[LANDMARKS][3];
    struct face_frame a, b;
    assert_int_equal(face_frame_reference(ref, &e), OK);
    draw_points(p);
    double c = 37 * cos(0.6), s = 37 * sin(0.6);
    for (int i = 0; i < LANDMARKS; i++) {
        double x = (double)p[i][0], y = (double)p[i][1];
        q[i][0] = (float)(c * x - s * y + 300);
        q[i][1] = (float)(s * x + c * y - 40);
        q[i][2] = 37 * p[i][2];
    }
    const float(*r)[2] = (const float(*)[2])ref;
    assert_int_equal(face_frame_fit(r, p[0], 3, &a, &e), OK);
    assert_int_equal(face_frame_fit(r, q[0], 3, &b, &e), OK);
    for (int i = 0; i < LANDMARKS; i++) {
        double u[3], v[3], w[3];
        double pi[3] = {(double)p[i][0], (double)p[i][1], (double)p[i][2]};
        double qi[3] = {(double)q[i][0], (double)q[i][1], (double)q[i][2]};
        face_frame_in(&a, pi, u);
        face_frame_in(&b, qi, v);
        face_frame_out(&b, v, w);
        for (int k = 0; k < 3; k++) {
            assert_true(fabs(u[k] - v[k]) < 1e-5); /* f32 points */
            assert_true(fabs(w[k] - qi[k]) < 1e-4);
        }
    }
    /* The same turn of a rotation: roll is the frame's. */
    double m[9], in[9], out[9], rx, ry, rz;
    rotation_from_euler(10, 30, 0.6 * 57.29577951308232, m);
    b.c = cos(0.6);
    b.s = sin(0.6);
    face_frame_turn_in(&b, m, in);
    rotation_to_euler(in, &rx, &ry, &rz);
    assert_true(fabs(rx - 10) + fabs(ry - 30) + fabs(rz) < 1e-9);
    face_frame_turn_out(&b, in, out);
    for (int k = 0; k < 9; k++)
        assert_true(fabs(out[k] - m[k]) < 1e-12);
}

static void test_frame_refuses(void **state)
{
    (void)state;
    float ref[LANDMARKS][2], p[LANDMARKS][2] = {{0}};
    struct face_frame f;
    assert_int_equal(face_frame_reference(ref, &e), OK);
    const float(*r)[2] = (const float(*)[2])ref;
    assert_int_equal(face_frame_fit(r, p[0], 2, &f, &e), ERR_DATA);
    memcpy(p, ref, sizeof p);
    assert_int_equal(face_frame_fit(r, p[0], 2, &f, &e), OK);
    assert_true(fabs(f.scale - 1) < 1e-6 && fabs(f.s) < 1e-6);
    p[3][1] = NAN;
    assert_int_equal(face_frame_fit(r, p[0], 2, &f, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "point 3"));
}

static void test_place(void **state)
{
    (void)state;
    struct face_place want = {.near = 0.1, .scale = 80, .t = {100, 50, 7}};
    struct face_place got;
    float p[LANDMARKS][3], xyz[LANDMARKS][3], again[LANDMARKS][3];
    draw_points(p);
    rotation_from_euler(-5, 35, 10, want.r);
    face_place_at(&want, (const float(*)[3])p, LANDMARKS, xyz);
    /* A camera at 10 units: by hand, for one point. */
    double v[3];
    for (int k = 0; k < 3; k++)
        v[k] = want.r[3 * k] * (double)p[30][0] +
               want.r[3 * k + 1] * (double)p[30][1] +
               want.r[3 * k + 2] * (double)p[30][2];
    assert_true(
        fabs((double)xyz[30][0] - (100 + 80 * v[0] * 10 / (10 - v[2]))) < 1e-3);
    assert_true(fabs((double)xyz[30][2] - (7 + 80 * v[2])) < 1e-3);
    got = (struct face_place){.near = want.near};
    memcpy(got.r, want.r, sizeof got.r);
    assert_int_equal(
        face_place_fit((const float(*)[3])p, (const float(*)[3])xyz, &got, &e),
        OK);
    assert_true(fabs(got.scale - 80) < 1e-3);
    face_place_at(&got, (const float(*)[3])p, LANDMARKS, again);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            assert_true(fabsf(again[i][k] - xyz[i][k]) < 2e-3F);
    memset(p, 0, sizeof p);
    assert_int_equal(
        face_place_fit((const float(*)[3])p, (const float(*)[3])xyz, &got, &e),
        ERR_DATA);
}

static enum err_code build(struct nn_params *ps, const struct lift_spec *spec,
                           struct nn_net **out)
{
    struct nn_graph *g = nn_graph_new(&e);
    const struct nn_options o = {.mode = NN_EXACT};
    struct lift_out node;
    assert_non_null(g);
    struct nn_scope s = nn_scope(g, ps);
    if (lift_net(&s, nn_input(g, 2 * LIFT_POINTS, 1, 1), spec, &node)) {
        nn_output(g, node.points);
        nn_output(g, node.head);
    }
    enum err_code r = nn_plan(g, &o, out, &e);
    nn_graph_free(&g);
    return r;
}

static const float *weights(const struct nn_params *ps, const char *layer,
                            const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return tensor_f32(nn_params_find(ps, name)->value);
}

static void plain_linear(const struct nn_params *ps, const char *layer,
                         const double *x, int in, double *y, int out)
{
    const float *w = weights(ps, layer, "weight"),
                *b = weights(ps, layer, "bias");
    for (int o = 0; o < out; o++) {
        y[o] = (double)b[o];
        for (int i = 0; i < in; i++)
            y[o] += (double)w[o * in + i] * x[i];
    }
}

static void plain_relu(const double *x, double *y, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = x[i] > 0 ? x[i] : 0;
}

/* The network against its definition written out, and its sizes read back
 * from a file. */
static void test_net(void **state)
{
    (void)state;
    enum { W = 24, K = 5, N = 3, OUT = 3 * (LIFT_POINTS + N) };
    const struct lift_spec spec = {
        .width = W, .blocks = 2, .codes = K, .nodes = N};
    struct nn_params *ps = nn_params_new(7, &e);
    struct nn_net *net = NULL;
    float x[2 * LIFT_POINTS], points[3 * LIFT_POINTS], head[OUT];
    double xd[2 * LIFT_POINTS], y[W], a[W], b[W], code[K], want[OUT];
    struct rng r;
    assert_int_equal(build(ps, &spec, &net), OK);
    rng_seed(&r, 1);
    for (int i = 0; i < 2 * LIFT_POINTS; i++) {
        x[i] = (float)rng_normal(&r);
        xd[i] = (double)x[i];
    }
    const float *in[] = {x};
    float *out[] = {points, head};
    assert_int_equal(nn_run(net, in, out, &e), OK);
    plain_linear(ps, "in", xd, 2 * LIFT_POINTS, y, W);
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "block.%d.a", i);
        plain_relu(y, a, W);
        plain_linear(ps, name, a, W, b, W);
        plain_relu(b, b, W);
        name[8] = 'b';
        plain_linear(ps, name, b, W, a, W);
        for (int k = 0; k < W; k++)
            y[k] += a[k];
    }
    plain_relu(y, y, W);
    plain_linear(ps, "points", y, W, want, 3 * LIFT_POINTS);
    for (int i = 0; i < 3 * LIFT_POINTS; i++)
        assert_true(fabs(want[i] - (double)points[i]) < 1e-5); /* f32 sums */
    plain_linear(ps, "code", y, W, code, K);
    plain_linear(ps, "head", code, K, want, OUT);
    for (int i = 0; i < OUT; i++)
        assert_true(fabs(want[i] - (double)head[i]) < 1e-5);

    char path[] = "/tmp/facet-lift-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct safetensors *w = NULL;
    struct lift_spec got;
    assert_int_equal(nn_params_save(ps, path, NULL, &e), OK);
    assert_int_equal(safetensors_read(path, &w, &e), OK);
    assert_int_equal(lift_read(w, &got, &e), OK);
    assert_int_equal(got.width, W);
    assert_int_equal(got.blocks, 2);
    assert_int_equal(got.codes, K);
    assert_int_equal(got.nodes, N);
    safetensors_free(&w);
    unlink(path);
    nn_net_free(&net);
    nn_params_free(&ps);
}

static void test_net_refuses(void **state)
{
    (void)state;
    const struct lift_spec bad[] = {{.width = 0, .codes = 1},
                                    {.width = 4, .blocks = 17, .codes = 1},
                                    {.width = 4, .codes = 0},
                                    {.width = 4, .codes = 1, .nodes = -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct nn_params *ps = nn_params_new(7, &e);
        struct nn_net *net = NULL;
        assert_int_equal(build(ps, &bad[i], &net), ERR_ARG);
        assert_null(net);
        nn_params_free(&ps);
    }
    struct safetensors *w = NULL;
    struct lift_spec spec;
    static const char none[] = "\x08\0\0\0\0\0\0\0{}      ";
    assert_int_equal(safetensors_parse(none, 16, "none", &w, &e), OK);
    assert_int_equal(lift_read(w, &spec, &e), ERR_DATA);
    safetensors_free(&w);
}

static struct safetensors *shipped(void)
{
    struct safetensors *w = NULL;
    assert_int_equal(safetensors_open("models/lift-384.safetensors", &w, &e),
                     OK);
    return w;
}

/* The whole of it on the mean head, turned: pose and depth come back roughly
 * (the network's own error is some 4 % of the outer-eye distance), and a face
 * that is moved and twice as large gives the same, moved. */
static void test_lifter(void **state)
{
    (void)state;
    struct safetensors *w = shipped();
    const struct nn_options o = {.mode = NN_EXACT};
    struct lifter *l = NULL;
    struct lifted a, b;
    struct face_place seen = {.near = 0.05, .scale = 60, .t = {100, 90, 0}};
    float p[LANDMARKS][3], xyz[LANDMARKS][3], far[LANDMARKS][2];
    assert_int_equal(lifter_new(w, &o, &l, &e), OK);
    safetensors_free(&w); /* is not needed any more */
    assert_int_equal(head_landmarks(NULL, p, &e), OK);
    rotation_from_euler(5, 25, -10, seen.r);
    face_place_at(&seen, (const float(*)[3])p, LANDMARKS, xyz);
    assert_int_equal(lifter_lift(l, xyz[0], 3, &a, &e), OK);
    assert_true(fabs(a.yaw - 25) < 5 && fabs(a.pitch - 5) < 5 &&
                fabs(a.roll + 10) < 5);
    double eye = landmark_outer_eye(xyz[0], 3), mean = 0;
    for (int i = 0; i < LANDMARKS; i++) {
        mean += (double)xyz[i][2] / LANDMARKS;
        far[i][0] = 2 * xyz[i][0] + 50;
        far[i][1] = 2 * xyz[i][1] - 7;
    }
    for (int i = 17; i < LANDMARKS; i++)
        assert_true(fabs((double)(a.xyz[i][2] - xyz[i][2]) + mean) < 0.2 * eye);
    assert_int_equal(lifter_lift(l, far[0], 2, &b, &e), OK);
    assert_true(fabs(b.yaw - a.yaw) < 1e-2);
    for (int i = 0; i < LANDMARKS; i++) {
        assert_true(fabsf(b.xyz[i][0] - 2 * a.xyz[i][0] - 50) < 2e-2F);
        assert_true(fabsf(b.xyz[i][1] - 2 * a.xyz[i][1] + 7) < 2e-2F);
        assert_true(fabsf(b.xyz[i][2] - 2 * a.xyz[i][2]) < 2e-2F);
    }
    int n = lifter_nodes(l);
    float(*map)[3] = mem_array((size_t)n, sizeof *map);
    assert_non_null(map);
    lifter_surface(l, &b, map);
    double nearest = 1e9; /* the nose's tip lies on the surface */
    for (int i = 0; i < n; i++)
        nearest = fmin(nearest, hypot((double)(map[i][0] - b.xyz[30][0]),
                                      (double)(map[i][1] - b.xyz[30][1])));
    assert_true(nearest < 0.15 * 2 * eye);
    mem_free(map);
    far[7][0] = NAN;
    assert_int_equal(lifter_lift(l, far[0], 2, &b, &e), ERR_DATA);
    lifter_free(&l);
}

static void test_lifter_refuses(void **state)
{
    (void)state;
    const struct nn_options o = {.mode = NN_EXACT};
    struct safetensors *w = NULL;
    struct lifter *l = NULL;
    assert_int_equal(safetensors_open("models/fan1-128.safetensors", &w, &e),
                     OK);
    assert_int_equal(lifter_new(w, &o, &l, &e), ERR_DATA);
    assert_null(l);
    safetensors_free(&w);
    w = shipped();
    int64_t live = mem_live();
    bool hit = true;
    for (uint64_t nth = 1; hit; nth += nth / 8 + 1) {
        mem_fail_nth(nth);
        enum err_code r = lifter_new(w, &o, &l, &e);
        hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        lifter_free(&l);
        assert_int_equal(mem_live(), live);
    }
    safetensors_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_frame_refuses),
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_net),
        cmocka_unit_test(test_net_refuses),
        cmocka_unit_test(test_lifter),
        cmocka_unit_test(test_lifter_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
