/* Stores whose results come from changing settings and sources: rows and files
 * always belong together. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/recipe.h"
#include "lib/store/done.h"
#include "lib/store/policy.h"
#include "lib/store/scan.h"
#include "lib/store/sources.h"
#include "lib/store/store.h"
#include "lib/store/store_files.h"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s/facet-settings-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char cmd[128];
    (void)state;
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd);
}

static const char *at(const char *rel)
{
    static char path[4][512];
    static int next;
    char *p = path[next = (next + 1) & 3];
    snprintf(p, sizeof path[0], "%s/%s", dir, rel);
    return p;
}

static struct store *open_with(const char *recipe, enum store_other other)
{
    struct store *s;
    struct err e = {0};
    const struct store_settings set = {recipe, "", "run1", other};
    if (store_open(dir, STORE_VIEWS, &set, &s, &e))
        fail_msg("%s", e.text);
    return s;
}

/* Sample i of n (view v of nv, face f of nf; < 0 none) of n/a. */
struct sample {
    int64_t i, n, v, nv, f, nf;
    const char *status, *frame, *made, *source;
};

static enum err_code put_file(struct store *s, enum store_col file,
                              enum store_col sum, const char *rel,
                              const char *data, struct store_row *r,
                              char out[STORE_SUM], struct err *e)
{
    enum store_put_how how;
    enum err_code rc =
        store_put(s, rel, data, strlen(data), false, out, &how, e);
    r->v[file] = rel;
    r->v[sum] = out;
    return rc;
}

static enum err_code try_put(struct store *s, struct sample x, struct err *e)
{
    char number[6][24], frame[64], made[64], sums[2][STORE_SUM];
    const int64_t value[6] = {x.i, x.n, x.v, x.nv, x.f, x.nf};
    static const enum store_col cols[6] = {
        COL_SAMPLE, COL_N_FRAMES, COL_VIEW, COL_N_VIEWS, COL_FACE, COL_FACES};
    struct store_row r;
    enum err_code rc = OK;
    store_row_clear(&r);
    r.v[COL_NAME] = "n";
    r.v[COL_SNIPPET] = "a";
    r.v[COL_STATUS] = x.status;
    r.v[COL_SOURCE_HASH] = x.source ? x.source : "s";
    for (int k = 0; k < 6; k++)
        if (value[k] >= 0) {
            snprintf(number[k], sizeof number[k], "%lld", (long long)value[k]);
            r.v[cols[k]] = number[k];
        }
    snprintf(frame, sizeof frame, "n/a/frame_%lld.jpg", (long long)x.i);
    snprintf(made, sizeof made, "n/a/view_%lld_%lld_%lld.png", (long long)x.i,
             (long long)x.f, (long long)x.v);
    if (x.frame)
        rc = put_file(s, COL_FRAME, COL_FRAME_SUM, frame, x.frame, &r, sums[0],
                      e);
    if (!rc && x.made)
        rc = put_file(s, COL_GENERATED, COL_GENERATED_SUM, made, x.made, &r,
                      sums[1], e);
    return rc ? rc : store_log(s, &r, e);
}

static void put(struct store *s, struct sample x)
{
    struct err e = {0};
    if (try_put(s, x, &e))
        fail_msg("%s", e.text);
}

static struct sample plain(int64_t i, int64_t n, const char *frame)
{
    return (struct sample){i, n, -1, -1, -1, -1, "ok", frame, NULL, NULL};
}

static struct store_totals finish(struct store *s)
{
    struct store_totals t;
    struct err e = {0};
    if (store_finish(s, &t, &e))
        fail_msg("%s", e.text);
    store_close(&s);
    return t;
}

