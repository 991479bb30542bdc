/* Eyeballs, ears and teeth of the head: closed pieces of their own, the right
 * one built, the left one its mirror image. */
#include <math.h>
#include <string.h>

#include "lib/geom/head_internal.h"

#define PI 3.14159265358979323846

/* A sphere-like piece: rings between two poles, in both sides' vertices. at()
 * gives position and uv for ring t in 0..1 and angle phi. */
struct piece {
    int first, verts, rings, segs, part, ball;
    void (*at)(double t, double phi, double p[3], double uv[2]);
};

static void put(struct head_base *b, const struct piece *s, int i, double t,
                double phi)
{
    double p[3], uv[2];
    s->at(t, phi, p, uv);
    for (int side = 0; side < 2; side++) {
        int id = s->first + side * s->verts + i;
        struct head_vertex *v = &b->v[id];
        memset(v, 0, sizeof *v);
        v->p[0] = side ? -p[0] : p[0];
        v->p[1] = p[1];
        v->p[2] = p[2];
        v->ball = s->ball ? (side ? -1 : 1) : 0;
        b->uv[id][0] = (float)(side ? 1 - uv[0] : uv[0]);
        b->uv[id][1] = (float)uv[1];
        b->mirror[id] = s->first + (side ? 0 : s->verts) + i;
    }
}

/* Vertex i: 0 first pole, 1.. rings, last pole. Rings run so that the piece
 * seen from its first pole turns counter-clockwise to the viewer. */
static void build(struct head_base *b, const struct piece *s)
{
    int last = s->verts - 1;
    put(b, s, 0, 0, 0);
    for (int r = 1; r < s->rings; r++)
        for (int k = 0; k < s->segs; k++)
            put(b, s, 1 + (r - 1) * s->segs + k, (double)r / s->rings,
                2 * PI * k / s->segs);
    put(b, s, last, 1, 0);
    for (int k = 0; k < s->segs; k++) {
        int n = (k + 1) % s->segs, f = s->first;
        head_add_tri(b, f, f + 1 + n, f + 1 + k, s->part);
        for (int r = 1; r + 1 < s->rings; r++) {
            int o = f + 1 + (r - 1) * s->segs, q = o + s->segs;
            head_add_tri(b, o + k, o + n, q + n, s->part);
            head_add_tri(b, o + k, q + n, q + k, s->part);
        }
        int o = f + 1 + (s->rings - 2) * s->segs;
        head_add_tri(b, o + k, o + n, f + last, s->part);
    }
}

/* First pole in front (the pupil); a slight bulge for the cornea. */
static void ball_at(double t, double phi, double p[3], double uv[2])
{
    double a = PI * t, r = EYE_R + 0.9 * exp(-a * a / 0.16);
    double x = sin(a) * cos(phi), y = sin(a) * sin(phi);
    p[0] = EYE_X + r * x;
    p[1] = EYE_Y + r * y;
    p[2] = EYE_Z + r * cos(a);
    uv[0] = 0.5 + 0.5 * x * t / fmax(sin(a), 1e-6) * (t > 0 ? 1 : 0);
    uv[1] = 0.5 + 0.5 * y * t / fmax(sin(a), 1e-6) * (t > 0 ? 1 : 0);
}

static double bump(double d, double s)
{
    return exp(-(d * d) / (s * s));
}

/* First pole in the shell, the last at its back. Local axes: a backwards, b
 * down, c outwards. */
