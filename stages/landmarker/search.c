/* Finding the 68 points of a face in a frame: where to look. */
#include <math.h>
#include <string.h>

#include "lib/geom/landmarks.h"
#include "stages/landmarker/face.h"

#define KEEP 3 /* places of one level that are worth a second look */

/* A level of the search: squares of `side` x the frame's smaller side, at
 * most `step` x their own side apart, reaching out of the frame by up to
 * `over` x their side. Fine levels look at many places, so that chance finds
 * something face-like among them: what they find counts only when it is sure
 * (finder.good). */
struct level {
    double side, step, over;
    bool fine;
};

/* Coarse to fine. A crop fits a face when it is 2.3 times its landmark box;
 * FAN still gathers its points near a face half or twice as large, and the
 * refinement does the rest, so that steps of 1.5 in size are enough. */
static const struct level levels[] = {
    {1.0, 0.35, 0.0, false}, {1.5, 0.40, 0.17, false},
    {0.67, 0.34, 0.1, false}, {0.45, 0.4, 0.0, true},
    {0.3, 0.45, 0.0, true},
};

/* How much two crops differ, in sides. */
static double change(struct crop a, struct crop b)
{
    double dx = a.x0 + a.side / 2 - b.x0 - b.side / 2;
    double dy = a.y0 + a.side / 2 - b.y0 - b.side / 2;
    return fmax(hypot(dx, dy), fabs(a.side - b.side)) / fmin(a.side, b.side);
}

static bool usable(const double box[4])
{
    return box[2] - box[0] >= 4 && box[3] - box[1] >= 4;
}

/* Look again, at the crop that the points themselves ask for, until it stays
 * put. f keeps the best. */
static enum err_code refine(struct finder *f, const struct tensor *frame,
                            struct face *best, struct err *e)
{
    struct face now = *best;
    for (int i = 0; i < f->passes; i++) {
        double box[4];
        landmark_box(&now.xy[0][0], 2, box);
        if (!usable(box))
            return OK;
        struct crop c = crop_of_box(f->crop, box);
        double d = change(c, now.crop);
        if (i > 0 && d < 0.08)
            return OK; /* within what training varied */
        int looks = best->looks;
        enum err_code r = face_look(f, frame, c, &now, e);
        if (r)
            return r;
        memcpy(now.box, box, sizeof box);
        /* The first look's crop is arbitrary: a refined one always replaces
         * it unless it lost the face. */
        if (now.score > best->score * (i == 0 ? 0.9 : 1.0))
            *best = now;
        best->looks = looks + 1;
        if (now.score < f->floor)
            return OK;
    }
    return OK;
}

/* Keep the KEEP best looks of a level, best first. */
static void keep_best(struct face *top, int *n, const struct face *x)
{
    int at = *n;
    while (at > 0 && top[at - 1].score < x->score)
        at--;
    if (at >= KEEP)
        return;
    int last = *n < KEEP ? (*n)++ : KEEP - 1;
    for (int i = last; i > at; i--)
        top[i] = top[i - 1];
    top[at] = *x;
}

/* Positions along one axis: the first one's centre and the distance. */
static int positions(double length, double side, const struct level *l,
                     double *first, double *step)
{
    double lo = side * (0.5 - l->over), hi = length - lo;
    if (hi <= lo) {
        *first = length / 2;
        *step = 0;
        return 1;
    }
    int n = (int)ceil((hi - lo) / (l->step * side) - 1e-9) + 1;
    *first = lo;
    *step = (hi - lo) / (n - 1);
    return n;
}

static enum err_code search_level(struct finder *f,
                                  const struct tensor *frame,
                                  const struct level *l, struct face *top,
                                  int *n, int *looks, struct err *e)
{
    double h = (double)frame->shape[0], w = (double)frame->shape[1];
    double side = l->side * fmin(h, w), x0, dx, y0, dy;
    int nx = positions(w, side, l, &x0, &dx);
    int ny = positions(h, side, l, &y0, &dy);
    *n = 0;
    for (int i = 0; i < nx * ny; i++) {
        struct face x = {.looks = 0};
        struct crop c = {x0 + i % nx * dx - side / 2,
                         y0 + i / nx * dy - side / 2, side};
        enum err_code r = face_look(f, frame, c, &x, e);
        if (r)
            return r;
        landmark_box(&x.xy[0][0], 2, x.box);
        ++*looks;
        keep_best(top, n, &x);
    }
    return OK;
}

/* Nothing but one tone (every 7th byte looked at): no need to search. */
static bool is_flat(const struct tensor *frame)
{
    const uint8_t *p = tensor_u8(frame);
    uint8_t lo = 255, hi = 0;
    for (size_t i = 0; i < frame->bytes; i += 7) {
        lo = p[i] < lo ? p[i] : lo;
        hi = p[i] > hi ? p[i] : hi;
    }
    return hi - lo < 16;
}

/* Refine the best looks of one level into best. */
static enum err_code take_level(struct finder *f, const struct tensor *frame,
                                const struct level *l, struct face *top,
                                int n, int *looks, struct face *best,
                                struct err *e)
{
    double bar = !best->looks ? -1
                 : l->fine    ? f->good
                              : best->score + 0.03;
    for (int k = 0; k < n && best->score < f->good; k++) {
        if (best->looks && top[k].score < f->floor)
            break;
        int before = top[k].looks;
        if (top[k].score >= f->floor) {
            enum err_code r = refine(f, frame, &top[k], e);
            if (r)
                return r;
        }
        *looks += top[k].looks - before;
        if (top[k].score > bar && top[k].score > best->score) {
            *best = top[k];
            bar = best->score;
        }
    }
    return OK;
}

enum err_code face_search(struct finder *f, const struct tensor *frame,
                          struct face *out, struct err *e)
{
    struct face best = {.score = -1};
    int looks = 0;
    double smaller = fmin((double)frame->shape[0], (double)frame->shape[1]);
    size_t n_levels = is_flat(frame) ? 1 : sizeof levels / sizeof *levels;
    for (size_t i = 0; i < n_levels && best.score < f->good; i++) {
        const struct level *l = &levels[i];
        if (i > 0 && l->side * smaller < 48)
            break;
        struct face top[KEEP];
        int n;
        enum err_code r = search_level(f, frame, l, top, &n, &looks, e);
        if (!r)
            r = take_level(f, frame, l, top, n, &looks, &best, e);
        if (r)
            return r;
    }
    *out = best;
    out->looks = looks;
    return OK;
}
