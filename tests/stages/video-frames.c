/* Chosen frames of videos through lib/media/video, without the stage: raw RGB
 * on stdout for comparing with other decoders, or a timing.
 *
 *   video-frames --raw [options] FILE    for each frame a line "index pts_ns
 *                                        height width" on stderr, its bytes on
 *                                        stdout; the last line is
 *                                        "frames F fps R note ..."
 *   video-frames [options] FILE...       prints clips/s
 * Options: -n COUNT evenly spaced (default 5; 0 all) | -i 0,5,7 |
 *          -m MAX_SIDE, -t THREADS, -d (deinterlace), -r REPEATS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/media/video.h"

struct want {
    int64_t count;
    char *indices;
    bool raw;
};

static enum err_code choose(void *arg, const struct video *v, int64_t **list,
                            size_t *n, struct err *e)
{
    const struct want *w = arg;
    int64_t frames = video_info(v)->frames;
    size_t most = w->indices ? strlen(w->indices) : (size_t)frames;
    *n = 0;
    *list = mem_array(most + 1, sizeof **list);
    if (!*list)
        return err_set(e, ERR_NOMEM, "no memory");
    if (w->indices) {
        char *p = w->indices, *end;
        for (; *p; p = *end ? end + 1 : end)
            (*list)[(*n)++] = strtoll(p, &end, 10);
        return OK;
    }
    int64_t count = w->count == 0 || w->count > frames ? frames : w->count;
    for (int64_t i = 0; i < count; i++)
        (*list)[(*n)++] =
            count == 1 ? (frames - 1) / 2
                       : (2 * i * (frames - 1) + count - 1) / (2 * (count - 1));
    return OK;
}

static enum err_code deliver(void *arg, const struct video *v,
                             const struct video_frame *f, size_t i, size_t n,
                             struct err *e)
{
    const struct want *w = arg;
    (void)v;
    (void)i;
    (void)n;
    if (!w->raw)
        return OK;
    fprintf(stderr, "%lld %lld %lld %lld\n", (long long)f->index,
            (long long)f->pts_ns, (long long)f->picture->shape[0],
            (long long)f->picture->shape[1]);
    if (fwrite(f->picture->data, 1, f->picture->bytes, stdout) !=
        f->picture->bytes)
        return err_set(e, ERR_IO, "cannot write the frames");
    return OK;
}

static enum err_code one(const char *path, const struct video_options *o,
                         struct want *w, struct err *e)
{
    struct video *v;
    enum err_code rc = video_open(path, o, &v, e);
    if (!rc)
        rc = video_sample(v, choose, deliver, w, e);
    if (!rc && w->raw) {
        const struct video_info *f = video_info(v);
        fprintf(stderr, "frames %lld fps %.6g %s %s note %s\n",
                (long long)f->frames, f->fps, f->codec,
                f->decoded ? "decoded" : "packets", f->note);
    }
    if (v)
        video_close(&v);
    return rc;
}

int main(int argc, char **argv)
{
    struct video_options o = {.threads = 1};
    struct want w = {.count = 5};
    struct err e;
    int c, repeats = 1, bad = 0;
    bool timing = true;
    log_setup(NULL, log_level_from_env());
    if (argc > 1 && strcmp(argv[1], "--raw") == 0) {
        w.raw = true;
        timing = false;
        argv++;
        argc--;
    }
    while ((c = getopt(argc, argv, "n:i:m:t:dr:")) != -1) {
        int64_t v = 0;
        if (c != 'd' && c != 'i' && !text_to_i64(optarg, &v))
            return 2;
        switch (c) {
        case 'n':
            w.count = v;
            break;
        case 'i':
            w.indices = optarg;
            break;
        case 'm':
            o.max_side = v;
            break;
        case 't':
            o.threads = (int)v;
            break;
        case 'd':
            o.deinterlace = VIDEO_DEINTERLACE_AUTO;
            break;
        case 'r':
            repeats = (int)v;
            break;
        default:
            return 2;
        }
    }
    int64_t start = clock_ns();
    for (int r = 0; r < repeats; r++)
        for (int i = optind; i < argc; i++)
            if (one(argv[i], &o, &w, &e)) {
                fprintf(stderr, "%s: %s\n", err_word(e.code), e.text);
                bad++;
            }
    double s = (double)(clock_ns() - start) * 1e-9;
    if (timing)
        printf("%d clips in %.3f s: %.2f clips/s\n", (argc - optind) * repeats,
               s, (argc - optind) * repeats / s);
    return bad ? 1 : 0;
}
