/* lib/data/tape: round trips, atomic appearance, damage, no memory. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/tape.h"

static char dir[64];

static char *in_dir(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

/* How many entries, hidden ones too, the folder has. */
static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *de = readdir(d); de; de = readdir(d))
        n += strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
    closedir(d);
    return n;
}

/* Item i: a string, a small and (for odd i) a large tensor. */
static struct item *item_nr(int i)
{
    struct item *it = item_new(NULL);
    const int64_t small[1] = {4}, big[2] = {40, 40};
    assert_non_null(it);
    it->id.b[0] = (uint8_t)i;
    assert_int_equal(item_set_i64(it, "i", i, NULL), OK);
    assert_int_equal(item_set_str(it, "s", "some text", NULL), OK);
    struct tensor *t = tensor_new(DT_U8, 1, small, NULL);
    memset(t->data, i, t->bytes);
    assert_int_equal(item_set_tensor(it, "t", t, NULL), OK);
    if (i % 2) {
        t = tensor_new(DT_F32, 2, big, NULL);
        tensor_f32(t)[1599] = (float)i;
        assert_int_equal(item_set_tensor(it, "big", t, NULL), OK);
    }
    return it;
}

static void put_items(struct tape *t, int n)
{
    struct err e = {0};
    for (int i = 0; i < n; i++) {
        struct item *it = item_nr(i);
        if (tape_put(t, it, &e))
            fail_msg("%s", e.text);
        item_free(&it);
    }
}

static void assert_items(struct tape *t, int n)
{
    struct err e = {0};
    struct item *it;
    char why[256];
    for (int i = 0; i < n; i++) {
        struct item *want = item_nr(i);
        if (tape_next(t, &it, &e))
            fail_msg("%s", e.text);
        assert_non_null(it);
        if (!item_equal(it, want, 0, true, why, sizeof why))
            fail_msg("%s", why);
        item_free(&it);
        item_free(&want);
    }
    assert_int_equal(tape_next(t, &it, &e), OK);
    assert_null(it);
    assert_int_equal(tape_next(t, &it, &e), OK); /* the end stays the end */
    assert_null(it);
}

static void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void round_trip(void **state)
{
    (void)state;
    struct err e = {0};
    int64_t live = mem_live();
    char *path = in_dir("sub/folder/a.tape");
    struct tape *t = tape_open_write(path, &e);
    if (!t)
        fail_msg("%s", e.text);
    put_items(t, 5);
    assert_false(file_exists(path)); /* not before it is whole */
    assert_int_equal(entries(in_dir("sub/folder")), 1);
    assert_int_equal(tape_close(&t, &e), OK);
    assert_null(t);
    assert_int_equal(entries(in_dir("sub/folder")), 1);
    t = tape_open_read(path, &e);
    assert_non_null(t);
    assert_items(t, 5);
    assert_int_equal(tape_close(&t, &e), OK);

    /* No items at all is a tape too, and replaces what was there. */
    t = tape_open_write(path, &e);
    assert_int_equal(tape_close(&t, &e), OK);
    t = tape_open_read(path, &e);
    assert_items(t, 0);
    tape_abort(&t);
    assert_int_equal(mem_live(), live);
}

static void abort_leaves_nothing(void **state)
{
    (void)state;
    struct err e;
    char *path = in_dir("gone/a.tape");
    struct tape *t = tape_open_write(path, &e);
    assert_non_null(t);
    put_items(t, 2);
    tape_abort(&t);
    assert_null(t);
    assert_int_equal(entries(in_dir("gone")), 0);
    tape_abort(&t); /* NULL is fine */
    assert_int_equal(tape_close(&t, &e), OK);
}