/* Every good row's files hold what its sums say. Rows, or -1 and why. */
static int check_rows(const char *root)
{
    struct store_scan *scan;
    struct err e = {0};
    int rows = 0;
    if (store_scan_open(root, &scan, &e))
        return -1;
    for (;;) {
        const struct store_group *g;
        if (store_scan_next(scan, &g, &e) || !g)
            break;
        for (size_t i = 0; i < g->n && rows >= 0; i++, rows++)
            for (int f = 0; f < STORE_FILES && rows >= 0; f++) {
                const char *sum = g->rows[i].v[store_sum_cols[f]];
                char *path = path_join(root, g->rows[i].v[store_file_cols[f]]);
                if (*sum && !store_sum_matches(path, sum)) {
                    fprintf(stderr, "'%s' is not what its row says\n", path);
                    rows = -1000000;
                }
                mem_free(path);
            }
    }
    store_scan_close(&scan);
    return e.code ? -1 : rows;
}

static struct store_done_entry done(struct store_done **d, const char *recipe)
{
    char hash[1][RECIPE_HASH];
    bool gives[1] = {true};
    const struct store_sinks of = {hash, gives, *recipe != 0};
    recipe_hash(recipe, hash[0]);
    struct err e = {0};
    struct store_done_entry en = {0};
    assert_int_equal(store_done_load(dir, NULL, &of, d, &e), OK);
    assert_true(store_done_find(*d, "n", "a", &en));
    return en;
}

/* Five samples, then three of other settings: what is no more goes, with its
 * files, as soon as the new ones are complete, and not before. */
static void test_fewer(void **state)
{
    struct store_done *d;
    (void)state;
    struct store *s = open_with("f.count\t5\n", STORE_REMAKE);
    assert_int_equal(store_before(s)->rows, 0);
    for (int i = 0; i < 5; i++)
        put(s, plain(i, 5, i == 4 ? "same" : "old"));
    assert_int_equal(finish(s).ok, 5);
    s = open_with("f.count\t3\n", STORE_REMAKE);
    assert_int_equal(store_before(s)->rows, 5);
    assert_int_equal(store_before(s)->others, 5);
    assert_string_equal(store_before(s)->differ, "f.count: 5 -> 3");
    put(s, plain(0, 3, "new"));
    put(s, plain(1, 3, "new"));
    struct store_totals t = finish(s);
    assert_int_equal(t.ok, 5);
    assert_int_equal(t.others, 3);
    assert_int_equal(t.finished, 1); /* all there, of two settings */
    assert_int_equal(check_rows(dir), 5);
    struct store_done_entry en = done(&d, "f.count\t3\n");
    assert_true(en.mixed);
    assert_int_equal(store_done_match(&en, en.about), STORE_OTHER_RECIPE);
    store_done_free(&d);
    s = open_with("f.count\t3\n", STORE_REMAKE);
    put(s, plain(2, 3, "new"));
    t = finish(s);
    assert_int_equal(t.ok, 3);
    assert_int_equal(t.others, 0);
    assert_int_equal(t.removed, 2);
    assert_false(file_exists(at("n/a/frame_3.jpg")));
    assert_false(file_exists(at("n/a/frame_4.jpg")));
    assert_false(file_exists(at(".facet/drop")));
    assert_int_equal(check_rows(dir), 3);
    en = done(&d, "f.count\t3\n");
    assert_false(en.mixed);
    assert_int_equal(store_done_match(&en, en.about), STORE_MATCH);
    const uint64_t other[2] = {1, 2};
    assert_int_equal(store_done_match(&en, other), STORE_OTHER_SOURCE);
    store_done_free(&d);
}

