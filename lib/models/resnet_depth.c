/* ResNetDepth from layers. */
#include "lib/models/resnet_depth.h"

#include "lib/models/parts.h"

const struct resnet_spec resnet_depth_spec = {.blocks = {3, 8, 36, 3},
                                              .bottleneck = true};

int resnet_depth(const struct nn_scope *s, int x,
                 const struct resnet_spec *spec, int64_t points)
{
    struct nn_pool_spec pool = {.kernel = 7, .stride = 7};
    x = resnet_trunk(s, x, spec ? spec : &resnet_depth_spec);
    struct nn_shape map = nn_graph_shape(s->g, x);
    if (x >= 0 && (map.h < 7 || map.w < 7 || map.h > 13 || map.w > 13))
        return part_fail(s->g,
                         "ResNetDepth: pictures of 193 to 447 pixels a side "
                         "(the last map is %lld x %lld)",
                         (long long)map.h, (long long)map.w);
    x = nn_avg_pool(s->g, x, &pool);
    return nn_linear_layer(s, x, "fc", points ? points : 68, false);
}
