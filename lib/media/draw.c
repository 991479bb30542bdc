/* Lines and discs on u8 pictures, clipped at the border. */
#include "lib/media/draw.h"

#include <math.h>
#include <stdbool.h>

static enum err_code check_target(const struct tensor *img, struct err *e)
{
    char text[64];

    if (img->dtype != DT_U8 || img->ndim != 3 || img->shape[2] != 3)
        return err_set(e, ERR_ARG, "draw: need u8[H,W,3], got %s",
                       tensor_describe(img, text, sizeof text));
    return OK;
}

static bool in_range(int64_t v)
{
    return v >= -DRAW_MAX_COORD && v <= DRAW_MAX_COORD;
}

static void put(struct tensor *img, int64_t x, int64_t y, const uint8_t rgb[3])
{
    uint8_t *p = tensor_u8(img) + (y * img->shape[1] + x) * 3;

    p[0] = rgb[0];
    p[1] = rgb[1];
    p[2] = rgb[2];
}

/* Along the longer axis, step i of n moves the other axis by
 * floor((2 i m + n) / (2 n)), m its whole way: Bresenham's error term solved
 * for step i, so that a clipped line can start anywhere exactly. */
static int64_t minor_step(int64_t i, int64_t n, int64_t m)
{
    return n == 0 ? 0 : (2 * i * m + n) / (2 * n);
}

enum err_code draw_line(struct tensor *img, int64_t x0, int64_t y0, int64_t x1,
                        int64_t y1, const uint8_t rgb[3], struct err *e)
{
    enum err_code rc = check_target(img, e);

    if (rc != OK)
        return rc;
    if (!in_range(x0) || !in_range(y0) || !in_range(x1) || !in_range(y1))
        return err_set(e, ERR_ARG, "draw: a line end is beyond %d pixels",
                       DRAW_MAX_COORD);
    int64_t w = img->shape[1], h = img->shape[0];
    int64_t dx = x1 > x0 ? x1 - x0 : x0 - x1;
    int64_t dy = y1 > y0 ? y1 - y0 : y0 - y1;
    int64_t sx = x1 > x0 ? 1 : -1, sy = y1 > y0 ? 1 : -1;
    bool steep = dy > dx;
    int64_t n = steep ? dy : dx, m = steep ? dx : dy;
    int64_t start = steep ? y0 : x0, sign = steep ? sy : sx;
    int64_t limit = steep ? h : w;
    /* steps whose major coordinate lies in 0..limit-1 */
    int64_t first = sign > 0 ? -start : start - (limit - 1);
    int64_t last = sign > 0 ? limit - 1 - start : start;

    first = first < 0 ? 0 : first;
    last = last > n ? n : last;
    for (int64_t i = first; i <= last; i++) {
        int64_t j = minor_step(i, n, m);
        int64_t x = steep ? x0 + sx * j : x0 + sx * i;
        int64_t y = steep ? y0 + sy * i : y0 + sy * j;

        if (x >= 0 && x < w && y >= 0 && y < h)
            put(img, x, y, rgb);
    }
    return OK;
}

enum err_code draw_disc(struct tensor *img, int64_t x, int64_t y, double radius,
                        const uint8_t rgb[3], struct err *e)
{
    enum err_code rc = check_target(img, e);

    if (rc != OK)
        return rc;
    if (!in_range(x) || !in_range(y))
        return err_set(e, ERR_ARG, "draw: a disc is beyond %d pixels",
                       DRAW_MAX_COORD);
    if (!(radius > 0.0) || radius > 65536.0)
        return err_set(e, ERR_ARG, "draw: disc radius %g", radius);
    int64_t w = img->shape[1], h = img->shape[0], r = (int64_t)ceil(radius);
    int64_t x0 = x - r < 0 ? 0 : x - r, x1 = x + r >= w ? w - 1 : x + r;
    int64_t y0 = y - r < 0 ? 0 : y - r, y1 = y + r >= h ? h - 1 : y + r;

    for (int64_t py = y0; py <= y1; py++)
        for (int64_t px = x0; px <= x1; px++) {
            double dx = (double)(px - x), dy = (double)(py - y);

            if (dx * dx + dy * dy < radius * radius)
                put(img, px, py, rgb);
        }
    return OK;
}

enum err_code draw_box(struct tensor *img, const float box[4], int thick,
                       const uint8_t rgb[3], struct err *e)
{
    int64_t v[4];
    for (int i = 0; i < 4; i++) {
        if (!(fabsf(box[i]) < (float)DRAW_MAX_COORD / 2))
            return err_set(e, ERR_ARG, "a box that is out of range");
        v[i] = (int64_t)lroundf(box[i]);
    }
    if (thick < 1 || thick > 64)
        return err_set(e, ERR_ARG, "a line of %d pixels", thick);
    enum err_code r = OK;
    for (int k = 0; k < thick && !r; k++) {
        int64_t x0 = v[0] + k, y0 = v[1] + k, x1 = v[2] - k, y1 = v[3] - k;
        if (x0 > x1 || y0 > y1)
            break;
        r = draw_line(img, x0, y0, x1, y0, rgb, e);
        if (!r)
            r = draw_line(img, x1, y0, x1, y1, rgb, e);
        if (!r)
            r = draw_line(img, x1, y1, x0, y1, rgb, e);
        if (!r)
            r = draw_line(img, x0, y1, x0, y0, rgb, e);
    }
    return r;
}
