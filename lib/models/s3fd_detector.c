/* S3FD from picture to faces: plans by picture size, pixels, suppression. */
#include "lib/models/s3fd_detector.h"

#include "lib/base/mem.h"

#define PLANS 4 /* sizes that are kept */
#define MAPS (2 * S3FD_LEVELS)

/* B, G, R: what the network's pixels are less. */
static const float mean_bgr[3] = {104, 117, 123};

/* The network for pictures of one size. */
struct plan {
    int height, width; /* of its input; 0: none */
    uint64_t used;     /* when it was, in pictures */
    struct nn_net *net;
    struct nn_shape shape[MAPS];
    float *in, *out[MAPS]; /* one block, in's */
};

struct s3fd_detector {
    struct nn_params *weights; /* lent by their file */
    struct s3fd_options options;
    int features; /* the network's width */
    uint64_t pictures;
    struct plan plan[PLANS];
    struct scored_box *faces; /* of the last picture */
};

static void plan_free(struct plan *p)
{
    nn_net_free(&p->net);
    mem_free(p->in);
    *p = (struct plan){0};
}

/* Memory for what goes in and comes out. */
static enum err_code plan_floats(struct plan *p, struct err *e)
{
    size_t in = 3 * (size_t)p->height * (size_t)p->width, all = in;
    for (int i = 0; i < MAPS; i++) {
        const struct nn_shape *s = &p->shape[i];
        all += (size_t)(s->c * s->h * s->w);
    }
    p->in = mem_array(all, sizeof *p->in);
    if (!p->in)
        return err_set(e, ERR_NOMEM, "no memory for S3FD at %dx%d", p->width,
                       p->height);
    float *next = p->in + in;
    for (int i = 0; i < MAPS; i++) {
        p->out[i] = next;
        next += p->shape[i].c * p->shape[i].h * p->shape[i].w;
    }
    return OK;
}

static enum err_code plan_new(struct s3fd_detector *d, struct plan *p,
                              const struct nn_net *like, struct err *e)
{
    struct s3fd_level level[S3FD_LEVELS];
    struct nn_graph *g = nn_graph_new(e);
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, d->weights);
    enum err_code r = OK;
    if (s3fd(&s, nn_input(g, 3, p->height, p->width), d->features, level) < 0)
        r = nn_graph_status(g, e);
    for (int i = 0; i < S3FD_LEVELS && !r; i++) {
        nn_output(g, level[i].score);
        nn_output(g, level[i].box);
        p->shape[2 * i] = nn_graph_shape(g, level[i].score);
        p->shape[2 * i + 1] = nn_graph_shape(g, level[i].box);
    }
    const struct s3fd_options *o = &d->options;
    struct nn_options n = {.path = o->path,
                           .mode = o->mode,
                           .bf16 = o->bf16,
                           .fast_bytes = o->fast_bytes,
                           .like = like};
    if (!r)
        r = nn_plan(g, &n, &p->net, e);
    if (!r)
        r = plan_floats(p, e);
    if (r)
        plan_free(p);
    nn_graph_free(&g);
    return r;
}

/* The plan for pictures of this size, in place of the one that was not used
 * for longest. */
static enum err_code plan_of(struct s3fd_detector *d, int height, int width,
                             struct plan **out, struct err *e)
{
    struct plan *oldest = &d->plan[0], *latest = &d->plan[0];
    if (height < S3FD_LEAST_SIDE)
        height = S3FD_LEAST_SIDE;
    if (width < S3FD_LEAST_SIDE)
        width = S3FD_LEAST_SIDE;
    for (int i = 0; i < PLANS; i++) {
        struct plan *p = *out = &d->plan[i];
        if (p->net && p->height == height && p->width == width)
            return OK;
        if (p->used < oldest->used)
            oldest = p;
        if (p->used > latest->used)
            latest = p;
    }
    /* latest is the oldest only before the first picture: then it goes. */
    plan_free(oldest);
    oldest->height = height;
    oldest->width = width;
    *out = oldest;
    return plan_new(d, oldest, latest->net, e);
}

static bool in_range(double v, double lo)
{
    return v >= lo && v <= 1;
}

