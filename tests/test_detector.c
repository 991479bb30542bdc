/* The face detector: its loss against the definition and central differences,
 * which cells are faces, boxes there and back, plans of several sizes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/models/detector.h"
#include "lib/nn/threads.h"

#define SIDE 64
#define MID 1 /* the level that most cases look at: stride 16 */
#define CELLS (SIDE / 16 * (SIDE / 16))

static const struct detector_loss_spec spec = {0.25, 2, 1};

static double loss_of(const float *maps, const struct detector_truth *t,
                      int64_t n, float *grad)
{
    return detector_loss(&spec, &detector_level[MID], maps, t, n, SIDE / 16,
                         SIDE / 16, 0.5, grad);
}

static void fill(float *maps, size_t n, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (size_t i = 0; i < n; i++)
        maps[i] = (float)(0.7 * rng_normal(&r));
}

static void test_gradient_is_the_slope(void **state)
{
    (void)state;
    float maps[2 * 5 * CELLS], grad[2 * 5 * CELLS], none[2 * 5 * CELLS];
    const float box[3][4] = {
        {6, 5, 60, 66}, {-4, -6, 40, 50}, {20, 20, 70, 80}};
    const bool ignore[3] = {false, false, true};
    const struct detector_truth t[2] = {{box, ignore, 1},
                                        {box + 1, ignore + 1, 2}};
    fill(maps, 2 * 5 * CELLS, 5);
    (void)loss_of(maps, t, 2, grad);
    int moved = 0;
    for (int i = 0; i < 2 * 5 * CELLS; i++) {
        const float h = 1e-2F;
        float was = maps[i];
        maps[i] = was + h;
        double up = loss_of(maps, t, 2, none);
        maps[i] = was - h;
        double down = loss_of(maps, t, 2, none);
        maps[i] = was;
        double slope = (up - down) / (2 * (double)h);
        /* Third order of a step of 0.01, and f32 in the maps; where smooth L1
         * bends inside the step the slope is between both sides'. */
        assert_true(fabs(slope - (double)grad[i]) < 4e-3);
        moved += fabsf(grad[i]) > 1e-6F;
    }
    assert_true(moved > CELLS); /* boxes have gradients too */
}

/* Cells and what they are, for one face in the middle. */
static void test_which_cells_are_faces(void **state)
{
    (void)state;
    float maps[5 * CELLS] = {0}, grad[5 * CELLS];
    bool no = false, yes = true;
    /* 48 x 48 about (23.5, 23.5), the corner of cells (1,1) and (0,0)+1. */
    const float box[1][4] = {{-0.5F, -0.5F, 47.5F, 47.5F}};
    struct detector_truth t = {box, &no, 1};
    (void)loss_of(maps, &t, 1, grad);
    /* Cell (1,1) has its middle at 23.5: a face; its score is to rise. */
    assert_true(grad[1 * 4 + 1] < 0);
    assert_true(grad[CELLS + 5] != 0 || grad[3 * CELLS + 5] != 0);
    /* (0,1) is 16 px off, a third of the face: left out. */
    assert_true(grad[1 * 4 + 0] == 0);
    /* (3,3) is no face. */
    assert_true(grad[3 * 4 + 3] > 0);
    /* An ignored one: nothing in its middle, nothing to find. */
    t.ignore = &yes;
    (void)loss_of(maps, &t, 1, grad);
    assert_true(grad[5] == 0);
    for (int i = CELLS; i < 5 * CELLS; i++)
        assert_true(grad[i] == 0);
    /* Much too large for this level: that it is seen here is an error. */
    const float large[1][4] = {{-150, -150, 200, 200}};
    t = (struct detector_truth){large, &no, 1};
    (void)loss_of(maps, &t, 1, grad);
    assert_true(grad[5] > 0);
    /* Each size from 9 to 300 is a face of some level, wherever it lies. */
    for (float s = 9; s < 300; s *= 1.07F)
        for (float x = 20; x < 52; x += 3.7F) {
            const float one[1][4] = {
                {x - s / 2, 30 - s / 2, x + s / 2, 30 + s / 2}};
            t = (struct detector_truth){one, &no, 1};
            assert_true(detector_positives(&t, 1, SIDE, SIDE) >= 1);
        }
}

static void test_true_boxes_have_no_loss(void **state)
{
    (void)state;
    float maps[5 * CELLS], grad[5 * CELLS];
    const struct detector_level *l = &detector_level[MID];
    const float box[1][4] = {{3, 4, 53, 66}};
    bool no = false;
    const struct detector_truth t = {box, &no, 1};
    for (int c = 0; c < CELLS; c++) {
        double s = l->stride;
        maps[c] = -30; /* sure that there is none, but in the middle: */
        maps[CELLS + c] = (float)((28 + 0.5) / s - 0.5 - c % 4);
        maps[2 * CELLS + c] = (float)((35 + 0.5) / s - 0.5 - c / 4);
        maps[3 * CELLS + c] = (float)log(50 / l->size);
        maps[4 * CELLS + c] = (float)log(62 / l->size);
    }
    (void)loss_of(maps, &t, 1, grad);
    int faces = 0;
    for (int c = 0; c < CELLS; c++) {
        if (!(grad[c] < -1e-3F))
            continue;
        faces++;
        maps[c] = 30;
        float v[4], got[4];
        for (int k = 0; k < 4; k++)
            v[k] = maps[(k + 1) * CELLS + c];
        detector_box(l, c % 4, c / 4, v, got);
        for (int k = 0; k < 4; k++)
            assert_true(fabsf(got[k] - box[0][k]) < 1e-3F);
    }
    assert_true(faces >= 1);
    assert_true(loss_of(maps, &t, 1, grad) < 1e-6);
}

