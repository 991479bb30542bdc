/* The rest surface of the head as a function of azimuth and height: sections
 * from tables of our own measures, and smooth features laid over them. */
#include <math.h>

#include "lib/geom/head_internal.h"

#define AXIS_Z (-62.0) /* the vertical axis that azimuths turn about */
#define PI 3.14159265358979323846
#define CROWN_Y (-119.0)
#define WIDEST_Y (-40.0)
#define COUNT(t) ((int)(sizeof(t) / sizeof *(t)))

/* Midline profile without nose and lips: y, z. */
static const double profile[][2] = {
    {-40, 16.5}, {-30, 17.2}, {-20, 17.5}, {-10, 15.5}, {-2, 13.2}, {10, 12.2},
    {25, 13},    {40, 15},    {50, 17.0},  {60, 18.2},  {70, 16.5}, {80, 14.2},
    {88, 12.4},  {96, 14.6},  {103, 15.6}, {108, 13},   {112, 7.5}, {115.5, -2},
    {118, -13},  {121, -26},  {125, -36},  {131, -45},  {150, -60}};
/* Half width at the axis: y, mm. */
static const double width[][2] = {
    {-40, 75.5}, {-20, 74},  {0, 73},   {17, 72.3}, {36, 70.3},
    {54, 66.8},  {72, 60.5}, {88, 52},  {96, 46.5}, {103, 40.5},
    {109, 34.5}, {114, 29},  {120, 23}, {130, 16},  {150, 8}};
/* Depth behind the axis. */
static const double back[][2] = {{-40, 112}, {-15, 113}, {10, 108}, {35, 93},
                                 {55, 76},   {75, 66},   {110, 40}, {150, 5}};
/* Ridge of the nose: y, z of the midline. */
static const double ridge[][2] = {
    {-14, 15.6}, {-8, 15.2}, {-3, 15.4}, {3, 17.6},  {9, 21},    {16, 25},
    {22, 28.6},  {28, 32.2}, {33, 35.2}, {36.5, 36}, {40, 34.6}, {43, 30.6},
    {46, 25.6},  {49, 21.4}, {53, 19.2}, {58, 18.8}};
static const double ridge_width[][2] = {{-14, 12}, {-6, 9.5},  {2, 9},
                                        {12, 9.6}, {22, 10.2}, {30, 10.4},
                                        {38, 10},  {48, 7.5},  {58, 6}};

double head_table(const double (*t)[2], int n, double x)
{
    if (x <= t[0][0])
        return t[0][1];
    if (x >= t[n - 1][0])
        return t[n - 1][1];
    int i = 0;
    while (x > t[i + 1][0])
        i++;
    /* Cubic Hermite with slopes of the neighbours (Catmull-Rom on uneven
     * knots). */
    double h = t[i + 1][0] - t[i][0], u = (x - t[i][0]) / h;
    double d = (t[i + 1][1] - t[i][1]) / h, m0 = d, m1 = d;
    if (i > 0)
        m0 = (t[i + 1][1] - t[i - 1][1]) / (t[i + 1][0] - t[i - 1][0]);
    if (i + 2 < n)
        m1 = (t[i + 2][1] - t[i][1]) / (t[i + 2][0] - t[i][0]);
    double u2 = u * u, u3 = u2 * u;
    return t[i][1] * (2 * u3 - 3 * u2 + 1) + h * m0 * (u3 - 2 * u2 + u) +
           t[i + 1][1] * (3 * u2 - 2 * u3) + h * m1 * (u3 - u2);
}

static double gauss(double dx, double sx, double dy, double sy)
{
    return exp(-(dx * dx) / (sx * sx) - (dy * dy) / (sy * sy));
}

static double step(double lo, double hi, double x)
{
    double u = (x - lo) / (hi - lo);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * (3 - 2 * u);
}

static double smooth_max(double a, double b, double k)
{
    double h = (a - b) / k;
    return h > 20 ? a : h < -20 ? b : b + k * log1p(exp(h));
}

/* Radius of the ellipse-like section in direction theta. */
static double section(double theta, double half_width, double front,
                      double rear, double power)
{
    double c = cos(theta), s = fabs(sin(theta));
    double depth = c > 0 ? front : rear;
    double n = c > 0 ? power : 2.0;
    double q = pow(fabs(c) / depth, n) + pow(s / half_width, n);
    return pow(q, -1 / n);
}

