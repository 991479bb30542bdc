/* Finding and reading the landmarker's model file. */
#include "stages/landmarker/model.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/models/weights.h"

/* One of `words` (NULL-terminated) in the metadata; `fallback` if absent. */
static enum err_code meta_word(const struct safetensors *w, const char *key,
                               const char *const *words, int fallback, int *out,
                               struct err *e)
{
    const char *v = safetensors_meta(w, key);
    *out = fallback;
    for (int i = 0; v && words[i]; i++) {
        if (strcmp(v, words[i]) == 0) {
            *out = i;
            return OK;
        }
    }
    if (v)
        return err_set(e, ERR_UNSUPPORTED, "'%s': metadata %s: '%.40s'",
                       safetensors_origin(w), key, v);
    return OK;
}

static enum err_code meta_number(const struct safetensors *w, const char *key,
                                 double fallback, double *out, struct err *e)
{
    const char *v = safetensors_meta(w, key);
    *out = fallback;
    if (v && (!text_to_f64(v, out) || *out < 0 || *out > 1))
        return err_set(e, ERR_DATA,
                       "'%s': metadata %s: '%.40s' is not a "
                       "number 0..1",
                       safetensors_origin(w), key, v);
    return OK;
}

static enum err_code read_use(const struct safetensors *w,
                              struct model_use *use, struct err *e)
{
    static const char *const crops[] = {"facet", "fan", NULL};
    static const char *const decodes[] = {"centroid", "quarter", "softmax",
                                          NULL};
    static const char *const no_yes[] = {"no", "yes", NULL};
    int crop, decode, flip;
    enum err_code r = meta_word(w, "crop", crops, CROP_FAN, &crop, e);
    if (!r)
        r = meta_word(w, "decode", decodes, FAN_QUARTER, &decode, e);
    if (!r)
        r = meta_word(w, "flip", no_yes, 0, &flip, e);
    if (!r)
        r = meta_number(w, "min_score", 0.2, &use->min_score, e);
    if (!r)
        r = meta_number(w, "good_score", 0.4, &use->good_score, e);
    if (r)
        return r;
    use->flip = flip;
    use->crop = (enum crop_rule)crop;
    use->decode = (enum fan_decode)decode;
    return OK;
}

enum err_code model_load(const char *name, const struct fan_options *o,
                         struct fan **out, struct model_use *use, struct err *e)
{
    char *path = NULL;
    struct safetensors *w = NULL;
    *out = NULL;
    enum err_code r = weights_find(name, &path, e);
    if (!r)
        r = safetensors_open(path, &w, e);
    if (!r)
        r = read_use(w, use, e);
    if (!r)
        r = fan_new(w, o, out, e);
    safetensors_free(&w);
    mem_free(path);
    return r;
}
