/* Inside lib/media/video*.c only. */
#ifndef FACET_MEDIA_VIDEO_INTERNAL_H
#define FACET_MEDIA_VIDEO_INTERNAL_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "lib/media/video.h"

#define VIDEO_MAX_SIDE 16384
#define VIDEO_MAX_PIXELS ((int64_t)1 << 26)
#define VIDEO_MAX_PACKETS ((size_t)1 << 24)

/* ---- video_input.c: the demuxer over a plain file ---- */

struct video_input {
    int fd;
    AVFormatContext *fmt;
    AVIOContext *io;
    int stream;   /* the chosen one, -1 before */
    int io_errno; /* of a failed read */
};

/* FFmpeg's log lines go to log_debug; call before any other FFmpeg function. */
void video_log_init(void);
/* How many lines of level error FFmpeg has logged, in all threads. */
uint64_t video_log_errors(void);
/* The first of them in this thread since an input was opened; "" if none. */
const char *video_log_first(void);
/* Set e to "cannot <what> '<path>': <FFmpeg's text> (<its last log line>)". */
enum err_code video_error(struct err *e, enum err_code code, int averror,
                          const char *what, const char *path);
/* thorough: probe the streams as the ffmpeg tool does even where the header
 * tells all that a decoder needs. */
enum err_code video_input_open(struct video_input *in, const char *path,
                               bool thorough, struct err *e) MUST_USE;
void video_input_close(struct video_input *in);

/* ---- video_frame.c: decoded frames to pictures ---- */

struct video_shape {
    AVRational sar; /* of the container; num 0: the frame's */
    bool has_matrix;
    int32_t matrix[9]; /* display matrix of the container */
    int64_t max_side;
    bool deinterlace;
};
struct video_scaler { /* kept while frames stay alike */
    struct SwsContext *sws;
    int src_w, src_h, dst_w, dst_h, range, space;
    enum AVPixelFormat from, to;
};
struct video_converter {
    struct video_scaler last, flatten;
    uint8_t *rgb; /* rows of `pitch` bytes */
    size_t pitch, rgb_bytes;
    AVFrame *fields, *turned; /* deinterlaced, turned copies */
    AVFrame *rgba, *flat;     /* with transparency, laid over black */
};
void video_converter_free(struct video_converter *c);
enum err_code video_convert(struct video_converter *c,
                            const struct video_shape *s, const AVFrame *f,
                            struct tensor **out, struct err *e) MUST_USE;

/* ---- video_index.c: what the packets promise ---- */

struct video_packet { /* in the order of decoding */
    int64_t pts, dts;
    int64_t order;    /* of display, by video_order */
    bool key, hidden; /* hidden: decoded, not delivered (edit lists) */
};
struct video_entry { /* in the order of presentation */
    int64_t pts;     /* AV_NOPTS_VALUE: none */
    union {
        uint32_t packet; /* its packet, where packets are all that is known */
        int64_t guess;   /* the decoder's best guess of the time stamp */
    };
};
/* What is said of the time stamps of decoded frames. */
enum video_times {
    VIDEO_TIMES_GOOD,   /* the file's own */
    VIDEO_TIMES_SORTED, /* the file's own, sorted: they contradict the order
                           of display */
    VIDEO_TIMES_DTS,    /* those of decoding, for the same reason */
    VIDEO_TIMES_ABSENT  /* none that are finite and increase */
};
struct video_index {
    struct video_packet *packets;
    size_t n_packets, cap_packets;
    struct video_entry *frames;
    size_t n_frames, cap_frames;
    bool trusted;
    enum video_times times;
    char why[160]; /* not trusted, or reading stopped: the reason */
};
void video_index_free(struct video_index *x);
/* A time stamp in ns; INT64_MIN if there is none or it is beyond the range. */
int64_t video_ns(int64_t pts, AVRational time_base);
/* Are all time stamps there, finite and strictly increasing in ns? */
bool video_index_timed(const struct video_index *x, AVRational time_base);
/* Settle the time stamps of decoded frames: the file's own where they follow
 * the order of display; where some are missing the decoder's guess; the file's
 * own sorted, where frames have only changed places with near ones; the
 * packets' times of decoding; else none. Sets x->times. ERR_NOMEM. */
enum err_code video_index_settle(struct video_index *x, AVRational time_base,
                                 struct err *e) MUST_USE;
/* Read all packets. ERR_NOMEM, ERR_UNSUPPORTED (too many), ERR_CANCEL; bad
 * data only makes x->trusted false. */
enum err_code video_index_packets(struct video_index *x, struct video_input *in,
                                  const struct video_options *o,
                                  struct err *e) MUST_USE;
/* Append a delivered frame. */
enum err_code video_index_frame(struct video_index *x, int64_t pts,
                                uint32_t packet, struct err *e) MUST_USE;

/* ---- video_order.c: what the packets hold ---- */

struct video_order;
/* For streams of these parameters; NULL without memory. */
struct video_order *video_order_new(const AVCodecParameters *par);
void video_order_free(struct video_order **o);
/* The next packet in the order of decoding. *order is less for a frame that is
 * shown earlier. NULL, or why the packets do not tell what the decoder gives.
 */
const char *video_order_packet(struct video_order *o, const AVPacket *pkt,
                               int64_t *order);

/* ---- video_decode.c: one pass over the file ---- */

/* What to do with each packet: skip it, decode it for others, or because it
 * is wanted; and whether the decoder is emptied after it. */
enum { PLAN_SKIP = 0, PLAN_FEED = 1, PLAN_WANT = 2, PLAN_DRAIN = 4 };

struct video_pass {
    const char *path;
    const struct video_options *o;
    const AVCodecParameters *par;
    int threads;
    const uint8_t *plan; /* n_plan actions; NULL: decode all in order */
    size_t n_plan;
    bool skip_unreferenced; /* packets that are only fed */
    bool thorough;          /* open it as the ffmpeg tool does */
    /* Each decoded frame. *stop ends the pass early. */
    enum err_code (*frame)(void *arg, const AVFrame *f, bool *stop,
                           struct err *e);
    void *arg;
    /* out */
    int64_t bad_packets, damaged_frames, delivered;
    uint64_t log_errors;
    char complaint[96]; /* the first error line of FFmpeg, if it was ours */
    bool read_error;
};
/* Bad data is counted, not an error. */
enum err_code video_decode_pass(struct video_pass *p, struct err *e) MUST_USE;

/* ---- video.c, video_sample.c ---- */

struct video {
    char *path;
    struct video_options o;
    struct video_info info;
    char note[256];
    char file_note[64]; /* the part of it that is known from the start */
    char format[32];
    struct tensor *still; /* a picture: the one frame */
    AVCodecParameters *par;
    AVRational time_base, rate;
    int64_t promised; /* frames by the header; 0 if it does not say */
    struct video_shape shape;
    struct video_converter converter;
    struct video_index index;
    bool key_start;   /* decoding may start at any key packet */
    bool skippable;   /* the decoder can leave out unreferenced pictures */
    int threads_full; /* for decoding all */
};
/* Frames and rate into v->info, from the index. */
void video_set_counts(struct video *v);
/* Of a single picture: what FFmpeg does not see (turned TIFF, missing pixels,
 * pictures that follow), into shape and file_note. ERR_DATA: pixels lack. */
enum err_code video_look_at_picture(struct video *v, struct err *e) MUST_USE;

#endif
