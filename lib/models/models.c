/* All networks by name, and which of them a file of weights holds. */
#include "lib/models/models.h"

#include <stdio.h>
#include <string.h>

#include "lib/geom/head_map.h"
#include "lib/models/detector.h"
#include "lib/models/fan_net.h"
#include "lib/models/global_generator.h"
#include "lib/models/lift.h"
#include "lib/models/patch_gan.h"
#include "lib/models/resnet_depth.h"
#include "lib/models/s3fd.h"
#include "lib/models/unet.h"
#include "lib/models/vgg.h"

#define CLASSES_IMAGENET 1000
#define CLASSES_VOX 5994 /* P2P's identities: networks.md */

static enum err_code finish(const struct nn_scope *s, int out, struct err *e)
{
    nn_output(s->g, out);
    return nn_graph_status(s->g, e);
}

static int input(const struct nn_scope *s, struct nn_shape in, int channels)
{
    return nn_input(s->g, channels ? channels : in.c, in.h, in.w);
}

/* ---- FAN ---- */

static bool is_fan(const struct safetensors *w, const char *prefix)
{
    struct fan_net_spec p;
    return fan_net_read(w, prefix, &p, NULL) == OK;
}

static enum err_code build_fan(const struct nn_scope *s, struct nn_shape in,
                               const struct safetensors *w, const char *prefix,
                               struct err *e)
{
    struct fan_net_spec p = {0};
    enum err_code r = w ? fan_net_read(w, prefix, &p, e) : OK;
    return r ? r : finish(s, fan_net(s, input(s, in, 3), &p, NULL), e);
}

/* ---- S3FD ---- */

static bool is_s3fd(const struct safetensors *w, const char *prefix)
{
    int width;
    return s3fd_read(w, prefix, &width, NULL) == OK;
}

static enum err_code build_s3fd(const struct nn_scope *s, struct nn_shape in,
                                const struct safetensors *w, const char *prefix,
                                struct err *e)
{
    struct s3fd_level level[S3FD_LEVELS];
    int width = 0;
    enum err_code r = w ? s3fd_read(w, prefix, &width, e) : OK;
    if (r)
        return r;
    if (s3fd(s, input(s, in, 3), width, level))
        return nn_graph_status(s->g, e);
    for (int i = 0; i < S3FD_LEVELS; i++) {
        nn_output(s->g, level[i].score);
        nn_output(s->g, level[i].box);
    }
    return nn_graph_status(s->g, e);
}

/* ---- our face detector ---- */

static bool is_detector(const struct safetensors *w, const char *prefix)
{
    int width;
    return detector_read(w, prefix, &width, NULL) == OK;
}

static enum err_code build_detector(const struct nn_scope *s,
                                    struct nn_shape in,
                                    const struct safetensors *w,
                                    const char *prefix, struct err *e)
{
    int level[DETECTOR_LEVELS], width = 0;
    enum err_code r = w ? detector_read(w, prefix, &width, e) : OK;
    if (r)
        return r;
    if (detector_net(s, input(s, in, 3), width, level))
        for (int i = 0; i < DETECTOR_LEVELS; i++)
            nn_output(s->g, level[i]);
    return nn_graph_status(s->g, e);
}

/* ---- generators, PatchGAN, VGG ---- */

static bool is_generator(const struct safetensors *w, const char *prefix)
{
    struct global_generator_spec p;
    int channels;
    return global_generator_read(w, prefix, &p, &channels, NULL) == OK;
}

static enum err_code build_generator(const struct nn_scope *s,
                                     struct nn_shape in,
                                     const struct safetensors *w,
                                     const char *prefix, struct err *e)
{
    struct global_generator_spec p = {0};
    int c = 0;
    enum err_code r = w ? global_generator_read(w, prefix, &p, &c, e) : OK;
    return r ? r : finish(s, global_generator(s, input(s, in, c), &p), e);
}

static bool is_unet(const struct safetensors *w, const char *prefix)
{
    struct unet_spec p;
    int channels;
    return unet_read(w, prefix, &p, &channels, NULL) == OK;
}

