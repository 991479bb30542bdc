/* A linear head from a file; private to head-model-sampler. */
#ifndef FACET_STAGES_HEAD_MODEL_SAMPLER_READ_H
#define FACET_STAGES_HEAD_MODEL_SAMPLER_READ_H

#include "lib/geom/head_model.h"

/* Read an untrusted safetensors file: mean f32 [V,3], identity f16|f32
 * [I,V,3], expression [E,V,3], triangles u16|i32 [T,3] counter-clockwise from
 * outside, part u8 [T] (0 face, 1 head and neck, 2 and 3 eyeballs), landmarks68
 * i32 [68], metadata `expressions`: E names with commas. Axes x right, y up, z
 * towards the viewer, any unit. The head comes out in the project's frame.
 * ERR_IO, ERR_NOTFOUND, ERR_DATA, ERR_NOMEM; texts name the file. */
enum err_code head_model_read(const char *path, struct head_model **out,
                              struct err *e) MUST_USE;

#endif
