/* Rounding weight files to f16: values, errors told, what stays, refusals. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/safetensors_round.h"

static char path[] = "/tmp/facet-round-XXXXXX";

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int drop_path(void **state)
{
    (void)state;
    return unlink(path);
}

static struct tensor *values(enum dtype type, const double *v, int64_t n)
{
    struct err e = {0};
    const int64_t shape[1] = {n};
    struct tensor *t = tensor_new(type, 1, shape, &e);
    assert_non_null(t);
    for (int64_t i = 0; i < n; i++) {
        if (type == DT_F64)
            tensor_f64(t)[i] = v[i];
        else if (type == DT_F32)
            tensor_f32(t)[i] = (float)v[i];
        else if (type == DT_BF16)
            ((uint16_t *)t->data)[i] = f32_to_bf16((float)v[i]);
        else
            tensor_i64(t)[i] = (int64_t)v[i];
    }
    return t;
}

/* A file of up to four tensors "a", "b", .., which are freed. */
static struct safetensors *file_of(struct tensor **t, size_t n,
                                   const struct safetensors_pair *meta)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct err e = {0};
    struct safetensors *s = NULL;
    struct safetensors_item item[5] = {{0}};
    struct buf b;
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < n; i++)
        item[i] = (struct safetensors_item){names[i], t[i]};
    assert_int_equal(safetensors_encode(&b, item, meta, &e), OK);
    assert_int_equal(safetensors_parse(b.data, b.len, "given", &s, &e), OK);
    buf_free(&b);
    for (size_t i = 0; i < n; i++)
        tensor_free(&t[i]);
    return s;
}

static struct tensor *back(const struct safetensors *s, const char *name)
{
    struct err e = {0};
    struct tensor *t = NULL;
    assert_int_equal(safetensors_tensor(s, name, &t, &e), OK);
    return t;
}

static struct safetensors *read_back(void)
{
    struct err e = {0};
    struct safetensors *s = NULL;
    assert_int_equal(safetensors_read(path, &s, &e), OK);
    return s;
}

static void test_values(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors_rounding told;
    /* f16 next to 1 has steps of 2^-10: half a step goes to the even one. */
    const double a[5] = {1, 1 + 0x1p-11, 1 + 3 * 0x1p-11, -65504, 0};
    const double b[3] = {0x1p-24, 0x1p-26, 0.5}, c[2] = {3, 4};
    struct tensor *t[4] = {values(DT_F32, a, 5), values(DT_F64, b, 3),
                           values(DT_I64, c, 2), values(DT_BF16, c, 2)};
    const struct safetensors_pair meta[] = {
        {"licence", "none"}, {"card", "x.md"}, {NULL, NULL}};
    struct safetensors *s = file_of(t, 4, meta), *r;
    assert_int_equal(safetensors_round(s, NULL, NULL, path, &told, &e), OK);
    assert_int_equal(told.rounded, 3);
    assert_int_equal(told.kept, 1);
    assert_int_equal(told.numbers, 10);
    assert_true(fabs(told.error - 0x1p-11 / (1 + 0x1p-11)) < 1e-12);
    assert_string_equal(told.error_in, "a");
    assert_int_equal(told.small, 2);
    assert_int_equal(told.zeroed, 1);
    assert_true(told.small_error == 0x1p-25);
    assert_string_equal(told.small_in, "b");
    r = read_back();
    static const double want[5] = {1, 1, 1 + 0x1p-9, -65504, 0};
    struct tensor *x = back(r, "a");
    assert_int_equal(x->dtype, DT_F16);
    for (size_t i = 0; i < 5; i++)
        assert_true(tensor_get(x, i) == want[i]);
    tensor_free(&x);
    x = back(r, "c");
    assert_true(x->dtype == DT_I64 && tensor_get(x, 1) == 4);
    tensor_free(&x);
    x = back(r, "d");
    assert_true(x->dtype == DT_F16 && tensor_get(x, 0) == 3);
    tensor_free(&x);
    assert_string_equal(safetensors_at(r, 0).name, safetensors_at(s, 0).name);
    assert_string_equal(safetensors_meta(r, "licence"), "none");
    assert_string_equal(safetensors_meta(r, "card"), "x.md");
    assert_string_equal(safetensors_meta(r, "dtype_of_training"), "f64");
    safetensors_free(&s);
    /* Once more: nothing changes, nor does what is said of training. */
    assert_int_equal(safetensors_round(r, NULL, NULL, path, &told, &e), OK);
    assert_true(told.rounded == 0 && told.kept == 4 && told.error == 0);
    s = read_back();
    assert_string_equal(safetensors_meta(s, "dtype_of_training"), "f64");
    safetensors_free(&s);
    safetensors_free(&r);
}

