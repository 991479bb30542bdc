/* Networks and weight files: recognising them, building them from files, and
 * what happens to files that do not fit and to memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/models/detector.h"
#include "lib/models/fan_net.h"
#include "lib/models/global_generator.h"
#include "lib/models/lift.h"
#include "lib/models/models.h"
#include "lib/models/patch_gan.h"
#include "lib/models/resnet_depth.h"
#include "lib/models/s3fd.h"
#include "lib/models/unet.h"
#include "lib/models/vgg.h"

#define MAX_TENSORS 1024

static char path[] = "/tmp/facet-models-XXXXXX";

/* ---- narrow networks of every kind ---- */

static int tiny_fan(const struct nn_scope *s, int x)
{
    struct fan_net_spec p = {
        .stacks = 2, .features = 8, .stem = 4, .trunk = 8, .points = 5};
    return fan_net(s, x, &p, NULL);
}

static int tiny_depth(const struct nn_scope *s, int x)
{
    struct resnet_spec p = {
        .blocks = {1, 2, 1, 1}, .bottleneck = true, .width = 2};
    return resnet_depth(s, x, &p, 6);
}

static int tiny_s3fd(const struct nn_scope *s, int x)
{
    struct s3fd_level level[S3FD_LEVELS];
    return s3fd(s, x, 2, level) ? -1 : level[5].box;
}

static int tiny_generator(const struct nn_scope *s, int x)
{
    struct global_generator_spec p = {
        .width = 4, .down = 2, .blocks = 1, .out = 2};
    return global_generator(s, x, &p);
}

static int tiny_generator_instance(const struct nn_scope *s, int x)
{
    struct global_generator_spec p = {
        .width = 4, .down = -1, .blocks = -1, .norm = PART_INSTANCE};
    return global_generator(s, x, &p);
}

static int tiny_unet(const struct nn_scope *s, int x)
{
    return unet(s, x, &(struct unet_spec){.depth = 2, .width = 4, .out = 1});
}

static int tiny_unet_group(const struct nn_scope *s, int x)
{
    struct unet_spec p = {
        .depth = 1, .width = 8, .norm = PART_GROUP, .bilinear = true};
    return unet(s, x, &p);
}

static int tiny_unet_bare(const struct nn_scope *s, int x)
{
    struct unet_spec p = {.depth = 3, .width = 4, .norm = PART_NONE};
    return unet(s, x, &p);
}

static int tiny_patch(const struct nn_scope *s, int x)
{
    return patch_gan(s, x, &(struct patch_gan_spec){.width = 4});
}

static int tiny_patch_instance(const struct nn_scope *s, int x)
{
    struct patch_gan_spec p = {.width = 4, .layers = 1, .norm = PART_INSTANCE};
    return patch_gan(s, x, &p);
}

static int tiny_discriminator(const struct nn_scope *s, int x)
{
    struct resnet_spec p = resnet_18;
    p.width = 2;
    return resnet_discriminator(s, x, &p, 0.5);
}

static int tiny_resnet_18(const struct nn_scope *s, int x)
{
    struct resnet_spec p = resnet_18;
    p.width = 2;
    return resnet_classifier(s, x, &p, 7);
}

static int tiny_resnet_34(const struct nn_scope *s, int x)
{
    struct resnet_spec p = resnet_34;
    p.width = 2;
    return resnet_embedding(s, x, &p);
}

static int tiny_resnet_50(const struct nn_scope *s, int x)
{
    struct resnet_spec p = resnet_50;
    p.width = 2;
    return resnet_classifier(s, x, &p, 3);
}

static int tiny_vgg(const struct nn_scope *s, int x)
{
    int feature[VGG_FEATURES];
    return vgg19_features(s, x, 2, feature);
}

static int tiny_detector(const struct nn_scope *s, int x)
{
    int level[DETECTOR_LEVELS];
    return detector_net(s, x, 4, level) ? level[0] : -1;
}

static int tiny_lift(const struct nn_scope *s, int x)
{
    struct lift_spec p = {.width = 6, .blocks = 2, .codes = 3, .nodes = 4};
    struct lift_out out;
    return lift_net(s, x, &p, &out) ? out.head : -1;
}

