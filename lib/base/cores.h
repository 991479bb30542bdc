/* How many cores this process may really use. */
#ifndef FACET_BASE_CORES_H
#define FACET_BASE_CORES_H

/* The CPUs in the process's affinity mask (taskset, cpusets), but no more than
 * the CPU time that its control groups allow, rounded up: a quota of half a
 * core is 1, of 2.5 cores 3. At least 1. Read are the files below
 *   <root>/proc/self/cgroup, <root>/sys/fs/cgroup (versions 1 and 2),
 * root "" for this machine; tests give another. What is missing or malformed
 * is no limit. */
int cores_usable(const char *root);

/* The mask alone. */
int cores_masked(void);
/* The quota alone: cores by time, 0: none is set. */
double cores_quota(const char *root);

#endif
