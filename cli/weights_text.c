/* Tensors of weight files as lines of a table. */
#include "cli/weights_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_WIDTH 44
#define SHAPE_MAX_WIDTH 16

const char *weights_shape(int ndim, const int64_t *shape, char *out, size_t n)
{
    size_t at = 0;
    (void)snprintf(out, n, "scalar");
    for (int i = 0; i < ndim && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%" PRId64, i ? "x" : "",
                               shape[i]);
    return out;
}

void weights_measure(struct weights_table *t, const char *name, int ndim,
                     const int64_t *shape)
{
    char text[192];
    int n = (int)strnlen(name, NAME_MAX_WIDTH);
    int s = (int)strnlen(weights_shape(ndim, shape, text, sizeof text),
                         SHAPE_MAX_WIDTH);
    t->name = n > t->name ? n : t->name;
    t->shape = s > t->shape ? s : t->shape;
}

void weights_row(const struct weights_table *t, const char *name,
                 const char *dtype, int ndim, const int64_t *shape,
                 uint64_t count)
{
    char text[192], number[32];
    printf("%-*s  %-4s  %-*s  %12s\n", t->name, name, dtype, t->shape,
           weights_shape(ndim, shape, text, sizeof text),
           weights_count(count, number));
}

const char *weights_count(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

const char *weights_bytes(uint64_t n, char out[32])
{
    static const char *const unit[] = {"B", "kB", "MB", "GB"};
    double v = (double)n;
    int i = 0;
    for (; v >= 1000 && i < 3; i++)
        v /= 1000;
    (void)snprintf(out, 32, i ? "%.1f %s" : "%.0f %s", v, unit[i]);
    return out;
}
