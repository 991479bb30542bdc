/* The order of display by what the packets hold, not by their time stamps:
 * picture order counts, picture types, frames that are not shown. Only headers
 * are read. Where this cannot be told, or a packet does not give exactly one
 * frame, the caller has to decode to know. */
#include <limits.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/media/video_internal.h"

/* What the pictures of one packet are. */
struct found {
    int pictures;    /* that begin in it */
    int shown;       /* of them */
    bool new_period; /* picture order counts begin anew */
    bool whole;      /* frames, not single fields */
    bool backward;   /* B: shown before the anchor that precedes it */
    const char *odd; /* why the decoder may do something else */
};

struct video_order {
    enum AVCodecID codec;
    AVCodecContext *ctx; /* extradata for the parser; never opened */
    AVCodecParserContext *parser;
    int length_size;  /* bytes before each NAL unit; 0: start codes */
    uint8_t sps[256]; /* the first parameter set in the stream */
    size_t n_sps;
    int64_t period, anchors, backward, packets;
    bool had_irap, after_eos, first_is_cra;
};

void video_order_free(struct video_order **o)
{
    if (!*o)
        return;
    if ((*o)->parser)
        av_parser_close((*o)->parser);
    avcodec_free_context(&(*o)->ctx);
    mem_free(*o);
    *o = NULL;
}

static int length_size(const AVCodecParameters *par)
{
    const uint8_t *x = par->extradata;
    int n = par->extradata_size;
    if (par->codec_id == AV_CODEC_ID_H264 && n > 6 && x[0] == 1)
        return (x[4] & 3) + 1;
    if (par->codec_id == AV_CODEC_ID_HEVC && n > 22 &&
        (x[0] || x[1] || x[2] > 1))
        return (x[21] & 3) + 1;
    return 0;
}

struct video_order *video_order_new(const AVCodecParameters *par)
{
    struct video_order *o = mem_calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->codec = par->codec_id;
    if (o->codec != AV_CODEC_ID_H264 && o->codec != AV_CODEC_ID_HEVC)
        return o;
    o->length_size = length_size(par);
    o->parser = av_parser_init((int)par->codec_id);
    o->ctx = avcodec_alloc_context3(NULL);
    if (!o->ctx || avcodec_parameters_to_context(o->ctx, par) < 0) {
        video_order_free(&o);
        return NULL;
    }
    if (o->parser)
        o->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    return o;
}

/* ---- H.264 and HEVC ---- */

/* A parameter set inside the stream that differs from the first may change the
 * size, and the decoder then drops frames that wait. */
static void parameter_set(struct video_order *o, const uint8_t *p, size_t n,
                          struct found *f)
{
    size_t kept = n < sizeof o->sps ? n : sizeof o->sps;
    if (o->n_sps == 0) {
        memcpy(o->sps, p, kept);
        o->n_sps = kept;
    } else if (kept != o->n_sps || memcmp(o->sps, p, kept) != 0) {
        f->odd = "its parameters change";
    }
}

static void h264_unit(struct video_order *o, const uint8_t *p, size_t n,
                      struct found *f)
{
    int type = p[0] & 31;
    if (type == 7)
        parameter_set(o, p, n, f);
    if ((type == 1 || type == 2 || type == 5) && n > 1 && p[1] & 0x80) {
        f->pictures++; /* first_mb_in_slice is 0 */
        f->new_period |= type == 5;
    }
}

static void hevc_unit(struct video_order *o, const uint8_t *p, size_t n,
                      struct found *f)
{
    if (n < 3 || (p[0] & 1) || p[1] >> 3)
        return; /* of another layer */
    int type = p[0] >> 1 & 63;
    bool first = p[2] & 0x80; /* first_slice_segment_in_pic_flag */
    if (type == 33)
        parameter_set(o, p, n, f);
    if (type == 36 || type == 37)
        o->after_eos = true;
    if (type > 31 || !first)
        return;
    f->pictures++;
    if (o->after_eos)
        f->odd = "a sequence ends within it";
    if (type >= 16 && type <= 23) {
        bool drops = o->had_irap && p[2] & 0x40 && type <= 20;
        if (drops) /* no_output_of_prior_pics_flag */
            f->odd = "it drops frames";
        f->new_period |= type <= 20;
        o->first_is_cra = type <= 18 || (type == 21 && !o->had_irap);
        o->had_irap = true;
    } else if ((type == 8 || type == 9) && o->first_is_cra) {
        f->odd = "leading pictures cannot be decoded";
    }
}

