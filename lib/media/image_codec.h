/* Inside lib/media only: what image.c and the codecs behind it share. */
#ifndef FACET_MEDIA_IMAGE_CODEC_H
#define FACET_MEDIA_IMAGE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/media/image.h"

/* Refuse a size that is empty (ERR_DATA) or over the caps (ERR_UNSUPPORTED). */
enum err_code image_check_size(const struct image_caps *caps, int64_t width,
                               int64_t height, struct err *e) MUST_USE;
/* New u8[height,width,3]. */
struct tensor *image_new_rgb(int64_t height, int64_t width,
                             struct err *e) MUST_USE;
/* The value of a tag (SHORT or LONG, one) in the first directory of a TIFF
 * structure; otherwise if it is not there. Never reads past n. */
uint32_t image_tiff_value(const uint8_t *tiff, size_t n, unsigned tag,
                          uint32_t otherwise);
/* How many directories a TIFF file chains; 0 if it is none. */
size_t image_tiff_pages(const uint8_t *tiff, size_t n);
/* The orientation 1..8 of an EXIF block (from its TIFF header on); 1 where it
 * says nothing sensible. Never reads past n. */
int image_exif_orientation(const uint8_t *tiff, size_t n);
/* Turn *img u8[H,W,3] upright in place of itself; orientation as EXIF. */
enum err_code image_orient(struct tensor **img, int orientation,
                           struct err *e) MUST_USE;
/* Pixels u8 RGBA, alpha not premultiplied, laid over black: RGB. May be the
 * same memory. */
void image_over_black(const uint8_t *rgba, uint8_t *rgb, size_t pixels);
/* Height, width and channels (1 or 3) of a u8 picture; ERR_ARG if it is not
 * u8[H,W,3], u8[H,W,1] or u8[H,W] with at least one pixel. */
enum err_code image_layout(const struct tensor *img, int64_t *h, int64_t *w,
                           int *channels, struct err *e) MUST_USE;

/* Append a printf-like remark to a note of IMAGE_NOTE bytes; note may be NULL.
 */
void image_note(char *note, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Is this open file, which begins like a picture that is read here, one that
 * FFmpeg has to read: an animated PNG, pictures one after another, or a kind of
 * JPEG that libjpeg does not know? */
bool image_for_ffmpeg(int fd);
/* Where the picture (P5, P6) ends whose header is in the first n bytes of a
 * file; false if that cannot be told. */
bool image_pnm_end(const uint8_t *data, size_t n, size_t *end);
/* Is it a WebP file; a HEIF file (HEIC, AVIF) of still pictures? */
bool image_webp_sniff(const uint8_t *p, size_t n);
bool image_heif_sniff(const uint8_t *p, size_t n);

/* The codecs. data is not trusted; note: see image_note. */
enum err_code image_png_decode(const uint8_t *data, size_t n,
                               const struct image_caps *caps,
                               struct tensor **out, char *note,
                               struct err *e) MUST_USE;
enum err_code image_jpeg_decode(const uint8_t *data, size_t n,
                                const struct image_caps *caps,
                                struct tensor **out, char *note,
                                struct err *e) MUST_USE;
enum err_code image_webp_decode(const uint8_t *data, size_t n,
                                const struct image_caps *caps,
                                struct tensor **out, char *note,
                                struct err *e) MUST_USE;
enum err_code image_heif_decode(const uint8_t *data, size_t n,
                                const struct image_caps *caps,
                                struct tensor **out, char *note,
                                struct err *e) MUST_USE;
enum err_code image_pnm_decode(const uint8_t *data, size_t n,
                               const struct image_caps *caps,
                               struct tensor **out, struct err *e) MUST_USE;

#endif
