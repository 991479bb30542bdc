/* lib/media/video: written and read back, planned and counted decoding, bad
 * files, no memory. Against the ffmpeg tool: tests/sh/30-frames-vs-ffmpeg.sh.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/media/image.h"
#include "lib/media/video.h"

#define FRAMES 300
#define SIDE 32

static char dir[] = "/tmp/facet-video-XXXXXX";
static char clip[64]; /* FRAMES frames, made by make_clip */

/* Frame i: one colour that tells i, and a moving white bar. */
static void colour_of(int i, int rgb[3])
{
    rgb[0] = 40 + i % 10 * 20;
    rgb[1] = 40 + i / 10 % 10 * 20;
    rgb[2] = 40 + i / 100 * 60;
}

static struct tensor *picture(int i, int64_t h, int64_t w)
{
    const int64_t shape[3] = {h, w, 3};
    int rgb[3];
    struct tensor *t = tensor_new(DT_U8, 3, shape, NULL);
    assert_non_null(t);
    colour_of(i, rgb);
    for (int64_t k = 0; k < h * w * 3; k++)
        tensor_u8(t)[k] = (uint8_t)(k / 3 % w == i % 8 ? 255 : rgb[k % 3]);
    return t;
}

/* Which frame does this picture show? By the colour of its right half. */
static int number_of(const struct tensor *t)
{
    int64_t w = t->shape[1], at = (t->shape[0] / 2 * w + w * 3 / 4) * 3;
    const uint8_t *p = tensor_u8(t) + at;
    return (p[0] - 40 + 10) / 20 + (p[1] - 40 + 10) / 20 * 10 +
           (p[2] - 40 + 30) / 60 * 100;
}

static enum err_code write_clip(const char *path, int n, int64_t h, int64_t w,
                                struct err *e)
{
    const struct video_writer_options o = {.fps = 25, .crf = 10};
    struct video_writer *v;
    enum err_code rc = video_writer_open(path, h, w, &o, &v, e);
    for (int i = 0; !rc && i < n; i++) {
        struct tensor *t = picture(i, h, w);
        rc = video_writer_put(v, t, e);
        tensor_free(&t);
    }
    if (!rc)
        return video_writer_close(&v, e);
    video_writer_abort(&v);
    return rc;
}

static int make_clip(void **state)
{
    (void)state;
    struct err e = {0};
    if (!mkdtemp(dir))
        return 1;
    snprintf(clip, sizeof clip, "%s/clip.mp4", dir);
    if (write_clip(clip, FRAMES, SIDE, SIDE, &e))
        fail_msg("%s", e.text);
    return 0;
}

static int remove_clip(void **state)
{
    (void)state;
    unlink(clip);
    return rmdir(dir); /* fails if a test left something */
}

/* ---- a sampling that remembers ---- */

struct taking {
    const int64_t *want;
    size_t n_want;
    int64_t even; /* instead of want: so many, evenly; -1 all */
    size_t got, asked;
    int64_t index[FRAMES], pts_ns[FRAMES];
    int number[FRAMES];
    enum err_code choose_rc, deliver_rc;
};

static enum err_code choose(void *arg, const struct video *v, int64_t **list,
                            size_t *n, struct err *e)
{
    struct taking *t = arg;
    int64_t frames = video_info(v)->frames;
    t->asked++;
    if (t->choose_rc)
        return err_set(e, t->choose_rc, "no choice");
    size_t count = t->even < 0    ? (size_t)frames
                   : t->even == 0 ? t->n_want
                                  : (size_t)t->even;
    if (t->even > 0 && (int64_t)count > frames)
        count = (size_t)frames;
    *list = mem_array(count, sizeof **list);
    if (!*list)
        return err_set(e, ERR_NOMEM, "no memory");
    *n = count;
    for (size_t i = 0; i < count; i++)
        (*list)[i] = t->even == 0 ? t->want[i]
                     : t->even < 0 || count < 2
                         ? (int64_t)i
                         : (int64_t)i * (frames - 1) / ((int64_t)count - 1);
    return OK;
}

static enum err_code deliver(void *arg, const struct video *v,
                             const struct video_frame *f, size_t i, size_t n,
                             struct err *e)
{
    struct taking *t = arg;
    (void)v;
    (void)n;
    if (t->deliver_rc)
        return err_set(e, t->deliver_rc, "not taken");
    assert_int_equal(i, t->got);
    assert_true(t->got < FRAMES);
    t->index[t->got] = f->index;
    t->pts_ns[t->got] = f->pts_ns;
    t->number[t->got++] = number_of(f->picture);
    return OK;
}

