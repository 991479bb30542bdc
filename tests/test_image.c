/* lib/media/image: round trips, all PNG kinds, orientation, bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/media/image.h"

/* A picture with smooth parts and edges, so that JPEG has something to do. */
static struct tensor *scene(int64_t h, int64_t w, int64_t c)
{
    const int64_t shape[3] = {h, w, c};
    struct tensor *t = tensor_new(DT_U8, 3, shape, NULL);
    assert_non_null(t);
    for (int64_t i = 0; i < h * w * c; i++) {
        int64_t x = i / c % w, y = i / c / w;
        tensor_u8(t)[i] =
            (uint8_t)(x > w / 2 ? 40 + 3 * y * (i % c + 1) : 200 - 2 * x - y);
    }
    return t;
}

static void png_round_trip(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {
        {1, 1, 3}, {5, 7, 3}, {33, 1, 1}, {40, 50, 3}, {40, 50, 1}};
    for (size_t i = 0; i < 5; i++)
        for (int level = 0; level <= 9; level += 3) {
            struct tensor *src = scene(sizes[i][0], sizes[i][1], sizes[i][2]);
            struct tensor *back;
            struct buf b, again;
            assert_int_equal(image_encode_png(src, level, NULL, &b, NULL), OK);
            assert_int_equal(image_encode_png(src, level, NULL, &again, NULL),
                             OK);
            assert_int_equal(b.len, again.len);
            assert_memory_equal(b.data, again.data, b.len);
            assert_true(image_is_picture(b.data, b.len));
            assert_int_equal(image_decode(b.data, b.len, NULL, &back, NULL),
                             OK);
            assert_int_equal(back->shape[2], 3);
            int64_t c = sizes[i][2];
            for (size_t k = 0; k < back->count; k++)
                assert_int_equal(tensor_u8(back)[k],
                                 tensor_u8(src)[c == 3 ? k : k / 3]);
            tensor_free(&back);
            tensor_free(&src);
            buf_free(&b);
            buf_free(&again);
        }
}

static void jpeg_round_trip(void **state)
{
    (void)state;
    struct tensor *src = scene(64, 48, 3), *back;
    size_t last = 0;
    for (int quality = 30; quality <= 100; quality += 35) {
        struct buf b;
        assert_int_equal(image_encode_jpeg(src, quality, NULL, &b, NULL), OK);
        assert_true(b.len > last); /* better is longer */
        last = b.len;
        assert_int_equal(image_decode(b.data, b.len, NULL, &back, NULL), OK);
        assert_int_equal(back->shape[0], 64);
        assert_int_equal(back->shape[1], 48);
        double sum = 0;
        for (size_t k = 0; k < back->count; k++) {
            double d = (double)tensor_u8(back)[k] - tensor_u8(src)[k];
            sum += d * d;
        }
        /* 4:4:4 at 100: only rounding is left; else coarse agreement */
        assert_true(sum / (double)back->count < (quality == 100 ? 1.5 : 400));
        tensor_free(&back);
        buf_free(&b);
    }
    tensor_free(&src);
    src = scene(9, 9, 1);
    struct buf b;
    assert_int_equal(image_encode_jpeg(src, 95, NULL, &b, NULL), OK);
    assert_int_equal(image_decode(b.data, b.len, NULL, &back, NULL), OK);
    assert_int_equal(back->shape[2], 3);
    tensor_free(&back);
    tensor_free(&src);
    buf_free(&b);
}

/* Hand-made PNG files: CRC-32 (ISO 3309) and stored deflate blocks. */
static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

static void put32(struct buf *b, uint32_t v)
{
    const uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16),
                          (uint8_t)(v >> 8), (uint8_t)v};
    assert_int_equal(buf_put(b, p, 4, NULL), OK);
}

static void chunk(struct buf *b, const char *type, const void *p, size_t n)
{
    put32(b, (uint32_t)n);
    size_t at = b->len;
    assert_int_equal(buf_put(b, type, 4, NULL), OK);
    if (n)
        assert_int_equal(buf_put(b, p, n, NULL), OK);
    put32(b, crc(b->data + at, n + 4));
}

