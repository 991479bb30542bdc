/* S3FD's faces: decoding by hand, and whole pictures against PyTorch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/models/s3fd_detector.h"
#include "tests/support/fan_weights.h"
#include "tests/support/model_weights.h"

#define GOLDEN "tests/golden/s3fd.safetensors"
#define WIDTH 4
#define MAX_TENSORS 128
#define MAX_SIDE 160

/* Scores and boxes come from maps that differ by 1e-5 of their largest value
 * (Winograd's more than direct ones), which are about 3; a box at stride 128 is
 * 512 pixels large. */
#define SCORE_TOLERANCE 5e-5
#define BOX_TOLERANCE 2e-3

static void die(const struct err *e)
{
    print_error("%s\n", e->text);
    fail();
}

/* As seeded_s3fd in tests/py/goldens_s3fd.py. */
static void change_weights(struct nn_params *ps)
{
    seed_weights(ps, 1.4142135623730951, 0);
    float *v = tensor_f32(nn_params_find(ps, "conv1_1.weight")->value);
    for (int i = 0; i < WIDTH * 27; i++)
        v[i] /= 64;
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        struct nn_param *p = nn_params_at(ps, i);
        if (text_ends(p->name, "_mbox_conf.bias"))
            tensor_f32(p->value)[p->value->count - 1] -= 0.25F;
    }
}

/* A file of such weights, in memory. */
static struct safetensors *weights(void)
{
    struct err e = {0};
    struct s3fd_level level[S3FD_LEVELS];
    struct safetensors_item item[MAX_TENSORS + 1] = {{0}};
    struct nn_params *ps = nn_params_new(0, &e);
    struct nn_graph *g = nn_graph_new(&e);
    assert_non_null(ps);
    assert_non_null(g);
    struct nn_scope s = nn_scope(g, ps);
    assert_int_equal(s3fd(&s, nn_input(g, 3, 32, 32), WIDTH, level), 0);
    change_weights(ps);
    size_t n = nn_params_count(ps);
    assert_true(n <= MAX_TENSORS);
    for (size_t i = 0; i < n; i++)
        item[i] = (struct safetensors_item){nn_params_at(ps, i)->name,
                                            nn_params_at(ps, i)->value};
    struct buf b;
    buf_init(&b, (size_t)1 << 24);
    struct safetensors *w = NULL;
    if (safetensors_encode(&b, item, NULL, &e) ||
        safetensors_parse(b.data, b.len, "seeded S3FD", &w, &e))
        die(&e);
    buf_free(&b);
    nn_graph_free(&g);
    nn_params_free(&ps);
    return w;
}

/* As picture() there. */
static void picture(int height, int width, int salt, uint8_t *rgb)
{
    char name[48];
    snprintf(name, sizeof name, "s3fd.%dx%d.%d", height, width, salt);
    uint64_t seed = name_seed(name);
    for (int i = 0; i < height * width * 3; i++) {
        int c = i % 3, x = i / 3 % width & ~7, y = i / 3 / width & ~7;
        int block = (y * width + x) * 3 + c;
        int coarse = (int)(hashed_uniform(seed, (uint64_t)block) * 256.0F);
        int fine = (int)(hashed_uniform(seed, (uint64_t)i) * 256.0F);
        rgb[i] = (uint8_t)((3 * coarse + fine) / 4);
    }
}

static struct s3fd_detector *detector(struct safetensors *w,
                                      const struct s3fd_options *o)
{
    struct err e = {0};
    struct s3fd_detector *d = NULL;
    if (s3fd_detector_new(w, o, &d, &e))
        die(&e);
    return d;
}

static const int sizes[][2] = {
    {96, 128}, {97, 131}, {75, 150}, {33, 61}, {20, 47}};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static struct tensor *golden(const struct safetensors *g, size_t size,
                             const char *what)
{
    struct err e = {0};
    struct tensor *t = NULL;
    char name[32];
    snprintf(name, sizeof name, "%dx%d%s", sizes[size][0], sizes[size][1],
             what);
    if (safetensors_tensor(g, name, &t, &e))
        die(&e);
    return t;
}

/* The picture of a size, and what is found in it. */
static const struct scored_box *found(struct s3fd_detector *d,
                                      const struct safetensors *g, size_t size,
                                      size_t *n)
{
    static uint8_t rgb[MAX_SIDE * MAX_SIDE * 3];
    struct err e = {0};
    const struct scored_box *b = NULL;
    struct tensor *salt = golden(g, size, ".salt");
    picture(sizes[size][0], sizes[size][1], (int)tensor_get(salt, 0), rgb);
    tensor_free(&salt);
    if (s3fd_detect(d, rgb, sizes[size][0], sizes[size][1], &b, n, &e))
        die(&e);
    return b;
}

