/* Topology of the head: a grid over azimuth and height with slits for eyes and
 * mouth, bent so that its lines run along lids and lips and so that the 68
 * points are vertices. Built once, right half first, then mirrored. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/geom/head_internal.h"

#define COUNT(t) ((int)(sizeof(t) / sizeof *(t)))
#define PI 3.14159265358979323846
#define SWEEPS 260

/* A node of the half grid and its place in the (azimuth, height) plane. */
struct node {
    double at[2];   /* default */
    double move[2]; /* displacement */
    bool fixed;
};

struct grid {
    struct node n[HG_NV][HG_NU + 1];
    struct node eye_low[HG_EYE_N + 1];     /* 1 .. HG_EYE_N - 1 used */
    struct node mouth_low[HG_MOUTH_N + 1]; /* 0 .. HG_MOUTH_N - 1 used */
    int eye_row, mouth_row;
};

static struct grid g;
static struct head_base base;

/* The points of the right half that are set in the plane: id, x, y and, for
 * the outline, azimuth in degrees instead of x (x < 0 marks it). Eyes and
 * inner mouth lie on the slits. */
static const struct {
    int id;
    double x, y, azimuth_deg;
} anchors[] = {
    {8, 0, 113.4, 0},     {9, -1, 111, 17.5},   {10, -1, 103, 36.5},
    {11, -1, 90, 55},     {12, -1, 74, 68.5},   {13, -1, 56.5, 77},
    {14, -1, 38, 81},     {15, -1, 18.5, 83},   {16, -1, -0.5, 84},
    {22, 13, -20.8, 0},   {23, 24, -25, 0},     {24, 36, -27, 0},
    {25, 47.5, -24.4, 0}, {26, 56.5, -16.5, 0}, {27, 0, -2.5, 0},
    {28, 0, 10.5, 0},     {29, 0, 23.3, 0},     {30, 0, 35.5, 0},
    {33, 0, 49, 0},       {34, 7.4, 47.6, 0},   {35, 14, 45, 0},
    {51, 0, 63.6, 0},     {52, 6, 62, 0},       {53, 16, 64.7, 0},
    {54, 26.0, 69.7, 0},  {55, 17.5, 75.8, 0},  {56, 8, 80.2, 0},
    {57, 0, 81, 0},
};

static double row_y(int j)
{
    static const struct {
        double to;
        int rows;
    } seg[] = {{-60, 12}, {-34, 8}, {-12, 10}, {12, 15},
               {56, 20},  {86, 19}, {120, 17}, {205, 11}};
    double from = -119;
    for (int s = 0; s < COUNT(seg); s++) {
        if (j < seg[s].rows) {
            double u = (j + 1.0) / seg[s].rows;
            if (s == 0)
                u = 1 - cos(u * PI / 2); /* even steps over the crown */
            if (s + 1 == COUNT(seg))
                u = 0.6 * u + 0.4 * u * u;
            return from + (seg[s].to - from) * u;
        }
        j -= seg[s].rows;
        from = seg[s].to;
    }
    return from;
}

static double col_theta(int i)
{
    if (i <= 24)
        return 0.032 * i;
    double k = i - 24;
    double b = (PI - 0.768 - 24 * 0.045) / 576;
    return 0.768 + 0.045 * k + b * k * k;
}

static void pin(struct node *n, double x, double y)
{
    n->move[0] = head_surface_theta(x, y) - n->at[0];
    n->move[1] = y - n->at[1];
    n->fixed = true;
}

static void grid_start(void)
{
    double best_e = 1e9, best_m = 1e9;
    for (int j = 0; j < HG_NV; j++) {
        double y = row_y(j);
        if (fabs(y) < best_e) {
            best_e = fabs(y);
            g.eye_row = j;
        }
        if (fabs(y - 70.2) < best_m) {
            best_m = fabs(y - 70.2);
            g.mouth_row = j;
        }
        for (int i = 0; i <= HG_NU; i++) {
            struct node *n = &g.n[j][i];
            memset(n, 0, sizeof *n);
            n->at[0] = col_theta(i);
            n->at[1] = y;
            n->fixed = j == 0 || j == HG_NV - 1 || i == HG_NU;
        }
    }
    for (int k = 0; k <= HG_EYE_N; k++) {
        double xy[2], s = (double)k / HG_EYE_N;
        struct node *up = &g.n[g.eye_row][HG_EYE_COL + k];
        g.eye_low[k] = *up;
        head_lid_curve(s, 0, xy);
        pin(up, xy[0], xy[1]);
        head_lid_curve(s, 1, xy);
        pin(&g.eye_low[k], xy[0], xy[1]);
    }
    for (int k = 0; k <= HG_MOUTH_N; k++) {
        struct node *up = &g.n[g.mouth_row][k];
        double x = 23.2 * k / HG_MOUTH_N, gap = k < HG_MOUTH_N ? 0.2 : 0;
        g.mouth_low[k] = *up;
        pin(up, x, head_lip_line_y(x) - gap);
        pin(&g.mouth_low[k], x, head_lip_line_y(x) + gap);
    }
}

