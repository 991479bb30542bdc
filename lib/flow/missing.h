/* What is missing on this machine for a program to run, in words. */
#ifndef FACET_FLOW_MISSING_H
#define FACET_FLOW_MISSING_H

#include <stddef.h>

/* Why a program that is there cannot be run: its interpreter is not, or it is
 * no executable. "cannot run './x.py': its interpreter '/usr/bin/python3' is
 * not there (Debian's package python3)". why: errno. */
char *missing_program(const char *path, int why, char *out, size_t n);

/* A line in which Python, or env, names something that is missing: " (Debian's
 * package python3-zmq)" into out, else "". */
char *missing_module(const char *line, char *out, size_t n);

#endif
