/* Looks and lights drawn at random: colours of skin, hair, eyes, clothes. */
#include <math.h>
#include <string.h>

#include "lib/geom/render.h"

#define COUNT(t) (sizeof(t) / sizeof *(t))

static const uint8_t skins[][3] = {
    {238, 202, 182}, {236, 194, 168}, {224, 178, 151}, {205, 156, 126},
    {182, 131, 99},  {152, 105, 77},  {118, 76, 52},   {88, 57, 41}};
static const uint8_t hairs[][3] = {
    {22, 19, 18},  {34, 25, 20},    {52, 35, 25},
    {78, 52, 34},  {112, 78, 48},   {165, 126, 78},
    {132, 62, 30}, {126, 122, 118}, {190, 186, 180}};
static const uint8_t irises[][3] = {{58, 36, 22},   {82, 52, 28},
                                    {104, 84, 44},  {88, 104, 72},
                                    {86, 116, 138}, {104, 122, 130}};
static const uint8_t cloths[][3] = {
    {38, 52, 84}, {120, 30, 36},  {210, 208, 202}, {44, 46, 50},
    {52, 92, 74}, {148, 120, 86}, {96, 132, 172},  {170, 96, 116}};

static float linear(double v)
{
    v /= 255;
    return (float)(v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
}

static void pick(struct rng *r, const uint8_t c[3], double spread, float out[3])
{
    double g = rng_range(r, -spread, spread);
    for (int k = 0; k < 3; k++) {
        double v = c[k] + g + rng_range(r, -spread, spread) * 0.3;
        out[k] = linear(v < 4 ? 4 : v > 250 ? 250 : v);
    }
}

static void skin_and_lips(struct rng *r, double tone, struct render_look *look)
{
    size_t i = (size_t)tone;
    double f = tone - (double)i;
    for (int k = 0; k < 3; k++) {
        double v = skins[i][k] * (1 - f) + skins[i + 1][k] * f;
        look->skin[k] = linear(v);
    }
    double red = rng_range(r, 0, 1), made_up = rng_unit(r) < 0.3 ? 1 : 0;
    double dark = 0.82 - 0.12 * red - 0.12 * made_up;
    look->lips[0] = look->skin[0] * (float)(dark + 0.06);
    look->lips[1] = look->skin[1] * (float)(dark - 0.28 - 0.16 * made_up);
    look->lips[2] = look->skin[2] * (float)(dark - 0.20 - 0.10 * made_up);
}

void render_look_random(struct rng *r, struct render_look *look)
{
    memset(look, 0, sizeof *look);
    look->seed = rng_u64(r);
    double tone = rng_range(r, 0, (double)COUNT(skins) - 1.01);
    skin_and_lips(r, tone, look);
    /* Darker skins go with darker hair and eyes. */
    size_t n_hair = tone > 3.5 ? 3 : COUNT(hairs);
    pick(r, hairs[rng_below(r, n_hair)], 6, look->hair);
    size_t n_iris = tone > 3.5 ? 2 : COUNT(irises);
    pick(r, irises[rng_below(r, n_iris)], 8, look->iris);
    pick(r, cloths[rng_below(r, COUNT(cloths))], 12, look->cloth);
    for (int k = 0; k < 3; k++)
        look->brow[k] = 0.65f * look->hair[k] + 0.02f * look->skin[k];
    look->blush = (float)rng_range(r, 0.35, 1.05);
    look->mottle = (float)rng_range(r, 0.35, 0.9);
    look->oil = (float)rng_range(r, 0.5, 1.5);
    look->brow_thick = (float)rng_range(r, 0.8, 1.25);
    look->brow_dark = (float)rng_range(r, 0.75, 1.0);
    look->lash = (float)rng_range(r, 0.6, 1.0);
    look->hairline =
        (float)(rng_unit(r) < 0.25 ? rng_range(r, 4, 16) : rng_range(r, -4, 4));
    look->volume = (float)rng_range(r, 0.75, 1.25);
    look->part_x = (float)((rng_unit(r) < 0.5 ? -1 : 1) * rng_range(r, 4, 32));
    static const double share[HAIR_KINDS] = {0.06, 0.27, 0.25,
                                             0.20, 0.10, 0.12};
    double u = rng_unit(r);
    int s = 0;
    while (s + 1 < HAIR_KINDS && u >= share[s])
        u -= share[s++];
    look->style = (enum render_hair)s;
    double beard = rng_unit(r);
    if (look->style != HAIR_LONG && look->style != HAIR_BOB)
        look->stubble = (float)(beard < 0.45   ? 0
                                : beard < 0.85 ? rng_range(r, 0.1, 0.45)
                                               : rng_range(r, 0.6, 0.9));
    look->collar = (int)rng_below(r, 3);
}

void render_light_random(struct rng *r, struct render_light *l)
{
    l->yaw_deg = rng_range(r, -55, 55);
    l->pitch_deg = rng_range(r, 5, 50);
    double contrast = rng_range(r, 0.0, 1.0);
    l->key = 0.68 + 0.50 * contrast;
    l->fill = 0.42 - 0.28 * contrast;
    l->ambient = 0.48 - 0.20 * contrast;
    double warm = rng_range(r, -0.06, 0.12);
    l->tint[0] = (float)(1 + warm);
    l->tint[1] = 1;
    l->tint[2] = (float)(1 - warm);
}
