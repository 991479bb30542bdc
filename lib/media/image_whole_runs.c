/* Are pictures whole whose codes have to be followed to their end: Targa, Sun
 * raster, PCX, JPEG-LS and lossless JPEG? (QOI has image_qoi.c.) */
#include <stdbool.h>
#include <string.h>

#include "lib/media/image_whole.h"

static enum image_whole whole_if(bool all)
{
    return all ? IMAGE_WHOLE : IMAGE_CUT;
}

/* Truevision TGA 2.0: a packet of runs may go on in the next row. */
enum image_whole image_targa_whole(const uint8_t *p, size_t n)
{
    if (n < 18)
        return IMAGE_CUT;
    size_t at = 18 + (size_t)p[0];
    if (p[1])
        at += (size_t)le16_at(p + 5) * ((size_t)(p[7] + 7) / 8);
    size_t pixels = (size_t)le16_at(p + 12) * le16_at(p + 14);
    size_t bytes = (size_t)(p[16] + 7) / 8;
    if (at > n)
        return IMAGE_CUT;
    if (p[2] >= 1 && p[2] <= 3)
        return whole_if(pixels * bytes <= n - at);
    if (p[2] < 9 || p[2] > 11) /* none that FFmpeg takes */
        return IMAGE_WHOLE;
    while (pixels) {
        if (at >= n)
            return IMAGE_CUT;
        size_t some = (size_t)(p[at] & 127) + 1;
        some = some < pixels ? some : pixels;
        size_t need = 1 + (p[at] & 128 ? 1 : some) * bytes;
        if (need > n - at)
            return IMAGE_CUT;
        at += need;
        pixels -= some;
    }
    return IMAGE_WHOLE;
}

/* Sun raster (rasterfile.h): rows of whole 16 bits; with runs (type 2) a byte
 * 0x80, a count and a value, or 0x80 0 for the byte itself. */
enum image_whole image_sun_whole(const uint8_t *p, size_t n)
{
    if (n < 32)
        return IMAGE_CUT;
    uint64_t row = ((uint64_t)be32_at(p + 4) * be32_at(p + 12) + 7) / 8;
    uint64_t rows = be32_at(p + 8), at = 32 + (uint64_t)be32_at(p + 28);
    row += row % 2;
    if (at > n || !row || !rows || row > UINT64_MAX / rows)
        return IMAGE_CUT;
    uint64_t left = row * rows;
    if (be32_at(p + 20) != 2)
        return whole_if(left <= n - at);
    while (left) {
        uint64_t some = 1, need = 1;
        if (at >= n)
            return IMAGE_CUT;
        if (p[at] == 0x80) {
            need = at + 1 < n && p[at + 1] == 0 ? 2 : 3;
            some = at + 1 < n ? (uint64_t)p[at + 1] + 1 : 1;
        }
        if (need > n - at)
            return IMAGE_CUT;
        at += need;
        left -= some < left ? some : left;
    }
    return IMAGE_WHOLE;
}

/* ZSoft PCX: runs of at most 63, which end with the row; a palette of 256
 * colours is in the last 769 bytes. */
enum image_whole image_pcx_whole(const uint8_t *p, size_t n)
{
    enum { PALETTE = 769 };
    if (n < 128)
        return IMAGE_CUT;
    size_t row = (size_t)p[65] * le16_at(p + 66), at = 128;
    size_t rows = ((size_t)le16_at(p + 10) - le16_at(p + 6) + 1) & 0xffff;
    if (p[3] == 8 && p[65] == 1) {
        if (n - at < PALETTE || p[n - PALETTE] != 12)
            return IMAGE_CUT;
        n -= PALETTE;
    }
    if (!p[2])
        return whole_if(row * rows <= n - at);
    for (size_t i = 0; i < rows; i++)
        for (size_t left = row; left;) {
            if (at >= n)
                return IMAGE_CUT;
            size_t some = p[at] >= 0xc0 ? p[at] & 63 : 1;
            size_t need = p[at] >= 0xc0 ? 2 : 1;
            if (need > n - at)
                return IMAGE_CUT;
            at += need;
            left -= some < left ? some : left;
        }
    return IMAGE_WHOLE;
}

/* From behind SOI: does the picture end with EOI, and where? *known: it is of
 * libjpeg's kinds, whose missing parts FFmpeg tells of. In scans 0xff is
 * followed by less than 0x80 (T.81: zero, T.87 A.1: a stuffed bit) or a
 * restart marker. */
static bool one_jpeg(const uint8_t *p, size_t n, size_t *at, bool *known)
{
    while (n - *at >= 2) {
        const uint8_t *m = p + *at;
        if (m[0] != 0xff || m[1] == 0xff || m[1] < 0x80 ||
            (m[1] >= 0xd0 && m[1] <= 0xd7)) {
            ++*at; /* of a scan, or filling */
            continue;
        }
        *at += 2;
        if (m[1] == 0xd9)
            return true;
        if (n - *at < 2 || be16_at(p + *at) > n - *at)
            return false;
        *known |=
            (m[1] >= 0xc0 && m[1] <= 0xc2) || m[1] == 0xc9 || m[1] == 0xca;
        *at += be16_at(p + *at);
    }
    return false;
}

enum image_whole image_jpeg_whole(const uint8_t *p, size_t n)
{
    bool known = false;
    while (n >= 2 && p[0] == 0xff && p[1] == 0xd8) {
        size_t at = 2;
        bool ends = one_jpeg(p, n, &at, &known);
        if (known)
            return IMAGE_WHOLE;
        if (!ends)
            return IMAGE_CUT;
        p += at;
        n -= at;
    }
    return IMAGE_WHOLE;
}
