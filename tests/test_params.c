/* Parameter tables: parsing, defaults, limits, command lines, help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/flow/params.h"

struct ctx {
    bool flip;
    int64_t count;
    double yaw;
    const char *model, *root;
    int fill;
    struct stage_floats grid;
};

#define AT(m) offsetof(struct ctx, m)
static const struct stage_param table[] = {
    {"flip", PARAM_BOOL, AT(flip), "no", 0, 0, NULL, NULL, "Mirror it."},
    {"count", PARAM_INT, AT(count), "5", 1, 100, NULL, NULL, "How many."},
    {"yaw", PARAM_FLOAT, AT(yaw), "0", -90, 90, NULL, "deg", "Turn."},
    {"model", PARAM_STR, AT(model), "fan", 0, 0, NULL, NULL, "Which."},
    {"root", PARAM_PATH, AT(root), NULL, 0, 0, NULL, NULL, "Where to."},
    {"fill", PARAM_ENUM, AT(fill), "blur", 0, 0, "grey|blur|mirror", NULL,
     "What fills holes."},
    {"grid", PARAM_FLOATS, AT(grid), "-30:30:15", -180, 180, NULL, "deg",
     "Angles."},
    {0},
};

/* A writable argv of the n strings, good until the next call. */
static char **args(const char *const *in, int n)
{
    static char text[16][64], *argv[16];
    assert_in_range(n, 0, 15);
    for (int i = 0; i < n; i++) {
        memset(text[i], 0, sizeof text[i]);
        if (in[i])
            memcpy(text[i], in[i], strnlen(in[i], sizeof text[i] - 1));
        argv[i] = text[i];
    }
    return argv;
}

static void defaults(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct params p;
    struct err e;
    assert_int_equal(params_init(&p, table, &c, &e), OK);
    assert_false(c.flip);
    assert_int_equal(c.count, 5);
    assert_string_equal(c.model, "fan");
    assert_null(c.root);
    assert_int_equal(c.fill, 1);
    assert_int_equal(c.grid.n, 5);
    assert_true(fabs(c.grid.v[1] + 15) < 1e-12);
    assert_int_equal(params_done(&p, &e), ERR_ARG);
    assert_string_equal(e.text, "missing parameter: root");
    params_free(&p);
}

static void command_line(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct params p;
    struct err e;
    const char *list[] = {"x",       "--yaw",     "-30",     "--root=/tmp/a=b",
                          "--flip",  "--count=7", "--fill",  "grey",
                          "--model", "",          "--grid=", "--no-flip"};
    assert_int_equal(params_init(&p, table, &c, &e), OK);
    assert_int_equal(params_args(&p, 12, args(list, 12), 1, &e), OK);
    assert_true(fabs(c.yaw + 30) < 1e-12);
    assert_string_equal(c.root, "/tmp/a=b");
    assert_false(c.flip); /* the last setting counts */
    assert_int_equal(c.count, 7);
    assert_int_equal(c.fill, 0);
    assert_string_equal(c.model, "");
    assert_int_equal(c.grid.n, 0);
    int i = 4;
    assert_int_equal(params_arg(&p, 12, args(list, 12), &i, &e), OK);
    assert_int_equal(i, 5);
    assert_true(c.flip);
    params_free(&p);
}