static double neck_radius(double theta, double y)
{
    /* Ellipse whose centre lies behind the axis: ray against ellipse. */
    double low = step(150, 215, y);
    double cz = -84.0 - 4 * low - AXIS_Z;
    double a = 50.0 + 6 * low, bd = 44.0 + 4 * low;
    double dx = sin(theta) / a, dz = cos(theta) / bd, oz = -cz / bd;
    double qa = dx * dx + dz * dz, qb = dz * oz, qc = oz * oz - 1;
    double disc = qb * qb - qa * qc;
    return disc > 0 ? (-qb + sqrt(disc)) / qa : 1;
}

static double base_radius(double theta, double y)
{
    double t = y < WIDEST_Y ? (WIDEST_Y - y) / (WIDEST_Y - CROWN_Y) : 0;
    t = t > 1 ? 1 : t;
    double top = sqrt(1 - pow(t, 2.3));
    double front = (head_table(profile, COUNT(profile), y) - AXIS_Z) * top;
    double half = head_table(width, COUNT(width), y) * top;
    double rear = head_table(back, COUNT(back), y) * top;
    /* The crown lies behind the axis. */
    double power = 2.3 - 0.2 * t;
    double r = section(theta, fmax(half, 0.01), fmax(front, 0.01),
                       fmax(rear, 0.01), power);
    if (y < 20)
        return r;
    double neck = neck_radius(theta, y) * step(20, 100, y);
    return smooth_max(r, neck, 4.0);
}

double head_lip_line_y(double x)
{
    double a = fabs(x);
    return 70.2 - 0.6 * gauss(a - 7, 6, 0, 1) + 0.9 * gauss(a, 4, 0, 1) -
           0.5 * (a / 25) * (a / 25);
}

double head_lip_upper_y(double x)
{
    static const double t[][2] = {{0, 62.6},  {2.5, 62.0}, {6, 60.9},
                                  {11, 62.0}, {16, 64.0},  {22, 67.2},
                                  {26, 69.6}};
    return head_table(t, COUNT(t), fabs(x));
}

double head_lip_lower_y(double x)
{
    static const double t[][2] = {{0, 81},      {8, 80.2},  {13, 78.4},
                                  {17.5, 75.8}, {22, 72.6}, {26, 69.6}};
    return head_table(t, COUNT(t), fabs(x));
}

void head_lid_curve(double s, int lower, double xy[2])
{
    static const double up[][2] = {{0.0, 2.4},  {0.12, -0.8}, {0.33, -4.5},
                                   {0.5, -5.2}, {0.67, -4.6}, {0.88, -1.8},
                                   {1.0, -0.2}};
    static const double low[][2] = {{0.0, 2.4}, {0.12, 3.5}, {0.33, 4.9},
                                    {0.5, 5.3}, {0.67, 4.8}, {0.88, 2.2},
                                    {1.0, -0.2}};
    xy[0] = 17.3 + 27.7 * s;
    xy[1] =
        lower ? head_table(low, COUNT(low), s) : head_table(up, COUNT(up), s);
}

double head_lid_y(double x, int lower)
{
    double xy[2], s = (fabs(x) - 17.3) / 27.7;
    head_lid_curve(s < 0 ? 0 : s > 1 ? 1 : s, lower, xy);
    return xy[1];
}

/* Nose: ridge with sides, round tip, wings, columella; added to z. */
static double nose(double x, double y, double ground)
{
    double rz = head_table(ridge, COUNT(ridge), y);
    double rw = head_table(ridge_width, COUNT(ridge_width), y);
    double up = step(-16, -8, y) * (1 - step(50, 58, y));
    double g = x / rw;
    /* Rounder than a Gaussian on the back, with a foot into the cheek. */
    double sec =
        0.74 * exp(-g * g * (0.85 + 0.2 * g * g)) + 0.26 * exp(-0.34 * g * g);
    double h = (rz - ground) * sec * up;
    /* Wings: a lump with a steep rim behind (the alar crease). */
    double ax = x - 11.4, ay = y - 40.6;
    double lump = exp(-pow((ax * ax) / 34 + (ay * ay) / 36, 1.8));
    double wing = 10.4 * lump * (1 - 0.25 * step(41, 47, y));
    h = smooth_max(h, wing, 0.9) -
        0.9 * 0.6931471805599453 * exp(-fabs(h - wing) / 0.9);
    /* Underside: cut back below the nostril plane, nostril hollows. */
    h -= 4.2 * gauss(x - 6.6, 3.1, y - 44.2, 2.4);
    return h;
}

