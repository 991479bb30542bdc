/* YAML trees: positions, limits, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/flow/yaml.h"

/* A copy without the zero: a sanitizer sees what reads on. */
static enum err_code read_text(const char *text, struct yaml_node **out,
                               struct err *e)
{
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = text[i];
    enum err_code rc = yaml_read(copy, n, "f.yaml", out, e);
    free(copy);
    return rc;
}

static void positions(void **state)
{
    (void)state;
    struct yaml_node *top;
    struct err e;
    const char *text = "a: 1\n"
                       "b\xc3\xa9: {c: \"x\xc3\xa9\", d: [p, 'q']}\n"
                       "n:\n"
                       "t: |\n"
                       "  two\n"
                       "  lines\n";
    assert_int_equal(read_text(text, &top, &e), OK);
    assert_int_equal(top->kind, YAML_MAP);
    assert_int_equal(top->n, 4);
    const struct yaml_node *b = yaml_get(top, "b\xc3\xa9");
    assert_int_equal(b->line, 2);
    assert_int_equal(b->column, 5); /* characters, not bytes */
    const struct yaml_node *d = yaml_get(b, "d");
    assert_int_equal(d->kind, YAML_LIST);
    assert_int_equal(d->n, 2);
    assert_int_equal(d->items[1]->column, 22);
    assert_false(d->items[1]->plain);
    assert_string_equal(yaml_get(b, "c")->text, "x\xc3\xa9");
    assert_true(yaml_is_null(yaml_get(top, "n")));
    assert_false(yaml_is_null(d->items[0]));
    assert_string_equal(yaml_get(top, "t")->text, "two\nlines\n");
    assert_null(yaml_get(top, "zz"));
    assert_null(yaml_get(d, "c"));
    assert_int_equal(top->keys[3]->line, 4);
    yaml_node_free(&top);
    assert_null(top);
}

static void aliases(void **state)
{
    (void)state;
    struct yaml_node *top;
    struct err e;
    assert_int_equal(
        read_text("a: &x {k: [1, 2]}\nb: *x\nc: &x 5\nd: *x\n", &top, &e), OK);
    assert_string_equal(yaml_get(yaml_get(top, "b"), "k")->items[1]->text, "2");
    assert_string_equal(yaml_get(top, "d")->text, "5");
    yaml_node_free(&top);
}

/* The keys and values of a map as "k=v k=v". */
static const char *flat(const struct yaml_node *map, char out[200])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < map->n; i++)
        n += (size_t)snprintf(out + n, 200 - n, "%s%s=%s", i ? " " : "",
                              map->keys[i]->text,
                              map->items[i]->text ? map->items[i]->text : "+");
    return out;
}

/* What PyYAML makes of the same texts. */
static void merges(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* of the key `t` */
    } rows[] = {
        {"a: &a {x: 1, y: 2}\nt: {<<: *a, z: 3}\n", "x=1 y=2 z=3"},
        {"a: &a {x: 1, y: 2}\nt: {y: 9, <<: *a}\n", "x=1 y=9"},
        {"a: &a {x: 1}\nb: &b {x: 2, y: 2}\nt:\n  <<: [*a, *b]\n", "x=1 y=2"},
        {"a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nt: {<<: *b, z: 3}\n",
         "x=1 y=2 z=3"},
        {"t: {<<: {x: 1}, y: 2}\n", "x=1 y=2"},
        {"s: {<<: &k {x: 1}}\nt: *k\n", "x=1"}, /* the anchor outlives it */
        {"a: &a {x: {p: 1}, y: ~}\nt: {<<: *a, x: 5}\n", "y=~ x=5"},
        {"a: &a {}\nt: {<<: *a, z: 1}\n", "z=1"},
        {"t: {'<<': 1, z: 1}\n", "<<=1 z=1"}, /* in quotes it is a name */
        {"a: &a {x: 1}\r\nt:\r\n  <<: *a\r\n  z: 2\r\n", "x=1 z=2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t before = mem_live();
        struct yaml_node *top;
        struct err e;
        char got[200];
        assert_int_equal(read_text(rows[i].text, &top, &e), OK);
        assert_string_equal(flat(yaml_get(top, "t"), got), rows[i].want);
        yaml_node_free(&top);
        assert_int_equal(mem_live(), before);
    }
}

