/* Files that begin like a picture and hold a clip: animated PNG, and JPEGs one
 * after another (a raw motion-JPEG stream). */
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

/* acTL stands before the pixels (APNG 1.0). */
static bool png_moves(FILE *f)
{
    uint8_t head[16];
    if (!read_all(f, head, 8))
        return false;
    for (int i = 0; i < 10000 && read_all(f, head, 8); i++) {
        if (memcmp(head + 4, "IDAT", 4) == 0)
            return false;
        if (memcmp(head + 4, "acTL", 4) == 0)
            return read_all(f, head, 4) && be(head, 4) > 1;
        if (fseeko(f, (off_t)be(head, 4) + 4, SEEK_CUR) != 0)
            return false;
    }
    return false;
}

struct jpeg_seen {
    uint32_t size; /* height and width of the frame; 0: none seen */
    bool many;     /* says itself that it holds several pictures (MPF) */
};

/* Skip the entropy-coded part; the marker that ends it, 0 at the end. */
static int skip_scan(FILE *f)
{
    int c, before = 0;
    while ((c = getc(f)) != EOF) {
        if (before == 0xff && c != 0 && c != 0xff && (c < 0xd0 || c > 0xd7))
            return c;
        before = c;
    }
    return 0;
}

/* From behind SOI. header_only: until the size is known. False at a fault. */
static bool jpeg_walk(FILE *f, struct jpeg_seen *s, bool header_only)
{
    int marker = 0;
    *s = (struct jpeg_seen){0, false};
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
        bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 &&
                     marker != 0xc8 && marker != 0xcc;
        if ((frame || marker == 0xe2) && left >= 5) {
            if (!read_all(f, b, 5))
                return false;
            left -= 5;
            if (frame)
                s->size = be(b + 1, 4);
            else
                s->many |= memcmp(b, "MPF", 4) == 0;
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
    struct jpeg_seen first, second;
    uint8_t b[2];
    if (!read_all(f, b, 2) || !jpeg_walk(f, &first, false) || first.many)
        return false;
    return read_all(f, b, 2) && b[0] == 0xff && b[1] == 0xd8 &&
           jpeg_walk(f, &second, true) && first.size &&
           first.size == second.size;
}

bool image_file_moves(int fd)
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
    if (fseeko(f, 0, SEEK_SET) == 0)
        moves = c == 0xff ? jpeg_moves(f) : c == 0x89 && png_moves(f);
    fclose(f);
    return moves;
}
