/* Decoded frames to upright RGB pictures with square pixels. */
#include <string.h>

#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

#include "lib/base/mem.h"
#include "lib/media/image_codec.h"
#include "lib/media/video_compat.h"
#include "lib/media/video_internal.h"

/* The same bits on every CPU, chroma interpolated; what the ffmpeg tool does
 * when told -sws_flags bicubic+accurate_rnd+full_chroma_int+bitexact. */
#define SWS_FLAGS                                                              \
    (SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT)

/* A pixel of the other field this far (8-bit levels) above or below both its
 * neighbours is a comb's tooth. */
#define COMB_LEVEL 8
#define MAX_SAR 16.0

void video_converter_free(struct video_converter *c)
{
    sws_freeContext(c->last.sws);
    sws_freeContext(c->flatten.sws);
    av_frame_free(&c->fields);
    av_frame_free(&c->turned);
    av_frame_free(&c->rgba);
    av_frame_free(&c->flat);
    mem_free(c->rgb);
    memset(c, 0, sizeof *c);
}

/* ---- deinterlacing ---- */

static int sample(const uint8_t *p, int x, bool wide)
{
    if (!wide)
        return p[x];
    uint16_t v;
    memcpy(&v, p + 2 * x, 2);
    return v;
}

static bool comb(const uint8_t *a, const uint8_t *c, const uint8_t *b, int x,
                 bool wide, int level)
{
    int up = sample(a, x, wide) - sample(c, x, wide);
    int down = sample(b, x, wide) - sample(c, x, wide);
    return (up > level && down > level) || (up < -level && down < -level);
}

/* One line of the second field, between lines a and b of the first: the mean
 * of a and b where it (or its left or right neighbour) combs. */
static void mend_line(uint8_t *c, const uint8_t *a, const uint8_t *b, int n,
                      bool wide, int level)
{
    bool before = false, here = comb(a, c, b, 0, wide, level);
    for (int x = 0; x < n; x++) {
        bool after = x + 1 < n && comb(a, c, b, x + 1, wide, level);
        if (before || here || after) {
            int v = (sample(a, x, wide) + sample(b, x, wide) + 1) / 2;
            uint16_t v16 = (uint16_t)v;
            if (wide)
                memcpy(c + 2 * x, &v16, 2);
            else
                c[x] = (uint8_t)v;
        }
        before = here;
        here = after;
    }
}

/* Is each plane a plain array of 8 or 16-bit samples (*wide) of one part? */
static bool plain_planes(int format, bool *wide)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    if (!d || (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL |
                           AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL |
                           AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_FLOAT)))
        return false;
    if (d->nb_components > 1 && !(d->flags & AV_PIX_FMT_FLAG_PLANAR))
        return false;
    *wide = d->comp[0].depth > 8;
    for (int i = 0; i < d->nb_components; i++)
        if (d->comp[i].step != (*wide ? 2 : 1) || d->comp[i].plane != i)
            return false;
    return true;
}

static void plane_size(const AVFrame *f, int plane, int *w, int *h)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    bool chroma = plane == 1 || plane == 2;
    *w = chroma ? AV_CEIL_RSHIFT(f->width, d->log2_chroma_w) : f->width;
    *h = chroma ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height;
}

/* Keep the first field of an interlaced frame, and of the second what does not
 * comb: still parts keep their full height. *f stays as it is for layouts
 * other than planar YUV and grey. */
static enum err_code mend_fields(struct video_converter *c, const AVFrame **f,
                                 struct err *e)
{
    const AVFrame *src = *f;
    bool wide;
    if (!plain_planes(src->format, &wide))
        return OK;
    av_frame_free(&c->fields);
    c->fields = av_frame_clone(src);
    if (!c->fields || av_frame_make_writable(c->fields) < 0)
        return err_set(e, ERR_NOMEM, "no memory to deinterlace a frame");
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(src->format);
    int level = COMB_LEVEL << (wide ? d->comp[0].depth - 8 : 0);
    for (int i = 0; i < d->nb_components; i++) {
        int w, h, line = c->fields->linesize[i];
        uint8_t *p = c->fields->data[i];
        plane_size(src, i, &w, &h);
        for (int y = video_frame_top_first(src) ? 1 : 0; h > 1 && y < h;
             y += 2) {
            uint8_t *row = p + (ptrdiff_t)y * line;
            mend_line(row, y ? row - line : row + line,
                      y + 1 < h ? row + line : row - line, w, wide, level);
        }
    }
    *f = c->fields;
    return OK;
}