/* A byte order mark is no text, and moves no place. */
static void marks(void **state)
{
    (void)state;
    struct yaml_node *top;
    struct err e;
    assert_int_equal(read_text("\xef\xbb\xbf"
                               "a: {b: ~, c: NULL, d: Null, e: '~'}\n",
                               &top, &e),
                     OK);
    const struct yaml_node *a = yaml_get(top, "a");
    assert_int_equal(top->keys[0]->column, 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(yaml_is_null(a->items[i]), i < 3);
    yaml_node_free(&top);
    assert_int_equal(read_text("\xef\xbb\xbf"
                               "a: b: c\n",
                               &top, &e),
                     ERR_DATA);
    assert_string_equal(
        e.text,
        "f.yaml:1:5: error: mapping values are not allowed in this context");
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "f.yaml:1:1: error: the file is empty"},
        {"# nothing\n", "f.yaml:2:1: error: the file is empty"},
        {"a: 1\nb: 2\na: 3\n",
         "f.yaml:3:1: error: key 'a' occurs twice (first in line 1)"},
        {"a:\n  x: {q: 1, q: 2}\n",
         "f.yaml:2:13: error: key 'q' occurs twice (first in line 2)"},
        {"? [a]\n: 1\n", "f.yaml:1:3: error: a key must be a plain text"},
        {"a: !!str 1\n", "f.yaml:1:4: error: tags ('!...') are not allowed"},
        {"a: !x [1]\n", "f.yaml:1:4: error: tags ('!...') are not allowed"},
        {"%TAG ! tag:x,2000:\n---\na: 1\n",
         "f.yaml:1:1: error: %TAG is not allowed"},
        {"a: 1\n---\nb: 1\n",
         "f.yaml:2:1: error: a second document begins here"},
        {"a: *x\n", "f.yaml:1:4: error: no anchor '&x'"},
        {"a: &x [*x]\n", "f.yaml:1:8: error: an alias inside its own anchor"},
        {"a: \"\\0\"\n", "f.yaml:1:4: error: a text must not contain NUL"},
        {"a: 1\nb: \xff\n", "f.yaml:2:4: error: not valid UTF-8"},
        {"a: \xc3\xa9\xed\xa0\x80\n", "f.yaml:1:5: error: not valid UTF-8"},
        {"a: 1\nb: x\x01y\n",
         "f.yaml:2:5: error: control characters are not allowed"},
        {"a: [1, 2\nb: 3\n",
         "f.yaml:2:2: error: did not find expected ',' or ']' (while parsing "
         "a flow sequence at line 1)"},
        {"a: 'open\n",
         "f.yaml:2:1: error: found unexpected end of stream (while scanning "
         "a quoted scalar at line 1)"},
        {"a: b: c\n",
         "f.yaml:1:5: error: mapping values are not allowed in this context"},
        {"a:\n\t- x\n",
         "f.yaml:2:1: error: a tab indents this line: use spaces"},
        {"Ã©: Ã©\na:\n  b: 1\n  \tc: 2\n",
         "f.yaml:4:3: error: a tab indents this line: use spaces"},
        {"# \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\na: {b: ${c}}\n",
         "f.yaml:2:9: error: a ${variable} between braces stands in quotes: "
         "{root: \"${out}\"}"},
        {"a: {b", "f.yaml:2:1: error: did not find expected ',' or '}' (while "
                  "parsing a flow mapping at line 1)"},
        {"a: @x\n", "f.yaml:1:4: error: found character that cannot start any "
                    "token (while scanning for the next token at line 1)"},
        {"\xff\xfe"
         "a",
         "f.yaml:1:1: error: UTF-16: save it as UTF-8"},
        {"a: &a 1\nb:\n  <<: *a\n",
         "f.yaml:1:4: error: '<<' merges a map or a list of maps, not a text"},
        {"b: {<<: }\n", "f.yaml:1:9: error: '<<' merges a map or a list of "
                        "maps, not no value"},
        {"b: {<<: [{a: 1}, [2]]}\n",
         "f.yaml:1:18: error: '<<' merges a map or a list of maps, not a list"},
        {"a: &a {x: 1}\nb: {<<: *a, <<: *a}\n",
         "f.yaml:2:13: error: key '<<' occurs twice (first in line 2)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct yaml_node *top;
        struct err e = {0};
        assert_int_equal(read_text(rows[i].text, &top, &e), ERR_DATA);
        assert_string_equal(e.text, rows[i].want);
        assert_null(top);
    }
}

/* A text made of n times part between head and tail. */
static enum err_code read_many(const char *head, const char *part, size_t n,
                               const char *tail, struct err *e)
{
    struct yaml_node *top;
    struct buf b;
    buf_init(&b, (size_t)4 << 20);
    assert_int_equal(buf_puts(&b, head, e), OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_puts(&b, part, e), OK);
    assert_int_equal(buf_puts(&b, tail, e), OK);
    enum err_code rc =
        yaml_read((const char *)b.data, b.len, "f.yaml", &top, e);
    yaml_node_free(&top);
    buf_free(&b);
    return rc;
}