static enum err_code build_unet(const struct nn_scope *s, struct nn_shape in,
                                const struct safetensors *w, const char *prefix,
                                struct err *e)
{
    struct unet_spec p = {0};
    int c = 0;
    enum err_code r = w ? unet_read(w, prefix, &p, &c, e) : OK;
    return r ? r : finish(s, unet(s, input(s, in, c), &p), e);
}

static bool is_patch_gan(const struct safetensors *w, const char *prefix)
{
    struct patch_gan_spec p;
    int channels;
    return patch_gan_read(w, prefix, &p, &channels, NULL) == OK;
}

static enum err_code build_patch_gan(const struct nn_scope *s,
                                     struct nn_shape in,
                                     const struct safetensors *w,
                                     const char *prefix, struct err *e)
{
    struct patch_gan_spec p = {0};
    int c = 0;
    enum err_code r = w ? patch_gan_read(w, prefix, &p, &c, e) : OK;
    return r ? r : finish(s, patch_gan(s, input(s, in, c), &p), e);
}

static bool is_vgg(const struct safetensors *w, const char *prefix)
{
    int width;
    return vgg19_read(w, prefix, &width, NULL) == OK;
}

static enum err_code build_vgg(const struct nn_scope *s, struct nn_shape in,
                               const struct safetensors *w, const char *prefix,
                               struct err *e)
{
    int feature[VGG_FEATURES], width = 0;
    enum err_code r = w ? vgg19_read(w, prefix, &width, e) : OK;
    if (r)
        return r;
    vgg19_features(s, input(s, in, 3), width, feature);
    for (int i = 0; i < VGG_FEATURES; i++)
        nn_output(s->g, nn_graph_status(s->g, NULL) ? -1 : feature[i]);
    return nn_graph_status(s->g, e);
}

/* ---- ResNets ---- */

/* ResNetDepth is told by its planes: three colours and one for each point. */
static bool is_depth_info(const struct resnet_info *r)
{
    return r->head == RESNET_CLASSES && r->spec.bottleneck && r->classes > 3 &&
           r->channels == r->classes + 3;
}

static bool is_depth(const struct safetensors *w, const char *prefix)
{
    struct resnet_info r;
    return resnet_read(w, prefix, &r, NULL) == OK && is_depth_info(&r);
}

static bool is_discriminator(const struct safetensors *w, const char *prefix)
{
    struct resnet_info r;
    return resnet_read(w, prefix, &r, NULL) == OK &&
           r.head == RESNET_DISCRIMINATOR;
}

static bool is_resnet(const struct safetensors *w, const char *prefix,
                      const struct resnet_spec *p)
{
    struct resnet_info r;
    return resnet_read(w, prefix, &r, NULL) == OK && !is_depth_info(&r) &&
           r.head != RESNET_DISCRIMINATOR &&
           r.spec.bottleneck == p->bottleneck &&
           !memcmp(r.spec.blocks, p->blocks, sizeof p->blocks);
}

static bool is_resnet_18(const struct safetensors *w, const char *prefix)
{
    return is_resnet(w, prefix, &resnet_18);
}

static bool is_resnet_34(const struct safetensors *w, const char *prefix)
{
    return is_resnet(w, prefix, &resnet_34);
}

static bool is_resnet_50(const struct safetensors *w, const char *prefix)
{
    return is_resnet(w, prefix, &resnet_50);
}

/* One with the head of `usual`, or that of the file; a discriminator has its
 * own whatever the file holds. */
static enum err_code build_head(const struct nn_scope *s, struct nn_shape in,
                                const struct safetensors *w, const char *prefix,
                                struct resnet_info usual, struct err *e)
{
    struct resnet_info r = usual;
    enum err_code code = w ? resnet_read(w, prefix, &r, e) : OK;
    if (code)
        return code;
    int x = input(s, in, w ? r.channels : 0);
    if (usual.head == RESNET_DISCRIMINATOR || r.head == RESNET_DISCRIMINATOR)
        x = resnet_discriminator(s, x, &r.spec, 0.5);
    else if (r.head == RESNET_CLASSES)
        x = resnet_classifier(s, x, &r.spec, r.classes);
    else
        x = resnet_embedding(s, x, &r.spec);
    return finish(s, x, e);
}

