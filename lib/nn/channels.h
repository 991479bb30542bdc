/* Copies of ranges of channels between activations; for concat and slice. */
#ifndef FACET_NN_CHANNELS_H
#define FACET_NN_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/nn/layout.h"

/* Channels `from`.. of src to (or added to) channels `to`.. of dst, `count` of
 * them. Same batch, sides, layout and type. In NN_BLOCK16 whole blocks are
 * fastest, but from and to may be any. Padding channels are left alone. */
void nn_copy_channels(const struct nn_view *src, int64_t from,
                      const struct nn_view *dst, int64_t to, int64_t count,
                      bool add);

#endif
