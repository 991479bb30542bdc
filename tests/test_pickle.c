/* Pickles as data: every kind of value from bytes written by hand, and
 * everything that must be refused. What PyTorch and Python write is compared
 * in tests/sh/62-import-torch.sh. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/pickle.h"

/* A string literal with its length: it may hold NULs. */
#define BYTES(s) (s), sizeof(s) - 1

static const struct pickle_value *read_good(const char *p, size_t n,
                                            struct pickle **out)
{
    struct err e = {0};
    size_t used = 0;
    if (pickle_read(p, n, out, &used, &e))
        fail_msg("%s", e.text);
    assert_int_equal(used, n);
    return pickle_root(*out);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        int64_t want;
    } ints[] = {
        {BYTES("K\xff."), 255},
        {BYTES("M\x01\xff."), 0xff01},
        {BYTES("J\xfe\xff\xff\xff."), -2},
        {BYTES("I-12\n."), -12},
        {BYTES("L12L\n."), 12},
        {BYTES("L-9223372036854775808L\n."), INT64_MIN},
        {BYTES("\x8a\x00."), 0},
        {BYTES("\x8a\x01\xff."), -1},
        {BYTES("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), INT64_MAX},
        /* longer than it need be */
        {BYTES("\x8a\x0a\x05\0\0\0\0\0\0\0\0\0."), 5},
        {BYTES("\x8b\x02\0\0\0\x00\x80."), -32768},
    };
    static const struct {
        const char *p;
        size_t n;
        double want;
    } floats[] = {
        {BYTES("G\x3f\xf8\0\0\0\0\0\0."), 1.5},
        {BYTES("F-2.5e3\n."), -2500},
        {BYTES("Finf\n."), (double)INFINITY},
        {BYTES("F-inf\r\n."), -(double)INFINITY},
    };
    (void)state;
    struct pickle *t;
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        const struct pickle_value *v = read_good(ints[i].p, ints[i].n, &t);
        assert_int_equal(v->type, PICKLE_INT);
        assert_true(v->v.i == ints[i].want);
        pickle_free(&t);
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        const struct pickle_value *v = read_good(floats[i].p, floats[i].n, &t);
        assert_int_equal(v->type, PICKLE_FLOAT);
        assert_true(v->v.f == floats[i].want);
        pickle_free(&t);
    }
    assert_true(isnan(read_good(BYTES("Fnan\n."), &t)->v.f));
    pickle_free(&t);
    assert_true(read_good(BYTES("I01\n."), &t)->v.b);
    pickle_free(&t);
    assert_int_equal(read_good(BYTES("I00\n."), &t)->type, PICKLE_BOOL);
    pickle_free(&t);
    /* more than 64 bits: kept as bytes */
    const struct pickle_value *v =
        read_good(BYTES("L18446744073709551616L\n."), &t);
    assert_int_equal(v->type, PICKLE_LONG);
    assert_int_equal(v->v.s.n, 9);
    assert_memory_equal(v->v.s.p, "\0\0\0\0\0\0\0\0\x01", 9);
    pickle_free(&t);
}

