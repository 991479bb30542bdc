/* PyTorch files that lie: trees that are endless to walk, views that reach
 * outside their storage, names, cut files. Real files of PyTorch are compared
 * bit for bit in tests/sh/62-import-torch.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/nn/torch_import.h"

/* A numpy array of one f32, as a tensor that needs no storage. */
#define ARRAY                                                                  \
    "cnumpy.core.numeric\n_frombuffer\n(C\4\0\0\x80\x3f"                       \
    "cnumpy\ndtype\n(S'f4'\nI00\nI01\ntR(K\3S'<'\nNtb(K\1tS'C'\ntR"
/* torch._utils._rebuild_tensor_v2((4 floats), FIRST, SIZES, STRIDES, ..) */
#define DENSE_OF(storage, rest)                                                \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage "Q" rest "tR"
#define STORAGE(elements)                                                      \
    "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n" elements "t"
#define DENSE(rest) DENSE_OF(STORAGE("I4\n"), rest)
#define PUT(b, s) put(b, s, sizeof(s) - 1)

static void put(struct buf *b, const char *s, size_t n)
{
    struct err e;
    assert_int_equal(buf_put(b, s, n, &e), OK);
}

static enum err_code import(const void *p, size_t n, struct torch_import **m,
                            struct err *e)
{
    const struct torch_options o = {0};
    struct torch_file *f = NULL;
    *m = NULL;
    enum err_code r = torch_file_parse(p, n, "test", &f, e);
    if (!r)
        r = torch_import_from(f, &o, false, m, e);
    torch_file_free(&f);
    return r;
}

static void refused(const void *p, size_t n, enum err_code code,
                    const char *text)
{
    struct torch_import *m = NULL;
    struct err e = {0};
    int64_t live = mem_live();
    enum err_code r = import(p, n, &m, &e);
    if (r != code || !strstr(e.text, text) || !strstr(e.text, "'test'"))
        fail_msg("%d '%s', not '%s'", r, e.text, text);
    assert_null(m);
    assert_int_equal(mem_live(), live);
}
#define REFUSED(s, code, text) refused(s, sizeof(s) - 1, code, text)

/* ("x": value) in a dict */
#define ONE(value) "}S'x'\n" value "s."

static void test_takes(void **state)
{
    struct torch_import *m = NULL;
    struct err e = {0};
    (void)state;
    static const char p[] = ONE(ARRAY);
    if (import(p, sizeof p - 1, &m, &e))
        fail_msg("%s", e.text);
    assert_int_equal(m->n, 1);
    assert_string_equal(m->item[0].name, "x");
    assert_true(tensor_f32(m->tensor[0])[0] == 1.0f);
    torch_import_free(&m);
}