static enum err_code take(const char *path, const struct video_options *o,
                          struct taking *t, struct video_info *info,
                          char note[256], struct err *e)
{
    struct video *v;
    enum err_code rc = video_open(path, o, &v, e);
    if (rc) {
        assert_null(v);
        return rc;
    }
    rc = video_sample(v, choose, deliver, t, e);
    if (info)
        *info = *video_info(v);
    if (note)
        snprintf(note, 256, "%s", video_info(v)->note);
    video_close(&v);
    assert_null(v);
    return rc;
}

static const struct video_options plain = {.threads = 1};

static void chosen_frames(void **state)
{
    (void)state;
    static const int64_t want[] = {0, 7, 8, 120, 249, 250, 251, 299};
    for (int threads = 1; threads <= 3; threads += 2) {
        const struct video_options o = {.threads = threads};
        struct taking t = {.want = want, .n_want = 8};
        struct video_info info = {0};
        struct err e = {0};
        if (take(clip, &o, &t, &info, NULL, &e))
            fail_msg("%s", e.text);
        assert_int_equal(info.frames, FRAMES);
        assert_false(info.decoded);
        assert_true(info.fps > 24.99 && info.fps < 25.01);
        assert_int_equal(t.got, 8);
        for (int i = 0; i < 8; i++) {
            assert_int_equal(t.index[i], want[i]);
            assert_int_equal(t.number[i], want[i]);
            assert_int_equal(t.pts_ns[i], want[i] * 40000000);
        }
    }
}

static void all_frames(void **state)
{
    (void)state;
    struct taking t = {.even = -1};
    assert_int_equal(take(clip, &plain, &t, NULL, NULL, NULL), OK);
    assert_int_equal(t.got, FRAMES);
    for (int i = 0; i < FRAMES; i++)
        assert_int_equal(t.number[i], i);
}

static void each_alone(void **state)
{
    (void)state;
    for (int64_t k = 3; k < FRAMES; k += 37) {
        struct taking t = {.want = &k, .n_want = 1};
        assert_int_equal(take(clip, &plain, &t, NULL, NULL, NULL), OK);
        assert_int_equal(t.number[0], k);
    }
}

static void scaled_down(void **state)
{
    (void)state;
    struct err e;
    struct video *v;
    char path[80];
    snprintf(path, sizeof path, "%s/wide.mp4", dir);
    assert_int_equal(write_clip(path, 2, 60, 100, &e), OK);
    const struct video_options o = {.threads = 1, .max_side = 50};
    struct taking t = {.even = -1};
    assert_int_equal(video_open(path, &o, &v, &e), OK);
    assert_int_equal(video_sample(v, choose, deliver, &t, &e), OK);
    assert_int_equal(t.number[1], 1);
    video_close(&v);
    unlink(path);
}

/* ---- what is no good ---- */

static void put_file(const char *path, const void *p, size_t n)
{
    struct err e;
    assert_int_equal(file_write_atomic(path, p, n, &e), OK);
}

static void refuses(void **state)
{
    (void)state;
    struct err e;
    struct video *v;
    char path[80];
    uint8_t noise[5000];
    struct rng r;
    rng_seed(&r, 3);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)rng_below(&r, 256);
    snprintf(path, sizeof path, "%s/bad.mp4", dir);
    assert_int_equal(video_open("/nonexistent/x.mp4", &plain, &v, &e),
                     ERR_NOTFOUND);
    assert_int_equal(video_open(dir, &plain, &v, &e), ERR_IO);
    assert_int_equal(video_open("http://localhost/x.mp4", &plain, &v, &e),
                     ERR_NOTFOUND);
    put_file(path, "", 0);
    assert_int_equal(video_open(path, &plain, &v, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "empty"));
    put_file(path, "\n<!DOCTYPE html><p>404", 22);
    assert_int_equal(video_open(path, &plain, &v, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "HTML"));
    assert_non_null(strstr(e.text, path));
    put_file(path, noise, sizeof noise);
    assert_int_equal(video_open(path, &plain, &v, &e), ERR_DATA);
    /* a playlist names another file, which must not be opened */
    char list[200];
    int n = snprintf(list, sizeof list,
                     "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n%s\n"
                     "#EXT-X-ENDLIST\n",
                     clip);
    put_file(path, list, (size_t)n);
    assert_int_equal(video_open(path, &plain, &v, &e), ERR_DATA);
    n = snprintf(list, sizeof list, "ffconcat version 1.0\nfile %s\n", clip);
    put_file(path, list, (size_t)n);
    assert_int_equal(video_open(path, &plain, &v, &e), ERR_DATA);
    unlink(path);
}

