/* lib/base/cores: affinity masks and the quotas of control groups, from made
 * folders. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/cores.h"
#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static char dir[64];
static int made;

/* A new root; put files below it with put(). */
static char *new_root(void)
{
    char *root = mem_printf("%s/r%d", dir, made++);
    struct err e;
    assert_int_equal(file_mkdirs(root, &e), OK);
    return root;
}

static void put(const char *root, const char *path, const char *text)
{
    struct err e;
    char *full = path_join(root, path);
    assert_int_equal(file_write_atomic(full, text, strlen(text), &e), OK);
    mem_free(full);
}

static void quota_is(const char *root, double want)
{
    double got = cores_quota(root);
    if (got < want - 1e-9 || got > want + 1e-9)
        fail_msg("quota %g, not %g", got, want);
}

static void no_groups(void **state)
{
    (void)state;
    char *root = new_root();
    quota_is(root, 0);
    put(root, "proc/self/cgroup", "garbage\n::\n0:\n");
    quota_is(root, 0);
    assert_true(cores_usable(root) >= 1);
    mem_free(root);
}

static void version_2(void **state)
{
    (void)state;
    char *root = new_root();
    put(root, "proc/self/cgroup", "0::/user.slice/job\n");
    quota_is(root, 0);
    put(root, "sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
    quota_is(root, 0);
    put(root, "sys/fs/cgroup/user.slice/job/cpu.max", "250000 100000\n");
    quota_is(root, 2.5);
    /* What stands above counts as well, whichever is less. */
    put(root, "sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
    quota_is(root, 0.5);
    assert_int_equal(cores_usable(root), 1);
    put(root, "sys/fs/cgroup/user.slice/cpu.max", "900000 100000\n");
    quota_is(root, 2.5);
    put(root, "sys/fs/cgroup/user.slice/job/cpu.max", "x 100000\n");
    quota_is(root, 9);
    put(root, "sys/fs/cgroup/user.slice/cpu.max", "100000 0\n");
    quota_is(root, 0);
    put(root, "sys/fs/cgroup/user.slice/cpu.max", "");
    quota_is(root, 0);
    mem_free(root);
}

/* A container sees its own group as the mount's root, under whatever path. */
static void container(void **state)
{
    (void)state;
    char *root = new_root();
    put(root, "proc/self/cgroup", "0::/docker/0123abc\n");
    put(root, "sys/fs/cgroup/cpu.max", "150000 100000\n");
    quota_is(root, 1.5);
    put(root, "proc/self/cgroup", "0::/\n");
    quota_is(root, 1.5);
    mem_free(root);
}

static void version_1(void **state)
{
    (void)state;
    char *root = new_root();
    put(root, "proc/self/cgroup",
        "5:cpuset:/a\n4:cpuacct,cpu:/a/b\n3:memory:/a\n0::/\n");
    put(root, "sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us", "10000\n");
    put(root, "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    put(root, "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    quota_is(root, 0);
    put(root, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "320000\n");
    put(root, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "80000\n");
    quota_is(root, 4);
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    quota_is(root, 0.5);
    mem_free(root);
}

static void mask(void **state)
{
    (void)state;
    cpu_set_t old, one;
    char *root = new_root();
    assert_int_equal(sched_getaffinity(0, sizeof old, &old), 0);
    int all = CPU_COUNT(&old);
    size_t first = 0;
    assert_int_equal(cores_usable(root), all);
    while (!CPU_ISSET(first, &old))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(cores_usable(root), 1);
    assert_int_equal(sched_setaffinity(0, sizeof old, &old), 0);
    /* A quota above the mask is none; one below is rounded up. */
    put(root, "proc/self/cgroup", "0::/\n");
    put(root, "sys/fs/cgroup/cpu.max", "99999900000 100000\n");
    assert_int_equal(cores_usable(root), all);
    put(root, "sys/fs/cgroup/cpu.max", "110000 100000\n");
    assert_int_equal(cores_usable(root), all < 2 ? all : 2);
    mem_free(root);
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/facet-cores-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char *line = mem_printf("rm -rf '%s'", dir);
    int rc = system(line);
    mem_free(line);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_groups), cmocka_unit_test(version_2),
        cmocka_unit_test(container), cmocka_unit_test(version_1),
        cmocka_unit_test(mask),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
