/* lib/data/wire: round trips, what Python sends, caps, damage, no memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/wire.h"
#include "tests/support/raw_msgpack.h"

/* Round trips */

/* A tensor of that dtype and shape, its bytes arbitrary. */
static struct tensor *some_tensor(enum dtype d, int ndim, const int64_t *shape)
{
    struct tensor *t = tensor_new(d, ndim, shape, NULL);
    struct rng r;
    assert_non_null(t);
    rng_seed(&r, (uint64_t)d + t->bytes);
    for (size_t i = 0; i < t->bytes; i++)
        ((uint8_t *)t->data)[i] = (uint8_t)rng_u64(&r);
    return t;
}

static struct item *full_item(void)
{
    struct item *it = item_new(NULL);
    static const int64_t small[3] = {2, 3, 5}, big[2] = {113, 101};
    static const int64_t empty[2] = {0, 7};
    char name[32];
    assert_non_null(it);
    memcpy(it->id.b, mp_id, 16);
    it->parent.b[15] = 0xff;
    it->attempt = 3;
    it->epoch = 4000000000u;
    assert_int_equal(item_set_str(it, "name", "h\xc3\xa9llo", NULL), OK);
    assert_int_equal(item_set_str(it, "empty", "", NULL), OK);
    assert_int_equal(item_set_i64(it, "lo", INT64_MIN, NULL), OK);
    assert_int_equal(item_set_i64(it, "hi", INT64_MAX, NULL), OK);
    assert_int_equal(item_set_f64(it, "yaw", -0.1, NULL), OK);
    assert_int_equal(item_set_f64(it, "unknown", (double)NAN, NULL), OK);
    assert_int_equal(item_set_f64(it, "far", -(double)INFINITY, NULL), OK);
    assert_int_equal(item_set_bool(it, "yes", true, NULL), OK);
    assert_int_equal(item_set_bool(it, "no", false, NULL), OK);
    assert_int_equal(item_set_nil(it, "none", NULL), OK);
    for (int d = 0; d < DT_COUNT; d++) {
        const char *dn = dtype_name((enum dtype)d);
        struct tensor *t = some_tensor((enum dtype)d, 3, small);
        snprintf(name, sizeof name, "small.%s", dn);
        assert_int_equal(item_set_tensor(it, name, t, NULL), OK);
        t = some_tensor((enum dtype)d, 2, big);
        snprintf(name, sizeof name, "big.%s", dn);
        assert_int_equal(item_set_tensor(it, name, t, NULL), OK);
    }
    assert_int_equal(
        item_set_tensor(it, "scalar", some_tensor(DT_F32, 0, NULL), NULL), OK);
    assert_int_equal(
        item_set_tensor(it, "nothing", some_tensor(DT_U8, 2, empty), NULL), OK);
    return it;
}

/* Field for field and byte for byte (not item_equal: NaNs are arbitrary). */
static void assert_same(const struct item *a, const struct item *b)
{
    assert_true(item_id_equal(&a->id, &b->id));
    assert_true(item_id_equal(&a->parent, &b->parent));
    assert_string_equal(a->kind, b->kind);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct field *f = &a->fields[i], *g = &b->fields[i];
        assert_string_equal(f->name, g->name);
        assert_int_equal(f->type, g->type);
        if (f->type == VAL_TENSOR)
            assert_true(tensor_equal(f->v.t, g->v.t));
        else if (f->type == VAL_STR)
            assert_string_equal(f->v.s, g->v.s);
        else if (f->type == VAL_BOOL)
            assert_true(f->v.b == g->v.b);
        else if (f->type == VAL_I64)
            assert_true(f->v.i == g->v.i);
        else if (f->type == VAL_F64)
            assert_memory_equal(&f->v.f, &g->v.f, sizeof f->v.f);
    }
}

