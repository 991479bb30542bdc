/* Around a run: progress texts, control messages, the run's folder, dead
 * letters, the plan of processes, starting and ending them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/tape.h"
#include "lib/flow/control.h"
#include "lib/flow/dead.h"
#include "lib/flow/launcher.h"
#include "lib/flow/progress.h"
#include "lib/flow/rundir.h"
#include "lib/flow/supervisor.h"

#define S ((int64_t)1000000000)

static char dir[] = "/tmp/facet-test-XXXXXX";

static void test_progress_texts(void **state)
{
    struct progress p;
    char text[200];
    (void)state;
    progress_init(&p, 0);
    progress_update(&p, 0, 0, 0, -1, 0);
    assert_string_equal(progress_line(&p, text, sizeof text), "0 done");
    progress_update(&p, S, 50, 50, 1000, 0);
    assert_string_equal(progress_line(&p, text, sizeof text),
                        "50/1000  5 %  50.0/s  0:19 left");
    progress_update(&p, 2 * S, 500, 500, 1000, 3);
    assert_string_equal(progress_line(&p, text, sizeof text),
                        "500/1000  50 %  250/s  0:02 left  3 failed");
    assert_string_equal(
        progress_bar(&p, 64, text, sizeof text),
        "[=========>        ] 500/1000  50 %  250/s  0:02 left  3 failed");
    for (int w = 1; w < 120; w++)
        assert_true(strlen(progress_bar(&p, w, text, sizeof text)) <=
                    (size_t)(w > 1 ? w - 1 : 1));
    /* The rate is that of the last seconds, not of the whole run. */
    for (int64_t k = 3; k <= 60; k++)
        progress_update(&p, k * S, 500 + (k - 2), 500 + (k - 2), 1000, 0);
    assert_in_range((int)(progress_rate(&p) * 100), 99, 101);
    assert_in_range((int)progress_left_s(&p), 430, 450);
    for (int64_t k = 61; k <= 100; k++) /* nothing for 40 s */
        progress_update(&p, k * S, 558, 558, 1000, 0);
    assert_in_range((int)(progress_rate(&p) * 100), 557, 559);
    progress_update(&p, 101 * S, 1000, 1000, 1000, 0);
    assert_int_equal((int)progress_left_s(&p), 0);
    /* Three pictures of 25 views each: the views tell, and soon how many there
     * will be; never a share that is not known. */
    progress_init(&p, 0);
    progress_update(&p, 10 * S, 0, 20, 3, 0);
    assert_string_equal(progress_line(&p, text, sizeof text),
                        "0/3  20 out  2.00/s");
    progress_update(&p, 12 * S, 1, 26, 3, 0);
    assert_string_equal(progress_line(&p, text, sizeof text),
                        "1/3  ~33 %  26 out  2.17/s  0:24 left");
    progress_update(&p, 20 * S, 1, 39, 3, 0);
    assert_string_equal(progress_line(&p, text, sizeof text),
                        "1/3  ~50 %  39 out  1.95/s  0:20 left");
    progress_update(&p, 60 * S, 1, 100, 3, 0); /* more than thought */
    assert_non_null(strstr(progress_line(&p, text, sizeof text), "~99 %"));
    progress_update(&p, 70 * S, 3, 120, 3, 0);
    assert_non_null(strstr(progress_line(&p, text, sizeof text), "3/3  100 %"));
    progress_init(&p, 0);
    progress_update(&p, S, 0, 0, 0, 0);
    assert_string_equal(progress_line(&p, text, sizeof text), "nothing to do");
    assert_string_equal(progress_bar(&p, 80, text, sizeof text),
                        "nothing to do");
    assert_string_equal(progress_time(7.4, text, sizeof text), "0:07");
    assert_string_equal(progress_time(760, text, sizeof text), "12:40");
    assert_string_equal(progress_time(11109, text, sizeof text), "3:05:09");
}

