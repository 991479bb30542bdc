/* Cores by affinity mask and by the quota of control groups. */
#include "lib/base/cores.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define FILE_MAX ((size_t)1 << 20)
#define MOST_CPUS ((size_t)65536)

int cores_masked(void)
{
    /* The kernel refuses a mask smaller than its own. */
    for (size_t cpus = 1024; cpus <= MOST_CPUS; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        size_t size = CPU_ALLOC_SIZE(cpus);
        int n = 0;
        if (set && sched_getaffinity(0, size, set) == 0)
            n = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (n > 0)
            return n;
    }
    return 1;
}

/* The text of a small file, new memory; NULL if it cannot be read. */
static char *text_of(const char *path)
{
    struct buf b;
    char *out = NULL;
    if (file_read(path, FILE_MAX, &b, NULL) == OK) {
        out = mem_strndup((const char *)b.data, b.len);
        buf_free(&b);
    }
    return out;
}

/* "quota period", both > 0: cores; else 0 ("max 100000", "-1", damage). */
static double ratio(const char *quota, const char *period)
{
    double q, p;
    if (!text_to_f64(quota, &q) || !text_to_f64(period, &p) || !(q > 0) ||
        !(p > 0))
        return 0;
    return q / p;
}

/* The first word of s, cut off at white space; *rest: what follows. */
static char *word(char *s, char **rest)
{
    s += strspn(s, " \t\n");
    size_t n = strcspn(s, " \t\n");
    *rest = s + n + (s[n] != 0);
    s[n] = 0;
    return s;
}

/* The quota of one group: its folder's cpu.max (version 2), or
 * cpu.cfs_quota_us and cpu.cfs_period_us (version 1). 0: none. */
static double quota_of(const char *group)
{
    char *max = mem_printf("%s/cpu.max", group);
    char *quota = mem_printf("%s/cpu.cfs_quota_us", group);
    char *period = mem_printf("%s/cpu.cfs_period_us", group);
    char *a = max ? text_of(max) : NULL, *b = NULL, *rest = NULL;
    double out = 0;
    if (a) {
        char *q = word(a, &rest);
        out = ratio(q, word(rest, &rest));
    } else if (quota && period) {
        a = text_of(quota);
        b = text_of(period);
        if (a && b)
            out = ratio(word(a, &rest), word(b, &rest));
    }
    mem_free(a);
    mem_free(b);
    mem_free(max);
    mem_free(quota);
    mem_free(period);
    return out;
}

static double smaller(double a, double b)
{
    return a > 0 && (b <= 0 || a < b) ? a : b;
}

/* The smallest quota of a group and all that it is in. A container may see
 * another path than its mount shows: what is not there is passed over. */
static double quota_upwards(const char *mount, const char *path)
{
    char *group = mem_printf("%s%s", mount, path);
    size_t least = strlen(mount);
    double out = 0;
    while (group && strlen(group) >= least) {
        out = smaller(quota_of(group), out);
        char *slash = strrchr(group, '/');
        if (!slash)
            break;
        *slash = 0;
    }
    mem_free(group);
    return out;
}

static bool has_cpu(const char *controllers)
{
    for (const char *p = controllers; *p; p += strcspn(p, ",")) {
        p += *p == ',';
        if (strcspn(p, ",") == 3 && strncmp(p, "cpu", 3) == 0)
            return true;
    }
    return false;
}

double cores_quota(const char *root)
{
    static const char *const mounts[] = {"", "/unified", "/cpu", "/cpu,cpuacct",
                                         "/cpuacct,cpu"};
    char *name = mem_printf("%s/proc/self/cgroup", root);
    char *groups = name ? text_of(name) : NULL;
    double out = 0;
    /* Lines "7:cpu,cpuacct:/path" (version 1), "0::/path" (version 2). */
    for (char *p = groups, *next; p && *p; p = next) {
        size_t n = strcspn(p, "\n");
        next = p + n + (p[n] != 0);
        p[n] = 0;
        char *names = strchr(p, ':');
        char *path = names ? strchr(names + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        bool unified = names[1] == 0;
        if (!unified && !has_cpu(names + 1))
            continue;
        for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
            char *mount = mem_printf("%s/sys/fs/cgroup%s", root, mounts[i]);
            if (mount && unified == (i < 2))
                out = smaller(quota_upwards(mount, path), out);
            mem_free(mount);
        }
    }
    mem_free(groups);
    mem_free(name);
    return out;
}

int cores_usable(const char *root)
{
    int n = cores_masked();
    double quota = cores_quota(root);
    if (quota <= 0 || quota > n - 1)
        return n;
    int whole = (int)quota;
    return whole + (quota > whole);
}
