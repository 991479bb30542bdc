/* Monotonic time. */
#ifndef FACET_BASE_CLOCK_H
#define FACET_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ns(void);     /* monotonic */
int64_t clock_cpu_ns(void); /* CPU time of this process, all threads */

#endif