static void round_trip(void **state)
{
    (void)state;
    int64_t live = mem_live();
    struct item *it = full_item(), *back = NULL;
    struct wire_msg msg, again;
    struct err e = {0};
    assert_int_equal(wire_encode(it, &msg, &e), OK);
    assert_int_equal(msg.n, 1 + DT_COUNT); /* the big ones */
    /* Encoding copies no large tensor, and gives the same bytes each time. */
    assert_ptr_equal(msg.part[1].data, item_tensor(it, "big.u8")->data);
    assert_int_equal(wire_encode(it, &again, &e), OK);
    assert_int_equal(msg.part[0].size, again.part[0].size);
    assert_memory_equal(msg.part[0].data, again.part[0].data, msg.part[0].size);
    wire_msg_free(&again);

    const void *frame = msg.part[1].data;
    assert_int_equal(wire_decode(&msg, NULL, &back, &e), OK);
    assert_ptr_equal(item_tensor(back, "big.u8")->data, frame);
    assert_same(it, back);
    item_free(&it); /* what was decoded stands by itself */
    assert_int_equal(item_tensor(back, "big.f64")->count, 113 * 101);
    item_free(&back);
    assert_int_equal(mem_live(), live);
}

static void control_kinds_and_many_fields(void **state)
{
    (void)state;
    struct item *it = item_new(NULL), *back;
    static const int64_t big[1] = {5000};
    struct wire_msg msg;
    char name[16];
    snprintf(it->kind, sizeof it->kind, "done");
    for (int i = 0; i < ITEM_MAX_FIELDS; i++) {
        snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(
            item_set_tensor(it, name, some_tensor(DT_U8, 1, big), NULL), OK);
    }
    assert_int_equal(wire_encode(it, &msg, NULL), OK);
    assert_int_equal(msg.n, 1 + ITEM_MAX_FIELDS);
    assert_int_equal(wire_decode(&msg, NULL, &back, NULL), OK);
    assert_string_equal(back->kind, "done");
    assert_same(it, back);
    item_free(&it);
    item_free(&back);
}

static void encode_refuses(void **state)
{
    (void)state;
    int64_t live = mem_live();
    struct item *it;
    struct wire_msg msg;
    struct err e = {0};
    it = item_new(NULL); /* 20 strings of 1 MiB: no reader would take it */
    char *s = mem_alloc(ITEM_MAX_STR);
    memset(s, 'a', ITEM_MAX_STR - 1);
    s[ITEM_MAX_STR - 1] = '\0';
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        assert_int_equal(item_set_str(it, name, s, NULL), OK);
    }
    assert_int_equal(wire_encode(it, &msg, &e), ERR_NOMEM);
    assert_int_equal(msg.n, 0);
    mem_free(s);
    item_free(&it);
    assert_int_equal(mem_live(), live);
}

static void frames_not_ours_are_copied(void **state)
{
    (void)state;
    struct item *it;
    struct err e;
    static _Alignas(8) uint8_t memory[81];
    const uint32_t ten[1] = {10};
    for (int misaligned = 0; misaligned < 2; misaligned++) {
        mp_begin(1);
        mp_str("x");
        mp_array_head("<f8", 1, ten);
        mp_str("frame");
        mp_uint(1);
        struct wire_msg msg = {.n = 0};
        assert_int_equal(wire_msg_add(&msg, mp_out.data, mp_out.len, NULL), OK);
        buf_free(&mp_out);
        /* Without release, or at an odd address: not to be kept. */
        memset(memory, 7, sizeof memory);
        msg.part[msg.n++] =
            (struct wire_part){.data = memory + misaligned, .size = 80};
        assert_int_equal(wire_decode(&msg, NULL, &it, &e), OK);
        memset(memory, 8, sizeof memory);
        assert_int_equal(*(uint8_t *)item_tensor(it, "x")->data, 7);
        assert_int_equal((uintptr_t)item_tensor(it, "x")->data % 8, 0);
        item_free(&it);
    }
}

/* What Python sends */

