/* Pictures: which codec reads these bytes, and what all codecs share. */
#include "lib/media/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/media/image_codec.h"

#define DEFAULT_PNG_LEVEL 6
#define DEFAULT_JPEG_QUALITY 95

const struct image_caps image_caps_default = {
    .max_file = (size_t)256 << 20,
    .max_side = 32768,
    .max_pixels = (size_t)1 << 28,
};

enum picture_type {
    PICTURE_NONE,
    PICTURE_PNG,
    PICTURE_JPEG,
    PICTURE_PNM,
    PICTURE_WEBP,
    PICTURE_HEIF
};

static enum picture_type sniff(const uint8_t *p, size_t n)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (n >= 8 && memcmp(p, png, 8) == 0)
        return PICTURE_PNG;
    if (n >= 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff)
        return PICTURE_JPEG;
    if (n >= 3 && p[0] == 'P' && (p[1] == '5' || p[1] == '6') &&
        (p[2] == ' ' || p[2] == '\n' || p[2] == '\t' || p[2] == '\r' ||
         p[2] == '#'))
        return PICTURE_PNM;
    if (image_webp_sniff(p, n))
        return PICTURE_WEBP;
    if (image_heif_sniff(p, n))
        return PICTURE_HEIF;
    return PICTURE_NONE;
}

enum err_code image_check_size(const struct image_caps *caps, int64_t width,
                               int64_t height, struct err *e)
{
    if (width <= 0 || height <= 0)
        return err_set(e, ERR_DATA, "picture size %lld x %lld",
                       (long long)width, (long long)height);
    if (width > caps->max_side || height > caps->max_side ||
        (uint64_t)width > caps->max_pixels / (uint64_t)height)
        return err_set(e, ERR_UNSUPPORTED,
                       "picture of %lld x %lld pixels is over the limit "
                       "(side %lld, %zu pixels in all)",
                       (long long)width, (long long)height,
                       (long long)caps->max_side, caps->max_pixels);
    return OK;
}

struct tensor *image_new_rgb(int64_t height, int64_t width, struct err *e)
{
    const int64_t shape[3] = {height, width, 3};
    return tensor_new(DT_U8, 3, shape, e);
}

static uint32_t tiff_int(const uint8_t *p, int bytes, bool little)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[little ? bytes - 1 - i : i];
    return v;
}

uint32_t image_tiff_value(const uint8_t *tiff, size_t n, unsigned tag,
                          uint32_t otherwise)
{
    if (n < 14)
        return otherwise;
    bool little = tiff[0] == 'I' && tiff[1] == 'I';
    if (!little && !(tiff[0] == 'M' && tiff[1] == 'M'))
        return otherwise;
    if (tiff_int(tiff + 2, 2, little) != 42)
        return otherwise;
    size_t at = tiff_int(tiff + 4, 4, little);
    if (at > n - 2)
        return otherwise;
    size_t entries = tiff_int(tiff + at, 2, little);
    at += 2;
    for (size_t i = 0; i < entries && n - at >= 12; i++, at += 12) {
        if (tiff_int(tiff + at, 2, little) != tag)
            continue;
        bool is_long = tiff_int(tiff + at + 2, 2, little) == 4;
        return tiff_int(tiff + at + 8, is_long ? 4 : 2, little);
    }
    return otherwise;
}

size_t image_tiff_pages(const uint8_t *tiff, size_t n)
{
    if (n < 14 || (tiff[0] != 'I' && tiff[0] != 'M'))
        return 0;
    bool little = tiff[0] == 'I';
    size_t at = tiff_int(tiff + 4, 4, little), pages = 0;
    while (at && at <= n - 2 && pages < 65536) { /* chains may go round */
        size_t next = at + 2 + (size_t)tiff_int(tiff + at, 2, little) * 12;
        pages++;
        if (next > n - 4)
            break;
        at = tiff_int(tiff + next, 4, little);
    }
    return pages;
}

int image_exif_orientation(const uint8_t *tiff, size_t n)
{
    uint32_t v = image_tiff_value(tiff, n, 0x0112, 1);
    return v >= 1 && v <= 8 ? (int)v : 1;
}

enum err_code image_orient(struct tensor **img, int orientation, struct err *e)
{
    if (orientation <= 1 || orientation > 8)
        return OK;
    const struct tensor *src = *img;
    int64_t h = src->shape[0], w = src->shape[1];
    bool swap = orientation >= 5;
    /* Which way the stored rows and columns run in the upright picture. */
    bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 ||
                  orientation == 8;
    bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 ||
                  orientation == 7;
    struct tensor *dst = image_new_rgb(swap ? w : h, swap ? h : w, e);
    if (!dst)
        return ERR_NOMEM;
    uint8_t *to = tensor_u8(dst);
    const uint8_t *from = tensor_u8(src);
    for (int64_t y = 0; y < dst->shape[0]; y++) {
        for (int64_t x = 0; x < dst->shape[1]; x++, to += 3) {
            int64_t sx = swap ? y : x, sy = swap ? x : y;
            if (flip_x)
                sx = w - 1 - sx;
            if (flip_y)
                sy = h - 1 - sy;
            memcpy(to, from + (size_t)(sy * w + sx) * 3, 3);
        }
    }
    tensor_free(img);
    *img = dst;
    return OK;
}

