/* S3FD from layers: VGG-16's trunk, extra layers, heads. */
#include "lib/models/s3fd.h"

#include <stdio.h>

#include "lib/models/parts.h"

#define L2_EPS 1e-10 /* added to the root */

static int conv_relu(const struct nn_scope *s, int x, const char *name,
                     int64_t out, int64_t kernel, int64_t stride, int64_t pad)
{
    struct nn_conv_layer c = {
        .out = out, .kernel = kernel, .stride = stride, .pad = pad};
    return nn_relu(s->g, nn_conv_layer(s, x, name, &c));
}

/* conv<i>_1 .. conv<i>_<n>, each 3x3 with ReLU. */
static int convs(const struct nn_scope *s, int x, int i, int n, int64_t out)
{
    for (int k = 1; k <= n; k++) {
        char name[16];
        snprintf(name, sizeof name, "conv%d_%d", i, k);
        x = conv_relu(s, x, name, out, 3, 1, 1);
    }
    return x;
}

static int half(const struct nn_scope *s, int x)
{
    return nn_max_pool(s->g, x, &(struct nn_pool_spec){.kernel = 2});
}

static int l2_norm(const struct nn_scope *s, int x, const char *name,
                   double scale)
{
    struct nn_scope n = nn_sub(s, "%s", name);
    struct nn_init_spec fill = {NN_INIT_FILL, scale};
    int64_t c = nn_graph_shape(s->g, x).c;
    if (x < 0)
        return -1;
    struct nn_param *w = nn_layer_param(&n, "weight", 1, &c, fill);
    return w ? nn_l2_norm(s->g, x, w, L2_EPS, true) : -1;
}

static int larger(struct nn_graph *g, int a, int b)
{
    return nn_add(g, a, nn_relu(g, nn_add(g, b, nn_scale(g, a, -1, 0))));
}

/* Of three background planes the largest, then the face. */
static int max_out(struct nn_graph *g, int x)
{
    int b = larger(g, nn_slice(g, x, 0, 1), nn_slice(g, x, 1, 1));
    int part[2] = {larger(g, b, nn_slice(g, x, 2, 1)), nn_slice(g, x, 3, 1)};
    return nn_concat(g, part, 2);
}

static struct s3fd_level head(const struct nn_scope *s, int x, const char *name,
                              int64_t scores)
{
    struct nn_scope h = nn_sub(s, "%s_mbox_conf", name);
    struct nn_conv_layer c = {.out = scores, .kernel = 3, .pad = 1};
    struct s3fd_level level;
    level.score = nn_conv_layer(&h, x, "", &c);
    h = nn_sub(s, "%s_mbox_loc", name);
    c.out = 4;
    level.box = nn_conv_layer(&h, x, "", &c);
    return level;
}

int s3fd(const struct nn_scope *s, int x, int width,
         struct s3fd_level level[S3FD_LEVELS])
{
    int64_t w = width ? width : 64;
    if (w < 1 || w > PARTS_MAX_WIDTH / 16)
        return part_fail(s->g, "S3FD: width %d", width);
    x = half(s, convs(s, x, 1, 2, w));
    x = half(s, convs(s, x, 2, 2, 2 * w));
    int c3 = convs(s, x, 3, 3, 4 * w);
    int c4 = convs(s, half(s, c3), 4, 3, 8 * w);
    int c5 = convs(s, half(s, c4), 5, 3, 8 * w);
    x = conv_relu(s, half(s, c5), "fc6", 16 * w, 3, 1, 3);
    int c7 = conv_relu(s, x, "fc7", 16 * w, 1, 1, 0);
    x = conv_relu(s, c7, "conv6_1", 4 * w, 1, 1, 0);
    int c62 = conv_relu(s, x, "conv6_2", 8 * w, 3, 2, 1);
    x = conv_relu(s, c62, "conv7_1", 2 * w, 1, 1, 0);
    int c72 = conv_relu(s, x, "conv7_2", 4 * w, 3, 2, 1);
    c3 = l2_norm(s, c3, "conv3_3_norm", 10);
    c4 = l2_norm(s, c4, "conv4_3_norm", 8);
    c5 = l2_norm(s, c5, "conv5_3_norm", 5);
    level[0] = head(s, c3, "conv3_3_norm", 4);
    level[0].score = max_out(s->g, level[0].score);
    level[1] = head(s, c4, "conv4_3_norm", 2);
    level[2] = head(s, c5, "conv5_3_norm", 2);
    level[3] = head(s, c7, "fc7", 2);
    level[4] = head(s, c62, "conv6_2", 2);
    level[5] = head(s, c72, "conv7_2", 2);
    return nn_graph_status(s->g, NULL) ? -1 : 0;
}

enum err_code s3fd_read(const struct safetensors *w, const char *prefix,
                        int *width, struct err *e)
{
    *width = part_dim(w, prefix, "conv1_1.weight", 4, 0);
    if (!*width || *width > PARTS_MAX_WIDTH / 16 ||
        part_dim(w, prefix, "conv3_3_norm.weight", 1, 0) != 4 * *width ||
        !part_has(w, prefix, "conv7_2_mbox_loc.weight"))
        return err_set(e, ERR_DATA,
                       "'%s' holds no S3FD: %sconv1_1, conv3_3_norm and "
                       "conv7_2_mbox_loc are needed",
                       safetensors_origin(w), prefix);
    return OK;
}