static void ear_at(double t, double phi, double p[3], double uv[2])
{
    double rho = t < 0.62 ? t / 0.62 : sqrt(fmax(0, (1 - t) / 0.38));
    int front = t < 0.62;
    double ca = cos(phi), sb = sin(phi);
    /* Outline: wide above, narrowing to the lobe. */
    double half = sb > 0 ? 13.0 - 2.5 * sb * sb : 15.5 + 1.0 * -sb;
    double tall = sb > 0 ? 29.5 : 31.0;
    double a = rho * half * ca, b = rho * tall * sb;
    a += sb > 0 ? -4.0 * rho * sb * sb : 0;
    double c;
    if (front) {
        double back = 0.5 + 0.5 * ca; /* 0 at the face side */
        double rim = back < 0.18 && sb > -0.2 ? 0.35 : 1;
        c = 1.5 + 3.2 * rim * bump(rho - 0.9, 0.11);
        c += 2.2 * bump(rho - 0.58, 0.12) * (0.25 + 0.75 * back) *
             (sb > 0.75 ? 0.3 : 1);
        c -= 7.5 * bump(a + 3.0, 6.0) * bump(b - 3.0, 9.5);
        c += 4.0 * bump(a + 12.0, 4.0) * bump(b - 1.5, 5.5);
        c += 1.5 * bump(b - 26, 7); /* lobe */
    } else {
        c = -3.0 * (1 - rho) - 0.5;
    }
    double flare = 0.50, lean = 0.16;
    double aa = a + 11.0 - b * lean;
    p[0] = 71.5 + aa * sin(flare) + c * cos(flare);
    p[1] = 11.0 + b + a * lean;
    p[2] = -70.0 - aa * cos(flare) + c * sin(flare);
    uv[0] = 0.75 + 0.1 * rho * ca;
    uv[1] = 0.5 + 0.2 * rho * sb;
}

/* Two arches of teeth: three rows each, from hidden gum to cutting edge. */
static void teeth(struct head_base *b)
{
    int cols = HG_TEETH_COLS, per = 3 * (cols + 1);
    for (int jaw = 0; jaw < 2; jaw++)
        for (int r = 0; r < 3; r++)
            for (int k = 0; k <= cols; k++) {
                int id = HG_TEETH + jaw * per + r * (cols + 1) + k;
                double u = 2.0 * k / cols - 1, s = fabs(u);
                struct head_vertex *v = &b->v[id];
                memset(v, 0, sizeof *v);
                double wide = jaw ? 20.5 : 22;
                v->p[0] = k * 2 == cols ? 0 : wide * u;
                v->p[2] = (jaw ? 10.5 : 11.8) - 15 * pow(s, 2.4) -
                          (r == 1   ? 0
                           : r == 0 ? 1.0
                                    : 1.8);
                double y = jaw ? 82.0 - 4.8 * r : 60.0 + 5.2 * r;
                v->p[1] = y + (jaw ? 0.6 : 0.2) * s * s;
                v->lower = jaw;
                v->ball = 2;
                b->uv[id][0] = (float)(0.5 + 0.5 * u);
                b->uv[id][1] = (float)(0.25 * r + 0.5 * jaw);
                b->mirror[id] =
                    HG_TEETH + jaw * per + r * (cols + 1) + cols - k;
            }
    for (int jaw = 0; jaw < 2; jaw++)
        for (int r = 0; r < 2; r++)
            for (int k = cols / 2; k < cols; k++) {
                int a = HG_TEETH + jaw * per + r * (cols + 1) + k;
                int d = a + cols + 1;
                int hi = jaw ? d : a, lo = jaw ? a : d;
                head_add_tri(b, hi, lo, lo + 1, HEAD_MOUTH);
                head_add_tri(b, hi, lo + 1, hi + 1, HEAD_MOUTH);
            }
}

void head_parts_build(struct head_base *b)
{
    static const struct piece ball = {
        HG_BALL, HG_BALL_VERTS, HG_BALL_RINGS, HG_BALL_SEGS, HEAD_EYE,
        1,       ball_at};
    static const struct piece ear = {
        HG_EAR, HG_EAR_VERTS, HG_EAR_RINGS, HG_EAR_SEGS, HEAD_EAR, 0, ear_at};
    build(b, &ball);
    build(b, &ear);
    teeth(b);
}