static void over_a_pipe(void **state)
{
    (void)state;
    int fd[2];
    struct err e;
    assert_int_equal(pipe(fd), 0);
    FILE *r = fdopen(fd[0], "rb"), *w = fdopen(fd[1], "wb");
    struct tape *in, *t = tape_write_stream(w, "pipe", &e);
    assert_non_null(t);
    put_items(t, 3);
    assert_int_equal(tape_flush(t, &e), OK); /* before the end: readable */
    in = tape_read_stream(r, "pipe", &e);
    assert_non_null(in);
    struct item *it;
    assert_int_equal(tape_next(in, &it, &e), OK);
    assert_int_equal(item_i64(it, "i", -1), 0);
    item_free(&it);
    assert_int_equal(tape_put(in, NULL, &e), ERR_STATE);
    assert_int_equal(tape_next(t, &it, &e), ERR_STATE);
    assert_int_equal(tape_close(&in, &e), OK);
    assert_int_equal(tape_close(&t, &e), OK);
    fclose(r);
    fclose(w);
}

static void refuses_to_open(void **state)
{
    (void)state;
    struct err e;
    assert_null(tape_open_read(in_dir("none.tape"), &e));
    assert_int_equal(e.code, ERR_NOTFOUND);
    assert_null(tape_open_read(dir, &e));
    assert_int_equal(e.code, ERR_IO);
    assert_null(tape_open_write(dir, &e));
    assert_int_equal(e.code, ERR_IO);
    write_file(in_dir("empty"), "", 0);
    assert_null(tape_open_read(in_dir("empty"), &e));
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "is empty"));
    write_file(in_dir("text"), "some text, not a tape", 21);
    assert_null(tape_open_read(in_dir("text"), &e));
    assert_non_null(strstr(e.text, "is not a tape"));
    write_file(in_dir("short"), "FACET", 5);
    assert_null(tape_open_read(in_dir("short"), &e));
    assert_non_null(strstr(e.text, "at byte 5"));
    assert_null(tape_open_write(in_dir("text/x.tape"), &e));
    assert_int_equal(e.code, ERR_IO);
}

static void full_disk(void **state)
{
    (void)state;
    struct err e = {0};
    if (access("/dev/full", W_OK) != 0)
        skip();
    int64_t live = mem_live();
    struct tape *t = tape_open_write("/dev/full", &e);
    assert_non_null(t); /* a device is written in place */
    struct item *it = item_nr(1);
    enum err_code code = OK;
    for (int i = 0; i < 100 && code == OK; i++)
        code = tape_put(t, it, &e);
    assert_int_equal(code, ERR_IO);
    assert_non_null(strstr(e.text, "No space left"));
    assert_int_equal(tape_put(t, it, &e), ERR_STATE);
    assert_int_equal(tape_close(&t, &e), ERR_STATE);
    item_free(&it);
    t = tape_open_write("/dev/full", &e);
    assert_int_equal(tape_close(&t, &e), ERR_IO);
    assert_int_equal(mem_live(), live);
}

/* A tape of two small items, whole, in memory. */
static uint8_t *small_tape(size_t *n)
{
    struct err e = {0};
    char *p = NULL;
    FILE *f = open_memstream(&p, n);
    struct tape *t = tape_write_stream(f, "memory", &e);
    struct item *it = item_new(NULL);
    assert_int_equal(item_set_i64(it, "i", 7, NULL), OK);
    assert_int_equal(tape_put(t, it, &e), OK);
    assert_int_equal(tape_put(t, it, &e), OK);
    item_free(&it);
    assert_int_equal(tape_close(&t, &e), OK);
    fclose(f);
    return (uint8_t *)p;
}

/* Read bytes as a tape: how many items, and the code it ended with. */
static enum err_code read_all(uint8_t *p, size_t n, int *items, struct err *e)
{
    FILE *f = fmemopen(p, n ? n : 1, "rb");
    enum err_code code = OK;
    struct item *it = NULL;
    *items = 0;
    struct tape *t = tape_read_stream(f, "memory", e);
    if (!t)
        code = e->code;
    while (t && (code = tape_next(t, &it, e)) == OK && it) {
        item_free(&it);
        ++*items;
    }
    if (t && code) /* after damage it stays at that */
        assert_int_equal(tape_next(t, &it, NULL), ERR_STATE);
    tape_abort(&t);
    fclose(f);
    return code;
}