enum err_code s3fd_detector_new(struct safetensors *weights,
                                const struct s3fd_options *o,
                                struct s3fd_detector **out, struct err *e)
{
    *out = NULL;
    struct s3fd_options full = *o;
    if (full.keep == 0)
        full.keep = S3FD_KEEP;
    if (full.overlap == 0)
        full.overlap = S3FD_OVERLAP;
    if (!in_range(full.keep, S3FD_CANDIDATE) || !in_range(full.overlap, 0))
        return err_set(e, ERR_ARG, "S3FD: keep %g, overlap %g", full.keep,
                       full.overlap);
    struct s3fd_detector *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for S3FD");
    d->options = full;
    struct plan *p = NULL;
    enum err_code r = s3fd_read(weights, "", &d->features, e);
    if (!r) {
        d->weights = nn_params_new(0, e);
        r = d->weights ? OK : ERR_NOMEM;
    }
    if (!r) {
        /* The least plan finds what is wrong with the file. */
        nn_params_lend(d->weights, weights, NULL);
        r = plan_of(d, S3FD_LEAST_SIDE, S3FD_LEAST_SIDE, &p, e);
        nn_params_lend(d->weights, NULL, NULL);
    }
    if (r)
        s3fd_detector_free(&d);
    *out = d;
    return r;
}

void s3fd_detector_free(struct s3fd_detector **d)
{
    if (!d || !*d)
        return;
    for (int i = 0; i < PLANS; i++)
        plan_free(&(*d)->plan[i]);
    nn_params_free(&(*d)->weights);
    mem_free((*d)->faces);
    mem_free(*d);
    *d = NULL;
}

/* RGB bytes to B, G, R planes less their means; 0, the mean colour, beyond the
 * picture. */
static void fill(struct plan *p, const uint8_t *rgb, int height, int width)
{
    size_t plane = (size_t)p->height * (size_t)p->width;
    for (int c = 0; c < 3; c++) {
        float *to = p->in + (size_t)c * plane;
        for (int y = 0; y < p->height; y++, to += p->width) {
            int have = y < height ? width : 0;
            const uint8_t *row = rgb + (size_t)y * (size_t)width * 3 + 2 - c;
            for (int x = 0; x < have; x++)
                to[x] = (float)row[3 * x] - mean_bgr[c];
            for (int x = have; x < p->width; x++)
                to[x] = 0;
        }
    }
}

enum err_code s3fd_detect(struct s3fd_detector *d, const uint8_t *rgb,
                          int height, int width,
                          const struct scored_box **faces, size_t *n,
                          struct err *e)
{
    *faces = NULL;
    *n = 0;
    if (height < 1 || width < 1 || height > S3FD_MAX_PIXELS / width)
        return err_set(e, ERR_ARG, "S3FD: a picture of %dx%d (up to %d pixels)",
                       width, height, S3FD_MAX_PIXELS);
    struct plan *p = NULL;
    enum err_code r = plan_of(d, height, width, &p, e);
    if (r)
        return r;
    p->used = ++d->pictures;
    fill(p, rgb, height, width);
    const float *in[1] = {p->in};
    r = nn_run(p->net, in, p->out, e);
    if (r)
        return r;
    struct s3fd_maps level[S3FD_LEVELS];
    for (int i = 0; i < S3FD_LEVELS; i++)
        level[i] = (struct s3fd_maps){.score = p->out[2 * i],
                                      .box = p->out[2 * i + 1],
                                      .height = p->shape[2 * i].h,
                                      .width = p->shape[2 * i].w};
    mem_free(d->faces);
    /* FA suppresses among all candidates and drops the weak ones afterwards. A
     * box is suppressed by stronger ones alone, so that it is the same to
     * leave the weak ones out at once. */
    r = s3fd_decode(level, d->options.keep, &d->faces, n, e);
    if (!r)
        r = boxes_sort(d->faces, *n, e);
    *n = r ? 0 : boxes_nms(d->faces, *n, d->options.overlap, BOXES_PIXELS);
    *faces = r ? NULL : d->faces;
    return r;
}
