/* Runs a stage behind a process of ours that speaks the link on one side and a
 * plain request-reply protocol to the stage on the other: a stage written in
 * any language, or one of ours that is given a time limit or restarts. What
 * the stage does wrong, or dies of, then costs the item that it had in hand.
 *
 * The stage finds in the environment variable FACET_ENDPOINT a ZeroMQ endpoint
 * and connects a PAIR socket to it. Messages are items as on the wire
 * (docs/wire.md); docs/flow.md has the protocol and its rules. `COMMAND
 * --describe` prints the same YAML as our stages do, but for the line
 * `runtime: facet`.
 *
 * Ours speak the same (lib/flow/stage_bridged.c); their answers are whole
 * items, which are not laid over the input, and they say `ready` when they
 * have opened. */
#ifndef FACET_FLOW_BRIDGE_H
#define FACET_FLOW_BRIDGE_H

#include <stddef.h>
#include <stdint.h>

struct bridge_options {
    int64_t item_ms; /* limit for the answer to one input; 0: none */
    int64_t open_ms; /* for a start, until it is ready; 0: the default */
    int restart;     /* starts anew within a run; -1: the default */
};

/* argv: the command, of which the first `words` are the program and the rest
 * its parameters. To be started by the supervisor. Returns the exit status. */
int bridge_main(char **argv, size_t words, const struct bridge_options *o);

#endif
