/* Heads as a landmarker sees them: random identities, expressions, poses and
 * cameras of a linear head, the 68 points as annotators mark them in the
 * picture, and the truth. For training. Test: tests/test_head_sample.c */
#ifndef FACET_GEOM_HEAD_SAMPLE_H
#define FACET_GEOM_HEAD_SAMPLE_H

#include "lib/base/rng.h"
#include "lib/geom/head_model.h"

struct head_range {
    double yaw, pitch, roll; /* degrees: most poses lie within; tails beyond */
    double expression;       /* 0 neutral .. 1 lively */
    double noise; /* of a landmarker, 1 as seen with ours; 0 exact points */
    double pull;  /* how much it draws turned faces to frontal ones, 1 as seen
                     with ours; of each head a random part, or more */
    double
        nearest; /* closest camera, in outer-eye distances; 0: all parallel */
};

struct head_sample {
    float points[LANDMARKS][2]; /* px, as marked: with noise, jaw points on the
                                   visible contour */
    float clean[LANDMARKS][2];  /* the same without noise */
    float truth[LANDMARKS][3];  /* px: the points themselves in the picture; z
                                   as render.h */
    float head[LANDMARKS][3];   /* the same in the head's frame and unit */
    double pose_deg[3];         /* rx, ry, rz */
    double scale_px;            /* pixels a head unit at the face's distance */
    double near;                /* head unit over the camera's distance */
    double centre_px[2];        /* where the head's origin is */
};

struct head_sampler;

/* n surface nodes (may be 0) are sampled with every head. The model may be
 * freed afterwards; it must be in the project's frame (head_model_align). */
enum err_code head_sampler_new(const struct head_model *m,
                               const struct head_node *node, int n,
                               struct head_sampler **out,
                               struct err *e) MUST_USE;
void head_sampler_free(struct head_sampler **s);
int head_sampler_nodes(const struct head_sampler *s);
/* All that is random comes from r. Every head is scaled so that its neutral
 * points 17-67 are as large as the mean head's: size cannot be seen in a
 * picture. surface f32[nodes][3], head's frame, may be NULL. Not for two
 * threads at once. */
void head_sampler_draw(struct head_sampler *s, struct rng *r,
                       const struct head_range *range, struct head_sample *out,
                       float (*surface)[3]);
/* The surface of a sample, f32[n][3] of the head's frame, in its picture: as
 * the true points. */
void head_sample_see(const struct head_sample *h, const float (*surface)[3],
                     int n, float (*out)[3]);
/* The head of these weights (modes in the model's order; NULL: zeros), posed
 * and marked without noise: for tests and measurements. */
void head_sampler_pose(struct head_sampler *s, const float *identity,
                       const float *expression, struct head_sample *io,
                       float (*surface)[3]);

/* ---- Parts of it (head_jaw.c, head_noise.c, head_mood.c) ---- */

/* A jaw point slides on the surface: these are the places at its height from
 * itself (first) towards the middle of the face, as far as cheek and chin go.
 * Of a head seen from the side the one farthest out is the visible contour,
 * where the normal is perpendicular to the view; while the jaw point itself is
 * not turned away, that is the jaw point ("landmark marching": Zhu et al.,
 * High-fidelity pose and expression normalization, CVPR 2015, 3.2). */
#define HEAD_JAW 17
#define HEAD_JAW_MAX 24
struct head_jaw {
    int n[HEAD_JAW];
    struct head_node node[HEAD_JAW][HEAD_JAW_MAX];
};
enum err_code head_jaw_find(const struct head_model *m, struct head_jaw *out,
                            struct err *e) MUST_USE;
/* Of n places of jaw point i, projected to xy, the one that is marked; up is
 * the picture's direction of the head's y axis. */
int head_jaw_contour(int i, const float (*xy)[2], int n, const double up[2]);

/* Add a landmarker's errors to points of a head with this unit in pixels:
 * whole groups, neighbours together, single points; along the jaw most. */
void head_noise_add(struct rng *r, double level, double unit_px, double ry_deg,
                    float (*points)[2]);

/* A landmarker's habit: points of the side that is turned away are drawn
 * outwards, the nose is drawn back. up as above. */
void head_noise_pull(struct rng *r, double amount, double unit_px,
                     double ry_deg, const double up[2], float (*points)[2]);

/* Which expressions there are and how they go together. */
struct head_mood {
    int n;
    struct head_mood_part {
        float often, most; /* how often it is on, up to what */
        int kind;
        int left; /* of a right one: its left, else -1 */
    } part[HEAD_MODEL_MAX_MODES];
};
void head_mood_learn(const struct head_model *m, struct head_mood *out);
void head_mood_draw(const struct head_mood *m, struct rng *r, double level,
                    float *weight);

#endif
