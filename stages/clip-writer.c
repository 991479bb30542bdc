/* clip-writer: frames of many clips in, one MP4 a clip out. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/data/item.h"
#include "lib/data/tensor.h"
#include "lib/flow/stage.h"
#include "lib/media/video.h"
#include "stages/keyed.h"

#define KEYS ".facet/clips" /* see lib/store/keys.h */

struct pending { /* a frame that came before its turn */
    int64_t index;
    struct tensor *frame; /* a copy of our own */
};

struct clip { /* being written */
    struct clip *next_clip;
    char *name, *path;
    int64_t frames, next; /* promised, written */
    char source[33];      /* hash of what it comes from */
    bool broken;          /* an encoding failed: nothing will be published */
    bool other;           /* takes the place of one of other settings */
    struct video_writer *writer;
    struct pending *pending;
    size_t n_pending, cap_pending;
};

struct writer {
    struct keyed files;
    double fps;
    int64_t crf, max_open, max_bytes;
    bool overwrite;
    struct clip *clips;
    int64_t open_clips;
    size_t held; /* bytes of pending frames */
};
KEYED_FIRST(struct writer, files);

static void clip_free(struct writer *c, struct clip *k)
{
    for (size_t i = 0; i < k->n_pending; i++) {
        c->held -= k->pending[i].frame->bytes;
        tensor_free(&k->pending[i].frame);
    }
    video_writer_abort(&k->writer);
    mem_free(k->pending);
    mem_free(k->name);
    mem_free(k->path);
    mem_free(k);
}

static void clip_remove(struct writer *c, struct clip *k)
{
    struct clip **p = &c->clips;
    while (*p != k)
        p = &(*p)->next_clip;
    *p = k->next_clip;
    c->open_clips--;
    clip_free(c, k);
}

/* Below the root and nowhere else. */
static enum err_code check_name(const char *name, struct err *e)
{
    bool bad = name[0] == '/' || name[0] == 0;
    for (const char *p = name; !bad && *p;) {
        size_t n = strcspn(p, "/");
        bad = n == 0 || (n == 1 && p[0] == '.') ||
              (n == 2 && p[0] == '.' && p[1] == '.') || p[n - 1] == '\n';
        p += n + (p[n] == '/');
        bad = bad || (*p == 0 && p[-1] == '/');
    }
    return bad ? err_set(e, ERR_DATA, "clip '%s' is no path below the root",
                         name)
               : OK;
}

static struct clip *find_clip(const struct writer *c, const char *name)
{
    struct clip *k = c->clips;
    while (k && strcmp(k->name, name) != 0)
        k = k->next_clip;
    return k;
}

static enum err_code new_clip(struct writer *c, const char *name,
                              const char *path, int64_t frames,
                              struct clip **out, struct err *e)
{
    if (c->open_clips >= c->max_open)
        return err_set(e, ERR_STATE,
                       "clip '%s': %lld clips are open already (max-open); "
                       "frames of one clip should come together",
                       name, (long long)c->open_clips);
    struct clip *k = mem_calloc(1, sizeof *k);
    if (!k)
        return err_set(e, ERR_NOMEM, "no memory for clip '%s'", name);
    k->name = mem_strdup(name);
    k->path = mem_strdup(path);
    k->frames = frames;
    if (!k->name || !k->path) {
        clip_free(c, k);
        return err_set(e, ERR_NOMEM, "no memory for clip '%s'", name);
    }
    k->next_clip = c->clips;
    c->clips = k;
    c->open_clips++;
    *out = k;
    return OK;
}

/* The next frame in order. The first one opens the file. */
static enum err_code put_frame(struct writer *c, struct clip *k,
                               const struct tensor *frame,
                               const struct item *it, struct err *e)
{
    enum err_code rc = OK;
    if (!k->writer) {
        double fps = c->fps > 0 ? c->fps : item_f64(it, "fps", 0);
        const struct video_writer_options o = {
            .fps = fps > 0 ? fps : 25, .crf = (int)c->crf, .threads = 1};
        rc = video_writer_open(k->path, frame->shape[0], frame->shape[1], &o,
                               &k->writer, e);
    }
    if (!rc)
        rc = video_writer_put(k->writer, frame, e);
    if (!rc) {
        k->next++;
    } else if (rc != ERR_ARG) {
        k->broken = true;
        video_writer_abort(&k->writer);
    }
    return rc;
}

