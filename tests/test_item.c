/* lib/data/tensor and lib/data/item. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/data/item.h"
#include "lib/data/tensor.h"

static void measure_refuses(void **state)
{
    (void)state;
    struct err e;
    size_t n, bytes;
    const int64_t ok[] = {2, 3}, neg[] = {2, -1};
    const int64_t huge[] = {INT64_MAX, INT64_MAX};
    const int64_t huge_empty[] = {INT64_MAX, INT64_MAX, 0};
    const int64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    assert_int_equal(tensor_measure(DT_F32, 2, ok, 24, &n, &bytes, &e), OK);
    assert_int_equal(n, 6);
    assert_int_equal(bytes, 24);
    assert_int_equal(tensor_measure(DT_F32, 2, ok, 23, &n, &bytes, &e),
                     ERR_DATA);
    assert_int_equal(tensor_measure(DT_F32, 2, neg, 99, &n, &bytes, &e),
                     ERR_DATA);
    assert_int_equal(tensor_measure(DT_U8, 2, huge, SIZE_MAX, &n, &bytes, &e),
                     ERR_DATA);
    assert_int_equal(
        tensor_measure(DT_U8, 3, huge_empty, SIZE_MAX, &n, &bytes, &e),
        ERR_DATA);
    assert_int_equal(tensor_measure(DT_U8, 9, nine, 99, &n, &bytes, &e),
                     ERR_DATA);
    assert_int_equal(tensor_measure(DT_U8, -1, nine, 99, &n, &bytes, &e),
                     ERR_DATA);
    assert_int_equal(
        tensor_measure((enum dtype)77, 1, nine, 99, &n, &bytes, &e), ERR_DATA);
    assert_int_equal(tensor_measure(DT_F64, 0, NULL, 8, &n, &bytes, &e), OK);
    assert_int_equal(n, 1);
}

static int released;
static void count_release(void *owner)
{
    released += *(int *)owner;
}

static void references(void **state)
{
    (void)state;
    struct err e;
    int one = 1;
    float data[6] = {1, 2, 3, 4, 5, 6};
    const int64_t shape[] = {2, 3};
    released = 0;
    struct tensor *t =
        tensor_wrap(DT_F32, 2, shape, data, count_release, &one, &e);
    struct tensor *u = tensor_ref(t);
    tensor_free(&t);
    assert_null(t);
    assert_int_equal(released, 0);
    struct tensor *c = tensor_copy(u, &e);
    assert_true(tensor_equal(u, c));
    tensor_f32(c)[5] = 7;
    assert_false(tensor_equal(u, c));
    tensor_free(&u);
    assert_int_equal(released, 1);
    tensor_free(&c);
    tensor_free(&c); /* NULL is fine */
    /* the owner is let go even if the shape is refused */
    const int64_t bad[] = {-2};
    assert_null(tensor_wrap(DT_F32, 1, bad, data, count_release, &one, &e));
    assert_int_equal(released, 2);
}

static void half_floats(void **state)
{
    (void)state;
    /* every half is its own image (nan payloads aside) */
    for (unsigned h = 0; h < 65536; h++) {
        float f = f16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(f16_to_f32(f32_to_f16(f))));
        else
            assert_int_equal(f32_to_f16(f), h);
        float b = bf16_to_f32((uint16_t)h);
        if (!isnan(b))
            assert_int_equal(f32_to_bf16(b), h);
    }
    assert_int_equal(f32_to_f16(1.0f + 0x1.0p-11f), 0x3c00); /* tie to even */
    assert_int_equal(f32_to_f16(1.0f + 0x1.8p-10f), 0x3c02);
    assert_int_equal(f32_to_f16(65519.9f), 0x7bff);
    assert_int_equal(f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(f32_to_f16(-1e-9f), 0x8000);
    assert_int_equal(f32_to_f16(0x1.8p-24f), 2);
    assert_int_equal(f32_to_bf16(1.0f + 0x1.0p-8f), 0x3f80);
    assert_int_equal(f32_to_bf16(1.0f + 0x1.8p-7f), 0x3f82);
}

static struct tensor *sample(void)
{
    const int64_t shape[] = {2, 2};
    struct tensor *t = tensor_new(DT_F32, 2, shape, NULL);
    if (t)
        for (int i = 0; i < 4; i++)
            tensor_f32(t)[i] = (float)i;
    return t;
}

