/* Sheets and their font: order, replays, failed memory, hostile names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/media/font.h"
#include "lib/media/image.h"
#include "lib/store/sheet.h"

static char dir[256];

static int make_dir(void **state)
{
    (void)state;
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(dir, sizeof dir, "%s/facet-sheet-XXXXXX", tmp);
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static struct tensor *grey(int64_t h, int64_t w, int value)
{
    struct err e = {0};
    struct tensor *t = tensor_new(DT_U8, 3, (int64_t[]){h, w, 3}, &e);
    if (t)
        memset(t->data, value, t->bytes);
    return t;
}

static enum err_code add(const struct sheet_options *o, int64_t i, int64_t n,
                         bool *made, struct err *e)
{
    struct tensor *t = grey(20, 30, (int)(10 * i));
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory");
    struct sheet_cell c = {.name = "a/b",
                           .snippet = "p.jpg",
                           .index = i,
                           .count = n,
                           .label = "x",
                           .picture = t,
                           .source = t};
    /* One source for all, whoever comes first. */
    struct tensor *source = grey(8, 8, 200);
    c.source = source;
    enum sheet_how how = SHEET_CELL;
    enum err_code rc =
        source ? sheet_add(o, &c, &how, e) : err_set(e, ERR_NOMEM, "no memory");
    *made = !rc && how == SHEET_MADE;
    tensor_free(&source);
    tensor_free(&t);
    return rc;
}

static struct buf sheet_bytes(void)
{
    char path[320];
    struct buf b;
    struct err e = {0};
    snprintf(path, sizeof path, "%s/a/b/p.jpg/sheet_0.png", dir);
    if (file_read(path, 1 << 24, &b, &e) != OK)
        fail_msg("%s", e.text);
    return b;
}

static void test_order_and_replay(void **state)
{
    (void)state;
    struct sheet_options o = {
        .root = dir, .cell = 16, .labels = true, .synthetic = true};
    static const int orders[2][4] = {{0, 1, 2, 3}, {3, 1, 0, 2}};
    struct buf first = {0};
    for (int k = 0; k < 2; k++) {
        struct err e = {0};
        bool made = false;
        for (int i = 0; i < 4; i++) {
            assert_int_equal(add(&o, orders[k][i], 4, &made, &e), OK);
            assert_int_equal(made, i == 3);
        }
        struct buf b = sheet_bytes();
        if (k) {
            assert_int_equal(b.len, first.len);
            assert_memory_equal(b.data, first.data, b.len);
        }
        /* Once whole, a replay changes nothing. */
        assert_int_equal(add(&o, 2, 4, &made, &e), OK);
        assert_false(made);
        size_t n;
        assert_int_equal(sheet_finish(&o, &n, &e), OK);
        assert_int_equal(n, 0);
        struct tensor *t = NULL;
        char *text = NULL;
        assert_int_equal(
            image_decode(b.data, b.len, &image_caps_default, &t, &e), OK);
        /* 2 x 2 cells of 16, gaps of 4, labels of 11; the source above. */
        assert_int_equal(t->shape[1], 4 + 2 * 20);
        assert_int_equal(t->shape[0], 4 + 31 + 4 + 2 * 31);
        /* The middle of cell 3 is its picture. */
        const uint8_t *p = tensor_u8(t);
        int64_t at = (39 + 31 + 8) * t->shape[1] + 4 + 20 + 8;
        assert_int_equal(p[3 * at], 30);
        assert_int_equal(image_png_text(b.data, b.len, "Synthetic", &text, &e),
                         OK);
        assert_string_equal(text, "true");
        mem_free(text);
        tensor_free(&t);
        if (k) {
            buf_free(&b);
        } else {
            first = b;
            drop_dir(NULL);
        }
    }
    buf_free(&first);
}

