/* lib/base: errors, memory, buffers, text, files, random numbers. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"

static void err_texts(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set(&e, ERR_IO, "cannot open '%s'", "x"), ERR_IO);
    assert_string_equal(e.text, "cannot open 'x'");
    assert_int_equal(err_wrap(&e, "stage %d", 3), ERR_IO);
    assert_string_equal(e.text, "stage 3: cannot open 'x'");
    /* an argument inside the error's own text */
    err_set(&e, ERR_DATA, "again: %s", e.text);
    assert_string_equal(e.text, "again: stage 3: cannot open 'x'");
    err_errno(&e, ERR_IO, 2, "open");
    assert_string_equal(e.text, "open: No such file or directory");
    assert_int_equal(err_set(NULL, ERR_ARG, "no place for the text"), ERR_ARG);
    char longer[2000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    err_set(&e, ERR_DATA, "%s", longer);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    for (int c = 0; c < ERR_COUNT; c++)
        assert_int_equal(err_from_word(err_word((enum err_code)c)), c);
    assert_int_equal(err_from_word("nonsense"), ERR_COUNT);
    assert_string_equal(err_word((enum err_code)99), "unknown");
}

static void mem_sizes(void **state)
{
    (void)state;
    size_t n = 7;
    assert_false(size_mul(SIZE_MAX / 2, 3, &n));
    assert_false(size_add(SIZE_MAX, 1, &n));
    assert_int_equal(n, 7);
    assert_true(size_mul(6, 7, &n));
    assert_int_equal(n, 42);
    assert_null(mem_array(SIZE_MAX / 4, 8));
    assert_null(mem_aligned(SIZE_MAX));
    int64_t live = mem_live();
    /* large, and no multiple of any page */
    uint8_t *large = mem_aligned(((size_t)2 << 20) + 100);
    assert_non_null(large);
    assert_int_equal((uintptr_t)large % 64, 0);
    large[((size_t)2 << 20) + 99] = 1;
    mem_free(large);
    void *p = mem_aligned(100);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    p = (mem_free(p), mem_alloc(0));
    assert_non_null(p);
    mem_free(p);
    mem_free(NULL);
    assert_int_equal(mem_live(), live);
    mem_fail_nth(2);
    void *a = mem_alloc(1), *b = mem_alloc(1), *c = mem_alloc(1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    assert_true(mem_fail_hit());
    mem_free(a);
    mem_free(c);
    mem_fail_nth(0);
}

static void mem_pages(void **state)
{
    (void)state;
    int64_t live = mem_live(), held = mem_bytes();
    mem_peak_reset();
    assert_int_equal(mem_peak(), held);
    static const size_t sizes[] = {0, 1, MEM_MAP_LEAST - 1, MEM_MAP_LEAST,
                                   3 * MEM_MAP_LEAST + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = mem_map(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(p[k], 0);
        assert_int_equal(mem_live(), live + 1);
        assert_true(mem_bytes() - held >= (int64_t)sizes[i]);
        mem_unmap(p, sizes[i]);
        assert_int_equal(mem_live(), live);
        assert_int_equal(mem_bytes(), held);
    }
    assert_true(mem_peak() - held >= 3 * (int64_t)MEM_MAP_LEAST + 5);
    assert_true(mem_peak() - held < 4 * (int64_t)MEM_MAP_LEAST);
    mem_unmap(NULL, 5);
    mem_unmap(NULL, MEM_MAP_LEAST);
    for (int i = 0; i < 2; i++) {
        mem_fail_nth(1);
        assert_null(mem_map(i ? MEM_MAP_LEAST : 1));
        assert_true(mem_fail_hit());
    }
    assert_null(mem_map(SIZE_MAX));
    void *p = mem_resize(NULL, 1000, 1);
    p = mem_resize(p, 100000, 1);
    assert_non_null(p);
    assert_true(mem_bytes() - held >= 100000);
    p = mem_resize(p, 10, 1);
    assert_true(mem_bytes() - held < 100000);
    mem_free(p);
    assert_int_equal(mem_bytes(), held);
    assert_int_equal(mem_live(), live);
}

static void buf_cap(void **state)
{
    (void)state;
    struct err e;
    struct buf b;
    buf_init(&b, 10);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_puts(&b, "12345", &e), OK);
    assert_int_equal(buf_printf(&b, &e, "%d", 67890), OK);
    assert_int_equal(buf_put(&b, "x", 1, &e), ERR_NOMEM);
    assert_int_equal(buf_printf(&b, &e, "%d", 1), ERR_NOMEM);
    assert_string_equal(buf_str(&b), "1234567890");
    assert_null(buf_reserve(&b, SIZE_MAX, &e));
    buf_free(&b);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void text_numbers(void **state)
{
    (void)state;
    int64_t i = 0;
    double f = 0;
    bool t = false;
    assert_true(text_to_i64("-42", &i));
    assert_int_equal(i, -42);
    assert_true(text_to_i64("9223372036854775807", &i));
    const char *const bad_i[] = {"",    " 1", "1 ",  "0x10",
                                 "1.5", "a",  "--1", "9223372036854775808"};
    for (size_t k = 0; k < sizeof bad_i / sizeof *bad_i; k++)
        assert_false(text_to_i64(bad_i[k], &i));
    assert_true(text_to_f64("1e-3", &f));
    assert_true(fabs(f - 0.001) < 1e-18);
    const char *const bad_f[] = {"",      "nan", "inf", "1,5", "0x1p3",
                                 "1e999", "e",   ".",   " 1"};
    for (size_t k = 0; k < sizeof bad_f / sizeof *bad_f; k++)
        assert_false(text_to_f64(bad_f[k], &f));
    assert_true(text_to_bool("yes", &t) && t);
    assert_true(text_to_bool("off", &t) && !t);
    assert_true(text_to_bool("True", &t) && t);
    assert_true(text_to_bool("YES", &t) && t);
    assert_true(text_to_bool("No", &t) && !t);
    assert_true(text_to_bool("FALSE", &t) && !t);
    assert_true(text_to_bool("n", &t) && !t);
    assert_false(text_to_bool("tRue", &t));
    assert_false(text_to_bool("", &t));
    assert_false(text_to_bool("maybe", &t));
}

static void text_near(void **state)
{
    (void)state;
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("form", "from"), 1); /* a swap is one */
    assert_int_equal(text_distance("", "abc"), 3);
    static const char *const names[] = {"frames", "points", "store"};
    assert_string_equal(text_nearest("fraems", names, 3), "frames");
    assert_null(text_nearest("xyzzy", names, 3));
    assert_null(text_nearest("a", names, 0));
}

static void text_csv(void **state)
{
    (void)state;
    struct err e;
    const char *s = "a,\"b,\"\"c\"\"\n\",\r\nlast,,\n";
    size_t pos = 0, n;
    char **f;
    assert_int_equal(csv_record(s, strlen(s), &pos, &f, &n, &e), OK);
    assert_int_equal(n, 3);
    assert_string_equal(f[0], "a");
    assert_string_equal(f[1], "b,\"c\"\n");
    assert_string_equal(f[2], "");
    csv_record_free(f, n);
    assert_int_equal(csv_record(s, strlen(s), &pos, &f, &n, &e), OK);
    assert_int_equal(n, 3);
    assert_string_equal(f[0], "last");
    csv_record_free(f, n);
    assert_int_equal(csv_record(s, strlen(s), &pos, &f, &n, &e), OK);
    assert_int_equal(n, 0);
    const char *bad[] = {"a,\"never ends", "\"x\"y"};
    for (int i = 0; i < 2; i++) {
        pos = 0;
        assert_int_equal(csv_record(bad[i], strlen(bad[i]), &pos, &f, &n, &e),
                         ERR_DATA);
        assert_null(f);
    }
    pos = 0;
    assert_int_equal(csv_record("a\0b", 3, &pos, &f, &n, &e), ERR_DATA);
    /* what csv_put writes, csv_record reads */
    const char *odd[] = {"", "plain", "a,b", "say \"hi\"", "two\nlines", " x"};
    struct buf b;
    buf_init(&b, 1000);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(csv_put(&b, odd[i], &e), OK);
        assert_int_equal(buf_puts(&b, i < 5 ? "," : "\n", &e), OK);
    }
    pos = 0;
    assert_int_equal(csv_record(buf_str(&b), b.len, &pos, &f, &n, &e), OK);
    assert_int_equal(n, 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(f[i], odd[i]);
    csv_record_free(f, n);
    buf_free(&b);
}

static void text_utf8(void **state)
{
    (void)state;
    assert_true(text_is_utf8("", 0));
    const char *good = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    assert_true(text_is_utf8(good, strlen(good)));
    const char *const bad[] = {
        "\xff",     "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xe2\x82", "\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void text_controls(void **state)
{
    (void)state;
    /* C0, DEL, C1 and half a character at the end go; what is beside C1 in
     * UTF-8 stays */
    char s[] = "a\x1b[2J\n\t\x7f\xc2\x9b\xc2\xa0\xc3\x9b\xc2";
    text_plain(s, strlen(s));
    assert_string_equal(s, "a?[2J?????\xc2\xa0\xc3\x9b?");
    char cut[] = "\xc2\x9b";
    text_plain(cut, 1);
    assert_string_equal(cut, "?\x9b");
    /* An 8-bit CSI, the line separator, right-to-left override, an isolate;
     * letters of a right-to-left script and an emoji stay. */
    char bidi[] =
        "\x9b"
        "1m\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6|\xd7\x90\xf0\x9f\x98\x80";
    text_plain(bidi, strlen(bidi));
    assert_string_equal(bidi, "?1m?????????|\xd7\x90\xf0\x9f\x98\x80");
}

static void text_lines_shown(void **state)
{
    (void)state;
    static const struct {
        const char *line, *shown;
    } t[] = {
        {"plain", "plain"},
        {"", ""},
        {"a line\r", "a line"},
        {"\r 1/60\r 2/60\r60/60", "60/60"},
        {"half\r      \r", "      "},
        {"\x1b[1;31mred\x1b[0m\ttab", "red tab"},
        {"\x1b]0;title\x07x\x1b]8;;u\x1b\\y", "xy"},
        {"\x1b[31", "?[31"},
        {"\xc2\x9b"
         "31mred",
         "??31mred"},
        {"\x1bMup", "up"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char s[64];
        snprintf(s, sizeof s, "%s", t[i].line);
        s[text_shown(s, strlen(s))] = 0;
        assert_string_equal(s, t[i].shown);
    }
}

static void csv_alloc_failure(void **state)
{
    (void)state;
    int64_t live = mem_live();
    bool done = false;
    for (uint64_t i = 1; !done && i < 100; i++) {
        size_t pos = 0, n;
        char **f;
        struct err e;
        mem_fail_nth(i);
        enum err_code rc = csv_record("a,\"b\",c\n", 8, &pos, &f, &n, &e);
        done = !mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, done ? OK : ERR_NOMEM);
        csv_record_free(f, n);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
}

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/facet-base-XXXXXX", 23);
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", folder);
    return system(cmd);
}

static void file_round(void **state)
{
    (void)state;
    struct err e;
    char *path = mem_printf("%s/a/b/c.txt", folder);
    assert_int_equal(file_write_atomic(path, "hello", 5, &e), OK);
    struct buf b;
    assert_int_equal(file_read(path, 100, &b, &e), OK);
    assert_int_equal(b.len, 5);
    buf_free(&b);
    assert_int_equal(file_read(path, 5, &b, &e), OK); /* exactly the cap */
    buf_free(&b);
    assert_int_equal(file_read(path, 4, &b, &e), ERR_DATA);
    assert_int_equal(file_write_atomic(path, "", 0, &e), OK);
    assert_int_equal(file_read(path, 4, &b, &e), OK);
    assert_int_equal(b.len, 0);
    buf_free(&b);
    assert_int_equal(file_read(folder, 4, &b, &e), ERR_IO);
    char *none = path_join(folder, "none");
    assert_int_equal(file_read(none, 4, &b, &e), ERR_NOTFOUND);
    assert_non_null(strstr(e.text, "none"));
    mem_free(none);
    /* a file where a folder must be */
    char *under = mem_printf("%s/x", path);
    assert_int_equal(file_write_atomic(under, "y", 1, &e), ERR_IO);
    mem_free(under);
    mem_free(path);
    assert_int_equal(file_sync(folder, &e), OK);
    assert_int_equal(file_sync("/nonexistent", &e), ERR_IO);
    assert_int_equal(file_publish("/nonexistent", "/nonexistent2", &e), ERR_IO);
    int fd;
    assert_int_equal(file_lock("/nonexistent/lock", &fd, &e), ERR_IO);
    assert_int_equal(fd, -1);
    char *lock = path_join(folder, ".lock");
    assert_int_equal(file_lock(lock, &fd, &e), OK);
    assert_int_equal(file_write_synced(fd, lock, "x", 1, &e), OK);
    close(fd);
    assert_int_equal(file_write_synced(-1, lock, "x", 1, &e), ERR_IO);
    mem_free(lock);
    /* a name as long as a name may be */
    char name[256];
    memset(name, 'n', 255);
    name[255] = 0;
    char *longest = mem_printf("%s/long/%s", folder, name);
    assert_int_equal(file_write_atomic(longest, "y", 1, &e), OK);
    assert_true(file_exists(longest));
    char *stem = file_temporary_stem(longest);
    char *stale = mem_printf("%sABCDEF", stem);
    assert_int_equal(file_write_atomic(stale, "y", 1, &e), OK);
    assert_int_equal(file_remove_temporaries(longest, &e), OK);
    assert_true(file_exists(longest));
    assert_false(file_exists(stale));
    mem_free(stale);
    mem_free(stem);
    mem_free(longest);
    /* nothing of the temporaries is left */
    char *dir = mem_printf("%s/a/b", folder);
    struct file_list l;
    assert_int_equal(file_walk(dir, 10, &l, &e), OK);
    assert_int_equal(l.n, 1);
    file_list_free(&l);
    mem_free(dir);
}

/* Piece by piece: nothing at the path before close, and nothing at all where
 * it went wrong. */
static void file_pieces(void **state)
{
    (void)state;
    struct err e = {0};
    struct file_atomic f;
    struct buf b;
    char *path = path_join(folder, "pieces/x");
    char *dir = path_join(folder, "pieces");
    int64_t live = mem_live();
    for (int fails = 0; fails < 2; fails++) {
        assert_int_equal(file_atomic_open(&f, path, &e), OK);
        assert_int_equal(file_atomic_put(&f, "hel", 3, &e), OK);
        assert_int_equal(file_atomic_put(&f, "", 0, &e), OK);
        assert_int_equal(file_atomic_put(&f, fails ? "p!" : "lo", 2, &e), OK);
        assert_int_equal(file_exists(path), fails);
        assert_int_equal(file_atomic_close(&f, fails ? ERR_DATA : OK, &e),
                         fails ? ERR_DATA : OK);
        assert_int_equal(mem_live(), live);
        assert_int_equal(file_read(path, 9, &b, &e), OK);
        assert_string_equal(buf_str(&b), "hello");
        buf_free(&b);
    }
    for (uint64_t i = 1; i <= 3; i++) {
        mem_fail_nth(i);
        enum err_code rc = file_write_atomic(path, "other", 5, &e);
        assert_int_equal(rc, mem_fail_hit() ? ERR_NOMEM : OK);
        assert_true(mem_fail_hit());
        mem_fail_nth(0);
        assert_int_equal(mem_live(), live);
    }
    /* folder gone while writing: close says so */
    char *cmd = mem_printf("rm -r '%s'", dir);
    assert_int_equal(file_atomic_open(&f, path, &e), OK);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(file_atomic_close(&f, OK, &e), ERR_IO);
    assert_non_null(strstr(e.text, "cannot rename"));
    mem_free(cmd);
    mem_free(dir);
    mem_free(path);
}

static void file_temporaries(void **state)
{
    (void)state;
    struct err e = {0};
    static const char *const names[] = {".tmp-x-123456", ".tmp-x-12345",
                                        ".tmp-x-1234567", ".tmp-y-123456"};
    char *path = path_join(folder, "t/x");
    char *none = path_join(folder, "none/x");
    assert_int_equal(file_remove_temporaries(none, &e), OK);
    assert_int_equal(file_remove_temporaries("/dev/null/x", &e), ERR_IO);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 4; i++) {
            char *p = mem_printf("%s/t/%s", folder, names[i]);
            if (round == 0)
                assert_int_equal(file_write_atomic(p, "", 0, &e), OK);
            assert_int_equal(file_exists(p), round == 0 || i > 0);
            mem_free(p);
        }
        assert_int_equal(file_remove_temporaries(path, &e), OK);
    }
    /* what cannot be removed is said */
    char *p = mem_printf("%s/t/%s/z", folder, names[0]);
    assert_int_equal(file_write_atomic(p, "", 0, &e), OK);
    assert_int_equal(file_remove_temporaries(path, &e), ERR_IO);
    assert_non_null(strstr(e.text, "t/.tmp-x-123456'"));
    mem_free(p);
    mem_free(none);
    mem_free(path);
}

/* A pipe, a link to nothing, a link in a circle: each is named. */
static void walk_odd_kinds(const char *root)
{
    struct err e;
    struct file_list l;
    char *pipe = path_join(root, "pipe.jpg");
    char *gone = path_join(root, "gone.jpg");
    char *circle = path_join(root, "zz");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(symlink("nowhere", gone), 0);
    assert_int_equal(symlink("zz", circle), 0);
    assert_int_equal(file_walk(root, 100, &l, &e), OK);
    assert_int_equal(l.n, 4);
    assert_int_equal(l.n_bad, 3);
    assert_string_equal(l.bad[0].path, "gone.jpg");
    assert_string_equal(l.bad[0].why, "a link to nothing");
    assert_int_equal(l.bad[0].code, ERR_NOTFOUND);
    assert_int_equal(l.bad[0].kind, FILE_BAD_UNKNOWN);
    assert_string_equal(l.bad[1].path, "pipe.jpg");
    assert_string_equal(l.bad[1].why, "a pipe (FIFO), not a file");
    assert_int_equal(l.bad[1].code, ERR_UNSUPPORTED);
    assert_int_equal(l.bad[1].kind, FILE_BAD_FILE);
    assert_string_equal(l.bad[2].path, "zz");
    assert_non_null(strstr(l.bad[2].why, "Too many levels of symbolic links"));
    assert_int_equal(file_list_whole(&l, &e), ERR_NOTFOUND);
    assert_string_equal(e.text, "'gone.jpg': a link to nothing");
    file_list_free(&l);
    int64_t live = mem_live();
    bool done = false;
    for (uint64_t i = 1; !done && i < 200; i++) {
        mem_fail_nth(i);
        enum err_code rc = file_walk(root, 100, &l, &e);
        done = !mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, done ? OK : ERR_NOMEM);
        file_list_free(&l);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
    unlink(pipe);
    unlink(gone);
    unlink(circle);
    mem_free(pipe);
    mem_free(gone);
    mem_free(circle);
}

static void walk_closed(const char *root)
{
    struct err e;
    struct file_list l;
    char *shut = path_join(root, "-b");
    assert_int_equal(chmod(shut, 0), 0);
    assert_int_equal(file_walk(root, 100, &l, &e), OK);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.n_bad, 1);
    assert_string_equal(l.bad[0].path, "-b");
    assert_int_equal(l.bad[0].kind, FILE_BAD_FOLDER);
    assert_non_null(strstr(l.bad[0].why, "-b': Permission denied"));
    file_list_free(&l);
    assert_int_equal(chmod(shut, 0444), 0); /* names, but nothing behind */
    assert_int_equal(file_walk(root, 100, &l, &e), OK);
    assert_int_equal(chmod(shut, 0755), 0);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.n_bad, 2);
    assert_string_equal(l.bad[1].path, "-b/2.mp4");
    assert_int_equal(l.bad[1].kind, FILE_BAD_FILE);
    file_list_free(&l);
    mem_free(shut);
}

