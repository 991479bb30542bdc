/* FAN weights and pictures made from names alone, as tests/py/fan_torch.py
 * makes them, so that large networks are tested without large files. */
#ifndef FACET_TESTS_FAN_WEIGHTS_H
#define FACET_TESTS_FAN_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

uint64_t name_seed(const char *name);
/* The i-th number in [0,1) of a seed. */
float hashed_uniform(uint64_t seed, uint64_t i);
/* A whole safetensors file in b (initialised by the callee). 0 on success. */
int seeded_fan(int stacks, int features, struct buf *b);
/* f32[3,256,256]. */
void noise_crop(const char *name, float *crop);

#endif
