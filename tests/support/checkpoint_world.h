/* All that checkpoints hold, small, with contents drawn from a seed: for tests
 * of lib/nn/checkpoint*. All functions fail the cmocka test with a reason. */
#ifndef FACET_TESTS_CHECKPOINT_WORLD_H
#define FACET_TESTS_CHECKPOINT_WORLD_H

#include "lib/base/buf.h"
#include "lib/nn/checkpoint.h"

#define WORLD_PARTS 2

struct world_recipe {
    const char *name;
    /* NULL: none */
    const struct nn_optim_options *optim[WORLD_PARTS];
    const struct nn_schedule *schedule[WORLD_PARTS];
    int64_t width; /* of the second part's only weight; 0: 5 */
};

struct world {
    struct nn_params *ps[WORLD_PARTS];
    struct nn_optim *optim[WORLD_PARTS];
    struct nn_schedule schedule[WORLD_PARTS];
    uint64_t epoch, random;
    double best, sum;
    struct nn_checkpoint_part parts[WORLD_PARTS + 1]; /* generator, critic */
    struct nn_checkpoint_value values[5]; /* epoch, random, best, sum */
};

/* Every optimiser, schedule and number that there is. */
extern const struct world_recipe world_recipes[];
extern const size_t world_recipes_count;

/* w must stay where it is: parts and values point into it. */
void world_make(struct world *w, const struct world_recipe *r, uint64_t seed);
void world_free(struct world *w);
/* Append every bit of it to b, found without lib/nn/checkpoint*'s tables;
 * versions tells whether also how often weights were changed. */
void world_dump(const struct world *w, bool versions, struct buf *b);
void world_same(const struct world *w, bool versions, const struct buf *b,
                const char *when);

#endif
