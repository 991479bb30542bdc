/* The picture without the head: filled in from around it. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "stages/generator/matte_internal.h"

#define LEVELS 16
#define EVEN_ROUNDS 24
/* Width of the head's fringe (hair), head units. */
static const double fringe = 0.1;

/* Levels of r, g, b (times weight) and weight, each half the one before. */
struct fill {
    float (*to)[2]; /* per pixel of level 0: shift to its reflection */
    float margin;   /* of the head's edge, level pixels */
    int n, width[LEVELS], height[LEVELS];
    float (*at[LEVELS])[4];
};

static enum err_code fill_init(struct fill *f, const struct matte *m,
                               struct err *e)
{
    int w = m->width, h = m->height;

    f->to = mem_calloc((size_t)w * (size_t)h, sizeof *f->to);
    if (!f->to)
        return err_set(e, ERR_NOMEM, "no memory for a background");
    for (f->n = 0; f->n < LEVELS; f->n++) {
        f->width[f->n] = w;
        f->height[f->n] = h;
        f->at[f->n] = mem_calloc((size_t)w * (size_t)h, sizeof(float[4]));
        if (!f->at[f->n])
            return err_set(e, ERR_NOMEM, "no memory for a background");
        if (w == 1 && h == 1) {
            f->n++;
            break;
        }
        w = (w + 1) / 2;
        h = (h + 1) / 2;
    }
    return OK;
}

/* Sums over 2 x 2, with weights held at 1. */
static void pull(const struct fill *f, int k)
{
    int w = f->width[k];

    for (int y = 0; y < f->height[k]; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < 4; c++)
                f->at[k + 1][y / 2 * f->width[k + 1] + x / 2][c] +=
                    f->at[k][y * w + x][c];
    for (int i = 0; i < f->width[k + 1] * f->height[k + 1]; i++) {
        float *p = f->at[k + 1][i];
        float down = p[3] > 1.0f ? 1.0f / p[3] : 1.0f;

        for (int c = 0; c < 4; c++)
            p[c] *= down;
    }
}

/* What a level lacks in weight comes from the coarser one. */
static void push(const struct fill *f, int k)
{
    int w = f->width[k], cw = f->width[k + 1], ch = f->height[k + 1];

    for (int y = 0; y < f->height[k]; y++)
        for (int x = 0; x < w; x++) {
            float *p = f->at[k][y * w + x];
            float u = 0.5f * (float)x - 0.25f, v = 0.5f * (float)y - 0.25f;

            u = fminf(fmaxf(u, 0.0f), (float)(cw - 1));
            v = fminf(fmaxf(v, 0.0f), (float)(ch - 1));
            int c0 = (int)u, r0 = (int)v;
            int c1 = c0 + 1 < cw ? c0 + 1 : c0, r1 = r0 + 1 < ch ? r0 + 1 : r0;
            float fu = u - (float)c0, fv = v - (float)r0;

            for (int c = 0; p[3] < 1.0f && c < 3; c++) {
                float top = f->at[k + 1][r0 * cw + c0][c] * (1.0f - fu) +
                            f->at[k + 1][r0 * cw + c1][c] * fu;
                float low = f->at[k + 1][r1 * cw + c0][c] * (1.0f - fu) +
                            f->at[k + 1][r1 * cw + c1][c] * fu;

                p[c] += (1.0f - p[3]) * (top + fv * (low - top));
            }
            p[3] = 1.0f;
        }
}

/* Shifts to the nearest known pixel (weight 1), by two double sweeps as in
 * Danielsson 1980; doubled they reflect at it. Then evened out. */
