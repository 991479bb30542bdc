/* Opening a local file as a video: by content alone, nothing but that file. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavutil/error.h>

#include "lib/base/log.h"
#include "lib/media/video_internal.h"

#define IO_BUFFER 65536

static pthread_once_t log_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t log_errors;
/* The first error line of this thread since video_error or an open: the
 * demuxer's own word on what is wrong ("moov atom not found"). */
static _Thread_local char log_first[160];

static void on_log(void *ctx, int level, const char *fmt, va_list ap)
{
    if (level > AV_LOG_WARNING)
        return;
    char line[512];
    int prefix = 0;
    va_list again;
    va_copy(again, ap);
    av_log_format_line2(ctx, level, fmt, again, line, sizeof line, &prefix);
    va_end(again);
    size_t n = strlen(line);
    while (n && (line[n - 1] == '\n' || line[n - 1] == ' '))
        line[--n] = 0;
    log_debug("ffmpeg: %s", line);
    if (level > AV_LOG_ERROR)
        return;
    atomic_fetch_add(&log_errors, 1);
    if (!log_first[0]) {
        const char *text =
            strncmp(line, "[", 1) == 0 ? strchr(line, ']') : NULL;
        text = text ? text + 1 : line;
        while (*text == ' ')
            text++;
        snprintf(log_first, sizeof log_first, "%s", text);
    }
}

static void log_start(void)
{
    av_log_set_callback(on_log);
}

void video_log_init(void)
{
    pthread_once(&log_once, log_start);
    log_first[0] = 0;
}

uint64_t video_log_errors(void)
{
    return atomic_load(&log_errors);
}

const char *video_log_first(void)
{
    return log_first;
}

enum err_code video_error(struct err *e, enum err_code code, int averror,
                          const char *what, const char *path)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    /* Files with nonsense in their size fields end here far more often than
     * a machine without memory. */
    if (averror == AVERROR(ENOMEM) && code == ERR_DATA)
        snprintf(text, sizeof text, "malformed, or no memory");
    else
        av_strerror(averror, text, sizeof text);
    if (averror == AVERROR(ENOMEM) && code != ERR_DATA)
        code = ERR_NOMEM;
    err_set(e, code, "cannot %s '%s': %s%s%s%s", what, path, text,
            log_first[0] ? " (" : "", log_first, log_first[0] ? ")" : "");
    log_first[0] = 0;
    return code;
}

#ifdef __SANITIZE_THREAD__
/* The distribution's FFmpeg is not built for the thread sanitizer, which then
 * cannot see its atomic counters and takes its decoder threads for races. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libavcodec\nrace:libavutil\nrace:libavformat\n"
           "race:libx264\n";
}
#endif

static int read_packet(void *arg, uint8_t *to, int n)
{
    struct video_input *in = arg;
    for (;;) {
        ssize_t got = read(in->fd, to, (size_t)n);
        if (got > 0)
            return (int)got;
        if (got == 0)
            return AVERROR_EOF;
        if (errno == EINTR)
            continue;
        in->io_errno = errno;
        return AVERROR(errno);
    }
}

static int64_t seek(void *arg, int64_t offset, int whence)
{
    struct video_input *in = arg;
    struct stat st;
    if (whence & AVSEEK_SIZE)
        return fstat(in->fd, &st) == 0 ? (int64_t)st.st_size : AVERROR(errno);
    off_t at = lseek(in->fd, offset, whence & ~AVSEEK_FORCE);
    return at < 0 ? AVERROR(errno) : (int64_t)at;
}

/* Playlists and the like name other files: never opened. */
static int refuse_open(AVFormatContext *s, AVIOContext **pb, const char *url,
                       int flags, AVDictionary **options)
{
    (void)s;
    (void)flags;
    (void)options;
    *pb = NULL;
    log_debug("ffmpeg: refused to open '%s' from inside a file", url);
    return AVERROR(EPERM);
}

/* The file itself: there, regular, not empty. */
static enum err_code open_file(struct video_input *in, const char *path,
                               struct err *e)
{
    struct stat st;
    in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (in->fd < 0)
        return err_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
                         "cannot open '%s'", path);
    if (fstat(in->fd, &st) != 0)
        return err_errno(e, ERR_IO, errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_IO, "'%s' is not a regular file", path);
    if (st.st_size == 0)
        return err_set(e, ERR_DATA, "'%s' is empty (0 bytes)", path);
    return OK;
}

/* Targa files have no mark at their beginning: a sensible header, and either
 * the mark that later ones have at their end, or the name. */
static bool is_targa(int fd, const char *path)
{
    uint8_t h[18];
    char end[18];
    struct stat st;
    const char *dot = strrchr(path, '.');
    if (fstat(fd, &st) != 0 || pread(fd, h, sizeof h, 0) != sizeof h)
        return false;
    bool type = (h[2] >= 1 && h[2] <= 3) || (h[2] >= 9 && h[2] <= 11);
    bool depth =
        h[16] == 8 || h[16] == 15 || h[16] == 16 || h[16] == 24 || h[16] == 32;
    if (h[1] > 1 || !type || !depth || !(h[12] | h[13]) || !(h[14] | h[15]))
        return false;
    return (dot && strcasecmp(dot, ".tga") == 0) ||
           (st.st_size > 26 &&
            pread(fd, end, sizeof end, st.st_size - 18) == sizeof end &&
            memcmp(end, "TRUEVISION-XFILE.", 18) == 0);
}

