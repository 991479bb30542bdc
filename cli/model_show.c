/* facet model: as lines for a person. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/model_info.h"
#include "cli/weights_text.h"
#include "lib/base/text.h"

#define STATS_NAME 36 /* columns of a name beside four numbers */
#define LONGEST_NAME 160
#define LONGEST_VALUE 200
#define SHOWN_META 24 /* lines */
#define INDENT 12     /* columns of words before what they say */

/* s without control characters, cut at max bytes. */
static enum err_code put_plain(struct buf *b, const char *s, size_t max,
                               struct err *e)
{
    size_t from = b->len, n = strnlen(s, max);
    bool cut = s[n] != 0;
    while (cut && n && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    enum err_code r = buf_put(b, s, n, e);
    if (r)
        return r;
    text_plain((char *)b->data + from, n);
    return cut ? buf_puts(b, "...", e) : OK;
}

/* As a column of so many bytes. */
static enum err_code put_name(struct buf *b, const char *name, int width,
                              struct err *e)
{
    size_t from = b->len;
    enum err_code r = buf_puts(b, "  ", e);
    if (!r)
        r = put_plain(b, name, LONGEST_NAME, e);
    int done = (int)(b->len - from) - 2;
    return r ? r : buf_printf(b, e, "%*s", done < width ? width - done : 0, "");
}

static enum err_code put_shapes(const struct model_info *i, struct buf *b,
                                struct err *e)
{
    struct weights_table t = {0};
    enum err_code r = OK;
    size_t n = safetensors_count(i->w);
    for (size_t k = 0; k < n; k++) {
        const struct safetensors_entry x = safetensors_at(i->w, k);
        weights_measure(&t, x.name, x.ndim, x.shape);
    }
    for (size_t k = 0; k < n && !r; k++) {
        const struct safetensors_entry x = safetensors_at(i->w, k);
        char type[16], shape[192], number[32];
        r = put_name(b, x.name, t.name, e);
        if (!r)
            r = buf_printf(b, e, "  %-4s  %-*s  %12s\n",
                           model_type_of(&x, type), t.shape,
                           weights_shape(x.ndim, x.shape, shape, sizeof shape),
                           weights_count(model_numbers_of(&x), number));
    }
    return r;
}

static enum err_code put_stats_row(const char *name,
                                   const struct model_stats *s, int width,
                                   struct buf *b, struct err *e)
{
    enum err_code r = put_name(b, name, width, e);
    if (!r && !s->known)
        return buf_puts(b, "  a type that is not read\n", e);
    if (!r && !s->finite)
        r = buf_puts(b, s->nan || s->inf ? "  no finite number" : "  empty", e);
    else if (!r)
        r = buf_printf(b, e, " %9.3g %9.3g %9.3g %9.3g", s->min, s->max,
                       s->mean, s->deviation);
    if (!r && s->nan)
        r = buf_printf(b, e, "  %" PRIu64 " NaN", s->nan);
    if (!r && s->inf)
        r = buf_printf(b, e, "  %" PRIu64 " inf", s->inf);
    return r ? r : buf_puts(b, "\n", e);
}

static enum err_code put_stats(const struct model_info *i, struct buf *b,
                               struct err *e)
{
    int width = 0;
    size_t n = safetensors_count(i->w);
    for (size_t k = 0; k < n; k++) {
        int len = (int)strnlen(safetensors_at(i->w, k).name, STATS_NAME);
        width = len > width ? len : width;
    }
    enum err_code r = buf_printf(b, e, "  %-*s %9s %9s %9s %9s\n", width, "",
                                 "min", "max", "mean", "deviation");
    for (size_t k = 0; k < n && !r; k++)
        r = put_stats_row(safetensors_at(i->w, k).name, &i->stats[k], width, b,
                          e);
    return r;
}

/* A text behind the column of words, in lines of 80. */
static enum err_code put_wrapped(struct buf *b, const char *s, struct err *e)
{
    enum err_code r = OK;
    while (*s && !r) {
        size_t n = strlen(s), room = 80 - INDENT;
        if (n > room) {
            for (n = room; n && s[n] != ' ';)
                n--;
            n = n ? n : strcspn(s, " ");
        }
        r = buf_printf(b, e, "%*s%.*s\n", INDENT, "", (int)n, s);
        s += n + (s[n] == ' ');
    }
    return r;
}

static enum err_code put_network(const struct model_network *n, struct buf *b,
                                 struct err *e)
{
    char arena[32], plan[32], numbers[32];
    enum err_code r = buf_printf(b, e, "\nnetwork     %s", n->model->name);
    if (!r && *n->prefix)
        r = buf_puts(b, ", under ", e);
    if (!r)
        r = put_plain(b, n->prefix, LONGEST_NAME, e);
    if (!r)
        r = buf_puts(b, "\n", e);
    if (!r)
        r = put_wrapped(b, n->model->help, e);
    if (!r && n->built)
        r = buf_printf(b, e,
                       "parameters  %s\ninput       %" PRId64 "x%" PRId64
                       "x%" PRId64 "\ncompute     %.*f GFLOP\n",
                       weights_count(n->parameters, numbers), n->input.c,
                       n->input.h, n->input.w, n->gflop < 1 ? 4 : 2, n->gflop);
    if (!r && n->planned)
        r = buf_printf(b, e,
                       "memory      %s to run it, %s of it between "
                       "layers\n",
                       weights_bytes(n->plan_bytes, plan),
                       weights_bytes(n->arena_bytes, arena));
    if (!r && n->why.code) {
        r = buf_puts(b, "unusable    ", e);
        if (!r)
            r = put_plain(b, n->why.text, sizeof n->why.text, e);
        if (!r)
            r = buf_puts(b, "\n", e);
    }
    return !r && n->layers ? buf_printf(b, e, "\n%s", n->layers) : r;
}

static enum err_code put_meta(const struct model_info *i, struct buf *b,
                              struct err *e)
{
    const char *key, *value;
    size_t k = 0;
    enum err_code r = OK;
    for (; !r && k < SHOWN_META && safetensors_meta_at(i->w, k, &key, &value);
         k++) {
        r = buf_puts(b, k ? "            " : "metadata    ", e);
        if (!r)
            r = put_plain(b, key, LONGEST_NAME, e);
        if (!r)
            r = buf_puts(b, " = ", e);
        if (!r)
            r = put_plain(b, value, LONGEST_VALUE, e);
        if (!r)
            r = buf_puts(b, "\n", e);
    }
    size_t more = 0;
    while (safetensors_meta_at(i->w, k + more, &key, &value))
        more++;
    return !r && more ? buf_printf(b, e,
                                   "            and %zu more, which "
                                   "--json shows\n",
                                   more)
                      : r;
}

/* What was taken of a PyTorch file, or what a safetensors file says. */
static enum err_code put_source(const struct model_info *i, struct buf *b,
                                struct err *e)
{
    if (!i->torch)
        return put_meta(i, b, e);
    enum err_code r = *i->from ? buf_puts(b, "taken       ", e) : OK;
    if (!r && *i->from)
        r = put_plain(b, i->from, sizeof i->from, e);
    if (!r && *i->from)
        r = buf_puts(b, "\n", e);
    return !r && *i->stripped
               ? buf_printf(b, e, "prefix      '%s' taken off\n", i->stripped)
               : r;
}

static enum err_code put_totals(const struct model_info *i, struct buf *b,
                                struct err *e)
{
    char params[32], buffers[32], state[32], bytes[32];
    enum err_code r =
        buf_printf(b, e, "tensors     %zu, %s\nparameters  %s\n",
                   safetensors_count(i->w), weights_bytes(i->bytes, bytes),
                   weights_count(i->numbers[MODEL_PARAMETER], params));
    if (!r && i->numbers[MODEL_BUFFER])
        r = buf_printf(b, e, "buffers     %s (statistics and counters)\n",
                       weights_count(i->numbers[MODEL_BUFFER], buffers));
    if (!r && i->numbers[MODEL_STATE])
        r = buf_printf(b, e, "training    %s (optimiser state, averages)\n",
                       weights_count(i->numbers[MODEL_STATE], state));
    for (size_t k = 0; k < i->n_notes && !r; k++) {
        r = buf_puts(b, "left out    ", e);
        if (!r)
            r = put_plain(b, i->note[k], 2 * LONGEST_NAME, e);
        if (!r)
            r = buf_puts(b, "\n", e);
    }
    return r;
}

enum err_code model_person(const struct model_info *i, bool table,
                           struct buf *b, struct err *e)
{
    char size[32];
    enum err_code r =
        buf_printf(b, e, "%s\nformat      %s, %s\nhash        %s\n", i->path,
                   i->format, weights_bytes(i->file_bytes, size), i->hash);
    if (!r)
        r = put_source(i, b, e);
    if (!r && table && safetensors_count(i->w)) {
        r = buf_puts(b, "\n", e);
        if (!r)
            r = i->stats ? put_stats(i, b, e) : put_shapes(i, b, e);
        if (!r)
            r = buf_puts(b, "\n", e);
    }
    if (!r)
        r = put_totals(i, b, e);
    if (!r && !i->n_nets)
        r = buf_puts(b, "network     none that facet knows\n", e);
    for (size_t k = 0; k < i->n_nets && !r; k++)
        r = put_network(&i->net[k], b, e);
    return r;
}
