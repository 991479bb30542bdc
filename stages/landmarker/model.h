/* Finding and reading the landmarker's model file. */
#ifndef FACET_STAGES_LANDMARKER_MODEL_H
#define FACET_STAGES_LANDMARKER_MODEL_H

#include "stages/landmarker/face.h"

/* What a model's file says of its use (metadata; defaults are FA's). */
struct model_use {
    enum crop_rule crop;
    enum fan_decode decode;
    bool flip; /* add the mirrored crop */
    double min_score, good_score;
};

/* Read the model `name` (see weights_find). */
enum err_code model_load(const char *name, const struct fan_options *o,
                         struct fan **out, struct model_use *use,
                         struct err *e) MUST_USE;

#endif