static void test_keep(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors_rounding told;
    const double v[1] = {1.0 / 3};
    struct tensor *t[2] = {values(DT_F32, v, 1), values(DT_F32, v, 1)};
    struct safetensors *s = file_of(t, 2, NULL), *r;
    const char *const keep[] = {"b", NULL}, *const none[] = {"x", NULL};
    assert_int_equal(safetensors_round(s, keep, NULL, path, &told, &e), OK);
    assert_true(told.rounded == 1 && told.kept == 1);
    r = read_back();
    struct tensor *x = back(r, "b");
    assert_true(x->dtype == DT_F32 && tensor_f32(x)[0] == 1.0F / 3);
    tensor_free(&x);
    assert_int_equal(safetensors_round(s, none, NULL, path, &told, &e),
                     ERR_ARG);
    assert_non_null(strstr(e.text, "no tensor 'x'"));
    safetensors_free(&r);
    safetensors_free(&s);
}

/* What is refused leaves the file that was there. */
static void test_refuses(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors_rounding told;
    /* 65519.996 rounds down, 65520 to infinity. */
    static const struct {
        double v;
        const char *text;
    } cases[] = {{65520, "element 1 is 65520"},
                 {-1e30, "element 1 is -1.00000002e+30"},
                 {(double)NAN, "element 1 is not finite"},
                 {(double)INFINITY, "element 1 is not finite"}};
    const double fine[2] = {0, 65519.996};
    struct tensor *t[1] = {values(DT_F32, fine, 2)};
    struct safetensors *s = file_of(t, 1, NULL);
    assert_int_equal(safetensors_round(s, NULL, NULL, path, &told, &e), OK);
    safetensors_free(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double v[2] = {0, cases[i].v};
        t[0] = values(DT_F32, v, 2);
        s = file_of(t, 1, NULL);
        assert_int_equal(safetensors_round(s, NULL, NULL, path, &told, &e),
                         ERR_DATA);
        assert_non_null(strstr(e.text, cases[i].text));
        assert_non_null(strstr(e.text, "'given': tensor 'a'"));
        safetensors_free(&s);
    }
    const struct safetensors_pair meta[] = {{"facet.checkpoint", "1"},
                                            {NULL, NULL}};
    t[0] = values(DT_F32, fine, 2);
    s = file_of(t, 1, meta);
    assert_int_equal(safetensors_round(s, NULL, NULL, path, &told, &e),
                     ERR_ARG);
    assert_non_null(strstr(e.text, "is a checkpoint"));
    assert_int_equal(safetensors_round(s, NULL, NULL, "/dev/null/x", &told, &e),
                     ERR_ARG);
    safetensors_free(&s);
    s = read_back();
    struct tensor *x = back(s, "a");
    assert_true(tensor_get(x, 1) == SAFETENSORS_F16_LARGEST);
    assert_int_equal(safetensors_round(s, NULL, NULL, "/dev/null/x", &told, &e),
                     ERR_IO);
    tensor_free(&x);
    safetensors_free(&s);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors_rounding told;
    const double v[3] = {1, 2, 3};
    struct tensor *t[2] = {values(DT_F32, v, 3), values(DT_I64, v, 3)};
    struct safetensors *s = file_of(t, 2, NULL);
    int64_t live = mem_live();
    bool hit = true;
    for (uint64_t nth = 1; hit; nth++) {
        mem_fail_nth(nth);
        enum err_code r = safetensors_round(s, NULL, NULL, path, &told, &e);
        hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), live);
    }
    safetensors_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_path, drop_path);
}