static void png_start(struct buf *b, uint32_t w, uint32_t h, uint8_t depth,
                      uint8_t type)
{
    const uint8_t head[13] = {(uint8_t)(w >> 24),
                              (uint8_t)(w >> 16),
                              (uint8_t)(w >> 8),
                              (uint8_t)w,
                              (uint8_t)(h >> 24),
                              (uint8_t)(h >> 16),
                              (uint8_t)(h >> 8),
                              (uint8_t)h,
                              depth,
                              type,
                              0,
                              0,
                              0};
    buf_init(b, 1 << 20);
    assert_int_equal(buf_put(b, "\x89PNG\r\n\x1a\n", 8, NULL), OK);
    chunk(b, "IHDR", head, sizeof head);
}

static void png_pixels(struct buf *b, const uint8_t *raw, size_t n)
{
    uint8_t z[512] = {0x78, 1, 1, (uint8_t)n, 0, (uint8_t)~n, 0xff};
    uint32_t s1 = 1, s2 = 0;
    assert_true(n < 256);
    memcpy(z + 7, raw, n);
    for (size_t i = 0; i < n; i++) {
        s1 = (s1 + raw[i]) % 65521;
        s2 = (s2 + s1) % 65521;
    }
    z[7 + n] = (uint8_t)(s2 >> 8);
    z[8 + n] = (uint8_t)s2;
    z[9 + n] = (uint8_t)(s1 >> 8);
    z[10 + n] = (uint8_t)s1;
    chunk(b, "IDAT", z, n + 11);
}

static void expect(struct buf *b, int64_t h, int64_t w, const uint8_t *rgb)
{
    struct tensor *t;
    struct err e = {0};
    enum err_code rc = image_decode(b->data, b->len, NULL, &t, &e);
    if (rc)
        fail_msg("%s", e.text);
    assert_int_equal(t->shape[0], h);
    assert_int_equal(t->shape[1], w);
    assert_memory_equal(t->data, rgb, (size_t)(h * w * 3));
    tensor_free(&t);
    buf_free(b);
}

static void png_kinds(void **state)
{
    (void)state;
    struct buf b;
    /* 1-bit grey: 1010.... */
    png_start(&b, 4, 1, 1, 0);
    png_pixels(&b, (const uint8_t[]){0, 0xa0}, 2);
    chunk(&b, "IEND", NULL, 0);
    expect(&b, 1, 4,
           (const uint8_t[]){255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0});
    /* 16-bit grey, rounded: 0x0180 -> 1, 0xfffe -> 255, 0x80ff -> 128 */
    png_start(&b, 3, 1, 16, 0);
    png_pixels(&b, (const uint8_t[]){0, 0x01, 0x80, 0xff, 0xfe, 0x80, 0xff}, 7);
    chunk(&b, "IEND", NULL, 0);
    expect(&b, 1, 3, (const uint8_t[]){1, 1, 1, 255, 255, 255, 128, 128, 128});
    /* RGBA over black */
    png_start(&b, 2, 1, 8, 6);
    png_pixels(&b, (const uint8_t[]){0, 200, 100, 50, 128, 9, 9, 9, 0}, 9);
    chunk(&b, "IEND", NULL, 0);
    expect(&b, 1, 2, (const uint8_t[]){100, 50, 25, 0, 0, 0});
    /* palette with a transparent entry */
    png_start(&b, 3, 1, 8, 3);
    chunk(&b, "PLTE", (const uint8_t[]){1, 2, 3, 40, 50, 60}, 6);
    chunk(&b, "tRNS", (const uint8_t[]){255, 0}, 2);
    png_pixels(&b, (const uint8_t[]){0, 0, 1, 0}, 4);
    chunk(&b, "IEND", NULL, 0);
    expect(&b, 1, 3, (const uint8_t[]){1, 2, 3, 0, 0, 0, 1, 2, 3});
    /* EXIF orientation 6: stored 2 wide, 1 high; shown 1 wide, 2 high */
    static const uint8_t exif[] = {'M', 'M', 0,    42, 0, 0, 0, 8, 0,
                                   1,   1,   0x12, 0,  3, 0, 0, 0, 1,
                                   0,   6,   0,    0,  0, 0, 0, 0};
    png_start(&b, 2, 1, 8, 2);
    chunk(&b, "eXIf", exif, sizeof exif);
    png_pixels(&b, (const uint8_t[]){0, 1, 2, 3, 4, 5, 6}, 7);
    chunk(&b, "IEND", NULL, 0);
    expect(&b, 2, 1, (const uint8_t[]){1, 2, 3, 4, 5, 6});
}

/* All eight orientations of a JPEG, by corner colours. Source: EXIF 2.32,
 * table of tag 0x0112: where row 0 and column 0 are shown. */