/* ---- size and orientation ---- */

struct view {
    int src_w, src_h, dst_w, dst_h; /* dst before turning */
    bool swap, flip_x, flip_y;      /* upright(x,y) = stored(...) */
};

/* The matrix's numbers are 16.16 fixed point; a turn has +-1. Scaling by more
 * than this is no turn of a picture. */
#define MAX_MATRIX ((int64_t)256 << 16)

static int64_t magnitude(int32_t v)
{
    return v < 0 ? -(int64_t)v : v;
}

/* Display matrix to one of the eight turns (others: the nearest; nonsense:
 * none). x' = ax+cy, y' = bx+dy; libavutil/display.h. */
static void turn(const int32_t *m, struct view *v)
{
    int64_t a = m[0], b = m[1], c = m[3], d = m[4];
    int64_t along = magnitude(m[0]) + magnitude(m[4]);
    int64_t across = magnitude(m[1]) + magnitude(m[3]);
    if (along > 2 * MAX_MATRIX || across > 2 * MAX_MATRIX ||
        along + across == 0)
        return;
    v->swap = across > along;
    v->flip_x = (v->swap ? b : a) < 0;
    v->flip_y = (v->swap ? c : d) < 0;
}

static void view_of(const struct video_shape *s, const AVFrame *f,
                    struct view *v)
{
    *v = (struct view){.src_w = f->width, .src_h = f->height};
    const AVFrameSideData *side =
        av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
    int32_t m[9];
    if (s->has_matrix) {
        turn(s->matrix, v);
    } else if (side && side->size >= sizeof m) {
        memcpy(m, side->data, sizeof m);
        turn(m, v);
    }
    AVRational sar = s->sar.num > 0 ? s->sar : f->sample_aspect_ratio;
    double wide = sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 1;
    if (!(wide <= MAX_SAR && wide >= 1 / MAX_SAR))
        wide = 1; /* no real pixel is like that */
    int w = v->swap ? v->src_h : v->src_w, h = v->swap ? v->src_w : v->src_h;
    /* As ffmpeg's scale=iw*sar:ih rounds. */
    int up_w = (int)(w * (v->swap ? 1 / wide : wide)), up_h = h;
    if (up_w == 0 || up_w > VIDEO_MAX_SIDE)
        up_w = w;
    int64_t side_now = up_w > up_h ? up_w : up_h;
    if (s->max_side > 0 && side_now > s->max_side) {
        up_w = (int)((up_w * s->max_side + side_now / 2) / side_now);
        up_h = (int)((up_h * s->max_side + side_now / 2) / side_now);
        up_w = up_w > 0 ? up_w : 1;
        up_h = up_h > 0 ? up_h : 1;
    }
    v->dst_w = v->swap ? up_h : up_w;
    v->dst_h = v->swap ? up_w : up_h;
}

/* Turn the planes upright before the conversion, as the ffmpeg tool does.
 * Layouts that cannot be turned so stay as they are: their RGB is turned. */
static enum err_code turn_planes(struct video_converter *c, const AVFrame **f,
                                 struct view *v, struct err *e)
{
    const AVFrame *src = *f;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(src->format);
    bool wide;
    if ((!v->swap && !v->flip_x && !v->flip_y) ||
        !plain_planes(src->format, &wide) ||
        (v->swap && d->log2_chroma_w != d->log2_chroma_h))
        return OK;
    av_frame_free(&c->turned);
    AVFrame *to = c->turned = av_frame_alloc();
    if (to) {
        to->format = src->format;
        to->width = v->swap ? src->height : src->width;
        to->height = v->swap ? src->width : src->height;
    }
    if (!to || av_frame_get_buffer(to, 0) < 0 ||
        av_frame_copy_props(to, src) < 0)
        return err_set(e, ERR_NOMEM, "no memory to turn a frame");
    for (int i = 0; i < d->nb_components; i++) {
        int w, h, sw, sh, size = wide ? 2 : 1;
        plane_size(to, i, &w, &h);
        plane_size(src, i, &sw, &sh);
        for (int y = 0; y < h; y++) {
            uint8_t *p = to->data[i] + (ptrdiff_t)y * to->linesize[i];
            for (int x = 0; x < w; x++, p += size) {
                int sx = v->swap ? y : x, sy = v->swap ? x : y;
                sx = v->flip_x ? sw - 1 - sx : sx;
                sy = v->flip_y ? sh - 1 - sy : sy;
                memcpy(p,
                       src->data[i] + (ptrdiff_t)sy * src->linesize[i] +
                           sx * size,
                       (size_t)size);
            }
        }
    }
    int w = v->dst_w;
    v->dst_w = v->swap ? v->dst_h : v->dst_w;
    v->dst_h = v->swap ? w : v->dst_h;
    v->swap = v->flip_x = v->flip_y = false;
    *f = to;
    return OK;
}

