/* FAN weights and pictures made from names alone. */
#include "tests/support/fan_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct maker {
    struct buf *head, data;
    size_t n;
    int bad;
};

uint64_t name_seed(const char *name)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001B3u;
    return h;
}

float hashed_uniform(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)(z >> 40) * 0x1p-24F;
}

void noise_crop(const char *name, float *crop)
{
    uint64_t s = name_seed(name);
    for (uint64_t i = 0; i < 3 * 65536; i++) {
        uint64_t c = i >> 16, y = i >> 8 & 248, x = i & 248;
        float coarse = hashed_uniform(s, c << 16 | y << 8 | x) * 0.75F;
        float fine = hashed_uniform(s, i) * 0.25F;
        crop[i] = coarse + fine;
    }
}

static void add(struct maker *m, const char *name, int ndim, int o, int in,
                int k)
{
    size_t n = (size_t)o * (ndim == 4 ? (size_t)(in * k * k) : 1);
    size_t at = m->data.len, len = strlen(name);
    float *v = buf_reserve(&m->data, n * sizeof *v, NULL);
    if (!v || buf_printf(m->head, NULL, "%s\"%s\":{\"dtype\":\"F32\",",
                         m->n++ ? "," : "{", name)) {
        m->bad = 1;
        return;
    }
    enum err_code r =
        ndim == 4
            ? buf_printf(m->head, NULL, "\"shape\":[%d,%d,%d,%d]", o, in, k, k)
            : buf_printf(m->head, NULL, "\"shape\":[%d]", o);
    if (r || buf_printf(m->head, NULL, ",\"data_offsets\":[%zu,%zu]}", at,
                        at + n * sizeof *v))
        m->bad = 1;
    uint64_t seed = name_seed(name);
    float gain = (float)sqrt(3.0 / (double)(in * k * k));
    const int is_var = len > 11 && strcmp(name + len - 11, "running_var") == 0;
    const int is_weight = strcmp(name + len - 6, "weight") == 0;
    for (size_t i = 0; i < n; i++) {
        float u = hashed_uniform(seed, i);
        v[i] = ndim == 4   ? (u * 2.0F - 1.0F) * gain
               : is_var    ? u + 0.5F
               : is_weight ? u * 0.5F + 0.75F
                           : u * 0.25F - 0.125F;
    }
    m->data.len += n * sizeof *v;
}

static void add_conv(struct maker *m, const char *p, int o, int i, int k,
                     int biased)
{
    char s[96];
    snprintf(s, sizeof s, "%s.weight", p);
    add(m, s, 4, o, i, k);
    snprintf(s, sizeof s, "%s.bias", p);
    if (biased)
        add(m, s, 1, o, 1, 1);
}

static void add_norm(struct maker *m, const char *p, int c)
{
    static const char *const part[] = {"weight", "bias", "running_mean",
                                       "running_var"};
    for (int i = 0; i < 4; i++) {
        char s[96];
        snprintf(s, sizeof s, "%s.%s", p, part[i]);
        add(m, s, 1, c, 1, 1);
    }
}

static void add_block(struct maker *m, const char *p, int i, int o)
{
    int width[4] = {i, o / 2, o / 4, o / 4};
    char s[80];
    for (int k = 0; k < 3; k++) {
        snprintf(s, sizeof s, "%s.bn%d", p, k + 1);
        add_norm(m, s, width[k]);
        snprintf(s, sizeof s, "%s.conv%d", p, k + 1);
        add_conv(m, s, width[k + 1], width[k], 3, 0);
    }
    if (i == o)
        return;
    snprintf(s, sizeof s, "%s.downsample.0", p);
    add_norm(m, s, i);
    snprintf(s, sizeof s, "%s.downsample.2", p);
    add_conv(m, s, o, i, 1, 0);
}

static void add_stack(struct maker *m, int k, int f, int last)
{
    static const char *const blocks[] = {
        "b1_4", "b2_4", "b3_4", "b1_3", "b2_3", "b3_3",     "b1_2",
        "b2_2", "b3_2", "b1_1", "b2_1", "b3_1", "b2_plus_1"};
    char s[48];
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        snprintf(s, sizeof s, "m%d.%s", k, blocks[i]);
        add_block(m, s, f, f);
    }
    snprintf(s, sizeof s, "top_m_%d", k);
    add_block(m, s, f, f);
    snprintf(s, sizeof s, "conv_last%d", k);
    add_conv(m, s, f, f, 1, 1);
    snprintf(s, sizeof s, "bn_end%d", k);
    add_norm(m, s, f);
    snprintf(s, sizeof s, "l%d", k);
    add_conv(m, s, 68, f, 1, 1);
    if (last)
        return;
    snprintf(s, sizeof s, "bl%d", k);
    add_conv(m, s, f, f, 1, 1);
    snprintf(s, sizeof s, "al%d", k);
    add_conv(m, s, f, 68, 1, 1);
}

int seeded_fan(int stacks, int features, struct buf *b)
{
    struct maker m = {.head = b};
    buf_init(b, (size_t)1 << 30);
    buf_init(&m.data, (size_t)1 << 30);
    m.bad = buf_put(b, "\0\0\0\0\0\0\0", 8, NULL) != OK;
    add_conv(&m, "conv1", 64, 3, 7, 1);
    add_norm(&m, "bn1", 64);
    add_block(&m, "conv2", 64, 128);
    add_block(&m, "conv3", 128, 128);
    add_block(&m, "conv4", 128, features);
    for (int k = 0; k < stacks; k++)
        add_stack(&m, k, features, k + 1 == stacks);
    if (!m.bad)
        m.bad = buf_puts(b, "}", NULL) != OK;
    while (!m.bad && b->len % 8)
        m.bad = buf_puts(b, " ", NULL) != OK;
    for (int i = 0; i < 8 && !m.bad; i++)
        b->data[i] = (uint8_t)((b->len - 8) >> (8 * i));
    if (!m.bad)
        m.bad = buf_put(b, m.data.data, m.data.len, NULL) != OK;
    buf_free(&m.data);
    return m.bad;
}