/* Of other settings or another source a failure replaces a success. */
static void test_failures(void **state)
{
    (void)state;
    struct store *s = open_with("a\t1\n", STORE_REMAKE);
    put(s, plain(0, 1, "x"));
    finish(s);
    s = open_with("a\t1\n", STORE_REMAKE);
    struct sample bad = plain(0, 1, NULL);
    bad.status = "no face";
    put(s, bad); /* the same settings: the success stays */
    assert_int_equal(finish(s).ok, 1);
    assert_true(file_exists(at("n/a/frame_0.jpg")));
    s = open_with("a\t1\n", STORE_REMAKE);
    bad.source = "another file";
    put(s, bad);
    struct store_totals t = finish(s);
    assert_int_equal(t.ok, 0);
    assert_int_equal(t.failed, 1);
    assert_false(file_exists(at("n/a/frame_0.jpg")));
    s = open_with("a\t1\n", STORE_REMAKE);
    put(s, plain(0, 2, "x"));
    put(s, plain(1, 2, "x"));
    finish(s);
    s = open_with("a\t2\n", STORE_REMAKE);
    bad.i = -1; /* the clip as a whole */
    bad.n = -1;
    put(s, bad);
    t = finish(s);
    assert_int_equal(t.ok, 0);
    assert_int_equal(t.failed, 1);
    assert_int_equal(t.removed, 2);
    s = open_with("a\t1\n", STORE_REMAKE); /* and back, half of it */
    put(s, plain(0, 2, "x"));
    t = finish(s);
    assert_int_equal(t.ok, 1);
    assert_int_equal(t.failed, 1);
    assert_int_equal(check_rows(dir), 2);
}

/* Views share their sample's frame: another frame makes the others void. */
static void test_shared_frame(void **state)
{
    (void)state;
    struct store *s = open_with("q\t95\n", STORE_REMAKE);
    for (int v = 0; v < 4; v++)
        put(s, (struct sample){0, 1, v, 4, -1, -1, "ok", "frame", "v", NULL});
    assert_int_equal(finish(s).ok, 4);
    s = open_with("q\t80\n", STORE_REMAKE);
    put(s, (struct sample){0, 1, 2, 4, -1, -1, "ok", "poorer", "w", NULL});
    assert_int_equal(check_rows(dir), 1); /* while it runs, too */
    struct store_totals t = finish(s);
    assert_int_equal(t.ok, 1);
    assert_int_equal(t.finished, 0);
    assert_int_equal(t.removed, 3);
    assert_int_equal(check_rows(dir), 1);
}

/* All faces of a picture, and their views. */
static void test_faces(void **state)
{
    struct store_done *d;
    (void)state;
    struct store *s = open_with("policy\tall\n", STORE_REMAKE);
    struct sample x = {0, 1, -1, -1, 0, 2, "ok", "frame", "v", NULL};
    put(s, x);
    assert_int_equal(finish(s).finished, 0); /* the other is to come */
    s = open_with("policy\tall\n", STORE_REMAKE);
    x.f = 1;
    for (x.v = 0, x.nv = 2; x.v < 2; x.v++) {
        put(s, x);
        if (x.v == 0)
            assert_int_equal(check_rows(dir), 2);
    }
    struct store_totals t = finish(s);
    assert_int_equal(t.ok, 3);
    assert_int_equal(t.finished, 1);
    assert_int_equal(check_rows(dir), 3);
    struct store_done_entry en = done(&d, "");
    assert_true(en.finished && !en.mixed);
    store_done_free(&d);
    /* the largest alone: one row, the other's files go */
    s = open_with("policy\tlargest\n", STORE_REMAKE);
    put(s, (struct sample){0, 1, -1, -1, -1, -1, "ok", "frame", "v", NULL});
    t = finish(s);
    assert_int_equal(t.ok, 1);
    assert_int_equal(t.removed, 3);
    assert_int_equal(check_rows(dir), 1);
}

/* Two runs at once: of other settings refused, of the same ones taken. */
static void test_at_once(void **state)
{
    struct err e = {0};
    struct store *b;
    (void)state;
    struct store *a = open_with("m\tone\n", STORE_REMAKE);
    const struct store_settings other = {"m\ttwo\n", "", "run2", STORE_REMAKE};
    assert_int_equal(store_open(dir, STORE_VIEWS, &other, &b, &e), ERR_STATE);
    assert_non_null(strstr(e.text, "m: one -> two"));
    assert_null(b);
    const struct store_settings same = {"m\tone\n", "", "run2", STORE_REMAKE};
    assert_int_equal(store_open(dir, STORE_VIEWS, &same, &b, &e), OK);
    store_close(&b);
    /* another sink of the same run: no stranger */
    const struct store_settings kin = {"m\ttwo\n", "", "run1", STORE_REMAKE};
    assert_int_equal(store_open(dir, STORE_VIEWS, &kin, &b, &e), OK);
    store_close(&b);
    put(a, plain(0, 1, "x"));
    finish(a);
    assert_int_equal(store_open(dir, STORE_VIEWS, &other, &b, &e), OK);
    store_close(&b);
    const struct store_settings no = {"m\ttwo\n", "", "run2", STORE_REFUSE};
    assert_int_equal(store_open(dir, STORE_VIEWS, &no, &b, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "holds 1 samples from other settings"));
}