static void jpeg_orientation(void **state)
{
    (void)state;
    /* which stored corner (0 TL, 1 TR, 2 BL, 3 BR) is shown top left, and top
     * right */
    static const int corner[9][2] = {{0},    {0, 1}, {1, 0}, {3, 2}, {2, 3},
                                     {0, 2}, {2, 0}, {3, 1}, {1, 3}};
    static const uint8_t level[4] = {0, 80, 160, 240};
    const int64_t shape[3] = {16, 32, 1};
    struct tensor *src = tensor_new(DT_U8, 3, shape, NULL), *t;
    struct buf b;
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 32; x++)
            tensor_u8(src)[y * 32 + x] = level[(y > 7) * 2 + (x > 15)];
    assert_int_equal(image_encode_jpeg(src, 100, NULL, &b, NULL), OK);
    for (int o = 1; o <= 8; o++) {
        const uint8_t app[] = {
            0xff, 0xe1, 0, 34, 'E',        'x', 'i', 'f', 0,    0, 'I', 'I',
            42,   0,    8, 0,  0,          0,   1,   0,   0x12, 1, 3,   0,
            1,    0,    0, 0,  (uint8_t)o, 0,   0,   0,   0,    0, 0,   0};
        struct buf turned;
        buf_init(&turned, 1 << 20);
        assert_int_equal(buf_put(&turned, b.data, 2, NULL), OK);
        assert_int_equal(buf_put(&turned, app, sizeof app, NULL), OK);
        assert_int_equal(buf_put(&turned, b.data + 2, b.len - 2, NULL), OK);
        assert_int_equal(image_decode(turned.data, turned.len, NULL, &t, NULL),
                         OK);
        assert_int_equal(t->shape[0], o >= 5 ? 32 : 16);
        assert_int_equal(t->shape[1], o >= 5 ? 16 : 32);
        int left = tensor_u8(t)[0], w = (int)t->shape[1];
        int right = tensor_u8(t)[(w - 1) * 3];
        assert_true(abs(left - level[corner[o][0]]) <= 2);
        assert_true(abs(right - level[corner[o][1]]) <= 2);
        tensor_free(&t);
        buf_free(&turned);
    }
    buf_free(&b);
    tensor_free(&src);
}

