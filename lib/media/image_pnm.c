/* Reading PGM and PPM (P5, P6; netpbm's formats). */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/media/image_codec.h"

struct pnm_header {
    bool color;
    uint32_t width, height, maxval;
    size_t start; /* of the samples */
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number, after white space and comments; false if there is none. */
static bool number(const uint8_t *p, size_t n, size_t *at, uint32_t *out)
{
    while (*at < n && (is_space(p[*at]) || p[*at] == '#')) {
        if (p[*at] == '#')
            while (*at < n && p[*at] != '\n' && p[*at] != '\r')
                (*at)++;
        else
            (*at)++;
    }
    size_t digits = 0;
    uint32_t v = 0;
    for (; *at < n && p[*at] >= '0' && p[*at] <= '9'; (*at)++) {
        if (++digits > 8)
            return false;
        v = v * 10 + (uint32_t)(p[*at] - '0');
    }
    *out = v;
    return digits > 0;
}

static enum err_code header(const uint8_t *p, size_t n, struct pnm_header *h,
                            struct err *e)
{
    size_t at = 2;
    h->color = p[1] == '6';
    if (!number(p, n, &at, &h->width) || !number(p, n, &at, &h->height) ||
        !number(p, n, &at, &h->maxval) || at >= n || !is_space(p[at]))
        return err_set(e, ERR_DATA, "malformed P%c header", p[1]);
    if (h->maxval == 0 || h->maxval > 65535)
        return err_set(e, ERR_DATA, "P%c maximum value %u is not 1..65535",
                       p[1], h->maxval);
    h->start = at + 1;
    return OK;
}

/* Bytes of the samples; false if they are too many to count. */
static bool samples_size(const struct pnm_header *h, size_t *need)
{
    size_t pixels, depth = h->maxval > 255 ? 2 : 1;
    return size_mul(h->width, h->height, &pixels) &&
           size_mul(pixels, depth * (h->color ? 3 : 1), need);
}

bool image_pnm_end(const uint8_t *data, size_t n, size_t *end)
{
    struct pnm_header h;
    struct err why;
    size_t need;
    if (n < 3 || data[0] != 'P' || (data[1] != '5' && data[1] != '6') ||
        header(data, n, &h, &why) || !samples_size(&h, &need) ||
        need > SIZE_MAX - h.start)
        return false;
    *end = h.start + need;
    return true;
}

enum err_code image_pnm_decode(const uint8_t *data, size_t n,
                               const struct image_caps *caps,
                               struct tensor **out, struct err *e)
{
    struct pnm_header h;
    enum err_code rc = header(data, n, &h, e);
    if (!rc)
        rc = image_check_size(caps, h.width, h.height, e);
    if (rc)
        return rc;
    size_t depth = h.maxval > 255 ? 2 : 1, channels = h.color ? 3 : 1;
    size_t pixels = (size_t)h.width * h.height, need;
    if (!samples_size(&h, &need))
        return err_set(e, ERR_UNSUPPORTED, "picture too large");
    if (need > n - h.start)
        return err_set(e, ERR_DATA, "the picture ends early: %zu of %zu bytes",
                       n - h.start, need);
    struct tensor *t = image_new_rgb(h.height, h.width, e);
    if (!t)
        return ERR_NOMEM;
    const uint8_t *p = data + h.start;
    uint8_t *to = tensor_u8(t);
    for (size_t i = 0; i < pixels * channels; i++, p += depth) {
        uint32_t v = depth == 2 ? (uint32_t)p[0] << 8 | p[1] : p[0];
        if (h.maxval != 255)
            v = v >= h.maxval ? 255 : (v * 255 + h.maxval / 2) / h.maxval;
        if (h.color) {
            to[i] = (uint8_t)v;
        } else {
            memset(to, (int)v, 3);
            to += 3;
        }
    }
    *out = t;
    return OK;
}
