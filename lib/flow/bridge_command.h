/* The command under a bridge: started, listened to, ended, started again. */
#ifndef FACET_FLOW_BRIDGE_COMMAND_H
#define FACET_FLOW_BRIDGE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

struct command;

/* argv (NULL-terminated) and name, which errors call it by, stay the caller's
 * and must outlive it. */
struct command *command_new(char *const *argv, const char *name,
                            struct err *e) MUST_USE;
void command_free(struct command **c); /* ends it first */

/* Start it with FACET_ENDPOINT=endpoint in its environment. What it prints is
 * passed on to our standard error by a thread, and its end is kept. */
enum err_code command_start(struct command *c, const char *endpoint,
                            struct err *e) MUST_USE;
/* Has it ended? Also true before the first start. Never waits. */
bool command_ended(struct command *c);
/* The end of the last one: "'blur.py' exited with status 1". */
void command_how(const struct command *c, char *out, size_t n);
int command_status(const struct command *c); /* as of waitpid */

/* What it prints from now on belongs to the next item. */
void command_mark(struct command *c);
/* What it printed since the mark, at most the last 8 KiB, as clean UTF-8 with
 * line ends, carriage returns resolved; mem_free. NULL: no memory. Waits a
 * moment for the output of a command that has just ended. */
char *command_words(struct command *c);
/* The last line of such a text that is not blank, cut to n. */
char *command_last_line(const char *words, char *out, size_t n);

/* SIGTERM, then after grace_ms SIGKILL; all that it has started goes too. */
void command_stop(struct command *c, int grace_ms);

/* Is all of it (threads, what it has started) asleep since the last call that
 * said no? Then it has handed over all that it wanted to say before it waits
 * for us. False also where the system does not tell. */
bool command_asleep(struct command *c);

#endif