static void test_table(void **state)
{
    const struct progress_row rows[] = {
        {"source", 1, true, false, 0, 10, 0, 0},
        {"a-stage", 2, false, false, 10, 20, 1, 2 * S},
        {"sink", 1, false, true, 20, 0, 0, S / 2}};
    struct buf b;
    struct err e;
    (void)state;
    buf_init(&b, 10000);
    assert_int_equal(progress_table(rows, 3, 2 * S, 0, &b, &e), OK);
    assert_string_equal(buf_str(&b),
                        "stage    replicas  in  out  failed    rate  busy\n"
                        "source          1   -   10       0  5.00/s   0 %\n"
                        "a-stage         2  10   20       1  5.00/s  50 %\n"
                        "sink            1  20    -       0  10.0/s  25 %\n");
    buf_free(&b);
    const struct progress_row wide[] = {{"a-stage-of-twenty-two", 12, false,
                                         false, 1234567, 12345678, 1234, S}};
    for (int columns = 50; columns < 90; columns++) {
        buf_init(&b, 10000);
        assert_int_equal(progress_table(wide, 1, S, columns, &b, &e), OK);
        const char *line = buf_str(&b), *end;
        for (; (end = strchr(line, '\n')); line = end + 1)
            assert_in_range(end - line, 40, columns < 60 ? 60 : columns);
        buf_free(&b);
    }
    buf_init(&b, 10000);
    assert_int_equal(progress_table(wide, 1, S, 60, &b, &e), OK);
    assert_string_equal(
        buf_str(&b),
        "stage          n       in       out  failed       rate  busy\n"
        "a-stage-of-t  12  1234567  12345678    1234  1234567/s   8 %\n");
    buf_free(&b);
}

static void test_neighbour_lines(void **state)
{
    static const char *const bad[] = {
        "out 0 in 1 2", "out x in 1 2 e", "out 0 in -1 2 e",
        "out 0 in 1 99999999999 e", "out -1 in 1 2 e"};
    struct control_peer p;
    struct err e = {0};
    (void)state;
    const char *text = "out 3 in 7 2 ipc:///with a blank/p7\nb 4 c 8 1 x\n";
    assert_true(control_down_next(&text, &p, &e));
    assert_string_equal(p.out_port, "out");
    assert_string_equal(p.to_port, "in");
    assert_int_equal(p.edge, 3);
    assert_int_equal(p.index, 7);
    assert_int_equal(p.epoch, 2);
    assert_string_equal(p.endpoint, "ipc:///with a blank/p7");
    assert_true(control_down_next(&text, &p, &e));
    assert_int_equal(p.index, 8);
    assert_false(control_down_next(&text, &p, &e));
    assert_int_equal(e.code, OK);
    text = "4 1\n5 2\nx\n";
    assert_true(control_up_next(&text, &p, &e));
    assert_int_equal(p.index, 4);
    assert_true(control_up_next(&text, &p, &e));
    assert_int_equal(p.epoch, 2);
    assert_false(control_up_next(&text, &p, &e));
    assert_int_equal(e.code, ERR_DATA);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e = (struct err){0};
        text = bad[i];
        assert_false(control_down_next(&text, &p, &e));
        assert_int_equal(e.code, ERR_DATA);
    }
    char line[2000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = 0;
    text = line;
    assert_false(control_down_next(&text, &p, &e));
    assert_int_equal(e.code, ERR_DATA);
}