static void reads_msgpack_numpy(void **state)
{
    (void)state;
    struct item *it;
    struct err e;
    const float v[2] = {1.5f, -2};
    mp_begin(4);
    /* As msgpack_numpy writes with use_bin_type: names as bytes. */
    mp_str("pts");
    mp_map(5);
    mp_bin("nd", 2);
    mp_byte(0xc3);
    mp_bin("type", 4);
    mp_str("<f4");
    mp_bin("kind", 4);
    mp_bin("", 0);
    mp_bin("shape", 5);
    mp_array(1);
    mp_byte(2);
    mp_bin("data", 4);
    mp_bin(v, sizeof v);
    /* np.float32(1.5), np.int16(-2), np.bool_(True) */
    mp_str("f");
    mp_map(3);
    mp_bin("nd", 2);
    mp_byte(0xc2);
    mp_bin("type", 4);
    mp_str("<f4");
    mp_bin("data", 4);
    mp_bin(v, 4);
    mp_str("i");
    mp_map(3);
    mp_bin("nd", 2);
    mp_byte(0xc2);
    mp_bin("type", 4);
    mp_str("<i2");
    mp_bin("data", 4);
    mp_bin("\xfe\xff", 2);
    mp_str("b");
    mp_map(3);
    mp_bin("nd", 2);
    mp_byte(0xc2);
    mp_bin("type", 4);
    mp_str("|b1");
    mp_bin("data", 4);
    mp_bin("\1", 1);
    if (mp_decode(NULL, 0, &it, &e))
        fail_msg("%s", e.text);
    assert_int_equal(item_tensor(it, "pts")->count, 2);
    assert_true(tensor_get(item_tensor(it, "pts"), 1) == -2);
    assert_true(item_f64(it, "f", 0) == 1.5);
    assert_int_equal(item_i64(it, "i", 0), -2);
    assert_true(item_bool(it, "b", false));
    item_free(&it);
}

static void short_headers(void **state)
{
    (void)state;
    struct item *it;
    struct err e;
    /* A stage in another language need not know about ids; extra keys of the
     * top map are for later versions of us. */
    buf_init(&mp_out, 4096);
    mp_map(3);
    mp_str("fields");
    mp_map(1);
    mp_str("x");
    mp_byte(0xca); /* float32 2.0 */
    mp_be32(0x40000000);
    mp_str("v");
    mp_byte(1);
    mp_str("trace");
    mp_map(1);
    mp_byte(5);
    mp_array(2);
    mp_byte(0xc0);
    mp_byte(0xc0);
    if (mp_decode(NULL, 0, &it, &e))
        fail_msg("%s", e.text);
    assert_string_equal(it->kind, "item");
    assert_true(item_f64(it, "x", 0) == 2.0);
    struct item_id zero = {{0}};
    assert_true(item_id_equal(&it->id, &zero));
    item_free(&it);
}

static void keeps_caps(void **state)
{
    (void)state;
    struct wire_caps caps = wire_caps_default;
    struct item *it = full_item(), *back;
    struct wire_msg msg;
    struct err e;
    size_t total = 0;
    assert_int_equal(wire_encode(it, &msg, &e), OK);
    for (size_t i = 0; i < msg.n; i++)
        total += msg.part[i].size;
    size_t head = msg.part[0].size;
    caps.max_bytes = total - 1;
    assert_int_equal(wire_decode(&msg, &caps, &back, &e), ERR_DATA);
    assert_int_equal(msg.n, 0);
    caps.max_bytes = total;
    caps.max_header = head - 1;
    assert_int_equal(wire_encode(it, &msg, &e), OK);
    assert_int_equal(wire_decode(&msg, &caps, &back, &e), ERR_DATA);
    caps.max_header = head;
    caps.max_nesting = 3; /* the shape's list is the fourth level */
    assert_int_equal(wire_encode(it, &msg, &e), OK);
    assert_int_equal(wire_decode(&msg, &caps, &back, &e), ERR_DATA);
    caps.max_nesting = 4;
    assert_int_equal(wire_encode(it, &msg, &e), OK);
    assert_int_equal(wire_decode(&msg, &caps, &back, &e), OK);
    item_free(&back);
    item_free(&it);
    msg.n = 0;
    assert_int_equal(wire_decode(&msg, NULL, &back, &e), ERR_DATA);
    msg.n = WIRE_MAX_PARTS;
    for (size_t i = 0; i < msg.n; i++)
        msg.part[i] = (struct wire_part){0};
    assert_int_equal(wire_msg_add(&msg, "x", 1, &e), ERR_ARG);
}

