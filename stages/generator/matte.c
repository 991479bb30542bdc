/* The still background behind a head: colour models of head and background, a
 * prior from the head's outline, and labels spread along smooth colour. The
 * scheme is GrabCut's (Rother, Kolmogorov, Blake 2004) with a diffusion (as in
 * random walks: Grady 2006) in place of the cut. */
#include "stages/generator/matte.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "stages/generator/matte_internal.h"

/* The work is done on the level where the head's unit is at most this, */
#define UNIT_PX 56.0
/* and where its part of the picture is less than this. */
#define MAX_PIXELS 40000.0
#define ROUNDS 3
#define SWEEPS 10
#define BINS 16
#define CELLS (BINS * BINS * BINS)
/* Pull of the colour model against the neighbours. */
static const float model_pull = 0.05f;
/* Below `sure` a place is background, above `moving` it moves in full. */
static const float sure = 0.12f, moving = 0.3f;
/* Head units from the head, above the chin: background, as a first guess and
 * for certain. */
static const double guess_from = 0.75, ground_from = 1.15;

float matte_step(double lo, double hi, double x)
{
    double t = fmin(fmax((x - lo) / (hi - lo), 0.0), 1.0);

    return (float)(t * t * (3.0 - 2.0 * t));
}

/* Half the width of what is too thin to be hair (head units). */
static const double thin = 0.075;

/* What the geometry says of one place. */
struct place {
    float prior;       /* that it is head */
    bool face, ground; /* certain */
    bool guess;        /* likely background */
};

static struct place place_at(const struct surface *s, const struct relief *g,
                             double x, double y)
{
    const float *chin = s->points[8];
    double down[2] = {s->pose.r[1], s->pose.r[4]};
    double len = fmax(hypot(down[0], down[1]), 1e-6);
    double px = (x - (double)chin[0]) / s->unit_px;
    double py = (y - (double)chin[1]) / s->unit_px;
    double below = (px * down[0] + py * down[1]) / len;
    double beside = fabs(px * down[1] - py * down[0]) / len;
    int c = (int)floor((x - g->x0) / g->step + 0.5);
    int r = (int)floor((y - g->y0) / g->step + 0.5);
    bool in = c >= 0 && r >= 0 && c < g->cols && r < g->rows;
    double d = in ? (double)g->beyond[r * g->cols + c] / s->unit_px : 9.0;
    /* hair hangs down, and stands up less */
    double hangs = (double)matte_step(-2.0, -1.0, below);
    double rest = 0.06 + 0.12 * hangs, reach = 0.45 + 0.3 * hangs;
    double near = 0.97 - (0.97 - rest) * (double)matte_step(0.0, reach, d);
    double body =
        0.5 + 0.45 * (1.0 - (double)matte_step(0.5 + 0.9 * below,
                                               0.9 + 0.9 * below, beside));
    double low = (double)matte_step(-0.3, 0.4, below);
    struct place p;

    p.prior = (float)(near + low * (fmax(body, near) - near));
    p.face = in && !(g->outside[r * g->cols + c] > 0.0f);
    p.ground = d > ground_from && below < -0.2;
    p.guess = d > guess_from && below < -0.2;
    return p;
}

/* One pixel's cell in a colour histogram. */
static int cell(const uint8_t *rgb)
{
    return (rgb[0] * BINS / 256 * BINS + rgb[1] * BINS / 256) * BINS +
           rgb[2] * BINS / 256;
}

/* Blur along one axis of the histogram: 1 2 1. */
static void blur_axis(float *hist, int stride, float *line)
{
    for (int at = 0; at < CELLS; at++) {
        int k = at / stride % BINS;

        line[at] = 0.5f * hist[at] + 0.25f * hist[k > 0 ? at - stride : at] +
                   0.25f * hist[k < BINS - 1 ? at + stride : at];
    }
    memcpy(hist, line, CELLS * sizeof *hist);
}