static void test_strings(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        enum pickle_type type;
        const char *want;
        size_t want_n;
    } cases[] = {
        {BYTES("\x8c\x03"
               "abc."),
         PICKLE_STR, BYTES("abc")},
        {BYTES("X\x02\0\0\0\xc3\xa9."), PICKLE_STR, BYTES("\xc3\xa9")},
        {BYTES("\x8d\x01\0\0\0\0\0\0\0z."), PICKLE_STR, BYTES("z")},
        {BYTES("V\\u20ac\xe9\\U0001f600\\n\n."), PICKLE_STR,
         BYTES("\xe2\x82\xac\xc3\xa9\xf0\x9f\x98\x80\\n")},
        {BYTES("S'a\\x41\\n\\'\\101'\n."), PICKLE_STR, BYTES("aA\n'A")},
        {BYTES("U\x02\xff\0."), PICKLE_STR, BYTES("\xff\0")},
        {BYTES("C\x02\0\xff."), PICKLE_BYTES, BYTES("\0\xff")},
        {BYTES("B\x01\0\0\0q."), PICKLE_BYTES, BYTES("q")},
        {BYTES("\x96\x01\0\0\0\0\0\0\0r."), PICKLE_BYTES, BYTES("r")},
        /* bytes as protocols 0 to 2 write them */
        {BYTES("c_codecs\nencode\n(V\xe9"
               "A\nS'latin1'\ntR."),
         PICKLE_BYTES,
         BYTES("\xe9"
               "A")},
        {BYTES("c__builtin__\nbytearray\n(C\1xtR."), PICKLE_BYTES, BYTES("x")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pickle *t;
        const struct pickle_value *v = read_good(cases[i].p, cases[i].n, &t);
        assert_int_equal(v->type, cases[i].type);
        assert_int_equal(v->v.s.n, cases[i].want_n);
        assert_memory_equal(v->v.s.p, cases[i].want, cases[i].want_n);
        pickle_free(&t);
    }
}

static void test_containers(void **state)
{
    (void)state;
    struct pickle *t;
    const struct pickle_value *v =
        read_good(BYTES("}(\x8c\1aK\1\x8c\1bK\2\x8c\1aK\3u."), &t);
    assert_int_equal(pickle_pairs(v)->n, 6);
    assert_int_equal(pickle_get(v, "a")->v.i, 3); /* the last counts */
    assert_null(pickle_get(v, "c"));
    pickle_free(&t);
    v = read_good(BYTES("](K\1K\2e."), &t);
    assert_int_equal(pickle_seq(v)->n, 2);
    assert_int_equal(pickle_seq(v)->v[1]->v.i, 2);
    pickle_free(&t);
    v = read_good(BYTES("N\x88\x89\x87."), &t);
    assert_int_equal(v->type, PICKLE_TUPLE);
    assert_int_equal(v->v.list.n, 3);
    assert_int_equal(v->v.list.v[0]->type, PICKLE_NONE);
    assert_true(v->v.list.v[1]->v.b && !v->v.list.v[2]->v.b);
    pickle_free(&t);
    v = read_good(BYTES("\x8f(K\1\x90."), &t);
    assert_int_equal(v->type, PICKLE_SET);
    assert_int_equal(v->v.list.n, 1);
    pickle_free(&t);
    v = read_good(BYTES("cbuiltins\nset\n(](K\1K\2etR."), &t);
    assert_int_equal(v->type, PICKLE_SET);
    assert_int_equal(v->v.list.n, 2);
    pickle_free(&t);
    /* a list that holds itself, by both kinds of memo */
    v = read_good(BYTES("]\x94h\0a."), &t);
    assert_ptr_equal(v->v.list.v[0], v);
    pickle_free(&t);
    v = read_good(BYTES("]p7\ng7\na."), &t);
    assert_ptr_equal(v->v.list.v[0], v);
    pickle_free(&t);
    v = read_good(BYTES("(K\1K\2lK\3"
                        "0(K\4"
                        "1"
                        "2\x86."),
                  &t);
    assert_ptr_equal(v->v.list.v[0], v->v.list.v[1]); /* DUP */
    pickle_free(&t);
}