static void test_environment_and_endpoint(void **state)
{
    const struct control_env c = {
        "ipc:///x/c", "/x", "key", "points", 4, 1, 2, 9};
    struct control_env back;
    struct err e;
    char *env[CONTROL_ENV], at[LINK_MAX_ENDPOINT + 8], longer[200];
    (void)state;
    unsetenv("FACET_CONTROL");
    assert_int_equal(control_env_read(&back, &e), ERR_ARG);
    assert_int_equal(control_env_write(&c, env, &e), OK);
    for (int i = 0; i < CONTROL_ENV; i++) {
        char *eq = strchr(env[i], '=');
        *eq = 0;
        setenv(env[i], eq + 1, 1);
        mem_free(env[i]);
    }
    assert_int_equal(control_env_read(&back, &e), OK);
    assert_string_equal(back.control, c.control);
    assert_string_equal(back.instance, "points");
    assert_int_equal(back.index, 4);
    assert_int_equal(back.replica, 1);
    assert_int_equal(back.threads, 2);
    assert_int_equal(back.epoch, 9);
    setenv("FACET_INDEX", "-3", 1);
    assert_int_equal(control_env_read(&back, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "FACET_INDEX"));
    assert_int_equal(
        control_endpoint("/run/user/1000/facet-abcdef", 12, 3, at, &e), OK);
    assert_string_equal(at, "ipc:///run/user/1000/facet-abcdef/p12.3");
    memset(longer, 'd', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(control_endpoint(longer, 1, 1, at, &e), ERR_ARG);
}

static void test_stats_travel(void **state)
{
    const struct control_stats s = {1, 2, 3, 4, 5, -1, 7, 8};
    struct err e;
    (void)state;
    struct item *it = control_new("stats", 3, &e);
    assert_string_equal(it->kind, "stats");
    assert_int_equal(control_stats_put(it, &s, &e), OK);
    struct control_stats b = control_stats_get(it);
    assert_memory_equal(&s, &b, sizeof s);
    item_free(&it);
}

static struct item *failed_item(void)
{
    struct err e;
    struct item *it = item_new(&e);
    it->id = item_make_id(&it->parent, "s", "out", 1, NULL);
    assert_int_equal(item_set_str(it, "name", "a\nb", &e), OK);
    assert_int_equal(item_set_str(it, "error_code", "data", &e), OK);
    assert_int_equal(item_set_str(it, "error_text", "no good", &e), OK);
    return it;
}

static void test_dead_letters(void **state)
{
    struct err e = {0};
    struct buf b;
    char dead[64], path[200], hex[33], why[200];
    (void)state;
    snprintf(dead, sizeof dead, "%s/dead", dir);
    struct item *it = failed_item(), *back = NULL;
    item_id_hex(&it->id, hex);
    assert_false(dead_any(dead, "work"));
    assert_int_equal(dead_write(dead, "work", it, &e), OK);
    assert_int_equal(dead_write(dead, "work", it, &e), OK); /* replaced */
    assert_true(dead_any(dead, "work"));
    snprintf(path, sizeof path, "%s/work/%s.tape", dead, hex);
    struct tape *t = tape_open_read(path, &e);
    assert_non_null(t);
    assert_int_equal(tape_next(t, &back, &e), OK);
    assert_true(item_equal(it, back, 0, true, why, sizeof why));
    assert_int_equal(tape_close(&t, &e), OK);
    item_free(&back);
    snprintf(path, sizeof path, "%s/work/%s.txt", dead, hex);
    assert_int_equal(file_read(path, 10000, &b, &e), OK);
    assert_non_null(strstr((char *)b.data, "error_text: no good\n"));
    assert_non_null(strstr((char *)b.data, "name: a?b\n"));
    buf_free(&b);
    dead_clear(dead, "work", &it->id);
    assert_false(file_exists(path));
    dead_clear(dead, "work", &it->id); /* no harm */
    /* A store that cannot be. */
    assert_int_equal(dead_write("/dev/null/x", "work", it, &e), ERR_IO);
    assert_non_null(strstr(e.text, "cannot set a failed item aside"));
    for (uint64_t n = 1;; n++) {
        int64_t before = mem_live();
        mem_fail_nth(n);
        enum err_code rc = dead_write(dead, "work", it, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(mem_live(), before);
        if (!hit)
            break;
        assert_int_equal(rc, ERR_NOMEM);
        assert_true(n < 200);
    }
    item_free(&it);
}

/* Where else it goes: $TMPDIR, /tmp; a name too long for sockets. */
static void run_folder_elsewhere(void)
{
    struct rundir a = {.lock_fd = -1};
    struct err e = {0};
    char path[400], where[300];
    const char *old = getenv("TMPDIR");
    char *kept = old ? mem_strdup(old) : NULL;
    setenv("XDG_RUNTIME_DIR", "/no/such/folder", 1);
    unsetenv("TMPDIR");
    assert_int_equal(rundir_new(&a, &e), OK);
    assert_int_equal(strncmp(a.path, "/tmp/facet-", 11), 0);
    assert_string_equal(a.path, a.real);
    rundir_free(&a);
    setenv("TMPDIR", dir, 1);
    assert_int_equal(rundir_new(&a, &e), OK);
    assert_int_equal(strncmp(a.path, dir, strlen(dir)), 0);
    rundir_free(&a);
    snprintf(where, sizeof where, "%s/%0200d", dir, 0);
    assert_int_equal(mkdir(where, 0700), 0);
    setenv("TMPDIR", where, 1);
    assert_int_equal(rundir_new(&a, &e), OK);
    assert_int_equal(strncmp(a.real, where, strlen(where)), 0);
    assert_int_equal(strncmp(a.path, "/proc/", 6), 0);
    snprintf(path, sizeof path, "%s/x", a.path);
    assert_int_equal(file_write_atomic(path, "1", 1, &e), OK);
    snprintf(path, sizeof path, "%s/x", a.real);
    assert_true(file_exists(path));
    snprintf(path, sizeof path, "%s", a.real);
    rundir_free(&a);
    assert_false(file_is_dir(path));
    assert_int_equal(rmdir(where), 0);
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    mem_free(kept);
}

/* A folder in ours with a file, and a lock with this text; its descriptor. */
static int make_folder(const char *name, const char *lock, bool old)
{
    const struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
    struct err e = {0};
    char path[300];
    int fd = -1;
    snprintf(path, sizeof path, "%s/%s/p3.1", dir, name);
    assert_int_equal(file_write_atomic(path, "1", 1, &e), OK);
    snprintf(path, sizeof path, "%s/%s/lock", dir, name);
    if (lock) {
        assert_int_equal(file_write_atomic(path, lock, strlen(lock), &e), OK);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
    }
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (old)
        assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    return fd;
}

static bool folder_has(const char *name, const char *file)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s/%s", dir, name, file);
    return file_exists(path);
}

/* Runners that start and sweep at once do not disturb each other. In memory:
 * a disk may take long for each. */
static void test_run_folders_at_once(void **state)
{
    pid_t pid[3];
    bool shm = access("/dev/shm", W_OK | X_OK) == 0;
    char base[] = "/dev/shm/facet-run-XXXXXX";
    int rounds = shm ? 300 : 10;
    (void)state;
    const char *where = shm ? mkdtemp(base) : dir;
    assert_non_null(where);
    setenv("XDG_RUNTIME_DIR", where, 1);
    for (size_t i = 0; i < 3; i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        for (int k = 0; pid[i] == 0 && k < rounds; k++) {
            struct rundir d = {.lock_fd = -1};
            struct err e = {0};
            char path[200];
            if (rundir_new(&d, &e))
                _exit(1);
            snprintf(path, sizeof path, "%s/lock", d.path);
            if (strncmp(d.path, where, strlen(where)) != 0 ||
                !file_exists(path))
                _exit(2);
            rundir_free(&d);
        }
        if (pid[i] == 0)
            _exit(0);
    }
    for (size_t i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(shm ? rmdir(base) : 0, 0);
}

static void test_run_folder(void **state)
{
    struct rundir a = {.lock_fd = -1}, b = {.lock_fd = -1};
    struct err e = {0};
    struct stat st;
    char path[200];
    (void)state;
    setenv("XDG_RUNTIME_DIR", dir, 1);
    assert_int_equal(rundir_new(&a, &e), OK);
    assert_int_equal(strncmp(a.path, dir, strlen(dir)), 0);
    assert_int_equal(stat(a.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    /* One that lives stays; one whose runner died goes. */
    close(make_folder("facet-dead00", "facet run\n", false));
    /* One that is being made just now stays, and so does what only has such a
     * name, however old it is, also with an empty file called lock. */
    make_folder("facet-young0", NULL, false);
    make_folder("facet-photos", NULL, true);
    close(make_folder("facet-safes0", "", true));
    /* The lock of one that lives may be of either kind. */
    int held = make_folder("facet-ofdfd0", "facet run\n", true);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(held, F_OFD_SETLK, &l), 0);
    assert_int_equal(rundir_new(&b, &e), OK);
    assert_true(file_is_dir(a.path));
    assert_false(folder_has("facet-dead00", ""));
    assert_true(folder_has("facet-young0", "p3.1"));
    assert_true(folder_has("facet-photos", "p3.1"));
    assert_true(folder_has("facet-safes0", "p3.1"));
    assert_true(folder_has("facet-safes0", "lock"));
    assert_true(folder_has("facet-ofdfd0", "p3.1"));
    close(held);
    /* ... and ours is seen by those that know only the other kind. */
    snprintf(path, sizeof path, "%s/lock", a.path);
    held = open(path, O_RDWR | O_CLOEXEC);
    assert_true(held >= 0);
    assert_int_equal(fcntl(held, F_OFD_SETLK, &l), -1);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), -1);
    close(held);
    snprintf(path, sizeof path, "%s", a.path);
    rundir_free(&a);
    assert_false(file_is_dir(path));
    rundir_free(&b);
    rundir_free(&b);
    run_folder_elsewhere();
}

static void test_plan(void **state)
{
    char source[] = "source", transform[] = "transform", sink[] = "sink";
    struct stage_info so = {.kind = source}, tr = {.kind = transform},
                      si = {.kind = sink};
    struct pipe_stage st[] = {{.info = &so, .replicas = 0},
                              {.info = &tr, .replicas = 0},
                              {.info = &tr, .replicas = 0, .threads = 3},
                              {.info = &tr, .replicas = 2},
                              {.info = &si, .replicas = 1}};
    struct pipeline p = {.stages = st, .n_stages = 5};
    const int want[][2] = {{1, 8}, {4, 2}, {4, 3}, {2, 4}, {1, 8}};
    int r, t;
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        supervisor_plan(&p, i, 8, &r, &t);
        assert_int_equal(r, want[i][0]);
        assert_int_equal(t, want[i][1]);
    }
    supervisor_plan(&p, 1, 1, &r, &t);
    assert_int_equal(r, 1);
    assert_int_equal(t, 1);
    assert_true(supervisor_cores() >= 1);
}

