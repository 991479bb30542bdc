/* A generator and a discriminator trained together. */
#include "lib/models/gan_pair.h"

#include "lib/base/mem.h"

/* The error r with `who` before its text. */
#define OF(who) (e ? err_wrap(e, who) : r)

struct gan_pair {
    struct nn_params *generator, *discriminator;
    /* The generator alone; the discriminator's loss of real and fake; the
     * generator's loss of what it made, through a frozen discriminator. */
    struct nn_train *make, *judge, *persuade;
    struct nn_optim *generator_optim, *discriminator_optim;
    float *fake, *dfake;            /* a batch of pictures */
    float *real_label, *fake_label; /* one for each logit of a batch */
};

void gan_pair_free(struct gan_pair **pair)
{
    if (!pair || !*pair)
        return;
    struct gan_pair *p = *pair;
    nn_optim_free(&p->generator_optim);
    nn_optim_free(&p->discriminator_optim);
    nn_train_free(&p->make);
    nn_train_free(&p->judge);
    nn_train_free(&p->persuade);
    mem_free(p->fake);
    mem_free(p->dfake);
    mem_free(p->real_label);
    mem_free(p->fake_label);
    mem_free(p);
    *pair = NULL;
}

static int input(struct nn_graph *g, struct nn_shape s)
{
    return nn_input(g, s.c, s.h, s.w);
}

static enum err_code plan_make(const struct gan_pair_options *o,
                               struct gan_pair *p, struct err *e)
{
    const struct gan_side *side = &o->generator;
    struct nn_graph *g = nn_graph_new(e);
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, side->ps);
    int y = side->build(&s, input(g, o->input), side->arg);
    nn_output(g, y);
    struct nn_shape got = nn_graph_shape(g, y), want = o->target;
    enum err_code r = nn_graph_status(g, e);
    if (!r && (got.c != want.c || got.h != want.h || got.w != want.w))
        r = err_set(e, ERR_ARG,
                    "the generator makes [%lld,%lld,%lld], its target is "
                    "[%lld,%lld,%lld]",
                    (long long)got.c, (long long)got.h, (long long)got.w,
                    (long long)want.c, (long long)want.h, (long long)want.w);
    if (!r)
        r = nn_train_new(g, &o->train, &p->make, e);
    nn_graph_free(&g);
    return r;
}

/* Inputs: real, made, the two labels. *logits is their number a picture. */
static enum err_code plan_judge(const struct gan_pair_options *o,
                                struct gan_pair *p, int64_t *logits,
                                struct err *e)
{
    const struct gan_side *side = &o->discriminator;
    struct nn_graph *g = nn_graph_new(e);
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, side->ps);
    int real = input(g, o->target), fake = input(g, o->target);
    real = side->build(&s, real, side->arg);
    fake = side->build(&s, fake, side->arg);
    struct nn_shape shape = nn_graph_shape(g, real);
    *logits = shape.c * shape.h * shape.w;
    real = nn_bce_logits_loss(g, real, input(g, shape));
    fake = nn_bce_logits_loss(g, fake, input(g, shape));
    nn_output(g, nn_scale(g, nn_add(g, real, fake), 0.5, 0));
    enum err_code r = nn_train_new(g, &o->train, &p->judge, e);
    nn_graph_free(&g);
    return r;
}

/* Inputs: made, target, label; outputs: all, content, adversarial. */
static enum err_code plan_persuade(const struct gan_pair_options *o,
                                   struct gan_pair *p, struct err *e)
{
    const struct gan_side *side = &o->discriminator;
    struct nn_train_options t = o->train;
    struct nn_graph *g = nn_graph_new(e);
    if (!g)
        return ERR_NOMEM;
    t.input_grads = true;
    struct nn_scope s = nn_scope(g, side->ps);
    int fake = input(g, o->target);
    int target = nn_detach(g, input(g, o->target));
    int content = o->content ? o->content(g, fake, target, o->content_arg)
                             : nn_mse_loss(g, fake, target);
    nn_graph_frozen(g, true);
    int logit = side->build(&s, fake, side->arg);
    int label = input(g, nn_graph_shape(g, logit));
    int adversarial = nn_bce_logits_loss(g, logit, label);
    nn_output(g, nn_add(g, content, nn_scale(g, adversarial, o->weight, 0)));
    nn_output(g, content);
    nn_output(g, adversarial);
    enum err_code r = nn_train_new(g, &t, &p->persuade, e);
    nn_graph_free(&g);
    return r;
}

