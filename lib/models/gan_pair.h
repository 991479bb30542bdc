/* A generator and a discriminator trained together. */
#ifndef FACET_MODELS_GAN_PAIR_H
#define FACET_MODELS_GAN_PAIR_H

#include "lib/nn/layer.h"
#include "lib/nn/optim.h"
#include "lib/nn/train.h"

/* One side: its parameters, and how it is written into a graph: x -> result;
 * arg is the caller's and used only while gan_pair_new runs. */
struct gan_side {
    struct nn_params *ps;
    int (*build)(const struct nn_scope *s, int x, const void *arg);
    const void *arg;
    struct nn_optim_options optim;
};

struct gan_pair_options {
    struct gan_side generator;     /* [C,H,W] -> [c,h,w] */
    struct gan_side discriminator; /* [c,h,w] -> logits of any shape */
    /* The generator's loss but for the adversarial part, one number from what
     * it made and what it should; NULL: MSE. May freeze nodes
     * (nn_graph_frozen), as vgg_loss does. */
    int (*content)(struct nn_graph *g, int fake, int target, const void *arg);
    const void *content_arg;
    struct nn_shape input, target; /* of one picture */
    double real, fake;             /* labels: 0.95 and 0.05 in networks.md */
    double weight;                 /* of the adversarial part: 0.25 */
    struct nn_train_options train; /* path, mode, bf16, batch, seed */
};

struct gan_losses {
    double discriminator; /* mean of the BCE of real and of fake */
    double content, adversarial;
    double generator; /* content + weight x adversarial */
};

struct gan_pair;

/* Plans all three graphs and the optimisers. The sides' parameters must
 * outlive the pair; nothing else of o is kept. */
enum err_code gan_pair_new(const struct gan_pair_options *o,
                           struct gan_pair **out, struct err *e) MUST_USE;
void gan_pair_free(struct gan_pair **p);

/* One step on a batch: input f32[batch,C,H,W], target f32[batch,c,h,w]. As in
 * pose2pose (P2P: p2p/GAN_train.py): the generator runs; the discriminator
 * takes a step on the target and on what was made, each a batch by itself; the
 * generator takes one on its loss through the discriminator as it is now.
 * Running statistics move in every pass, so the discriminator's three times.
 * losses are those before the steps. On an error parameters of either side may
 * have moved. Test: tests/test_train_steps.c against PyTorch. */
enum err_code gan_pair_step(struct gan_pair *p, const float *input,
                            const float *target, struct gan_losses *losses,
                            struct err *e) MUST_USE;
/* What the generator made of the last batch: f32[batch,c,h,w], the pair's. */
const float *gan_pair_made(const struct gan_pair *p);

/* For learning rates and checkpoints; the pair's. */
struct nn_optim *gan_pair_generator_optim(const struct gan_pair *p);
struct nn_optim *gan_pair_discriminator_optim(const struct gan_pair *p);
/* The state of the random numbers (dropout), for checkpoints. */
uint64_t gan_pair_runs(const struct gan_pair *p);
void gan_pair_set_runs(struct gan_pair *p, uint64_t runs);
size_t gan_pair_bytes(const struct gan_pair *p); /* of the plans */

#endif