static void finish_histogram(float *hist, float *line)
{
    float sum = 0.0f;

    for (int i = 0; i < CELLS; i++)
        sum += hist[i];
    for (int i = 0; i < CELLS; i++)
        hist[i] /= fmaxf(sum, 1e-6f);
    for (int stride = 1; stride < CELLS; stride *= BINS)
        blur_axis(hist, stride, line);
    for (int i = 0; i < CELLS; i++) /* colours seen nowhere say nothing */
        hist[i] += 0.1f / CELLS;
}

/* Colour models from the labels so far. */
static void learn(struct matte_work *w)
{
    memset(w->hist, 0, 2 * CELLS * sizeof *w->hist);
    for (int i = 0; i < w->n; i++) {
        int c = cell(w->rgb + 3 * i);

        /* hair tells head from background better than skin does */
        float in = w->label[i] > 0.7f ? 1.0f : 0.0f;

        w->hist[c] += in * (w->fixed[i] ? 0.3f : 1.0f);
        w->hist[CELLS + c] += 1.0f - w->label[i];
    }
    finish_histogram(w->hist, w->hist + 2 * CELLS);
    finish_histogram(w->hist + CELLS, w->hist + 2 * CELLS);
}

/* What colour and place say together. */
static void judge(struct matte_work *w)
{
    for (int i = 0; i < w->n; i++) {
        int c = cell(w->rgb + 3 * i);
        float a = w->prior[i] * w->hist[c];
        float b = (1.0f - w->prior[i]) * w->hist[CELLS + c];

        w->model[i] = w->fixed[i] ? w->prior[i] : a / (a + b);
    }
}

/* Likeness of neighbours, to the right and below. */
static void link_pixels(struct matte_work *w)
{
    double sum = 0.0;

    for (int pass = 0; pass < 2; pass++) {
        double scale = -0.5 / (2.0 * sum / (2.0 * w->n) + 20.0);

        for (int i = 0; i < w->n; i++)
            for (int k = 0; k < 2; k++) {
                bool last = k ? i + w->width >= w->n : (i + 1) % w->width == 0;
                const uint8_t *a = w->rgb + 3 * i;
                const uint8_t *b = last ? a : a + 3 * (k ? w->width : 1);
                int d = 0;

                for (int c = 0; c < 3; c++)
                    d += (a[c] - b[c]) * (a[c] - b[c]);
                if (pass)
                    w->link[i][k] = last ? 0.0f : expf((float)(scale * d));
                else
                    sum += d;
            }
    }
}

static void spread_one(struct matte_work *w, int i)
{
    float pull = model_pull * w->model[i], sum = model_pull;

    if (w->fixed[i])
        return;
    const float like[4] = {
        w->link[i][0],
        w->link[i][1],
        i % w->width ? w->link[i - 1][0] : 0.0f,
        i >= w->width ? w->link[i - w->width][1] : 0.0f,
    };
    const int at[4] = {1, w->width, -1, -w->width};

    for (int k = 0; k < 4; k++)
        if (like[k] > 0.0f) {
            pull += like[k] * w->label[i + at[k]];
            sum += like[k];
        }
    w->label[i] = pull / sum;
}

static void spread(struct matte_work *w)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        for (int i = 0; i < w->n; i++)
            spread_one(w, i);
        for (int i = w->n - 1; i >= 0; i--)
            spread_one(w, i);
    }
}

/* Least (or with sign -1 greatest) value within reach along lines of n pixels
 * that are `stride` apart. */
static void sweep_least(const struct matte_work *w, float *v, int stride, int n,
                        int reach, float sign)
{
    int lines = w->n / n, next = stride == 1 ? w->width : 1;

    for (int k = 0; k < lines; k++) {
        float *line = v + (size_t)k * (size_t)next;

        for (int i = 0; i < n; i++) {
            int lo = i > reach ? i - reach : 0;
            int hi = i + reach < n ? i + reach : n - 1;
            float least = sign * line[(size_t)lo * (size_t)stride];

            for (int j = lo + 1; j <= hi; j++)
                least = fminf(least, sign * line[(size_t)j * (size_t)stride]);
            w->model[i] = sign * least;
        }
        for (int i = 0; i < n; i++)
            line[(size_t)i * (size_t)stride] = w->model[i];
    }
}

