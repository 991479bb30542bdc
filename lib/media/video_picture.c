/* Single pictures that FFmpeg reads: what it does not look at itself. */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/media/image_codec.h"
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

static enum err_code look_into(struct video *v, struct err *e)
{
    struct buf b;
    /* The codecs read no file of more bytes. */
    enum err_code rc = file_read(v->path, image_caps_default.max_file, &b, e);
    if (rc)
        return rc;
    if (v->par->codec_id == AV_CODEC_ID_TIFF)
        look_at_tiff(v, &b);
    else if (v->par->codec_id == AV_CODEC_ID_TARGA)
        look_at_targa(v, &b);
    else if (!image_qoi_whole(b.data, b.len)) /* FFmpeg fills it up */
        rc = err_set(e, ERR_DATA, "'%s': QOI: the file ends early", v->path);
    buf_free(&b);
    return rc;
}

enum err_code video_look_at_picture(struct video *v, struct err *e)
{
    if (!strstr(v->format, "pipe")) /* a stream of a container */
        return OK;
    switch (v->par->codec_id) {
    case AV_CODEC_ID_QOI:
    case AV_CODEC_ID_TARGA:
    case AV_CODEC_ID_TIFF:
        return look_into(v, e);
    case AV_CODEC_ID_BMP: /* these are known to notice a missing part */
    case AV_CODEC_ID_JPEG2000:
    case AV_CODEC_ID_PAM:
    case AV_CODEC_ID_PBM:
    case AV_CODEC_ID_PGM:
    case AV_CODEC_ID_PPM:
    case AV_CODEC_ID_XWD:
    case AV_CODEC_ID_MJPEG: /* many in a row */
        return OK;
    default:
        snprintf(v->file_note, sizeof v->file_note,
                 "%s: a cut file would not be noticed",
                 avcodec_get_name(v->par->codec_id));
        return OK;
    }
}
