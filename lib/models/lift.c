/* The lifting network. */
#include "lib/models/lift.h"

#include <stdio.h>

#include "lib/models/parts.h"

static bool in_range(int v, int lo, int hi)
{
    return v >= lo && v <= hi;
}

static int block(const struct nn_scope *s, int x, int i, int width)
{
    char a[32], b[32];
    snprintf(a, sizeof a, "block.%d.a", i);
    snprintf(b, sizeof b, "block.%d.b", i);
    int y = nn_linear_layer(s, nn_relu(s->g, x), a, width, false);
    y = nn_linear_layer(s, nn_relu(s->g, y), b, width, false);
    return nn_add(s->g, x, y);
}

bool lift_net(const struct nn_scope *s, int x, const struct lift_spec *spec,
              struct lift_out *out)
{
    if (!in_range(spec->width, 1, LIFT_MAX_WIDTH) ||
        !in_range(spec->blocks, 0, LIFT_MAX_BLOCKS) ||
        !in_range(spec->codes, 1, LIFT_MAX_CODES) ||
        !in_range(spec->nodes, 0, LIFT_MAX_NODES)) {
        part_fail(s->g,
                  "a lifting network of width %d, %d blocks, %d codes, "
                  "%d nodes",
                  spec->width, spec->blocks, spec->codes, spec->nodes);
        return false;
    }
    int y = nn_linear_layer(s, x, "in", spec->width, false);
    for (int i = 0; i < spec->blocks; i++)
        y = block(s, y, i, spec->width);
    y = nn_relu(s->g, y);
    out->points = nn_linear_layer(s, y, "points", LIFT_POINTS * 3, false);
    out->rotation = nn_linear_layer(s, y, "rotation", 9, false);
    out->near = nn_linear_layer(s, y, "near", 1, false);
    out->code = nn_linear_layer(s, y, "code", spec->codes, false);
    out->head = nn_linear_layer(s, out->code, "head",
                                (LIFT_POINTS + spec->nodes) * 3, false);
    return out->head >= 0;
}

enum err_code lift_read(const struct safetensors *w, struct lift_spec *spec,
                        struct err *e)
{
    return lift_read_under(w, "", spec, e);
}

enum err_code lift_read_under(const struct safetensors *w, const char *prefix,
                              struct lift_spec *spec, struct err *e)
{
    int out = part_dim(w, prefix, "head.weight", 2, 0);
    *spec = (struct lift_spec){
        .width = part_dim(w, prefix, "in.weight", 2, 0),
        .blocks = part_count(w, prefix, "block.", ".a.weight", 0,
                             LIFT_MAX_BLOCKS + 1),
        .codes = part_dim(w, prefix, "code.weight", 2, 0),
        .nodes = out / 3 - LIFT_POINTS,
    };
    if (part_dim(w, prefix, "in.weight", 2, 1) != LIFT_POINTS * 2 || out % 3 ||
        !in_range(spec->width, 1, LIFT_MAX_WIDTH) ||
        !in_range(spec->blocks, 0, LIFT_MAX_BLOCKS) ||
        !in_range(spec->codes, 1, LIFT_MAX_CODES) ||
        !in_range(spec->nodes, 0, LIFT_MAX_NODES))
        return err_set(e, ERR_DATA, "'%s' holds no lifting network",
                       safetensors_origin(w));
    return OK;
}