static enum err_code build_resnet_18(const struct nn_scope *s,
                                     struct nn_shape in,
                                     const struct safetensors *w,
                                     const char *prefix, struct err *e)
{
    struct resnet_info usual = {
        .spec = resnet_18, .head = RESNET_CLASSES, .classes = CLASSES_IMAGENET};
    return build_head(s, in, w, prefix, usual, e);
}

static enum err_code build_resnet_34(const struct nn_scope *s,
                                     struct nn_shape in,
                                     const struct safetensors *w,
                                     const char *prefix, struct err *e)
{
    struct resnet_info usual = {
        .spec = resnet_34, .head = RESNET_CLASSES, .classes = CLASSES_VOX};
    return build_head(s, in, w, prefix, usual, e);
}

static enum err_code build_resnet_50(const struct nn_scope *s,
                                     struct nn_shape in,
                                     const struct safetensors *w,
                                     const char *prefix, struct err *e)
{
    struct resnet_info usual = {
        .spec = resnet_50, .head = RESNET_CLASSES, .classes = CLASSES_IMAGENET};
    return build_head(s, in, w, prefix, usual, e);
}

static enum err_code build_discriminator(const struct nn_scope *s,
                                         struct nn_shape in,
                                         const struct safetensors *w,
                                         const char *prefix, struct err *e)
{
    struct resnet_info usual = {.spec = resnet_18,
                                .head = RESNET_DISCRIMINATOR};
    return build_head(s, in, w, prefix, usual, e);
}

static enum err_code build_depth(const struct nn_scope *s, struct nn_shape in,
                                 const struct safetensors *w,
                                 const char *prefix, struct err *e)
{
    struct resnet_info r = {.spec = resnet_depth_spec, .classes = 68};
    enum err_code code = w ? resnet_read(w, prefix, &r, e) : OK;
    if (code)
        return code;
    int x = input(s, in, w ? r.channels : 0);
    return finish(s, resnet_depth(s, x, &r.spec, r.classes), e);
}

/* ---- lifting ---- */

static bool is_lift(const struct safetensors *w, const char *prefix)
{
    struct lift_spec p;
    return lift_read_under(w, prefix, &p, NULL) == OK;
}

static enum err_code build_lift(const struct nn_scope *s, struct nn_shape in,
                                const struct safetensors *w, const char *prefix,
                                struct err *e)
{
    /* models/lift-384.md */
    struct lift_spec p = {
        .width = 384, .blocks = 4, .codes = 48, .nodes = HEAD_MAP_NODES};
    struct lift_out out;
    enum err_code r = w ? lift_read_under(w, prefix, &p, e) : OK;
    if (r)
        return r;
    if (lift_net(s, input(s, in, 2 * LIFT_POINTS), &p, &out)) {
        nn_output(s->g, out.points);
        nn_output(s->g, out.rotation);
        nn_output(s->g, out.near);
        nn_output(s->g, out.head);
    }
    return nn_graph_status(s->g, e);
}

/* ---- the table ---- */

/* anchor: a tensor that every file of this network has, by which prefixes are
 * found. */
