/* A store of layout identity with many sets: a table each. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/store/store.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s/facet-sets-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    char cmd[128];
    (void)state;
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd);
}

/* Any number of sets, more than files can be open. */
static void test_many_sets(void **state)
{
    (void)state;
    enum { SETS = 300 };
    struct err e = {0};
    struct store *s;
    struct store_totals t;
    struct rlimit few, had;
    assert_int_equal(store_open(dir, STORE_IDENTITY, NULL, &s, &e), OK);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < SETS; i++) {
            char set[32], name[32], frame[64], sum[STORE_SUM];
            enum store_put_how how;
            int k = i * 7 % SETS; /* in no order */
            snprintf(set, sizeof set, "set%03d", k);
            snprintf(name, sizeof name, "n%d", round);
            snprintf(frame, sizeof frame, "%s/id/f%d.jpg", set, round);
            struct store_row r;
            store_row_clear(&r);
            r.v[COL_NAME] = name;
            r.v[COL_SNIPPET] = set;
            r.v[COL_SAMPLE] = "0";
            r.v[COL_N_FRAMES] = "1";
            r.v[COL_STATUS] = "ok";
            r.v[COL_SET] = set;
            r.v[COL_IDENTITY] = "id";
            r.v[COL_FRAME] = frame;
            r.v[COL_FRAME_SUM] = sum;
            assert_int_equal(store_put(s, frame, "x", 1, false, sum, &how, &e),
                             OK);
            assert_int_equal(store_log(s, &r, &e), OK);
        }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
    few = had;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    enum err_code rc = store_finish(s, &t, &e);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
    if (rc)
        fail_msg("%s", e.text);
    store_close(&s);
    assert_int_equal(t.ok, 2 * SETS);
    for (int i = 0; i < SETS; i++) {
        char rel[64], want[256];
        snprintf(rel, sizeof rel, "set%03d/metadata.csv", i);
        snprintf(want, sizeof want,
                 "file_name,label,synthetic,name,snippet,i,view,source,method,"
                 "model,rx_deg,ry_deg,rz_deg\n"
                 "id/f0.jpg,id,false,n0,set%03d,0,,,,,,,\n"
                 "id/f1.jpg,id,false,n1,set%03d,0,,,,,,,\n",
                 i, i);
        struct buf b;
        char *file = path_join(dir, rel);
        assert_int_equal(file_read(file, 4096, &b, &e), OK);
        assert_string_equal(buf_str(&b), want);
        buf_free(&b);
        mem_free(file);
    }
    char path[300];
    snprintf(path, sizeof path, "%s/.facet", dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d));)
        assert_int_not_equal(strncmp(f->d_name, "new-", 4), 0);
    closedir(d);
}

/* What a writer that was killed in opening the store has left goes. */
static void test_killed_opening(void **state)
{
    struct err e = {0};
    struct store *s;
    (void)state;
    char *format = path_join(dir, ".facet/format");
    char *left = path_join(dir, ".facet/.tmp-format-abc123");
    assert_int_equal(file_write_atomic(left, "half", 4, &e), OK);
    assert_int_equal(store_open(dir, STORE_PAIRS, NULL, &s, &e), OK);
    store_close(&s);
    assert_true(file_exists(format));
    assert_false(file_exists(left));
    mem_free(format);
    mem_free(left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_sets, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_killed_opening, make_dir,
                                        drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