static const struct tiny {
    const char *model; /* as it must be recognised */
    int (*build)(const struct nn_scope *s, int x);
    struct nn_shape in;
    int outputs;
} tiny[] = {
    {"fan", tiny_fan, {3, 64, 128}, 1},
    {"resnet-depth", tiny_depth, {9, 224, 200}, 1},
    {"s3fd", tiny_s3fd, {3, 64, 64}, 12},
    {"global-generator", tiny_generator, {6, 16, 20}, 1},
    {"global-generator", tiny_generator_instance, {2, 9, 7}, 1},
    {"unet", tiny_unet, {4, 13, 9}, 1},
    {"unet", tiny_unet_group, {3, 8, 8}, 1},
    {"unet", tiny_unet_bare, {3, 8, 8}, 1},
    {"patch-gan", tiny_patch, {3, 40, 32}, 1},
    {"patch-gan", tiny_patch_instance, {6, 16, 16}, 1},
    {"discriminator", tiny_discriminator, {3, 32, 32}, 1},
    {"resnet-18", tiny_resnet_18, {1, 33, 40}, 1},
    {"resnet-34", tiny_resnet_34, {3, 32, 32}, 1},
    {"resnet-50", tiny_resnet_50, {3, 32, 32}, 1},
    {"vgg-19", tiny_vgg, {3, 16, 20}, 5},
    {"face-detector", tiny_detector, {3, 64, 32}, 3},
    {"lift", tiny_lift, {136, 1, 1}, 4},
};
#define N_TINY (sizeof tiny / sizeof *tiny)

static enum err_code write_tiny(const struct tiny *t, struct nn_params *ps,
                                struct nn_graph *g, struct err *e)
{
    struct nn_scope s = nn_scope(g, ps);
    nn_output(g, t->build(&s, nn_input(g, t->in.c, t->in.h, t->in.w)));
    return nn_graph_status(g, e);
}

static struct nn_params *make_tiny(const struct tiny *t)
{
    struct err e = {0};
    struct nn_params *ps = nn_params_new(7, &e);
    struct nn_graph *g = nn_graph_new(&e);
    assert_true(ps && g);
    if (write_tiny(t, ps, g, &e))
        fail_msg("%s: %s", t->model, e.text);
    nn_graph_free(&g);
    return ps;
}

static struct safetensors *read_back(void)
{
    struct safetensors *w = NULL;
    struct err e = {0};
    if (safetensors_read(path, &w, &e))
        fail_msg("%s", e.text);
    return w;
}

/* The parameters as a file, each name behind prefix. reshaped (may be NULL)
 * gets its first two sizes exchanged, left (may be NULL) is left out. */
static struct safetensors *file_of(const struct nn_params *ps,
                                   const char *prefix, const char *reshaped,
                                   const char *left)
{
    struct safetensors_item item[MAX_TENSORS + 1] = {{0}};
    struct tensor *odd = NULL;
    struct err e = {0};
    size_t n = 0;
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        const struct nn_param *p = nn_params_at(ps, i);
        if (left && !strcmp(p->name, left))
            continue;
        assert_true(n < MAX_TENSORS);
        item[n].tensor = p->value;
        if (reshaped && !strcmp(p->name, reshaped)) {
            odd = tensor_copy(p->value, &e);
            assert_non_null(odd);
            odd->shape[0] = p->value->shape[1];
            odd->shape[1] = p->value->shape[0];
            item[n].tensor = odd;
        }
        item[n++].name = mem_printf("%s%s", prefix, p->name);
    }
    if (safetensors_write(path, item, NULL, &e))
        fail_msg("%s", e.text);
    for (size_t i = 0; i < n; i++) {
        char *name = NULL;
        memcpy(&name, &item[i].name, sizeof name);
        mem_free(name);
    }
    tensor_free(&odd);
    return read_back();
}

/* Build what the file holds; the parameters come from it. */
static enum err_code build_from(const struct safetensors *w,
                                const struct model *m, const char *prefix,
                                struct nn_shape in, struct nn_params **ps,
                                int *outputs, struct err *e)
{
    struct nn_graph *g = nn_graph_new(e);
    *ps = nn_params_new(1, e);
    assert_true(g && *ps);
    nn_params_source(*ps, w, prefix);
    struct nn_scope s = nn_scope(g, *ps);
    enum err_code r = m->build(&s, in, w, prefix, e);
    *outputs = nn_graph_outputs(g);
    nn_params_source(*ps, NULL, NULL);
    nn_graph_free(&g);
    return r;
}

static void same_params(const struct nn_params *a, const struct nn_params *b)
{
    assert_int_equal(nn_params_count(a), nn_params_count(b));
    for (size_t i = 0; i < nn_params_count(a); i++) {
        const struct nn_param *p = nn_params_at(a, i);
        const struct nn_param *q = nn_params_find(b, p->name);
        if (!q || !tensor_equal(p->value, q->value))
            fail_msg("%s is not what was saved", p->name);
    }
}

