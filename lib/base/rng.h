/* A small seeded random generator (xoshiro256**, Blackman and Vigna 2018). */
#ifndef FACET_BASE_RNG_H
#define FACET_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed); /* splitmix64 fills the state */
uint64_t rng_u64(struct rng *r);
double rng_unit(struct rng *r);                        /* [0,1) */
double rng_range(struct rng *r, double lo, double hi); /* [lo,hi) */
double rng_normal(struct rng *r);                      /* mean 0, deviation 1 */
uint64_t rng_below(struct rng *r, uint64_t n);         /* 0..n-1, unbiased */

#endif