static void compare(struct s3fd_detector *d, const struct safetensors *g,
                    size_t size, double worst[2])
{
    size_t n = 0;
    const struct scored_box *b = found(d, g, size, &n);
    struct tensor *want = golden(g, size, "");
    assert_int_equal(n * 5, want->count);
    for (size_t i = 0; i < want->count; i++) {
        double have =
            (double)(i % 5 < 4 ? b[i / 5].box[i % 5] : b[i / 5].score);
        double off = fabs(have - tensor_get(want, i));
        worst[i % 5 == 4] = fmax(worst[i % 5 == 4], off);
    }
    tensor_free(&want);
}

/* All sizes twice: more than a detector keeps, so that plans go and come. */
static void test_pytorch(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        struct s3fd_options o;
    } ways[] = {{"exact", {.mode = NN_EXACT}},
                {"fast", {.mode = NN_FAST}},
                {"OpenBLAS", {.path = NN_PATH_BLAS}}};
    struct err e = {0};
    struct safetensors *w = weights(), *g = NULL;
    if (safetensors_read(GOLDEN, &g, &e))
        die(&e);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct s3fd_detector *d = detector(w, &ways[i].o);
        double worst[2] = {0};
        for (size_t k = 0; k < 2 * N_SIZES; k++)
            compare(d, g, k % N_SIZES, worst);
        print_message("%s: boxes differ by %.2g pixels, scores by %.2g\n",
                      ways[i].word, worst[0], worst[1]);
        assert_true(worst[0] < BOX_TOLERANCE && worst[1] < SCORE_TOLERANCE);
        s3fd_detector_free(&d);
    }
    safetensors_free(&g);
    safetensors_free(&w);
}

/* A higher threshold gives the first of the faces; without suppression there
 * are more. */
static void test_options(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *w = weights(), *g = NULL;
    if (safetensors_read(GOLDEN, &g, &e))
        die(&e);
    struct s3fd_detector *d = detector(w, &(struct s3fd_options){.keep = 0.53});
    struct tensor *want = golden(g, 0, "");
    size_t n = 0, all = (size_t)want->shape[0];
    found(d, g, 0, &n);
    assert_true(n > 0 && n < all);
    assert_true(tensor_get(want, n * 5 - 1) > 0.53);
    assert_true(tensor_get(want, n * 5 + 4) < 0.53);
    s3fd_detector_free(&d);
    d = detector(w, &(struct s3fd_options){.overlap = 1});
    const struct scored_box *b = found(d, g, 0, &n);
    assert_true(n > all);
    for (size_t i = 1; i < n; i++)
        assert_true(b[i - 1].score >= b[i].score);
    s3fd_detector_free(&d);
    tensor_free(&want);
    safetensors_free(&g);
    safetensors_free(&w);
}

/* One level of maps with one cell that counts. */
static void one_cell(struct s3fd_maps level[S3FD_LEVELS], int at,
                     const float *score, const float *box, int h, int w)
{
    memset(level, 0, S3FD_LEVELS * sizeof *level);
    level[at] = (struct s3fd_maps){score, box, h, w};
}

static void test_decode(void **state)
{
    (void)state;
    struct err e = {0};
    struct s3fd_maps level[S3FD_LEVELS];
    /* Stride 8, 1 x 2 cells. The second: its prior's centre is (12,4), its side
     * 32; 0.5 x 0.1 x 32 to the right and e^(0.2 x ln 2 / 0.2) = 2 times as
     * high. Softmax of (0, ln 3) is 3/4. */
    const float score[4] = {0, 0, -3, logf(3)};
    const float box[8] = {9, 0.5F, 9, 0, 9, 0, 9, logf(2) * 5};
    struct scored_box *b = NULL;
    size_t n = 9;
    one_cell(level, 1, score, box, 1, 2);
    assert_int_equal(s3fd_decode(level, 0.5, &b, &n, &e), OK);
    assert_int_equal(n, 1);
    static const double want[4] = {12 + 1.6 - 16, 4 - 32, 12 + 1.6 + 16,
                                   4 + 32};
    for (int i = 0; i < 4; i++) /* f32 of about 32, log's error times 5 x 64 */
        assert_true(fabs((double)b->box[i] - want[i]) < 1e-4);
    assert_true(fabs((double)b->score - 0.75) < 1e-6);
    mem_free(b);
    assert_int_equal(s3fd_decode(level, 0.01, &b, &n, &e), OK);
    assert_int_equal(n, 2);
    mem_free(b);
    /* As much as the threshold is not enough. */
    const float even[2] = {1, 1}, no[4] = {0};
    one_cell(level, 5, even, no, 1, 1);
    assert_int_equal(s3fd_decode(level, 0.5, &b, &n, &e), OK);
    assert_true(n == 0 && !b);
    assert_int_equal(s3fd_decode(level, 0.4, &b, &n, &e), OK);
    assert_int_equal(n, 1);
    /* Stride 128: centre 64, side 512. */
    assert_true(b->box[0] == -192 && b->box[3] == 320);
    mem_free(b);
}