static void test_recognise(void **state)
{
    static const char *const prefixes[] = {"", "module.", "generator.",
                                           "state.net.module."};
    (void)state;
    for (size_t i = 0; i < N_TINY; i++) {
        const struct tiny *t = &tiny[i];
        struct nn_params *ps = make_tiny(t), *again = NULL;
        for (size_t k = 0; k < 4; k++) {
            struct err e = {0};
            char prefix[64] = "?";
            int outputs = 0;
            struct safetensors *w = file_of(ps, prefixes[k], NULL, NULL);
            const struct model *m = model_recognise(w, prefix, sizeof prefix);
            if (!m || strcmp(m->name, t->model) != 0)
                fail_msg("%s%s is taken for %s", prefixes[k], t->model,
                         m ? m->name : "nothing");
            assert_string_equal(prefix, prefixes[k]);
            if (build_from(w, m, prefix, t->in, &again, &outputs, &e))
                fail_msg("%s: %s", t->model, e.text);
            assert_int_equal(outputs, t->outputs);
            same_params(ps, again);
            nn_params_free(&again);
            safetensors_free(&w);
        }
        nn_params_free(&ps);
    }
}

/* As saved by ourselves: with num_batches_tracked beside statistics. */
static void test_own_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TINY; i++) {
        struct err e = {0};
        char prefix[16];
        struct nn_params *ps = make_tiny(&tiny[i]);
        if (nn_params_save(ps, path, NULL, &e))
            fail_msg("%s", e.text);
        struct safetensors *w = read_back();
        const struct model *m = model_recognise(w, prefix, sizeof prefix);
        assert_non_null(m);
        assert_string_equal(m->name, tiny[i].model);
        assert_string_equal(prefix, "");
        assert_null(model_recognise(w, prefix, 0));
        safetensors_free(&w);
        nn_params_free(&ps);
    }
}

/* A prefix longer than the caller's room is passed over. */
static void test_long_prefix(void **state)
{
    (void)state;
    char prefix[8];
    struct nn_params *ps = make_tiny(&tiny[0]);
    struct safetensors *w = file_of(ps, "a-long-name.", NULL, NULL);
    assert_null(model_recognise(w, prefix, sizeof prefix));
    safetensors_free(&w);
    nn_params_free(&ps);
}