/* Folders in folders until the path is as long as the system takes: a file at
 * the end is listed, one below that is named. */
static void deep_folders(void **state)
{
    (void)state;
    struct err e;
    struct file_list l;
    char *root = path_join(folder, "deep");
    assert_int_equal(file_mkdirs(root, &e), OK);
    int at = open(root, O_RDONLY | O_DIRECTORY);
    int here = open(".", O_RDONLY | O_DIRECTORY);
    size_t length = strlen(root);
    int depth = 0;
    for (; length < PATH_MAX + 20; length += 2, depth++) {
        assert_int_equal(mkdirat(at, "d", 0755), 0);
        int below = openat(at, "d", O_RDONLY | O_DIRECTORY);
        assert_true(below >= 0);
        close(at);
        at = below;
        /* one well inside, one in the last folder that can be opened */
        if (depth == 100 || length == PATH_MAX - 4 + length % 2)
            close(openat(at, "x", O_CREAT | O_WRONLY, 0644));
    }
    close(openat(at, "y", O_CREAT | O_WRONLY, 0644));
    close(at);
    assert_int_equal(file_walk(root, 100, &l, &e), OK);
    assert_true(depth > 1900);
    assert_int_equal(l.n, 1);
    assert_int_equal(strlen(l.names[0]), 2 * 101 + 1);
    assert_int_equal(l.n_bad, 2);
    assert_int_equal(l.bad[0].kind, FILE_BAD_FOLDER);
    assert_non_null(strstr(l.bad[0].why, "File name too long"));
    assert_non_null(strstr(l.bad[0].why, "cannot open folder '"));
    assert_int_equal(l.bad[1].kind, FILE_BAD_FILE);
    assert_non_null(strstr(l.bad[1].why, "no program can open it"));
    file_list_free(&l);
    /* Out of reach for rm by path: up from below, one by one. */
    assert_int_equal(chdir(root), 0);
    for (int i = 0; i < depth; i++)
        assert_int_equal(chdir("d"), 0);
    unlink("y");
    for (int i = 0; i < depth; i++) {
        unlink("x");
        assert_int_equal(chdir(".."), 0);
        assert_int_equal(rmdir("d"), 0);
    }
    assert_int_equal(fchdir(here), 0);
    close(here);
    mem_free(root);
}

