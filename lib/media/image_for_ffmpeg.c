/* Files that begin like a PNG or JPEG and are for FFmpeg to read: animated PNG,
 * JPEGs one after another (a raw motion-JPEG stream), and the kinds of JPEG
 * that libjpeg does not know (lossless ones, JPEG-LS). */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/media/image_codec.h"

static uint32_t be(const uint8_t *p, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static bool read_all(FILE *f, uint8_t *to, size_t n)
{
    return fread(to, 1, n, f) == n;
}

/* acTL stands before the pixels (APNG 1.0), IEND at the end. */
static bool png_moves(FILE *f)
{
    uint8_t head[8];
    if (!read_all(f, head, 8))
        return false;
    for (int i = 0; i < 100000 && read_all(f, head, 8); i++) {
        if (memcmp(head + 4, "acTL", 4) == 0)
            return read_all(f, head, 4) && be(head, 4) > 1;
        bool end = memcmp(head + 4, "IEND", 4) == 0;
        if (fseeko(f, (off_t)be(head, 4) + 4, SEEK_CUR) != 0)
            return false;
        if (end)
            return read_all(f, head, 8) &&
                   memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0;
    }
    return false;
}

/* A second picture at the first one's end. */
static bool pnm_moves(FILE *f)
{
    uint8_t head[512];
    size_t end;
    return image_pnm_end(head, fread(head, 1, sizeof head, f), &end) &&
           end <= INT64_MAX && fseeko(f, (off_t)end, SEEK_SET) == 0 &&
           read_all(f, head, 3) && head[0] == 'P' && head[1] >= '1' &&
           head[1] <= '7' && (head[2] == '\n' || head[2] == ' ');
}

static bool webp_moves(FILE *f)
{
    uint8_t head[16];
    if (!read_all(f, head, 8))
        return false;
    off_t size = (off_t)((uint32_t)head[4] | (uint32_t)head[5] << 8 |
                         (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24);
    return fseeko(f, size + size % 2, SEEK_CUR) == 0 &&
           read_all(f, head, sizeof head) &&
           image_webp_sniff(head, sizeof head);
}

struct jpeg_seen {
    uint32_t size; /* height and width of the frame; 0: none seen */
    bool many;     /* says itself that it holds several pictures (MPF) */
    bool strange;  /* not of libjpeg's kinds */
};

/* Skip the entropy-coded part; the marker that ends it, 0 at the end. JPEG-LS
 * stuffs bits, not bytes: anything below 0x80 may follow 0xff in it (T.87
 * A.1). */
static int skip_scan(FILE *f)
{
    int c, before = 0;
    while ((c = getc(f)) != EOF) {
        if (before == 0xff && c >= 0x80 && c != 0xff && (c < 0xd0 || c > 0xd7))
            return c;
        before = c;
    }
    return 0;
}

/* SOF0 to SOF15 and JPEG-LS's SOF55, which give the frame's size. */
static bool begins_frame(int marker)
{
    return marker == 0xf7 ||
           (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 &&
            marker != 0xc8 && marker != 0xcc);
}

/* Baseline, extended, progressive; the last two also with arithmetic coding. */
static bool known_frame(int marker)
{
    return (marker >= 0xc0 && marker <= 0xc2) || marker == 0xc9 ||
           marker == 0xca;
}

/* From behind SOI. header_only: until the size is known. False at a fault. */
static bool jpeg_walk(FILE *f, struct jpeg_seen *s, bool header_only)
{
    int marker = 0;
    *s = (struct jpeg_seen){0};
    for (int i = 0; i < 100000; i++) {
        uint8_t b[8];
        if (marker == 0) {
            int c = getc(f);
            if (c != 0xff)
                return false;
            while (c == 0xff)
                c = getc(f);
            if (c == EOF || c == 0)
                return false;
            marker = c;
        }
        if (marker == 0xd9)
            return true;
        if (!read_all(f, b, 2) || be(b, 2) < 2)
            return false;
        off_t left = (off_t)be(b, 2) - 2;
        bool frame = begins_frame(marker);
        if ((frame || marker == 0xe2) && left >= 5) {
            if (!read_all(f, b, 5))
                return false;
            left -= 5;
            if (frame) {
                s->size = be(b + 1, 4);
                s->strange = !known_frame(marker);
            } else {
                s->many |= memcmp(b, "MPF", 4) == 0;
            }
        }
        if (fseeko(f, left, SEEK_CUR) != 0)
            return false;
        if (frame && header_only)
            return true;
        marker = marker == 0xda ? skip_scan(f) : 0;
        if (feof(f))
            return false;
    }
    return false;
}

/* A second picture of the same size right behind the first. Cameras also append
 * previews, which are smaller, and say so (MPF). */
static bool jpeg_moves(FILE *f)
{
    struct jpeg_seen first = {0}, second;
    uint8_t b[2];
    bool whole = read_all(f, b, 2) && jpeg_walk(f, &first, false);
    if (first.strange)
        return true;
    if (!whole || first.many)
        return false;
    return read_all(f, b, 2) && b[0] == 0xff && b[1] == 0xd8 &&
           jpeg_walk(f, &second, true) && first.size &&
           first.size == second.size;
}

bool image_for_ffmpeg(int fd)
{
    int own = dup(fd);
    FILE *f = own >= 0 ? fdopen(own, "rb") : NULL;
    bool moves = false;
    if (!f) {
        if (own >= 0)
            close(own);
        return false;
    }
    int c = fseeko(f, 0, SEEK_SET) == 0 ? getc(f) : EOF;
    bool back = fseeko(f, 0, SEEK_SET) == 0;
    if (back && c == 0xff)
        moves = jpeg_moves(f);
    else if (back && c == 0x89)
        moves = png_moves(f);
    else if (back && c == 'P')
        moves = pnm_moves(f);
    else if (back && c == 'R')
        moves = webp_moves(f);
    fclose(f);
    return moves;
}
