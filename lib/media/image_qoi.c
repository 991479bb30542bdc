/* Is a QOI picture whole? FFmpeg decodes it (qoiformat.org, version 1.0). */
#include <stdbool.h>
#include <string.h>

#include "lib/media/image_whole.h"

#define HEAD 14

/* Bytes of the chunk that begins with this one, and its pixels. */
static size_t chunk(uint8_t tag, size_t *pixels)
{
    *pixels = 1;
    if (tag == 0xfe) /* RGB */
        return 4;
    if (tag == 0xff) /* RGBA */
        return 5;
    switch (tag >> 6) {
    case 2: /* luma */
        return 2;
    case 3: /* run */
        *pixels = (size_t)(tag & 63) + 1;
        return 1;
    default: /* index, difference */
        return 1;
    }
}

enum image_whole image_qoi_whole(const uint8_t *p, size_t n)
{
    static const uint8_t mark[8] = {0, 0, 0, 0, 0, 0, 0, 1};
    bool any = false;
    for (; n >= HEAD && memcmp(p, "qoif", 4) == 0; any = true) {
        size_t pixels = (size_t)be32_at(p + 4) * be32_at(p + 8), at = HEAD,
               some = 1;
        while (pixels) {
            size_t bytes = at < n ? chunk(p[at], &some) : 1;
            if (bytes > n - at)
                return IMAGE_CUT;
            at += bytes;
            pixels -= some < pixels ? some : pixels;
        }
        if (n - at < sizeof mark || memcmp(p + at, mark, sizeof mark) != 0)
            return IMAGE_CUT;
        p += at + sizeof mark; /* several in a row are a clip */
        n -= at + sizeof mark;
    }
    return any ? IMAGE_WHOLE : IMAGE_CUT;
}
