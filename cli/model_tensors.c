/* facet model: what the tensors of a file are for, and their numbers. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "cli/model_info.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

const char *model_type_of(const struct safetensors_entry *t, char out[16])
{
    size_t n = strnlen(t->dtype_word, 15);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)tolower((unsigned char)t->dtype_word[i]);
    out[n] = 0;
    return out;
}

uint64_t model_numbers_of(const struct safetensors_entry *t)
{
    uint64_t n = 1; /* cannot wrap: the file's bytes were compared with it */
    for (int i = 0; i < t->ndim; i++)
        n *= (uint64_t)t->shape[i];
    return n;
}

/* Names that optimisers give to their state, PyTorch's and ours alike; or what
 * stands below "optim", "optimizer_g", .. */
static bool is_state(const char *name)
{
    static const char *const ends[] = {".exp_avg", ".exp_avg_sq",
                                       ".max_exp_avg_sq", ".momentum_buffer"};
    static const char *const starts[] = {"optim.", "optim_", "optimizer",
                                         "optimiser"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (text_ends(name, ends[i]) || text_starts(name, starts[i]))
            return true;
    }
    return false;
}

static enum model_role role_of(const struct safetensors_entry *t,
                               bool checkpoint)
{
    if (is_state(t->name) || (checkpoint && text_starts(t->name, "ema.")))
        return MODEL_STATE;
    /* whole numbers are not trained */
    bool real = strchr(t->dtype_word, 'F') != NULL;
    return !real || text_ends(t->name, "running_mean") ||
                   text_ends(t->name, "running_var")
               ? MODEL_BUFFER
               : MODEL_PARAMETER;
}

enum err_code model_take_roles(struct model_info *i, struct err *e)
{
    size_t n = safetensors_count(i->w);
    bool checkpoint = safetensors_meta(i->w, "facet.checkpoint") != NULL;
    i->role = mem_calloc(n + 1, sizeof *i->role);
    if (!i->role)
        return err_set(e, ERR_NOMEM, "no memory for %zu tensors", n);
    for (size_t k = 0; k < n; k++) {
        const struct safetensors_entry t = safetensors_at(i->w, k);
        i->role[k] = role_of(&t, checkpoint);
        i->numbers[i->role[k]] += model_numbers_of(&t);
        i->bytes += t.bytes;
    }
    return OK;
}

/* Sums are long: those of the largest doubles would overflow. */
static void measure(const struct tensor *t, struct model_stats *s)
{
    long double sum = 0, squares = 0;
    s->known = true;
    for (size_t i = 0; i < t->count; i++) {
        double v = tensor_get(t, i);
        if (isnan(v)) {
            s->nan++;
        } else if (isinf(v)) {
            s->inf++;
        } else {
            s->min = s->finite && s->min < v ? s->min : v;
            s->max = s->finite && s->max > v ? s->max : v;
            s->finite++;
            sum += (long double)v;
        }
    }
    if (!s->finite)
        return;
    long double mean = sum / s->finite;
    for (size_t i = 0; i < t->count; i++) {
        long double v = (long double)tensor_get(t, i);
        if (isfinite(v))
            squares += (v - mean) * (v - mean);
    }
    s->mean = (double)mean;
    s->deviation = (double)sqrtl(squares / s->finite);
}

enum err_code model_take_stats(struct model_info *i, struct err *e)
{
    size_t n = safetensors_count(i->w);
    i->stats = mem_calloc(n + 1, sizeof *i->stats);
    if (!i->stats)
        return err_set(e, ERR_NOMEM, "no memory for statistics");
    for (size_t k = 0; k < n; k++) {
        const struct safetensors_entry t = safetensors_at(i->w, k);
        struct tensor *x = NULL;
        if (t.dtype == DT_COUNT)
            continue;
        enum err_code r = safetensors_tensor(i->w, t.name, &x, e);
        if (r)
            return r;
        measure(x, &i->stats[k]);
        tensor_free(&x);
    }
    return OK;
}