static const struct entry {
    struct model model;
    const char *anchor;
} table[] = {
    {{"fan",
      "face alignment network, heatmaps of 68 points (Bulat 2017; "
      "1adrianb/face-alignment)",
      {3, 256, 256},
      is_fan,
      build_fan},
     "conv_last0.weight"},
    {{"resnet-depth",
      "depth of 68 points from crop and heatmaps (1adrianb/face-alignment)",
      {71, 256, 256},
      is_depth,
      build_depth},
     "layer1.0.conv1.weight"},
    {{"s3fd",
      "face detector, scores and boxes at six strides (Zhang 2017; "
      "1adrianb/face-alignment)",
      {3, 480, 640},
      is_s3fd,
      build_s3fd},
     "conv1_1.weight"},
    {{"face-detector",
      "our face detector, scores and boxes at three strides (after FCOS, Tian "
      "2019)",
      {3, 320, 320},
      is_detector,
      build_detector},
     "stem1.weight"},
    {{"global-generator",
      "pose2pose's generator: frame and pose picture to frame (Wang 2018; "
      "IQTLabs/3-D_DataAugmentation)",
      {6, 224, 224},
      is_generator,
      build_generator},
     "model.1.weight"},
    {{"unet",
      "U-Net (Ronneberger 2015; milesial/Pytorch-UNet)",
      {6, 224, 224},
      is_unet,
      build_unet},
     "inc.double_conv.0.weight"},
    {{"patch-gan",
      "discriminator of patches (Isola 2017; pix2pix)",
      {3, 224, 224},
      is_patch_gan,
      build_patch_gan},
     "model.0.weight"},
    {{"discriminator",
      "pose2pose's discriminator: ResNet-18 to one logit "
      "(IQTLabs/3-D_DataAugmentation)",
      {3, 224, 224},
      is_discriminator,
      build_discriminator},
     "layer1.0.conv1.weight"},
    {{"resnet-18",
      "classifier or embedding (He 2016; torchvision)",
      {3, 224, 224},
      is_resnet_18,
      build_resnet_18},
     "layer1.0.conv1.weight"},
    {{"resnet-34",
      "classifier or embedding; pose2pose's identity net (He 2016; "
      "torchvision)",
      {3, 224, 224},
      is_resnet_34,
      build_resnet_34},
     "layer1.0.conv1.weight"},
    {{"resnet-50",
      "classifier or embedding (He 2016; torchvision)",
      {3, 224, 224},
      is_resnet_50,
      build_resnet_50},
     "layer1.0.conv1.weight"},
    {{"vgg-19",
      "features relu1_1 to relu5_1 (Simonyan 2015; torchvision)",
      {3, 224, 224},
      is_vgg,
      build_vgg},
     "features.0.weight"},
    {{"lift",
      "68 picture points to 3-D points, pose and head surface (ours; blocks "
      "of Martinez 2017)",
      {2 * LIFT_POINTS, 1, 1},
      is_lift,
      build_lift},
     "in.weight"},
};

size_t model_count(void)
{
    return sizeof table / sizeof *table;
}

const struct model *model_at(size_t i)
{
    return i < model_count() ? &table[i].model : NULL;
}

const struct model *model_find(const char *name)
{
    for (size_t i = 0; i < model_count(); i++) {
        if (!strcmp(table[i].model.name, name))
            return &table[i].model;
    }
    return NULL;
}

/* What stands before the anchor in a tensor's name, if it is a prefix: "" or
 * something that ends in a dot. */
static bool prefix_of(const char *name, const char *anchor, char *prefix,
                      size_t n)
{
    size_t all = strlen(name), tail = strlen(anchor);
    if (all < tail || strcmp(name + all - tail, anchor) != 0)
        return false;
    size_t len = all - tail;
    if (len >= n || (len && name[len - 1] != '.'))
        return false;
    memcpy(prefix, name, len);
    prefix[len] = 0;
    return true;
}

size_t model_recognise_all(const struct safetensors *w, struct model_found *out,
                           size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < model_count() && n < max; i++) {
        for (size_t k = 0; k < safetensors_count(w) && n < max; k++) {
            struct model_found *f = &out[n];
            if (!prefix_of(safetensors_at(w, k).name, table[i].anchor,
                           f->prefix, sizeof f->prefix) ||
                !table[i].model.matches(w, f->prefix))
                continue;
            f->model = &table[i].model;
            n++;
        }
    }
    return n;
}

const struct model *model_recognise(const struct safetensors *w, char *prefix,
                                    size_t n)
{
    struct model_found f;
    if (!model_recognise_all(w, &f, 1) || strlen(f.prefix) >= n)
        return NULL;
    snprintf(prefix, n, "%s", f.prefix);
    return f.model;
}
