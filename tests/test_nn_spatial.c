/* Pooling, resizing, warping, padding, cropping, reshaping: against PyTorch's
 * numbers (tests/py/goldens_spatial.py) in every form that plans use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/nn/threads.h"
#include "tests/support/nn_check.h"

#define GOLDEN "tests/golden/nn-spatial.safetensors"

/* One golden case; what an op takes stands in n[]. */
struct spec {
    const char *name;
    struct nn_shape in;
    int64_t batch;
    int64_t n[6];
    bool flag, other;
};

typedef int (*build_fn)(struct nn_graph *, struct nn_params *, const int *,
                        const void *);

static void check(const struct spec *s, build_fn build, bool rough)
{
    struct nn_check_case c = {.name = s->name,
                              .n_in = 1,
                              .in = {s->in},
                              .batch = s->batch,
                              .build = build,
                              .arg = s,
                              .no_differences = rough};
    nn_check(GOLDEN, &c);
}

#define CHECK_ALL(specs, build, rough)                                         \
    for (size_t i_ = 0; i_ < sizeof(specs) / sizeof *(specs); i_++)            \
    check(&(specs)[i_], build, rough)

/* ---- pooling: n = kernel, stride, pad; flag ceil, other count padding ---- */

static struct nn_pool_spec pool_of(const struct spec *s)
{
    return (struct nn_pool_spec){.kernel = s->n[0],
                                 .stride = s->n[1],
                                 .pad = s->n[2],
                                 .ceil_mode = s->flag,
                                 .count_include_pad = s->other};
}

static int max_pool(struct nn_graph *g, struct nn_params *ps, const int *in,
                    const void *arg)
{
    (void)ps;
    struct nn_pool_spec s = pool_of(arg);
    return nn_max_pool(g, in[0], &s);
}

static int avg_pool(struct nn_graph *g, struct nn_params *ps, const int *in,
                    const void *arg)
{
    (void)ps;
    struct nn_pool_spec s = pool_of(arg);
    return nn_avg_pool(g, in[0], &s);
}

static void test_max_pool(void **state)
{
    (void)state;
    static const struct spec smooth[] = {
        {"max_2", {3, 6, 8}, 1, {2}, false, false},
        {"max_3s2p1", {18, 6, 5}, 1, {3, 2, 1}, false, false},
        {"max_3s2_ceil", {5, 8, 6}, 1, {3, 2, 0}, true, false},
        {"max_3s2p1_ceil", {16, 6, 5}, 1, {3, 2, 1}, true, false},
        {"max_5s1p2", {2, 6, 7}, 2, {5, 1, 2}, false, false},
        {"max_2s3", {3, 8, 9}, 2, {2, 3, 0}, false, false},
        {"max_1", {4, 1, 1}, 2, {1}, false, false},
    };
    static const struct spec ties[] = {
        {"max_ties", {17, 7, 5}, 1, {3, 2, 1}, false, false},
        {"max_ties3", {3, 9, 8}, 1, {3, 2, 1}, false, false},
    };
    CHECK_ALL(smooth, max_pool, false);
    CHECK_ALL(ties, max_pool, true);
}

static void test_avg_pool(void **state)
{
    (void)state;
    static const struct spec specs[] = {
        {"avg_2", {20, 6, 4}, 1, {2}, false, true},
        {"avg_2odd", {3, 7, 9}, 2, {2}, false, true},
        {"avg_3s2p1", {17, 7, 6}, 1, {3, 2, 1}, false, true},
        {"avg_3s2p1_valid", {17, 7, 6}, 1, {3, 2, 1}, false, false},
        {"avg_3s2p1_ceil", {5, 6, 8}, 1, {3, 2, 1}, true, true},
        {"avg_3s2p1_ceil16", {16, 6, 4}, 1, {3, 2, 1}, true, true},
        {"avg_3s2p1_ceil_valid", {16, 6, 4}, 1, {3, 2, 1}, true, false},
        {"avg_4s3_ceil", {4, 9, 8}, 1, {4, 3, 0}, true, true},
        {"avg_7s1", {18, 8, 8}, 1, {7, 1, 0}, false, true},
        {"avg_1", {4, 1, 1}, 3, {1}, false, true},
    };
    CHECK_ALL(specs, avg_pool, false);
}

static int global_avg(struct nn_graph *g, struct nn_params *ps, const int *in,
                      const void *arg)
{
    (void)ps, (void)arg;
    return nn_global_avg_pool(g, in[0]);
}

