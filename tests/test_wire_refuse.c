/* lib/data/wire, wire_scan and numpy: everything that must be refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/data/numpy.h"
#include "lib/data/wire.h"
#include "lib/data/wire_scan.h"
#include "tests/support/raw_msgpack.h"

static void refused(enum err_code want, const char *text, const void *part,
                    size_t n)
{
    int64_t live = mem_live() - (mp_out.data ? 1 : 0);
    struct item *it;
    struct err e;
    enum err_code code = mp_decode(part, n, &it, &e);
    if (code != want || !strstr(e.text, text))
        fail_msg("got %s '%s', wanted %s with '%s'", err_word(code), e.text,
                 err_word(want), text);
    assert_int_equal(mem_live(), live);
}

static void refuses_headers(void **state)
{
    (void)state;
    buf_init(&mp_out, 4096);
    refused(ERR_DATA, "too early", NULL, 0); /* empty */
    mp_byte(0x93);
    refused(ERR_DATA, "announces 3 objects", NULL, 0);
    mp_array(0);
    refused(ERR_DATA, "not a map", NULL, 0);
    mp_map(0);
    refused(ERR_DATA, "version", NULL, 0);
    mp_map(1);
    mp_str("v");
    mp_byte(2);
    refused(ERR_UNSUPPORTED, "wire version 2", NULL, 0);
    mp_map(1);
    mp_str("v");
    mp_byte(1);
    refused(ERR_DATA, "'fields'", NULL, 0);
    mp_map(2);
    mp_str("v");
    mp_byte(1);
    mp_str("v");
    mp_byte(1);
    refused(ERR_DATA, "'v' twice", NULL, 0);
    mp_begin(0);
    mp_byte(0xc0);
    refused(ERR_DATA, "1 bytes follow", NULL, 0);
    mp_begin(0);
    refused(ERR_DATA, "frame 1 is named by no field", "abcd", 4);
    mp_begin(65);
    for (int i = 0; i < 65; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        mp_str(name);
        mp_byte(1);
    }
    refused(ERR_DATA, "65 fields", NULL, 0);

    const struct {
        const char *key, *text;
        uint8_t value[5];
        size_t n;
    } bad[] = {
        {"kind", "'kind'", {0xa0}, 1},
        {"kind", "0x20", {0xa1, ' '}, 2},
        {"id", "'id' is not 16", {0xc4, 1, 0}, 3},
        {"parent", "'parent' is not 16", {1}, 1},
        {"attempt", "'attempt'", {0xff}, 1},
        {"epoch", "'epoch'", {0xa1, '1'}, 2},
        {"fields", "'fields'", {0x90}, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mp_map(3);
        mp_str("v");
        mp_byte(1);
        mp_str(bad[i].key);
        mp_raw(bad[i].value, bad[i].n);
        mp_str(strcmp(bad[i].key, "fields") ? "fields" : "x");
        mp_map(0);
        refused(ERR_DATA, bad[i].text, NULL, 0);
    }
}