static void unit(struct video_order *o, const uint8_t *p, size_t n,
                 struct found *f)
{
    if (n == 0)
        return;
    if (o->codec == AV_CODEC_ID_H264)
        h264_unit(o, p, n, f);
    else
        hevc_unit(o, p, n, f);
}

/* The next 00 00 01 at or after i; n if there is none. */
static size_t start_code(const uint8_t *p, size_t n, size_t i)
{
    while (i + 2 < n) {
        if (p[i + 2] > 1)
            i += 3;
        else if (p[i + 2] == 1 && p[i] == 0 && p[i + 1] == 0)
            return i;
        else
            i++;
    }
    return n;
}

static void units(struct video_order *o, const uint8_t *p, size_t n,
                  struct found *f)
{
    size_t i = 0, size = (size_t)o->length_size;
    if (size == 0) {
        for (i = start_code(p, n, 0); i < n;) {
            size_t from = i + 3, to = start_code(p, n, from);
            i = to;
            while (to > from && p[to - 1] == 0)
                to--; /* zeros before the next start code */
            unit(o, p + from, to - from, f);
        }
        return;
    }
    while (n - i > size) {
        size_t k = 0;
        for (size_t j = 0; j < size; j++)
            k = k << 8 | p[i + j];
        i += size;
        if (k > n - i) {
            f->odd = "a packet is cut short";
            return;
        }
        unit(o, p + i, k, f);
        i += k;
    }
}

/* Picture order count by FFmpeg's parser; INT_MIN if it cannot tell. */
static int picture_order(struct video_order *o, const AVPacket *pkt)
{
    uint8_t *out = NULL;
    int n = 0;
    o->parser->output_picture_number = INT_MIN;
    o->parser->picture_structure = AV_PICTURE_STRUCTURE_UNKNOWN;
    (void)av_parser_parse2(o->parser, o->ctx, &out, &n, pkt->data, pkt->size,
                           pkt->pts, pkt->dts, pkt->pos);
    return o->parser->output_picture_number;
}

/* ---- MPEG-1, -2 and -4 part 2 ---- */

static void mpeg12(const uint8_t *p, size_t n, bool first, struct found *f)
{
    for (size_t i = start_code(p, n, 0); i + 7 < n;
         i = start_code(p, n, i + 3)) {
        const uint8_t *q = p + i + 3;
        if (q[0] == 0x00) {
            int type = q[2] >> 3 & 7;
            f->pictures++;
            f->backward = type == 3;
            if (type < 1 || type > 3)
                f->odd = "unusual picture types";
        } else if (q[0] == 0xb5 && q[1] >> 4 == 8) {
            f->whole = (q[3] & 3) == 3;
        } else if (q[0] == 0xb8 && q[4] & 0x20 && !first) {
            f->odd = "a broken link";
        }
    }
}

/* Fewer bytes than this may be a frame that is "not coded". */
#define MPEG4_LEAST 16

static void mpeg4(const uint8_t *p, size_t n, struct found *f)
{
    for (size_t i = start_code(p, n, 0); i + 4 < n; i = start_code(p, n, i + 3))
        if (p[i + 3] == 0xb6) {
            f->pictures++;
            f->backward = p[i + 4] >> 6 == 2;
        }
    if (n < MPEG4_LEAST)
        f->odd = "frames that are not coded";
}

/* ---- VP8, VP9 ---- */

static bool vp9_shown(const uint8_t *p, size_t n)
{
    if (n == 0 || p[0] >> 6 != 2)
        return false;
    int profile = (p[0] >> 5 & 1) | (p[0] >> 3 & 2);
    int at = profile == 3 ? 5 : 4; /* bit after the profile */
    if (p[0] >> (7 - at) & 1)
        return true; /* show_existing_frame */
    at += 2;         /* past frame_type */
    return at < 8 ? p[0] >> (7 - at) & 1 : n > 1 && p[1] >> (15 - at) & 1;
}