static void test_claims(void **state)
{
    struct err e = {0};
    bool again;
    char what[64], owner[64];
    (void)state;
    struct store *s = open_with("a\t1\n", STORE_REMAKE);
    for (int i = 0; i < 5000; i++) {
        snprintf(what, sizeof what, "sample %d", i);
        snprintf(owner, sizeof owner, "item %d", i);
        assert_int_equal(store_claim(s, what, owner, &again, &e), OK);
        assert_false(again);
    }
    assert_int_equal(store_claim(s, "sample 4", "item 4", &again, &e), OK);
    assert_true(again);
    assert_int_equal(store_claim(s, "sample 4", "item 5", &again, &e),
                     ERR_DATA);
    assert_non_null(strstr(e.text, "sample 4 was stored in this run already"));
    store_close(&s);
}

/* A store of an earlier version: its rows are of unknown settings. */
static void test_old_store(void **state)
{
    struct err e = {0};
    struct buf b;
    (void)state;
    struct store *s = open_with("", STORE_REMAKE);
    put(s, plain(0, 1, "x"));
    finish(s);
    /* back to format 1: the first 27 columns, their own check */
    assert_int_equal(file_read(at(".facet/base.tsv"), 65536, &b, &e), OK);
    char *line = mem_strndup((char *)b.data, b.len - 1), *p = line;
    buf_free(&b);
    for (int tabs = 0; *p; p++)
        if (*p == '\t' && ++tabs == STORE_COLS_1 + 1)
            break;
    *p = 0;
    char check[17];
    snprintf(check, sizeof check, "%016llx",
             (unsigned long long)store_hash(0, line + 17, strlen(line) - 17));
    memcpy(line, check, 16);
    char *text = mem_printf("%s\n", line);
    assert_int_equal(
        file_write_atomic(at(".facet/base.tsv"), text, strlen(text), &e), OK);
    static const char format[] = "facet-store 1\nviews\n";
    assert_int_equal(
        file_write_atomic(at(".facet/format"), format, strlen(format), &e), OK);
    unlink(at(".facet/summary"));
    s = open_with("f\t1\n", STORE_REMAKE);
    assert_int_equal(store_before(s)->rows, 1);
    assert_int_equal(store_before(s)->others, 1);
    assert_string_equal(store_before(s)->differ, "unknown");
    put(s, plain(0, 1, "x"));
    struct store_totals t = finish(s);
    assert_int_equal(t.ok, 1);
    assert_int_equal(t.others, 0);
    assert_int_equal(t.damaged, 0);
    assert_int_equal(file_read(at(".facet/format"), 100, &b, &e), OK);
    assert_int_equal(buf_puts(&b, "", &e), OK);
    assert_string_equal(buf_str(&b), "facet-store 2\nviews\n");
    buf_free(&b);
    mem_free(text);
    mem_free(line);
}

/* Where the first writer keeps a file until its row is committed. */
static char *pending(const char *rel, const char *sum)
{
    char name[33];
    store_pending_name(rel, sum, name);
    return mem_printf("%s/.facet/writer-1/%s", dir, name);
}

