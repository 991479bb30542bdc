/* Expressions as they occur: few at a time, both sides alike, blinks, open
 * mouths. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "lib/geom/head_sample.h"

enum { PLAIN, OPEN, BLINK, CLOSE };

/* Parts of names, first match counts; the rest is rare. */
static const struct {
    const char *word;
    float often, most;
    int kind;
} words[] = {
    {"jawopen", 0.5F, 0.8F, OPEN},     {"jaw_open", 0.5F, 1.0F, OPEN},
    {"mouthclose", 0.2F, 1.0F, CLOSE}, {"blink", 0.25F, 1.0F, BLINK},
    {"eyelook", 0.12F, 1.0F, PLAIN},   {"smile", 0.35F, 1.0F, PLAIN},
    {"brow", 0.15F, 1.0F, PLAIN},      {"squint", 0.15F, 1.0F, PLAIN},
    {"jaw", 0.06F, 0.6F, PLAIN},       {"", 0.07F, 0.8F, PLAIN},
};

static void lower(const char *name, char out[64])
{
    size_t n = 0;
    for (; name[n] && n < 63; n++)
        out[n] = (char)tolower((unsigned char)name[n]);
    out[n] = '\0';
}

/* "blink_left" of "blink_right", "x_l" of "x_r". */
static int left_of(const struct head_model *m, int k)
{
    char name[64], other[64];
    lower(m->name[k], name);
    char *end = strrchr(name, '_');
    if (!end || (strcmp(end, "_r") != 0 && strcmp(end, "_right") != 0))
        return -1;
    bool whole = end[2] != '\0';
    *end = '\0';
    for (int i = 0; i < k; i++) {
        lower(m->name[i], other);
        char *tail = strrchr(other, '_');
        if (!tail || strcmp(tail, whole ? "_left" : "_l") != 0)
            continue;
        *tail = '\0';
        if (strcmp(name, other) == 0)
            return i;
    }
    return -1;
}

void head_mood_learn(const struct head_model *m, struct head_mood *out)
{
    out->n = m->n_expression;
    for (int k = 0; k < out->n; k++) {
        char name[64];
        size_t w = 0;
        lower(m->name[k], name);
        while (!strstr(name, words[w].word))
            w++;
        out->part[k] = (struct head_mood_part){words[w].often, words[w].most,
                                               words[w].kind, left_of(m, k)};
    }
}

static float amount(struct rng *r, const struct head_mood_part *p, double level)
{
    double u = rng_unit(r);
    if (p->kind == OPEN)
        u *= u;
    if (p->kind == BLINK && rng_unit(r) < 0.4)
        u = 0.85 + 0.15 * u;
    return (float)(u * (double)p->most * fmin(level, 1));
}

void head_mood_draw(const struct head_mood *m, struct rng *r, double level,
                    float *weight)
{
    float open = 0;
    /* Some faces are at rest, some are lively. */
    double lively = rng_unit(r) * 1.6 * level;
    for (int k = 0; k < m->n; k++) {
        const struct head_mood_part *p = &m->part[k];
        bool on = rng_unit(r) < (double)p->often * lively;
        float w = amount(r, p, level);
        double alike = rng_unit(r), ratio = rng_range(r, 0.75, 1.2);
        weight[k] = on ? w : 0;
        if (p->left >= 0 && alike < 0.8)
            weight[k] = fminf(weight[p->left] * (float)ratio, p->most);
        if (p->kind == OPEN)
            open = fmaxf(open, weight[k]);
    }
    for (int k = 0; k < m->n; k++) /* lips shut while the jaw drops */
        if (m->part[k].kind == CLOSE)
            weight[k] = fminf(weight[k], open);
}
