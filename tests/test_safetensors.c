/* Weight files: reading, writing, and everything that must be refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/json.h"
#include "lib/nn/safetensors.h"

/* A file with this header and n data bytes (1, 2, 3, ..). */
static enum err_code parse(const char *header, size_t n, struct safetensors **s,
                           struct err *e)
{
    uint8_t b[4096];
    size_t h = strlen(header);
    assert_true(8 + h + n <= sizeof b);
    for (size_t i = 0; i < 8; i++)
        b[i] = (uint8_t)(h >> (8 * i));
    memcpy(b + 8, header, h);
    for (size_t i = 0; i < n; i++)
        b[8 + h + i] = (uint8_t)(i + 1);
    return safetensors_parse(b, 8 + h + n, "test", s, e);
}

static void refused(const char *header, size_t n, const char *text)
{
    struct err e = {0};
    struct safetensors *s = NULL;
    enum err_code r = parse(header, n, &s, &e);
    if (r != ERR_DATA || !strstr(e.text, text) || !strstr(e.text, "test")) {
        print_error("%s\n-> %d '%s', not '%s'\n", header, r, e.text, text);
        fail();
    }
    assert_null(s);
}

#define T(name, dtype, shape, a, b)                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape                   \
    ",\"data_offsets\":[" a "," b "]}"

static void test_reads(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *s = NULL;
    struct safetensors_entry t;
    assert_int_equal(
        parse(" {" T("b", "I8", "[2]", "8",
                     "10") ","
                           "\"__metadata__\":{\"k\":\"v\\u00e9\\n\"}," T(
                               "a\\/\\ud83d\\ude00", "U8", "[2,4]", "0",
                               "8") "," T("empty", "F32", "[0,7]", "8",
                                          "8") " } ",
              10, &s, &e),
        OK);
    assert_int_equal(safetensors_count(s), 3);
    assert_string_equal(safetensors_at(s, 0).name, "a/\xf0\x9f\x98\x80");
    assert_string_equal(safetensors_meta(s, "k"), "v\xc3\xa9\n");
    assert_null(safetensors_meta(s, "x"));
    assert_true(safetensors_find(s, "b", &t));
    assert_int_equal(t.dtype, DT_COUNT);
    assert_string_equal(t.dtype_word, "I8");
    assert_false(safetensors_find(s, "c", &t));
    struct tensor *x = NULL;
    assert_int_equal(safetensors_tensor(s, "a/\xf0\x9f\x98\x80", &x, &e), OK);
    assert_int_equal(x->shape[1], 4);
    assert_int_equal(tensor_u8(x)[7], 8);
    tensor_free(&x);
    assert_int_equal(safetensors_tensor(s, "empty", &x, &e), OK);
    assert_int_equal(x->count, 0);
    tensor_free(&x);
    assert_int_equal(safetensors_tensor(s, "b", &x, &e), ERR_UNSUPPORTED);
    assert_int_equal(safetensors_tensor(s, "c", &x, &e), ERR_NOTFOUND);
    const int64_t two[] = {2, 4};
    assert_int_equal(
        safetensors_weight(s, "a/\xf0\x9f\x98\x80", 2, two, &x, &e),
        ERR_UNSUPPORTED);
    assert_null(x);
    safetensors_free(&s);
}

static void test_refuses_headers(void **state)
{
    (void)state;
    refused("", 0, "object expected");
    refused("[]", 0, "object expected");
    refused("{", 0, "expected");
    refused("{}x", 0, "more text");
    refused("{}", 1, "after the last tensor");
    refused("{" T("a", "F32", "[2]", "0", "8") "," T("a", "F32", "[1]", "8",
                                                     "12") "}",
            12, "twice");
    refused("{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "4",
                                                     "12") "}",
            12, "overlaps");
    refused("{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "8",
                                                     "12") "}",
            12, "hole");
    refused("{" T("a", "F32", "[2]", "0", "4") "}", 4, "need 8 bytes");
    refused("{" T("a", "F32", "[1]", "4", "0") "}", 4, "outside");
    refused("{" T("a", "F32", "[3]", "0", "12") "}", 8, "outside");
    refused("{" T("a", "Q9", "[1]", "0", "4") "}", 4, "dtype");
    refused("{" T("a", "F32", "[-1]", "0", "4") "}", 4, "whole number");
    refused("{" T("a", "F32", "[1.0]", "0", "4") "}", 4, "whole number");
    refused("{" T("a", "F32", "[01]", "0", "4") "}", 4, "whole number");
    refused("{" T("a", "F32", "[9223372036854775808]", "0", "4") "}", 4,
            "too large");
    refused("{" T("a", "F32", "[4611686018427387904,4]", "0", "0") "}", 0,
            "overflows");
    refused("{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4,
            "dimensions");
    refused("{" T("a", "F32", "[1]", "0", "4,4") "}", 4, "two numbers");
    refused("{" T("a", "F32", "[1,]", "0", "4") "}", 4, "whole number");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "missing");
    refused("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],"
            "\"data_offsets\":[0,4]}}",
            4, "twice");
    refused("{\"a\":{\"x\":[[[[[[[[[[]]]]]]]]]]}}", 4, "unknown key");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "string expected");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "two");
    refused("{\"a\\ud800\":{}}", 0, "surrogate");
    refused("{\"a\\u0000\":{}}", 0, "escape");
    refused("{\"a\xff\":{}}", 0, "UTF-8");
    refused("{\"a\n\":{}}", 0, "control");
    refused("{\"a", 0, "ends inside");
}

