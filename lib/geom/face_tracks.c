/* The faces of a clip followed from frame to frame, each with its filter. */
#include "lib/geom/face_tracks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define MAX_SCALE 1.5
/* Speed is trusted for so long; beyond, a face stays where it would be then. */
#define PREDICT_S 0.2

struct track {
    int64_t id;
    double seen_s, size;
    float last[LANDMARKS][3]; /* as found, not smoothed */
    struct one_euro_face filter;
    bool taken; /* in this frame */
};

struct face_tracks {
    struct face_tracks_options o;
    struct track *track;
    size_t n, cap;
    int64_t next_id;
    double time_s;
    bool begun;
};

/* A face and a track that may be the same. */
struct pair {
    double distance;
    size_t face, track;
};

struct face_tracks *face_tracks_new(const struct face_tracks_options *o,
                                    struct err *e)
{
    struct face_tracks *t = mem_calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_NOMEM, "no memory for the tracks of a clip");
        return NULL;
    }
    t->o = *o;
    return t;
}

void face_tracks_free(struct face_tracks **t)
{
    if (!*t)
        return;
    mem_free((*t)->track);
    mem_free(*t);
    *t = NULL;
}

double face_size(float points[LANDMARKS][3])
{
    double box[4];
    landmark_box(points[0], 3, box);
    double side = fmax(box[2] - box[0], box[3] - box[1]);
    return fmax(fmax(landmark_outer_eye(points[0], 3), 0.55 * side), 1e-3);
}

static double mean_distance(const struct track *k, float points[LANDMARKS][3],
                            double dt)
{
    double ahead = fmin(dt, PREDICT_S), v[2] = {0, 0}, sum = 0;
    /* The whole face's speed: single points are noisy, and a mouth that opens
     * is no motion of the face. */
    for (int i = 0; i < LANDMARKS; i++)
        for (int c = 0; c < 2; c++)
            v[c] += k->filter.v[i][c] / LANDMARKS;
    for (int i = 0; i < LANDMARKS; i++)
        sum +=
            hypot((double)points[i][0] - (double)k->last[i][0] - ahead * v[0],
                  (double)points[i][1] - (double)k->last[i][1] - ahead * v[1]);
    return sum / LANDMARKS;
}

static int by_distance(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->distance < y->distance || x->distance > y->distance)
        return x->distance < y->distance ? -1 : 1;
    if (x->face != y->face)
        return x->face < y->face ? -1 : 1;
    return x->track < y->track ? -1 : x->track > y->track;
}

/* All pairs that pass, nearest first. */
static size_t find_pairs(const struct face_tracks *t, double time_s,
                         struct face_seen *face, size_t n, struct pair *out)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        double size = face_size(face[i].points);
        for (size_t k = 0; k < t->n; k++) {
            const struct track *w = &t->track[k];
            double dt = time_s - w->seen_s, ratio = size / w->size;
            if (ratio > MAX_SCALE || ratio < 1 / MAX_SCALE)
                continue;
            double d =
                mean_distance(w, face[i].points, dt) / ((size + w->size) / 2);
            double late = t->o.keep_s > 0 ? dt / t->o.keep_s : 0;
            if (d <= t->o.jump * (1 + fmin(late, 1)))
                out[m++] = (struct pair){d, i, k};
        }
    }
    qsort(out, m, sizeof *out, by_distance);
    return m;
}

/* Those not seen for too long go; time that runs back ends all. */
static void forget_old(struct face_tracks *t, double time_s)
{
    size_t kept = 0;
    bool back = t->begun && time_s < t->time_s;
    for (size_t k = 0; k < t->n; k++)
        if (!back && time_s - t->track[k].seen_s <= t->o.keep_s) {
            if (kept != k)
                t->track[kept] = t->track[k];
            t->track[kept++].taken = false;
        }
    t->n = kept;
}

static void follow(const struct face_tracks *t, struct track *k, double time_s,
                   struct face_seen *face)
{
    double dt = k->filter.begun ? time_s - k->seen_s : 0;
    k->size = face_size(face->points);
    k->seen_s = time_s;
    k->taken = true;
    memcpy(k->last, face->points, sizeof k->last);
    one_euro_step(&t->o.filter, &k->filter, dt, k->size, face->points,
                  face->points);
    face->track = k->id;
}

static enum err_code check(const struct face_seen *face, size_t n,
                           struct err *e)
{
    if (n > FACE_TRACKS_MOST)
        return err_set(e, ERR_DATA, "%zu faces in one frame, %d at most", n,
                       FACE_TRACKS_MOST);
    for (size_t i = 0; i < n; i++)
        for (int p = 0; p < LANDMARKS; p++)
            for (int c = 0; c < 3; c++)
                if (!isfinite(face[i].points[p][c]))
                    return err_set(e, ERR_DATA,
                                   "face %zu: landmark %d is not finite", i, p);
    return OK;
}

static enum err_code make_room(struct face_tracks *t, size_t n, struct err *e)
{
    if (t->n + n <= t->cap)
        return OK;
    void *p = mem_resize(t->track, t->n + n, sizeof *t->track);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for the tracks of a clip");
    t->track = p;
    t->cap = t->n + n;
    return OK;
}

enum err_code face_tracks_step(struct face_tracks *t, double time_s,
                               struct face_seen *face, size_t n, struct err *e)
{
    enum err_code rc = check(face, n, e);
    if (!rc && !isfinite(time_s))
        rc = err_set(e, ERR_DATA, "a frame's time is not finite");
    if (!rc)
        rc = make_room(t, n, e);
    if (rc)
        return rc;
    struct pair *pair = NULL;
    if (n && t->n) {
        pair = mem_array(n * t->n, sizeof *pair);
        if (!pair)
            return err_set(e, ERR_NOMEM, "no memory to match faces");
    }
    forget_old(t, time_s);
    t->time_s = time_s;
    t->begun = true;
    for (size_t i = 0; i < n; i++)
        face[i].track = -1;
    size_t m = pair ? find_pairs(t, time_s, face, n, pair) : 0;
    for (size_t j = 0; j < m; j++) {
        struct track *k = &t->track[pair[j].track];
        if (!k->taken && face[pair[j].face].track < 0)
            follow(t, k, time_s, &face[pair[j].face]);
    }
    mem_free(pair);
    for (size_t i = 0; i < n; i++)
        if (face[i].track < 0) {
            struct track *k = &t->track[t->n++];
            memset(k, 0, sizeof *k);
            k->id = t->next_id++;
            follow(t, k, time_s, &face[i]);
        }
    return OK;
}
