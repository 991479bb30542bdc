/* GlobalGenerator from layers. */
#include "lib/models/global_generator.h"

#include <stdio.h>

#define MAX_DOWN 8
#define MAX_BLOCKS 256

/* Writing nn.Sequential: `at` is the index of the next module. */
struct sequence {
    struct nn_scope s;
    int at;
    enum part_norm norm;
};

static int pad(const struct nn_scope *s, int x, int64_t n)
{
    return nn_pad(s->g, x, NN_PAD_REFLECT, n, n, n, n);
}

static int conv(struct sequence *q, int x, const struct nn_conv_layer *c)
{
    char name[16];
    snprintf(name, sizeof name, "%d", q->at++);
    return nn_conv_layer(&q->s, x, name, c);
}

static int norm(struct sequence *q, int x)
{
    char name[16];
    snprintf(name, sizeof name, "%d", q->at++);
    return part_norm(&q->s, x, name, q->norm, 0);
}

static int relu(struct sequence *q, int x)
{
    q->at++;
    return nn_relu(q->s.g, x);
}

static int reflect(struct sequence *q, int x, int64_t n)
{
    q->at++;
    return pad(&q->s, x, n);
}

static int residual(struct sequence *q, int x)
{
    struct nn_scope block = nn_sub(&q->s, "%d.conv_block", q->at++);
    struct sequence b = {.s = block, .norm = q->norm};
    struct nn_conv_layer c = {.out = nn_graph_shape(block.g, x).c, .kernel = 3};
    int y = conv(&b, reflect(&b, x, 1), &c);
    y = relu(&b, norm(&b, y));
    y = norm(&b, conv(&b, reflect(&b, y, 1), &c));
    return nn_add(block.g, x, y);
}

static int given(int value, int published)
{
    return value < 0 ? 0 : value ? value : published;
}

int global_generator(const struct nn_scope *s, int x,
                     const struct global_generator_spec *spec)
{
    struct nn_shape in = nn_graph_shape(s->g, x);
    int64_t width = given(spec->width, 64);
    int down = given(spec->down, 3), blocks = given(spec->blocks, 9);
    if (width < 1 || down > MAX_DOWN || blocks > MAX_BLOCKS ||
        width << down > PARTS_MAX_WIDTH || spec->out < 0)
        return part_fail(s->g,
                         "GlobalGenerator: width %d, %d halvings, %d blocks",
                         spec->width, down, blocks);
    if (in.h % (1 << down) || in.w % (1 << down))
        return part_fail(s->g,
                         "GlobalGenerator: %lld x %lld is no multiple of %d",
                         (long long)in.h, (long long)in.w, 1 << down);
    struct sequence q = {.s = nn_sub(s, "model"), .norm = spec->norm};
    struct nn_conv_layer wide = {.out = width, .kernel = 7};
    x = reflect(&q, x, 3);
    x = relu(&q, norm(&q, conv(&q, x, &wide)));
    for (int i = 1; i <= down; i++) {
        struct nn_conv_layer c = {
            .out = width << i, .kernel = 3, .stride = 2, .pad = 1};
        x = relu(&q, norm(&q, conv(&q, x, &c)));
    }
    for (int i = 0; i < blocks; i++)
        x = residual(&q, x);
    for (int i = down; i > 0; i--) {
        struct nn_conv_layer c = {.out = width << (i - 1),
                                  .kernel = 3,
                                  .stride = 2,
                                  .pad = 1,
                                  .transposed = true,
                                  .output_pad = 1};
        x = relu(&q, norm(&q, conv(&q, x, &c)));
    }
    wide.out = given(spec->out, 3);
    x = reflect(&q, x, 3);
    return nn_tanh(s->g, conv(&q, x, &wide));
}

enum err_code global_generator_read(const struct safetensors *w,
                                    const char *prefix,
                                    struct global_generator_spec *spec,
                                    int *channels, struct err *e)
{
    struct global_generator_spec p = {
        .width = part_dim(w, prefix, "model.1.weight", 4, 0),
        .norm = part_norm_read(w, prefix, "model.2")};
    char name[64];
    int at = 4;
    for (; p.down < MAX_DOWN; p.down++, at += 3) {
        snprintf(name, sizeof name, "model.%d.weight", at);
        if (part_dim(w, prefix, name, 4, 0) != p.width << (p.down + 1))
            break;
    }
    p.blocks =
        part_count(w, prefix, "model.", ".conv_block.1.weight", at, MAX_BLOCKS);
    snprintf(name, sizeof name, "model.%d.weight",
             at + p.blocks + 3 * p.down + 1);
    p.out = part_dim(w, prefix, name, 4, 0);
    *channels = part_dim(w, prefix, "model.1.weight", 4, 1);
    if (!p.width || !p.out || p.norm == PART_GROUP ||
        part_dim(w, prefix, "model.1.weight", 4, 2) != 7 ||
        part_dim(w, prefix, name, 4, 2) != 7)
        return err_set(e, ERR_DATA,
                       "'%s' holds no GlobalGenerator: %smodel.1.weight and "
                       "%s%s, both 7x7, are needed",
                       safetensors_origin(w), prefix, prefix, name);
    p.down = p.down ? p.down : -1;
    p.blocks = p.blocks ? p.blocks : -1;
    *spec = p;
    return OK;
}
