/* FAN against PyTorch's heatmaps, its decoding, and what it refuses. */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/geom/landmarks.h"
#include "lib/models/fan.h"
#include "lib/models/fan_pairs.h"
#include "lib/nn/threads.h"
#include "tests/support/fan_weights.h"

#define MODEL "models/fan1-128.safetensors"
#define GOLDEN "tests/golden/fan.safetensors"
#define SHARED "../shared/models/fan1-128.golden.safetensors"
#define CELLS (FAN_MAP * FAN_MAP)
#define CROP (3 * FAN_SIDE * FAN_SIDE)

/* The issue asks for 1e-4 of the largest magnitude; direct convolution is
 * about 2e-6 away from PyTorch's, Winograd's transforms about 2e-5. */
#define TOLERANCE 1e-4
/* bf16 keeps 8 bits of each number: 0.4 % at each of the 4 x 60 convolutions in
 * a row, which partly cancel. */
#define TOLERANCE_BF16 5e-2

static const struct {
    const char *word;
    struct fan_options o;
} ways[] = {{"exact", {.mode = NN_EXACT}},
            {"fast", {.mode = NN_FAST}},
            {"bf16", {.bf16 = true}},
            {"OpenBLAS", {.path = NN_PATH_BLAS}}};
#define N_WAYS (sizeof ways / sizeof *ways)

static void die(const struct err *e)
{
    print_error("%s\n", e->text);
    fail();
}

static struct safetensors *open_file(const char *path)
{
    struct err e = {0};
    struct safetensors *s = NULL;
    if (safetensors_read(path, &s, &e))
        die(&e);
    return s;
}

static struct fan *fan_with(struct safetensors *w, const struct fan_options *o)
{
    struct err e = {0};
    struct fan *f = NULL;
    if (fan_new(w, o, &f, &e))
        die(&e);
    return f;
}

static struct fan *fan_of(struct safetensors *w, enum nn_mode mode)
{
    return fan_with(w, &(struct fan_options){.mode = mode});
}

static struct tensor *golden(const struct safetensors *s, const char *model,
                             const char *what)
{
    struct err e = {0};
    struct tensor *t = NULL;
    char name[64];
    snprintf(name, sizeof name, "%s.%s", model, what);
    if (safetensors_tensor(s, name, &t, &e))
        die(&e);
    return t;
}

/* The noise of a name, tiled and cut to side x side. */
static void noise_at(const char *name, int side, float *crop)
{
    float *whole = mem_array(CROP, sizeof *whole);
    assert_non_null(whole);
    noise_crop(name, whole);
    for (int i = 0; i < 3 * side * side; i++) {
        int x = i % side % FAN_SIDE, y = i / side % side % FAN_SIDE;
        crop[i] = whole[(i / side / side * FAN_SIDE + y) * FAN_SIDE + x];
    }
    mem_free(whole);
}

/* Largest difference from the goldens of every fourth row and column, of
 * each map's maximum and of its mean, against the largest value. */
static double worst_of(const struct safetensors *g, const char *name,
                       const float *out, int map)
{
    struct tensor *maps = golden(g, name, "maps");
    struct tensor *peak = golden(g, name, "peak");
    struct tensor *sum = golden(g, name, "sum");
    struct tensor *absmax = golden(g, name, "absmax");
    double scale = tensor_get(absmax, 0), worst = 0;
    int q = map / 4;
    assert_int_equal(maps->count, FAN_POINTS * q * q);
    for (int i = 0; i < FAN_POINTS; i++) {
        const float *m = out + i * map * map;
        double total = 0, high = (double)m[0];
        for (int c = 0; c < map * map; c++) {
            total += (double)m[c];
            high = fmax(high, (double)m[c]);
        }
        for (int k = 0; k < q * q; k++) {
            double want = tensor_get(maps, (size_t)(i * q * q + k));
            double have = (double)m[(1 + k / q * 4) * map + 2 + k % q * 4];
            worst = fmax(worst, fabs(want - have) / scale);
        }
        worst = fmax(worst, fabs(high - tensor_get(peak, (size_t)i)) / scale);
        double off = fabs(total - tensor_get(sum, (size_t)i));
        worst = fmax(worst, off / scale / (map * map));
    }
    tensor_free(&maps);
    tensor_free(&peak);
    tensor_free(&sum);
    tensor_free(&absmax);
    return worst;
}