static void test_views(void **state)
{
    (void)state;
    /* sound, but the file has no storages */
    REFUSED(ONE(DENSE("K\0(K\4t(K\1t")), ERR_DATA, "no storage '0'");
    REFUSED(ONE(DENSE("K\1(K\4t(K\1t")), ERR_DATA, "outside its storage of 4");
    REFUSED(ONE(DENSE("K\0(K\2t(K\4t")), ERR_DATA, "outside its storage");
    REFUSED(ONE(DENSE("K\0(K\4t(K\1K\1t")), ERR_DATA, "do not agree");
    REFUSED(ONE(DENSE("K\0(I-4\nt(K\1t")), ERR_DATA, "size 0 is no count");
    REFUSED(ONE(DENSE("K\0(K\4t(I-1\nt")), ERR_DATA, "stride 0 is no count");
    REFUSED(ONE(DENSE("I-1\n(K\4t(K\1t")), ERR_DATA, "its offset is no count");
    REFUSED(ONE(DENSE("S'a'\n(K\4t(K\1t")), ERR_DATA, "its offset");
    REFUSED(ONE(DENSE("I9223372036854775807\n(K\4t(K\1t")), ERR_DATA,
            "outside its storage");
    REFUSED(ONE(DENSE("K\0(K\4t(I9223372036854775807\nt")), ERR_DATA,
            "outside its storage");
    /* one element said to be a million million */
    REFUSED(ONE(DENSE("K\0(I1099511627776\nt(K\0t")), ERR_DATA, "too many");
    REFUSED(ONE(DENSE("K\0(I4294967296\nI4294967296\nI4294967296\nt(K\0K\0K\0"
                      "t")),
            ERR_DATA, "overflows");
    REFUSED(ONE(DENSE("K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"
                      "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t")),
            ERR_UNSUPPORTED, "9 dimensions");
    REFUSED(ONE(DENSE_OF(STORAGE("I-1\n"), "K\0(K\4t(K\1t")), ERR_DATA,
            "without a proper size");
    REFUSED(ONE(DENSE_OF(STORAGE("I9223372036854775807\n"), "K\0(K\4t(K\1t")),
            ERR_DATA, "a storage of 9223372036854775807");
    REFUSED(ONE(DENSE_OF("(S'storage'\ncos\nsystem\nS'0'\nS'cpu'\nK\4t",
                         "K\0(K\4t(K\1t")),
            ERR_UNSUPPORTED, "a storage of class os.system");
    REFUSED(ONE("ctorch._utils\n_rebuild_tensor_v2\n(K\1K\0(K\4t(K\1ttR"),
            ERR_DATA, "an int is no storage");
    REFUSED(ONE("ctorch._utils\n_rebuild_tensor_v2\n)R"), ERR_DATA,
            "a tensor of 0 arguments");
    REFUSED(ONE("ctorch._utils\n_rebuild_parameter\n)R"), ERR_DATA,
            "a parameter without a tensor");
    REFUSED(ONE("cnumpy.core.numeric\n_frombuffer\n(C\4\0\0\0\0cos\nsystem\n)R"
                "(K\1tS'C'\ntR"),
            ERR_UNSUPPORTED, "a type that is not handled");
}

static void test_names(void **state)
{
    (void)state;
    REFUSED("}V\x1b[2J\n" ARRAY "s.", ERR_DATA, "control character at byte 0");
    REFUSED("}Va\\u000ab\n" ARRAY "s.", ERR_DATA,
            "control character at byte 1");
    REFUSED("}Va\\u009b\n" ARRAY "s.", ERR_DATA, "control character at byte 1");
    REFUSED("}U\1\xff" ARRAY "s.", ERR_DATA, "not UTF-8");
    REFUSED("}U\1\0" ARRAY "s.", ERR_DATA, "control character");
    REFUSED("}S'__metadata__'\n" ARRAY "s.", ERR_DATA, "__metadata__");
    REFUSED("}S'a.b'\n" ARRAY "sS'a'\n}S'b'\n" ARRAY "ss.", ERR_DATA,
            "'a.b' stands twice");
    struct buf b;
    buf_init(&b, 1 << 20);
    PUT(&b, "}S'");
    for (int i = 0; i < 1025; i++)
        PUT(&b, "n");
    PUT(&b, "'\n" ARRAY "s.");
    refused(b.data, b.len, ERR_DATA, "path of more than 1024 bytes");
    buf_free(&b);
    REFUSED("}.", ERR_NOTFOUND, "there is no tensor");
    REFUSED("K\1.", ERR_NOTFOUND, "there is no tensor");
}