static void reflect(const struct fill *f, float (*tmp)[2])
{
    static const int nb[2][4][2] = {{{-1, 0}, {-1, -1}, {0, -1}, {1, -1}},
                                    {{1, 0}, {1, 1}, {0, 1}, {-1, 1}}};
    int w = f->width[0], h = f->height[0];

    for (int i = 0; i < w * h; i++)
        f->to[i][0] = f->to[i][1] = f->at[0][i][3] > 0.0f ? 0.0f : 1e6f;
    for (int k = 0; k < 4 * w * h; k++) {
        int dir = k / (w * h) & 1;
        int i = dir ? w * h - 1 - k % (w * h) : k % (w * h);

        for (int j = 0; j < 4; j++) {
            int x = i % w + nb[dir][j][0], y = i / w + nb[dir][j][1];

            if (x < 0 || y < 0 || x >= w || y >= h)
                continue;
            float u = f->to[y * w + x][0] + (float)nb[dir][j][0];
            float v = f->to[y * w + x][1] + (float)nb[dir][j][1];

            if (u * u + v * v <
                f->to[i][0] * f->to[i][0] + f->to[i][1] * f->to[i][1]) {
                f->to[i][0] = u;
                f->to[i][1] = v;
            }
        }
    }
    for (int round = 0; round < EVEN_ROUNDS; round++) {
        memcpy(tmp, f->to, (size_t)(w * h) * sizeof *tmp);
        for (int y = 1; y + 1 < h; y++)
            for (int x = 1; x + 1 < w; x++)
                for (int c = 0; c < 2; c++) {
                    int i = y * w + x;

                    if (!(f->at[0][i][3] > 0.0f))
                        f->to[i][c] = 0.25f * (tmp[i - 1][c] + tmp[i + 1][c] +
                                               tmp[i - w][c] + tmp[i + w][c]);
                }
    }
}

/* k values of a level's pixels between them, at (x,y) of the picture. */
static void between(const struct matte *m, const float *value, int k, int64_t x,
                    int64_t y, int n, float *out)
{
    float scale = 1.0f / (float)(1 << m->level);
    float u = ((float)x + 0.5f) * scale - 0.5f - (float)m->x0;
    float v = ((float)y + 0.5f) * scale - 0.5f - (float)m->y0;

    u = fminf(fmaxf(u, 0.0f), (float)(m->width - 1));
    v = fminf(fmaxf(v, 0.0f), (float)(m->height - 1));
    int c0 = (int)u, r0 = (int)v;
    int c1 = c0 + 1 < m->width ? c0 + 1 : c0;
    int r1 = r0 + 1 < m->height ? r0 + 1 : r0;
    float fu = u - (float)c0, fv = v - (float)r0;

    for (int c = 0; c < n; c++) {
        float top = value[(r0 * m->width + c0) * k + c] * (1.0f - fu) +
                    value[(r0 * m->width + c1) * k + c] * fu;
        float low = value[(r1 * m->width + c0) * k + c] * (1.0f - fu) +
                    value[(r1 * m->width + c1) * k + c] * fu;

        out[c] = top + fv * (low - top);
    }
}

/* The colour that fills pixel (x,y). */
static void fill_colour(const struct fill *f, const struct matte *m,
                        const struct pyramid *p, double unit_px, int64_t x,
                        int64_t y, float rgb[3])
{
    float scale = (float)(1 << m->level), to[2], far[3];

    between(m, &f->at[0][0][0], 4, x, y, 3, rgb);
    between(m, &f->to[0][0], 2, x, y, 2, to);
    double depth = hypot((double)to[0], (double)to[1]) * (double)scale;
    float u = (float)x + 2.0f * scale * to[0];
    float v = (float)y + 2.0f * scale * to[1];
    float share = 1.0f - matte_step(0.2, 0.6, depth / unit_px);
    float right = (float)p->level[0].width - 1.0f;
    float under = (float)p->level[0].height - 1.0f;

    if (!(share > 0.0f) || u < 0.0f || v < 0.0f || u > right || v > under)
        return;
    share *= 1.0f - fminf(4.0f * matte_at(m, u, v), 1.0f);
    if (!(share > 0.0f))
        return;
    sample_bilinear(&p->level[0], u, v, far);
    for (int c = 0; c < 3; c++)
        rgb[c] += share * (far[c] - rgb[c]);
}