static int global_max(struct nn_graph *g, struct nn_params *ps, const int *in,
                      const void *arg)
{
    (void)ps, (void)arg;
    return nn_global_max_pool(g, in[0]);
}

static void test_global_pool(void **state)
{
    (void)state;
    static const struct spec avg[] = {
        {"global_avg0", {17, 3, 3}, 2, {0}, false, false},
        {"global_avg1", {3, 5, 6}, 3, {0}, false, false},
        {"global_avg2", {16, 1, 1}, 2, {0}, false, false},
    };
    static const struct spec max[] = {
        {"global_max0", {17, 3, 3}, 2, {0}, false, false},
        {"global_max1", {3, 5, 6}, 3, {0}, false, false},
        {"global_max2", {16, 1, 1}, 2, {0}, false, false},
    };
    static const struct spec ties[] = {
        {"global_max_ties", {18, 3, 4}, 1, {0}, false, false},
    };
    CHECK_ALL(avg, global_avg, false);
    CHECK_ALL(max, global_max, false);
    CHECK_ALL(ties, global_max, true);
}

/* ---- resizing: n = height, width; flag: corners on corners ---- */

static int nearest(struct nn_graph *g, struct nn_params *ps, const int *in,
                   const void *arg)
{
    (void)ps;
    const struct spec *s = arg;
    return nn_resize_nearest(g, in[0], s->n[0], s->n[1]);
}

static int bilinear(struct nn_graph *g, struct nn_params *ps, const int *in,
                    const void *arg)
{
    (void)ps;
    const struct spec *s = arg;
    return nn_resize_bilinear(g, in[0], s->n[0], s->n[1], s->flag);
}

static void test_resize(void **state)
{
    (void)state;
    static const struct spec near[] = {
        {"nearest_x2", {18, 3, 4}, 1, {6, 8}, false, false},
        {"nearest_odd", {3, 5, 7}, 2, {11, 9}, false, false},
        {"nearest_down", {17, 7, 6}, 1, {3, 4}, false, false},
        {"nearest_same", {5, 4, 6}, 1, {4, 6}, false, false},
        {"nearest_short", {1, 14, 2}, 1, {46, 2}, false, false},
        {"nearest_one", {18, 1, 1}, 2, {3, 2}, false, false},
    };
    static const struct spec linear[] = {
        {"linear_x2", {18, 3, 4}, 1, {6, 8}, false, false},
        {"linear_odd", {3, 5, 7}, 1, {11, 9}, false, false},
        {"linear_down", {17, 7, 6}, 1, {3, 2}, false, false},
        {"linear_same", {5, 4, 6}, 1, {4, 6}, false, false},
        {"linear_one", {18, 1, 1}, 2, {3, 2}, false, false},
        {"linear_to_one", {6, 5, 4}, 2, {1, 1}, false, false},
        {"linear_x2_corners", {18, 3, 4}, 1, {6, 8}, true, false},
        {"linear_odd_corners", {3, 5, 7}, 1, {11, 9}, true, false},
        {"linear_down_corners", {17, 7, 6}, 1, {3, 2}, true, false},
        {"linear_same_corners", {5, 4, 6}, 1, {4, 6}, true, false},
        {"linear_one_corners", {18, 1, 1}, 2, {3, 2}, true, false},
        {"linear_to_one_corners", {6, 5, 4}, 2, {1, 1}, true, false},
    };
    CHECK_ALL(near, nearest, false);
    CHECK_ALL(linear, bilinear, false);
}

static int warp(struct nn_graph *g, struct nn_params *ps, const int *in,
                const void *arg)
{
    (void)ps;
    const struct spec *s = arg;
    return nn_grid_sample(g, in[0], in[1], s->flag, s->other);
}

static void test_grid_sample(void **state)
{
    (void)state;
    static const struct spec specs[] = {
        {"warp17_zeros", {17, 4, 3}, 1, {0}, false, false},
        {"warp3_zeros", {3, 4, 5}, 2, {0}, false, false},
        {"warp17_border", {17, 4, 3}, 1, {0}, true, false},
        {"warp3_border", {3, 4, 5}, 2, {0}, true, false},
        {"warp17_zeros_corners", {17, 4, 3}, 1, {0}, false, true},
        {"warp3_zeros_corners", {3, 4, 5}, 2, {0}, false, true},
        {"warp17_border_corners", {17, 4, 3}, 1, {0}, true, true},
        {"warp3_border_corners", {3, 4, 5}, 2, {0}, true, true},
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct nn_check_case c = {.name = specs[i].name,
                                  .n_in = 2,
                                  .in = {specs[i].in, {2, 3, 7}},
                                  .batch = specs[i].batch,
                                  .build = warp,
                                  .arg = &specs[i],
                                  .bf16_tol = -1};
        nn_check(GOLDEN, &c);
    }
}

