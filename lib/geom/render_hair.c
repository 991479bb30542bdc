/* Hair as a shell over the scalp in several styles, and a bust with clothes. */
#include <math.h>

#include "lib/geom/render_internal.h"

#define COUNT(t) ((int)(sizeof(t) / sizeof *(t)))
#define PI 3.14159265358979323846

/* The lower edge of the hair by azimuth (rad): y in mm. */
static const double edge_short[][2] = {
    {0, -76},    {0.40, -75}, {0.72, -66}, {0.93, -46}, {1.12, -25},
    {1.24, 2},   {1.36, 12},  {1.46, 4},   {1.56, -20}, {1.70, -29},
    {1.95, -27}, {2.15, -2},  {2.35, 32},  {2.7, 56},   {3.15, 62}};
static const double edge_long[][2] = {{0, -75},    {0.42, -70}, {0.70, -56},
                                      {0.92, -30}, {1.05, 5},   {1.12, 60},
                                      {1.18, 135}, {1.30, 150}, {3.15, 150}};
static const double edge_bob[][2] = {{0, -74},    {0.42, -68}, {0.70, -52},
                                     {0.90, -24}, {1.0, 10},   {1.08, 60},
                                     {1.16, 84},  {1.30, 88},  {3.15, 76}};

float hair_inside(const struct render_look *k, float theta, float y)
{
    double t = fabs((double)theta), e;
    if (k->style == HAIR_LONG)
        e = head_table(edge_long, COUNT(edge_long), t);
    else if (k->style == HAIR_BOB)
        e = head_table(edge_bob, COUNT(edge_bob), t);
    else
        e = head_table(edge_short, COUNT(edge_short), t);
    double front = t < 1.1 ? 1 - t / 1.1 : 0;
    e -= (double)k->hairline * front;
    /* Receding at the temples goes with a high hairline. */
    double dt = (t - 0.62) / 0.22;
    if (k->hairline > 0)
        e -= 1.1 * (double)k->hairline * exp(-dt * dt);
    return (float)e - y;
}

/* Thickness of the shell well inside the hairline, mm. */
static double thickness(const struct render_look *k, double theta, double y,
                        const double p[3])
{
    double vol = (double)k->volume, top = y < -45 ? 1 : y > 0 ? 0 : -y / 45;
    double lump = (double)noise3((float)p[0] / 17, (float)y / 17,
                                 (float)p[2] / 17, (uint32_t)k->seed);
    double d = (p[0] - (double)k->part_x) / 5;
    switch (k->style) {
    case HAIR_SHAVED:
        return -1;
    case HAIR_SHORT:
        return vol * (3.0 + 8.0 * top) + 1.2 * lump;
    case HAIR_SIDE: {
        double front = theta < 1.2 ? 1 - theta / 1.2 : 0;
        double part = exp(-d * d) * (p[2] > -90 ? 1 : 0.3) * top;
        return vol * (4.5 + 14 * top + 7 * front * top) * (1 - 0.55 * part) +
               2.0 * lump;
    }
    case HAIR_CURLY: {
        double fine = (double)noise3((float)p[0] / 6, (float)y / 6,
                                     (float)p[2] / 6, (uint32_t)k->seed + 4);
        return vol * (13 + 17 * top) + 3.5 * lump + 2.2 * fine;
    }
    default: {
        double part = exp(-d * d) * (p[2] > -110 ? 1 : 0.2) * top;
        double low = y > 0 ? fmin(1, y / 80) : 0;
        return vol * (12 + 3 * top + 9 * low) * (1 - 0.6 * part) + 2.5 * lump;
    }
    }
}

static double rest_y(const struct render_look *k, double y)
{
    bool falls = k->style == HAIR_LONG || k->style == HAIR_BOB;
    return falls && y > 20 ? 20 + (y - 20) * 1.38 : y;
}

