/* Port specifications: grammar, items against ports, types of edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/flow/ports.h"

static struct tensor *zeros(enum dtype d, int ndim, const int64_t *shape)
{
    struct err e;
    struct tensor *t = tensor_new(d, ndim, shape, &e);
    assert_non_null(t);
    return t;
}

/* An item with frame u8[h,w,3], mask u8[h2,w2], name, yaw (integer). */
static struct item *face(int64_t h, int64_t w, int64_t h2, int64_t w2)
{
    struct err e;
    struct item *it = item_new(&e);
    int64_t s3[] = {h, w, 3}, s2[] = {h2, w2};
    assert_non_null(it);
    assert_int_equal(item_set_tensor(it, "frame", zeros(DT_U8, 3, s3), &e), OK);
    assert_int_equal(item_set_tensor(it, "mask", zeros(DT_U8, 2, s2), &e), OK);
    assert_int_equal(item_set_str(it, "name", "ada", &e), OK);
    assert_int_equal(item_set_i64(it, "yaw", 30, &e), OK);
    return it;
}

static void round_trip(void **state)
{
    (void)state;
    static const char *const types[] = {
        "str",         "i64",       "f64?",       "bool",  "tensor",
        "tensor?",     "u8[H,W,3]", "f32[68,3]?", "f32[]", "f64[...]",
        "bf16[*,N,z]", "i64[2]",    "u16[A,A]"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct field_type t;
        struct err e;
        char text[80];
        assert_int_equal(field_type_parse(types[i], &t, &e), OK);
        assert_string_equal(field_type_text(&t, text, sizeof text), types[i]);
    }
}

static void bad_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *text;
    } rows[] = {
        {"frame", "port 'in': field 'frame' has no type"},
        {"frame u8", "port 'in': field 'frame': type 'u8': a tensor needs a "
                     "shape, as in f32[68,3]"},
        {"frame u9[2]", "port 'in': field 'frame': type 'u9[2]': no type "
                        "'u9' (did you mean 'u8'?)"},
        {"name strr", "port 'in': field 'name': type 'strr': no type "
                      "'strr' (did you mean 'str'?)"},
        {"a u8[HW]", "port 'in': field 'a': type 'u8[HW]': a size is a "
                     "number, one letter, or '*' ([...] is any shape)"},
        {"a u8[-1]", "port 'in': field 'a': type 'u8[-1]': a size is a "
                     "number, one letter, or '*' ([...] is any shape)"},
        {"a u8[1,]", "port 'in': field 'a': type 'u8[1,]': a size is a "
                     "number, one letter, or '*' ([...] is any shape)"},
        {"a u8[1", "port 'in': field 'a': type 'u8[1': the shape does not "
                   "end with ']'"},
        {"a u8[1,1,1,1,1,1,1,1,1]",
         "port 'in': field 'a': type 'u8[1,1,1,1,1,1,1,1,1]': more than 8 "
         "sizes"},
        {"a str, a i64", "port 'in': field 'a' occurs twice"},
        {"a str,", "port 'in': the list ends with a comma"},
        {"Frame str", "port 'in': 'Frame' is not a field name (a-z0-9_., at "
                      "most 47)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct port_spec p;
        struct err e = {0};
        assert_int_equal(port_parse("in", rows[i].fields, &p, &e), ERR_ARG);
        assert_string_equal(e.text, rows[i].text);
    }
}

static void tables(void **state)
{
    (void)state;
    static const struct stage_port table[] = {
        {"in", "frame u8[H,W,3], landmarks f32[68,3], name str, yaw f64?", ""},
        {"other", "", ""},
        {0}};
    struct port_spec *p;
    struct err e;
    size_t n;
    assert_int_equal(ports_parse(table, &p, &n, &e), OK);
    assert_int_equal(n, 2);
    assert_int_equal(p[0].n, 4);
    assert_int_equal(p[1].n, 0);
    assert_true(port_field(&p[0], "yaw")->type.optional);
    assert_int_equal(port_field(&p[0], "frame")->type.dim[2], 3);
    assert_null(port_field(&p[0], "ya"));
    assert_ptr_equal(ports_find(p, n, "other"), &p[1]);
    assert_null(ports_find(p, n, NULL));
    assert_ptr_equal(ports_find(p, 1, NULL), p);
    ports_free(&p, n);
    assert_null(p);
    assert_int_equal(ports_parse(NULL, &p, &n, &e), OK);
    assert_int_equal(n, 0);
    ports_free(&p, n);
}