static enum err_code take_memory(const struct gan_pair_options *o,
                                 struct gan_pair *p, int64_t logits,
                                 struct err *e)
{
    const struct nn_shape *t = &o->target;
    size_t batch = o->train.batch > 0 ? (size_t)o->train.batch : 1;
    size_t pictures = batch * (size_t)(t->c * t->h * t->w);
    size_t labels = batch * (size_t)logits;
    p->fake = mem_array(pictures, sizeof *p->fake);
    p->dfake = mem_array(pictures, sizeof *p->dfake);
    p->real_label = mem_array(labels, sizeof *p->real_label);
    p->fake_label = mem_array(labels, sizeof *p->fake_label);
    if (!p->fake || !p->dfake || !p->real_label || !p->fake_label)
        return err_set(e, ERR_NOMEM, "no memory for a batch of pictures");
    for (size_t i = 0; i < labels; i++) {
        p->real_label[i] = (float)o->real;
        p->fake_label[i] = (float)o->fake;
    }
    return OK;
}

enum err_code gan_pair_new(const struct gan_pair_options *o,
                           struct gan_pair **out, struct err *e)
{
    int64_t logits = 0;
    *out = NULL;
    if (!(o->real >= 0 && o->real <= 1 && o->fake >= 0 && o->fake <= 1) ||
        !(o->weight >= 0))
        return err_set(e, ERR_ARG,
                       "GAN: labels %g and %g are not within 0 and 1, or the "
                       "weight %g is negative",
                       o->real, o->fake, o->weight);
    struct gan_pair *p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for a GAN");
    p->generator = o->generator.ps;
    p->discriminator = o->discriminator.ps;
    enum err_code r = plan_make(o, p, e);
    if (!r)
        r = plan_judge(o, p, &logits, e);
    if (!r)
        r = plan_persuade(o, p, e);
    if (!r)
        r = take_memory(o, p, logits, e);
    if (!r)
        r = nn_optim_new(p->generator, &o->generator.optim, &p->generator_optim,
                         e);
    if (!r)
        r = nn_optim_new(p->discriminator, &o->discriminator.optim,
                         &p->discriminator_optim, e);
    if (r)
        gan_pair_free(&p);
    *out = p;
    return r;
}

static double number(const struct nn_train *t, int i)
{
    float v = 0;
    nn_train_output(t, i, &v);
    return (double)v;
}

static enum err_code step_discriminator(struct gan_pair *p, const float *target,
                                        struct gan_losses *losses,
                                        struct err *e)
{
    const float *in[] = {target, p->fake, p->real_label, p->fake_label};
    nn_params_zero_grad(p->discriminator);
    enum err_code r = nn_train_forward(p->judge, in, e);
    if (r)
        return r;
    losses->discriminator = number(p->judge, 0);
    r = nn_train_backward(p->judge, NULL, e);
    return r ? r : nn_optim_step(p->discriminator_optim, NULL, e);
}

static enum err_code step_generator(struct gan_pair *p, const float *target,
                                    struct gan_losses *losses, struct err *e)
{
    static const float one = 1;
    const float *in[] = {p->fake, target, p->real_label};
    const float *from_loss[] = {&one, NULL, NULL};
    const float *from_made[] = {p->dfake};
    enum err_code r = nn_train_forward(p->persuade, in, e);
    if (r)
        return r;
    losses->generator = number(p->persuade, 0);
    losses->content = number(p->persuade, 1);
    losses->adversarial = number(p->persuade, 2);
    r = nn_train_backward(p->persuade, from_loss, e);
    if (r)
        return r;
    nn_train_input_grad(p->persuade, 0, p->dfake);
    nn_params_zero_grad(p->generator);
    r = nn_train_backward(p->make, from_made, e);
    return r ? r : nn_optim_step(p->generator_optim, NULL, e);
}

enum err_code gan_pair_step(struct gan_pair *p, const float *in,
                            const float *target, struct gan_losses *losses,
                            struct err *e)
{
    *losses = (struct gan_losses){0};
    enum err_code r = nn_train_forward(p->make, &in, e);
    if (r)
        return OF("generator");
    nn_train_output(p->make, 0, p->fake);
    r = step_discriminator(p, target, losses, e);
    if (r)
        return OF("discriminator");
    r = step_generator(p, target, losses, e);
    return r ? OF("generator") : OK;
}

const float *gan_pair_made(const struct gan_pair *p)
{
    return p->fake;
}

struct nn_optim *gan_pair_generator_optim(const struct gan_pair *p)
{
    return p->generator_optim;
}

struct nn_optim *gan_pair_discriminator_optim(const struct gan_pair *p)
{
    return p->discriminator_optim;
}

uint64_t gan_pair_runs(const struct gan_pair *p)
{
    return nn_train_runs(p->make);
}

void gan_pair_set_runs(struct gan_pair *p, uint64_t runs)
{
    nn_train_set_runs(p->make, runs);
    nn_train_set_runs(p->judge, runs);
    nn_train_set_runs(p->persuade, runs);
}

size_t gan_pair_bytes(const struct gan_pair *p)
{
    return nn_train_bytes(p->make) + nn_train_bytes(p->judge) +
           nn_train_bytes(p->persuade);
}