static void damage(void **state)
{
    (void)state;
    size_t n;
    struct err e;
    int items;
    char want[64];
    uint8_t *p = small_tape(&n);
    int64_t live = mem_live();
    size_t second = 8 + (n - 8) / 2; /* both records are the same size */
    for (size_t cut = 1; cut < n; cut++) {
        enum err_code code = read_all(p, cut, &items, &e);
        assert_int_equal(items, cut >= second);
        assert_int_equal(code, cut == 8 || cut == second ? OK : ERR_DATA);
        snprintf(want, sizeof want, "at byte %zu", cut);
        if (code && !strstr(e.text, want))
            fail_msg("'%s' does not name byte %zu", e.text, cut);
        assert_int_equal(mem_live(), live);
    }
    for (size_t at = 0; at < n; at++)
        for (int bit = 0; bit < 8; bit++) {
            p[at] ^= (uint8_t)(1 << bit);
            assert_int_equal(read_all(p, n, &items, &e), ERR_DATA);
            assert_int_equal(items, at >= second);
            p[at] ^= (uint8_t)(1 << bit);
            assert_int_equal(mem_live(), live);
        }
    assert_int_equal(read_all(p, n, &items, &e), OK);
    assert_int_equal(items, 2);
    free(p);
}

/* Sizes announced by a record that is not there. */
static void announces_too_much(void **state)
{
    (void)state;
    struct err e;
    int items;
    uint8_t p[64] = "FACETTP1";
    static const struct {
        uint8_t parts;
        uint64_t size[2];
        const char *text;
    } bad[] = {
        {0, {0, 0}, "announces 0 parts"},
        {73, {0, 0}, "announces 73 parts"},
        {1, {(16u << 20) + 1, 0}, "part of 16777217 bytes"},
        {2, {10, (1u << 30) + 1}, "part of 1073741825 bytes"},
        {2, {10, UINT64_MAX - 5}, "part of 18446744073709551610 bytes"},
        {2, {10, 1u << 29}, "ends inside item 0, at byte 64"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(p + 8, 0, sizeof p - 8);
        p[8] = bad[i].parts;
        for (size_t k = 0; k < 2; k++)
            for (size_t b = 0; b < 8; b++)
                p[12 + 8 * k + b] = (uint8_t)(bad[i].size[k] >> (8 * b));
        enum err_code code = read_all(p, sizeof p, &items, &e);
        if (code != ERR_DATA || !strstr(e.text, bad[i].text))
            fail_msg("%s: '%s' is not '%s'", err_word(code), e.text,
                     bad[i].text);
    }
}

/* Parts larger than what is believed at once (16 MiB). */
static void large_parts(void **state)
{
    (void)state;
    struct err e = {0};
    const int64_t shape[1] = {(40 << 20) + 3};
    char *path = in_dir("large.tape");
    struct item *it = item_new(NULL), *back;
    struct tensor *t = tensor_new(DT_U8, 1, shape, NULL);
    for (size_t i = 0; i < t->count; i++)
        tensor_u8(t)[i] = (uint8_t)(i ^ i >> 13);
    assert_int_equal(item_set_tensor(it, "t", t, NULL), OK);
    struct tape *tape = tape_open_write(path, &e);
    assert_int_equal(tape_put(tape, it, &e), OK);
    assert_int_equal(tape_close(&tape, &e), OK);
    tape = tape_open_read(path, &e);
    assert_int_equal(tape_next(tape, &back, &e), OK);
    assert_true(tensor_equal(item_tensor(back, "t"), t));
    assert_int_equal((uintptr_t)item_tensor(back, "t")->data % 64, 0);
    tape_abort(&tape);
    item_free(&back);
    item_free(&it);
    unlink(path);
}

static void bad_items_can_be_passed(void **state)
{
    (void)state;
    /* A record may be whole but not an item of ours: {"v": 2}. */
    struct err e = {0};
    size_t n;
    uint8_t *good = small_tape(&n);
    char *path = in_dir("v2.tape");
    uint8_t record[24] = {1, 0, 0, 0, 4,    0,    0,   0,
                          0, 0, 0, 0, 0x81, 0xa1, 'v', 2};
    uint64_t sum = XXH3_64bits(record, 16);
    for (size_t i = 0; i < 8; i++)
        record[16 + i] = (uint8_t)(sum >> (8 * i));
    FILE *f = fopen(path, "wb");
    fwrite(good, 1, 8, f);
    fwrite(record, 1, sizeof record, f);
    fwrite(good + 8, 1, n - 8, f);
    fclose(f);
    struct tape *t = tape_open_read(path, &e);
    struct item *it;
    enum err_code code = tape_next(t, &it, &e);
    if (code != ERR_UNSUPPORTED || !strstr(e.text, "item 0, at byte 8") ||
        !strstr(e.text, "version 2"))
        fail_msg("%s", e.text);
    assert_int_equal(tape_next(t, &it, &e), OK);
    assert_int_equal(item_i64(it, "i", -1), 7);
    item_free(&it);
    tape_abort(&t);
    free(good);
}

static enum err_code write_and_read(const char *path, struct err *e)
{
    struct item *it = NULL;
    struct tape *t = tape_open_write(path, e);
    enum err_code code = t ? OK : e->code;
    if (code == OK)
        it = item_new(e);
    if (t && !it)
        code = e->code;
    if (code == OK)
        code = item_set_i64(it, "i", 1, e);
    if (code == OK)
        code = tape_put(t, it, e);
    item_free(&it);
    if (code == OK)
        code = tape_close(&t, e);
    tape_abort(&t);
    if (code == OK && !(t = tape_open_read(path, e)))
        code = e->code;
    if (code == OK)
        code = tape_next(t, &it, e);
    item_free(&it);
    tape_abort(&t);
    return code;
}

static void survives_no_memory(void **state)
{
    (void)state;
    int64_t live = mem_live();
    char path[128]; /* of its own: in_dir's memory goes round */
    snprintf(path, sizeof path, "%s", in_dir("nomem/x.tape"));
    assert_int_equal(file_mkdirs(in_dir("nomem"), NULL), OK);
    int failures = 0;
    for (uint64_t nth = 1;; nth++, failures++) {
        struct err e = {0};
        mem_fail_nth(nth);
        enum err_code code = write_and_read(path, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(mem_live(), live);
        if (!hit) {
            assert_int_equal(code, OK);
            break;
        }
        assert_int_equal(code, ERR_NOMEM);
        /* whole or not there; no temporary file stays */
        assert_int_equal(entries(in_dir("nomem")), file_exists(path));
    }
    assert_in_range(failures, 10, 100);
}

static int make_dir(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/facet-tape-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    struct file_list l;
    struct err e;
    if (file_walk(dir, 100, &l, &e))
        return -1;
    for (size_t i = 0; i < l.n; i++)
        unlink(in_dir(l.names[i]));
    file_list_free(&l);
    rmdir(in_dir("sub/folder"));
    rmdir(in_dir("sub"));
    rmdir(in_dir("gone"));
    rmdir(in_dir("nomem"));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(abort_leaves_nothing),
        cmocka_unit_test(over_a_pipe),
        cmocka_unit_test(refuses_to_open),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(damage),
        cmocka_unit_test(announces_too_much),
        cmocka_unit_test(large_parts),
        cmocka_unit_test(bad_items_can_be_passed),
        cmocka_unit_test(survives_no_memory),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