static void bool_forms(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool want;
        int taken;
    } rows[] = {{"--flip", "off", false, 2},
                {"--flip", "1", true, 2},
                {"--flip", "--yaw", true, 1},
                {"--flip=yes", "off", true, 1},
                {"--no-flip", "on", false, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ctx c = {0};
        struct params p;
        struct err e;
        const char *list[] = {rows[i].a, rows[i].b};
        int at = 0;
        assert_int_equal(params_init(&p, table, &c, &e), OK);
        assert_int_equal(params_arg(&p, 2, args(list, 2), &at, &e), OK);
        assert_int_equal(c.flip, rows[i].want);
        assert_int_equal(at, rows[i].taken);
        params_free(&p);
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *arg, *next;
        enum err_code code;
        const char *text;
    } rows[] = {
        {"--cuont=3", NULL, ERR_NOTFOUND,
         "no parameter 'cuont' (did you mean 'count'?)"},
        {"--zzzzzz=3", NULL, ERR_NOTFOUND, "no parameter 'zzzzzz'"},
        {"--no-count", NULL, ERR_NOTFOUND,
         "no parameter 'no-count' (did you mean 'count'?)"},
        {"stray", NULL, ERR_NOTFOUND, "unexpected argument 'stray'"},
        {"--count", NULL, ERR_ARG, "parameter 'count': needs a value"},
        {"--model", "--yaw", ERR_ARG, "parameter 'model': needs a value"},
        {"--count=x7", NULL, ERR_ARG,
         "parameter 'count': 'x7' is not an integer"},
        {"--count=7.5", NULL, ERR_ARG,
         "parameter 'count': '7.5' is not an integer"},
        {"--count", "101", ERR_ARG, "parameter 'count': 101 is outside 1..100"},
        {"--yaw=nan", NULL, ERR_ARG, "parameter 'yaw': 'nan' is not a number"},
        {"--yaw=1e999", NULL, ERR_ARG,
         "parameter 'yaw': '1e999' is not a number"},
        {"--flip=maybe", NULL, ERR_ARG,
         "parameter 'flip': 'maybe' is not true or false"},
        {"--fill=gray", NULL, ERR_ARG,
         "parameter 'fill': 'gray' is not one of grey, blur, mirror "
         "(did you mean 'grey'?)"},
        {"--grid=1,,2", NULL, ERR_ARG,
         "parameter 'grid': '' is not a number or first:last:step"},
        {"--grid=0:10:-1", NULL, ERR_ARG,
         "parameter 'grid': '0:10:-1': the step never reaches the end"},
        {"--grid=0:10:0", NULL, ERR_ARG,
         "parameter 'grid': '0:10:0': the step never reaches the end"},
        {"--grid=0:1:1e-9", NULL, ERR_ARG,
         "parameter 'grid': '0:1:1e-9': more than 65536 numbers"},
        {"--grid=0,200", NULL, ERR_ARG,
         "parameter 'grid': 200 is outside -180..180"},
        {"--grid=1:2:3:4", NULL, ERR_ARG,
         "parameter 'grid': '1:2:3:4' is not a number or first:last:step"},
        {"--model=\xff", NULL, ERR_ARG,
         "parameter 'model': the text is not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ctx c = {0};
        struct params p;
        struct err e = {0};
        const char *list[] = {rows[i].arg, rows[i].next};
        int at = 0;
        assert_int_equal(params_init(&p, table, &c, &e), OK);
        assert_int_equal(
            params_arg(&p, rows[i].next ? 2 : 1, args(list, 2), &at, &e),
            rows[i].code);
        assert_string_equal(e.text, rows[i].text);
        assert_int_equal(at, 0);
        assert_int_equal(c.count, 5); /* untouched */
        assert_string_equal(c.model, "fan");
        params_free(&p);
    }
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        double v[8];
    } rows[] = {{"", 0, {0}},
                {"1", 1, {1}},
                {"1,2.5, -3", 3, {1, 2.5, -3}},
                {"-60:60:30", 5, {-60, -30, 0, 30, 60}},
                {"3:1", 3, {3, 2, 1}},
                {"0:1:0.3", 4, {0, 0.3, 0.6, 0.9}},
                {"0:0.3:0.1", 4, {0, 0.1, 0.2, 0.3}},
                {"5:5:1", 1, {5}},
                {"-15:15:15,75", 4, {-15, 0, 15, 75}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct param_value v;
        struct err e;
        assert_int_equal(param_parse(&table[6], rows[i].text, &v, &e), OK);
        assert_int_equal(v.floats.n, rows[i].n);
        for (size_t k = 0; k < rows[i].n; k++)
            assert_true(fabs(v.floats.v[k] - rows[i].v[k]) < 1e-12);
        param_value_free(&v);
    }
    /* the end is the number written, not a sum of steps */
    struct param_value v;
    struct err e;
    assert_int_equal(param_parse(&table[6], "0:0.3:0.1", &v, &e), OK);
    double last = 0.3;
    assert_memory_equal(&v.floats.v[3], &last, sizeof last);
    param_value_free(&v);
}

static void one_sided(void **state)
{
    (void)state;
    struct stage_param p = {"n",  PARAM_FLOAT, 0,  "1", 0, (double)INFINITY,
                            NULL, NULL,        "h"};
    struct param_value v;
    struct err e;
    char range[40];
    assert_int_equal(param_parse(&p, "-1", &v, &e), ERR_ARG);
    assert_string_equal(e.text, "-1 is not >= 0");
    assert_string_equal(param_range_text(&p, range, sizeof range), ">= 0");
    assert_int_equal(param_parse(&p, "1e300", &v, &e), OK);
    p.min = -(double)INFINITY, p.max = 4;
    assert_int_equal(param_parse(&p, "5", &v, &e), ERR_ARG);
    assert_string_equal(e.text, "5 is not <= 4");
}

static void broken_tables(void **state)
{
    (void)state;
    static const struct {
        struct stage_param p[3];
        const char *text;
    } rows[] = {
        {{{"Yaw", PARAM_INT, 0, "1", 0, 0, NULL, NULL, "h"}},
         "parameter name 'Yaw' is not lower-case words joined by '-', or "
         "begins with 'no-'"},
        {{{"no-x", PARAM_BOOL, 0, "1", 0, 0, NULL, NULL, "h"}},
         "parameter name 'no-x' is not lower-case words joined by '-', or "
         "begins with 'no-'"},
        {{{"a", PARAM_INT, 0, "0", 1, 5, NULL, NULL, "h"}},
         "parameter 'a': default: 0 is outside 1..5"},
        {{{"a", PARAM_INT, 0, "0", 5, 1, NULL, NULL, "h"}},
         "parameter 'a': min is above max"},
        {{{"a", PARAM_ENUM, 0, "x", 0, 0, NULL, NULL, "h"}},
         "parameter 'a': an enum, and nothing else, has choices"},
        {{{"a", PARAM_INT, 0, "0", 0, 0, NULL, NULL, ""}},
         "parameter 'a' has no help"},
        {{{"a", PARAM_INT, 0, "0", 0, 0, NULL, NULL, "h"},
          {"a", PARAM_INT, 0, "0", 0, 0, NULL, NULL, "h"}},
         "parameter 'a' occurs twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e;
        struct params p;
        struct ctx c = {0};
        assert_int_equal(params_init(&p, rows[i].p, &c, &e), ERR_ARG);
        assert_string_equal(e.text, rows[i].text);
    }
}

static void help_text(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 10000);
    assert_int_equal(params_help(table, 80, &b, &e), OK);
    const char *want[] = {
        "  --[no-]flip             Mirror it. [default no]\n",
        "  --count INT             How many. [1..100; default 5]\n",
        "  --yaw NUMBER            Turn. [deg; -90..90; default 0]\n",
        "  --root PATH             Where to. [required]\n",
        "  --fill grey|blur|mirror\n                          What fills",
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_non_null(strstr(buf_str(&b), want[i]));
    buf_free(&b);
}

static void no_memory(void **state)
{
    (void)state;
    const char *list[] = {"--root=a", "--model=b", "--grid=1:50",
                          "--fill=grey"};
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        int64_t before = mem_live();
        struct ctx c = {0};
        struct params p;
        struct err e;
        mem_fail_nth(nth);
        enum err_code rc = params_init(&p, table, &c, &e);
        if (rc == OK) {
            rc = params_args(&p, 4, args(list, 4), 0, &e);
            params_free(&p);
        }
        failed = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, failed ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), before);
        assert_true(nth < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),      cmocka_unit_test(command_line),
        cmocka_unit_test(bool_forms),    cmocka_unit_test(refused),
        cmocka_unit_test(lists),         cmocka_unit_test(one_sided),
        cmocka_unit_test(broken_tables), cmocka_unit_test(help_text),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
