/* Recipes: the text, its hash, differences, sinks, and the identity of
 * programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/hash.h"
#include "lib/data/recipe.h"

static void test_hash(void **state)
{
    struct err e = {0};
    struct buf b;
    char one[RECIPE_HASH], two[RECIPE_HASH];
    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(recipe_put(&b, "b.x", "5", NULL, &e), OK);
    assert_int_equal(recipe_put(&b, "a.model", "00ff", "points\t1\n%", &e), OK);
    assert_int_equal(recipe_sort((char *)b.data, b.len, &e), OK);
    assert_int_equal(buf_puts(&b, "", &e), OK);
    assert_string_equal(buf_str(&b),
                        "a.model\t00ff\tpoints%091%0a%25\nb.x\t5\n");
    recipe_hash(buf_str(&b), one);
    assert_int_equal(strlen(one), 32);
    /* what a person calls it does not count, all else does */
    recipe_hash("a.model\t00ff\tmoved\nb.x\t5\n", two);
    assert_string_equal(one, two);
    recipe_hash("a.model\t00fe\tmoved\nb.x\t5\n", two);
    assert_string_not_equal(one, two);
    recipe_hash("a.model\t00ff\nb.x\t50\n", two);
    assert_string_not_equal(one, two);
    recipe_hash("a.model\t00ff\nb.x5\t\n", two);
    assert_string_not_equal(one, two);
    recipe_hash("", two);
    assert_string_equal(two, "");
    buf_free(&b);
}

static void test_differ(void **state)
{
    static const char *const cases[][3] = {
        {"", "", ""},
        {"", "a.x\t1\n", "unknown"},
        {"a.x\t1\n", "a.x\t1\n", ""},
        {"a.x\t1\tone\n", "a.x\t1\tuno\n", ""},
        {"a.x\t1\n", "a.x\t2\n", "a.x: 1 -> 2"},
        {"p.model\tf0\tm1\n", "p.model\tf1\tm2\n", "p.model: m1 -> m2"},
        {"p.model\tf0\tm1\n", "p.model\tf1\tm1\n", "p.model: another m1"},
        {"a.x\t1\n", "a.x\t1\nb.y\t2\n", "b.y: (none) -> 2"},
        {"a.x\t1\nb.y\t2\n", "b.y\t2\n", "a.x: 1 -> (none)"},
        {"a.x\t1\na.x-y\t1\nb\t1\nc\t1\n", "a.x\t2\na.x-y\t2\nb\t2\nc\t2\n",
         "a.x: 1 -> 2, a.x-y: 1 -> 2 and 2 more"},
    };
    char out[200];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(
            recipe_differ(cases[i][0], cases[i][1], out, sizeof out),
            cases[i][2]);
    /* a short room is not overrun */
    for (size_t n = 1; n < 60; n++) {
        memset(out, '#', sizeof out);
        recipe_differ(cases[9][0], cases[9][1], out, n);
        assert_true(strlen(out) < n);
        assert_int_equal(out[n], '#');
    }
}

static void test_sinks(void **state)
{
    struct recipe_sink a = {"store", "ab12",    "settings-0",
                            "keep",  "samples", "o/x y"},
                       b = {"sheets", "", "s", "", "", "/o"}, got;
    struct err e = {0};
    struct buf t;
    (void)state;
    buf_init(&t, 4096);
    assert_int_equal(recipe_sink_put(&t, &a, &e), OK);
    assert_int_equal(recipe_sink_put(&t, &b, &e), OK);
    const char *p = buf_str(&t);
    assert_true(recipe_sink_next(&p, &got));
    assert_string_equal(got.name, "store");
    assert_string_equal(got.recipe, "ab12");
    assert_string_equal(got.apart, "settings-0");
    assert_string_equal(got.other, "keep");
    assert_string_equal(got.rows, "samples");
    assert_string_equal(got.root, "o/x y");
    assert_true(recipe_sink_next(&p, &got));
    assert_string_equal(got.other, "");
    assert_string_equal(got.rows, "");
    assert_string_equal(got.root, "/o");
    assert_false(recipe_sink_next(&p, &got));
    buf_free(&t);
    assert_true(recipe_same_root("out", "./out/"));
    assert_true(recipe_same_root("./out//", "out"));
    assert_true(recipe_same_root("/", "/"));
    assert_false(recipe_same_root("out", "out2"));
    assert_false(recipe_same_root("out", "/out"));
    assert_true(recipe_same_root("/proc/self/cwd", "."));
    assert_true(recipe_same_root("tests/../tests", "tests"));
    assert_false(recipe_same_root("nowhere", "nowhere2"));
}

/* A program is the same when it is stripped, another when its code or a
 * constant is. */
static void test_program(void **state)
{
    static const char text[] = "a text of this very program";
    char dir[] = "/tmp/facet-recipe-XXXXXX", hex[33], other[33];
    struct err e = {0};
    struct buf b;
    (void)state;
    assert_non_null(mkdtemp(dir));
    char *copy = path_join(dir, "copy");
    assert_int_equal(hash_program("/proc/self/exe", hex, &e), OK);
    assert_int_equal(file_read("/proc/self/exe", 1 << 28, &b, &e), OK);
    /* what stands behind the sections is not loaded */
    assert_int_equal(buf_puts(&b, "debugging information", &e), OK);
    assert_int_equal(file_write_atomic(copy, b.data, b.len, &e), OK);
    assert_int_equal(hash_program(copy, other, &e), OK);
    assert_string_equal(hex, other);
    uint8_t *at = memmem(b.data, b.len, text, sizeof text);
    assert_non_null(at);
    at[2] = 'T';
    assert_int_equal(file_write_atomic(copy, b.data, b.len, &e), OK);
    assert_int_equal(hash_program(copy, other, &e), OK);
    assert_string_not_equal(hex, other);
    /* damaged and cut files are read without harm, as bytes */
    for (size_t n = 0; n < 4096; n += 61) {
        assert_int_equal(file_write_atomic(copy, b.data, n, &e), OK);
        assert_int_equal(hash_program(copy, other, &e), OK);
        assert_string_not_equal(hex, other);
    }
    assert_int_equal(hash_program("/nowhere/x", other, &e), ERR_NOTFOUND);
    unlink(copy);
    rmdir(dir);
    mem_free(copy);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_differ),
        cmocka_unit_test(test_sinks),
        cmocka_unit_test(test_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