static void fields(void **state)
{
    (void)state;
    struct err e;
    struct item *it = item_new(&e);
    assert_int_equal(item_set_str(it, "name", "abc", &e), OK);
    assert_int_equal(item_set_i64(it, "n", 5, &e), OK);
    assert_int_equal(item_set_f64(it, "x", 2.0, &e), OK);
    assert_int_equal(item_set_bool(it, "b", true, &e), OK);
    assert_int_equal(item_set_nil(it, "z", &e), OK);
    assert_int_equal(item_set_tensor(it, "t", sample(), &e), OK);
    assert_int_equal(it->n, 6);
    assert_string_equal(item_str(it, "name", ""), "abc");
    assert_int_equal(item_i64(it, "x", -1), 2); /* exact, so it converts */
    assert_true(fabs(item_f64(it, "n", 0) - 5) < 1e-12);
    assert_int_equal(item_i64(it, "name", -1), -1);
    assert_true(item_bool(it, "b", false));
    assert_null(item_tensor(it, "name"));
    /* replacing keeps the order; a value may replace its own field */
    assert_int_equal(item_set_str(it, "name", item_str(it, "name", ""), &e),
                     OK);
    assert_string_equal(it->fields[0].name, "name");
    assert_int_equal(item_set_i64(it, "t", 1, &e), OK);
    assert_int_equal(it->n, 6);
    item_drop(it, "n");
    item_drop(it, "nothing");
    assert_int_equal(it->n, 5);
    assert_null(item_get(it, "n"));
    const char *const bad[] = {"",
                               "A",
                               "1a",
                               "a-b",
                               "a b",
                               ("a123456789012345678901234567890123456789"
                                "0123456789")};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(item_set_i64(it, bad[i], 1, &e), ERR_ARG);
        assert_int_equal(item_set_tensor(it, bad[i], sample(), &e), ERR_ARG);
    }
    assert_int_equal(item_set_str(it, "s", "\xff", &e), ERR_ARG);
    char name[16];
    for (int i = 0; it->n < ITEM_MAX_FIELDS; i++) {
        snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(item_set_i64(it, name, i, &e), OK);
    }
    assert_int_equal(item_set_i64(it, "one_more", 1, &e), ERR_ARG);
    item_free(&it);
    item_free(&it);
}

static void children_and_ids(void **state)
{
    (void)state;
    struct err e;
    struct item *p = item_new(&e);
    struct item_id zero = {{0}};
    p->id = item_make_id(&zero, "catalog", "out", 0, NULL);
    assert_int_equal(item_set_tensor(p, "t", sample(), &e), OK);
    struct item *c = item_child(p, &e);
    assert_ptr_equal(item_tensor(c, "t"), item_tensor(p, "t")); /* shared */
    assert_true(item_id_equal(&c->parent, &p->id));
    assert_true(item_id_equal(&c->id, &zero));
    struct item_id a = item_make_id(&p->id, "s", "out", 1, NULL);
    struct item_id b = item_make_id(&p->id, "s", "out", 1, "");
    assert_true(item_id_equal(&a, &b));
    const struct item_id others[] = {
        item_make_id(&p->id, "s", "out", 2, NULL),
        item_make_id(&p->id, "so", "ut", 1, NULL),
        item_make_id(&zero, "s", "out", 1, NULL),
        item_make_id(&p->id, "s", "out", 1, "k"),
    };
    for (size_t i = 0; i < 4; i++)
        assert_false(item_id_equal(&a, &others[i]));
    /* the ids of stored data: a change here would orphan every journal */
    char hex[33];
    item_id_hex(&p->id, hex);
    assert_string_equal(hex, "6af9cd2218d753b96b2f18465a2dd92b");
    struct item_id back;
    assert_true(item_id_from_hex(hex, &back));
    assert_true(item_id_equal(&back, &p->id));
    assert_false(item_id_from_hex("00", &back));
    assert_true(item_seed(p, "a") != item_seed(p, "b"));
    assert_true(item_seed(p, "a") == item_seed(p, "a"));
    char key[200];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = 0;
    item_set_key(p, key);
    assert_true(p->key[0] == '#' && strlen(p->key) == 33);
    item_free(&c);
    item_free(&p);
}

static void comparing(void **state)
{
    (void)state;
    struct err e;
    char why[200];
    struct item *a = item_new(&e), *b = item_new(&e);
    assert_int_equal(item_set_f64(a, "x", 1.0, &e), OK);
    assert_int_equal(item_set_f64(b, "x", 1.0 + 1e-7, &e), OK);
    assert_true(item_equal(a, b, 1e-6, false, why, sizeof why));
    assert_false(item_equal(a, b, 1e-9, false, why, sizeof why));
    assert_non_null(strstr(why, "'x'"));
    b->id.b[3] = 1;
    assert_true(item_equal(a, b, 1e-6, false, why, sizeof why));
    assert_false(item_equal(a, b, 1e-6, true, why, sizeof why));
    struct tensor *t = sample();
    tensor_f32(t)[3] = 3.5f;
    assert_int_equal(item_set_tensor(a, "t", sample(), &e), OK);
    assert_false(item_equal(a, b, 1e-6, false, why, sizeof why));
    assert_int_equal(item_set_tensor(b, "t", t, &e), OK);
    assert_false(item_equal(a, b, 1e-3, false, why, sizeof why));
    assert_non_null(strstr(why, "element 3"));
    item_free(&a);
    item_free(&b);
}

static enum err_code build(struct item **out, struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = item_set_str(it, "name", "abc", e);
    struct tensor *t = rc ? NULL : sample();
    if (!rc && !t)
        rc = ERR_NOMEM;
    if (!rc)
        rc = item_set_tensor(it, "t", t, e);
    if (!rc)
        *out = item_child(it, e);
    if (!rc && !*out)
        rc = ERR_NOMEM;
    item_free(&it);
    return rc;
}

static void alloc_failure(void **state)
{
    (void)state;
    int64_t live = mem_live();
    bool done = false;
    for (uint64_t i = 1; !done && i < 100; i++) {
        struct item *it = NULL;
        struct err e = {0};
        mem_fail_nth(i);
        enum err_code rc = build(&it, &e);
        done = !mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, done ? OK : ERR_NOMEM);
        item_free(&it);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measure_refuses),  cmocka_unit_test(references),
        cmocka_unit_test(half_floats),      cmocka_unit_test(fields),
        cmocka_unit_test(children_and_ids), cmocka_unit_test(comparing),
        cmocka_unit_test(alloc_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