static void test_decode_refuses(void **state)
{
    (void)state;
    struct err e = {0};
    struct s3fd_maps level[S3FD_LEVELS];
    struct scored_box *b = NULL;
    size_t n = 0;
    const float nan[2] = {0, NAN}, high[2] = {0, 9}, zero[4] = {0};
    const float huge[4] = {0, 0, 0, 4000};
    one_cell(level, 2, nan, zero, 1, 1);
    assert_int_equal(s3fd_decode(level, 0.5, &b, &n, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "stride 16"));
    one_cell(level, 3, high, huge, 1, 1);
    assert_int_equal(s3fd_decode(level, 0.5, &b, &n, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "stride 32"));
    int64_t live = mem_live();
    one_cell(level, 3, high, zero, 1, 1);
    mem_fail_nth(1);
    assert_int_equal(s3fd_decode(level, 0.5, &b, &n, &e), ERR_NOMEM);
    mem_fail_nth(0);
    assert_true(!b && !n && mem_live() == live);
}

static void test_refuses(void **state)
{
    (void)state;
    struct err e = {0};
    struct s3fd_detector *d = NULL;
    struct safetensors *w = weights(), *other = NULL;
    static const struct s3fd_options bad[] = {{.keep = 0.01},
                                              {.keep = 1.5},
                                              {.keep = (double)NAN},
                                              {.overlap = -1},
                                              {.overlap = 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(s3fd_detector_new(w, &bad[i], &d, &e), ERR_ARG);
        assert_null(d);
    }
    const struct s3fd_options usual = {0};
    if (safetensors_open("models/fan1-128.safetensors", &other, &e))
        die(&e);
    assert_int_equal(s3fd_detector_new(other, &usual, &d, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "fan1-128"));
    d = detector(w, &usual);
    const struct scored_box *b = NULL;
    size_t n = 1;
    const uint8_t dot[3] = {0};
    assert_int_equal(s3fd_detect(d, dot, 0, 1, &b, &n, &e), ERR_ARG);
    assert_int_equal(s3fd_detect(d, dot, 1 << 14, 1 << 11, &b, &n, &e),
                     ERR_ARG);
    assert_non_null(strstr(e.text, "2048x16384"));
    s3fd_detector_free(&d);
    safetensors_free(&other);
    safetensors_free(&w);
}

/* Whichever allocation fails, nothing leaks, and the detector goes on. */
static void test_no_memory(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *w = weights();
    static uint8_t rgb[40 * 40 * 3];
    picture(40, 40, 1, rgb);
    int64_t live = mem_live();
    for (uint64_t nth = 1;; nth += nth / 16 + 1) {
        struct s3fd_detector *d = NULL;
        const struct scored_box *b = NULL;
        size_t n = 0;
        mem_fail_nth(nth);
        enum err_code r =
            s3fd_detector_new(w, &(struct s3fd_options){0}, &d, &e);
        bool made = !r;
        if (!r)
            r = s3fd_detect(d, rgb, 40, 40, &b, &n, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        if (hit)
            assert_int_equal(r, ERR_NOMEM);
        if (made)
            assert_int_equal(s3fd_detect(d, rgb, 40, 40, &b, &n, &e), OK);
        s3fd_detector_free(&d);
        assert_int_equal(mem_live(), live);
        if (!hit)
            break;
    }
    safetensors_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),  cmocka_unit_test(test_decode_refuses),
        cmocka_unit_test(test_pytorch), cmocka_unit_test(test_options),
        cmocka_unit_test(test_refuses), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
