/* Raw msgpack for the wire tests. */
#include "tests/support/raw_msgpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib/data/wire.h"

struct buf mp_out;

void mp_raw(const void *p, size_t n)
{
    assert_int_equal(buf_put(&mp_out, p, n, NULL), OK);
}
void mp_byte(unsigned b)
{
    uint8_t v = (uint8_t)b;
    mp_raw(&v, 1);
}
void mp_be32(uint32_t v)
{
    for (int i = 24; i >= 0; i -= 8)
        mp_byte(v >> i & 0xff);
}
void mp_map(unsigned n)
{
    mp_byte(0xde);
    mp_byte(n >> 8);
    mp_byte(n & 0xff);
}
void mp_array(unsigned n)
{
    mp_byte(0x90 | n);
}
void mp_str(const char *s)
{
    mp_byte(0xd9);
    mp_byte((unsigned)strlen(s));
    mp_raw(s, strlen(s));
}
void mp_bin(const void *p, size_t n)
{
    mp_byte(0xc6);
    mp_be32((uint32_t)n);
    mp_raw(p, n);
}
void mp_uint(uint32_t v)
{
    mp_byte(0xce);
    mp_be32(v);
}

const uint8_t mp_id[16] = {1, 2, 3, 4, 5, 6, 7, 8};

void mp_begin(unsigned n)
{
    buf_init(&mp_out, 1u << 24);
    mp_map(4);
    mp_str("v");
    mp_uint(1);
    mp_str("kind");
    mp_str("item");
    mp_str("id");
    mp_bin(mp_id, 16);
    mp_str("fields");
    mp_map(n);
}

void mp_array_head(const char *type, unsigned ndim, const uint32_t *shape)
{
    mp_map(5);
    mp_str("nd");
    mp_byte(0xc3);
    mp_str("type");
    mp_str(type);
    mp_str("kind");
    mp_str("");
    mp_str("shape");
    mp_array(ndim);
    for (unsigned i = 0; i < ndim; i++)
        mp_uint(shape[i]);
}

enum err_code mp_decode(const void *part, size_t n, struct item **it,
                        struct err *e)
{
    struct wire_msg msg = {.n = 0};
    assert_int_equal(wire_msg_add(&msg, mp_out.data, mp_out.len, NULL), OK);
    if (part)
        assert_int_equal(wire_msg_add(&msg, part, n, NULL), OK);
    buf_free(&mp_out);
    *e = (struct err){0};
    enum err_code code = wire_decode(&msg, NULL, it, e);
    assert_int_equal(msg.n, 0);
    assert_true((code == OK) == (*it != NULL));
    assert_int_equal(e->code, code);
    return code;
}