static void hair_vertex(struct render *r, const struct render_look *k, int id,
                        int skin)
{
    const struct head_base *b = head_base_get();
    const double *s = b->v[skin].p;
    bool falls = k->style == HAIR_LONG || k->style == HAIR_BOB;
    double sign = s[0] < 0 ? -1 : 1;
    double y = rest_y(k, s[1]);
    double theta = 2 * PI * fabs((double)b->uv[skin][0] - 0.5);
    double p[3] = {s[0], s[1], s[2]};
    if (falls && y > 12 && theta > 0.9) { /* hangs down, off the neck */
        head_surface(theta, 12 + (y - 12) * 0.12, p);
        p[0] *= sign;
        double in = 1 - 0.10 * (double)smooth_step(30, 150, (float)y);
        p[0] *= in;
    }
    p[1] = y;
    double n[3] = {p[0], fmin(y + 20, 0), p[2] + 72};
    double len = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    float wob = 3.5f * noise3((float)p[0] / 3.5f, (float)y / 30,
                              (float)p[2] / 3.5f, (uint32_t)k->seed + 11);
    float in = hair_inside(k, (float)theta, (float)y) + wob;
    double full = thickness(k, theta, y, p);
    float reach = k->style == HAIR_SHORT ? 20.0f : 26.0f;
    double lift = -1.8 + (full + 1.8) * (double)smooth_step(-2, reach, in);
    if (k->style == HAIR_SHAVED)
        lift = -3;
    for (int c = 0; c < 3; c++) {
        r->hair_mm[id][c] = p[c] + n[c] / len * lift;
        /* Strands are looked up on a smooth surface, not on the locks. */
        r->v[HAIR_FIRST + id].tex[c] = (float)(p[c] + n[c] / len * 8);
    }
    r->hair_lift[id] = (float)lift;
}

static void quad(struct render *r, int a, int b, int c, int d, int mat)
{
    int t = r->n_tris;
    r->tri[t][0] = a;
    r->tri[t][1] = d;
    r->tri[t][2] = c;
    r->tri[t + 1][0] = a;
    r->tri[t + 1][1] = c;
    r->tri[t + 1][2] = b;
    r->mat[t] = r->mat[t + 1] = (uint8_t)mat;
    r->n_tris += 2;
}

void hair_build(struct render *r, const struct render_look *k)
{
    for (int id = 0; id < HAIR_VERTS; id++)
        hair_vertex(r, k, id, id); /* the skin's first rows, same order */
    r->n_tris = r->n_tris_fixed;
    if (k->style == HAIR_SHAVED)
        return;
    for (int i = 0; i < HG_COLS; i++) {
        int t = r->n_tris++;
        r->tri[t][0] = HAIR_FIRST;
        r->tri[t][1] = HAIR_FIRST + 1 + i;
        r->tri[t][2] = HAIR_FIRST + 1 + (i + 1) % HG_COLS;
        r->mat[t] = MAT_HAIR;
    }
    for (int j = 0; j + 1 < HAIR_ROWS; j++)
        for (int i = 0; i < HG_COLS; i++) {
            int a = 1 + j * HG_COLS + i,
                b = 1 + j * HG_COLS + (i + 1) % HG_COLS;
            int c = b + HG_COLS, d = a + HG_COLS;
            const float *l = r->hair_lift;
            if (l[a] > -1.5f || l[b] > -1.5f || l[c] > -1.5f || l[d] > -1.5f)
                quad(r, HAIR_FIRST + a, HAIR_FIRST + b, HAIR_FIRST + c,
                     HAIR_FIRST + d, MAT_HAIR);
        }
}

void bust_build(struct render *r)
{
    static const double half[][2] = {{140, 40},  {160, 50},  {172, 57},
                                     {186, 72},  {198, 98},  {212, 138},
                                     {228, 168}, {250, 186}, {340, 196}};
    static const double deep[][2] = {{140, 34}, {160, 44}, {172, 52}, {190, 66},
                                     {215, 82}, {240, 95}, {340, 108}};
    for (int j = 0; j < BUST_ROWS; j++)
        for (int i = 0; i < BUST_COLS; i++) {
            double y = 140 + 200.0 * j / (BUST_ROWS - 1); /* then raised */
            double t = 2 * PI * i / BUST_COLS, c = cos(t), s = sin(t);
            double p = 2 / 2.3, w = head_table(half, COUNT(half), y);
            double d = head_table(deep, COUNT(deep), y);
            double *m = r->mm[BUST_FIRST + j * BUST_COLS + i];
            m[0] = w * copysign(pow(fabs(s), p), s);
            m[1] = y - 10 + 10 * fmax(0, c) * (y > 180 ? 0.6 : 0.2);
            m[2] = -90 + d * copysign(pow(fabs(c), p), c);
        }
    for (int j = 0; j + 1 < BUST_ROWS; j++)
        for (int i = 0; i < BUST_COLS; i++) {
            int a = BUST_FIRST + j * BUST_COLS + i;
            int b = BUST_FIRST + j * BUST_COLS + (i + 1) % BUST_COLS;
            quad(r, a, b, b + BUST_COLS, a + BUST_COLS, MAT_CLOTH);
        }
}
