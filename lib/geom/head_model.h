/* A linear head: mean + identity modes + expression modes over one mesh. What
 * training data are drawn from: the project's own head, or a model read from a
 * file (by stages/head-model-sampler). Test: tests/test_head_model.c */
#ifndef FACET_GEOM_HEAD_MODEL_H
#define FACET_GEOM_HEAD_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/geom/landmarks.h"

enum head_model_part { HEAD_MODEL_FACE, HEAD_MODEL_NECK, HEAD_MODEL_BALL };
#define HEAD_MODEL_MAX_MODES 256

/* Axes and winding as head.h. Vertex v of a head is
 * mean[v] + sum identity[k][v] a_k + sum expression[k][v] b_k with a_k drawn
 * from N(0,1) and b_k in [0,1]. */
struct head_model {
    int n_vertices, n_triangles, n_identity, n_expression;
    float (*mean)[3];
    float *identity;   /* [n_identity][n_vertices][3] */
    float *expression; /* [n_expression][n_vertices][3] */
    int32_t (*triangle)[3];
    uint8_t *part; /* enum head_model_part of each triangle */
    int32_t landmark[LANDMARKS];
    char **name; /* of the expressions; owned texts, none NULL when checked */
};

/* Everything zeroed, to be filled in. ERR_ARG for sizes that are none. */
enum err_code head_model_new(int n_vertices, int n_triangles, int n_identity,
                             int n_expression, struct head_model **out,
                             struct err *e) MUST_USE;
void head_model_free(struct head_model **m);
/* Is what an untrusted file gave sound: vertex numbers in range, numbers
 * finite, no name missing? ERR_DATA says what is not. */
enum err_code head_model_check(const struct head_model *m,
                               struct err *e) MUST_USE;
/* Move the whole model into the frame and unit of the project's own head, by
 * the similarity that takes the 68 mean points nearest to its own. */
enum err_code head_model_align(struct head_model *m, struct err *e) MUST_USE;
/* The project's own head as such a model. Its lids, which slide over the
 * eyeball, move along straight lines here. */
enum err_code head_model_own(struct head_model **out, struct err *e) MUST_USE;
/* The number of the expression of this name (case and '_' do not count), -1 if
 * there is none. */
int head_model_expression(const struct head_model *m, const char *name);

/* A place on a model: a weighted sum of vertices, and an offset. */
#define HEAD_NODE_MAX 6
struct head_node {
    int n;
    int32_t vertex[HEAD_NODE_MAX];
    float weight[HEAD_NODE_MAX];
    float offset_z;
};
/* Where node n lies on vertices f32[][3]. */
void head_node_at(const struct head_node *n, const float *vertex, float out[3]);

/* Where a ray from `from` leaves the mesh for good: the hit farthest along
 * `dir`, among triangles whose part is in the set `parts` (bit 1 << part).
 * False if it meets none. */
bool head_model_ray(const struct head_model *m, const double from[3],
                    const double dir[3], unsigned parts, struct head_node *out);

#endif
