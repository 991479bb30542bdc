/* What the system lets this process have (setrlimit), checked before something
 * deep inside fails for it. */
#ifndef FACET_BASE_LIMITS_H
#define FACET_BASE_LIMITS_H

#include <stddef.h>

#include "lib/base/err.h"

/* See that `need` files can be open at a time: the soft limit is raised to that
 * and to 1024, as far as the hard one lets. ERR_IO says how many there may be.
 * Processes started later inherit the limit. Test: tests/sh/80-fault-17. */
enum err_code limits_open_files(size_t need, struct err *e) MUST_USE;

/* Does a limit on memory (ulimit -v) leave what OpenBLAS takes for its threads
 * before main? With less it waits for ever, when a process is started or at
 * exit: leave with _exit then. `cores`: how many threads it has if no variable
 * says otherwise. ERR_NOMEM. */
enum err_code limits_memory(int cores, struct err *e) MUST_USE;

#endif