static void test_refuses_lengths(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *s = NULL;
    static const uint8_t huge[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t cut[10] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    assert_int_equal(safetensors_parse(huge, 8, "x", &s, &e), ERR_DATA);
    assert_int_equal(safetensors_parse(huge, 7, "x", &s, &e), ERR_DATA);
    assert_int_equal(safetensors_parse(huge, 0, "x", &s, &e), ERR_DATA);
    assert_int_equal(safetensors_parse(cut, 10, "x", &s, &e), ERR_DATA);
    assert_null(s);
    assert_int_not_equal(safetensors_read("/nonexistent/x", &s, &e), OK);
    assert_non_null(strstr(e.text, "/nonexistent/x"));
}

/* No change of a byte or two of a good file may crash or leak. */
static void test_mutations(void **state)
{
    (void)state;
    static const char head[] = "{\"__metadata__\":{\"a\":\"b\"}," T(
        "w", "F32", "[2,2]", "0", "16") "," T("v", "F16", "[3]", "16",
                                              "22") "}";
    uint8_t good[8 + sizeof head - 1 + 22], b[sizeof good];
    memset(good, 0, sizeof good);
    good[0] = (uint8_t)(sizeof head - 1);
    memcpy(good + 8, head, sizeof head - 1);
    int64_t live = mem_live();
    struct rng r;
    rng_seed(&r, 5);
    int fine = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(b, good, sizeof b);
        for (int k = 0; k < 1 + i % 2; k++)
            b[rng_below(&r, sizeof b)] = (uint8_t)rng_u64(&r);
        size_t n = i % 7 ? sizeof b : (size_t)rng_below(&r, sizeof b);
        struct safetensors *s = NULL;
        struct err e = {0};
        enum err_code code = safetensors_parse(b, n, "x", &s, &e);
        assert_true(code == OK || code == ERR_DATA);
        assert_true((code == OK) == (s != NULL));
        fine += code == OK;
        safetensors_free(&s);
        assert_int_equal(mem_live(), live);
    }
    assert_true(fine > 100 && fine < 15000);
}

/* What the file of test_weights holds, read or open. */
static void check_weights(const struct safetensors *s,
                          const struct safetensors_item *items,
                          struct tensor *const *t)
{
    const int64_t shape[2] = {3, 2}, wrong[2] = {2, 3}, flat = 6;
    struct err e = {0};
    assert_string_equal(safetensors_meta(s, "what"), "\"a\\test\"\t");
    struct tensor *w = NULL;
    for (int k = 0; k < 4; k++) {
        assert_int_equal(safetensors_weight(s, items[k].name, 2, shape, &w, &e),
                         OK);
        for (size_t i = 0; i < 6; i++)
            assert_true(tensor_f32(w)[i] == (float)i - 2.5F);
        tensor_free(&w);
        struct tensor *raw = NULL;
        assert_int_equal(safetensors_tensor(s, items[k].name, &raw, &e), OK);
        assert_true(tensor_equal(raw, t[k]));
        tensor_free(&raw);
    }
    assert_int_equal(safetensors_weight(s, "bad \"\n", 2, shape, &w, &e),
                     ERR_DATA);
    assert_non_null(strstr(e.text, "element 4"));
    assert_int_equal(safetensors_weight(s, "half", 2, wrong, &w, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "f32[3,2]"));
    assert_int_equal(safetensors_weight(s, "half", 1, &flat, &w, &e), ERR_DATA);
    assert_null(w);
    for (int k = 0; k < 5; k++) {
        bool fits = !safetensors_fits(s, items[k].name, 2, shape, &e);
        assert_true(fits); /* numbers are not looked at */
    }
    assert_int_equal(safetensors_fits(s, "half", 2, wrong, &e), ERR_DATA);
    assert_int_equal(safetensors_fits(s, "none", 2, shape, &e), ERR_NOTFOUND);
    struct safetensors_entry at = safetensors_at(s, 4);
    assert_string_equal(at.name, "bad \"\n");
    assert_int_equal(at.bytes, 24);
}