static struct exit_info wait_for(pid_t pid)
{
    struct exit_info x = {0};
    for (int i = 0; i < 600000 && x.pid != pid; i++)
        if (!launcher_local.ended(&x))
            usleep(1000);
    assert_int_equal(x.pid, pid);
    return x;
}

static struct launched start(const char *script)
{
    char sh[] = "sh", c[] = "-c", copy[300];
    const char *const env[] = {"FACET_TEST=a b", NULL};
    struct launched l = {0};
    struct err e = {0};
    snprintf(copy, sizeof copy, "%s", script);
    char *argv[] = {sh, c, copy, NULL};
    const struct launch_spec spec = {argv, env};
    if (launcher_local.start(&spec, &l, &e))
        fail_msg("%s", e.text);
    return l;
}

static void test_launcher(void **state)
{
    char text[200] = "", none[] = "/no/such/program";
    struct err e;
    struct launched l = {0};
    (void)state;
    char *argv[] = {none, NULL};
    const struct launch_spec spec = {argv, NULL};
    assert_int_equal(launcher_local.start(&spec, &l, &e), ERR_IO);
    assert_non_null(strstr(e.text, "/no/such/program"));
    assert_non_null(strstr(e.text, "No such file"));

    setenv("FACET_TEST", "old", 1);
    l = start("echo \"$FACET_TEST\"; cat; exit 3");
    struct exit_info x = wait_for(l.pid);
    assert_int_equal(x.status, 3);
    assert_int_equal(read(l.log_fd, text, sizeof text - 1), 4);
    assert_string_equal(text, "a b\n");
    close(l.log_fd);
    assert_string_equal(launcher_describe_exit(&x, text, sizeof text),
                        "exited with status 3");
    /* kill takes what it started along: the pipe is closed by all. */
    l = start("sleep 100 & echo on; wait");
    struct pollfd p = {.fd = l.log_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 600000), 1);
    assert_int_equal(read(l.log_fd, text, sizeof text), 3);
    launcher_local.kill(l.pid);
    x = wait_for(l.pid);
    assert_int_equal(x.signal, SIGKILL);
    assert_int_equal(poll(&p, 1, 600000), 1);
    assert_int_equal(read(l.log_fd, text, sizeof text), 0);
    close(l.log_fd);
    assert_non_null(strstr(launcher_describe_exit(&x, text, sizeof text),
                           "killed by signal 9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress_texts),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_neighbour_lines),
        cmocka_unit_test(test_environment_and_endpoint),
        cmocka_unit_test(test_stats_travel),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_run_folder),
        cmocka_unit_test(test_run_folders_at_once),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_launcher),
    };
    if (!mkdtemp(dir))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) ? 1 : rc;
}