static void compare(struct fan *f, const char *model, int side, size_t way)
{
    struct safetensors *g = open_file(GOLDEN);
    int map = FAN_MAP_OF(side);
    float *in = mem_array(3 * (size_t)(side * side), sizeof *in);
    float *out = mem_array(FAN_POINTS * (size_t)(map * map), sizeof *out);
    struct err e = {0};
    char name[64];
    assert_non_null(in);
    assert_non_null(out);
    noise_at(model, side, in);
    snprintf(name, sizeof name, side == FAN_SIDE ? "%s" : "%s_at%d", model,
             side);
    if (fan_heatmaps_at(f, side, in, 1, false, out, &e))
        die(&e);
    double worst = worst_of(g, name, out, map);
    print_message("%s %s: largest difference %.2g of the largest value\n", name,
                  ways[way].word, worst);
    assert_true(worst < (ways[way].o.bf16 ? TOLERANCE_BF16 : TOLERANCE));
    mem_free(in);
    mem_free(out);
    safetensors_free(&g);
}

static void test_fan1_as_pytorch(void **state)
{
    (void)state;
    struct safetensors *w = open_file(MODEL);
    for (size_t way = 0; way < N_WAYS; way++) {
        if (ways[way].o.bf16 && !nn_has_bf16())
            continue;
        struct fan *f = fan_with(w, &ways[way].o);
        assert_int_equal(fan_info(f).features, 128);
        assert_int_equal(fan_info(f).stacks, 1);
        /* Other sides in between: each has its own plan. */
        static const int sides[] = {256, 192, 320, 192, 256};
        for (size_t i = 0; i < (way < 2 ? 5 : 2); i++)
            compare(f, "fan1_128", sides[i], way);
        fan_free(&f);
    }
    safetensors_free(&w);
}

static void test_fan4_as_pytorch(void **state)
{
    (void)state;
    struct buf b;
    struct safetensors *w = NULL;
    struct err e = {0};
    assert_int_equal(seeded_fan(4, 256, &b), 0);
    if (safetensors_parse(b.data, b.len, "seeded", &w, &e))
        die(&e);
    buf_free(&b);
    for (size_t way = 0; way < N_WAYS; way++) {
        if (ways[way].o.bf16 && !nn_has_bf16())
            continue;
        struct fan *f = fan_with(w, &ways[way].o);
        assert_int_equal(fan_info(f).stacks, 4);
        /* networks.md: 23.82 M */
        assert_int_equal(fan_info(f).parameters / 10000, 2382);
        compare(f, "fan4_256", FAN_SIDE, way);
        fan_free(&f);
    }
    safetensors_free(&w);
}

/* A rendered head, whole maps and decoded points (shared, where present). */
static void test_shared_golden(void **state)
{
    (void)state;
    if (!file_exists(SHARED)) {
        print_message("%s is not here\n", SHARED);
        skip();
    }
    struct err e = {0};
    struct safetensors *g = open_file(SHARED), *w = open_file(MODEL);
    struct fan *f = fan_of(w, NN_EXACT);
    struct tensor *img, *maps, *points;
    assert_int_equal(safetensors_tensor(g, "image", &img, &e), OK);
    assert_int_equal(safetensors_tensor(g, "heatmaps", &maps, &e), OK);
    assert_int_equal(safetensors_tensor(g, "points", &points, &e), OK);
    float *in = mem_array(CROP, sizeof *in);
    float *out = mem_array(FAN_POINTS * CELLS, sizeof *out);
    assert_non_null(in);
    assert_non_null(out);
    for (int i = 0; i < CROP; i++)
        in[i] = (float)tensor_u8(img)[i % 65536 * 3 + i / 65536] / 255.0F;
    assert_int_equal(fan_heatmaps(f, in, 1, false, out, &e), OK);
    double worst = 0, top = 0;
    for (size_t i = 0; i < maps->count; i++) {
        worst = fmax(worst, fabs((double)out[i] - tensor_get(maps, i)));
        top = fmax(top, fabs(tensor_get(maps, i)));
    }
    print_message("rendered head: %.2g of the largest value\n", worst / top);
    assert_true(worst / top < TOLERANCE);
    float xy[FAN_POINTS][2], score[FAN_POINTS];
    fan_decode(out, FAN_CENTROID, xy, score);
    for (size_t i = 0; i < 2 * FAN_POINTS; i++)
        assert_true(fabs((double)xy[i / 2][i % 2] - tensor_get(points, i)) <
                    1e-2);
    mem_free(in);
    mem_free(out);
    tensor_free(&img);
    tensor_free(&maps);
    tensor_free(&points);
    fan_free(&f);
    safetensors_free(&g);
    safetensors_free(&w);
}