/* Every cut and every changed byte: a clean answer, nothing leaks. */
static void survives_damage(void **state)
{
    (void)state;
    struct item *it = item_new(NULL), *back;
    struct wire_msg msg, copy;
    static const int64_t big[1] = {1200}, small[2] = {1, 3};
    struct err e;
    assert_int_equal(item_set_str(it, "s", "text", NULL), OK);
    assert_int_equal(item_set_f64(it, "f", 3.25, NULL), OK);
    assert_int_equal(
        item_set_tensor(it, "t", some_tensor(DT_U16, 2, small), NULL), OK);
    assert_int_equal(
        item_set_tensor(it, "u", some_tensor(DT_F32, 1, big), NULL), OK);
    assert_int_equal(wire_encode(it, &msg, NULL), OK);
    int64_t live = mem_live();
    size_t n = msg.part[0].size;
    for (size_t cut = 0; cut < n; cut++) {
        copy.n = 0;
        assert_int_equal(wire_msg_add(&copy, msg.part[0].data, cut, NULL), OK);
        assert_int_equal(
            wire_msg_add(&copy, msg.part[1].data, msg.part[1].size, NULL), OK);
        assert_int_equal(wire_decode(&copy, NULL, &back, &e), ERR_DATA);
        assert_int_equal(mem_live(), live);
    }
    int fine = 0;
    for (size_t at = 0; at < n; at++)
        for (unsigned v = 0; v < 256; v++) {
            copy.n = 0;
            assert_int_equal(wire_msg_add(&copy, msg.part[0].data, n, NULL),
                             OK);
            assert_int_equal(
                wire_msg_add(&copy, msg.part[1].data, msg.part[1].size, NULL),
                OK);
            ((uint8_t *)copy.part[0].data)[at] = (uint8_t)v;
            enum err_code code = wire_decode(&copy, NULL, &back, &e);
            if (code != ERR_DATA && code != ERR_UNSUPPORTED)
                assert_int_equal(code, OK);
            fine += code == OK;
            item_free(&back);
            assert_int_equal(mem_live(), live);
        }
    assert_in_range(fine, n, 256 * n - 1); /* ids and values may change */
    wire_msg_free(&msg);
    item_free(&it);
}

static void survives_no_memory(void **state)
{
    (void)state;
    struct item *it = full_item();
    int64_t live = mem_live();
    int failures = 0;
    for (uint64_t nth = 1;; nth++) {
        struct wire_msg msg = {.n = 0};
        struct item *back = NULL;
        struct err e = {0};
        mem_fail_nth(nth);
        enum err_code code = wire_encode(it, &msg, &e);
        if (code == OK)
            code = wire_decode(&msg, NULL, &back, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(msg.n, 0);
        if (!hit) {
            assert_int_equal(code, OK);
            assert_same(it, back);
            item_free(&back);
            break;
        }
        assert_int_equal(code, ERR_NOMEM);
        assert_int_equal(e.code, ERR_NOMEM);
        assert_null(back);
        assert_int_equal(mem_live(), live);
        failures++;
    }
    assert_in_range(failures, 30, 1000);
    struct wire_msg one = {.n = 0};
    mem_fail_nth(1);
    assert_int_equal(wire_msg_add(&one, "a", 1, NULL), ERR_NOMEM);
    mem_fail_nth(0);
    assert_int_equal(one.n, 0);
    item_free(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(control_kinds_and_many_fields),
        cmocka_unit_test(encode_refuses),
        cmocka_unit_test(frames_not_ours_are_copied),
        cmocka_unit_test(reads_msgpack_numpy),
        cmocka_unit_test(short_headers),
        cmocka_unit_test(keeps_caps),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(survives_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
