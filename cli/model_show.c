/* facet model: for a person, and as JSON. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/model_info.h"
#include "cli/tape_text.h"
#include "cli/weights_text.h"

#define STATS_NAME 36 /* columns of a name beside four numbers */

/* "f32", "bool": the file's word in our way of writing. */
static const char *type_of(const struct safetensors_entry *t, char out[16])
{
    size_t n = strnlen(t->dtype_word, 15);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)tolower((unsigned char)t->dtype_word[i]);
    out[n] = 0;
    return out;
}

static uint64_t count_of(const struct safetensors_entry *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->ndim; i++)
        n *= (uint64_t)t->shape[i];
    return n;
}

/* One line, whatever the file holds: control characters as '?'. */
static enum err_code put_plain(struct buf *b, const char *s, size_t max,
                               struct err *e)
{
    enum err_code r = OK;
    for (size_t i = 0; s[i] && i < max && !r; i++) {
        unsigned char c = (unsigned char)s[i];
        r = buf_put(b, c < 0x20 || c == 0x7f ? "?" : s + i, 1, e);
    }
    return r || strlen(s) <= max ? r : buf_puts(b, "...", e);
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
        r = buf_printf(b, e, "  %-*s  %-4s  %-*s  %12s\n", t.name, x.name,
                       type_of(&x, type), t.shape,
                       weights_shape(x.ndim, x.shape, shape, sizeof shape),
                       weights_count(count_of(&x), number));
    }
    return r;
}