/* Thin things that reach out from the head (rails, twigs, wires behind it) are
 * not part of it: a grey opening. */
static void drop_thin(struct matte_work *w, int reach)
{
    for (int k = 0; k < 2; k++) {
        float sign = k ? -1.0f : 1.0f;

        sweep_least(w, w->label, 1, w->width, reach, sign);
        sweep_least(w, w->label, w->width, w->n / w->width, reach, sign);
    }
}

/* Background is what hangs together with the certain background. */
static void connect(struct matte_work *w, float *alpha)
{
    int n = 0;

    for (int i = 0; i < w->n; i++) {
        bool edge = i < w->width || i + w->width >= w->n || i % w->width == 0 ||
                    (i + 1) % w->width == 0;

        alpha[i] = 1.0f;
        if ((edge || w->fixed[i]) && w->label[i] < sure) {
            alpha[i] = 0.0f;
            w->queue[n++] = i;
        }
    }
    for (int at = 0; at < n; at++) {
        int i = w->queue[at], x = i % w->width;
        const int next[4] = {x > 0 ? i - 1 : -1, x + 1 < w->width ? i + 1 : -1,
                             i - w->width,
                             i + w->width < w->n ? i + w->width : -1};

        for (int k = 0; k < 4; k++)
            if (next[k] >= 0 && alpha[next[k]] >= 1.0f &&
                w->label[next[k]] < moving) {
                /* never quite 1: that means not reached yet */
                alpha[next[k]] = fminf(matte_step((double)sure, (double)moving,
                                                  (double)w->label[next[k]]),
                                       0.999f);
                w->queue[n++] = next[k];
            }
    }
}

/* Priors and first labels; whether there is enough background to learn. */
static bool start(struct matte_work *w, const struct matte *m,
                  const struct surface *s, const struct relief *g)
{
    double scale = (double)(1 << m->level);
    int ground = 0;

    for (int i = 0; i < w->n; i++) {
        double x = (m->x0 + i % w->width + 0.5) * scale - 0.5;
        double y = (m->y0 + (double)(i / w->width) + 0.5) * scale - 0.5;
        struct place p = place_at(s, g, x, y);

        w->fixed[i] = p.face || p.ground;
        w->prior[i] = p.face ? 1.0f : p.ground ? 0.0f : p.prior;
        w->label[i] = w->prior[i];
        ground += p.guess;
    }
    return ground > 64 && ground > w->n / 100;
}

static enum err_code label(struct matte *m, const struct surface *s,
                           const struct relief *g, bool *any, struct err *e)
{
    struct matte_work w = {.width = m->width, .n = m->width * m->height};
    size_t n = (size_t)w.n;
    enum err_code rc = OK;

    w.rgb = m->rgb;
    w.prior = mem_array(n, sizeof *w.prior);
    w.label = mem_array(n, sizeof *w.label);
    w.model = mem_array(n, sizeof *w.model);
    w.link = mem_array(n, sizeof *w.link);
    w.queue = mem_array(n, sizeof *w.queue);
    w.fixed = mem_array(n, sizeof *w.fixed);
    w.hist = mem_array(3 * CELLS, sizeof *w.hist);
    if (!w.prior || !w.label || !w.model || !w.link || !w.queue || !w.fixed ||
        !w.hist)
        rc = err_set(e, ERR_NOMEM, "no memory for a matte");
    *any = rc == OK && start(&w, m, s, g);
    if (*any) {
        link_pixels(&w);
        for (int round = 0; round < ROUNDS; round++) {
            learn(&w);
            judge(&w);
            spread(&w);
        }
        drop_thin(&w, (int)(thin * s->unit_px / (1 << m->level)));
        connect(&w, m->alpha);
    }
    mem_free(w.prior);
    mem_free(w.label);
    mem_free(w.model);
    mem_free(w.link);
    mem_free(w.queue);
    mem_free(w.fixed);
    mem_free(w.hist);
    return rc;
}

