/* facet model --to f16: weights rounded for shipping. */
#include <stdio.h>
#include <sys/stat.h>

#include "cli/model_info.h"
#include "cli/weights_text.h"
#include "lib/nn/safetensors_round.h"

/* Would writing b take a's only exact copy? */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static enum err_code tell(const struct model_info *i, const char *output,
                          const struct safetensors_rounding *r, struct buf *b,
                          struct err *e)
{
    char n[32], old[32], new[32];
    struct stat st = {0};
    if (stat(output, &st) != 0)
        return err_set(e, ERR_IO, "'%s' is gone", output);
    enum err_code c = buf_printf(
        b, e, "%s to f16\nrounded     %zu tensor%s, %s numbers\n", i->path,
        r->rounded, r->rounded == 1 ? "" : "s", weights_count(r->numbers, n));
    if (!c && r->kept)
        c = buf_printf(b, e, "kept        %zu tensor%s\n", r->kept,
                       r->kept == 1 ? "" : "s");
    if (!c && r->error > 0)
        c = buf_printf(b, e, "error       at most %.1e of a number, in %s\n",
                       r->error, r->error_in);
    if (!c && r->small)
        c = buf_printf(b, e,
                       "small       %s numbers below %.1e, which lose more; "
                       "%llu became 0\n",
                       weights_count(r->small, n), SAFETENSORS_F16_NORMAL,
                       (unsigned long long)r->zeroed);
    if (!c && r->small_error > 0)
        c = buf_printf(b, e,
                       "            at most %.1e of the largest beside it, "
                       "in %s\n",
                       r->small_error, r->small_in);
    if (!c)
        c = buf_printf(b, e, "bytes       %s, was %s\nwritten     %s\n",
                       weights_bytes((uint64_t)st.st_size, new),
                       weights_bytes(i->file_bytes, old), output);
    return c;
}

enum err_code model_round(const struct model_info *i,
                          const struct model_rounding *q, struct buf *b,
                          struct err *e)
{
    struct safetensors_rounding told;
    if (same_file(i->path, q->output))
        return err_set(e, ERR_ARG,
                       "'%s' is the file to be rounded; write another",
                       q->output);
    enum err_code r =
        safetensors_round(i->w, q->keep, q->meta, q->output, &told, e);
    return r ? r : tell(i, q->output, &told, b, e);
}