/* Whatever is to be called becomes an object that says so. */
static void test_calls(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        const char *describe;
    } calls[] = {
        {BYTES("cos\nsystem\n(\x8c\4truetR."), "os.system"},
        {BYTES("(S'true'\nios\nsystem\n."), "os.system"},
        {BYTES("(cos\nsystem\n\x8c\4trueo."), "os.system"},
        {BYTES("\x8c\2os\x8c\6system\x93\x8c\4true\x85R."), "os.system"},
        {BYTES("cbuiltins\neval\n(\x8c\1"
               "1t\x81."),
         "builtins.eval"},
        {BYTES("cm\nC\n)}\x92."), "m.C"},
        {BYTES("c\x1b[31m\nx\x9b\n)R."), "?[31m.x?"},
        /* a call of what a call gave */
        {BYTES("cgetattr\nx\n)R)R."), "an object"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct pickle *t;
        char text[64];
        const struct pickle_value *v = read_good(calls[i].p, calls[i].n, &t);
        assert_int_equal(v->type, PICKLE_OBJECT);
        assert_string_equal(pickle_describe(v, text, sizeof text),
                            calls[i].describe);
        pickle_free(&t);
    }
    struct pickle *t;
    const struct pickle_value *v =
        read_good(BYTES("cm\nC\n)R}\x8c\1aK\1sb(K\5e\x8c\1kK\6s."), &t);
    const struct pickle_object *o = v->v.object;
    assert_int_equal(pickle_get(o->state, "a")->v.i, 1);
    assert_int_equal(o->items.n, 1);
    assert_int_equal(pickle_get(v, "k")->v.i, 6);
    pickle_free(&t);
    v = read_good(BYTES("ccollections\nOrderedDict\n(](](\x8c\1xK\7eetR."), &t);
    assert_int_equal(pickle_get(v, "x")->v.i, 7);
    pickle_free(&t);
    v = read_good(BYTES("K\1QP2\n\x86."), &t);
    assert_int_equal(pickle_ids(t)->n, 2);
    assert_int_equal(v->v.list.v[0]->v.id->v.i, 1);
    assert_true(pickle_is_str(v->v.list.v[1]->v.id, "2"));
    pickle_free(&t);
}

