/* The position map on the project's own head. */
#include "lib/geom/head_map.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/geom/head_internal.h"

#define SLIT 5 /* rows of a slit: margin, three inside, margin */
#define BAG_DEPTH                                                              \
    0.09F /* how far the mouth's surface goes in at its middle                 \
           */

/* Rows of the head's grid, in halves (odd: between two rows), and where the
 * eyes' and the mouth's slits begin. Outside of a slit's columns its five rows
 * are spread over a row above and below. */
struct rows {
    int half[HEAD_MAP_ROWS];
    int eye, mouth; /* first map row of the slit */
};

static void put_slit(struct rows *r, int *n, int *first, int row)
{
    *first = *n;
    for (int k = 0; k < SLIT; k++)
        r->half[(*n)++] = 2 * row - 2 + k;
}

static void rows_make(struct rows *r)
{
    const struct head_base *b = head_base_get();
    int n = 0, eye = b->eye_row, mouth = b->mouth_row;
    const int between = 18, below = 19;
    for (int j = 0; j + 2 <= eye; j += 2)
        r->half[n++] = 2 * j;
    put_slit(r, &n, &r->eye, eye);
    for (int k = 0; k < between; k++) {
        int from = eye + 2, to = mouth - 2;
        r->half[n++] =
            2 * (from + ((to - from) * k + (between - 1) / 2) / (between - 1));
    }
    put_slit(r, &n, &r->mouth, mouth);
    for (int k = 0; k < below && n < HEAD_MAP_ROWS; k++) {
        int from = mouth + 2, to = HG_NV - 1;
        r->half[n++] = 2 * (from + (to - from) * k / (below - 1));
    }
}

/* Column of the head's grid: 0 in front, up to HG_NU at the back. */
static int grid_col(int col)
{
    int k = abs(col - HEAD_MAP_COLS / 2);
    return k <= 12 ? 2 * k : 24 + 3 * (k - 12);
}

static int vertex_at(int row, int col)
{
    int i = grid_col(col);
    if (i == HG_NU)
        i = HG_NU;
    else if (col < HEAD_MAP_COLS / 2)
        i = -i;
    return 1 + row * HG_COLS + (i < 0 ? i + HG_COLS : i);
}

/* 1 in an eye's columns, 2 in the mouth's, 0 elsewhere; only of slit rows. */
static int slit_of(const struct rows *r, int row, int col)
{
    int i = grid_col(col);
    if (row >= r->eye && row < r->eye + SLIT && i > HG_EYE_COL &&
        i < HG_EYE_COL + HG_EYE_N)
        return 1;
    if (row >= r->mouth && row < r->mouth + SLIT && i < HG_MOUTH_N)
        return 2;
    return 0;
}

static int low_copy(int slit, int col)
{
    int i = grid_col(col);
    bool left = col < HEAD_MAP_COLS / 2;
    if (slit == 1)
        return HG_LOW_EYE + (left ? HG_EYE_N - 1 : 0) + i - HG_EYE_COL - 1;
    return HG_LOW_MOUTH + (left ? -i : i) + HG_MOUTH_N - 1;
}

void head_map_skin(struct head_node node[HEAD_MAP_NODES])
{
    const struct head_base *b = head_base_get();
    struct rows r;
    rows_make(&r);
    for (int row = 0; row < HEAD_MAP_ROWS; row++)
        for (int col = 0; col < HEAD_MAP_COLS; col++) {
            struct head_node *n = &node[HEAD_MAP_AT(row, col)];
            int slit = slit_of(&r, row, col);
            int k = row - (slit == 1 ? r.eye : r.mouth);
            int line = slit == 1 ? b->eye_row : b->mouth_row;
            int half = r.half[row];
            *n = (struct head_node){.n = 0};
            if (slit && k > 0 && k < SLIT - 1)
                continue;
            if (slit) {
                n->n = 1;
                n->vertex[0] = k ? low_copy(slit, col) : vertex_at(line, col);
                n->weight[0] = 1;
                continue;
            }
            n->n = half % 2 ? 2 : 1;
            for (int v = 0; v < n->n; v++) {
                n->vertex[v] = vertex_at(half / 2 + v, col);
                n->weight[v] = 1.0F / (float)n->n;
            }
        }
}

static void add_part(struct head_node *to, const struct head_node *from,
                     float share)
{
    for (int i = 0; i < from->n && to->n < HEAD_NODE_MAX; i++) {
        to->vertex[to->n] = from->vertex[i];
        to->weight[to->n++] = share * from->weight[i];
    }
}