/* Is (i, row) strictly inside a slit? Returns its lower copy. */
static struct node *low_copy(int j, int i)
{
    if (j == g.eye_row && i > HG_EYE_COL && i < HG_EYE_COL + HG_EYE_N)
        return &g.eye_low[i - HG_EYE_COL];
    if (j == g.mouth_row && i < HG_MOUTH_N)
        return &g.mouth_low[i];
    return NULL;
}

/* Membrane between the pinned nodes: each free node takes the mean of its
 * neighbours, slightly pulled to its default place. Nodes inside the slits
 * are all pinned, so only the row below must know of the lower copies. */
static void relax(void)
{
    for (int s = 0; s < SWEEPS; s++)
        for (int j = 1; j < HG_NV - 1; j++)
            for (int i = 0; i < HG_NU; i++) {
                struct node *n = &g.n[j][i];
                if (n->fixed)
                    continue;
                const struct node *up = low_copy(j - 1, i);
                if (!up)
                    up = &g.n[j - 1][i];
                const struct node *dn = &g.n[j + 1][i];
                const struct node *r = &g.n[j][i + 1];
                const struct node *l = i ? &g.n[j][i - 1] : r;
                for (int k = 0; k < 2; k++) {
                    double lk = !i && k == 0 ? -l->move[k] : l->move[k];
                    double m = 0.985 * 0.25 *
                               (up->move[k] + dn->move[k] + r->move[k] + lk);
                    n->move[k] += 1.5 * (m - n->move[k]);
                }
            }
}

static int skin_id(int j, int i)
{
    return 1 + j * HG_COLS + (i < 0 ? i + HG_COLS : i);
}

static void place_anchors(int *node_of)
{
    for (int a = 0; a < COUNT(anchors); a++) {
        double y = anchors[a].y;
        double t = anchors[a].x < 0 ? anchors[a].azimuth_deg * PI / 180
                                    : head_surface_theta(anchors[a].x, y);
        double best = 1e18;
        int bj = 0, bi = 0;
        for (int j = 1; j < HG_NV - 1; j++)
            for (int i = 0; i < HG_NU; i++) {
                const struct node *n = &g.n[j][i];
                double dt = (n->at[0] + n->move[0] - t) * 72;
                double dy = n->at[1] + n->move[1] - y;
                bool axis = anchors[a].x == 0;
                if (n->fixed || (axis && i) || (!axis && !i))
                    continue;
                if (dt * dt + dy * dy < best) {
                    best = dt * dt + dy * dy;
                    bj = j;
                    bi = i;
                }
            }
        struct node *n = &g.n[bj][bi];
        n->move[0] = t - n->at[0];
        n->move[1] = y - n->at[1];
        n->fixed = true;
        node_of[anchors[a].id] = skin_id(bj, bi);
    }
}

static void set_vertex(int id, const struct node *n, bool flip)
{
    struct head_vertex *v = &base.v[id];
    double t = n->at[0] + n->move[0], y = n->at[1] + n->move[1];
    head_surface(t, y, v->p);
    double u = t / (2 * PI);
    base.uv[id][0] = (float)(flip ? 0.5 - u : 0.5 + u);
    base.uv[id][1] = (float)((y + 119) / (205 + 119));
    if (flip)
        v->p[0] = -v->p[0];
}

static void mirror_pair(int a, int b)
{
    base.mirror[a] = b;
    base.mirror[b] = a;
}

static int eye_low_id(int side, int k)
{
    return HG_LOW_EYE + (side < 0 ? HG_EYE_N - 1 : 0) + k - 1;
}

static int mouth_low_id(int k)
{
    return HG_LOW_MOUTH + k + HG_MOUTH_N - 1;
}