static void test_threads_same_bits(void **state)
{
    (void)state;
    float maps[6 * 5 * CELLS], a[6 * 5 * CELLS], b[6 * 5 * CELLS];
    const float box[1][4] = {{3, 4, 53, 66}};
    bool no = false;
    struct detector_truth t[6];
    for (int i = 0; i < 6; i++)
        t[i] = (struct detector_truth){box, &no, i % 2};
    fill(maps, 6 * 5 * CELLS, 9);
    nn_threads_set(1);
    double one = loss_of(maps, t, 6, a);
    nn_threads_set(3);
    double three = loss_of(maps, t, 6, b);
    nn_threads_set(0);
    assert_true(one == three);
    assert_memory_equal(a, b, sizeof a);
}

/* Maps with one strong cell a face: one box each, in the right order. */
static void test_decode(void **state)
{
    (void)state;
    struct err e = {0};
    float m0[5 * 64], m1[5 * 16], m2[5 * 4];
    struct scored_box out[8];
    size_t n = 99;
    for (int i = 0; i < 5 * 64; i++)
        m0[i] = i < 64 ? -9 : 0;
    for (int i = 0; i < 5 * 16; i++)
        m1[i] = i < 16 ? -9 : 0;
    for (int i = 0; i < 5 * 4; i++)
        m2[i] = i < 4 ? -9 : 0;
    const float *const maps[3] = {m0, m1, m2};
    assert_int_equal(detector_decode(maps, 64, 64, 0.3, out, 8, &n, &e), OK);
    assert_int_equal(n, 0);
    m0[10] = 1; /* cell (2,1): 24 px about (19.5, 11.5) */
    m0[11] = 2; /* beside it: overlaps by half, and is surer */
    m0[60] = 0; /* cell (4,7): elsewhere, 0.5 */
    m1[5] = NAN;
    assert_int_equal(detector_decode(maps, 64, 64, 0.3, out, 8, &n, &e), OK);
    assert_int_equal(n, 2);
    assert_true(fabsf(out[0].score - 0.880797F) < 1e-5F); /* sigmoid(2) */
    assert_true(out[0].box[0] == 15.5F && out[0].box[1] == -0.5F &&
                out[0].box[2] == 39.5F && out[0].box[3] == 23.5F);
    assert_true(out[1].score == 0.5F);
    assert_int_equal(detector_decode(maps, 64, 64, 0.3, out, 1, &n, &e), OK);
    assert_int_equal(n, 1);
    assert_true(out[0].score > 0.8F);
}

/* Random weights from a file: sizes planned and given up, the same answer for
 * the same picture whatever was looked at in between. */
static void test_plans_of_several_sizes(void **state)
{
    (void)state;
    struct err e = {0};
    int level[DETECTOR_LEVELS];
    struct nn_params *ps = nn_params_new(3, &e);
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_scope s = nn_scope(g, ps);
    assert_true(detector_net(&s, nn_input(g, 3, 64, 64), 4, level));
    nn_graph_free(&g);
    char path[] = "/tmp/facet-detector-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(nn_params_save(ps, path, NULL, &e), OK);
    struct safetensors *w = NULL;
    assert_int_equal(safetensors_read(path, &w, &e), OK);
    unlink(path);
    struct detector *d = NULL;
    const struct nn_options o = {.mode = NN_EXACT};
    assert_int_equal(detector_new(w, &o, &d, &e), OK);
    safetensors_free(&w);
    float *picture = mem_array(3 * 320 * 320, sizeof *picture);
    fill(picture, 3 * 320 * 320, 1);
    struct scored_box first[50], again[50];
    size_t n, m;
    assert_int_equal(detector_find(d, picture, 64, 96, 0.1, first, 50, &n, &e),
                     OK);
    assert_true(n > 0);
    for (int64_t side = 32; side <= 320; side += 32)
        assert_int_equal(
            detector_find(d, picture, side, 64, 0.1, again, 50, &m, &e), OK);
    assert_int_equal(detector_find(d, picture, 64, 96, 0.1, again, 50, &m, &e),
                     OK);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(&first[i], &again[i], sizeof first[i]);
    assert_int_equal(detector_find(d, picture, 60, 64, 0.1, again, 50, &m, &e),
                     ERR_ARG);
    mem_free(picture);
    detector_free(&d);
    nn_params_free(&ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_is_the_slope),
        cmocka_unit_test(test_which_cells_are_faces),
        cmocka_unit_test(test_true_boxes_have_no_loss),
        cmocka_unit_test(test_threads_same_bits),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_plans_of_several_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