static void test_weights(void **state)
{
    (void)state;
    char dir[] = "/tmp/facet-st-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "w.safetensors");
    struct err e = {0};
    const int64_t shape[2] = {3, 2};
    static const enum dtype types[] = {DT_F16, DT_BF16, DT_F32, DT_F64};
    struct tensor *t[5];
    for (int k = 0; k < 4; k++) {
        t[k] = tensor_new(types[k], 2, shape, &e);
        for (size_t i = 0; i < 6; i++) {
            float v = (float)i - 2.5F;
            if (k == 0)
                ((uint16_t *)t[k]->data)[i] = f32_to_f16(v);
            else if (k == 1)
                ((uint16_t *)t[k]->data)[i] = f32_to_bf16(v);
            else if (k == 2)
                tensor_f32(t[k])[i] = v;
            else
                tensor_f64(t[k])[i] = (double)v;
        }
    }
    t[4] = tensor_copy(t[2], &e);
    tensor_f32(t[4])[4] = INFINITY;
    struct safetensors_item items[] = {{"half", t[0]},     {"brain", t[1]},
                                       {"single", t[2]},   {"double", t[3]},
                                       {"bad \"\n", t[4]}, {NULL, NULL}};
    const struct safetensors_pair meta[] = {{"what", "\"a\\test\"\t"},
                                            {NULL, NULL}};
    assert_int_equal(safetensors_write(path, items, meta, &e), OK);
    struct safetensors *s = NULL;
    assert_int_equal(safetensors_read(path, &s, &e), OK);
    check_weights(s, items, t);
    size_t n;
    assert_non_null(safetensors_bytes(s, "half", &n));
    safetensors_free(&s);
    assert_int_equal(safetensors_open(path, &s, &e), OK);
    check_weights(s, items, t);
    assert_null(safetensors_bytes(s, "half", &n));
    struct safetensors *again = safetensors_ref(s);
    safetensors_free(&s);
    assert_null(s);
    /* Another file of this name is another file. */
    struct safetensors_item one[] = {{"other", t[2]}, {NULL, NULL}};
    assert_int_equal(safetensors_write(path, one, NULL, &e), OK);
    check_weights(again, items, t);
    safetensors_free(&again);
    items[1].name = "half";
    assert_int_equal(safetensors_write(path, items, NULL, &e), ERR_ARG);
    for (int k = 0; k < 5; k++)
        tensor_free(&t[k]);
    unlink(path);
    rmdir(dir);
    mem_free(path);
}

static void not_written(const struct safetensors_item *items,
                        const struct safetensors_pair *meta, const char *text)
{
    struct err e = {0};
    assert_int_equal(
        safetensors_write("/nonexistent/x.safetensors", items, meta, &e),
        ERR_ARG);
    if (!strstr(e.text, text) || !strstr(e.text, "/nonexistent/x"))
        fail_msg("'%s' lacks '%s'", e.text, text);
    assert_int_equal(
        safetensors_write("/nonexistent/x.safetensors", items, meta, NULL),
        ERR_ARG);
}

/* What the reader would refuse is not written. */
static void test_writer_refuses(void **state)
{
    (void)state;
    enum { MANY = SAFETENSORS_MAX_TENSORS + 1 };
    struct err e = {0};
    const int64_t two = 2;
    struct tensor *t = tensor_new(DT_F32, 1, &two, &e);
    struct safetensors_item *item = mem_calloc(MANY + 1, sizeof *item);
    struct safetensors_pair *pair = mem_calloc(MANY + 1, sizeof *pair);
    char(*names)[8] = mem_calloc(MANY, sizeof *names), longer[4098];
    assert_true(t && item && pair && names);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        item[i] = (struct safetensors_item){names[i], t};
        pair[i] = (struct safetensors_pair){names[i], "x"};
    }
    not_written(item, NULL, "65537 tensors are more than 65536");
    item[3].name = NULL;
    not_written(item, pair, "65537 texts are more than 4096");
    pair[3].key = NULL;
    item[2].name = "0";
    not_written(item, pair, "tensor '0' is given twice");
    item[2].name = "";
    not_written(item, pair, "cannot be named ''");
    item[2].name = "__metadata__";
    not_written(item, pair, "cannot be named '__metadata__'");
    item[2].name = longer;
    not_written(item, pair, "too long");
    item[2].name = "\xc3";
    not_written(item, pair, "not UTF-8");
    item[2].name = "2";
    pair[2].key = "0";
    not_written(item, pair, "text '0' is given twice");
    pair[2].key = longer;
    not_written(item, pair, "too long");
    pair[2] = (struct safetensors_pair){"2", longer};
    not_written(item, pair, "has over 4096 bytes");
    /* Of tensors that are too large nothing but the size is looked at. */
    struct tensor huge = {.dtype = DT_U8, .bytes = SAFETENSORS_MAX_FILE};
    pair[2].value = "x";
    item[2].tensor = &huge;
    not_written(item, pair, "are too large");
    tensor_free(&t);
    mem_free(item);
    mem_free(pair);
    mem_free(names);
}

