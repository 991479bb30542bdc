/* lib/store/pts: the points of iBUG annotation files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/store/pts.h"

#define THREE "{\n1.000 2.5\n-3e2 4\n5 6\n}\n"

static void test_reads(void **state)
{
    (void)state;
    /* Spacing as found in 300-W (two blanks), CRLF, one line, no last newline
     * and version 1.0 all occur. */
    static const char *const good[] = {
        "version: 1\nn_points:  3\n" THREE,
        "version: 1\r\nn_points: 3\r\n{\r\n1 2.50\r\n-300 4\r\n5 6\r\n}\r\n",
        "version: 1.0 n_points: 3 { 1 2.5 -300 4 5 6 }",
        "\n\nversion: 1\nn_points: 3\n" THREE "  \n\n",
    };
    const float want[6] = {0, 1.5F, -301, 3, 4, 5}; /* exact in f32 */
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        float xy[6];
        struct err e = {0};
        assert_int_equal(pts_parse(good[i], strlen(good[i]), 3, xy, &e), OK);
        assert_memory_equal(xy, want, sizeof want);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "'version:' should stand"},
        {"points", "'points' where 'version:'"},
        {"version: x n_points: 3 " THREE, "version 'x'"},
        {"version: 1 points: 3 " THREE, "'points:' where 'n_points:'"},
        {"version: 1 n_points: 2 {1 2 3 4}", "'2' points, 3 expected"},
        {"version: 1 n_points: 4294967299 " THREE, "points, 3 expected"},
        {"version: 1 n_points: -3 " THREE, "'-3' points"},
        {"version: 1 n_points: 3", "'{' should stand"},
        {"version: 1 n_points: 3 { 1 2.5 3 4 5 6}", "'6}' is no y"},
        {"version: 1 n_points: 3 { 1 2 3 4 5", "ends at point 2"},
        {"version: 1 n_points: 3 { 1 2 3 4 5 }", "'}' is no y"},
        {"version: 1 n_points: 3 { 1 2 3 4 5 6", "'}' should stand"},
        {"version: 1 n_points: 3 { 1 2 3 4 5 6 7 }", "'7' where '}'"},
        {"version: 1 n_points: 3 " THREE "x", "'x' after"},
        {"version: 1 n_points: 3 { 1 nan 3 4 5 6 }", "point 0: 'nan'"},
        {"version: 1 n_points: 3 { 1 2 inf 4 5 6 }", "point 1: 'inf' is no x"},
        {"version: 1 n_points: 3 { 1 2 3 1e300 5 6 }", "'1e300'"},
        {"version: 1 n_points: 3 { 1 2 3 -1000001 5 6 }", "'-1000001'"},
        {"version: 1 n_points: 3 { 1 2 3 4 5 \x01\xff }", "'\?\?'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float xy[6];
        struct err e = {0};
        assert_int_equal(pts_parse(bad[i].text, strlen(bad[i].text), 3, xy, &e),
                         ERR_DATA);
        if (!strstr(e.text, bad[i].why))
            print_error("'%s' has no '%s'\n", e.text, bad[i].why);
        assert_non_null(strstr(e.text, bad[i].why));
    }
}

/* Only the given bytes are looked at, and every cut of a file is refused. */
static void test_cut(void **state)
{
    (void)state;
    static const char text[] = "version: 1\nn_points: 3\n" THREE;
    struct err e;
    float xy[6];
    size_t whole = strlen(text) - 1; /* the newline may be missing */
    for (size_t n = 0; n < whole; n++) {
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(pts_parse(copy, n, 3, xy, &e), ERR_DATA);
        free(copy);
    }
    assert_int_equal(pts_parse(text, whole, 3, xy, &e), OK);
}

static void test_large(void **state)
{
    (void)state;
    struct err e;
    float xy[6];
    char *text = malloc(PTS_MAX_FILE + 1);
    assert_non_null(text);
    memset(text, ' ', PTS_MAX_FILE + 1);
    assert_int_equal(pts_parse(text, PTS_MAX_FILE + 1, 3, xy, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "65537 bytes"));
    memset(text, '7', PTS_MAX_FILE); /* one long word */
    assert_int_equal(pts_parse(text, PTS_MAX_FILE, 3, xy, &e), ERR_DATA);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads), cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_cut), cmocka_unit_test(test_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
