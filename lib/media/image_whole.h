/* Inside lib/media only: is a picture file that FFmpeg decodes whole? FFmpeg
 * fills up what is missing, or takes rows for shorter than they are. */
#ifndef FACET_MEDIA_IMAGE_WHOLE_H
#define FACET_MEDIA_IMAGE_WHOLE_H

#include <stddef.h>
#include <stdint.h>

enum image_whole {
    IMAGE_WHOLE, /* all bytes of the pixels are there, or FFmpeg will say what
                  * is wrong with it */
    IMAGE_CUT,   /* some are missing */
    IMAGE_MAYBE, /* it has no length that could be checked */
};

/* The n bytes of a file of that format (which FFmpeg has told by them). Nothing
 * of them is trusted, nothing past n is read. Damage that keeps the length is
 * not looked for. Where several pictures in a row are a clip (BMP, QOI,
 * JPEG-LS), each is looked at. Test: tests/py/picture_faults.py whole. */
typedef enum image_whole image_whole_fn(const uint8_t *p, size_t n);

/* Formats whose rows have a known length (image_whole_rows.c). */
image_whole_fn image_bmp_whole, image_dpx_whole, image_sgi_whole,
    image_exr_whole;
/* Formats with runs or chunks, whose codes have to be followed
 * (image_whole_runs.c). */
image_whole_fn image_targa_whole, image_sun_whole, image_pcx_whole;
/* With QOI also the mark behind the pixels; of the kinds of JPEG that libjpeg
 * does not know the closing marker, since nothing else tells. */
image_whole_fn image_qoi_whole, image_jpeg_whole;

/* Unsigned integers of 2 or 4 bytes, little and big end first. */
static inline uint32_t le16_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t le32_at(const uint8_t *p)
{
    return le16_at(p) | le16_at(p + 2) << 16;
}

static inline uint32_t be16_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t be32_at(const uint8_t *p)
{
    return be16_at(p) << 16 | be16_at(p + 2);
}

#endif