/* A word on what a file is that FFmpeg does not take for a video. */
static const char *guess(int fd)
{
    char head[512];
    ssize_t n = pread(fd, head, sizeof head - 1, 0);
    if (n <= 0)
        return "";
    head[n] = 0; /* text functions below */
    const char *p = head + strspn(head, " \t\r\n");
    if (strncasecmp(p, "<!doctype html", 14) == 0 ||
        strncasecmp(p, "<html", 5) == 0)
        return "; it is an HTML page";
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)head[i] < 9)
            return n > 12 && memcmp(head + 4, "ftyp", 4) == 0
                       ? "; the file is cut short: its index is missing"
                       : "; not a known video or picture format";
    return "; it looks like text";
}

/* The stream to show: moving pictures, never a cover; then the default one,
 * then the largest, then the first. -1 if there is none. */
static int best_stream(const AVFormatContext *fmt)
{
    int best = -1;
    int64_t most = -1;
    for (unsigned i = 0; i < fmt->nb_streams; i++) {
        const AVStream *st = fmt->streams[i];
        if (st->codecpar->codec_type != AVMEDIA_TYPE_VIDEO ||
            (st->disposition &
             (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS)))
            continue;
        int64_t score = (int64_t)st->codecpar->width * st->codecpar->height;
        if (st->disposition & AV_DISPOSITION_DEFAULT)
            score += (int64_t)1 << 40;
        if (avcodec_find_decoder(st->codecpar->codec_id))
            score += (int64_t)1 << 41;
        if (score > most) {
            most = score;
            best = (int)i;
        }
    }
    return best;
}

static enum err_code no_stream(const AVFormatContext *fmt, const char *path,
                               struct err *e)
{
    bool sound = false, cover = false;
    for (unsigned i = 0; i < fmt->nb_streams; i++) {
        enum AVMediaType t = fmt->streams[i]->codecpar->codec_type;
        sound |= t == AVMEDIA_TYPE_AUDIO;
        cover |= t == AVMEDIA_TYPE_VIDEO;
    }
    return err_set(e, ERR_DATA, "'%s' has no video stream (%s: %s)", path,
                   fmt->iformat->name,
                   cover   ? "only a cover picture"
                   : sound ? "only sound"
                           : "no stream that can be shown");
}

/* MP4's header tells all that a decoder needs; probing would decode some 20
 * frames of each file only to guess it again. */
static bool header_tells(const AVFormatContext *fmt)
{
    if (strncmp(fmt->iformat->name, "mov,", 4) != 0)
        return false;
    int i = best_stream(fmt);
    if (i < 0)
        return false;
    const AVCodecParameters *par = fmt->streams[i]->codecpar;
    return par->width > 0 && par->height > 0 && par->extradata_size > 0 &&
           (par->codec_id == AV_CODEC_ID_H264 ||
            par->codec_id == AV_CODEC_ID_HEVC);
}

enum err_code video_input_open(struct video_input *in, const char *path,
                               bool thorough, struct err *e)
{
    memset(in, 0, sizeof *in);
    in->fd = in->stream = -1;
    video_log_init();
    enum err_code rc = open_file(in, path, e);
    if (rc)
        return rc;
    uint8_t *room = av_malloc(IO_BUFFER);
    if (room)
        in->io =
            avio_alloc_context(room, IO_BUFFER, 0, in, read_packet, NULL, seek);
    if (!in->io)
        av_free(room);
    in->fmt = avformat_alloc_context();
    if (!in->io || !in->fmt)
        return err_set(e, ERR_NOMEM, "no memory to open '%s'", path);
    in->fmt->pb = in->io;
    in->fmt->io_open = refuse_open;
    in->fmt->flags |= AVFMT_FLAG_CUSTOM_IO;
    const AVInputFormat *known = NULL; /* NULL: by content */
    if (is_targa(in->fd, path)) {
        known = av_find_input_format("image2pipe");
        in->fmt->video_codec_id = AV_CODEC_ID_TARGA;
    }
    int r = avformat_open_input(&in->fmt, "", known, NULL);
    if (r < 0) {
        rc = video_error(e, ERR_DATA, r, "read", path);
        const char *more = guess(in->fd);
        if (e && more[0]) {
            size_t n = strlen(e->text);
            snprintf(e->text + n, sizeof e->text - n, "%s", more);
        }
        return rc;
    }
    if ((thorough || !header_tells(in->fmt)) &&
        (r = avformat_find_stream_info(in->fmt, NULL)) < 0)
        return video_error(e, ERR_DATA, r, "read the streams of", path);
    in->stream = best_stream(in->fmt);
    if (in->stream < 0)
        return no_stream(in->fmt, path, e);
    for (unsigned i = 0; i < in->fmt->nb_streams; i++)
        if ((int)i != in->stream)
            in->fmt->streams[i]->discard = AVDISCARD_ALL;
    return OK;
}

void video_input_close(struct video_input *in)
{
    avformat_close_input(&in->fmt);
    if (in->io) {
        av_freep(&in->io->buffer);
        avio_context_free(&in->io);
    }
    if (in->fd >= 0)
        close(in->fd);
    in->fd = -1;
}
