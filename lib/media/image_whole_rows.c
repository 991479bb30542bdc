/* Are pictures whole whose header, or a table behind it, says how long they
 * are: BMP, DPX, SGI, OpenEXR? */
#include <stdbool.h>
#include <string.h>

#include "lib/media/image_whole.h"

/* Widths and heights are below 2^32 and a pixel has at most 2^12 bits here, so
 * that products of the three would need more than 64 bits; no file is as long
 * as such a picture. */
static bool fits(uint64_t n, uint64_t at, uint64_t row, uint64_t rows)
{
    return at <= n && (!row || rows <= (n - at) / row);
}

/* One BMP; *end is where the next may begin. FFmpeg takes a file that is a
 * little short for one whose rows are not filled up to 4 bytes, and shears the
 * picture: such rows are believed only where the file is as long as it says. */
static enum image_whole one_bmp(const uint8_t *p, size_t n, size_t *end)
{
    if (n < 26)
        return IMAGE_CUT;
    uint64_t size = le32_at(p + 2), at = le32_at(p + 10);
    bool old = le32_at(p + 14) == 12; /* OS/2 */
    if (!old && n < 34)
        return IMAGE_CUT;
    uint64_t w = old ? le16_at(p + 18) : le32_at(p + 18);
    uint64_t h = old ? le16_at(p + 20) : le32_at(p + 22);
    uint64_t bits = w * le16_at(p + (old ? 24 : 28));
    uint32_t packing = old ? 0 : le32_at(p + 30);
    *end = size > 26 && size < n ? (size_t)size : n;
    if (packing == 1 || packing == 2) /* runs */
        return n < size ? IMAGE_CUT : IMAGE_WHOLE;
    if (h >> 31) /* negative: from the top */
        h = (uint32_t)-h;
    if (fits(n, at, (bits + 31) / 32 * 4, h))
        return IMAGE_WHOLE;
    return n >= size && fits(n, at, (bits + 7) / 8, h) ? IMAGE_WHOLE
                                                       : IMAGE_CUT;
}

enum image_whole image_bmp_whole(const uint8_t *p, size_t n)
{
    enum image_whole w;
    size_t end;
    do {
        w = one_bmp(p, n, &end);
        if (w == IMAGE_CUT)
            return w;
        p += end;
        n -= end;
    } while (n >= 2 && memcmp(p, "BM", 2) == 0);
    return w;
}

/* SMPTE 268M: the header says how long the file is, if whoever wrote it knew.
 */
enum image_whole image_dpx_whole(const uint8_t *p, size_t n)
{
    if (n < 20)
        return IMAGE_CUT;
    uint32_t size = *p == 'X' ? le32_at(p + 16) : be32_at(p + 16);
    uint32_t at = *p == 'X' ? le32_at(p + 4) : be32_at(p + 4);
    if (size == UINT32_MAX || size <= at)
        return IMAGE_MAYBE;
    return n < size ? IMAGE_CUT : IMAGE_WHOLE;
}

/* SGI image file format 1.00: rows behind the header, or two tables with where
 * each begins and how long it is. */
enum image_whole image_sgi_whole(const uint8_t *p, size_t n)
{
    if (n < 512)
        return IMAGE_CUT;
    uint32_t dims = be16_at(p + 4);
    uint64_t rows = (uint64_t)(dims > 1 ? be16_at(p + 8) : 1) *
                    (dims > 2 ? be16_at(p + 10) : 1);
    if (p[2] == 0)
        return fits(n, 512, (uint64_t)be16_at(p + 6) * p[3], rows) ? IMAGE_WHOLE
                                                                   : IMAGE_CUT;
    if (!fits(n, 512, 8, rows))
        return IMAGE_CUT;
    for (uint64_t i = 0; i < rows; i++) {
        const uint8_t *row = p + 512 + 4 * i;
        if ((uint64_t)be32_at(row) + be32_at(row + 4 * rows) > n)
            return IMAGE_CUT;
    }
    return IMAGE_WHOLE;
}

struct exr {
    uint64_t rows;  /* of the data window; 0: not found */
    int compressed; /* -1: not found */
};

/* An attribute's name, type and value; false at the end of them or a fault. */
static bool exr_attribute(const uint8_t *p, size_t n, size_t *at, struct exr *x)
{
    const uint8_t *name = p + *at;
    const uint8_t *type = memchr(name, 0, n - *at);
    if (!type || type++ == name)
        return false;
    const uint8_t *value = memchr(type, 0, n - (size_t)(type - p));
    if (!value || (size_t)(p + n - ++value) < 4)
        return false;
    size_t size = le32_at(value), left = n - (size_t)(value - p) - 4;
    value += 4;
    if (size > left)
        return false;
    if (size == 16 && strcmp((const char *)name, "dataWindow") == 0)
        x->rows = (uint64_t)((int64_t)(int32_t)le32_at(value + 12) -
                             (int32_t)le32_at(value + 4) + 1);
    if (size == 1 && strcmp((const char *)name, "compression") == 0)
        x->compressed = *value;
    *at = (size_t)(value - p) + size;
    return true;
}

/* OpenEXR file layout, single part, scan lines: attributes, a table of where
 * each block begins, blocks of (y, size, bytes). Tiles and parts: not looked
 * at. */
enum image_whole image_exr_whole(const uint8_t *p, size_t n)
{
    /* none, RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A, DWAA, DWAB */
    static const uint16_t lines[] = {1, 1, 1, 16, 32, 16, 32, 32, 32, 256};
    struct exr x = {.compressed = -1};
    size_t at = 8;
    if (n < 8)
        return IMAGE_CUT;
    if (le32_at(p + 4) & 0x1a00) /* tiles, deep, parts */
        return IMAGE_MAYBE;
    while (at < n && exr_attribute(p, n, &at, &x))
        ;
    if (at >= n || p[at] != 0)
        return IMAGE_CUT;
    at++;
    if (x.compressed < 0 || x.compressed > 9 || !x.rows ||
        x.rows > (uint64_t)1 << 32)
        return IMAGE_MAYBE;
    uint64_t high = lines[x.compressed], blocks = (x.rows + high - 1) / high;
    if (!fits(n, at, 8, blocks))
        return IMAGE_CUT;
    for (uint64_t i = 0; i < blocks; i++) {
        const uint8_t *where = p + at + 8 * i;
        uint64_t begin = (uint64_t)le32_at(where + 4) << 32 | le32_at(where);
        if (begin > n || n - begin < 8 ||
            n - begin - 8 < le32_at(p + begin + 4))
            return IMAGE_CUT;
    }
    return IMAGE_WHOLE;
}