/* Two files of a sample that have the same bytes both get to their places. */
static void test_twins(void **state)
{
    struct err e = {0};
    struct store_row r;
    char sum[2][STORE_SUM];
    enum store_put_how how;
    (void)state;
    struct store *s = open_with("a\t1\n", STORE_REMAKE);
    assert_int_equal(
        store_put(s, "n/a/frame_0.jpg", "same", 4, false, sum[0], &how, &e),
        OK);
    assert_int_equal(
        store_put(s, "n/a/pose_0.jpg", "same", 4, false, sum[1], &how, &e), OK);
    store_row_clear(&r);
    r.v[COL_NAME] = "n";
    r.v[COL_SNIPPET] = "a";
    r.v[COL_SAMPLE] = "0";
    r.v[COL_N_FRAMES] = "1";
    r.v[COL_STATUS] = "ok";
    r.v[COL_FRAME] = "n/a/frame_0.jpg";
    r.v[COL_POSE] = "n/a/pose_0.jpg";
    r.v[COL_FRAME_SUM] = sum[0];
    r.v[COL_POSE_SUM] = sum[1];
    assert_int_equal(store_log(s, &r, &e), OK);
    (void)finish(s);
    assert_true(store_sum_matches(at("n/a/frame_0.jpg"), sum[0]));
    assert_true(store_sum_matches(at("n/a/pose_0.jpg"), sum[1]));
}

/* A commit whose files had not got to their places is completed; one whose
 * files were changed since is taken away. */
static void test_redo(void **state)
{
    struct err e = {0};
    (void)state;
    struct store *s = open_with("a\t1\n", STORE_REMAKE);
    put(s, plain(0, 2, "zero"));
    put(s, plain(1, 2, "one"));
    store_close(&s); /* as a kill would leave it */
    char sum[STORE_SUM];
    store_sum("one", 3, sum);
    char *from = pending("n/a/frame_1.jpg", sum);
    assert_int_equal(rename(at("n/a/frame_1.jpg"), from), 0);
    assert_int_equal(file_write_atomic(at("n/a/frame_0.jpg"), "XXXX", 4, &e),
                     OK);
    s = open_with("a\t1\n", STORE_REMAKE);
    assert_true(store_sum_matches(at("n/a/frame_1.jpg"), sum));
    assert_int_equal(check_rows(dir), 1);
    struct store_totals t = finish(s);
    assert_int_equal(t.ok, 1);
    assert_int_equal(t.finished, 0);
    mem_free(from);
}

/* What a kill left half written goes to no place of a whole file, also where
 * both would have the same name: that of their bytes. */
static void test_torn(void **state)
{
    struct err e = {0};
    (void)state;
    struct store *s = open_with("a\t1\n", STORE_REMAKE);
    put(s, plain(0, 1, "zero"));
    store_close(&s);
    char sum[STORE_SUM];
    store_sum("zero", 4, sum);
    char *from = pending("n/a/frame_0.jpg", sum);
    assert_int_equal(file_write_atomic(from, "ze", 2, &e), OK);
    assert_int_equal(store_recover(dir, &e), OK);
    assert_true(store_sum_matches(at("n/a/frame_0.jpg"), sum));
    assert_int_equal(check_rows(dir), 1);
    mem_free(from);
}

static void count_bad(void *arg, const char *path)
{
    (void)arg;
    (void)path;
}

/* A row that is taken away leaves what other rows name. */
static void test_shared(void **state)
{
    struct err e = {0};
    struct sample x = {0, 1, 0, 3, -1, -1, "ok", "frame", "view", NULL};
    (void)state;
    for (int kill = 0; kill < 2; kill++) {
        struct store *s = open_with("a\t1\n", STORE_REMAKE);
        for (x.v = 0; x.v < 3; x.v++)
            put(s, x);
        if (kill)
            store_close(&s);
        else
            finish(s);
        assert_int_equal(
            file_write_atomic(at("n/a/view_0_-1_1.png"), "XXXX", 4, &e), OK);
        struct store_verified v;
        assert_int_equal(kill
                             ? store_recover(dir, &e)
                             : store_verify(dir, true, count_bad, NULL, &v, &e),
                         OK);
        assert_int_equal(check_rows(dir), 2);
        assert_true(file_exists(at("n/a/frame_0.jpg")));
        assert_false(file_exists(at("n/a/view_0_-1_1.png")));
    }
}

