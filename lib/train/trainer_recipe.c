/* The training loop: what a run comes from, so that one that goes on with other
 * settings or data says so. */
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/data/recipe.h"
#include "lib/train/trainer_impl.h"

#define RECIPE_MAX ((size_t)2 << 20)

enum err_code trainer_recipe(struct trainer *t, struct err *e)
{
    const char *now = t->host.recipe;
    char differ[400];
    struct buf b = {0};
    struct err why;
    if (!now || !*now)
        return OK; /* outside a pipeline */
    char *path = path_join(t->out, "recipe.txt");
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    if (t->resumed && file_exists(path) &&
        file_read(path, RECIPE_MAX, &b, &why) == OK &&
        buf_puts(&b, "", &why) == OK &&
        *recipe_differ(buf_str(&b), now, differ, sizeof differ))
        log_warn("the run in '%s' goes on with other settings than it began "
                 "with (%s): its weights come from both",
                 t->out, differ);
    buf_free(&b);
    enum err_code r = file_write_atomic(path, now, strlen(now), e);
    mem_free(path);
    return r;
}
