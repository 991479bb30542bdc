/* Test transform with two ways in and two ways out. */

#include "lib/flow/stage.h"

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    (void)ctx;
    (void)n;
    struct item *it = item_child(in[0], e);
    if (!it)
        return ERR_NOMEM;
    if (item_set_str(it, "way", stage_in_port(s), e)) {
        item_free(&it);
        return e->code;
    }
    bool odd = item_i64(in[0], "i", 0) % 2 != 0;
    return stage_emit(s, odd ? "odd" : "even", it, e);
}

static const struct stage_port in_ports[] = {
    {"left", "i i64", "numbered items"},
    {"right", "i i64", "numbered items"},
    {0}};
static const struct stage_port out_ports[] = {
    {"even", "way str", "those that 2 divides"},
    {"odd", "way str", "the others"},
    {0}};
static const struct stage_desc desc = {
    .name = "t-join",
    .help = "Joins and splits.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .transform = transform,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
