/* Learning-rate schedules (torch.optim.lr_scheduler, 1.13). */
#ifndef FACET_NN_SCHEDULE_H
#define FACET_NN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

enum nn_schedule_kind {
    NN_CONSTANT,
    NN_STEP_DECAY, /* factor every `every` units */
    NN_COSINE,     /* from lr to lr_min over `total` units */
    NN_PLATEAU     /* factor after `patience` validations without improvement */
};

/* A unit is what the caller counts (steps or epochs). Plain data: it is saved
 * in checkpoints as it is. */
struct nn_schedule {
    enum nn_schedule_kind kind;
    double lr;     /* the base */
    double warmup; /* units of linear rise from lr/warmup, before the rest */
    double factor; /* step, plateau */
    double every;  /* step */
    double total;  /* cosine */
    double lr_min; /* cosine, plateau */
    int64_t patience, cooldown; /* plateau */
    double threshold;           /* plateau; relative improvement that counts */
    bool larger_is_better;
    /* state of plateau */
    double best;
    int64_t bad, cooling;
    double scale;
    bool started;
};

/* ERR_ARG with the reason if a value makes no sense. */
enum err_code nn_schedule_check(const struct nn_schedule *s,
                                struct err *e) MUST_USE;
/* The rate at `unit` (from 0; fractions are fine), PyTorch's closed forms:
 * LinearLR (from 1/warmup) until `warmup`, and from there, counted anew,
 * StepLR, CosineAnnealingLR (held at lr_min after `total`, where PyTorch's
 * turns back up), or what nn_schedule_report has made of lr. */
double nn_schedule_lr(const struct nn_schedule *s, double unit);
/* Plateau: tell a validation value; true if the rate fell. ReduceLROnPlateau
 * with threshold_mode rel and eps 1e-8. Other kinds: does nothing, false. */
bool nn_schedule_report(struct nn_schedule *s, double metric);

#endif