static enum err_code hold_frame(struct writer *c, struct clip *k, int64_t index,
                                const struct tensor *frame, struct err *e)
{
    for (size_t i = 0; i < k->n_pending; i++)
        if (k->pending[i].index == index)
            return OK; /* the same frame once more */
    if (frame->bytes + c->held > (size_t)c->max_bytes << 20)
        return err_set(e, ERR_NOMEM,
                       "clip '%s': frame %lld waits for frame %lld, and "
                       "waiting frames fill the %lld MiB of `buffer`",
                       k->name, (long long)index, (long long)k->next,
                       (long long)c->max_bytes);
    if (k->n_pending == k->cap_pending) {
        size_t cap = k->cap_pending ? k->cap_pending * 2 : 16;
        void *p = mem_resize(k->pending, cap, sizeof *k->pending);
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory for a waiting frame");
        k->pending = p;
        k->cap_pending = cap;
    }
    struct tensor *copy = tensor_copy(frame, e);
    if (!copy)
        return ERR_NOMEM;
    k->pending[k->n_pending++] = (struct pending){index, copy};
    c->held += copy->bytes;
    return OK;
}

/* Write the waiting frames whose turn has come. */
static enum err_code drain(struct writer *c, struct clip *k,
                           const struct item *it, struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = 0; !rc && i < k->n_pending;) {
        if (k->pending[i].index != k->next) {
            i++;
            continue;
        }
        rc = put_frame(c, k, k->pending[i].frame, it, e);
        c->held -= k->pending[i].frame->bytes;
        tensor_free(&k->pending[i].frame);
        k->pending[i] = k->pending[--k->n_pending];
        i = 0;
    }
    return rc;
}

/* The last frame is in: the file appears, then its key. A clip that was killed
 * between the two is of unknown settings, and made anew. */
static enum err_code close_clip(struct writer *c, struct clip *k, struct err *e)
{
    enum err_code rc = video_writer_close(&k->writer, e);
    char *rel = rc ? NULL : mem_printf("%s.mp4", k->name);
    if (!rc)
        rc = rel ? keys_note(c->files.keys, rel, k->source, e)
                 : err_set(e, ERR_NOMEM, "no memory for a path");
    mem_free(rel);
    c->files.written += rc == OK;
    c->files.anew += rc == OK && k->other;
    return rc;
}

static enum err_code take_frame(struct writer *c, struct clip *k,
                                const struct item *it, int64_t index,
                                struct err *e)
{
    const struct tensor *frame = item_tensor(it, "frame");
    if (k->broken)
        return err_set(e, ERR_IO, "clip '%s' has failed before", k->name);
    if (item_i64(it, "n_frames", 0) != k->frames)
        return err_set(e, ERR_DATA, "clip '%s': n_frames was %lld, now %lld",
                       k->name, (long long)k->frames,
                       (long long)item_i64(it, "n_frames", 0));
    if (index < k->next)
        return OK; /* the same frame once more */
    if (index > k->next)
        return hold_frame(c, k, index, frame, e);
    enum err_code rc = put_frame(c, k, frame, it, e);
    if (!rc)
        rc = drain(c, k, it, e);
    if (!rc && k->next == k->frames) {
        rc = close_clip(c, k, e);
        clip_remove(c, k);
    }
    return rc;
}

/* A clip's first frame to come: is the clip there already? Then *out stays
 * NULL. */
static enum err_code begin_clip(struct writer *c, const struct item *it,
                                const char *file, const char *path, bool count,
                                struct clip **out, struct err *e)
{
    char source[33];
    keys_source(c->files.sources, it, source);
    enum keys_state state = keys_look(c->files.keys, file, source);
    if (state == KEYS_KEPT || (state == KEYS_OURS && !c->overwrite)) {
        c->files.there += count && state == KEYS_OURS;
        c->files.kept += count && state == KEYS_KEPT;
        return OK;
    }
    enum err_code rc = new_clip(c, item_str(it, "clip", ""), path,
                                item_i64(it, "n_frames", 0), out, e);
    if (!rc) {
        memcpy((*out)->source, source, sizeof source);
        (*out)->other = state == KEYS_OTHER;
    }
    return rc;
}

static enum err_code writer_open(void *ctx, struct stage *s, struct err *e)
{
    struct writer *c = ctx;
    return keyed_open(&c->files, KEYS, s, e);
}