/* The middle of the eyeball that lies behind p. */
static bool ball_centre(const struct head_model *m, const float p[3],
                        double c[3])
{
    double n = 0;
    c[0] = c[1] = c[2] = 0;
    for (int t = 0; t < m->n_triangles; t++) {
        if (m->part[t] != HEAD_MODEL_BALL)
            continue;
        const float *v = m->mean[m->triangle[t][0]];
        if ((v[0] > 0) != (p[0] > 0))
            continue;
        for (int k = 0; k < 3; k++)
            c[k] += (double)v[k];
        n++;
    }
    for (int k = 0; k < 3 && n > 0; k++)
        c[k] /= n;
    return n > 0;
}

/* A place of the eye: where the ray from the ball's middle through the place
 * between the margins leaves the ball. */
static enum err_code eye_node(const struct head_model *m,
                              const struct head_node *up,
                              const struct head_node *low, double f,
                              struct head_node *out, struct err *e)
{
    float a[3], b[3], mid[3];
    double c[3], dir[3];
    head_node_at(up, m->mean[0], a);
    head_node_at(low, m->mean[0], b);
    for (int k = 0; k < 3; k++)
        mid[k] = (float)((1 - f) * (double)a[k] + f * (double)b[k]);
    bool ok = ball_centre(m, mid, c);
    for (int k = 0; k < 3; k++)
        dir[k] = (double)mid[k] - c[k];
    ok = ok && head_model_ray(m, c, dir, 1U << HEAD_MODEL_BALL, out);
    return ok ? OK
              : err_set(e, ERR_DATA, "head model: no eyeball behind a lid");
}

enum err_code head_map_close(const struct head_model *m,
                             struct head_node node[HEAD_MAP_NODES],
                             struct err *e)
{
    struct rows r;
    enum err_code rc = OK;
    rows_make(&r);
    for (int row = 0; row < HEAD_MAP_ROWS && !rc; row++)
        for (int col = 0; col < HEAD_MAP_COLS && !rc; col++) {
            struct head_node *n = &node[HEAD_MAP_AT(row, col)];
            int slit = slit_of(&r, row, col);
            int first = slit == 1 ? r.eye : r.mouth, k = row - first;
            if (!slit || k == 0 || k == SLIT - 1)
                continue;
            const struct head_node *up = &node[HEAD_MAP_AT(first, col)];
            const struct head_node *low =
                &node[HEAD_MAP_AT(first + SLIT - 1, col)];
            float f = (float)k / (SLIT - 1);
            *n = (struct head_node){.n = 0};
            if (slit == 1) {
                rc = eye_node(m, up, low, (double)f, n, e);
                continue;
            }
            float x = (float)grid_col(col) / HG_MOUTH_N;
            add_part(n, up, 1 - f);
            add_part(n, low, f);
            n->offset_z = -BAG_DEPTH * 4 * f * (1 - f) * (1 - x * x);
        }
    return rc;
}

enum err_code head_map_own(const struct head_model *own,
                           struct head_node node[HEAD_MAP_NODES], struct err *e)
{
    head_map_skin(node);
    return head_map_close(own, node, e);
}

/* The part of the first triangle that has this vertex. */
static uint8_t vertex_part(const struct head_base *b, int v)
{
    for (int t = 0; t < b->n_tris; t++)
        for (int k = 0; k < 3; k++)
            if (b->tri[t][k] == v)
                return b->part[t];
    return HEAD_SKIN;
}

void head_map_parts(uint8_t part[HEAD_MAP_NODES])
{
    struct head_node node[HEAD_MAP_NODES];
    const struct head_base *b = head_base_get();
    struct rows r;
    rows_make(&r);
    head_map_skin(node);
    for (int i = 0; i < HEAD_MAP_NODES; i++) {
        int slit = slit_of(&r, i / HEAD_MAP_COLS, i % HEAD_MAP_COLS);
        uint8_t p = node[i].n ? vertex_part(b, node[i].vertex[0]) : HEAD_SKIN;
        if (!node[i].n)
            p = slit == 1 ? HEAD_EYE : HEAD_MOUTH;
        else if (p != HEAD_SCALP && p != HEAD_NECK)
            p = HEAD_SKIN;
        part[i] = p;
    }
}

void head_map_triangles(int32_t out[HEAD_MAP_TRIANGLES][3])
{
    int t = 0;
    for (int row = 0; row + 1 < HEAD_MAP_ROWS; row++)
        for (int col = 0; col + 1 < HEAD_MAP_COLS; col++) {
            int a = HEAD_MAP_AT(row, col), b = a + 1;
            int c = a + HEAD_MAP_COLS, d = c + 1;
            const int32_t two[2][3] = {{a, c, d}, {a, d, b}};
            memcpy(out[t], two, sizeof two);
            t += 2;
        }
}
