/* Pictures: PNG, JPEG, WebP, HEIC, AVIF and PGM/PPM files to u8 tensors, sRGB;
 * PNG and JPEG from them. */
#ifndef FACET_MEDIA_IMAGE_H
#define FACET_MEDIA_IMAGE_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/data/tensor.h"

/* Limits on what is read (checked before memory is taken). */
struct image_caps {
    size_t max_file;   /* bytes */
    int64_t max_side;  /* pixels */
    size_t max_pixels; /* width * height */
};
extern const struct image_caps image_caps_default; /* 256 MiB, 32768, 2^28 */

#define IMAGE_NOTE 200

/* Decode bytes by content, never by name. Result u8[H,W,3] RGB, grey and
 * palette expanded, alpha laid over black, 16 bit rounded to 8, turned upright
 * by EXIF (HEIF: by its own turns). A file that lacks pixels is refused; one
 * that lacks anything else is taken. ERR_DATA (malformed, truncated),
 * ERR_UNSUPPORTED. */
enum err_code image_decode(const void *data, size_t n,
                           const struct image_caps *caps, struct tensor **out,
                           struct err *e) MUST_USE;
/* The same; what is odd about the file goes into note ("" if nothing): its end
 * is missing, more pictures follow. */
enum err_code image_decode_noted(const void *data, size_t n,
                                 const struct image_caps *caps,
                                 struct tensor **out, char note[IMAGE_NOTE],
                                 struct err *e) MUST_USE;
/* The same from a file; the text names the file, a note is a warning in the
 * log. */
enum err_code image_read(const char *path, const struct image_caps *caps,
                         struct tensor **out, struct err *e) MUST_USE;
enum err_code image_read_noted(const char *path, const struct image_caps *caps,
                               struct tensor **out, char note[IMAGE_NOTE],
                               struct err *e) MUST_USE;
/* Is this the beginning of a still picture that image_decode reads? */
int image_is_picture(const void *data, size_t n);

/* Keyword/value pairs for PNG text chunks (tEXt, or iTXt if not Latin-1) and
 * one JPEG comment ("key: value" lines). NULL keyword ends. */
struct image_text {
    const char *key, *value;
};
/* Encode u8[H,W,3] or u8[H,W,1] (or [H,W]) into b (initialised by the callee).
 * level 0..9 is zlib's; quality 1..100, 4:4:4 from 90 up. The bytes depend on
 * the arguments alone (no time stamps). text may be NULL. */
enum err_code image_encode_png(const struct tensor *img, int level,
                               const struct image_text *text, struct buf *b,
                               struct err *e) MUST_USE;
enum err_code image_encode_jpeg(const struct tensor *img, int quality,
                                const struct image_text *text, struct buf *b,
                                struct err *e) MUST_USE;
/* Encode by the path's extension (.png, .jpg, .jpeg) and write atomically. */
enum err_code image_write(const char *path, const struct tensor *img,
                          const struct image_text *text,
                          struct err *e) MUST_USE;
/* The value of a PNG text key in an encoded picture, new memory in *out
 * (mem_free); ERR_NOTFOUND. */
enum err_code image_png_text(const void *data, size_t n, const char *key,
                             char **out, struct err *e) MUST_USE;

#endif