/* A text too long for its room keeps the cause. */
static void err_keeps_cause(void **state)
{
    (void)state;
    struct err e;
    char path[900];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = 0;
    err_errno(&e, ERR_IO, EACCES, "cannot open '%s'", path);
    assert_non_null(strstr(e.text, "cannot open 'ppp"));
    assert_non_null(strstr(e.text, "ppp...ppp"));
    assert_true(text_ends(e.text, ": Permission denied"));
    err_wrap(&e, "stage '%s'", path);
    assert_true(text_starts(e.text, "stage 'ppp"));
    assert_true(text_ends(e.text, ": Permission denied"));
    assert_true(strlen(e.text) < sizeof e.text);
}

static void file_listing(void **state)
{
    (void)state;
    struct err e;
    const char *const names[] = {"w/-b/2.mp4", "w/-b/1.mp4", "w/a.txt",
                                 "w/.hidden/x", "w/\xc3\xa9 &/y"};
    for (size_t i = 0; i < 5; i++) {
        char *p = path_join(folder, names[i]);
        assert_int_equal(file_write_atomic(p, "", 0, &e), OK);
        mem_free(p);
    }
    char *root = path_join(folder, "w");
    char *loop = path_join(folder, "w/loop");
    assert_int_equal(symlink(root, loop), 0); /* a cycle */
    struct file_list l;
    assert_int_equal(file_walk(root, 100, &l, &e), OK);
    assert_int_equal(l.n, 4);
    assert_string_equal(l.names[0], "-b/1.mp4");
    assert_string_equal(l.names[1], "-b/2.mp4");
    assert_string_equal(l.names[2], "a.txt");
    file_list_free(&l);
    assert_int_equal(file_walk(root, 100, &l, &e), OK);
    assert_int_equal(l.n_bad, 0);
    assert_int_equal(l.hidden, 1);
    assert_int_equal(l.loops, 1);
    assert_int_equal(file_list_whole(&l, &e), OK);
    file_list_free(&l);
    walk_odd_kinds(root);
    if (geteuid() != 0) /* root opens everything; see tests/sh/80-fault-05 */
        walk_closed(root);
    assert_int_equal(file_walk(root, 3, &l, &e), ERR_DATA);
    assert_int_equal(file_walk("/nonexistent/x", 3, &l, &e), ERR_NOTFOUND);
    int64_t live = mem_live();
    bool done = false;
    for (uint64_t i = 1; !done && i < 200; i++) {
        mem_fail_nth(i);
        enum err_code rc = file_walk(root, 100, &l, &e);
        done = !mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, done ? OK : ERR_NOMEM);
        file_list_free(&l);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
    mem_free(loop);
    mem_free(root);
}

