/* Videos: chosen frames of a file as upright RGB pictures, and MP4 writing.
 * FFmpeg's libraries are used in lib/media/video*.c and nowhere else. */
#ifndef FACET_MEDIA_VIDEO_H
#define FACET_MEDIA_VIDEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"

enum video_deinterlace { VIDEO_DEINTERLACE_OFF, VIDEO_DEINTERLACE_AUTO };

struct video_options {
    int threads;      /* of the decoder; < 1 means 1 */
    int64_t max_side; /* > 0: larger frames are scaled down to this side */
    enum video_deinterlace deinterlace;
    bool (*stopping)(void *arg); /* NULL, or looked at while decoding */
    void *stopping_arg;
};

struct video; /* an open file */

#define VIDEO_NO_TIME INT64_MIN

/* What is known of an open file. Changes only inside video_sample. */
struct video_info {
    const char *format, *codec; /* FFmpeg's short names; "picture" for stills */
    int64_t frames;             /* that will be delivered, after edit lists */
    double fps;                 /* average rate; 0 for a single frame */
    int64_t packets;            /* read from the stream */
    bool decoded;     /* frames counted by decoding all, not from packets */
    const char *note; /* "" or what is wrong with the file, for the person */
};

/* One picture. The tensor u8[H,W,3] is upright (display matrix applied), has
 * square pixels, and sRGB values by the file's own matrix and range. */
struct video_frame {
    int64_t index;  /* 0 .. frames-1, in order of presentation */
    int64_t pts_ns; /* its time stamp, or VIDEO_NO_TIME: of a file's frames
                     * either all have one, strictly increasing, or none */
    struct tensor *picture; /* the receiver takes a reference to keep it */
};

/* Open by content; path names a local file and nothing else (no protocols, no
 * playlists). Reads the file's packets once, without decoding. Pictures that
 * image_decode reads count as videos of one frame. ERR_NOTFOUND, ERR_IO;
 * ERR_DATA for what is no video or has no moving stream (cover pictures do not
 * count); ERR_UNSUPPORTED for codecs we lack or sizes over 8192 x 8192. */
enum err_code video_open(const char *path, const struct video_options *o,
                         struct video **out, struct err *e) MUST_USE;
void video_close(struct video **v);
const struct video_info *video_info(const struct video *v);
/* Time stamp of frame i, 0 <= i < frames; VIDEO_NO_TIME where there is none. */
int64_t video_pts_ns(const struct video *v, int64_t i);

/* Choose frames: called with the number of frames known (in video_info), and
 * once more if decoding shows that the file delivers others than its packets
 * promised. Puts ascending distinct indices into *list (mem_alloc, then
 * video_sample's) and their number into *n. */
typedef enum err_code (*video_choose_fn)(void *arg, const struct video *v,
                                         int64_t **list, size_t *n,
                                         struct err *e);
/* Receives the chosen frames in order; i counts 0 .. n-1. */
typedef enum err_code (*video_frame_fn)(void *arg, const struct video *v,
                                        const struct video_frame *f, size_t i,
                                        size_t n, struct err *e);
/* Decode what `choose` names and nothing that is not needed for it: from the
 * key frame before each group of chosen frames, without pictures that no other
 * refers to. Nothing is delivered before all of it is known to be there; if it
 * is not, the whole file is decoded, frames are counted as the decoder gives
 * them, `choose` is asked again and info.note says what is wrong. ERR_DATA if
 * no frame can be decoded at all; codes of choose and deliver. */
enum err_code video_sample(struct video *v, video_choose_fn choose,
                           video_frame_fn deliver, void *arg,
                           struct err *e) MUST_USE;

/* ---- writing ---- */

struct video_writer_options {
    double fps;  /* constant rate; 0 < fps <= 1000 */
    int crf;     /* 0..51, smaller is better; H.264 only. < 0: 18 */
    int threads; /* 0 means 1; the bytes depend on it */
};
struct video_writer;

/* Start an MP4 at path (H.264 where libx264 is there, else MPEG-4 part 2) for
 * frames of one size, 4:2:0 (4:4:4 for odd sizes), BT.601 limited range,
 * tagged. It is written to ".tmp-<name>-<process>" beside path; missing folders are
 * made. The bytes depend on the frames and options alone. */
enum err_code video_writer_open(const char *path, int64_t height, int64_t width,
                                const struct video_writer_options *o,
                                struct video_writer **out,
                                struct err *e) MUST_USE;
/* Append u8[height,width,3]. ERR_ARG for another shape. */
enum err_code video_writer_put(struct video_writer *w,
                               const struct tensor *frame,
                               struct err *e) MUST_USE;
/* Finish, fsync, rename to path. Frees w in any case; on failure no file is
 * left. */
enum err_code video_writer_close(struct video_writer **w,
                                 struct err *e) MUST_USE;
/* Give up; nothing is left. NULL is fine. */
void video_writer_abort(struct video_writer **w);

#endif