static double eye_region(double x, double y)
{
    double h = 0;
    h -= 5.6 * gauss(x - 29, 14, y + 5, 9.5);    /* socket */
    h -= 5.0 * gauss(x - 15.5, 5.6, y - 1, 8.5); /* inner corner */
    h -= 1.6 * gauss(x - 31, 14, y - 12, 7);     /* below the eye */
    h -= 2.0 * gauss(x - 48, 7, y - 1, 8);       /* outer corner */
    /* Upper lid fold. */
    double fold = y - (head_lid_y(x, 0) - 4.0);
    h -= 1.5 * exp(-fold * fold / 2.0) * gauss(x - 31, 15, 0, 1);
    h += 1.0 * gauss(x - 31, 15, fold + 3.2, 2.4);
    /* Bag under the lower lid: a soft edge. */
    double bag = y - (head_lid_y(x, 1) + 7.5);
    h -= 0.5 * exp(-bag * bag / 6.0) * gauss(x - 28, 12, 0, 1);
    return h;
}

static double mouth_region(double x, double y)
{
    double a = fabs(x), line = head_lip_line_y(x);
    double up = head_lip_upper_y(x), low = head_lip_lower_y(x);
    double fall = 1 - step(0.35, 1.04, a / 26.5);
    double h = 0;
    /* Vermilion: rounded rolls on each side of the line between the lips. */
    double u = (line - y) / fmax(line - up, 0.8);
    if (u > -0.3)
        h += 3.6 * fall * exp(-(u - 0.55) * (u - 0.55) / 0.30);
    double v = (y - line) / fmax(low - line, 0.8);
    if (v > -0.3)
        h += 4.6 * fall * exp(-(v - 0.48) * (v - 0.48) / 0.26);
    /* Mound of teeth and muscle under both lips. */
    h += 2.6 * gauss(x, 24, y - 67, 14);
    /* The crease where they meet, and the pits at the corners. */
    h -= 2.9 * fall * exp(-fabs(y - line) / 1.5);
    h -= 3.0 * gauss(a - 27, 4.5, y - 70, 5.0);
    /* Cupid's border, philtrum with its columns. */
    double ph = step(49, 53, y) * (1 - step(60, 64.5, y));
    h += ph * (0.9 * gauss(a - 4.6, 2.2, 0, 1) - 1.1 * gauss(a, 2.7, 0, 1));
    h -= 1.8 * gauss(x, 15, y - 87.5, 4.8); /* fold above the chin */
    return h;
}

static double face_features(double x, double y, double z0)
{
    double h = 0;
    h += 2.6 * gauss(x - 24, 17, y + 21, 7.5); /* brow ridge */
    h += 2.2 * gauss(x - 44, 10, y + 19, 8);   /* its outer end */
    h -= 1.4 * gauss(x, 7, y + 24, 8);         /* dip between the brows */
    h += 1.5 * gauss(x - 24, 16, y + 52, 15);  /* frontal eminence */
    h -= 1.8 * gauss(x - 60, 8, y + 24, 18);   /* temple */
    h += 4.4 * gauss(x - 44, 16, y - 25, 13);  /* cheek bone */
    h += 2.4 * gauss(x - 27, 13, y - 36, 13);  /* cheek */
    h -= 2.4 * gauss(x - 45, 13, y - 66, 16);  /* hollow below it */
    /* Fold from the wing of the nose to the corner of the mouth. */
    double fx = 17.5 + (y - 40) * 0.45 + 3.2 * step(40, 62, y);
    double on = step(38, 46, y) * (1 - step(64, 78, y));
    h -= 1.3 * on * exp(-(x - fx) * (x - fx) / 10);
    h += 0.8 * on * exp(-(x - fx - 6) * (x - fx - 6) / 30);
    h += 2.4 * gauss(x, 13, y - 102, 8); /* chin */
    h += 0.8 * gauss(x - 8, 6, y - 104, 6);
    h += eye_region(x, y);
    h += mouth_region(x, y);
    h += nose(x, y, z0 + h);
    return h;
}

void head_surface(double theta, double y, double p[3])
{
    double r = base_radius(theta, y);
    double x = r * sin(theta), z = AXIS_Z + r * cos(theta);
    double yy = y;
    if (y < WIDEST_Y) {
        double t = (WIDEST_Y - y) / (WIDEST_Y - CROWN_Y);
        z -= 20 * t * t * t; /* the crown lies further back */
    }
    double mask = step(1.75, 1.25, theta);
    if (mask > 0 && y > -90 && y < 130) {
        double h = face_features(x, y, z);
        z += h * mask;
    }
    p[0] = x;
    p[1] = yy;
    p[2] = z;
}

double head_surface_theta(double x, double y)
{
    double lo = 0, hi = 1.45;
    for (int i = 0; i < 40; i++) {
        double mid = (lo + hi) / 2;
        if (base_radius(mid, y) * sin(mid) < x)
            lo = mid;
        else
            hi = mid;
    }
    return (lo + hi) / 2;
}