void image_over_black(const uint8_t *rgba, uint8_t *rgb, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++, rgba += 4, rgb += 3) {
        unsigned a = rgba[3];
        for (int k = 0; k < 3; k++)
            rgb[k] = (uint8_t)((rgba[k] * a + 127) / 255);
    }
}

enum err_code image_layout(const struct tensor *img, int64_t *h, int64_t *w,
                           int *channels, struct err *e)
{
    char text[64];
    bool fits =
        img->dtype == DT_U8 && img->count > 0 &&
        (img->ndim == 2 ||
         (img->ndim == 3 && (img->shape[2] == 1 || img->shape[2] == 3)));
    if (!fits)
        return err_set(e, ERR_ARG, "cannot encode %s as a picture",
                       tensor_describe(img, text, sizeof text));
    *h = img->shape[0];
    *w = img->shape[1];
    *channels = img->ndim == 2 ? 1 : (int)img->shape[2];
    return OK;
}

int image_is_picture(const void *data, size_t n)
{
    return sniff(data, n) != PICTURE_NONE;
}

void image_note(char *note, const char *fmt, ...)
{
    va_list ap;
    if (!note)
        return;
    size_t n = strlen(note);
    if (n && n + 2 < IMAGE_NOTE) {
        memcpy(note + n, "; ", 3);
        n += 2;
    }
    va_start(ap, fmt);
    vsnprintf(note + n, IMAGE_NOTE - n, fmt, ap);
    va_end(ap);
}

enum err_code image_decode_noted(const void *data, size_t n,
                                 const struct image_caps *caps,
                                 struct tensor **out, char note[IMAGE_NOTE],
                                 struct err *e)
{
    *out = NULL;
    if (note)
        note[0] = 0;
    if (!caps)
        caps = &image_caps_default;
    if (n > caps->max_file)
        return err_set(e, ERR_UNSUPPORTED,
                       "picture file of %zu bytes is over the limit of %zu", n,
                       caps->max_file);
    if (n == 0)
        return err_set(e, ERR_DATA, "the picture file is empty");
    switch (sniff(data, n)) {
    case PICTURE_PNG:
        return image_png_decode(data, n, caps, out, note, e);
    case PICTURE_JPEG:
        return image_jpeg_decode(data, n, caps, out, note, e);
    case PICTURE_PNM:
        return image_pnm_decode(data, n, caps, out, e);
    case PICTURE_WEBP:
        return image_webp_decode(data, n, caps, out, note, e);
    case PICTURE_HEIF:
        return image_heif_decode(data, n, caps, out, note, e);
    case PICTURE_NONE:
        break;
    }
    return err_set(e, ERR_DATA,
                   "not a PNG, JPEG, WebP, HEIC, AVIF, PGM or PPM picture");
}

enum err_code image_decode(const void *data, size_t n,
                           const struct image_caps *caps, struct tensor **out,
                           struct err *e)
{
    return image_decode_noted(data, n, caps, out, NULL, e);
}

enum err_code image_read_noted(const char *path, const struct image_caps *caps,
                               struct tensor **out, char note[IMAGE_NOTE],
                               struct err *e)
{
    struct buf b;
    *out = NULL;
    note[0] = 0;
    enum err_code rc = file_read(
        path, caps ? caps->max_file : image_caps_default.max_file, &b, e);
    if (rc)
        return rc;
    rc = image_decode_noted(b.data, b.len, caps, out, note, e);
    buf_free(&b);
    return rc ? err_wrap(e, "cannot read '%s'", path) : OK;
}

enum err_code image_read(const char *path, const struct image_caps *caps,
                         struct tensor **out, struct err *e)
{
    char note[IMAGE_NOTE];
    enum err_code rc = image_read_noted(path, caps, out, note, e);
    if (!rc && note[0])
        log_warn("'%s': %s", path, note);
    return rc;
}

enum err_code image_write(const char *path, const struct tensor *img,
                          const struct image_text *text, struct err *e)
{
    char ext[16];
    struct buf b;
    enum err_code rc;
    path_ext(path, ext);
    if (strcmp(ext, "png") == 0)
        rc = image_encode_png(img, DEFAULT_PNG_LEVEL, text, &b, e);
    else if (strcmp(ext, "jpg") == 0 || strcmp(ext, "jpeg") == 0)
        rc = image_encode_jpeg(img, DEFAULT_JPEG_QUALITY, text, &b, e);
    else
        return err_set(e, ERR_ARG,
                       "cannot write '%s': pictures end in .png, .jpg or .jpeg",
                       path);
    if (rc)
        return err_wrap(e, "cannot write '%s'", path);
    rc = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    return rc;
}
