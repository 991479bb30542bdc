/* A stage in a pipeline: started by the supervisor, linked to its
 * neighbours. */
#include "lib/base/log.h"
#include "lib/flow/stage_run.h"

int stage_linked(struct stage *s)
{
    log_error("stage '%s': started without a runner", s->instance);
    return 2;
}
