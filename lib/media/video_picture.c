/* Single pictures that FFmpeg reads: what it does not look at itself. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/media/image_codec.h"
#include "lib/media/image_whole.h"
#include "lib/media/video_internal.h"

/* A TIFF file's orientation, and how many pages follow the first. */
static void look_at_tiff(struct video *v, const struct buf *b)
{
    int o = image_exif_orientation(b->data, b->len);
    int x = o == 2 || o == 3 || o == 7 || o == 8 ? -65536 : 65536;
    int y = o == 3 || o == 4 || o == 6 || o == 7 ? -65536 : 65536;
    int32_t *m = v->shape.matrix; /* as image_orient turns */
    memset(m, 0, sizeof v->shape.matrix);
    m[o >= 5 ? 1 : 0] = x;
    m[o >= 5 ? 3 : 4] = y;
    m[8] = 1 << 30;
    v->shape.has_matrix = o > 1;
    size_t pages = image_tiff_pages(b->data, b->len);
    if (pages > 1)
        snprintf(v->file_note, sizeof v->file_note, "the first of %zu pages",
                 pages);
}

/* FFmpeg takes the first of several Targa pictures in a row. Each has a mark at
 * its end (version 2 of the format). */
static void look_at_targa(struct video *v, const struct buf *b)
{
    static const char mark[] = "TRUEVISION-XFILE."; /* and a zero */
    const uint8_t *p = b->data, *end = p + b->len;
    size_t n = 0;
    while ((size_t)(end - p) >= sizeof mark &&
           (p = memchr(p, 'T', (size_t)(end - p) - sizeof mark + 1)))
        n += memcmp(p++, mark, sizeof mark) == 0;
    if (n > 1)
        snprintf(v->file_note, sizeof v->file_note, "the first of %zu pictures",
                 n);
}

/* What is known of FFmpeg's readers of pictures. */
static const struct reader {
    enum AVCodecID codec;
    const char *name;
    /* Is the file whole? NULL: FFmpeg notices what is missing. */
    image_whole_fn *whole;
    void (*look)(struct video *v, const struct buf *b);
} readers[] = {
    {AV_CODEC_ID_BMP, "BMP", image_bmp_whole, NULL},
    {AV_CODEC_ID_DPX, "DPX", image_dpx_whole, NULL},
    {AV_CODEC_ID_EXR, "OpenEXR", image_exr_whole, NULL},
    {AV_CODEC_ID_JPEGLS, "JPEG-LS", image_jpeg_whole, NULL},
    {AV_CODEC_ID_MJPEG, "JPEG", image_jpeg_whole, NULL}, /* lossless */
    {AV_CODEC_ID_PCX, "PCX", image_pcx_whole, NULL},
    {AV_CODEC_ID_QOI, "QOI", image_qoi_whole, NULL},
    {AV_CODEC_ID_SGI, "SGI", image_sgi_whole, NULL},
    {AV_CODEC_ID_SUNRAST, "Sun raster", image_sun_whole, NULL},
    {AV_CODEC_ID_TARGA, "Targa", image_targa_whole, look_at_targa},
    {AV_CODEC_ID_TIFF, "TIFF", NULL, look_at_tiff},
    {AV_CODEC_ID_JPEG2000, "JPEG 2000", NULL, NULL},
    {AV_CODEC_ID_JPEGXL, "JPEG XL", NULL, NULL},
    {AV_CODEC_ID_PAM, "PAM", NULL, NULL},
    {AV_CODEC_ID_PBM, "PBM", NULL, NULL},
    {AV_CODEC_ID_PFM, "PFM", NULL, NULL},
    {AV_CODEC_ID_PGM, "PGM", NULL, NULL},
    {AV_CODEC_ID_PPM, "PPM", NULL, NULL},
    {AV_CODEC_ID_XBM, "XBM", NULL, NULL},
    {AV_CODEC_ID_XWD, "XWD", NULL, NULL},
};

static void cannot_tell(struct video *v)
{
    snprintf(v->file_note, sizeof v->file_note,
             "%s: a cut file would not be noticed",
             avcodec_get_name(v->par->codec_id));
}

static enum err_code look_into(struct video *v, const struct reader *r,
                               struct err *e)
{
    struct buf b;
    size_t max = image_caps_default.max_file;
    struct stat st;
    /* A long clip of pictures in a row is not read twice. */
    if (!r->look && stat(v->path, &st) == 0 && (uint64_t)st.st_size > max) {
        cannot_tell(v);
        return OK;
    }
    enum err_code rc = file_read(v->path, max, &b, e);
    if (rc)
        return rc;
    enum image_whole whole = r->whole ? r->whole(b.data, b.len) : IMAGE_WHOLE;
    if (whole == IMAGE_CUT)
        rc = err_set(e, ERR_DATA, "'%s': %s: the file ends early", v->path,
                     r->name);
    else if (whole == IMAGE_MAYBE)
        cannot_tell(v);
    else if (r->look)
        r->look(v, &b);
    buf_free(&b);
    return rc;
}

enum err_code video_look_at_picture(struct video *v, struct err *e)
{
    if (!strstr(v->format, "pipe")) /* a stream of a container */
        return OK;
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        const struct reader *r = &readers[i];
        if (r->codec == v->par->codec_id)
            return r->whole || r->look ? look_into(v, r, e) : OK;
    }
    cannot_tell(v);
    return OK;
}