static void still_picture(void **state)
{
    (void)state;
    struct err e;
    char path[80], as_video[80];
    snprintf(path, sizeof path, "%s/a.png", dir);
    snprintf(as_video, sizeof as_video, "%s/a.mp4", dir);
    struct tensor *p = picture(123, 40, 64);
    assert_int_equal(image_write(path, p, NULL, &e), OK);
    assert_int_equal(rename(path, as_video), 0);
    struct taking t = {.even = 5};
    struct video_info info;
    assert_int_equal(take(as_video, &plain, &t, &info, NULL, &e), OK);
    assert_int_equal(info.frames, 1);
    assert_int_equal(t.got, 1);
    assert_int_equal(t.number[0], 123);
    tensor_free(&p);
    unlink(as_video);
}

static void callbacks_decide(void **state)
{
    (void)state;
    struct err e;
    static const int64_t unsorted[] = {5, 4}, twice[] = {4, 4}, out[] = {300};
    struct taking t = {.want = unsorted, .n_want = 2};
    assert_int_equal(take(clip, &plain, &t, NULL, NULL, &e), ERR_ARG);
    t = (struct taking){.want = twice, .n_want = 2};
    assert_int_equal(take(clip, &plain, &t, NULL, NULL, &e), ERR_ARG);
    t = (struct taking){.want = out, .n_want = 1};
    assert_int_equal(take(clip, &plain, &t, NULL, NULL, &e), ERR_ARG);
    t = (struct taking){.even = 3, .choose_rc = ERR_NOTFOUND};
    assert_int_equal(take(clip, &plain, &t, NULL, NULL, &e), ERR_NOTFOUND);
    t = (struct taking){.even = 3, .deliver_rc = ERR_CANCEL};
    assert_int_equal(take(clip, &plain, &t, NULL, NULL, &e), ERR_CANCEL);
    t = (struct taking){.want = unsorted, .n_want = 0};
    assert_int_equal(take(clip, &plain, &t, NULL, NULL, &e), OK);
    assert_int_equal(t.got, 0);
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

static void stops(void **state)
{
    (void)state;
    struct err e;
    struct video *v;
    const struct video_options o = {.threads = 1, .stopping = always};
    assert_int_equal(video_open(clip, &o, &v, &e), ERR_CANCEL);
    assert_null(v);
}

/* A clip cut short: index first, so that it opens; the frames that are there
 * are sampled, in order, with a note. */
static void cut_short(void **state)
{
    (void)state;
    struct buf b;
    struct err e = {0};
    char path[80], note[256];
    snprintf(path, sizeof path, "%s/cut.mp4", dir);
    assert_int_equal(file_read(clip, 1 << 24, &b, &e), OK);
    put_file(path, b.data, b.len * 7 / 10);
    struct taking t = {.even = 5};
    struct video_info info;
    if (take(path, &plain, &t, &info, note, &e))
        fail_msg("%s", e.text);
    assert_true(info.decoded);
    assert_in_range(info.frames, 100, FRAMES - 1);
    assert_non_null(strstr(note, "of 300 frames"));
    assert_int_equal(t.got, 5);
    assert_int_equal(t.index[0], 0);
    assert_int_equal(t.index[4], info.frames - 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(t.number[i], t.index[i]);
    unlink(path);
    buf_free(&b);
}

/* Whatever is wrong with a file: an answer, and never half a delivery. */
static void damaged(void **state)
{
    (void)state;
    struct buf b;
    struct rng r;
    struct err e;
    char path[80], small[80];
    rng_seed(&r, 11);
    snprintf(path, sizeof path, "%s/hurt.mp4", dir);
    snprintf(small, sizeof small, "%s/small.mp4", dir);
    assert_int_equal(write_clip(small, 30, SIDE, SIDE, &e), OK);
    assert_int_equal(file_read(small, 1 << 24, &b, &e), OK);
    for (int i = 0; i < 120; i++) {
        uint8_t *p = mem_alloc(b.len);
        size_t n = b.len;
        memcpy(p, b.data, n);
        if (i < 40)
            n = n * (size_t)i / 40;
        else
            for (int k = 0; k < i - 39; k++)
                p[rng_below(&r, n)] ^= (uint8_t)(1u << rng_below(&r, 8));
        put_file(path, p, n);
        mem_free(p);
        struct taking t = {.even = 5};
        enum err_code rc = take(path, &plain, &t, NULL, NULL, &e);
        if (!(rc == OK || rc == ERR_DATA || rc == ERR_UNSUPPORTED))
            fail_msg("%d %s", i, e.text);
        if (rc == OK)
            assert_true(t.got >= 1);
        else
            assert_int_equal(t.got, 0);
    }
    unlink(path);
    unlink(small);
    buf_free(&b);
}

static void no_memory(void **state)
{
    (void)state;
    struct err e;
    char small[80];
    snprintf(small, sizeof small, "%s/small.mp4", dir);
    assert_int_equal(write_clip(small, 3, SIDE, SIDE, &e), OK);
    int64_t live = mem_live();
    for (uint64_t n = 1;; n++) {
        struct taking t = {.even = 2};
        mem_fail_nth(n);
        enum err_code rc = take(small, &plain, &t, NULL, NULL, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), live);
        if (!hit)
            break;
    }
    unlink(small);
    struct tensor *t = picture(1, SIDE, SIDE);
    live = mem_live();
    for (uint64_t n = 1;; n++) {
        const struct video_writer_options o = {.fps = 25, .crf = -1};
        struct video_writer *v;
        mem_fail_nth(n);
        enum err_code rc = video_writer_open(small, SIDE, SIDE, &o, &v, &e);
        if (!rc)
            rc = video_writer_put(v, t, &e);
        if (!rc)
            rc = video_writer_close(&v, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        video_writer_abort(&v);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), live);
        unlink(small);
        if (!hit)
            break;
    }
    tensor_free(&t);
}