static void set_vertices(void)
{
    struct node pole = {{0, -119}, {0, 0}, true};
    set_vertex(0, &pole, false);
    base.mirror[0] = 0;
    for (int j = 0; j < HG_NV; j++)
        for (int i = 0; i <= HG_NU; i++) {
            set_vertex(skin_id(j, i), &g.n[j][i], false);
            if (i > 0 && i < HG_NU)
                set_vertex(skin_id(j, -i), &g.n[j][i], true);
            if (i == 0 || i == HG_NU)
                base.v[skin_id(j, i)].p[0] = 0;
            mirror_pair(skin_id(j, i),
                        i == HG_NU ? skin_id(j, i) : skin_id(j, -i));
        }
    base.v[0].p[0] = 0;
    base.v[0].p[2] =
        (base.v[skin_id(0, 0)].p[2] + base.v[skin_id(0, HG_NU)].p[2]) / 2;
    for (int k = 1; k < HG_EYE_N; k++) {
        set_vertex(eye_low_id(1, k), &g.eye_low[k], false);
        set_vertex(eye_low_id(-1, k), &g.eye_low[k], true);
        mirror_pair(eye_low_id(1, k), eye_low_id(-1, k));
    }
    for (int k = 0; k < HG_MOUTH_N; k++) {
        set_vertex(mouth_low_id(k), &g.mouth_low[k], false);
        if (k)
            set_vertex(mouth_low_id(-k), &g.mouth_low[k], true);
        mirror_pair(mouth_low_id(k), mouth_low_id(-k));
    }
    base.v[mouth_low_id(0)].p[0] = 0;
}

void head_add_tri(struct head_base *b, int a, int c, int d, int part)
{
    b->tri[b->n_tris][0] = a;
    b->tri[b->n_tris][1] = c;
    b->tri[b->n_tris][2] = d;
    b->part[b->n_tris++] = (uint8_t)part;
}

/* The id at (j, i) as seen from the cell below (low) or above. */
static int cell_id(int j, int i, bool low)
{
    if (low && j == g.eye_row && i > HG_EYE_COL && i < HG_EYE_COL + HG_EYE_N)
        return eye_low_id(1, i - HG_EYE_COL);
    if (low && j == g.mouth_row && i < HG_MOUTH_N)
        return mouth_low_id(i);
    return skin_id(j, i);
}

static int skin_part(const double p[3], double theta)
{
    double x = fabs(p[0]), y = p[1];
    double a = (x - 26) / 23.5;
    if (x < 30 && y > head_lip_upper_y(x) && y < head_lip_lower_y(x) && x < 26)
        return HEAD_LIPS;
    double brow = -25.5 - 3 * (1 - a * a) + 4.5;
    if (x > 13 && x < 55 && y > brow - 4.5 && y < brow + 3)
        return HEAD_BROW;
    double hairline = -64 + 40 * pow(theta / 1.4, 3);
    if (y < (theta < 1.45 ? fmin(hairline, 20) : 62))
        return HEAD_SCALP;
    double jaw = 116 - 52 * pow(theta / 1.3, 2);
    return y > fmax(jaw, 40) ? HEAD_NECK : HEAD_SKIN;
}

static void skin_tris(void)
{
    for (int i = 0; i < HG_NU; i++)
        head_add_tri(&base, 0, skin_id(0, i), skin_id(0, i + 1), HEAD_SCALP);
    for (int j = 0; j < HG_NV - 1; j++)
        for (int i = 0; i < HG_NU; i++) {
            int a = cell_id(j, i, true), b = cell_id(j, i + 1, true);
            int d = cell_id(j + 1, i, false), c = cell_id(j + 1, i + 1, false);
            double mid[3];
            for (int k = 0; k < 3; k++)
                mid[k] = (base.v[a].p[k] + base.v[c].p[k]) / 2;
            int part = skin_part(mid, col_theta(i) + 0.01);
            if ((i + j) % 2) {
                head_add_tri(&base, a, d, c, part);
                head_add_tri(&base, a, c, b, part);
            } else {
                head_add_tri(&base, a, d, b, part);
                head_add_tri(&base, b, d, c, part);
            }
        }
}