static void items(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *text; /* NULL: fits */
        int64_t h2, w2;
    } rows[] = {
        {"frame u8[H,W,3], mask u8[H,W], name str", NULL, 4, 6},
        {"frame u8[H,W,3], mask u8[H,W]",
         "port 'in': field 'mask': wanted u8[H,W] with H=4, W=6, found "
         "u8[4,5]",
         4, 5},
        {"frame u8[H,W,3], mask u8[*,W]", NULL, 9, 6},
        {"mask tensor, frame u8[...]", NULL, 1, 1},
        {"frame f32[H,W,3]",
         "port 'in': field 'frame': wanted f32[H,W,3], found u8[4,6,3]", 4, 6},
        {"frame u8[A,A,3]",
         "port 'in': field 'frame': wanted u8[A,A,3], found u8[4,6,3]", 4, 6},
        {"frame str", "port 'in': field 'frame': wanted str, found u8[4,6,3]",
         4, 6},
        {"name i64", "port 'in': field 'name': wanted i64, found str", 4, 6},
        {"name tensor", "port 'in': field 'name': wanted tensor, found str", 4,
         6},
        {"yaw f64, roll f64?", NULL, 4, 6},
        {"yaws f64",
         "port 'in': field 'yaws' is missing, wanted f64 (the item has "
         "frame, mask, name, yaw; did you mean 'yaw'?)",
         4, 6},
        {"", NULL, 4, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct item *it = face(4, 6, rows[i].h2, rows[i].w2);
        struct port_spec p;
        struct port_bind b, unbound;
        struct err e = {0};
        port_bind_reset(&b);
        port_bind_reset(&unbound);
        assert_int_equal(port_parse("in", rows[i].fields, &p, &e), OK);
        enum err_code rc = port_check(&p, it, &b, &e);
        if (rows[i].text) {
            assert_int_equal(rc, ERR_DATA);
            assert_string_equal(e.text, rows[i].text);
            assert_memory_equal(&b, &unbound, sizeof b);
        } else {
            assert_int_equal(rc, OK);
        }
        port_free(&p);
        item_free(&it);
    }
}

/* Letters bound by an input hold for the outputs of the same call. */
static void across_ports(void **state)
{
    (void)state;
    struct item *it = face(4, 6, 4, 6), *out = face(8, 6, 4, 6);
    struct port_spec in, o;
    struct port_bind b;
    struct err e;
    port_bind_reset(&b);
    assert_int_equal(port_parse("in", "frame u8[H,W,3]", &in, &e), OK);
    assert_int_equal(port_parse("out", "frame u8[H,W,3]", &o, &e), OK);
    assert_int_equal(port_check(&in, it, &b, &e), OK);
    assert_int_equal(port_check(&o, out, &b, &e), ERR_DATA);
    assert_string_equal(e.text, "port 'out': field 'frame': wanted u8[H,W,3] "
                                "with H=4, W=6, found u8[8,6,3]");
    assert_int_equal(port_check(&o, it, &b, &e), OK);
    port_free(&in);
    port_free(&o);
    item_free(&it);
    item_free(&out);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        double v;
        bool ok;
    } rows[] = {{3, true}, {3.5, false}, {1e300, false}, {-4, true}};
    struct port_spec p;
    struct err e;
    assert_int_equal(port_parse("in", "v i64", &p, &e), OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct item *it = item_new(&e);
        struct port_bind b;
        port_bind_reset(&b);
        assert_int_equal(item_set_f64(it, "v", rows[i].v, &e), OK);
        assert_int_equal(port_check(&p, it, &b, &e) == OK, rows[i].ok);
        assert_int_equal(item_set_nil(it, "v", &e), OK);
        assert_int_equal(port_check(&p, it, &b, &e), ERR_DATA);
        item_free(&it);
    }
    port_free(&p);
}

static void edges(void **state)
{
    (void)state;
    static const struct {
        const char *offered, *wanted;
        bool ok;
    } rows[] = {
        {"u8[H,W,3]", "u8[A,B,3]", true},
        {"u8[H,W,3]", "u8[H,W]", false},
        {"u8[H,W,3]", "u8[H,W,1]", false},
        {"u8[H,W,*]", "u8[H,W,1]", true},
        {"u8[...]", "u8[H,W,1]", true},
        {"f32[...]", "u8[H,W]", false},
        {"tensor", "f32[68,3]", true},
        {"f32[68,3]", "tensor", true},
        {"str", "tensor", false},
        {"tensor", "str", false},
        {"i64", "f64", true},
        {"f64", "i64", false},
        {"u8[4,5]", "u8[A,A]", false},
        {"u8[4,4]", "u8[A,A]", true},
        {"u8[4,*]", "u8[A,A]", true},
        {"bool", "bool", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct field_type a, b;
        struct err e;
        assert_int_equal(field_type_parse(rows[i].offered, &a, &e), OK);
        assert_int_equal(field_type_parse(rows[i].wanted, &b, &e), OK);
        assert_int_equal(field_type_fits(&a, &b, NULL), rows[i].ok);
    }
}

static void resolve(void **state)
{
    (void)state;
    struct field_type have, want, out;
    struct port_bind b;
    struct err e;
    char text[80];
    port_bind_reset(&b);
    assert_int_equal(field_type_parse("u8[128,*,3]", &have, &e), OK);
    assert_int_equal(field_type_parse("u8[H,W,C]", &want, &e), OK);
    assert_true(field_type_fits(&have, &want, &b));
    assert_int_equal(field_type_parse("f32[C,H,W]?", &out, &e), OK);
    out = field_type_resolve(&out, &b);
    assert_string_equal(field_type_text(&out, text, sizeof text),
                        "f32[3,128,*]?");
}

static void no_memory(void **state)
{
    (void)state;
    static const struct stage_port table[] = {
        {"in", "a str", ""}, {"b", "c u8[H]", ""}, {0}};
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        int64_t before = mem_live();
        struct port_spec *p;
        struct err e;
        size_t n;
        mem_fail_nth(nth);
        enum err_code rc = ports_parse(table, &p, &n, &e);
        failed = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, failed ? ERR_NOMEM : OK);
        ports_free(&p, n);
        assert_int_equal(mem_live(), before);
        assert_true(nth < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),   cmocka_unit_test(bad_grammar),
        cmocka_unit_test(tables),       cmocka_unit_test(items),
        cmocka_unit_test(across_ports), cmocka_unit_test(numbers),
        cmocka_unit_test(edges),        cmocka_unit_test(resolve),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