/* Small to store, endless to walk. */
static void test_trees(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 32 << 20);
    /* deep */
    for (int i = 0; i < 100000; i++)
        PUT(&b, "]");
    PUT(&b, ARRAY);
    for (int i = 0; i < 100000; i++)
        PUT(&b, "a");
    PUT(&b, ".");
    refused(b.data, b.len, ERR_DATA, "nest deeper than 64");
    /* in itself: walked once, and empty */
    b.len = 0;
    PUT(&b, "]\x94h\0a(h\0h\0h\0e.");
    refused(b.data, b.len, ERR_NOTFOUND, "there is no tensor");
    /* ten lists in each of ten lists in .. */
    b.len = 0;
    PUT(&b, "]\x94");
    for (int i = 0; i < 40; i++) {
        char more[] = "](h?h?h?h?h?h?h?h?h?h?e\x94";
        for (size_t k = 0; k < sizeof more; k++)
            more[k] = (char)(more[k] == '?' ? i : more[k]);
        put(&b, more, sizeof more - 1);
    }
    PUT(&b, ".");
    refused(b.data, b.len, ERR_DATA, "too many values");
    /* an object of many attributes, many times: each time they are searched */
    b.len = 0;
    PUT(&b, "cm\nC\n)R}(");
    for (int i = 0; i < 100000; i++)
        PUT(&b, "NN");
    PUT(&b, "ub\x94](");
    for (int i = 0; i < 100000; i++)
        PUT(&b, "h\0");
    PUT(&b, "e.");
    refused(b.data, b.len, ERR_DATA, "too many values");
    /* the same parts under many keys: each is looked at by itself */
    b.len = 0;
    PUT(&b, "](");
    for (int i = 0; i < 200000; i++)
        PUT(&b, "N");
    PUT(&b, "e\x94"
            "0}(");
    for (int i = 0; i < 200; i++) {
        char key[32];
        put(&b, key, (size_t)snprintf(key, sizeof key, "S'k%d'\n](h", i));
        PUT(&b, "\0" ARRAY "e");
    }
    PUT(&b, "u.");
    refused(b.data, b.len, ERR_DATA, "too many values");
    buf_free(&b);
}

static struct buf corpus(const char *name)
{
    struct buf b;
    struct err e = {0};
    char path[128];
    snprintf(path, sizeof path, "tests/fuzz/corpus/torch/%s", name);
    if (file_read(path, 1 << 20, &b, &e))
        fail_msg("%s", e.text);
    return b;
}

/* A file that is cut anywhere. */
static void test_cut(void **state)
{
    static const char *const files[] = {"legacy-wrapped", "zip-flat",
                                        "numpy-5"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf b = corpus(files[i]);
        struct torch_import *m = NULL;
        struct err e = {0};
        if (import(b.data, b.len, &m, &e))
            fail_msg("%s: %s", files[i], e.text);
        torch_import_free(&m);
        int64_t live = mem_live();
        for (size_t n = 0; n < b.len; n++) {
            enum err_code r = import(b.data, n, &m, &e);
            if (r != ERR_DATA && r != ERR_UNSUPPORTED)
                fail_msg("%s, %zu bytes: %d '%s'", files[i], n, r, e.text);
            assert_int_equal(mem_live(), live);
        }
        buf_free(&b);
    }
}

static void test_no_memory(void **state)
{
    static const char *const files[] = {"legacy-wrapped", "zip-many", "script"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf b = corpus(files[i]);
        int64_t live = mem_live();
        for (uint64_t n = 1;; n++) {
            struct torch_import *m = NULL;
            struct safetensors *s = NULL;
            struct torch_file *f = NULL;
            struct err e = {0};
            const struct torch_options o = {0};
            mem_fail_nth(n);
            enum err_code r = torch_file_parse(b.data, b.len, "test", &f, &e);
            if (!r)
                r = torch_import_from(f, &o, true, &m, &e);
            if (!r)
                r = torch_import_safetensors(m, &s, &e);
            bool hit = mem_fail_hit();
            mem_fail_nth(0);
            safetensors_free(&s);
            torch_import_free(&m);
            torch_file_free(&f);
            assert_int_equal(mem_live(), live);
            if (r != (hit ? ERR_NOMEM : OK))
                fail_msg("%s, allocation %d: %d '%s'", files[i], (int)n, r,
                         e.text);
            if (!hit)
                break;
        }
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes), cmocka_unit_test(test_views),
        cmocka_unit_test(test_names), cmocka_unit_test(test_trees),
        cmocka_unit_test(test_cut),   cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