static void test_refused(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        enum err_code code;
        const char *text;
    } bad[] = {
        {BYTES(""), ERR_DATA, "byte 0: ends without STOP"},
        {BYTES("N"), ERR_DATA, "byte 1: ends without STOP"},
        {BYTES("."), ERR_DATA, "STOP: a value is missing"},
        {BYTES("\xfa."), ERR_DATA, "byte 0: no opcode 0xfa"},
        {BYTES("\x80\x06N."), ERR_UNSUPPORTED, "protocol 6"},
        {BYTES("\x82\x01."), ERR_UNSUPPORTED, "extension registry"},
        {BYTES("\x97."), ERR_UNSUPPORTED, "buffers are not in the file"},
        {BYTES("(N."), ERR_DATA, "a mark was never used"},
        {BYTES("t."), ERR_DATA, "TUPLE: there is no mark"},
        {BYTES("(0\x85."), ERR_DATA, "a value is missing"},
        /* what stands below a mark is out of reach */
        {BYTES("N(\x85."), ERR_DATA, "TUPLE1: a value is missing"},
        {BYTES("h\x05."), ERR_DATA, "memo index 5"},
        {BYTES("Nr\xff\xff\xff\xff."), ERR_DATA, "memo index 4294967295 after"},
        {BYTES("g-1\n."), ERR_DATA, "no memo index"},
        {BYTES("J\x01."), ERR_DATA, "needs 4 bytes, 2 are left"},
        {BYTES("X\xff\xff\xff\x7f."), ERR_DATA, "needs 2147483647 bytes"},
        {BYTES("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), ERR_DATA,
         "needs 18446744073709551615 bytes"},
        {BYTES("T\xff\xff\xff\xff."), ERR_DATA, "a negative length"},
        {BYTES("\x8b\xff\xff\xff\xff."), ERR_DATA, "a negative length"},
        {BYTES("\x95\x09\0\0\0\0\0\0\0N."), ERR_DATA, "a frame of 9 bytes"},
        {BYTES("I1"), ERR_DATA, "the line does not end"},
        {BYTES("I0x1\n."), ERR_DATA, "no whole number"},
        {BYTES("L-L\n."), ERR_DATA, "no whole number"},
        {BYTES("F1,5\n."), ERR_DATA, "no number"},
        {BYTES("S'a\n."), ERR_DATA, "a string without quotes"},
        {BYTES("S'\\x4'\n."), ERR_DATA, "a bad escape"},
        {BYTES("V\\u12\n."), ERR_DATA, "a bad \\u"},
        {BYTES("V\\U00110000\n."), ERR_DATA, "a bad \\U"},
        {BYTES("(K\1d."), ERR_DATA, "a key without a value"},
        {BYTES("](K\1u."), ERR_DATA, "a key without a value"},
        {BYTES("]K\1K\2s."), ERR_DATA, "cannot add to a list"},
        {BYTES("NK\1a."), ERR_DATA, "cannot add to None"},
        {BYTES("K\1K\2R."), ERR_DATA, "its arguments are no tuple"},
        {BYTES("K\1)K\2\x92."), ERR_DATA, "no tuple and dict"},
        {BYTES("K\1K\2\x93."), ERR_DATA, "needs two strings"},
        {BYTES("(o."), ERR_DATA, "no class on the stack"},
        {BYTES("NK\1b."), ERR_DATA, "sets the state of None"},
        {BYTES("cm\nC\n)RNbNb."), ERR_DATA, "sets the state of m.C twice"},
        {BYTES("ccollections\nOrderedDict\n(](K\1etR."), ERR_DATA,
         "something not pairs"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pickle *t = NULL;
        struct err e = {0};
        enum err_code r = pickle_read(bad[i].p, bad[i].n, &t, NULL, &e);
        if (r != bad[i].code || !strstr(e.text, bad[i].text))
            fail_msg("case %zu: %d '%s', not '%s'", i, r, e.text, bad[i].text);
        assert_null(t);
    }
}

static void test_only_the_first(void **state)
{
    (void)state;
    struct pickle *t = NULL;
    size_t used = 0;
    assert_int_equal(pickle_read("N.K\1.", 5, &t, &used, NULL), OK);
    assert_int_equal(used, 2);
    pickle_free(&t);
}

/* Small files that would take endless memory meet the caps. */
static void test_caps(void **state)
{
    (void)state;
    int64_t live = mem_live();
    struct err e = {0};
    struct pickle *t = NULL;
    const size_t n = (size_t)12 << 20;
    char *p = mem_alloc(n);
    assert_non_null(p);
    /* marks */
    memset(p, '(', n);
    assert_int_equal(pickle_read(p, n, &t, NULL, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "marks"));
    /* values on the stack */
    memset(p, '2', n);
    p[0] = 'N';
    assert_int_equal(pickle_read(p, n, &t, NULL, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "values on the stack"));
    /* values in all: None, taken off again */
    for (size_t i = 0; i < n; i += 2)
        memcpy(p + i, "N0", 2);
    assert_int_equal(pickle_read(p, n, &t, NULL, &e), ERR_NOMEM);
    assert_non_null(strstr(e.text, "bytes of memory"));
    /* set(list), whose list of a million is copied each time */
    size_t at = 0;
    memcpy(p, "(", 1);
    for (at = 1; at < ((size_t)1 << 20) + 1; at++)
        p[at] = ')';
    memcpy(p + at, "lq\0", 3);
    at += 3;
    while (at + 24 < n) {
        memcpy(p + at, "cbuiltins\nset\nh\0\x85R0", 19);
        at += 19;
    }
    memset(p + at, '.', n - at);
    assert_int_equal(pickle_read(p, n, &t, NULL, &e), ERR_NOMEM);
    assert_null(t);
    mem_free(p);
    assert_int_equal(mem_live(), live);
}

static void test_no_memory(void **state)
{
    static const char p[] =
        "}(\x8c\1a](K\1K\2e\x8c\1bcm\nC\n)R}\x8c\1cK\1sb"
        "V\xe9\nL12L\nK\4c_codecs\nencode\n(V\xe9\nS'latin1'\ntRu.";
    (void)state;
    int64_t live = mem_live();
    for (uint64_t n = 1;; n++) {
        struct err e = {0};
        struct pickle *t = NULL;
        mem_fail_nth(n);
        enum err_code r = pickle_read(p, sizeof p - 1, &t, NULL, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        pickle_free(&t);
        assert_int_equal(mem_live(), live);
        if (r != (hit ? ERR_NOMEM : OK))
            fail_msg("allocation %d: %d '%s'", (int)n, r, e.text);
        if (!hit)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_only_the_first),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