/* Annex B of the VP9 specification: several frames in a packet. */
static void vp9(const uint8_t *p, size_t n, struct found *f)
{
    uint8_t mark = p[n - 1];
    size_t frames = (mark & 7u) + 1, size = (mark >> 3 & 3u) + 1;
    size_t index = 2 + frames * size;
    f->pictures = 1;
    if ((mark & 0xe0) != 0xc0 || n < index || p[n - index] != mark) {
        f->shown = vp9_shown(p, n);
        return;
    }
    size_t at = 0, room = n - index;
    const uint8_t *q = p + room + 1;
    f->shown = 0;
    for (size_t i = 0; i < frames; i++, q += size) {
        size_t k = 0;
        for (size_t j = 0; j < size; j++)
            k |= (size_t)q[j] << 8 * j;
        if (k > room - at) {
            f->odd = "a packet is cut short";
            return;
        }
        f->shown += vp9_shown(p + at, k);
        at += k;
    }
}

/* ---- all ---- */

static bool intra_only(enum AVCodecID codec)
{
    const AVCodecDescriptor *d = avcodec_descriptor_get(codec);
    return d && d->props & AV_CODEC_PROP_INTRA_ONLY;
}

static void look(struct video_order *o, const AVPacket *pkt, struct found *f)
{
    size_t n = (size_t)pkt->size;
    *f = (struct found){.pictures = 0, .shown = 1, .whole = true};
    switch (o->codec) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
        units(o, pkt->data, n, f);
        break;
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
        mpeg12(pkt->data, n, o->packets == 0, f);
        break;
    case AV_CODEC_ID_MPEG4:
        mpeg4(pkt->data, n, f);
        break;
    case AV_CODEC_ID_VP8:
        f->pictures = 1;
        f->shown = pkt->data[0] >> 4 & 1;
        break;
    case AV_CODEC_ID_VP9:
        vp9(pkt->data, n, f);
        break;
    case AV_CODEC_ID_AV1: /* a temporal unit shows one frame */
        f->pictures = 1;
        break;
    default:
        f->pictures = 1;
        if (!intra_only(o->codec))
            f->odd = "a codec whose packets tell too little";
    }
}

const char *video_order_packet(struct video_order *o, const AVPacket *pkt,
                               int64_t *order)
{
    struct found f;
    size_t changed = 0;
    *order = o->packets;
    if (pkt->size <= 0 || !pkt->data)
        return "an empty packet";
    if (av_packet_get_side_data(pkt, AV_PKT_DATA_NEW_EXTRADATA, &changed))
        return "its parameters change";
    look(o, pkt, &f);
    o->packets++;
    if (f.odd)
        return f.odd;
    if (f.pictures != 1 || f.shown != 1 || !f.whole)
        return "a packet is not one frame";
    if (o->ctx) {
        int poc = o->parser ? picture_order(o, pkt) : INT_MIN;
        if (poc == INT_MIN)
            return "a picture's order cannot be read";
        if (o->parser->picture_structure == AV_PICTURE_STRUCTURE_TOP_FIELD ||
            o->parser->picture_structure == AV_PICTURE_STRUCTURE_BOTTOM_FIELD)
            return "a packet is not one frame";
        o->period += f.new_period;
        *order = o->period * ((int64_t)1 << 33) + poc;
    } else if (o->codec == AV_CODEC_ID_MPEG1VIDEO ||
               o->codec == AV_CODEC_ID_MPEG2VIDEO ||
               o->codec == AV_CODEC_ID_MPEG4) {
        if (f.backward && o->anchors < 2)
            return "frames without their references";
        o->backward = f.backward ? o->backward + 1 : 0;
        o->anchors += !f.backward;
        *order = (o->anchors - f.backward) * ((int64_t)1 << 32) + o->backward;
    }
    return NULL;
}