/* One tensor of another shape, or missing: the text names file and tensor. */
static void test_wrong_files(void **state)
{
    static const struct {
        size_t tiny;
        const char *tensor;
    } wrong[] = {
        {0, "m1.b3_2.conv1.weight"},
        {1, "layer3.0.conv3.weight"},
        {2, "conv6_2.weight"},
        {3, "model.10.conv_block.5.weight"},
        {3, "model.7.weight"},
        {5, "up2.conv.double_conv.0.weight"},
        {8, "model.8.weight"},
        {10, "fc.0.weight"},
        {11, "layer4.0.downsample.0.weight"},
        {14, "features.0.weight"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct tiny *t = &tiny[wrong[i].tiny];
        struct nn_params *ps = make_tiny(t), *again = NULL;
        const struct nn_param *p = nn_params_find(ps, wrong[i].tensor);
        if (!p)
            fail_msg("no %s", wrong[i].tensor);
        const struct model *m = model_find(t->model);
        for (int k = 0; k < 2; k++) {
            struct err e = {0};
            int outputs;
            if (!k && p->value->shape[0] == p->value->shape[1])
                continue; /* exchanged sizes are the same */
            struct safetensors *w =
                file_of(ps, "net.", k ? NULL : wrong[i].tensor,
                        k ? wrong[i].tensor : NULL);
            enum err_code r =
                build_from(w, m, "net.", t->in, &again, &outputs, &e);
            if (r != ERR_DATA && r != ERR_NOTFOUND)
                fail_msg("%s: code %d", wrong[i].tensor, (int)r);
            if (!strstr(e.text, path) || !strstr(e.text, "net."))
                fail_msg("%s: '%s'", wrong[i].tensor, e.text);
            nn_params_free(&again);
            safetensors_free(&w);
        }
        nn_params_free(&ps);
    }
}

/* A tensor in the middle of a network is named itself. */
static void test_names_the_tensor(void **state)
{
    (void)state;
    static const char name[] = "net.m1.b3_2.conv1.weight";
    struct nn_params *ps = make_tiny(&tiny[0]), *again = NULL;
    for (int k = 0; k < 2; k++) {
        struct err e = {0};
        int outputs;
        struct safetensors *w =
            file_of(ps, "net.", k ? NULL : name + 4, k ? name + 4 : NULL);
        enum err_code r = build_from(w, model_find("fan"), "net.", tiny[0].in,
                                     &again, &outputs, &e);
        assert_int_equal(r, k ? ERR_NOTFOUND : ERR_DATA);
        assert_non_null(strstr(e.text, name));
        nn_params_free(&again);
        safetensors_free(&w);
    }
    nn_params_free(&ps);
}

/* Files of nothing we know, and of names that only look like something. */
static void test_strange_files(void **state)
{
    static const char *const names[] = {"conv_last0.weight",
                                        "layer1.0.conv1.weight",
                                        "conv1_1.weight",
                                        "model.1.weight",
                                        "model.0.weight",
                                        "features.0.weight",
                                        "inc.double_conv.0.weight",
                                        "x.layer1.0.conv1.weight",
                                        "weight"};
    (void)state;
    for (int ndim = 0; ndim < 5; ndim++) {
        struct safetensors_item item[16] = {{0}};
        struct err e = {0};
        char prefix[32];
        struct tensor *t =
            tensor_new(DT_F32, ndim, (const int64_t[]){8, 1, 1, 1}, &e);
        assert_non_null(t);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            item[i] = (struct safetensors_item){names[i], t};
        if (safetensors_write(path, item, NULL, &e))
            fail_msg("%s", e.text);
        struct safetensors *w = read_back();
        assert_null(model_recognise(w, prefix, sizeof prefix));
        for (size_t i = 0; i < model_count(); i++) {
            struct nn_params *ps = NULL;
            int outputs;
            assert_int_not_equal(build_from(w, model_at(i), "",
                                            model_at(i)->input, &ps, &outputs,
                                            &e),
                                 OK);
            assert_non_null(strstr(e.text, path));
            nn_params_free(&ps);
        }
        safetensors_free(&w);
        tensor_free(&t);
    }
}

static void test_registry(void **state)
{
    (void)state;
    assert_true(model_count() >= 10);
    assert_null(model_at(model_count()));
    assert_null(model_find("no-such-network"));
    for (size_t i = 0; i < model_count(); i++) {
        const struct model *m = model_at(i);
        assert_ptr_equal(model_find(m->name), m);
        assert_true(strlen(m->help) > 10);
    }
}

/* Sizes that no network can have, with the reason. */
static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        struct nn_shape in;
        const char *says;
    } bad[] = {
        {"fan", {3, 100, 128}, "multiple of 64"},
        {"resnet-depth", {71, 128, 256}, "193 to 447"},
        {"global-generator", {6, 100, 224}, "multiple of 8"},
        {"unet", {6, 15, 64}, "too small"},
        {"vgg-19", {3, 15, 64}, "max_pool"},
        {"patch-gan", {3, 8, 64}, "conv"},
        {"resnet-18", {0, 64, 64}, "empty"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};
        struct nn_params *ps = nn_params_new(1, &e);
        struct nn_graph *g = nn_graph_new(&e);
        assert_true(ps && g);
        struct nn_scope s = nn_scope(g, ps);
        const struct model *m = model_find(bad[i].model);
        assert_int_equal(m->build(&s, bad[i].in, NULL, "", &e), ERR_ARG);
        if (!strstr(e.text, bad[i].says))
            fail_msg("%s: '%s'", m->name, e.text);
        nn_graph_free(&g);
        nn_params_free(&ps);
    }
}

/* Every allocation of writing a network fails in turn. */
static void test_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TINY; i++) {
        for (uint64_t n = 1;; n++) {
            struct err e = {0};
            int64_t before = mem_live();
            enum err_code r = ERR_NOMEM;
            mem_fail_nth(n);
            struct nn_params *ps = nn_params_new(1, &e);
            struct nn_graph *g = ps ? nn_graph_new(&e) : NULL;
            if (g)
                r = write_tiny(&tiny[i], ps, g, &e);
            bool hit = mem_fail_hit();
            mem_fail_nth(0);
            nn_graph_free(&g);
            nn_params_free(&ps);
            if (mem_live() != before)
                fail_msg("%s: a leak when allocation %d fails", tiny[i].model,
                         (int)n);
            if (!hit) {
                assert_int_equal(r, OK);
                assert_true(n > 10);
                break;
            }
            if (r != ERR_NOMEM)
                fail_msg("%s: allocation %d, code %d '%s'", tiny[i].model,
                         (int)n, (int)r, e.text);
        }
    }
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? 1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_recognise),
        cmocka_unit_test(test_own_files),
        cmocka_unit_test(test_long_prefix),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_names_the_tensor),
        cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