/* The relief's part of a level; false if that is nothing, or too much. */
static bool set_window(struct matte *m, const struct relief *g,
                       const struct sample_source *level, int k)
{
    double scale = (double)(1 << k);
    double x1 = floor((g->x0 + (g->cols - 1) * g->step + 0.5) / scale) + 2.0;
    double y1 = floor((g->y0 + (g->rows - 1) * g->step + 0.5) / scale) + 2.0;
    double x0 = fmax(floor((g->x0 + 0.5) / scale) - 1.0, 0.0);
    double y0 = fmax(floor((g->y0 + 0.5) / scale) - 1.0, 0.0);

    x1 = fmin(x1, (double)level->width);
    y1 = fmin(y1, (double)level->height);
    if (!(x1 > x0) || !(y1 > y0) || !((x1 - x0) * (y1 - y0) < MAX_PIXELS))
        return false;
    m->level = k;
    m->x0 = (int)x0;
    m->y0 = (int)y0;
    m->width = (int)(x1 - x0);
    m->height = (int)(y1 - y0);
    return true;
}

static enum err_code
take_window(struct matte *m, const struct sample_source *level, struct err *e)
{
    size_t n = (size_t)m->width * (size_t)m->height;
    size_t row = 3 * (size_t)m->width;

    m->alpha = mem_array(n, sizeof *m->alpha);
    m->rgb = mem_array(n, 3);
    if (!m->alpha || !m->rgb)
        return err_set(e, ERR_NOMEM, "no memory for a matte");
    for (int y = 0; y < m->height; y++)
        memcpy(m->rgb + (size_t)y * row,
               level->rgb + 3 * ((m->y0 + y) * level->width + m->x0), row);
    return OK;
}

enum err_code matte_new(const struct surface *s, const struct relief *g,
                        const struct pyramid *p, struct matte **out,
                        struct err *e)
{
    struct matte *m = mem_calloc(1, sizeof *m);
    enum err_code rc = OK;
    bool any = false;
    int k = 0;

    *out = NULL;
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for a matte");
    while (k + 1 < p->n && s->unit_px > UNIT_PX * (1 << k))
        k++;
    while (k + 1 < p->n && !set_window(m, g, &p->level[k], k))
        k++;
    if (set_window(m, g, &p->level[k], k)) {
        rc = take_window(m, &p->level[k], e);
        if (rc == OK)
            rc = label(m, s, g, &any, e);
    }
    if (rc == OK && any)
        rc = matte_ground(m, p, s->unit_px, e);
    if (rc != OK || !any)
        matte_free(&m);
    *out = m;
    return rc;
}

void matte_free(struct matte **mp)
{
    struct matte *m = *mp;

    if (!m)
        return;
    pyramid_free(&m->ground);
    mem_free(m->alpha);
    mem_free(m->rgb);
    mem_free(m);
    *mp = NULL;
}

float matte_at(const struct matte *m, float x, float y)
{
    float k = 1.0f / (float)(1 << m->level);
    float u = (x + 0.5f) * k - 0.5f - (float)m->x0;
    float v = (y + 0.5f) * k - 0.5f - (float)m->y0;

    u = fminf(fmaxf(u, 0.0f), (float)(m->width - 1));
    v = fminf(fmaxf(v, 0.0f), (float)(m->height - 1));
    int c = (int)u, r = (int)v;
    int right = c + 1 < m->width, under = r + 1 < m->height ? m->width : 0;
    const float *a = m->alpha + (size_t)r * (size_t)m->width + c;
    float top = a[0] + (u - (float)c) * (a[right] - a[0]);
    float low = a[under] + (u - (float)c) * (a[under + right] - a[under]);

    return top + (v - (float)r) * (low - top);
}
