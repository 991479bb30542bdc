/* Small and full-size networks with weights and inputs from names. */
#include "tests/support/model_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/models/fan_net.h"
#include "lib/models/global_generator.h"
#include "lib/models/patch_gan.h"
#include "lib/models/resnet_depth.h"
#include "lib/models/s3fd.h"
#include "lib/models/unet.h"
#include "lib/models/vgg.h"
#include "tests/support/model_weights.h"

static int build_fan(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    out[0] = fan_net(s, x, &(struct fan_net_spec){.stacks = 1, .features = 64},
                     NULL);
    return 1;
}

static int build_fan_2(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    struct fan_net_spec p = {
        .stacks = 2, .features = 32, .stem = 16, .trunk = 32, .points = 17};
    fan_net(s, x, &p, out);
    return 2;
}

static int build_depth(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    struct resnet_spec p = {
        .blocks = {2, 2, 3, 2}, .bottleneck = true, .width = 4};
    out[0] = resnet_depth(s, x, &p, 20);
    return 1;
}

static int build_s3fd(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    struct s3fd_level level[S3FD_LEVELS];
    if (s3fd(s, x, 8, level))
        return 0;
    for (int i = 0; i < S3FD_LEVELS; i++) {
        out[2 * i] = level[i].score;
        out[2 * i + 1] = level[i].box;
    }
    return 2 * S3FD_LEVELS;
}

static int build_generator(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    out[0] = global_generator(s, x, &(struct global_generator_spec){0});
    return 1;
}

static int build_generator_instance(const struct nn_scope *s, int x,
                                    int out[MAX_OUT])
{
    struct global_generator_spec p = {
        .out = 2, .width = 8, .down = 2, .blocks = 2, .norm = PART_INSTANCE};
    out[0] = global_generator(s, x, &p);
    return 1;
}

static int build_resnet_18(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    out[0] = resnet_classifier(s, x, &resnet_18, 1000);
    return 1;
}

static int build_resnet_34(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    struct resnet_spec p = resnet_34;
    p.width = 8;
    out[0] = resnet_embedding(s, x, &p);
    return 1;
}

static int build_discriminator(const struct nn_scope *s, int x,
                               int out[MAX_OUT])
{
    struct resnet_spec p = resnet_18;
    p.width = 16;
    out[0] = resnet_discriminator(s, x, &p, 0);
    return 1;
}

static int build_vgg(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    vgg19_features(s, x, 8, out);
    return VGG_FEATURES;
}

static int build_unet(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    out[0] = unet(s, x, &(struct unet_spec){.depth = 3, .width = 8});
    return 1;
}

static int build_unet_group(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    struct unet_spec p = {.depth = 2,
                          .width = 16,
                          .out = 2,
                          .norm = PART_GROUP,
                          .bilinear = true};
    out[0] = unet(s, x, &p);
    return 1;
}

static int build_unet_instance(const struct nn_scope *s, int x,
                               int out[MAX_OUT])
{
    struct unet_spec p = {
        .depth = 2, .width = 8, .out = 1, .norm = PART_INSTANCE};
    out[0] = unet(s, x, &p);
    return 1;
}

static int build_patch(const struct nn_scope *s, int x, int out[MAX_OUT])
{
    out[0] = patch_gan(s, x, &(struct patch_gan_spec){.width = 8});
    return 1;
}

static int build_patch_instance(const struct nn_scope *s, int x,
                                int out[MAX_OUT])
{
    struct patch_gan_spec p = {.width = 8, .layers = 2, .norm = PART_INSTANCE};
    out[0] = patch_gan(s, x, &p);
    return 1;
}

