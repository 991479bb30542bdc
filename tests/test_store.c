/* lib/store: rows, journals, merging, kills, several writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/store/done.h"
#include "lib/store/layout.h"
#include "lib/store/reader.h"
#include "lib/store/row.h"
#include "lib/store/scan.h"
#include "lib/store/store.h"

static char dir[256]; /* of the running test, removed after it */
static const struct store_sinks nobody;

static int make_dir(void **state)
{
    (void)state;
    /* In memory where there is such a place: thousands of fsyncs. */
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(dir, sizeof dir, "%s/facet-store-XXXXXX", tmp);
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static const char *at(const char *rel)
{
    static char path[4][512];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", dir, rel);
    return path[i];
}

static char *slurp(const char *path)
{
    struct buf b;
    struct err e = {0};
    if (file_read(path, (size_t)1 << 28, &b, &e) != OK)
        return mem_strdup("");
    char *s = mem_strndup((const char *)b.data, b.len);
    buf_free(&b);
    return s;
}

/* A row with these values; text is the caller's. */
static struct store_row row_of(const char *name, const char *snippet,
                               const char *i, const char *n, const char *status)
{
    struct store_row r;
    store_row_clear(&r);
    r.v[COL_NAME] = name;
    r.v[COL_SNIPPET] = snippet;
    r.v[COL_SAMPLE] = i;
    r.v[COL_N_FRAMES] = n;
    r.v[COL_SET] = "train";
    r.v[COL_STATUS] = status;
    return r;
}

static void log_ok(struct store *s, const char *name, const char *snippet,
                   const char *i, const char *n, const char *status)
{
    struct store_row r = row_of(name, snippet, i, n, status);
    struct err e = {0};
    if (store_log(s, &r, &e) != OK)
        fail_msg("%s", e.text);
}

static void test_row_round_trip(void **state)
{
    (void)state;
    struct store_row r = row_of("id/a b%&", "-x\ty\n\x7f\xc3\xbc.mp4", "3", "5",
                                "no face"),
                     back;
    r.v[COL_REASON] = "\"quoted\", 100 % \\";
    struct buf b;
    struct err e = {0};
    buf_init(&b, 1 << 20);
    assert_int_equal(store_row_encode(&r, &b, &e), OK);
    assert_int_equal(b.data[b.len - 1], '\n');
    assert_null(memchr(b.data, '\n', b.len - 1)); /* one line always */
    char *line = mem_strndup((char *)b.data, b.len - 1);
    assert_true(store_row_decode(line, b.len - 1, &back));
    for (int c = 0; c < STORE_COLS; c++)
        assert_string_equal(r.v[c], back.v[c]);
    mem_free(line);
    /* Every cut and every flipped bit is noticed. */
    for (size_t n = 0; n < b.len - 1; n++) {
        line = mem_strndup((char *)b.data, n);
        assert_false(store_row_decode(line, n, &back));
        mem_free(line);
    }
    for (size_t i = 0; i < b.len - 1; i++) {
        line = mem_strndup((char *)b.data, b.len - 1);
        line[i] = (char)(line[i] ^ (1 << i % 7));
        assert_false(store_row_decode(line, b.len - 1, &back));
        mem_free(line);
    }
    buf_free(&b);
}

static void test_row_too_long(void **state)
{
    (void)state;
    char *big = mem_alloc(STORE_LINE_MAX);
    memset(big, 'a', STORE_LINE_MAX - 1);
    big[STORE_LINE_MAX - 1] = 0;
    struct store_row r = row_of("n", "s", "0", "1", "ok");
    r.v[COL_REASON] = big;
    struct buf b;
    struct err e = {0};
    buf_init(&b, 1 << 20);
    assert_int_equal(store_row_encode(&r, &b, &e), ERR_DATA);
    assert_int_equal(b.len, 0);
    buf_free(&b);
    mem_free(big);
}

static void test_row_order(void **state)
{
    (void)state;
    struct store_row a = row_of("n", "s", "9", "", ""),
                     b = row_of("n", "s", "10", "", ""),
                     whole = row_of("n", "s", "", "", "");
    assert_true(store_row_compare(&a, &b) < 0); /* numbers, not text */
    assert_true(store_row_compare(&whole, &a) < 0);
    b.v[COL_SAMPLE] = "9";
    b.v[COL_VIEW] = "0";
    assert_true(store_row_compare(&a, &b) < 0);
    assert_int_equal(store_row_compare_snippet(&a, &b), 0);
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"a",        "id/vid", "-x",  "a b&(c)",
                                       "\xc3\xbc", "a.b",    "a..b"};
    static const char *const bad[] = {
        "",  "/a",  "a/",     "a//b",       "..",   "a/..", "../a",    "a/../b",
        ".", "./a", ".facet", "a/.facet/b", "a\nb", "\x7f", "\xff\xfe"};
    struct err e = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(store_check_path(good[i], "name", 8, &e), OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(store_check_path(bad[i], "name", 8, &e), ERR_DATA);
    assert_int_equal(store_check_path("a/b", "snippet", 1, &e), ERR_DATA);
    char part[300];
    memset(part, 'x', sizeof part);
    part[256] = 0;
    assert_int_equal(store_check_path(part, "name", 8, &e), ERR_DATA);
    part[255] = 0;
    assert_int_equal(store_check_path(part, "name", 8, &e), OK);
}

static void test_layout(void **state)
{
    (void)state;
    struct store_key k = {"id1/v", "1.mp4", "train", "id1", 3, -1, -1};
    static const struct {
        enum store_layout layout;
        enum store_file file;
        int64_t view;
        const char *want;
    } cases[] = {
        {STORE_PAIRS, STORE_FRAME, -1, "id1/v/1.mp4/frame_3.jpg"},
        {STORE_PAIRS, STORE_POSE, -1, "id1/v/1.mp4/pose_3.jpg"},
        {STORE_VIEWS, STORE_FRAME, 4, "id1/v/1.mp4/frame_3.jpg"},
        {STORE_VIEWS, STORE_GENERATED, 4, "id1/v/1.mp4/view_3_04.jpg"},
        {STORE_IDENTITY, STORE_FRAME, -1, "train/id1/v__1.mp4_3.jpg"},
        {STORE_IDENTITY, STORE_GENERATED, 24, "train/id1/v__1.mp4_3_24.jpg"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        k.view = cases[i].view;
        char *p = store_file_path(cases[i].layout, cases[i].file, &k, "jpg");
        assert_string_equal(p, cases[i].want);
        mem_free(p);
    }
    /* Joined names never meet: a/b__c, a__b/c, a_/_b/c, ... */
    static const char *const names[] = {"a/b__c",  "a__b/c",   "a_/_b/c",
                                        "a/__b/c", "a/_/_b/c", "x/a/b/c"};
    char *seen[6];
    for (size_t i = 0; i < 6; i++) {
        struct store_key n = {names[i], "s", "", "a", 0, -1, -1};
        seen[i] = store_file_path(STORE_IDENTITY, STORE_FRAME, &n, "png");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
    for (size_t i = 0; i < 6; i++)
        mem_free(seen[i]);
    /* ... nor do a view of one and a sample of another: a.jpg 1 12, a.jpg_1 12
     */
    struct store_key view = {"a/b", "a.jpg", "", "a", 1, -1, 12};
    struct store_key sample = {"a/b", "a.jpg_1", "", "a", 12, -1, -1};
    seen[0] = store_file_path(STORE_IDENTITY, STORE_GENERATED, &view, "png");
    seen[1] = store_file_path(STORE_IDENTITY, STORE_FRAME, &sample, "png");
    assert_string_equal(seen[0], "all/a/b__a.jpg_1_12.png");
    assert_string_not_equal(seen[0], seen[1]);
    mem_free(seen[0]);
    mem_free(seen[1]);
    struct err e = {0};
    struct store_key odd = {"id/../..", "s", "", "", 0, -1, -1};
    assert_int_equal(store_check_key(STORE_PAIRS, &odd, &e), ERR_DATA);
    odd.name = "ok";
    odd.snippet = "a/b";
    assert_int_equal(store_check_key(STORE_PAIRS, &odd, &e), ERR_DATA);
    odd.snippet = "b";
    assert_int_equal(store_check_key(STORE_PAIRS, &odd, &e), OK);
    assert_int_equal(store_check_key(STORE_IDENTITY, &odd, &e), ERR_DATA);
    odd.identity = "../x";
    assert_int_equal(store_check_key(STORE_IDENTITY, &odd, &e), ERR_DATA);
}

static void test_write_read(void **state)
{
    (void)state;
    struct store *s;
    struct err e = {0};
    assert_int_equal(store_open(at("s"), STORE_PAIRS, NULL, &s, &e), OK);
    char sum[STORE_SUM];
    enum store_put_how how;
    assert_int_equal(
        store_put(s, "n/b/frame_0.jpg", "xyz", 3, false, sum, &how, &e), OK);
    assert_int_equal(how, STORE_NEW);
    assert_int_equal(strlen(sum), 2 + 32);
    assert_false(store_has(s, "n/b/frame_0.jpg")); /* no row, no file */
    assert_int_equal(store_put(s, "../out", "x", 1, false, sum, &how, &e),
                     ERR_DATA);
    log_ok(s, "n", "b", "1", "2", "no face");
    assert_true(store_has(s, "n/b/frame_0.jpg"));
    assert_false(store_has(s, "n/b"));
    assert_int_equal(
        store_put(s, "n/b/frame_0.jpg", "xyz", 3, false, sum, &how, &e), OK);
    assert_int_equal(how, STORE_SAME);
    log_ok(s, "n", "b", "0", "2", "ok");
    log_ok(s, "n", "a", "", "", "decode error");
    log_ok(s, "n", "c", "0", "1", "ok");
    struct store_totals t;
    assert_int_equal(store_finish(s, &t, &e), OK);
    assert_int_equal(t.snippets, 3);
    assert_int_equal(t.finished, 3);
    assert_int_equal(t.ok, 2);
    assert_int_equal(t.failed, 2);
    struct store_row r = row_of("n", "c", "0", "1", "ok");
    assert_int_equal(store_log(s, &r, &e), ERR_STATE);
    store_close(&s);
    char *index = slurp(at("s/index.csv"));
    assert_true(text_starts(index, "name,snippet,n_frames,set,i,"));
    const char *a = strstr(index, "\nn,a,"),
               *b0 = strstr(index, "\nn,b,2,train,0"),
               *b1 = strstr(index, "\nn,b,2,train,1"),
               *c = strstr(index, "\nn,c,");
    assert_true(a && b0 && b1 && c && a < b0 && b0 < b1 && b1 < c);
    mem_free(index);
    /* The seed's list has complete snippets only. */
    char *meta = slurp(at("s/metadata.csv"));
    assert_string_equal(meta, "name,snippet,n_frames,set\nn,c,1,train\n");
    mem_free(meta);
    struct store_done *d;
    struct store_done_entry en;
    assert_int_equal(store_done_load(at("s"), NULL, &nobody, &d, &e), OK);
    assert_true(store_done_find(d, "n", "b", &en));
    assert_true(en.finished && en.failed && !en.views);
    assert_true(store_done_find(d, "n", "c", &en));
    assert_true(en.finished && !en.failed);
    assert_false(store_done_find(d, "n", "z", &en));
    store_done_free(&d);
    /* Another layout in the same folder is refused. */
    assert_int_equal(store_open(at("s"), STORE_VIEWS, NULL, &s, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "pairs"));
}

/* How a sample's rows fold: success over failure, later over earlier. */
static void test_outcomes(void **state)
{
    (void)state;
    struct store *s;
    struct err e = {0};
    struct store_totals t;
    assert_int_equal(store_open(dir, STORE_PAIRS, NULL, &s, &e), OK);
    log_ok(s, "n", "a", "", "", "decode error"); /* whole snippet */
    log_ok(s, "n", "b", "0", "2", "no face");
    log_ok(s, "n", "b", "1", "2", "ok");
    log_ok(s, "n", "c", "0", "3", "ok"); /* 2 of 3 still to come */
    assert_int_equal(store_finish(s, &t, &e), OK);
    store_close(&s);
    assert_int_equal(t.finished, 2);
    /* A second run: a and b/0 succeed, b/1 seems to fail now. */
    assert_int_equal(store_open(dir, STORE_PAIRS, NULL, &s, &e), OK);
    log_ok(s, "n", "a", "0", "2", "ok");
    log_ok(s, "n", "a", "1", "2", "ok");
    log_ok(s, "n", "b", "0", "2", "ok");
    log_ok(s, "n", "b", "1", "2", "no face");
    log_ok(s, "n", "c", "0", "3", "ok"); /* replays */
    log_ok(s, "n", "c", "0", "3", "ok");
    assert_int_equal(store_finish(s, &t, &e), OK);
    store_close(&s);
    assert_int_equal(t.snippets, 3);
    assert_int_equal(t.finished, 2);
    assert_int_equal(t.ok, 5);
    assert_int_equal(t.failed, 0);
}

static void test_views_fold(void **state)
{
    (void)state;
    struct store *s;
    struct err e = {0};
    struct store_totals t;
    assert_int_equal(store_open(dir, STORE_VIEWS, NULL, &s, &e), OK);
    log_ok(s, "n", "a", "0", "1", "no face"); /* of the sample */
    assert_int_equal(store_finish(s, &t, &e), OK);
    store_close(&s);
    assert_int_equal(t.finished, 1);
    assert_int_equal(store_open(dir, STORE_VIEWS, NULL, &s, &e), OK);
    for (int v = 0; v < 3; v++) {
        char number[8];
        snprintf(number, sizeof number, "%d", v);
        struct store_row r = row_of("n", "a", "0", "1", "ok");
        r.v[COL_VIEW] = number;
        r.v[COL_N_VIEWS] = "3";
        assert_int_equal(store_log(s, &r, &e), OK);
    }
    assert_int_equal(store_finish(s, &t, &e), OK);
    store_close(&s);
    assert_int_equal(t.ok, 3);
    assert_int_equal(t.failed, 0); /* the sample's failure is void */
    struct store_done *d;
    struct store_done_entry en;
    assert_int_equal(store_done_load(dir, NULL, &nobody, &d, &e), OK);
    assert_true(store_done_find(d, "n", "a", &en));
    assert_true(en.finished && en.views && !en.failed);
    store_done_free(&d);
}

static void test_torn_and_damaged(void **state)
{
    (void)state;
    struct store *s;
    struct err e = {0};
    assert_int_equal(store_open(dir, STORE_PAIRS, NULL, &s, &e), OK);
    log_ok(s, "n", "a", "0", "1", "ok");
    log_ok(s, "n", "b", "0", "1", "ok");
    log_ok(s, "n", "c", "0", "1", "ok");
    store_close(&s); /* as a kill would leave it: no finish */
    char *journal = slurp(at(".facet/writer-1/journal.tsv"));
    size_t n = strlen(journal);
    assert_true(n > 100);
    journal[n / 2] ^= 1; /* in b's row */
    FILE *f = fopen(at(".facet/writer-1/journal.tsv"), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(journal, 1, n - 9, f), n - 9); /* c is torn */
    fclose(f);
    mem_free(journal);
    struct store_scan *scan;
    const struct store_group *g;
    assert_int_equal(store_scan_open(dir, &scan, &e), OK);
    assert_int_equal(store_scan_next(scan, &g, &e), OK);
    assert_non_null(g);
    assert_string_equal(g->rows[0].v[COL_SNIPPET], "a");
    assert_int_equal(store_scan_next(scan, &g, &e), OK);
    assert_null(g);
    assert_int_equal(store_scan_damaged(scan), 1);
    store_scan_close(&scan);
    /* Opening again merges it and clears up. */
    assert_int_equal(store_open(dir, STORE_PAIRS, NULL, &s, &e), OK);
    store_close(&s);
    assert_false(file_exists(at(".facet/writer-1")));
    assert_true(file_exists(at("index.csv")));
}

/* The dot folder was left behind when the store was copied. */
static void test_import(void **state)
{
    (void)state;
    struct store *s;
    struct err e = {0};
    struct store_totals t;
    assert_int_equal(store_open(dir, STORE_PAIRS, NULL, &s, &e), OK);
    log_ok(s, "n", "a,\"b\"", "0", "1", "ok");
    log_ok(s, "n", "c", "0", "1", "no face");
    assert_int_equal(store_finish(s, NULL, &e), OK);
    store_close(&s);
    char *before = slurp(at("index.csv"));
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s/.facet'", dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(store_open(dir, STORE_PAIRS, NULL, &s, &e), OK);
    log_ok(s, "n", "c", "0", "1", "no face");
    assert_int_equal(store_finish(s, &t, &e), OK);
    store_close(&s);
    assert_int_equal(t.snippets, 2);
    char *after = slurp(at("index.csv"));
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

/* ---- kills ---- */

#define CLIPS 12
#define SAMPLES 4

/* All samples whose number leaves `part` modulo `parts`; skips nothing, so
 * that every run replays what earlier ones did. */
static int write_all(const char *root, int part, int parts, bool finish)
{
    struct store *s;
    struct err e = {0};
    if (store_open(root, STORE_PAIRS, NULL, &s, &e) != OK) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    for (int k = part; k < CLIPS * SAMPLES; k += parts) {
        char rel[64], data[3000], snippet[16], number[16];
        int clip = k / SAMPLES, i = k % SAMPLES;
        snprintf(snippet, sizeof snippet, "%05d.mp4", clip);
        snprintf(number, sizeof number, "%d", i);
        snprintf(rel, sizeof rel, "id%d/v/%s/frame_%d.jpg", clip % 3, snippet,
                 i);
        memset(data, 'a' + k % 26, sizeof data);
        char sum[STORE_SUM] = "";
        enum store_put_how how;
        if (clip % 5 != 4 &&
            store_put(s, rel, data, sizeof data, false, sum, &how, &e) != OK)
            return 2;
        char name[16];
        snprintf(name, sizeof name, "id%d/v", clip % 3);
        struct store_row r = row_of(name, snippet, number, "4",
                                    clip % 5 == 4 ? "no face" : "ok");
        r.v[COL_FRAME] = clip % 5 == 4 ? "" : rel;
        r.v[COL_FRAME_SUM] = sum;
        if (store_log(s, &r, &e) != OK)
            return 2;
    }
    if (finish && store_finish(s, NULL, &e) != OK)
        return 2;
    store_close(&s);
    return 0;
}

static pid_t spawn(const char *root, int part, int parts)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(write_all(root, part, parts, true));
    return pid;
}

static void assert_same_tree(const char *a, const char *b)
{
    char command[1024];
    snprintf(command, sizeof command, "diff -r -x .facet '%s' '%s' 1>&2", a, b);
    assert_int_equal(system(command), 0);
    /* And nothing half-written or forgotten lies about. */
    snprintf(command, sizeof command,
             "! find '%s' -name '.tmp-*' -o -name 'writer-*' -o "
             "-name 'new-*' | grep . 1>&2",
             b);
    assert_int_equal(system(command), 0);
}

static void test_kill(void **state)
{
    (void)state;
    char whole[300], torn[300], timed[300];
    snprintf(whole, sizeof whole, "%s/whole", dir);
    snprintf(timed, sizeof timed, "%s/timed", dir);
    snprintf(torn, sizeof torn, "%s/torn", dir);
    assert_int_equal(write_all(whole, 0, 1, true), 0);
    struct rng rng;
    rng_seed(&rng, 7);
    int kills = 0, status;
    /* However fast the machine is now, most kills are to come in the middle of
     * a run that finds what it writes, as most do; where they come too late (we
     * sleep longer than we asked for under load), the next ones come sooner. */
    assert_int_equal(write_all(timed, 0, 1, true), 0);
    int64_t span = clock_ns();
    assert_int_equal(waitpid(spawn(timed, 0, 1), &status, 0) > 0, 1);
    assert_int_equal(status, 0);
    span = (clock_ns() - span) / 1000 + 1;
    int64_t most = span;
    for (int round = 0; round < 60 || kills <= 5; round++) {
        int before = kills;
        int parts = 1 + round % 2; /* one writer, then two at once */
        pid_t pid[2];
        for (int p = 0; p < parts; p++)
            pid[p] = spawn(torn, p, parts);
        usleep((useconds_t)rng_below(&rng, (uint64_t)span));
        for (int p = 0; p < parts; p++) {
            if (rng_below(&rng, 4) > 0)
                kill(pid[p], SIGKILL);
            assert_int_equal(waitpid(pid[p], &status, 0), pid[p]);
            kills += WIFSIGNALED(status);
            if (!WIFSIGNALED(status))
                assert_int_equal(WEXITSTATUS(status), 0);
        }
        span = kills > before ? most : span * 7 / 8 + 1;
    }
    assert_int_equal(write_all(torn, 0, 1, true), 0);
    assert_same_tree(whole, torn);
}

static void test_replicas(void **state)
{
    (void)state;
    char whole[300], shared[300];
    snprintf(whole, sizeof whole, "%s/whole", dir);
    snprintf(shared, sizeof shared, "%s/shared", dir);
    assert_int_equal(write_all(whole, 0, 1, true), 0);
    pid_t pid[3];
    for (int p = 0; p < 3; p++)
        pid[p] = spawn(shared, p, 3);
    for (int p = 0; p < 3; p++) {
        int status;
        waitpid(pid[p], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_same_tree(whole, shared);
}

/* A file-size limit stands for the full disk: the row must not appear. */
static void test_disk_full(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct store *s;
        struct err e = {0};
        struct store_totals t;
        if (store_open(dir, STORE_PAIRS, NULL, &s, &e) != OK)
            _exit(10);
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit;
        getrlimit(RLIMIT_FSIZE, &limit);
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = 2000;
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(9);
        static char big[5000];
        char sum[STORE_SUM];
        enum store_put_how how;
        if (store_put(s, "n/a/frame_0.jpg", big, sizeof big, false, sum, &how,
                      &e) != ERR_IO ||
            !strstr(e.text, "n/a/frame_0.jpg") ||
            store_has(s, "n/a/frame_0.jpg"))
            _exit(11);
        enum err_code rc = OK;
        int rows = 0;
        struct store_row r = row_of("n", "a", "0", "9", "ok");
        for (; !rc && rows < 1000; rows += !rc) {
            char i[16];
            snprintf(i, sizeof i, "%d", rows);
            r.v[COL_SAMPLE] = i;
            rc = store_log(s, &r, &e);
        }
        if (rc != ERR_IO || !strstr(e.text, "journal"))
            _exit(12);
        limit.rlim_cur = before;
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(9);
        r.v[COL_SAMPLE] = "8888";
        if (store_log(s, &r, &e) != OK || store_finish(s, &t, &e) != OK)
            _exit(13);
        /* No half row stands between the good ones. */
        _exit(t.ok == (size_t)rows + 1 && t.damaged == 0 ? 0 : 14);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_read_only(void **state)
{
    (void)state;
    struct store *s;
    struct err e = {0};
    FILE *f = fopen(at("file"), "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(store_open(at("file/s"), STORE_PAIRS, NULL, &s, &e),
                     ERR_IO);
    assert_non_null(strstr(e.text, "file"));
    assert_int_equal(store_open("/proc/facet", STORE_PAIRS, NULL, &s, &e),
                     ERR_IO);
    assert_non_null(strstr(e.text, "/proc/facet"));
    assert_int_equal(store_open("", STORE_PAIRS, NULL, &s, &e), ERR_ARG);
}

static void test_bare_tree(void **state)
{
    (void)state;
    struct err e = {0};
    static const char *const files[] = {"id/v/2.mp4/frame_10.jpg",
                                        "id/v/2.mp4/frame_9.jpg",
                                        "id/v/2.mp4/pose_9.png",
                                        "id/v/2.mp4/landmarks_9.csv",
                                        "id/v/1.mp4/frame_0.png",
                                        "id/v/1.mp4/frame_x.png",
                                        "README"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_int_equal(file_write_atomic(at(files[i]), "x", 1, &e), OK);
    const char *meta = "name,snippet,n_frames,set\nid/v,2.mp4,11,test\n";
    assert_int_equal(
        file_write_atomic(at("metadata.csv"), meta, strlen(meta), &e), OK);
    struct store_reader *r;
    const struct store_row *row;
    assert_int_equal(store_reader_open(dir, &r, &e), OK);
    static const char *const want[] = {"0", "9", "10"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_reader_next(r, &row, &e), OK);
        assert_non_null(row);
        assert_string_equal(row->v[COL_SAMPLE], want[i]);
        assert_string_equal(row->v[COL_SET], i ? "test" : "");
        assert_string_equal(row->v[COL_NAME], "id/v");
        if (i == 1)
            assert_string_equal(row->v[COL_POSE], "id/v/2.mp4/pose_9.png");
    }
    assert_int_equal(store_reader_next(r, &row, &e), OK);
    assert_null(row);
    store_reader_close(&r);
    assert_int_equal(store_reader_open(at("id/v/3.mp4"), &r, &e), ERR_NOTFOUND);
    assert_int_equal(file_mkdirs(at("empty"), &e), OK);
    assert_int_equal(store_reader_open(at("empty"), &r, &e), ERR_DATA);
}

/* An index from elsewhere cannot make us read outside the root. */
static void test_hostile_index(void **state)
{
    (void)state;
    struct err e = {0};
    const char *text = "name,snippet,i,status,frame\nn,s,0,ok,../../etc/x\n";
    assert_int_equal(file_write_atomic(at("index.csv"), text, strlen(text), &e),
                     OK);
    struct store_reader *r;
    const struct store_row *row;
    assert_int_equal(store_reader_open(dir, &r, &e), OK);
    assert_int_equal(store_reader_next(r, &row, &e), ERR_DATA);
    store_reader_close(&r);
}

static void test_landmark_file(void **state)
{
    (void)state;
    struct err e = {0};
    struct tensor *p, *s;
    struct buf b;
    buf_init(&b, 1 << 16);
    assert_int_equal(buf_puts(&b, "x,y,z,score\n", &e), OK);
    for (int i = 0; i < 68; i++)
        assert_int_equal(buf_printf(&b, &e, "%d.5,-%d,0,0.25\n", i, i), OK);
    assert_int_equal(file_write_atomic(at("l.csv"), b.data, b.len, &e), OK);
    assert_int_equal(store_read_landmarks(at("l.csv"), &p, &s, &e), OK);
    assert_true(tensor_f32(p)[3 * 67] == 67.5f && tensor_f32(s)[0] == 0.25f);
    tensor_free(&p);
    tensor_free(&s);
    assert_int_equal(file_write_atomic(at("l.csv"), b.data, b.len - 30, &e),
                     OK);
    assert_int_equal(store_read_landmarks(at("l.csv"), &p, &s, &e), ERR_DATA);
    assert_int_equal(file_write_atomic(at("l.csv"), "x,y,z\n1,nan,3\n", 14, &e),
                     OK);
    assert_int_equal(store_read_landmarks(at("l.csv"), &p, &s, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "line 2"));
    buf_free(&b);
}

static enum err_code whole_life(const char *root, struct err *e)
{
    struct store *s;
    enum err_code rc = store_open(root, STORE_IDENTITY, NULL, &s, e);
    if (rc)
        return rc;
    struct store_row r = row_of("n/v", "a", "0", "1", "ok");
    r.v[COL_IDENTITY] = "n";
    r.v[COL_FRAME] = "train/n/v__a_0.jpg";
    char sum[STORE_SUM];
    enum store_put_how how;
    rc = store_put(s, r.v[COL_FRAME], "x", 1, false, sum, &how, e);
    if (!rc)
        rc = store_log(s, &r, e);
    if (!rc)
        rc = store_finish(s, NULL, e);
    store_close(&s);
    struct store_done *d = NULL;
    if (!rc)
        rc = store_done_load(root, NULL, &nobody, &d, e);
    store_done_free(&d);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(whole_life(at("ref"), &e), OK);
    char *want = slurp(at("ref/index.csv"));
    int64_t live = mem_live();
    int failures = 0;
    for (uint64_t n = 1;; n++) {
        mem_fail_nth(n);
        enum err_code rc = whole_life(at("s"), &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        if (!hit) {
            assert_int_equal(rc, OK);
            break;
        }
        failures += rc != OK;
        assert_int_equal(mem_live(), live);
        assert_true(n < 2000);
    }
    assert_true(failures > 10);
    char *got = slurp(at("s/index.csv"));
    assert_string_equal(got, want);
    mem_free(got);
    mem_free(want);
    char *meta = slurp(at("s/train/metadata.csv"));
    assert_non_null(strstr(meta, "\nn/v__a_0.jpg,n,false,n/v,a,0,"));
    mem_free(meta);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_round_trip),
        cmocka_unit_test(test_row_too_long),
        cmocka_unit_test(test_row_order),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_layout),
        T(test_write_read),
        T(test_outcomes),
        T(test_views_fold),
        T(test_torn_and_damaged),
        T(test_import),
        T(test_kill),
        T(test_replicas),
        T(test_disk_full),
        T(test_read_only),
        T(test_bare_tree),
        T(test_hostile_index),
        T(test_landmark_file),
        T(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
