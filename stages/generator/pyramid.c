/* A picture and its halves: built by the binomial filter 1 3 3 1. */
#include "stages/generator/pyramid.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"

/* Halve one level: rows first into a temporary, then columns. */
static struct tensor *halve(const struct sample_source *s, struct err *e)
{
    int64_t w = (s->width + 1) / 2, h = (s->height + 1) / 2;
    const int64_t shape[3] = {h, w, 3};
    static const int tap[4] = {1, 3, 3, 1};
    struct tensor *t = tensor_new(DT_U8, 3, shape, e);
    uint16_t *line = t ? mem_array((size_t)s->width * 3, sizeof *line) : NULL;

    if (!line) {
        tensor_free(&t);
        (void)err_set(e, ERR_NOMEM, "no memory for a picture pyramid");
        return NULL;
    }
    for (int64_t y = 0; y < h; y++) {
        memset(line, 0, (size_t)s->width * 3 * sizeof *line);
        for (int k = 0; k < 4; k++) {
            int64_t sy = sample_reflect(2 * y + k - 1, s->height);
            const uint8_t *row = s->rgb + sy * s->width * 3;

            for (int64_t i = 0; i < s->width * 3; i++)
                line[i] = (uint16_t)(line[i] + tap[k] * row[i]);
        }
        uint8_t *out = tensor_u8(t) + y * w * 3;

        for (int64_t x = 0; x < w; x++)
            for (int c = 0; c < 3; c++) {
                int sum = 32;

                for (int k = 0; k < 4; k++) {
                    int64_t sx = sample_reflect(2 * x + k - 1, s->width);

                    sum += tap[k] * line[sx * 3 + c];
                }
                out[x * 3 + c] = (uint8_t)(sum / 64);
            }
    }
    mem_free(line);
    return t;
}

enum err_code pyramid_init(struct pyramid *p, struct tensor *frame,
                           struct err *e)
{
    memset(p, 0, sizeof *p);
    p->data[0] = tensor_ref(frame);
    p->n = 1;
    for (int k = 0;; k++) {
        struct tensor *t = p->data[k];
        struct sample_source *s = &p->level[k];

        s->rgb = tensor_u8(t);
        s->height = t->shape[0];
        s->width = t->shape[1];
        if (k + 1 == PYRAMID_LEVELS || (s->width < 2 && s->height < 2))
            return OK;
        p->data[k + 1] = halve(s, e);
        if (!p->data[k + 1]) {
            pyramid_free(p);
            return ERR_NOMEM;
        }
        p->n = k + 2;
    }
}

void pyramid_free(struct pyramid *p)
{
    for (int k = 0; k < PYRAMID_LEVELS; k++)
        tensor_free(&p->data[k]);
    p->n = 0;
}

static void sample_level(const struct pyramid *p, int k, float x, float y,
                         float rgb[3])
{
    float f = 1.0f / (float)(1 << k);

    sample_bilinear(&p->level[k], (x + 0.5f) * f - 0.5f, (y + 0.5f) * f - 0.5f,
                    rgb);
}

void pyramid_sample(const struct pyramid *p, float x, float y, float lod,
                    float rgb[3])
{
    float last = (float)(p->n - 1);

    lod = fminf(fmaxf(lod, 0.0f), last);
    int k = (int)lod;
    float t = lod - (float)k;

    sample_level(p, k, x, y, rgb);
    if (t > 0.0f && k + 1 < p->n) {
        float up[3];

        sample_level(p, k + 1, x, y, up);
        for (int c = 0; c < 3; c++)
            rgb[c] += t * (up[c] - rgb[c]);
    }
}