/* How far each skin vertex goes along with jaw, lids and lips. */
static double clamp01(double u)
{
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

static double ease(double lo, double hi, double x)
{
    double u = clamp01((x - lo) / (hi - lo));
    return u * u * (3 - 2 * u);
}

static void jaw_weights(struct head_vertex *v, bool is_low, bool is_up)
{
    double a = fabs(v->p[0]), y = v->p[1], dy = y - head_lip_line_y(a);
    /* Between the corners the lips part; the gap narrows towards them. */
    double soft =
        ease(-9 - 0.9 * fmax(0, a - 23), 9 + 0.9 * fmax(0, a - 23), dy);
    double near = clamp01(pow(a / 23.2, 3.0));
    double sharp = is_up ? 0 : is_low ? 1 : dy > 0 ? 1 : 0;
    double w = sharp + (soft - sharp) * near;
    v->lower = w * (1 - ease(118, 170, y)) * ease(-85, -50, v->p[2]);
    double side = 1 - ease(20, 34, a);
    bool below = is_low || (!is_up && dy > 0);
    double fall = exp(-dy * dy / 60);
    v->lip_up = below ? 0 : fall * side;
    v->lip_low = below ? fall * side : 0;
}

static void weights(void)
{
    for (int id = 0; id < HG_RIM; id++)
        jaw_weights(&base.v[id], id >= HG_LOW_MOUTH, false);
    for (int i = -HG_MOUTH_N + 1; i < HG_MOUTH_N; i++)
        jaw_weights(&base.v[skin_id(g.mouth_row, i)], false, true);
    for (int side = -1; side <= 1; side += 2)
        for (int k = 1; k < HG_EYE_N; k++) {
            double up[2], low[2], s = (double)k / HG_EYE_N;
            head_lid_curve(s, 0, up);
            head_lid_curve(s, 1, low);
            for (int d = -7; d <= 7; d++) {
                int i = side * (HG_EYE_COL + k);
                int id = d == 0 ? eye_low_id(side, k)
                                : skin_id(g.eye_row + (d < 0 ? d + 1 : d), i);
                double far = fabs((double)d + (d < 0 ? 1 : 0)) / 7;
                double w = (1 - far) * (1 - far) * (1 + 2 * far);
                *(d < 0 ? &base.v[id].lid_up : &base.v[id].lid_low) = w;
                base.v[id].lid_gap = low[1] - up[1];
            }
        }
}

static void set_landmarks(const int *node_of)
{
    int32_t *l = base.landmark;
    for (int i = 0; i < LANDMARKS; i++)
        l[i] = -1;
    for (int a = 0; a < COUNT(anchors); a++)
        l[anchors[a].id] = node_of[anchors[a].id];
    int third = HG_EYE_N / 3, two = HG_MOUTH_N * 3 / 10;
    l[42] = skin_id(g.eye_row, HG_EYE_COL);
    l[43] = skin_id(g.eye_row, HG_EYE_COL + third);
    l[44] = skin_id(g.eye_row, HG_EYE_COL + 2 * third);
    l[45] = skin_id(g.eye_row, HG_EYE_COL + HG_EYE_N);
    l[46] = eye_low_id(1, 2 * third);
    l[47] = eye_low_id(1, third);
    l[62] = skin_id(g.mouth_row, 0);
    l[63] = skin_id(g.mouth_row, two);
    l[64] = skin_id(g.mouth_row, HG_MOUTH_N);
    l[65] = mouth_low_id(two);
    l[66] = mouth_low_id(0);
    for (int i = 0; i < LANDMARKS; i++)
        if (l[i] < 0)
            l[i] = base.mirror[l[landmark_mirror[i]]];
}

/* Loops of margin vertices, clockwise as the viewer sees the right one. */
static void eye_rim(void)
{
    int loop[HG_EYE_LOOP];
    for (int k = 0; k <= HG_EYE_N; k++)
        loop[k] = skin_id(g.eye_row, HG_EYE_COL + k);
    for (int k = 1; k < HG_EYE_N; k++)
        loop[HG_EYE_LOOP - k] = eye_low_id(1, k);
    for (int n = 0; n < HG_EYE_LOOP; n++) {
        int r = HG_RIM + n, l = HG_RIM + HG_EYE_LOOP + n;
        base.rim_of[r] = loop[n];
        base.rim_of[l] = base.mirror[loop[n]];
        base.v[r] = base.v[loop[n]];
        base.v[l] = base.v[base.mirror[loop[n]]];
        memcpy(base.uv[r], base.uv[loop[n]], sizeof base.uv[r]);
        memcpy(base.uv[l], base.uv[base.mirror[loop[n]]], sizeof base.uv[l]);
        mirror_pair(r, l);
        int m = (n + 1) % HG_EYE_LOOP;
        head_add_tri(&base, loop[m], loop[n], r, HEAD_SKIN);
        head_add_tri(&base, loop[m], r, HG_RIM + m, HEAD_SKIN);
    }
}

/* Behind the lips: rows of the margin loop going in, closed by one vertex. */
static void mouth_bag(void)
{
    static const double in[HG_BAG_ROWS][3] = {/* narrowing, apart, back */
                                              {1.00, 0.2, 1.2},
                                              {0.99, 1.6, 4.0},
                                              {0.96, 8.0, 7.5},
                                              {0.80, 11.0, 26}};
    int loop[HG_MOUTH_LOOP], half = 2 * HG_MOUTH_N;
    for (int k = -HG_MOUTH_N; k <= HG_MOUTH_N; k++)
        loop[k + HG_MOUTH_N] = skin_id(g.mouth_row, k);
    for (int k = 1; k < half; k++)
        loop[HG_MOUTH_LOOP - k] = mouth_low_id(k - HG_MOUTH_N);
    int centre = HG_BAG + HG_BAG_ROWS * HG_MOUTH_LOOP;
    for (int r = 0; r < HG_BAG_ROWS; r++)
        for (int n = 0; n < HG_MOUTH_LOOP; n++) {
            int id = HG_BAG + r * HG_MOUTH_LOOP + n;
            int m = n <= half ? half - n : HG_MOUTH_LOOP + half - n;
            struct head_vertex *v = &base.v[id];
            const struct head_vertex *from = &base.v[loop[n]];
            *v = *from;
            bool corner = n == 0 || n == half;
            double dir = corner ? 0 : n < half ? -1 : 1;
            double fall = 1 - pow(fabs(from->p[0]) / 23.3, 2);
            v->p[0] *= in[r][0];
            v->p[1] += dir * in[r][1] * fmax(fall, 0);
            v->p[2] -= in[r][2];
            v->lip_up *= 1 - r * 0.25;
            v->lip_low *= 1 - r * 0.25;
            base.mirror[id] = HG_BAG + r * HG_MOUTH_LOOP + m;
            base.uv[id][0] = base.uv[loop[n]][0];
            base.uv[id][1] = base.uv[loop[n]][1];
            int next = (n + 1) % HG_MOUTH_LOOP;
            bool right = n >= HG_MOUTH_N && n < HG_MOUTH_N + half;
            if (!right)
                continue;
            int a = r ? id - HG_MOUTH_LOOP : loop[n];
            int b = r ? a - n + next : loop[next];
            int part = r < 2 ? HEAD_LIPS : HEAD_MOUTH;
            head_add_tri(&base, b, a, id, part);
            head_add_tri(&base, b, id, id - n + next, part);
            if (r + 1 == HG_BAG_ROWS)
                head_add_tri(&base, id - n + next, id, centre, HEAD_MOUTH);
        }
    struct head_vertex *c = &base.v[centre];
    *c = base.v[skin_id(g.mouth_row, 0)];
    c->p[2] -= 34;
    c->lower = 0.5;
    c->lip_up = c->lip_low = 0;
    base.mirror[centre] = centre;
    base.uv[centre][0] = 0.5f;
    base.uv[centre][1] = 0.58f;
}

const struct head_base *head_base_get(void)
{
    static bool ready;
    if (ready)
        return &base;
    static int node_of[LANDMARKS];
    for (int i = 0; i < HEAD_VERTS; i++)
        base.rim_of[i] = -1;
    base.n_tris = 0;
    grid_start();
    base.eye_row = g.eye_row;
    base.mouth_row = g.mouth_row;
    relax();
    place_anchors(node_of);
    relax();
    set_vertices();
    weights();
    skin_tris();
    eye_rim();
    mouth_bag();
    head_parts_build(&base);
    set_landmarks(node_of);
    int right = base.n_tris;
    for (int t = 0; t < right; t++)
        head_add_tri(&base, base.mirror[base.tri[t][0]],
                     base.mirror[base.tri[t][2]], base.mirror[base.tri[t][1]],
                     base.part[t]);
    for (int m = 0; m < HEAD_MODES; m++)
        for (int i = 0; i < HEAD_VERTS; i++) {
            double d[3] = {0, 0, 0};
            head_mode_field(m, &base.v[i], d);
            for (int k = 0; k < 3; k++)
                base.mode[m][i][k] = (float)d[k];
        }
    ready = true; /* head_deform asks for the base again */
    double pts[LANDMARKS][3];
    head_deform(NULL, base.landmark, LANDMARKS, pts);
    for (int k = 0; k < 3; k++) {
        base.centre[k] = 0;
        for (int i = 0; i < LANDMARKS; i++)
            base.centre[k] += pts[i][k] / LANDMARKS;
    }
    base.centre[0] = 0;
    return &base;
}