static void path_parts(void **state)
{
    (void)state;
    char ext[16];
    path_ext("a/b.c/D.JPEG", ext);
    assert_string_equal(ext, "jpeg");
    path_ext("a/b.c/.hidden", ext);
    assert_string_equal(ext, "");
    path_ext("noext", ext);
    assert_string_equal(ext, "");
    assert_string_equal(path_base("a/b"), "b");
    assert_string_equal(path_base("b"), "b");
    char *p = path_join("a/", "b");
    assert_string_equal(p, "a/b");
    mem_free(p);
}

static void rng_known(void **state)
{
    (void)state;
    struct rng a, b;
    /* state 1,2,3,4: first values of the authors' reference program */
    a = (struct rng){.s = {1, 2, 3, 4}};
    assert_true(rng_u64(&a) == 11520u);
    assert_true(rng_u64(&a) == 0u);
    assert_true(rng_u64(&a) == 1509978240u);
    rng_seed(&a, 7);
    rng_seed(&b, 7);
    double mean = 0, square = 0;
    for (int i = 0; i < 20000; i++) {
        assert_true(rng_u64(&a) == rng_u64(&b));
        double u = rng_unit(&a);
        rng_unit(&b);
        assert_true(u >= 0 && u < 1);
        assert_true(rng_below(&a, 10) < 10);
        rng_below(&b, 10);
        double z = rng_normal(&a);
        rng_normal(&b);
        mean += z / 20000;
        square += z * z / 20000;
    }
    /* 5 standard errors of a normal sample of this size */
    assert_true(fabs(mean) < 5 / sqrt(20000));
    assert_true(fabs(square - 1) < 5 * sqrt(2.0 / 20000));
    assert_int_equal(rng_below(&a, 0), 0);
    assert_int_equal(rng_below(&a, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_texts),         cmocka_unit_test(mem_sizes),
        cmocka_unit_test(mem_pages),         cmocka_unit_test(buf_cap),
        cmocka_unit_test(text_numbers),      cmocka_unit_test(text_near),
        cmocka_unit_test(text_csv),          cmocka_unit_test(text_utf8),
        cmocka_unit_test(csv_alloc_failure), cmocka_unit_test(text_controls),
        cmocka_unit_test(file_round),        cmocka_unit_test(file_listing),
        cmocka_unit_test(deep_folders),      cmocka_unit_test(err_keeps_cause),
        cmocka_unit_test(file_pieces),       cmocka_unit_test(file_temporaries),
        cmocka_unit_test(path_parts),        cmocka_unit_test(rng_known),
        cmocka_unit_test(text_lines_shown),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
