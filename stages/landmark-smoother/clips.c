/* Frames of clips back in their order. */
#include "stages/landmark-smoother/clips.h"

#include <string.h>

#include "lib/base/mem.h"

void clip_frame_free(struct clip_frame **f)
{
    if (!*f)
        return;
    for (size_t i = 0; i < (*f)->n; i++)
        item_free(&(*f)->here[i].item);
    mem_free((*f)->here);
    mem_free(*f);
    *f = NULL;
}

static void clip_remove(struct clips *c, struct clip *k)
{
    struct clip **p = &c->first;
    while (*p != k)
        p = &(*p)->next_clip;
    *p = k->next_clip;
    c->open--;
    c->bytes -= k->bytes;
    while (k->first) {
        struct clip_frame *f = k->first;
        k->first = f->next;
        clip_frame_free(&f);
    }
    face_tracks_free(&k->tracks);
    mem_free(k->key);
    mem_free(k);
}

void clips_free(struct clips *c)
{
    while (c->first)
        clip_remove(c, c->first);
}

/* Clips stay known when they are through, so that what comes late or twice is
 * seen; the one that has rested longest makes room. Frames of more clips than
 * max_open would have to come mixed for that to cut one short. */
static void make_room(struct clips *c)
{
    struct clip *rests = NULL;
    for (struct clip *k = c->first; k; k = k->next_clip)
        if (!k->first && (!rests || k->touched < rests->touched))
            rests = k;
    if (c->open >= c->max_open && rests)
        clip_remove(c, rests);
}

static struct clip *find_clip(struct clips *c, const char *key, struct err *e)
{
    struct clip *k = c->first;
    while (k && strcmp(k->key, key) != 0)
        k = k->next_clip;
    if (k)
        return k;
    make_room(c);
    k = mem_calloc(1, sizeof *k);
    char *name = mem_strdup(key);
    if (!k || !name) {
        mem_free(k);
        mem_free(name);
        err_set(e, ERR_NOMEM, "no memory for clip '%s'", key);
        return NULL;
    }
    k->key = name;
    k->next_clip = c->first;
    c->first = k;
    c->open++;
    return k;
}

/* The waiting frame of that place, made if there is none. */
static struct clip_frame *find_frame(struct clip *k, const struct clip_place *p,
                                     struct err *e)
{
    struct clip_frame **at = &k->first;
    while (*at && (*at)->order < p->order)
        at = &(*at)->next;
    if (*at && (*at)->order == p->order)
        return *at;
    struct clip_frame *f = mem_calloc(1, sizeof *f);
    if (!f) {
        err_set(e, ERR_NOMEM, "no memory for a frame of clip '%s'", k->key);
        return NULL;
    }
    f->order = p->order;
    f->faces = p->faces;
    f->clip = k;
    f->next = *at;
    *at = f;
    k->n++;
    return f;
}

/* Room for one more face, at the place of its number. */
static struct face_here *add_face(struct clip_frame *f, int64_t face,
                                  struct err *e)
{
    size_t at = 0;
    while (at < f->n && f->here[at].face < face)
        at++;
    if (at < f->n && f->here[at].face == face) {
        err_set(e, ERR_DATA, "face %lld of frame %lld of '%s' comes twice",
                (long long)face, (long long)f->order, f->clip->key);
        return NULL;
    }
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 2;
        void *p = mem_resize(f->here, cap, sizeof *f->here);
        if (!p) {
            err_set(e, ERR_NOMEM, "no memory for a face");
            return NULL;
        }
        f->here = p;
        f->cap = cap;
    }
    memmove(f->here + at + 1, f->here + at, (f->n - at) * sizeof *f->here);
    f->here[at] = (struct face_here){face, NULL};
    f->n++;
    return &f->here[at];
}

enum err_code clips_put(struct clips *c, const struct clip_place *p,
                        const struct item *it, struct err *e)
{
    struct clip *k = find_clip(c, p->key, e);
    if (!k)
        return ERR_NOMEM;
    k->touched = ++c->clock;
    if (p->frames > k->frames)
        k->frames = p->frames;
    if (p->order < k->next)
        return err_set(e, ERR_DATA,
                       "frame %lld of '%s' comes twice or too late: frame %lld "
                       "is out already (see window and max-held)",
                       (long long)p->order, k->key, (long long)k->next - 1);
    struct clip_frame *f = find_frame(k, p, e);
    if (!f)
        return ERR_NOMEM;
    if (p->faces <= 0 && f->n == 0)
        f->faces = 0;
    if (p->faces <= 0)
        return OK;
    struct face_here *h = add_face(f, p->face, e);
    if (!h)
        return e->code;
    if (p->faces > f->faces)
        f->faces = p->faces;
    h->item = it ? item_copy(it, e) : NULL;
    if (it && !h->item)
        return ERR_NOMEM; /* its place is then that of one set aside */
    if (!it)
        return OK;
    f->time_s = p->time_s;
    size_t bytes = item_bytes(it);
    f->bytes += bytes;
    k->bytes += bytes;
    c->bytes += bytes;
    return OK;
}

static bool due(const struct clip_frame *f)
{
    return f->order == f->clip->next && (int64_t)f->n >= f->faces;
}

static struct clip *choose(const struct clips *c, bool all)
{
    struct clip *fat = NULL;
    for (struct clip *k = c->first; k; k = k->next_clip) {
        if (k->first && (all || due(k->first) || k->n > c->window))
            return k;
        if (k->first && (!fat || k->bytes > fat->bytes))
            fat = k;
    }
    return c->bytes > c->max_bytes ? fat : NULL;
}

struct clip_frame *clips_take(struct clips *c, bool all)
{
    for (struct clip *k = c->first; k; k = k->next_clip)
        if (k->frames > 0 && k->next >= k->frames)
            face_tracks_free(&k->tracks); /* it is through */
    struct clip *k = choose(c, all);
    if (!k)
        return NULL;
    struct clip_frame *f = k->first;
    k->first = f->next;
    f->next = NULL;
    c->given_up += f->order - k->next;
    k->next = f->order + 1;
    k->n--;
    k->bytes -= f->bytes;
    c->bytes -= f->bytes;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (f->here[i].item)
            f->here[n++] = f->here[i];
    c->given_up += f->faces > (int64_t)f->n ? f->faces - (int64_t)f->n : 0;
    f->n = n;
    return f;
}