static void refuses_values(void **state)
{
    (void)state;
    const struct {
        const char *name, *text;
        enum err_code code;
        uint8_t v[12];
        size_t n;
    } bad[] = {
        {"x", "lists", ERR_UNSUPPORTED, {0x91, 1}, 2},
        {"x", "maps", ERR_UNSUPPORTED, {0x81, 0xa1, 'a', 1}, 4},
        {"x", "bytes", ERR_UNSUPPORTED, {0xc4, 1, 1}, 3},
        {"x", "extensions", ERR_UNSUPPORTED, {0xd4, 5, 0}, 3},
        {"x", "2^63", ERR_UNSUPPORTED, {0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0}, 9},
        {"x", "UTF-8", ERR_DATA, {0xa2, 0xc3, 0x28}, 3},
        {"x", "NUL", ERR_DATA, {0xa2, 'a', 0}, 3},
        {"x",
         "complex",
         ERR_UNSUPPORTED,
         {0x81, 0xa7, 'c', 'o', 'm', 'p', 'l', 'e', 'x', 0xc3},
         10},
        {"X", "'X' is no field name", ERR_DATA, {1}, 1},
        {"", "no field name", ERR_DATA, {1}, 1},
        {"a\x1b[2J", "'a?[2J'", ERR_DATA, {1}, 1},
        {"a23456789012345678901234567890123456789012345678",
         "no field name",
         ERR_DATA,
         {1},
         1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mp_begin(1);
        mp_str(bad[i].name);
        mp_raw(bad[i].v, bad[i].n);
        refused(bad[i].code, bad[i].text, NULL, 0);
    }
    mp_begin(2);
    mp_str("x");
    mp_byte(1);
    mp_str("x");
    mp_byte(1);
    refused(ERR_DATA, "'x' occurs twice", NULL, 0);
    mp_begin(1);
    mp_byte(7);
    mp_byte(1);
    refused(ERR_DATA, "no field name", NULL, 0);
}

static void refuses_arrays(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    static const uint32_t two[1] = {2}, neg[1] = {0xffffffffu};
    static const uint32_t huge[8] = {0xffffffffu, 0xffffffffu, 0xffffffffu,
                                     0xffffffffu, 0xffffffffu, 0xffffffffu,
                                     0xffffffffu, 0xffffffffu};
    static const uint32_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct {
        const char *type;
        unsigned ndim;
        const uint32_t *shape;
        const char *key; /* data, frame, or something else with value 1 */
        uint32_t value;  /* bytes of data, or frame */
        enum err_code code;
        const char *text;
    } bad[] = {
        {">f4", 1, two, "data", 8, ERR_UNSUPPORTED, "big-endian"},
        {"<c8", 1, two, "data", 16, ERR_UNSUPPORTED, "complex"},
        {"|O", 1, two, "data", 16, ERR_UNSUPPORTED, "object"},
        {"<V2", 1, two, "data", 4, ERR_UNSUPPORTED, "not one of"},
        {"<u4", 1, two, "data", 8, ERR_UNSUPPORTED, "not one of"},
        {"<f4", 1, two, "data", 7, ERR_DATA, "7 bytes, its shape needs 8"},
        {"<f4", 1, two, "data", 0, ERR_DATA, "0 bytes, its shape needs 8"},
        {"<f4", 1, two, "frame", 0, ERR_DATA, "not in 1..1"},
        {"<f4", 1, two, "frame", 2, ERR_DATA, "not in 1..1"},
        {"<f8", 1, two, "frame", 1, ERR_DATA, "frame 1 has 8 bytes"},
        {"|u1", 1, neg, "frame", 1, ERR_DATA, "larger than"},
        {"|u1", 8, huge, "frame", 1, ERR_DATA, ""},
        {"|u1", 9, nine, "frame", 1, ERR_DATA, "9 dimensions"},
        {"<f4", 1, two, "arena", 1, ERR_UNSUPPORTED, "arena"},
        {"<f4", 1, two, "order", 1, ERR_DATA, "unknown key 'order'"},
        {"<f4", 1, two, "nd", 1, ERR_DATA, "'nd' twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mp_begin(1);
        mp_str("x");
        mp_array_head(bad[i].type, bad[i].ndim, bad[i].shape);
        mp_str(bad[i].key);
        if (strcmp(bad[i].key, "data") == 0)
            mp_bin(zeros, bad[i].value);
        else
            mp_uint(bad[i].value);
        refused(bad[i].code, bad[i].text, zeros, 8);
    }
}

static void refuses_more_arrays(void **state)
{
    (void)state;
    static const uint32_t two[1] = {2};
    mp_begin(2); /* a frame that two fields would share */
    mp_str("x");
    mp_array_head("<f4", 1, two);
    mp_str("frame");
    mp_uint(1);
    mp_str("y");
    mp_array_head("<f4", 1, two);
    mp_str("frame");
    mp_uint(1);
    refused(ERR_DATA, "frame 1 is used twice", "12345678", 8);

    mp_begin(1); /* a size that is no integer */
    mp_str("x");
    mp_map(4);
    mp_str("nd");
    mp_byte(0xc3);
    mp_str("type");
    mp_str("|u1");
    mp_str("shape");
    mp_array(1);
    mp_byte(0xff);
    mp_str("data");
    mp_bin("", 0);
    refused(ERR_DATA, "dimension 0 is not a size", NULL, 0);

    const char *const kinds[2] = {"O", "V"};
    for (int i = 0; i < 2; i++) {
        mp_begin(1);
        mp_str("x");
        mp_map(5);
        mp_str("nd");
        mp_byte(0xc3);
        mp_str("kind");
        mp_str(kinds[i]);
        mp_str("type");
        mp_array(1);
        mp_str("<f4");
        mp_str("shape");
        mp_array(0);
        mp_str("data");
        mp_bin("1234", 4);
        refused(ERR_UNSUPPORTED, i ? "kind 'V'" : "object", NULL, 0);
    }
    for (int keys = 1; keys < 5; keys++) { /* too few keys */
        mp_begin(1);
        mp_str("x");
        mp_map((unsigned)keys);
        mp_str("nd");
        mp_byte(0xc3);
        if (keys > 1) {
            mp_str("type");
            mp_str("|u1");
        }
        if (keys > 2) {
            mp_str("shape");
            mp_array(0);
        }
        if (keys > 3) {
            mp_str("kind");
            mp_str("");
        }
        refused(ERR_DATA, "needs", NULL, 0);
    }
}

/* Bytes that announce more than there is must not make anybody allocate. */
static void refuses_bombs(void **state)
{
    (void)state;
    const uint8_t containers[4] = {0xdd, 0xdf, 0xc6, 0xdb};
    for (size_t i = 0; i < 4; i++) {
        mp_begin(1);
        mp_str("x");
        mp_byte(containers[i]);
        mp_be32(0xffffffffu);
        refused(ERR_DATA, i == 1 ? "announces 8589934590" : "announces 4294967",
                NULL, 0);
    }
    mp_begin(1); /* honest, but 24 bytes of memory for each byte sent */
    mp_str("x");
    mp_byte(0xdd);
    mp_be32(1u << 20);
    for (uint32_t i = 0; i < 1u << 20; i++)
        mp_byte(0xc0);
    refused(ERR_DATA, "more than 16384 msgpack objects", NULL, 0);
    mp_begin(1);
    mp_str("x");
    for (int i = 0; i < 1000; i++)
        mp_byte(0x91);
    mp_byte(0);
    refused(ERR_DATA, "nested deeper than 8", NULL, 0);
}

static void scans(void **state)
{
    (void)state;
    struct err e;
    /* one object of each form, each exactly as long as it says */
    static const struct {
        const char *bytes;
        size_t n;
    } good[] = {
        {"\x00", 1},
        {"\xff", 1},
        {"\xc0", 1},
        {"\xc3", 1},
        {"\x80", 1},
        {"\x81\x01\x02", 3},
        {"\x90", 1},
        {"\x91\xc0", 2},
        {"\xa2xy", 3},
        {"\xc4\x01x", 3},
        {"\xc5\0\x01x", 4},
        {"\xc6\0\0\0\x01x", 6},
        {"\xc7\x01tx", 4},
        {"\xc8\0\x01tx", 5},
        {"\xc9\0\0\0\x01tx", 7},
        {"\xca"
         "1234",
         5},
        {"\xcb"
         "12345678",
         9},
        {"\xcc"
         "1",
         2},
        {"\xcd"
         "12",
         3},
        {"\xce"
         "1234",
         5},
        {"\xcf"
         "12345678",
         9},
        {"\xd0"
         "1",
         2},
        {"\xd1"
         "12",
         3},
        {"\xd2"
         "1234",
         5},
        {"\xd3"
         "12345678",
         9},
        {"\xd4t1", 3},
        {"\xd5t12", 4},
        {"\xd6t1234", 6},
        {"\xd7t12345678", 10},
        {"\xd8t1234567812345678", 18},
        {"\xd9\x01x", 3},
        {"\xda\0\x01x", 4},
        {"\xdb\0\0\0\x01x", 6},
        {"\xdc\0\x01\xc0", 4},
        {"\xdd\0\0\0\x01\xc0", 6},
        {"\xde\0\x01\x01\x02", 5},
        {"\xdf\0\0\0\x01\x01\x02", 7},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(wire_scan(good[i].bytes, good[i].n, 1, 3, &e), OK);
        for (size_t n = 0; n < good[i].n; n++) {
            /* In a block of its own, so that ASan sees a read past it. */
            char *cut = mem_alloc(n);
            memcpy(cut, good[i].bytes, n);
            assert_int_equal(wire_scan(cut, n, 1, 3, &e), ERR_DATA);
            mem_free(cut);
        }
    }
    assert_int_equal(wire_scan("\xc1", 1, 1, 1, &e), ERR_DATA);
    assert_int_equal(wire_scan("\xc0\xc0", 2, 1, 9, &e), ERR_DATA);
    assert_int_equal(wire_scan("\x91\x90", 2, 1, 9, &e), ERR_DATA);
    assert_int_equal(wire_scan("\x91\x90", 2, 2, 9, &e), OK);
    assert_int_equal(wire_scan("\x91\x90", 2, 2, 1, &e), ERR_DATA);
    assert_int_equal(wire_scan("\x90", 1, 0, 9, &e), ERR_DATA);
    assert_int_equal(wire_scan("\x01", 1, 0, 9, &e), OK);
    assert_int_equal(wire_scan("\x01", 1, 33, 9, &e), ERR_ARG);
    assert_int_equal(wire_scan("\x01", 1, -1, 9, &e), ERR_ARG);
}

/* A control word goes without fields; the head of what cannot be taken tells
 * whose it was. */
static void heads(void **state)
{
    (void)state;
    struct item *it = NULL, *head = NULL;
    struct err e;
    struct wire_msg msg = {.n = 0};
    int64_t live = mem_live();
    buf_init(&mp_out, 4096);
    mp_map(2);
    mp_str("v");
    mp_byte(1);
    mp_str("kind");
    mp_str("done");
    assert_int_equal(mp_decode(NULL, 0, &it, &e), OK);
    assert_string_equal(it->kind, "done");
    assert_int_equal(it->n, 0);
    item_free(&it);
    mp_begin(1);
    mp_str("x");
    mp_array(0);
    assert_int_equal(wire_msg_add(&msg, mp_out.data, mp_out.len, &e), OK);
    assert_int_equal(wire_decode_head(&msg, NULL, &it, &head, &e),
                     ERR_UNSUPPORTED);
    assert_null(it);
    assert_non_null(head);
    assert_memory_equal(head->id.b, mp_id, 16);
    item_free(&head);
    buf_free(&mp_out);
    assert_int_equal(mem_live(), live);
}

static void numpy_words(void **state)
{
    (void)state;
    struct err e;
    enum dtype d;
    struct numpy_scalar v;
    for (int i = 0; i < DT_COUNT; i++) {
        const char *name = numpy_name((enum dtype)i);
        assert_int_equal(numpy_dtype(name, strlen(name), &d, &e), OK);
        assert_int_equal(d, i);
        assert_int_equal(numpy_dtype(name, strlen(name) - 1, &d, &e),
                         ERR_UNSUPPORTED);
    }
    const double x = -2.75;
    assert_int_equal(numpy_scalar("<f8", 3, &x, 8, &v, &e), OK);
    assert_true(v.f == x);
    assert_int_equal(numpy_scalar("<f2", 3, "\0\x3c", 2, &v, &e), OK);
    assert_true(v.f == 1.0);
    assert_int_equal(numpy_scalar("<f2", 3, "\0\x7c", 2, &v, &e), OK);
    assert_true(isinf(v.f)); /* not finite is data too */
    assert_int_equal(numpy_scalar("<f8", 3, &x, 4, &v, &e), ERR_DATA);
    assert_int_equal(numpy_scalar("|u1", 3, "\xff", 1, &v, &e), OK);
    assert_int_equal(v.i, 255);
    assert_int_equal(numpy_scalar("|i1", 3, "\xff", 1, &v, &e), OK);
    assert_int_equal(v.i, -1);
    assert_int_equal(numpy_scalar("<u8", 3, "\0\0\0\0\0\0\0\x80", 8, &v, &e),
                     ERR_UNSUPPORTED);
    assert_int_equal(numpy_scalar("<i8", 3, "\0\0\0\0\0\0\0\x80", 8, &v, &e),
                     OK);
    assert_true(v.i == INT64_MIN);
    assert_int_equal(numpy_scalar("<c8", 3, &x, 8, &v, &e), ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_headers),
        cmocka_unit_test(refuses_values),
        cmocka_unit_test(refuses_arrays),
        cmocka_unit_test(refuses_more_arrays),
        cmocka_unit_test(refuses_bombs),
        cmocka_unit_test(scans),
        cmocka_unit_test(heads),
        cmocka_unit_test(numpy_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
