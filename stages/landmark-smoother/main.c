/* landmark-smoother: the points of each face of a clip, steadied over time. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "stages/landmark-smoother/clips.h"

enum { FACES_ONE, FACES_ALL };

#define MAX_OPEN 256
#define MIB ((size_t)1 << 20)

struct smoother {
    double min_cutoff, beta, d_cutoff, keep, jump;
    int64_t window, max_held;
    int faces;
    struct clips clips;
    struct face_seen *seen; /* of one frame */
    size_t cap;
};

static enum err_code smoother_open(void *ctx, struct stage *s, struct err *e)
{
    struct smoother *c = ctx;
    c->clips.window = (size_t)c->window;
    c->clips.max_bytes = (size_t)c->max_held * MIB;
    c->clips.max_open = MAX_OPEN;
    if (stage_replicas(s) > 1)
        return err_set(e, ERR_ARG,
                       "%d replicas: the frames of a clip must all come to one "
                       "process, and replicas share them out as they have "
                       "time; give this stage one (replicas of the stages "
                       "before it do no harm)",
                       stage_replicas(s));
    return OK;
}

static void smoother_close(void *ctx)
{
    struct smoother *c = ctx;
    clips_free(&c->clips);
    mem_free(c->seen);
    c->seen = NULL;
}

/* Where in which clip an item belongs. false: it does not say. */
static bool find_place(const struct smoother *c, const struct item *it,
                       struct clip_place *p)
{
    p->key = item_str(it, "path", item_str(it, "clip", NULL));
    p->frames = item_i64(it, "n_frames", 0);
    int64_t index = item_i64(it, "frame_index", -1);
    p->order = item_i64(it, "sample", index);
    /* `faces` is how many the frame shows; that all of them come here, only
     * the user can say. */
    bool all = c->faces == FACES_ALL;
    p->face = all ? item_i64(it, "face", 0) : 0;
    p->faces = all ? item_i64(it, "faces", 1) : 1;
    int64_t pts_ns = item_i64(it, "pts_ns", INT64_MIN);
    double fps = item_f64(it, "fps", 0);
    p->time_s = pts_ns != INT64_MIN ? (double)pts_ns * 1e-9
                : fps > 0           ? (double)index / fps
                                    : (double)NAN;
    return p->key && p->order >= 0;
}

static enum err_code check(const struct item *it, const struct clip_place *p,
                           struct err *e)
{
    const float *v = tensor_f32(item_tensor(it, "landmarks"));
    if (!isfinite(p->time_s) || p->order < 0)
        return err_set(e, ERR_DATA,
                       "a frame needs its place (sample, or frame_index) and "
                       "its time (pts_ns, or frame_index and fps)");
    if (p->face < 0 || p->faces < 1 || p->faces > FACE_TRACKS_MOST ||
        p->face >= p->faces)
        return err_set(e, ERR_DATA, "face %lld of %lld (at most %d)",
                       (long long)p->face, (long long)p->faces,
                       FACE_TRACKS_MOST);
    for (int i = 0; i < LANDMARKS * 3; i++)
        if (!isfinite(v[i]))
            return err_set(e, ERR_DATA, "landmark %d is not finite", i / 3);
    return OK;
}

static enum err_code make_tracks(const struct smoother *c, struct clip *k,
                                 struct err *e)
{
    const struct face_tracks_options o = {
        .filter = {c->min_cutoff, c->beta, c->d_cutoff},
        .keep_s = c->keep,
        .jump = c->jump};
    if (!k->tracks)
        k->tracks = face_tracks_new(&o, e);
    return k->tracks ? OK : ERR_NOMEM;
}

static enum err_code smooth(struct smoother *c, struct clip_frame *f,
                            struct err *e)
{
    if (!f->n)
        return OK; /* no face: that none is there shows in the next one's time
                    */
    enum err_code rc = make_tracks(c, f->clip, e);
    if (!rc && f->n > c->cap) {
        void *p = mem_resize(c->seen, f->n, sizeof *c->seen);
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory for the faces of a frame");
        c->seen = p;
        c->cap = f->n;
    }
    for (size_t i = 0; !rc && i < f->n; i++) {
        const struct tensor *t = item_tensor(f->here[i].item, "landmarks");
        memcpy(c->seen[i].points, t->data, sizeof c->seen[i].points);
    }
    return rc ? rc
              : face_tracks_step(f->clip->tracks, f->time_s, c->seen, f->n, e);
}

static enum err_code emit(const struct face_seen *seen, const struct item *from,
                          struct stage *s, struct err *e)
{
    const int64_t shape[2] = {LANDMARKS, 3};
    struct tensor *t = tensor_new(DT_F32, 2, shape, e);
    struct item *it = t ? item_child(from, e) : NULL;
    if (!it) {
        tensor_free(&t);
        return ERR_NOMEM;
    }
    memcpy(t->data, seen->points, sizeof seen->points);
    enum err_code rc = item_set_tensor(it, "landmarks", t, e);
    if (!rc)
        rc = item_set_i64(it, "track", seen->track, e);
    if (rc) {
        item_free(&it);
        return rc;
    }
    return stage_emit_late(s, NULL, it, e);
}

/* Give out all frames whose turn has come. Frames that are held have no input
 * left that could fail for them: what goes wrong here ends the run. */
static enum err_code give_out(struct smoother *c, struct stage *s, bool all,
                              struct err *e)
{
    enum err_code rc = OK;
    struct clip_frame *f;
    while (!rc && (f = clips_take(&c->clips, all))) {
        rc = smooth(c, f, e);
        for (size_t i = 0; !rc && i < f->n; i++)
            rc = emit(&c->seen[i], f->here[i].item, s, e);
        clip_frame_free(&f);
    }
    if (rc && rc != ERR_CANCEL)
        stage_break(s, rc, "%s", e->text);
    return rc;
}