/* A file with these bytes. */
static void put_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* safetensors_open and safetensors_read say the same of every cut of a file,
 * and of what is no file. */
static void test_opens_as_it_reads(void **state)
{
    (void)state;
    static const char head[] = "{" T("w", "F32", "[2]", "0", "8") "}";
    uint8_t b[8 + sizeof head - 1 + 8] = {sizeof head - 1};
    char dir[] = "/tmp/facet-st-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "w.safetensors");
    const char *other[] = {dir, "/nonexistent/x"};
    memcpy(b + 8, head, sizeof head - 1);
    int64_t live = mem_live();
    for (size_t n = 0; n <= sizeof b + 2; n++) {
        struct err e = {0}, f = {0};
        struct safetensors *s = NULL, *o = NULL;
        const char *name = n > sizeof b ? other[n - sizeof b - 1] : path;
        if (n <= sizeof b)
            put_file(path, b, n);
        enum err_code r = safetensors_read(name, &s, &e);
        assert_int_equal(safetensors_open(name, &o, &f), r);
        assert_string_equal(e.text, f.text);
        assert_int_equal(r == OK, n == sizeof b);
        assert_int_equal(o != NULL, r == OK);
        safetensors_free(&s);
        safetensors_free(&o);
        assert_int_equal(mem_live(), live);
    }
    unlink(path);
    rmdir(dir);
    mem_free(path);
}

/* Cut while it is open; a pipe, which is read whole. */
static void test_opens_what_changes(void **state)
{
    (void)state;
    static const char head[] = "{" T("w", "F32", "[2]", "0", "8") "}";
    uint8_t b[8 + sizeof head - 1 + 8] = {sizeof head - 1};
    char path[] = "/tmp/facet-st-XXXXXX", name[32];
    const int64_t two = 2;
    struct err e = {0};
    struct safetensors *s = NULL;
    struct tensor *t = NULL;
    memcpy(b + 8, head, sizeof head - 1);
    int fd = mkstemp(path), ends[2];
    assert_true(fd >= 0 && close(fd) == 0);
    put_file(path, b, sizeof b);
    assert_int_equal(safetensors_open(path, &s, &e), OK);
    assert_int_equal(truncate(path, (off_t)sizeof b - 3), 0);
    assert_int_equal(safetensors_weight(s, "w", 1, &two, &t, &e), ERR_DATA);
    assert_null(t);
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, "'w'"));
    safetensors_free(&s);
    unlink(path);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], b, sizeof b), sizeof b);
    assert_int_equal(close(ends[1]), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    assert_int_equal(safetensors_open(name, &s, &e), OK);
    assert_int_equal(safetensors_weight(s, "w", 1, &two, &t, &e), OK);
    tensor_free(&t);
    safetensors_free(&s);
    assert_int_equal(close(ends[0]), 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    int64_t live = mem_live();
    for (uint64_t n = 1;; n++) {
        struct err e = {0};
        struct safetensors *s = NULL;
        mem_fail_nth(n);
        enum err_code r = parse("{\"__metadata__\":{\"a\":\"b\"}," T(
                                    "w", "F32", "[2]", "0", "8") "}",
                                8, &s, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        safetensors_free(&s);
        assert_int_equal(mem_live(), live);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        if (!hit)
            break;
    }
}

static void test_json_nesting(void **state)
{
    (void)state;
    struct json j;
    json_init(&j, "[[[[[[[[[[", 10);
    enum err_code r = OK;
    bool more;
    int depth = 0;
    for (; depth < 10 && !r; depth++) {
        r = json_array(&j, NULL);
        if (!r)
            r = json_element(&j, &more, NULL);
    }
    assert_int_equal(r, ERR_DATA);
    assert_int_equal(depth, JSON_MAX_NESTING + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses_headers),
        cmocka_unit_test(test_refuses_lengths),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_opens_as_it_reads),
        cmocka_unit_test(test_opens_what_changes),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_json_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