static enum err_code writer_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    struct writer *c = ctx;
    const struct item *it = in[0];
    const char *name = item_str(it, "clip", "");
    int64_t frames = item_i64(it, "n_frames", 0);
    int64_t index = item_i64(it, "sample", item_i64(it, "frame_index", -1));
    (void)s;
    (void)n; /* batches of one */
    enum err_code rc = check_name(name, e);
    if (rc)
        return rc;
    if (index < 0 || index >= frames)
        return err_set(e, ERR_DATA, "clip '%s': frame %lld of %lld", name,
                       (long long)index, (long long)frames);
    char *file = mem_printf("%s.mp4", name);
    char *path = file ? path_join(keys_root(c->files.keys), file) : NULL;
    struct clip *k = find_clip(c, name);
    if (!path)
        rc = err_set(e, ERR_NOMEM, "no memory for a path");
    else if (!k)
        rc = begin_clip(c, it, file, path, index == 0, &k, e);
    if (!rc && k)
        rc = take_frame(c, k, it, index, e);
    mem_free(file);
    mem_free(path);
    return rc;
}

static enum err_code writer_finish(void *ctx, struct stage *s, struct err *e)
{
    struct writer *c = ctx;
    int64_t missing = 0, broken = 0;
    enum err_code rc = OK;
    for (const struct clip *k = c->clips; k; k = k->next_clip) {
        if (k->broken) { /* each of its frames has failed, with the reason */
            broken++;
            continue;
        }
        if (missing++ == 0)
            rc = err_set(e, ERR_DATA,
                         "clip '%s' is incomplete: %lld of %lld frames came",
                         k->name, (long long)k->next + (long long)k->n_pending,
                         (long long)k->frames);
        log_warn("clip '%s' is not written: %lld of %lld frames came", k->name,
                 (long long)k->next + (long long)k->n_pending,
                 (long long)k->frames);
    }
    char more[120];
    stage_report(
        s, "clips: %lld written%s, %lld there already, %lld incomplete",
        (long long)c->files.written, keyed_anew(&c->files, more, sizeof more),
        (long long)c->files.there, (long long)missing);
    size_t others = 0;
    if (!rc)
        rc = keyed_others(&c->files, s, &others, e);
    keyed_tell(&c->files, s, "clips", others);
    if (broken || c->files.failed)
        stage_report(s,
                     "clips: %lld could not be written; %lld frames failed, "
                     "with their reasons in the dead letters",
                     (long long)broken, (long long)c->files.failed);
    return rc;
}

static void writer_close(void *ctx)
{
    struct writer *c = ctx;
    while (c->clips)
        clip_remove(c, c->clips);
    keyed_close(&c->files);
}

#define AT(member) offsetof(struct writer, member)

static const struct stage_param params[] = {
    {"root", PARAM_PATH, AT(files.root), NULL, 0, 0, NULL, NULL,
     "folder to write below; each clip becomes ROOT/CLIP.mp4"},
    {"fps", PARAM_FLOAT, AT(fps), "0", 0, 1000, NULL, "1/s",
     "constant frame rate; 0: the field fps, else 25"},
    {"crf", PARAM_INT, AT(crf), "18", 0, 51, NULL, NULL,
     "quality of H.264: 0 lossless, 18 looks the same, 51 worst"},
    {"overwrite", PARAM_BOOL, AT(overwrite), "no", 0, 0, NULL, NULL,
     "write clips that are there already"},
    {"max-open", PARAM_INT, AT(max_open), "16", 1, 256, NULL, NULL,
     "clips being written at a time"},
    {"buffer", PARAM_INT, AT(max_bytes), "512", 1, 1e6, NULL, "MiB",
     "frames that came before their turn, all clips together"},
    KEYED_OTHER(struct writer, files),
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static const struct stage_port in_ports[] = {
    {"in",
     "frame u8[H,W,3], clip str, frame_index i64, n_frames i64, sample i64?, "
     "fps f64?, path str?, source_hash str?",
     "frames in any order; a clip's are numbered 0..n_frames-1 by sample, or "
     "by frame_index where there is no sample"},
    {NULL, NULL, NULL},
};

static const struct stage_desc desc = {
    .name = "clip-writer",
    .help = "Writes frames to MP4 files, one a clip. A file appears when its "
            "last frame has come, whole or not at all; clips that are there "
            "already, of the same settings and source, are left alone.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .aside = "root overwrite max-open buffer other",
    .ctx_size = sizeof(struct writer),
    .open = writer_open,
    .transform = writer_transform,
    .failed = keyed_failed,
    .finish = writer_finish,
    .close = writer_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
