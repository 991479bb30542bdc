/* Weights and inputs made from names alone, as tests/py/nets_torch.py makes
 * them, and digests of results, as tests/py/goldens_models.py; so that large
 * networks are compared with PyTorch without large files. */
#ifndef FACET_TESTS_MODEL_WEIGHTS_H
#define FACET_TESTS_MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/nn/params.h"
#include "lib/nn/safetensors.h"

/* Every parameter anew from its name: weights of convolutions and linear
 * layers with deviation gain / sqrt(fan in); biases of batch norms within 1/8
 * of shift or -shift. */
void seed_weights(struct nn_params *ps, double gain, double shift);
/* n numbers in [-1,1). */
void seeded_noise(const char *name, float *v, size_t n);

/* Largest absolute value. */
double largest(const float *v, size_t n);

/* Is v what the digest `name` in the file says? Elements may differ by
 * tol x the largest value + floor, norm and signed sum by tol x the norm +
 * floor x sqrt(n). If not, why says what differs. */
bool digest_check(const struct safetensors *golden, const char *name,
                  const float *v, size_t n, double tol, double floor, char *why,
                  size_t why_size);

#endif