static void limits(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(read_many("[", "0,", 50000, "]", &e), OK);
    assert_int_equal(read_many("[", "0,", 100000, "]", &e), ERR_DATA);
    assert_string_equal(e.text,
                        "f.yaml:1:200000: error: more than 100000 values");
    assert_int_equal(read_many("", "[", 32, "", &e), ERR_DATA);
    assert_null(strstr(e.text, "nested"));
    assert_int_equal(read_many("", "[", 33, "", &e), ERR_DATA);
    assert_string_equal(e.text, "f.yaml:1:33: error: nested deeper than 32");
    assert_int_equal(read_many("", "[", 500000, "", &e), ERR_DATA);
    assert_string_equal(e.text, "f.yaml:1:33: error: nested deeper than 32");
    assert_int_equal(read_many("", "- &a x\n", 257, "", &e), ERR_DATA);
    assert_string_equal(e.text, "f.yaml:257:3: error: more than 256 anchors");
    assert_int_equal(read_many("", "# 345678\n", 120000, "", &e), ERR_DATA);
    assert_string_equal(e.text, "f.yaml:1:1: error: larger than 1 MiB");
    struct buf b;
    struct yaml_node *top;
    buf_init(&b, YAML_MAX_BYTES);
    for (int i = 0; i < 4097; i++)
        assert_int_equal(buf_printf(&b, &e, "k%d: 1\n", i), OK);
    assert_int_equal(yaml_read(buf_str(&b), b.len, "f.yaml", &top, &e),
                     ERR_DATA);
    assert_string_equal(e.text,
                        "f.yaml:4097:1: error: more than 4096 keys in one map");
    buf_free(&b);
}

/* A billion laughs: ten lists of ten aliases to the one before. */
static void laughs(void **state)
{
    (void)state;
    struct yaml_node *top;
    struct err e;
    struct buf b;
    int64_t before = mem_live();
    buf_init(&b, YAML_MAX_BYTES);
    assert_int_equal(buf_puts(&b, "l0: &l0 [x,x,x,x,x,x,x,x,x,x]\n", &e), OK);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(buf_printf(&b, &e, "l%d: &l%d [", i, i), OK);
        for (int k = 0; k < 10; k++)
            assert_int_equal(buf_printf(&b, &e, "*l%d,", i - 1), OK);
        assert_int_equal(buf_puts(&b, "]\n", &e), OK);
    }
    assert_int_equal(yaml_read(buf_str(&b), b.len, "f.yaml", &top, &e),
                     ERR_DATA);
    assert_non_null(strstr(e.text, "more than 100000 values"));
    buf_free(&b);
    assert_int_equal(mem_live(), before);
}

/* Damaged bytes give an error or a tree, never more. */
static void noise(void **state)
{
    (void)state;
    const char *good =
        "version: 1\nvars: {a: &x 'b', c: \"d\\n\"}\n"
        "stages:\n  s: {run: x, from: [a, b.c], with: *x, <<: {q: 1}}\n";
    size_t n = strlen(good);
    char text[200];
    struct rng r;
    rng_seed(&r, 7);
    assert_true(n < sizeof text);
    for (int i = 0; i < 20000; i++) {
        struct yaml_node *top;
        struct err e;
        memcpy(text, good, n);
        for (uint64_t k = rng_below(&r, 4) + 1; k; k--)
            text[rng_below(&r, n)] = (char)rng_below(&r, 256);
        size_t len = rng_below(&r, 4) ? n : rng_below(&r, n);
        enum err_code rc = yaml_read(text, len, "f", &top, &e);
        assert_true(rc == OK ? top != NULL : rc == ERR_DATA && !top);
        yaml_node_free(&top);
    }
}

static void no_memory(void **state)
{
    (void)state;
    const char *text = "a: &x {k: [1, 2, 3]}\nb: *x\nc: 'd'\n"
                       "e: {<<: [*x, {m: 1}], k: 2, <: [n, o]}\n";
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        int64_t before = mem_live();
        struct yaml_node *top;
        struct err e;
        mem_fail_nth(nth);
        enum err_code rc = read_text(text, &top, &e);
        failed = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, failed ? ERR_NOMEM : OK);
        yaml_node_free(&top);
        assert_int_equal(mem_live(), before);
        assert_true(nth < 200);
    }
}

static void files(void **state)
{
    (void)state;
    struct yaml_node *top;
    struct err e;
    assert_int_equal(yaml_read_file("/nowhere/x.yaml", &top, &e), ERR_NOTFOUND);
    assert_string_equal(
        e.text, "cannot open '/nowhere/x.yaml': No such file or directory");
    assert_null(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions), cmocka_unit_test(aliases),
        cmocka_unit_test(refused),   cmocka_unit_test(merges),
        cmocka_unit_test(marks),     cmocka_unit_test(limits),
        cmocka_unit_test(laughs),    cmocka_unit_test(noise),
        cmocka_unit_test(no_memory), cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
