/* Finding the 68 points of a face in a frame: where to look. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/geom/landmarks.h"
#include "stages/landmarker/face.h"

#define KEEP 3          /* places of one level that are worth a second look */
#define MAX_PLACES 1024 /* of one level; frames of any shape */
#define LOOK_SIDE 192   /* pixels of a searching look's crop */
#define SETTLED 0.12    /* change of a crop, in sides: what training varied */
#define SETTLED_UNSURE 0.05 /* the same while the face is not sure */
#define SURE_PASSES 3       /* further ones only while they gain */
#define MIN_CROP                                                               \
    72               /* frame pixels: faces whose points span less than        \
                        about 32 px are not looked for */
#define MIN_FINE 200 /* the same where a face has been found already */

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
    {1.0, 0.40, 0.0, false}, {1.5, 0.40, 0.15, false}, {0.67, 0.34, 0.1, false},
    {0.45, 0.42, 0.0, true}, {0.3, 0.47, 0.0, true},
};

struct place {
    struct crop crop;
    double away; /* of its centre from the frame's, in sides, squared */
    int index;
};

/* What a search carries along. */
struct search {
    struct finder *f;
    const struct tensor *frame;
    struct face best; /* best.score -1: none yet */
    int looks;
    struct place place[MAX_PLACES];
    struct face top[KEEP]; /* likely places of a level, best first */
    int n_top;
};

static bool usable(const double box[4])
{
    return box[2] - box[0] >= 4 && box[3] - box[1] >= 4;
}

/* Look again, at the crop that the points themselves ask for, until it stays
 * put. x becomes the best of these looks. */
static enum err_code refine(struct search *s, struct face *x, struct err *e)
{
    struct finder *f = s->f;
    struct face now = *x;
    for (int i = 0; i < f->passes; i++) {
        double box[4];
        landmark_box(&now.xy[0][0], 2, box);
        if (!usable(box))
            return OK;
        struct crop c = crop_of_box(f->crop, box);
        double still = now.score >= f->good ? SETTLED : SETTLED_UNSURE;
        if (i > 0 && face_crop_change(c, now.crop) < still)
            return OK;
        if (i >= SURE_PASSES && now.score < x->score)
            return OK;
        enum err_code r = face_look(f, s->frame, c, FAN_SIDE, &now, e);
        if (r)
            return r;
        s->looks++;
        memcpy(now.box, box, sizeof box);
        /* The first look's crop is arbitrary: a refined one always replaces
         * it unless it lost the face. */
        if (now.score > x->score * (i == 0 ? 0.9 : 1.0))
            *x = now;
        /* Once there is a face, a better one shows at the second look. */
        if (now.score < (s->best.score >= f->enough ? f->likely : f->floor))
            return OK;
    }
    return OK;
}

/* Keep the KEEP best looks of a level, best first. */
static void keep_best(struct search *s, const struct face *x)
{
    int at = s->n_top;
    while (at > 0 && s->top[at - 1].score < x->score)
        at--;
    if (at >= KEEP)
        return;
    int last = s->n_top < KEEP ? s->n_top++ : KEEP - 1;
    for (int i = last; i > at; i--)
        s->top[i] = s->top[i - 1];
    s->top[at] = *x;
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
    double n = fmin(ceil((hi - lo) / (l->step * side) - 1e-9) + 1, 32);
    *first = lo;
    *step = (hi - lo) / (n - 1);
    return (int)n;
}

static int nearer(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    if (p->away != q->away)
        return p->away < q->away ? -1 : 1;
    return p->index - q->index;
}

/* The places of a level, from the frame's middle outwards. */
static int list_places(struct search *s, const struct level *l)
{
    double h = (double)s->frame->shape[0], w = (double)s->frame->shape[1];
    double side = l->side * fmin(h, w), x0, dx, y0, dy;
    int nx = positions(w, side, l, &x0, &dx);
    int ny = positions(h, side, l, &y0, &dy);
    for (int i = 0; i < nx * ny; i++) {
        double x = x0 + i % nx * dx, y = y0 + i / nx * dy;
        double u = (x - w / 2) / side, v = (y - h / 2) / side;
        s->place[i] = (struct place){
            {x - side / 2, y - side / 2, side}, u * u + v * v, i};
    }
    qsort(s->place, (size_t)(nx * ny), sizeof s->place[0], nearer);
    return nx * ny;
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

/* Refine a place, and keep it if it beats what has been found so far by
 * enough: `bar` for the level's first. */
static enum err_code take(struct search *s, struct face *x, double *bar,
                          struct err *e)
{
    enum err_code r = OK;
    if (x->score >= s->f->floor)
        r = refine(s, x, e);
    if (!r && x->score > *bar && x->score > s->best.score) {
        s->best = *x;
        *bar = s->best.score;
    }
    return r;
}

static bool over(const struct search *s)
{
    return s->best.score >= s->f->good || s->looks >= s->f->max_looks;
}

/* Look at the places of one level; the likely ones are refined at once, and
 * in the end the best of the others. */
static enum err_code search_level(struct search *s, const struct level *l,
                                  struct err *e)
{
    struct finder *f = s->f;
    double bar = s->best.score < 0 ? -1
                 : l->fine         ? f->good
                                   : fmin(s->best.score + 0.03, f->good);
    int n = list_places(s, l);
    enum err_code r = OK;
    s->n_top = 0;
    for (int i = 0; i < n && !r && !over(s); i++) {
        struct face x = {.looks = 0};
        r = face_look(f, s->frame, s->place[i].crop, LOOK_SIDE, &x, e);
        if (r)
            break;
        landmark_box(&x.xy[0][0], 2, x.box);
        s->looks++;
        if (x.score >= f->likely)
            r = take(s, &x, &bar, e);
        else
            keep_best(s, &x);
    }
    for (int k = 0; k < s->n_top && !r; k++) {
        if (s->best.score >= 0 && (over(s) || s->top[k].score < f->floor))
            break;
        r = take(s, &s->top[k], &bar, e);
    }
    return r;
}

enum err_code face_search(struct finder *f, const struct tensor *frame,
                          struct face *out, struct err *e)
{
    struct search s = {.f = f, .frame = frame, .best = {.score = -1}};
    double smaller = fmin((double)frame->shape[0], (double)frame->shape[1]);
    size_t n_levels = is_flat(frame) ? 1 : sizeof levels / sizeof *levels;
    enum err_code r = OK;
    for (size_t i = 0; i < n_levels && !r && !over(&s); i++) {
        const struct level *l = &levels[i];
        double least = s.best.score >= f->enough ? MIN_FINE : MIN_CROP;
        if (i > 0 && l->side * smaller < least)
            break;
        r = search_level(&s, l, e);
    }
    *out = s.best;
    out->looks = s.looks;
    return r;
}