const struct net_case model_cases[] = {
    {"fan", build_fan, 1, 3, 2, {3, 128, 128}},
    {"fan-2", build_fan_2, 1, 3, 2, {3, 128, 192}},
    {"depth", build_depth, 1, 0, 1, {23, 224, 256}},
    {"s3fd", build_s3fd, RELU_GAIN, 0, 2, {3, 64, 96}},
    {"generator", build_generator, 1, 3, 2, {6, 64, 64}},
    {"generator-instance", build_generator_instance, 1, 0, 2, {5, 32, 40}},
    {"resnet-18", build_resnet_18, 1, 0, 2, {3, 64, 64}},
    {"resnet-34", build_resnet_34, 1, 0, 3, {3, 80, 72}},
    {"discriminator", build_discriminator, 1, 0, 2, {3, 96, 96}},
    {"vgg-19", build_vgg, RELU_GAIN, 0, 2, {3, 48, 41}},
    {"unet", build_unet, 1, 0, 2, {4, 37, 45}},
    {"unet-group", build_unet_group, 1, 0, 2, {3, 31, 24}},
    {"unet-instance", build_unet_instance, 1, 0, 2, {3, 32, 24}},
    {"patch-gan", build_patch, 1, 0, 2, {3, 64, 80}},
    {"patch-gan-instance", build_patch_instance, 1, 0, 2, {6, 48, 48}},
};
const size_t model_cases_count = sizeof model_cases / sizeof *model_cases;

const struct net_case *find_case(const char *name)
{
    for (size_t i = 0; i < model_cases_count; i++) {
        if (!strcmp(model_cases[i].name, name))
            return &model_cases[i];
    }
    fail_msg("no case '%s'", name);
    return NULL;
}

float *floats(size_t n)
{
    float *v = mem_array(n, sizeof *v);
    assert_non_null(v);
    return v;
}

void write_case(struct written *w, const struct net_case *c,
                const struct safetensors *golden, bool eval)
{
    char name[64];
    int out[MAX_OUT];
    struct err e = {0};
    struct tensor *salt = NULL;
    memset(w, 0, sizeof *w);
    w->c = c;
    w->ps = nn_params_new(1, &e);
    w->g = nn_graph_new(&e);
    assert_true(w->ps && w->g);
    nn_graph_eval(w->g, eval);
    struct nn_scope s = nn_scope(w->g, w->ps);
    w->n_out = c->build(&s, nn_input(w->g, c->in.c, c->in.h, c->in.w), out);
    for (int i = 0; i < w->n_out; i++)
        nn_output(w->g, out[i]);
    if (nn_graph_status(w->g, &e))
        fail_msg("%s: %s", c->name, e.text);
    seed_weights(w->ps, c->gain, c->shift);
    snprintf(name, sizeof name, "%s.salt", c->name);
    if (safetensors_tensor(golden, name, &salt, &e))
        fail_msg("%s", e.text);
    w->in_count = (size_t)(c->batch * c->in.c * c->in.h * c->in.w);
    w->in = floats(w->in_count);
    snprintf(name, sizeof name, "%s.in%d", c->name, (int)tensor_f32(salt)[0]);
    tensor_free(&salt);
    seeded_noise(name, w->in, w->in_count);
    for (int i = 0; i < w->n_out; i++) {
        struct nn_shape o = nn_graph_shape(w->g, out[i]);
        w->count[i] = (size_t)(c->batch * o.c * o.h * o.w);
        w->out[i] = floats(w->count[i]);
        w->dout[i] = floats(w->count[i]);
        snprintf(name, sizeof name, "%s.dout.%d", c->name, i);
        seeded_noise(name, w->dout[i], w->count[i]);
    }
}

void erase_case(struct written *w)
{
    for (int i = 0; i < w->n_out; i++) {
        mem_free(w->out[i]);
        mem_free(w->dout[i]);
    }
    mem_free(w->in);
    nn_graph_free(&w->g);
    nn_params_free(&w->ps);
}

void check_digest(const struct written *w, const struct safetensors *golden,
                  const char *variant, const char *part, const float *v,
                  size_t n, double tol, double floor)
{
    char name[160], why[192];
    snprintf(name, sizeof name, "%s.%s", w->c->name, part);
    if (!digest_check(golden, name, v, n, tol, floor, why, sizeof why))
        fail_msg("%s (%s): %s", name, variant, why);
}

void check_outputs(const struct written *w, const struct safetensors *golden,
                   const char *variant, const char *when, double tol)
{
    for (int i = 0; i < w->n_out; i++) {
        char part[32];
        snprintf(part, sizeof part, "%s.%d", when, i);
        check_digest(w, golden, variant, part, w->out[i], w->count[i], tol, 0);
    }
}