static enum err_code smoother_transform(void *ctx, struct stage *s,
                                        struct item *const *in, size_t n,
                                        struct err *e)
{
    struct smoother *c = ctx;
    struct clip_place p;
    (void)n; /* batches of one */
    enum err_code rc = OK;
    bool gone = strcmp(stage_in_port(s), "gone") == 0;
    bool placed = find_place(c, in[0], &p);
    if (gone) {
        if (!placed)
            return OK; /* a clip that could not be read has no frames here */
        if (!item_get(in[0], "face"))
            p.faces = 0; /* no face was found, or none was looked for */
        /* Twice, or too late, is nothing to it. */
        if (clips_put(&c->clips, &p, NULL, e) == ERR_NOMEM)
            return ERR_NOMEM;
    } else {
        if (!p.key) /* of no clip: a picture is a clip of one frame */
            return err_set(e, ERR_DATA,
                           "a frame needs the name of its clip (path, or "
                           "clip)");
        struct err why = {0};
        rc = check(in[0], &p, &why);
        /* What fails leaves no gap that the others wait for. */
        enum err_code put =
            rc && !placed ? OK : clips_put(&c->clips, &p, rc ? NULL : in[0], e);
        if (rc)
            *e = why;
        else if (put == ERR_DATA && c->faces == FACES_ONE &&
                 item_i64(in[0], "faces", 1) > 1)
            rc = err_wrap(e, "one face a frame is wanted (faces: all takes "
                             "several)");
        else
            rc = put;
    }
    struct err out = {0};
    enum err_code given = give_out(c, s, false, &out);
    if (given)
        *e = out;
    return given ? given : rc;
}

static enum err_code smoother_finish(void *ctx, struct stage *s, struct err *e)
{
    struct smoother *c = ctx;
    enum err_code rc = give_out(c, s, true, e);
    if (!rc && c->clips.given_up)
        log_info("%lld frames or faces never came; connect their `failed` "
                 "ports to our port `gone`, and none is waited for",
                 (long long)c->clips.given_up);
    return rc;
}

static const struct stage_port in_ports[] = {
    {"in",
     "landmarks f32[68,3], path str?, clip str?, sample i64?, frame_index "
     "i64?, n_frames i64?, pts_ns i64?, fps f64?, face i64?, faces i64?",
     "Faces of a clip (path, else clip); the frame's place in it (sample, "
     "else frame_index), how many there are (n_frames), its time (pts_ns, "
     "else frame_index / fps); face 0 .. faces-1 of the frame, with faces: "
     "all."},
    {"gone",
     "path str?, clip str?, sample i64?, frame_index i64?, n_frames i64?, "
     "face i64?, faces i64?",
     "What the stages before have set aside (points.failed): tells that it "
     "will not come. Nothing is emitted for it."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out", "landmarks f32[68,3], track i64",
     "The same with smoothed points, in order within a clip; track: the same "
     "number for the same face of a clip, 0, 1, ... as they appear."},
    {NULL, NULL, NULL},
};

#define AT(m) offsetof(struct smoother, m)
static const struct stage_param params[] = {
    {"faces", PARAM_ENUM, AT(faces), "one", 0, 0, "one|all", NULL,
     "one: an item a frame, however many faces it shows (face-detector's "
     "policies largest and central); all: one for each of the `faces` of a "
     "frame (policy all)"},
    {"min-cutoff", PARAM_FLOAT, AT(min_cutoff), "0.5", 0.001, 1000, NULL, "Hz",
     "of points at rest; lower is steadier, and slower to settle"},
    {"beta", PARAM_FLOAT, AT(beta), "20", 0, 10000, NULL, "Hz s",
     "how the cutoff rises with the speed of a group of points (an eye, the "
     "jaw ...) in outer-eye distances a second; higher lags less: points stay "
     "behind by at most 1 / (2 pi beta) outer-eye distances"},
    {"derivative-cutoff", PARAM_FLOAT, AT(d_cutoff), "1", 0.001, 1000, NULL,
     "Hz", "of the speed itself"},
    {"keep", PARAM_FLOAT, AT(keep), "0.5", 0, 60, NULL, "s",
     "a face not seen for longer comes back as another track"},
    {"jump", PARAM_FLOAT, AT(jump), "0.5", 0.01, 100, NULL, NULL,
     "outer-eye distances; a face that lies farther, in the mean of its "
     "points, from where it was expected is another one, or of another shot"},
    {"window", PARAM_INT, AT(window), "128", 1, 100000, NULL, "frames",
     "of one clip are held at most for an earlier one to come; one that comes "
     "later than that fails"},
    {"max-held", PARAM_INT, AT(max_held), "512", 1, 1000000, NULL, "MiB",
     "of frames are held at most, over all clips"},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static const struct stage_desc desc = {
    .name = "landmark-smoother",
    .help = "Steadies the points of each face of a clip (One-Euro filter). "
            "Follows faces from frame to frame; a cut, or a face that is away "
            "for long, begins anew. Frames that replicas before it deliver "
            "out of order are put in order first, so the points do not depend "
            "on replicas or timing. It takes one replica itself.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .aside = "max-held",
    .ctx_size = sizeof(struct smoother),
    .open = smoother_open,
    .transform = smoother_transform,
    .finish = smoother_finish,
    .close = smoother_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