static enum err_code put_stats_row(const char *name,
                                   const struct model_stats *s, int width,
                                   struct buf *b, struct err *e)
{
    enum err_code r = buf_printf(b, e, "  %-*s", width, name);
    if (!r && !s->known)
        return buf_puts(b, "  a type that is not read\n", e);
    if (!r && !s->finite)
        r = buf_puts(b, "  no finite number", e);
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

static enum err_code put_network(const struct model_info *i, struct buf *b,
                                 struct err *e)
{
    char arena[32], plan[32];
    if (!i->known)
        return buf_puts(b, "network     none that facet knows\n", e);
    enum err_code r = buf_printf(b, e, "network     %s", i->known->name);
    if (!r && *i->prefix)
        r = buf_printf(b, e, ", under '%s'", i->prefix);
    if (!r)
        r = buf_printf(b, e, "\n            %s\n", i->known->help);
    if (r)
        return r;
    if (!i->planned) {
        r = buf_puts(b, "unusable    ", e);
        if (!r)
            r = put_plain(b, i->why.text, 400, e);
        return r ? r : buf_puts(b, "\n", e);
    }
    return buf_printf(b, e,
                      "input       %" PRId64 "x%" PRId64 "x%" PRId64 "\n"
                      "compute     %.*f GFLOP\n"
                      "memory      %s to run it (%s of that for what is "
                      "between layers)\n",
                      i->input.c, i->input.h, i->input.w, i->gflop < 1 ? 4 : 2,
                      i->gflop, weights_bytes(i->plan_bytes, plan),
                      weights_bytes(i->arena_bytes, arena));
}

enum err_code model_person(const struct model_info *i, bool table,
                           struct buf *b, struct err *e)
{
    char size[32], params[32], buffers[32], bytes[32];
    enum err_code r =
        buf_printf(b, e, "%s\nformat      %s, %s\nhash        %s\n", i->path,
                   i->format, weights_bytes(i->file_bytes, size), i->hash);
    const char *key, *value;
    for (size_t k = 0; !r && safetensors_meta_at(i->w, k, &key, &value); k++) {
        r = buf_puts(b, k ? "            " : "metadata    ", e);
        if (!r)
            r = put_plain(b, key, 60, e);
        if (!r)
            r = buf_puts(b, " = ", e);
        if (!r)
            r = put_plain(b, value, 200, e);
        if (!r)
            r = buf_puts(b, "\n", e);
    }
    if (!r && table) {
        r = buf_puts(b, "\n", e);
        if (!r)
            r = i->stats ? put_stats(i, b, e) : put_shapes(i, b, e);
        if (!r)
            r = buf_puts(b, "\n", e);
    }
    if (!r)
        r = buf_printf(b, e,
                       "tensors     %zu, %s\nparameters  %s\nbuffers     %s\n",
                       safetensors_count(i->w), weights_bytes(i->bytes, bytes),
                       weights_count(i->parameters, params),
                       weights_count(i->buffers, buffers));
    for (size_t k = 0; k < i->n_notes && !r; k++)
        r = buf_printf(b, e, "left out    %s\n", i->note[k]);
    if (!r)
        r = put_network(i, b, e);
    if (!r && i->layers)
        r = buf_printf(b, e, "\n%s", i->layers);
    return r;
}

/* ---- JSON ---- */

static enum err_code put_key(struct buf *b, const char *key, const char *text,
                             struct err *e)
{
    enum err_code r = buf_printf(b, e, "\"%s\":", key);
    return r ? r : text_quote(text, b, e);
}

static enum err_code put_tensor(const struct model_info *i, size_t k,
                                struct buf *b, struct err *e)
{
    const struct safetensors_entry t = safetensors_at(i->w, k);
    char type[16];
    enum err_code r = buf_puts(b, k ? ",\n{" : "\n{", e);
    if (!r)
        r = put_key(b, "name", t.name, e);
    if (!r)
        r = buf_printf(b, e, ",\"dtype\":\"%s\",\"shape\":[",
                       type_of(&t, type));
    for (int d = 0; d < t.ndim && !r; d++)
        r = buf_printf(b, e, "%s%" PRId64, d ? "," : "", t.shape[d]);
    if (!r)
        r = buf_printf(b, e, "],\"count\":%" PRIu64 ",\"buffer\":%s",
                       count_of(&t),
                       model_is_buffer(t.name) ? "true" : "false");
    const struct model_stats *s = i->stats ? &i->stats[k] : NULL;
    if (!r && s && s->known)
        r = buf_printf(b, e, ",\"nan\":%" PRIu64 ",\"inf\":%" PRIu64, s->nan,
                       s->inf);
    if (!r && s && s->finite)
        r = buf_printf(b, e,
                       ",\"min\":%.9g,\"max\":%.9g,\"mean\":%.9g,"
                       "\"deviation\":%.9g",
                       s->min, s->max, s->mean, s->deviation);
    return r ? r : buf_puts(b, "}", e);
}

static enum err_code put_known(const struct model_info *i, struct buf *b,
                               struct err *e)
{
    if (!i->known)
        return buf_puts(b, "\"network\":null", e);
    enum err_code r = buf_puts(b, "\"network\":{", e);
    if (!r)
        r = put_key(b, "name", i->known->name, e);
    if (!r)
        r = buf_puts(b, ",", e);
    if (!r)
        r = put_key(b, "help", i->known->help, e);
    if (!r)
        r = buf_puts(b, ",", e);
    if (!r)
        r = put_key(b, "prefix", i->prefix, e);
    if (!r)
        r = buf_printf(b, e,
                       ",\"input\":[%" PRId64 ",%" PRId64 ",%" PRId64 "],",
                       i->input.c, i->input.h, i->input.w);
    if (!r && !i->planned)
        r = put_key(b, "error", i->why.text, e);
    else if (!r)
        r = buf_printf(b, e,
                       "\"gflop\":%.6g,\"arena_bytes\":%zu,"
                       "\"plan_bytes\":%zu",
                       i->gflop, i->arena_bytes, i->plan_bytes);
    if (!r && i->layers) {
        r = buf_puts(b, ",", e);
        if (!r)
            r = put_key(b, "layers", i->layers, e);
    }
    return r ? r : buf_puts(b, "}", e);
}

enum err_code model_json(const struct model_info *i, struct buf *b,
                         struct err *e)
{
    enum err_code r = buf_puts(b, "{", e);
    if (!r)
        r = put_key(b, "file", i->path, e);
    if (!r)
        r = buf_printf(b, e,
                       ",\"format\":\"%s\",\"file_bytes\":%" PRIu64
                       ",\"hash\":\"%s\",\"metadata\":{",
                       i->format, i->file_bytes, i->hash);
    const char *key, *value;
    for (size_t k = 0; !r && safetensors_meta_at(i->w, k, &key, &value); k++) {
        r = k ? buf_puts(b, ",", e) : OK;
        if (!r)
            r = text_quote(key, b, e);
        if (!r)
            r = buf_puts(b, ":", e);
        if (!r)
            r = text_quote(value, b, e);
    }
    if (!r)
        r = buf_puts(b, "},\"tensors\":[", e);
    for (size_t k = 0; k < safetensors_count(i->w) && !r; k++)
        r = put_tensor(i, k, b, e);
    if (!r)
        r = buf_printf(b, e,
                       "],\n\"parameters\":%" PRIu64 ",\"buffers\":%" PRIu64
                       ",\"bytes\":%" PRIu64 ",\"left_out\":[",
                       i->parameters, i->buffers, i->bytes);
    for (size_t k = 0; k < i->n_notes && !r; k++) {
        r = k ? buf_puts(b, ",", e) : OK;
        if (!r)
            r = text_quote(i->note[k], b, e);
    }
    if (!r)
        r = buf_puts(b, "],", e);
    if (!r)
        r = put_known(i, b, e);
    return r ? r : buf_puts(b, "}\n", e);
}
