/* Tables of the sources of resized pixels. */
#include "lib/nn/axis.h"

#include <math.h>

size_t nn_axis_bytes(int64_t in, int64_t out)
{
    size_t n = (size_t)out * (sizeof(int32_t) + sizeof(float)) +
               (size_t)(in + 1) * sizeof(int32_t);
    return (n + 63) / 64 * 64;
}

static struct nn_axis place(void *mem, int64_t in, int64_t out)
{
    struct nn_axis a = {.in = in, .out = out, .from = mem};
    void *part = a.from + out;
    a.part = part;
    void *first = a.part + out;
    a.first = first;
    return a;
}

static void invert(struct nn_axis *a)
{
    int64_t o = 0;
    for (int64_t i = 0; i <= a->in; i++) {
        while (o < a->out && a->from[o] < i)
            o++;
        a->first[i] = (int32_t)o;
    }
}

/* In float and rounded down, as there: the quotient in/out may fall short. */
struct nn_axis nn_axis_nearest(void *mem, int64_t in, int64_t out)
{
    struct nn_axis a = place(mem, in, out);
    float scale = (float)in / (float)out;
    for (int64_t o = 0; o < out; o++) {
        int64_t i = (int64_t)floorf((float)o * scale);
        if (out == in)
            i = o;
        else if (out == 2 * in)
            i = o / 2;
        a.from[o] = (int32_t)(i < in - 1 ? i : in - 1);
        a.part[o] = 0;
    }
    invert(&a);
    return a;
}

struct nn_axis nn_axis_linear(void *mem, int64_t in, int64_t out,
                              bool align_corners)
{
    struct nn_axis a = place(mem, in, out);
    float scale = (float)in / (float)out;
    if (align_corners)
        scale = out > 1 ? (float)(in - 1) / (float)(out - 1) : 0.0F;
    for (int64_t o = 0; o < out; o++) {
        float at =
            align_corners ? (float)o * scale : ((float)o + 0.5F) * scale - 0.5F;
        if (in == out)
            at = (float)o;
        at = at > 0 ? at : 0;
        int64_t i = (int64_t)at;
        i = i < in - 1 ? i : in - 1;
        float part = at - (float)i;
        a.from[o] = (int32_t)i;
        a.part[o] = i == in - 1 ? 0 : part < 1 ? part : 1;
    }
    invert(&a);
    return a;
}