static void test_incomplete(void **state)
{
    (void)state;
    struct sheet_options o = {.root = dir, .cell = 16};
    struct err e = {0};
    bool made;
    size_t n;
    assert_int_equal(add(&o, 0, 3, &made, &e), OK);
    assert_int_equal(add(&o, 2, 3, &made, &e), OK);
    assert_int_equal(sheet_finish(&o, &n, &e), OK);
    assert_int_equal(n, 1);
    struct buf b = sheet_bytes();
    char *text = NULL;
    assert_int_equal(image_png_text(b.data, b.len, "Cells", &text, &e), OK);
    assert_string_equal(text, "2 of 3");
    mem_free(text);
    buf_free(&b);
    assert_int_equal(add(&o, 1, 3, &made, &e), OK); /* a later run */
    assert_true(made);
    assert_int_equal(sheet_finish(&o, &n, &e), OK);
    assert_int_equal(n, 0);
}

static void test_refused(void **state)
{
    (void)state;
    struct sheet_options o = {.root = dir, .cell = 16};
    struct err e = {0};
    struct sheet_cell c = {
        .name = "a", .snippet = "b", .count = 1, .label = ""};
    enum sheet_how how;
    c.name = "../a";
    assert_int_equal(sheet_add(&o, &c, &how, &e), ERR_DATA);
    c.name = "a";
    c.index = 1;
    assert_int_equal(sheet_add(&o, &c, &how, &e), ERR_DATA);
    c.index = -1;
    assert_int_equal(sheet_add(&o, &c, &how, &e), ERR_DATA);
    c.index = 0;
    c.count = SHEET_MAX_CELLS + 1;
    assert_int_equal(sheet_add(&o, &c, &how, &e), ERR_DATA);
    c.count = 1;
    o.root = "/proc/facet";
    assert_int_equal(sheet_add(&o, &c, &how, &e), ERR_IO);
}

static enum err_code whole_sheet(const struct sheet_options *o, struct err *e)
{
    bool made;
    size_t n;
    enum err_code rc = add(o, 0, 2, &made, e);
    if (!rc)
        rc = add(o, 1, 2, &made, e);
    return rc ? rc : sheet_finish(o, &n, e);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct sheet_options o = {.root = dir, .cell = 16, .labels = true};
    struct err e = {0};
    int64_t live = mem_live();
    int failures = 0;
    for (uint64_t k = 1;; k++) {
        mem_fail_nth(k);
        enum err_code rc = whole_sheet(&o, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(mem_live(), live);
        failures += rc != OK;
        drop_dir(NULL);
        if (!hit) {
            assert_int_equal(rc, OK);
            break;
        }
        assert_true(k < 3000);
        k += k / 24; /* all early ones, then a sample */
    }
    assert_true(failures > 10);
}

static void test_font(void **state)
{
    (void)state;
    static const uint8_t black[3] = {0, 0, 0};
    assert_int_equal(font_width("", 1), 0);
    assert_int_equal(font_width("ab", 1), 11);
    assert_int_equal(font_width("-20\xc2\xb0", 2), 46); /* 4 characters */
    struct tensor *t = grey(7, 5, 255);
    font_draw(t, 0, 0, "T", 1, black);
    static const char want[7][6] = {"#####", "  #  ", "  #  ", "  #  ",
                                    "  #  ", "  #  ", "  #  "};
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 5; x++)
            assert_int_equal(tensor_u8(t)[(y * 5 + x) * 3],
                             want[y][x] == '#' ? 0 : 255);
    /* Clipped on all sides, and any bytes at all are safe. */
    font_draw(t, -3, -3, "XX", 3, black);
    font_draw(t, 4, 6, "\xff\xfe\x80 \x01\xe2\x82\xac\xf0", 2, black);
    font_draw(t, INT32_MAX, INT32_MIN, "x", 1, black);
    tensor_free(&t);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_order_and_replay), T(test_incomplete),          T(test_refused),
        T(test_no_memory),        cmocka_unit_test(test_font),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