static void test_flip_sums_mirrored(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *w = open_file(MODEL);
    struct fan *f = fan_of(w, NN_EXACT);
    float *in = mem_array(2 * CROP, sizeof *in);
    float *out = mem_array(3 * FAN_POINTS * CELLS, sizeof *out);
    assert_non_null(in);
    assert_non_null(out);
    noise_crop("flip", in);
    for (int i = 0; i < CROP; i++)
        in[CROP + i] = in[i / 256 * 256 + 255 - i % 256];
    assert_int_equal(fan_heatmaps(f, in, 2, false, out, &e), OK);
    float *both = out + 2 * FAN_POINTS * CELLS;
    assert_int_equal(fan_heatmaps(f, in, 1, true, both, &e), OK);
    for (int i = 0; i < FAN_POINTS; i++) {
        for (int c = 0; c < CELLS; c++) {
            float a = out[i * CELLS + c];
            float b = out[(FAN_POINTS + landmark_mirror[i]) * CELLS +
                          c / 64 * 64 + 63 - c % 64];
            assert_true(fabsf(both[i * CELLS + c] - (a + b)) < 1e-6F);
        }
        assert_int_equal(fan_mirror_point[i], landmark_mirror[i]);
    }
    mem_free(in);
    mem_free(out);
    fan_free(&f);
    safetensors_free(&w);
}

/* Flip at another side; sides that are none; plans that find no memory. */
static void test_other_sides(void **state)
{
    (void)state;
    enum { side = 64, map = side / 4, crop = 3 * side * side };
    struct err e = {0};
    struct safetensors *w = open_file(MODEL);
    struct fan *f = fan_of(w, NN_EXACT);
    float *in = mem_array(2 * crop, sizeof *in);
    float *out = mem_array(3 * FAN_POINTS * map * map, sizeof *out);
    assert_non_null(in);
    assert_non_null(out);
    noise_at("sides", side, in);
    for (int i = 0; i < crop; i++)
        in[crop + i] = in[i / side * side + side - 1 - i % side];
    assert_int_equal(fan_heatmaps_at(f, side, in, 2, false, out, &e), OK);
    float *both = out + 2 * FAN_POINTS * map * map;
    assert_int_equal(fan_heatmaps_at(f, side, in, 1, true, both, &e), OK);
    for (int i = 0; i < FAN_POINTS * map * map; i++) {
        int p = landmark_mirror[i / map / map];
        float b = out[((FAN_POINTS + p) * map + i / map % map) * map + map - 1 -
                      i % map];
        assert_true(fabsf(both[i] - (out[i] + b)) < 1e-6F);
    }
    static const int bad[] = {-64, 0, 32, 100, FAN_MAX_SIDE + FAN_SIDE_STEP};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fan_heatmaps_at(f, bad[i], in, 1, false, out, &e),
                         ERR_ARG);
    assert_non_null(strstr(e.text, "576"));
    for (uint64_t n = 1;; n += 1 + n / 8) {
        int64_t live = mem_live();
        mem_fail_nth(n);
        enum err_code r = fan_heatmaps_at(f, 128, in, 0, false, out, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        if (!hit) {
            assert_int_equal(r, OK);
            assert_true(n > 100);
            break;
        }
        assert_int_equal(r, ERR_NOMEM);
        assert_int_equal(mem_live(), live);
    }
    mem_free(in);
    mem_free(out);
    fan_free(&f);
    safetensors_free(&w);
}