/* ---- padding: n = kind, top, bottom, left, right; crop, reshape ---- */

static int pad(struct nn_graph *g, struct nn_params *ps, const int *in,
               const void *arg)
{
    (void)ps;
    const struct spec *s = arg;
    return nn_pad(g, in[0], (enum nn_pad_kind)s->n[0], s->n[1], s->n[2],
                  s->n[3], s->n[4]);
}

static int crop(struct nn_graph *g, struct nn_params *ps, const int *in,
                const void *arg)
{
    (void)ps;
    const struct spec *s = arg;
    return nn_crop(g, in[0], s->n[0], s->n[1], s->n[2], s->n[3]);
}

static int flatten(struct nn_graph *g, struct nn_params *ps, const int *in,
                   const void *arg)
{
    (void)ps, (void)arg;
    return nn_flatten(g, in[0]);
}

static int reshape(struct nn_graph *g, struct nn_params *ps, const int *in,
                   const void *arg)
{
    (void)ps;
    const struct spec *s = arg;
    return nn_reshape(g, in[0], s->n[0], s->n[1], s->n[2]);
}

static int mean(struct nn_graph *g, struct nn_params *ps, const int *in,
                const void *arg)
{
    (void)ps, (void)arg;
    return nn_mean(g, in[0]);
}

static void test_pad(void **state)
{
    (void)state;
    enum { ZERO = NN_PAD_ZERO, REFL = NN_PAD_REFLECT, REPL = NN_PAD_REPLICATE };
    static const struct spec specs[] = {
        {"pad_zero", {18, 4, 3}, 1, {ZERO, 1, 2, 3, 0}, false, false},
        {"pad_zero1", {3, 1, 1}, 2, {ZERO, 1, 1, 2, 2}, false, false},
        {"pad_reflect3", {17, 4, 4}, 1, {REFL, 3, 3, 3, 3}, false, false},
        {"pad_reflect1", {16, 4, 3}, 1, {REFL, 1, 1, 1, 1}, false, false},
        {"pad_reflect_uneven", {3, 4, 5}, 2, {REFL, 3, 0, 1, 4}, false, false},
        {"pad_reflect_all", {5, 3, 2}, 2, {REFL, 2, 2, 1, 1}, false, false},
        {"pad_replicate", {17, 3, 4}, 1, {REPL, 2, 1, 0, 3}, false, false},
        {"pad_replicate1", {4, 1, 1}, 2, {REPL, 2, 0, 1, 1}, false, false},
    };
    CHECK_ALL(specs, pad, false);
}

static void test_crop(void **state)
{
    (void)state;
    static const struct spec specs[] = {
        {"crop", {18, 6, 8}, 1, {1, 2, 4, 5}, false, false},
        {"crop_pixel", {5, 6, 4}, 2, {5, 3, 1, 1}, false, false},
        {"crop_all", {17, 3, 4}, 1, {0, 0, 3, 4}, false, false},
    };
    CHECK_ALL(specs, crop, false);
}

static void test_reshape(void **state)
{
    (void)state;
    static const struct spec flat[] = {
        {"flatten", {5, 3, 4}, 3, {0}, false, false},
        {"flatten20", {17, 2, 3}, 2, {0}, false, false},
    };
    static const struct spec shape[] = {
        {"reshape", {12, 2, 3}, 2, {3, 4, 6}, false, false},
        {"reshape_vector", {60, 1, 1}, 2, {5, 3, 4}, false, false},
    };
    static const struct spec means[] = {
        {"mean", {18, 3, 4}, 2, {0}, false, false},
        {"mean_vector", {7, 1, 1}, 3, {0}, false, false},
    };
    CHECK_ALL(flat, flatten, false);
    CHECK_ALL(shape, reshape, false);
    CHECK_ALL(means, mean, false);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_pool),    cmocka_unit_test(test_avg_pool),
        cmocka_unit_test(test_global_pool), cmocka_unit_test(test_resize),
        cmocka_unit_test(test_grid_sample), cmocka_unit_test(test_pad),
        cmocka_unit_test(test_crop),        cmocka_unit_test(test_reshape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