/* The filling over the picture, by alpha. */
static void paint(const struct fill *f, const struct matte *m,
                  const struct pyramid *p, double unit_px, struct tensor *img)
{
    int64_t w = img->shape[1], scale = 1 << m->level;
    int64_t x1 = (m->x0 + m->width) * scale, y1 = (m->y0 + m->height) * scale;

    x1 = x1 < w ? x1 : w;
    y1 = y1 < img->shape[0] ? y1 : img->shape[0];
    for (int64_t y = m->y0 * scale; y < y1; y++)
        for (int64_t x = m->x0 * scale; x < x1; x++) {
            /* a place near the head holds some of its colour */
            float a = fminf(4.0f * matte_at(m, (float)x, (float)y), 1.0f);
            uint8_t *q = tensor_u8(img) + (y * w + x) * 3;
            float rgb[3];

            if (!(a > 0.0f))
                continue;
            fill_colour(f, m, p, unit_px, x, y, rgb);
            for (int c = 0; c < 3; c++) {
                float own = (float)q[c] + a * (rgb[c] - (float)q[c]);

                q[c] = (uint8_t)(fminf(fmaxf(own, 0.0f), 255.0f) + 0.5f);
            }
        }
}

/* Weight 1 for what is background and not next to the head, whose fringe it
 * would hold. */
static void take_known(const struct fill *f, const struct matte *m,
                       const uint8_t *rgb)
{
    int reach = (int)f->margin, w = m->width, h = m->height;

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float most = 0.0f;
            int y1 = y + reach < h ? y + reach : h - 1;
            int x1 = x + reach < w ? x + reach : w - 1;

            for (int v = y > reach ? y - reach : 0; v <= y1; v++)
                for (int u = x > reach ? x - reach : 0; u <= x1; u++)
                    most = fmaxf(most, m->alpha[v * w + u]);
            if (most > 0.0f)
                continue;
            float *to = f->at[0][y * w + x];

            for (int c = 0; c < 3; c++)
                to[c] = (float)rgb[3 * (y * w + x) + c];
            to[3] = 1.0f;
        }
}

/* What stands out from the filled background in the fringe are strands of
 * hair: they move with the head. */
static void take_strands(const struct fill *f, struct matte *m,
                         const uint8_t *rgb)
{
    for (int i = 0; i < m->width * m->height; i++) {
        double d = 0.0;

        if (f->to[i][0] == 0.0f && f->to[i][1] == 0.0f)
            continue; /* far from the head */
        for (int c = 0; c < 3; c++)
            d = fmax(d, fabs((double)f->at[0][i][c] - (double)rgb[3 * i + c]));
        m->alpha[i] = fmaxf(m->alpha[i], matte_step(16.0, 64.0, d));
    }
}

enum err_code matte_ground(struct matte *m, const struct pyramid *p,
                           double unit_px, struct err *e)
{
    size_t n = (size_t)m->width * (size_t)m->height;
    struct fill f = {0};
    float(*tmp)[2] = mem_array(n, sizeof *tmp);
    enum err_code rc = tmp ? fill_init(&f, m, e)
                           : err_set(e, ERR_NOMEM,
                                     "no memory for a "
                                     "background");

    if (rc == OK) {
        f.margin = (float)(fringe * unit_px / (1 << m->level));
        take_known(&f, m, m->rgb);
        reflect(&f, tmp);
        for (int k = 0; k + 1 < f.n; k++)
            pull(&f, k);
        for (int k = f.n - 2; k >= 0; k--)
            push(&f, k);
        take_strands(&f, m, m->rgb);
        struct tensor *img = tensor_copy(p->data[0], e);

        rc = img ? OK : ERR_NOMEM;
        if (img) {
            paint(&f, m, p, unit_px, img);
            rc = pyramid_init(&m->ground, img, e);
        }
        tensor_free(&img);
    }
    for (int k = 0; k < LEVELS; k++)
        mem_free(f.at[k]);
    mem_free(f.to);
    mem_free(tmp);
    return rc;
}