static void test_decode(void **state)
{
    (void)state;
    float *m = mem_calloc(FAN_POINTS * CELLS, sizeof *m);
    assert_non_null(m);
    float xy[FAN_POINTS][2], score[FAN_POINTS];
    m[10 * 64 + 20] = 1;       /* point 0: alone */
    m[10 * 64 + 21] = 0.5F;    /* more on the right, */
    m[9 * 64 + 20] = 0.25F;    /* and above */
    float *border = m + CELLS; /* point 1: on the border */
    border[0] = 2;
    border[1] = 1;
    float *low = m + 2 * CELLS; /* point 2: all below 0 */
    for (int i = 0; i < CELLS; i++)
        low[i] = -1;
    low[5 * 64 + 7] = -0.5F;
    float *twice = m + 3 * CELLS; /* point 3: two maxima, the first counts */
    twice[100] = twice[3000] = 1;
    fan_decode(m, FAN_QUARTER, xy, score);
    assert_true(xy[0][0] == 4 * 20.25F + 1.5F);
    assert_true(xy[0][1] == 4 * 9.75F + 1.5F);
    assert_true(xy[1][0] == 1.5F && xy[1][1] == 1.5F && score[1] == 2);
    assert_true(score[2] == -0.5F);
    assert_true(xy[3][0] == 4 * 36 + 1.5F && xy[3][1] == 4 * 1 + 1.5F);
    fan_decode(m, FAN_CENTROID, xy, NULL);
    assert_true(fabsf(xy[0][0] - (4 * (20 + 0.5F / 1.75F) + 1.5F)) < 1e-4F);
    assert_true(fabsf(xy[0][1] - (4 * (10 - 0.25F / 1.75F) + 1.5F)) < 1e-4F);
    assert_true(fabsf(xy[1][0] - (4 / 3.0F + 1.5F)) < 1e-4F);
    assert_true(xy[2][0] == 4 * 7 + 1.5F && xy[2][1] == 4 * 5 + 1.5F);
    /* A smaller map: 48 cells a row. */
    memset(m, 0, FAN_POINTS * CELLS * sizeof *m);
    m[48 * 48 + 10 * 48 + 47] = 3; /* point 1, on the right border */
    m[48 * 48 + 10 * 48 + 46] = 1;
    m[67 * 48 * 48 + 30 * 48 + 20] = 1;
    m[67 * 48 * 48 + 31 * 48 + 20] = 0.5F;
    fan_decode_at(m, 48, FAN_QUARTER, xy, score);
    assert_true(xy[1][0] == 4 * 47 + 1.5F && xy[1][1] == 4 * 10 + 1.5F);
    assert_true(xy[67][0] == 4 * 20 + 1.5F && xy[67][1] == 4 * 30.25F + 1.5F);
    fan_decode_at(m, 48, FAN_CENTROID, xy, score);
    assert_true(fabsf(xy[1][0] - (4 * 46.75F + 1.5F)) < 1e-4F);
    assert_true(score[1] == 3 && score[67] == 1);
    mem_free(m);
}

/* Replace the n bytes `from` by `to` in a file's text. */
static void patch(struct buf *b, const char *from, const char *to)
{
    size_t n = strlen(from);
    assert_int_equal(n, strlen(to));
    uint8_t *p = memmem(b->data, b->len, from, n);
    assert_non_null(p);
    memcpy(p, to, n);
}

static void refuse(const char *from, const char *to, enum err_code code,
                   const char *text)
{
    struct buf b;
    struct err e = {0};
    struct safetensors *w = NULL;
    struct fan *f = NULL;
    assert_int_equal(seeded_fan(2, 32, &b), 0);
    patch(&b, from, to);
    assert_int_equal(safetensors_parse(b.data, b.len, "bad", &w, &e), OK);
    assert_int_equal(fan_new(w, &(struct fan_options){0}, &f, &e), code);
    if (!strstr(e.text, text))
        die(&e);
    assert_null(f);
    safetensors_free(&w);
    buf_free(&b);
}

static void test_refuses(void **state)
{
    (void)state;
    refuse("\"m1.b2_3.conv2.weight\"", "\"m1.b2_3.conv2.weighs\"", ERR_NOTFOUND,
           "m1.b2_3.conv2.weight");
    refuse("\"conv_last0.weight\"", "\"conv_last9.weight\"", ERR_DATA,
           "no FAN");
    refuse("\"bn_end1.running_var\":{\"dtype\":\"F32\",\"shape\":[32]",
           "\"bn_end1.running_var\":{\"dtype\":\"F16\",\"shape\":[64]",
           ERR_DATA, "bn_end1.running_var");
    refuse("\"al0.weight\":{\"dtype\":\"F32\",\"shape\":[32,68,1,1]",
           "\"al0.weight\":{\"dtype\":\"F32\",\"shape\":[68,32,1,1]", ERR_DATA,
           "al0.weight");
}

/* Every allocation in turn fails: an error, nothing leaked. */
static void test_no_memory(void **state)
{
    (void)state;
    struct buf b;
    struct safetensors *w = NULL;
    struct err e = {0};
    assert_int_equal(seeded_fan(1, 32, &b), 0);
    assert_int_equal(safetensors_parse(b.data, b.len, "seeded", &w, &e), OK);
    buf_free(&b);
    int64_t live = mem_live();
    uint64_t n = 1;
    for (;; n += 1 + n / 4) { /* the first ones, then ever fewer */
        struct fan *f = NULL;
        mem_fail_nth(n);
        enum err_code r = fan_new(w, &(struct fan_options){0}, &f, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        fan_free(&f);
        assert_int_equal(mem_live(), live);
        if (!hit) {
            assert_int_equal(r, OK);
            break;
        }
        assert_int_equal(r, ERR_NOMEM);
    }
    assert_true(n > 500);
    safetensors_free(&w);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    nn_threads_set(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fan1_as_pytorch),
        cmocka_unit_test(test_fan4_as_pytorch),
        cmocka_unit_test(test_shared_golden),
        cmocka_unit_test(test_flip_sums_mirrored),
        cmocka_unit_test(test_other_sides),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