/* ---- colour ---- */

/* A scaler for this kind of frame, set up as libavfilter's scale sets it up. */
static enum err_code prepare(struct video_scaler *c, const AVFrame *f,
                             int dst_w, int dst_h, enum AVPixelFormat to,
                             struct err *e)
{
    int space = (int)f->colorspace;
    if (space < 1 || space > 10 || space == 8)
        space = AVCOL_SPC_BT470BG; /* ITU-R BT.601 where nothing is said */
    if (c->sws && c->src_w == f->width && c->src_h == f->height &&
        c->dst_w == dst_w && c->dst_h == dst_h && c->from == f->format &&
        c->to == to && c->range == (int)f->color_range && c->space == space)
        return OK;
    sws_freeContext(c->sws);
    struct SwsContext *s = c->sws = sws_alloc_context();
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory to convert a frame");
    av_opt_set_int(s, "srcw", f->width, 0);
    av_opt_set_int(s, "srch", f->height, 0);
    av_opt_set_int(s, "src_format", f->format, 0);
    av_opt_set_int(s, "dstw", dst_w, 0);
    av_opt_set_int(s, "dsth", dst_h, 0);
    av_opt_set_int(s, "dst_format", to, 0);
    av_opt_set_int(s, "sws_flags", SWS_FLAGS, 0);
    if (f->color_range != AVCOL_RANGE_UNSPECIFIED)
        av_opt_set_int(s, "src_range", f->color_range == AVCOL_RANGE_JPEG, 0);
    av_opt_set_int(s, "src_h_chr_pos", -513, 0);
    av_opt_set_int(s, "src_v_chr_pos",
                   f->format == AV_PIX_FMT_YUV420P ? 128 : -513, 0);
    if (sws_init_context(s, NULL, NULL) < 0) {
        sws_freeContext(c->sws);
        c->sws = NULL;
        return err_set(e, ERR_UNSUPPORTED,
                       "cannot convert %s pixels of %d x %d to RGB",
                       av_get_pix_fmt_name(f->format), f->width, f->height);
    }
    int *inverse, *table, in_full, out_full, bright, contrast, saturation;
    if (sws_getColorspaceDetails(s, &inverse, &in_full, &table, &out_full,
                                 &bright, &contrast, &saturation) >= 0) {
        if (f->color_range != AVCOL_RANGE_UNSPECIFIED)
            in_full = f->color_range == AVCOL_RANGE_JPEG;
        (void)sws_setColorspaceDetails(s, sws_getCoefficients(space), in_full,
                                       table, out_full, bright, contrast,
                                       saturation);
    }
    c->src_w = f->width;
    c->src_h = f->height;
    c->dst_w = dst_w;
    c->dst_h = dst_h;
    c->from = f->format;
    c->to = to;
    c->range = (int)f->color_range;
    c->space = space;
    return OK;
}

/* Room for the converted rows. */
static enum err_code make_room(struct video_converter *c, const struct view *v,
                               struct err *e)
{
    size_t bytes;
    c->pitch = ((size_t)v->dst_w * 3 + 127) & ~(size_t)63;
    if (!size_mul(c->pitch, (size_t)v->dst_h + 1, &bytes))
        return err_set(e, ERR_NOMEM, "no memory to convert a frame");
    if (c->rgb && bytes == c->rgb_bytes)
        return OK;
    mem_free(c->rgb);
    c->rgb = mem_aligned(bytes);
    c->rgb_bytes = bytes;
    return c->rgb ? OK : err_set(e, ERR_NOMEM, "no memory to convert a frame");
}

/* ---- transparency ---- */

static AVFrame *new_frame(const AVFrame *like, enum AVPixelFormat format)
{
    AVFrame *f = av_frame_alloc();
    if (!f)
        return NULL;
    f->format = format;
    f->width = like->width;
    f->height = like->height;
    if (av_frame_get_buffer(f, 0) < 0 || av_frame_copy_props(f, like) < 0)
        av_frame_free(&f);
    return f;
}