/* Killed at any moment, of settings that change from run to run. */
static void test_kills(void **state)
{
    static char big[40000];
    int killed = 0, rows = 0;
    unsigned seed = 12345;
    (void)state;
    memset(big, 'b', sizeof big - 1);
    for (int round = 0; round < 40; round++) {
        char recipe[32];
        int n = 3 + round % 3;
        snprintf(recipe, sizeof recipe, "n\t%d\n", n);
        int p[2];
        assert_int_equal(pipe(p), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct err e = {0};
            struct store *s = open_with(recipe, STORE_REMAKE);
            for (int k = 0; k < 2000; k++) {
                big[0] = (char)('a' + n);
                big[1] = (char)('a' + k % n);
                struct sample x = plain(k % n, n, big);
                x.v = k / n % 3;
                x.nv = 3;
                x.made = big + 1 + round % 2;
                if (try_put(s, x, &e) || write(p[1], "", 1) != 1)
                    _exit(1);
                if (k % 50 == 49) {
                    if (store_finish(s, NULL, &e))
                        _exit(2);
                    store_close(&s);
                    s = open_with(recipe, STORE_REMAKE);
                }
            }
            _exit(0);
        }
        /* after so many commits, and somewhat into the next one */
        seed = seed * 1103515245u + 12345u;
        char byte;
        for (unsigned k = (seed >> 8) % 120; k > 0; k--)
            assert_int_equal(read(p[0], &byte, 1), 1);
        const struct timespec t = {0, (long)(seed >> 16) % 3000000};
        nanosleep(&t, NULL);
        kill(pid, SIGKILL);
        close(p[0]);
        close(p[1]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        killed += WIFSIGNALED(status);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        struct err e = {0};
        assert_int_equal(store_recover(dir, &e), OK);
        int now = check_rows(dir);
        assert_true(now >= 0);
        rows += now;
    }
    assert_true(rows > 0);
    assert_true(killed > 0);
    /* and what is left of it becomes whole, of one kind */
    struct store *s = open_with("n\t2\n", STORE_REMAKE);
    put(s, plain(0, 2, "x"));
    put(s, plain(1, 2, "x"));
    struct store_totals t = finish(s);
    assert_int_equal(t.ok, 2);
    assert_int_equal(t.others, 0);
    assert_int_equal(check_rows(dir), 2);
    struct file_list l;
    struct err e = {0};
    assert_int_equal(file_walk(at("n"), 1000, &l, &e), OK);
    assert_int_equal(l.n, 2);
    file_list_free(&l);
}

static void write_text(const char *path, const char *text)
{
    struct err e = {0};
    assert_int_equal(file_write_atomic(path, text, strlen(text), &e), OK);
}

/* Sources: read once, again when they change, also within one clock tick. */
/* A clock for which reading a file takes ten seconds. */
struct slow_clock {
    struct sources *s;
    int64_t start_ns;
};

static int64_t slow_now(void *arg)
{
    const struct slow_clock *c = arg;
    return c->start_ns + (sources_read(c->s) ? 10 : 0) * INT64_C(1000000000);
}

static int64_t changed_ns(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

static void test_sources(void **state)
{
    struct err e = {0};
    struct sources *s;
    char one[33], two[33];
    const struct timespec old[2] = {{1000000000, 5}, {1000000000, 5}};
    (void)state;
    write_text(at("clip"), "AAAA");
    assert_int_equal(file_mkdirs(at(".facet"), &e), OK);
    assert_int_equal(sources_open(dir, false, &s, &e), OK);
    assert_int_equal(sources_hash(s, at("clip"), one, &e), OK);
    assert_int_equal(sources_hash(s, at("clip"), one, &e), OK);
    assert_int_equal(sources_read(s), 1);
    assert_int_equal(sources_hash(s, at("none"), two, &e), ERR_NOTFOUND);
    assert_int_equal(sources_hash(s, dir, two, &e), ERR_IO);
    sources_close(&s);
    /* too fresh to be remembered */
    assert_int_equal(sources_open(dir, false, &s, &e), OK);
    assert_int_equal(sources_hash(s, at("clip"), one, &e), OK);
    assert_int_equal(sources_read(s), 1);
    sources_close(&s);
    /* looked at when fresh, and read for long: it may have changed meanwhile,
     * within one tick of the file system's clock */
    for (int k = 0; k < 2; k++) {
        assert_int_equal(sources_open(dir, false, &s, &e), OK);
        struct slow_clock slow = {s, changed_ns(at("clip")) + 1000000};
        sources_set_clock(s, slow_now, &slow);
        assert_int_equal(sources_hash(s, at("clip"), one, &e), OK);
        assert_int_equal(sources_read(s), 1);
        sources_close(&s);
    }
    /* settled: remembered (its last change of status is what it waits for) */
    for (size_t reads = 1, k = 0; k < 2; k++, reads = 0) {
        assert_int_equal(sources_open(dir, false, &s, &e), OK);
        struct slow_clock slow = {s, changed_ns(at("clip")) + 3000000000};
        sources_set_clock(s, slow_now, &slow);
        assert_int_equal(sources_hash(s, at("clip"), two, &e), OK);
        assert_string_equal(one, two);
        assert_int_equal(sources_read(s), reads);
        sources_close(&s);
    }
    /* another content of the same size, with the same time set by hand */
    assert_int_equal(utimensat(AT_FDCWD, at("clip"), old, 0), 0);
    assert_int_equal(sources_open(dir, false, &s, &e), OK);
    assert_int_equal(sources_hash(s, at("clip"), two, &e), OK);
    sources_close(&s);
    FILE *f = fopen(at("clip"), "r+");
    assert_non_null(f);
    assert_int_equal(fputs("BBBB", f), 1);
    fclose(f);
    assert_int_equal(utimensat(AT_FDCWD, at("clip"), old, 0), 0);
    assert_int_equal(sources_open(dir, false, &s, &e), OK);
    assert_int_equal(sources_hash(s, at("clip"), two, &e), OK);
    assert_string_not_equal(one, two);
    sources_close(&s);
    /* told to, it believes nothing */
    assert_int_equal(sources_open(dir, true, &s, &e), OK);
    assert_int_equal(sources_hash(s, at("clip"), two, &e), OK);
    assert_int_equal(sources_read(s), 1);
    sources_close(&s);
    /* damaged lines are left out */
    write_text(at(".facet/sources.tsv"), "x\n\n0123\nabc");
    assert_int_equal(sources_open(dir, false, &s, &e), OK);
    sources_close(&s);
}

static void test_policy(void **state)
{
    struct err e = {0};
    char *root;
    static const char sinks[] = "store\tab\tsettings-1\tapart\tsamples\to\n";
    (void)state;
    assert_int_equal(policy_root(POLICY_APART, sinks, "store", "o", &root, &e),
                     OK);
    assert_string_equal(root, "o/settings-1");
    mem_free(root);
    assert_int_equal(policy_root(POLICY_KEEP, sinks, "store", "o", &root, &e),
                     OK);
    assert_string_equal(root, "o");
    mem_free(root);
    assert_int_equal(policy_root(POLICY_APART, "", "store", "o", &root, &e),
                     ERR_ARG);
    assert_null(root);
    assert_int_equal(policy_of_store(POLICY_REFUSE), STORE_REFUSE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fewer),     TEST(test_failures), TEST(test_shared_frame),
        TEST(test_faces),     TEST(test_at_once),  TEST(test_claims),
        TEST(test_old_store), TEST(test_redo),     TEST(test_twins),
        TEST(test_torn),      TEST(test_shared),   TEST(test_kills),
        TEST(test_sources),   TEST(test_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
