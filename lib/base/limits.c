/* Limits on open files and on memory. */
#include "lib/base/limits.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/base/text.h"

#define USUAL_FILES 1024 /* what most systems allow unasked */
#define MIB ((uint64_t)1 << 20)
/* A program with its libraries; a thread of OpenBLAS 0.3 with its buffer and
 * stack. Seen: 2 threads wait for ever at 195 MiB and work at 254. */
#define PROGRAM_MIB 120
#define THREAD_MIB 136

enum err_code limits_open_files(size_t need, struct err *e)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return err_errno(e, ERR_IO, errno, "no limit of open files to be had");
    rlim_t want = need > USUAL_FILES ? need : USUAL_FILES;
    if (r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= want)
        return OK;
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < need)
        return err_set(e, ERR_IO,
                       "%zu files have to be open at a time, and the limit is "
                       "%llu: raise it (ulimit -n %zu), or run fewer replicas",
                       need, (unsigned long long)r.rlim_max, need);
    r.rlim_cur =
        r.rlim_max == RLIM_INFINITY || r.rlim_max > want ? want : r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        return err_errno(e, ERR_IO, errno,
                         "cannot raise the limit of open files to %zu", need);
    return OK;
}

/* As OpenBLAS counts. */
static int blas_threads(int cores)
{
    static const char *const names[] = {"OPENBLAS_NUM_THREADS",
                                        "GOTO_NUM_THREADS", "OMP_NUM_THREADS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *s = getenv(names[i]);
        int64_t n;
        if (s && text_to_i64(s, &n) && n >= 1)
            return n < cores ? (int)n : cores;
    }
    return cores;
}

enum err_code limits_memory(int cores, struct err *e)
{
    struct rlimit r;
    int n = blas_threads(cores);
    uint64_t need = PROGRAM_MIB + (uint64_t)n * THREAD_MIB;
    if (getrlimit(RLIMIT_AS, &r) != 0 || r.rlim_cur == RLIM_INFINITY ||
        r.rlim_cur / MIB >= need)
        return OK;
    return err_set(e, ERR_NOMEM,
                   "the limit on memory is %llu MiB, and %llu are needed to "
                   "start (%d threads of OpenBLAS): raise it (ulimit -v "
                   "%llu)%s",
                   (unsigned long long)(r.rlim_cur / MIB),
                   (unsigned long long)need, n,
                   (unsigned long long)(need * 1024),
                   n > 1 ? " or set OPENBLAS_NUM_THREADS=1" : "");
}
