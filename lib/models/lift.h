/* The lifting network: 68 picture points to true 3-D points, pose and the
 * head's whole surface. Ours; residual blocks as Martinez et al., "A simple yet
 * effective baseline for 3d human pose estimation", ICCV 2017. */
#ifndef FACET_MODELS_LIFT_H
#define FACET_MODELS_LIFT_H

#include "lib/nn/layer.h"
#include "lib/nn/safetensors.h"

#define LIFT_POINTS 68
#define LIFT_MAX_BLOCKS 16
#define LIFT_MAX_WIDTH 4096
#define LIFT_MAX_CODES 1024
#define LIFT_MAX_NODES 5000

struct lift_spec {
    int width, blocks;
    int codes; /* numbers that a head's shape is told by */
    int nodes; /* of the surface; 0: none */
};

/* Node numbers of what a lifting network tells, in a frame that the points
 * were brought into (lib/geom/face_frame.h). */
struct lift_out {
    int points;   /* [68*3]: x, y and depth of the true points */
    int rotation; /* [9]: of the head to the frame, rows; not quite one */
    int near;     /* [1]: outer-eye distance over the camera's distance */
    int code;     /* [codes] */
    int head;     /* [(68+nodes)*3]: points and surface in the head's frame */
};

/* x [136,1,1]: the points' x, y. Fails as fan_net does. Test:
 * tests/test_lift.c */
bool lift_net(const struct nn_scope *s, int x, const struct lift_spec *spec,
              struct lift_out *out);
/* The sizes from a file's shapes. ERR_DATA if it is none of these. */
enum err_code lift_read(const struct safetensors *w, struct lift_spec *spec,
                        struct err *e) MUST_USE;
/* The same of tensors whose names begin with prefix. */
enum err_code lift_read_under(const struct safetensors *w, const char *prefix,
                              struct lift_spec *spec, struct err *e) MUST_USE;

#endif
