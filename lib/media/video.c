/* Opening a video: its stream, what its packets promise; or a still picture. */
#include "lib/media/video.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/avutil.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/media/image_codec.h"
#include "lib/media/resize.h"
#include "lib/media/video_compat.h"
#include "lib/media/video_internal.h"

/* ---- opening ---- */

static enum err_code open_still(struct video *v, struct err *e)
{
    enum err_code rc = image_read_noted(v->path, NULL, &v->still, v->note, e);
    if (rc)
        return rc;
    int64_t h = v->still->shape[0], w = v->still->shape[1];
    int64_t side = h > w ? h : w, most = v->o.max_side;
    if (most > 0 && side > most) {
        int64_t nh = (h * most + side / 2) / side;
        int64_t nw = (w * most + side / 2) / side;
        struct tensor *t = image_resize(v->still, nh ? nh : 1, nw ? nw : 1, e);
        if (!t)
            return e ? e->code : ERR_NOMEM;
        tensor_free(&v->still);
        v->still = t;
    }
    v->info =
        (struct video_info){"picture", "picture", 1, 0, 1, false, v->note};
    return OK;
}

static bool is_still(const char *path)
{
    uint8_t head[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false; /* the opening that follows says why */
    ssize_t n = read(fd, head, sizeof head);
    bool still =
        n > 0 && image_is_picture(head, (size_t)n) && !image_for_ffmpeg(fd);
    close(fd);
    return still;
}

/* What the codec allows. Pictures of other codecs are decoded in a row from
 * the first packet. */
static void set_abilities(struct video *v)
{
    switch (v->par->codec_id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
        v->key_start = v->skippable = true;
        break;
    case AV_CODEC_ID_VP8:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_AV1:
        v->key_start = true;
        break;
    default: {
        const AVCodecDescriptor *d = avcodec_descriptor_get(v->par->codec_id);
        v->key_start = d && (d->props & AV_CODEC_PROP_INTRA_ONLY);
    }
    }
}

static enum err_code take_stream(struct video *v, struct video_input *in,
                                 struct err *e)
{
    const AVStream *st = in->fmt->streams[in->stream];
    v->par = avcodec_parameters_alloc();
    if (!v->par || avcodec_parameters_copy(v->par, st->codecpar) < 0)
        return err_set(e, ERR_NOMEM, "no memory to open '%s'", v->path);
    if (st->codecpar->width > VIDEO_MAX_SIDE ||
        st->codecpar->height > VIDEO_MAX_SIDE ||
        (int64_t)st->codecpar->width * st->codecpar->height > VIDEO_MAX_PIXELS)
        return err_set(e, ERR_UNSUPPORTED,
                       "'%s': frames of %d x %d pixels are over the limit",
                       v->path, st->codecpar->width, st->codecpar->height);
    v->time_base = st->time_base;
    v->rate = st->avg_frame_rate;
    v->promised = st->nb_frames;
    v->shape.sar = st->sample_aspect_ratio.num > 0
                       ? st->sample_aspect_ratio
                       : st->codecpar->sample_aspect_ratio;
    size_t n = 0;
    const uint8_t *m =
        video_stream_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &n);
    if (m && n >= sizeof v->shape.matrix) {
        memcpy(v->shape.matrix, m, sizeof v->shape.matrix);
        v->shape.has_matrix = true;
    }
    v->shape.max_side = v->o.max_side;
    v->shape.deinterlace = v->o.deinterlace == VIDEO_DEINTERLACE_AUTO;
    snprintf(v->format, sizeof v->format, "%.*s",
             (int)strcspn(in->fmt->iformat->name, ","), in->fmt->iformat->name);
    v->info.format = v->format;
    v->info.codec = avcodec_get_name(v->par->codec_id);
    if (!avcodec_find_decoder(v->par->codec_id))
        return err_set(e, ERR_UNSUPPORTED, "'%s': no decoder for %s", v->path,
                       v->info.codec);
    set_abilities(v);
    return video_look_at_picture(v, e);
}

/* The stated average rate where the time stamps agree with it or cannot tell,
 * else theirs. */
void video_set_counts(struct video *v)
{
    const struct video_index *x = &v->index;
    double stated = v->rate.num > 0 && v->rate.den > 0 ? av_q2d(v->rate) : 0;
    double seen = 0;
    bool timed = x->n_frames > 1 && video_index_timed(x, v->time_base);
    if (timed)
        seen = (double)(x->n_frames - 1) * 1e9 /
               ((double)video_pts_ns(v, (int64_t)x->n_frames - 1) -
                (double)video_pts_ns(v, 0));
    double off = stated > 0 && timed ? (seen - stated) / stated : 0;
    bool agree = stated > 0 && off > -0.05 && off < 0.05;
    v->info.fps = x->n_frames < 2 ? 0 : agree ? stated : seen;
    v->info.frames = (int64_t)x->n_frames;
    v->info.packets = (int64_t)x->n_packets;
}

enum err_code video_open(const char *path, const struct video_options *o,
                         struct video **out, struct err *e)
{
    struct video_input in = {.fd = -1};
    struct video *v = mem_calloc(1, sizeof *v);
    *out = NULL;
    if (!v || !(v->path = mem_strdup(path))) {
        mem_free(v);
        return err_set(e, ERR_NOMEM, "no memory to open '%s'", path);
    }
    v->o = *o;
    if (v->o.threads < 1)
        v->o.threads = 1;
    v->threads_full = v->o.threads;
    v->info.note = v->note;
    enum err_code rc;
    if (is_still(path)) {
        rc = open_still(v, e);
    } else {
        rc = video_input_open(&in, path, false, e);
        if (!rc)
            rc = take_stream(v, &in, e);
        if (!rc) {
            rc = video_index_packets(&v->index, &in, &v->o, e);
            if (rc)
                err_wrap(e, "'%s'", path);
            else if (!video_index_timed(&v->index, v->time_base))
                v->index.trusted = false; /* decoding says more */
        }
        video_input_close(&in);
        if (!rc)
            video_set_counts(v);
        snprintf(v->note, sizeof v->note, "%s", v->file_note);
    }
    if (rc)
        video_close(&v);
    *out = v;
    return rc;
}

void video_close(struct video **v)
{
    if (!*v)
        return;
    tensor_free(&(*v)->still);
    avcodec_parameters_free(&(*v)->par);
    video_converter_free(&(*v)->converter);
    video_index_free(&(*v)->index);
    mem_free((*v)->path);
    mem_free(*v);
    *v = NULL;
}

const struct video_info *video_info(const struct video *v)
{
    return &v->info;
}

int64_t video_pts_ns(const struct video *v, int64_t i)
{
    if (v->still)
        return 0;
    if (i < 0 || (size_t)i >= v->index.n_frames ||
        v->index.times == VIDEO_TIMES_ABSENT)
        return VIDEO_NO_TIME;
    return video_ns(v->index.frames[i].pts, v->time_base);
}
