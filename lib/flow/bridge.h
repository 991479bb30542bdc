/* Runs a stage written in any language: a process of ours that speaks the link
 * on one side and a plain request-reply protocol to the command on the other.
 *
 * The command finds in the environment variable FACET_ENDPOINT a ZeroMQ
 * endpoint and connects a PAIR socket to it. Messages are items as on the wire
 * (docs/wire.md): frame 0 a msgpack map, tensors in msgpack-numpy's form.
 *
 *   bridge to command                    command to bridge
 *   kind "item" (transform, sink)        any number of kind "item", then
 *   kind "next" (source: give some)      kind "done", or kind "fail" with the
 *                                        fields error_code, error_text; a
 *                                        source that has no more says "end"
 *   kind "end" (no more input)           items if any are left; then it exits
 *                                        with status 0
 *
 * An answer's fields are laid over those of the input: what the command leaves
 * out travels through. Field facet.port names the port: of an input the one it
 * came in by, of an answer the one it goes out by (default: the first).
 * facet.key of a source's item stands for its number in the id. At any time
 * "report" (field text) and "expect" (field items). `COMMAND --describe`
 * prints the same YAML as our stages do, but for the line `runtime: facet`. */
#ifndef FACET_FLOW_BRIDGE_H
#define FACET_FLOW_BRIDGE_H

#include <stddef.h>

/* argv: the command, of which the first `words` are the program and the rest
 * its parameters. To be started by the supervisor. Returns the exit status. */
int bridge_main(char **argv, size_t words);

#endif