/* ---- writing ---- */

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *p; (p = readdir(d));)
        n += p->d_name[0] != '.' || strlen(p->d_name) > 2;
    closedir(d);
    return n;
}

static void same_bytes(void **state)
{
    (void)state;
    struct err e;
    struct buf a, b;
    char p[80], q[80];
    snprintf(p, sizeof p, "%s/a.mp4", dir);
    snprintf(q, sizeof q, "%s/b.mp4", dir);
    assert_int_equal(write_clip(p, 20, 46, 34, &e), OK);
    assert_int_equal(write_clip(q, 20, 46, 34, &e), OK);
    assert_int_equal(file_read(p, 1 << 20, &a, &e), OK);
    assert_int_equal(file_read(q, 1 << 20, &b, &e), OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    buf_free(&a);
    buf_free(&b);
    unlink(p);
    unlink(q);
}

static void odd_size(void **state)
{
    (void)state;
    struct err e;
    char p[80];
    snprintf(p, sizeof p, "%s/odd.mp4", dir);
    assert_int_equal(write_clip(p, 12, 33, 47, &e), OK);
    struct taking t = {.even = -1};
    assert_int_equal(take(p, &plain, &t, NULL, NULL, &e), OK);
    assert_int_equal(t.got, 12);
    for (int i = 0; i < 12; i++)
        assert_int_equal(t.number[i], i);
    unlink(p);
}

static void whole_or_not_at_all(void **state)
{
    (void)state;
    struct err e;
    char p[80];
    struct video_writer *v;
    const struct video_writer_options o = {.fps = 25, .crf = -1};
    struct tensor *good = picture(0, 32, 32), *bad = picture(0, 32, 34);
    int before = entries();
    snprintf(p, sizeof p, "%s/w.mp4", dir);
    assert_int_equal(video_writer_open(p, 32, 32, &o, &v, &e), OK);
    assert_int_equal(video_writer_put(v, good, &e), OK);
    assert_int_equal(video_writer_put(v, bad, &e), ERR_ARG);
    assert_false(file_exists(p)); /* not before it is whole */
    video_writer_abort(&v);
    assert_int_equal(entries(), before);
    assert_int_equal(video_writer_open(p, 32, 32, &o, &v, &e), OK);
    assert_int_equal(video_writer_close(&v, &e), ERR_STATE); /* no frame */
    assert_null(v);
    assert_int_equal(entries(), before);
    const struct video_writer_options slow = {.fps = 0};
    assert_int_equal(video_writer_open(p, 32, 32, &slow, &v, &e), ERR_ARG);
    assert_int_equal(video_writer_open(p, 0, 32, &o, &v, &e), ERR_ARG);
    assert_int_equal(video_writer_open("/proc/x/w.mp4", 32, 32, &o, &v, &e),
                     ERR_IO);
    tensor_free(&good);
    tensor_free(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_frames),
        cmocka_unit_test(all_frames),
        cmocka_unit_test(each_alone),
        cmocka_unit_test(scaled_down),
        cmocka_unit_test(refuses),
        cmocka_unit_test(still_picture),
        cmocka_unit_test(callbacks_decide),
        cmocka_unit_test(stops),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(damaged),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(odd_size),
        cmocka_unit_test(whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, make_clip, remove_clip);
}