/* A frame with transparency laid over black, as pictures are. */
static enum err_code lay_over_black(struct video_converter *c,
                                    const AVFrame **f, struct err *e)
{
    const AVFrame *src = *f;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(src->format);
    if (!d || !(d->flags & AV_PIX_FMT_FLAG_ALPHA))
        return OK;
    enum err_code rc =
        prepare(&c->flatten, src, src->width, src->height, AV_PIX_FMT_RGBA, e);
    if (rc)
        return rc;
    av_frame_free(&c->rgba);
    av_frame_free(&c->flat);
    c->rgba = new_frame(src, AV_PIX_FMT_RGBA);
    c->flat = new_frame(src, AV_PIX_FMT_RGB24);
    if (!c->rgba || !c->flat)
        return err_set(e, ERR_NOMEM, "no memory to convert a frame");
    if (sws_scale(c->flatten.sws, (const uint8_t *const *)src->data,
                  src->linesize, 0, src->height, c->rgba->data,
                  c->rgba->linesize) != src->height)
        return err_set(e, ERR_DATA, "cannot convert a frame to RGB");
    for (int y = 0; y < src->height; y++)
        image_over_black(c->rgba->data[0] + (ptrdiff_t)y * c->rgba->linesize[0],
                         c->flat->data[0] + (ptrdiff_t)y * c->flat->linesize[0],
                         (size_t)src->width);
    c->flat->color_range = AVCOL_RANGE_UNSPECIFIED;
    c->flat->colorspace = AVCOL_SPC_UNSPECIFIED;
    *f = c->flat;
    return OK;
}

/* The converter's rows, turned upright. */
static void copy_upright(const struct video_converter *c, const struct view *v,
                         struct tensor *t)
{
    uint8_t *to = tensor_u8(t);
    int h = (int)t->shape[0], w = (int)t->shape[1];
    for (int y = 0; y < h; y++) {
        if (!v->swap && !v->flip_x) {
            int sy = v->flip_y ? h - 1 - y : y;
            memcpy(to, c->rgb + (size_t)sy * c->pitch, (size_t)w * 3);
            to += (size_t)w * 3;
            continue;
        }
        for (int x = 0; x < w; x++, to += 3) {
            int sx = v->swap ? y : x, sy = v->swap ? x : y;
            if (v->flip_x)
                sx = v->dst_w - 1 - sx;
            if (v->flip_y)
                sy = v->dst_h - 1 - sy;
            memcpy(to, c->rgb + (size_t)sy * c->pitch + (size_t)sx * 3, 3);
        }
    }
}

enum err_code video_convert(struct video_converter *c,
                            const struct video_shape *s, const AVFrame *f,
                            struct tensor **out, struct err *e)
{
    struct view v;
    *out = NULL;
    if (f->width < 1 || f->height < 1 || f->width > VIDEO_MAX_SIDE ||
        f->height > VIDEO_MAX_SIDE)
        return err_set(e, ERR_UNSUPPORTED, "frame of %d x %d pixels", f->width,
                       f->height);
    view_of(s, f, &v);
    enum err_code rc = OK;
    if (s->deinterlace && video_frame_interlaced(f))
        rc = mend_fields(c, &f, e);
    if (!rc)
        rc = lay_over_black(c, &f, e);
    if (!rc)
        rc = turn_planes(c, &f, &v, e);
    if (!rc)
        rc = prepare(&c->last, f, v.dst_w, v.dst_h, AV_PIX_FMT_RGB24, e);
    if (!rc)
        rc = make_room(c, &v, e);
    if (rc)
        return rc;
    uint8_t *planes[4] = {c->rgb, NULL, NULL, NULL};
    int pitch[4] = {(int)c->pitch, 0, 0, 0};
    if (sws_scale(c->last.sws, (const uint8_t *const *)f->data, f->linesize, 0,
                  f->height, planes, pitch) != v.dst_h)
        return err_set(e, ERR_DATA, "cannot convert a frame to RGB");
    const int64_t shape[3] = {v.swap ? v.dst_w : v.dst_h,
                              v.swap ? v.dst_h : v.dst_w, 3};
    struct tensor *t = tensor_new(DT_U8, 3, shape, e);
    if (!t)
        return ERR_NOMEM;
    copy_upright(c, &v, t);
    *out = t;
    return OK;
}