static void pnm_kinds(void **state)
{
    (void)state;
    struct tensor *t;
    struct err e;
    static const char grey[] = "P5\n# made by hand\n2 2\n255\n\x01\x02\x03\x04";
    static const char deep[] = "P6 1 1 65535\n\xff\xff\x80\x00\x00\x00";
    static const char half[] = "P5 2 1 100\n\x32\x64";
    assert_int_equal(image_decode(grey, sizeof grey - 1, NULL, &t, NULL), OK);
    assert_memory_equal(t->data, "\1\1\1\2\2\2\3\3\3\4\4\4", 12);
    tensor_free(&t);
    assert_int_equal(image_decode(deep, sizeof deep - 1, NULL, &t, NULL), OK);
    assert_memory_equal(t->data, "\xff\x80\0", 3);
    tensor_free(&t);
    assert_int_equal(image_decode(half, sizeof half - 1, NULL, &t, NULL), OK);
    assert_memory_equal(t->data, "\x80\x80\x80\xff\xff\xff", 6);
    tensor_free(&t);
    static const char *const bad[] = {"P5\n2 2\n255\n123",      "P5\n2\n",
                                      "P6\n0 3\n255\n",         "P5 1 1 0\nx",
                                      "P5 1 1 70000\nx",        "P5 1 1 255",
                                      "P5 99999999999 1 255\nx"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(image_decode(bad[i], strlen(bad[i]), NULL, &t, &e),
                         ERR_DATA);
    assert_int_equal(image_decode("P5 30000 30000 255\n", 19, NULL, &t, &e),
                     ERR_UNSUPPORTED);
}

static void png_texts(void **state)
{
    (void)state;
    static const struct image_text text[] = {{"Source", "x.mp4"},
                                             {"Author", "J\xc3\xbcrgen"},
                                             {"Method", "\xe9\xa1\x94"},
                                             {"Empty", ""},
                                             {NULL, NULL}};
    struct tensor *src = scene(8, 8, 3);
    struct buf b;
    struct err e;
    char *v;
    assert_int_equal(image_encode_png(src, 6, text, &b, NULL), OK);
    for (int i = 0; text[i].key; i++) {
        assert_int_equal(image_png_text(b.data, b.len, text[i].key, &v, NULL),
                         OK);
        assert_string_equal(v, text[i].value);
        mem_free(v);
    }
    assert_int_equal(image_png_text(b.data, b.len, "None", &v, &e),
                     ERR_NOTFOUND);
    assert_null(v);
    buf_free(&b);
    /* after the pixels, as other programs write it */
    png_start(&b, 1, 1, 8, 2);
    png_pixels(&b, (const uint8_t[]){0, 1, 2, 3}, 4);
    chunk(&b, "tEXt", "Late\0yes", 8);
    chunk(&b, "IEND", NULL, 0);
    assert_int_equal(image_png_text(b.data, b.len, "Late", &v, NULL), OK);
    assert_string_equal(v, "yes");
    mem_free(v);
    buf_free(&b);
    char longkey[100];
    memset(longkey, 'k', 99);
    longkey[99] = 0;
    const struct image_text bad[] = {{longkey, "v"}, {NULL, NULL}};
    assert_int_equal(image_encode_png(src, 6, bad, &b, &e), ERR_ARG);
    assert_int_equal(image_encode_jpeg(src, 90, text, &b, NULL), OK);
    bool found = false;
    for (size_t i = 0; i + 13 < b.len; i++)
        found |= memcmp(b.data + i, "Source: x.mp4", 13) == 0;
    assert_true(found);
    buf_free(&b);
    tensor_free(&src);
}

static void refuses(void **state)
{
    (void)state;
    struct err e;
    struct tensor *t;
    struct buf b;
    const struct image_caps small = {1000, 16, 200};
    const int64_t two[3] = {4, 4, 2}, none[3] = {0, 4, 3};
    assert_int_equal(image_decode("", 0, NULL, &t, &e), ERR_DATA);
    assert_int_equal(image_decode("hello, world", 12, NULL, &t, &e), ERR_DATA);
    assert_false(image_is_picture("<html>..", 8));
    /* over the caps, told by the header alone */
    png_start(&b, 17, 1, 8, 2);
    assert_int_equal(image_decode(b.data, b.len, &small, &t, &e),
                     ERR_UNSUPPORTED);
    buf_free(&b);
    /* a bomb: large, and too short to be true */
    png_start(&b, 16000, 16000, 8, 2);
    png_pixels(&b, (const uint8_t[]){0}, 1);
    assert_int_equal(image_decode(b.data, b.len, NULL, &t, &e), ERR_DATA);
    buf_free(&b);
    struct tensor *bad = tensor_new(DT_U8, 3, two, NULL);
    struct tensor *empty = tensor_new(DT_U8, 3, none, NULL);
    struct tensor *good = scene(4, 4, 3);
    assert_int_equal(image_encode_png(bad, 6, NULL, &b, &e), ERR_ARG);
    assert_int_equal(image_encode_jpeg(empty, 90, NULL, &b, &e), ERR_ARG);
    assert_int_equal(image_encode_png(good, 10, NULL, &b, &e), ERR_ARG);
    assert_int_equal(image_encode_jpeg(good, 0, NULL, &b, &e), ERR_ARG);
    assert_int_equal(image_write("x.bmp", good, NULL, &e), ERR_ARG);
    assert_int_equal(image_read("/nonexistent/x.png", NULL, &t, &e),
                     ERR_NOTFOUND);
    assert_non_null(strstr(e.text, "/nonexistent/x.png"));
    tensor_free(&bad);
    tensor_free(&empty);
    tensor_free(&good);
}

/* Each beginning of a file is refused, unless only the closing marker, or for
 * PNG checksums, are missing: those give all pixels and a note. Damaged bytes
 * never crash, and what is still accepted has the right size. */
static void damaged(void **state)
{
    (void)state;
    struct tensor *src = scene(24, 20, 3), *t;
    struct rng r;
    rng_seed(&r, 1);
    for (int kind = 0; kind < 2; kind++) {
        struct buf b;
        struct err e;
        assert_int_equal(kind ? image_encode_jpeg(src, 85, NULL, &b, NULL)
                              : image_encode_png(src, 6, NULL, &b, NULL),
                         OK);
        struct tensor *whole;
        char note[IMAGE_NOTE];
        size_t taken = 0, end = kind ? 2 : 12;
        assert_int_equal(
            image_decode_noted(b.data, b.len, NULL, &whole, note, &e), OK);
        assert_string_equal(note, "");
        for (size_t n = 0; n < b.len; n++) {
            enum err_code rc =
                image_decode_noted(b.data, n, NULL, &t, note, &e);
            if (rc == OK && n + end + 10 >= b.len) {
                taken++;
                assert_memory_equal(t->data, whole->data, whole->bytes);
                assert_non_null(strstr(note, "ends early"));
                tensor_free(&t);
                continue;
            }
            assert_true(rc == ERR_DATA || rc == ERR_UNSUPPORTED);
            assert_null(t);
            assert_true(n + end < b.len);
        }
        assert_true(taken >= end);
        tensor_free(&whole);
        uint8_t *copy = mem_alloc(b.len);
        for (int i = 0; i < 2000; i++) {
            memcpy(copy, b.data, b.len);
            for (uint64_t k = rng_below(&r, 4) + 1; k; k--)
                copy[rng_below(&r, b.len)] ^= (uint8_t)(1u << rng_below(&r, 8));
            const struct image_caps caps = {1 << 20, 4096, 1 << 20};
            if (image_decode(copy, b.len, &caps, &t, &e) == OK)
                assert_int_equal(t->count % 3, 0);
            tensor_free(&t);
        }
        mem_free(copy);
        buf_free(&b);
    }
    tensor_free(&src);
}

static void files(void **state)
{
    (void)state;
    char dir[] = "/tmp/facet-image-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct tensor *src = scene(12, 10, 3), *back;
    struct err e = {0};
    char *path = path_join(dir, "deeper/a.png");
    assert_int_equal(image_write(path, src, NULL, &e), OK);
    assert_int_equal(image_read(path, NULL, &back, &e), OK);
    assert_true(tensor_equal(src, back));
    tensor_free(&back);
    unlink(path);
    mem_free(path);
    path = path_join(dir, "deeper/b.jpg");
    assert_int_equal(image_write(path, src, NULL, &e), OK);
    assert_int_equal(image_read(path, NULL, &back, &e), OK);
    tensor_free(&back);
    unlink(path);
    mem_free(path);
    path = path_join(dir, "deeper");
    assert_int_equal(rmdir(path), 0); /* no temporary left */
    mem_free(path);
    rmdir(dir);
    tensor_free(&src);
}

static void no_memory(void **state)
{
    (void)state;
    static const struct image_text text[] = {{"A", "\xc3\xbc"}, {NULL, NULL}};
    struct tensor *src = scene(24, 20, 3), *t;
    struct err e;
    struct buf png, jpeg, b;
    char *v;
    assert_int_equal(image_encode_png(src, 6, text, &png, NULL), OK);
    assert_int_equal(image_encode_jpeg(src, 85, text, &jpeg, NULL), OK);
    int64_t live = mem_live();
    for (int what = 0; what < 5; what++)
        for (uint64_t n = 1;; n++) {
            enum err_code rc = OK;
            mem_fail_nth(n);
            t = NULL;
            v = NULL;
            buf_init(&b, 0);
            switch (what) {
            case 0:
                rc = image_decode(png.data, png.len, NULL, &t, &e);
                break;
            case 1:
                rc = image_decode(jpeg.data, jpeg.len, NULL, &t, &e);
                break;
            case 2:
                rc = image_encode_png(src, 6, text, &b, &e);
                break;
            case 3:
                rc = image_encode_jpeg(src, 85, text, &b, &e);
                break;
            default:
                rc = image_png_text(png.data, png.len, "A", &v, &e);
            }
            bool hit = mem_fail_hit();
            mem_fail_nth(0);
            if (!hit)
                assert_int_equal(rc, OK);
            else
                assert_true(rc == OK || rc == ERR_NOMEM);
            tensor_free(&t);
            buf_free(&b);
            mem_free(v);
            assert_int_equal(mem_live(), live);
            if (!hit)
                break;
        }
    buf_free(&png);
    buf_free(&jpeg);
    tensor_free(&src);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_round_trip), cmocka_unit_test(jpeg_round_trip),
        cmocka_unit_test(png_kinds),      cmocka_unit_test(jpeg_orientation),
        cmocka_unit_test(pnm_kinds),      cmocka_unit_test(png_texts),
        cmocka_unit_test(refuses),        cmocka_unit_test(damaged),
        cmocka_unit_test(files),          cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
