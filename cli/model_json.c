/* facet model: as one JSON object. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/model_info.h"
#include "cli/tape_text.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

/* What a path holds may be no text, and JSON is. */
static enum err_code put_text(struct buf *b, const char *text, struct err *e)
{
    if (text_is_utf8(text, strlen(text)))
        return text_quote(text, b, e);
    char *copy = mem_strdup(text);
    if (!copy)
        return err_set(e, ERR_NOMEM, "no memory for a text");
    for (char *p = copy; *p; p++)
        *p = (unsigned char)*p < 0x80 ? *p : '?';
    enum err_code r = text_quote(copy, b, e);
    mem_free(copy);
    return r;
}

static enum err_code put_key(struct buf *b, const char *key, const char *text,
                             struct err *e)
{
    enum err_code r = buf_printf(b, e, "\"%s\":", key);
    return r ? r : put_text(b, text, e);
}

static const char *const roles[] = {[MODEL_PARAMETER] = "parameter",
                                    [MODEL_BUFFER] = "buffer",
                                    [MODEL_STATE] = "state"};

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
                       model_type_of(&t, type));
    for (int d = 0; d < t.ndim && !r; d++)
        r = buf_printf(b, e, "%s%" PRId64, d ? "," : "", t.shape[d]);
    if (!r)
        r = buf_printf(b, e, "],\"count\":%" PRIu64 ",\"role\":\"%s\"",
                       model_numbers_of(&t), roles[i->role[k]]);
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

static enum err_code put_network(const struct model_network *n, struct buf *b,
                                 struct err *e)
{
    enum err_code r = buf_puts(b, "\n{", e);
    if (!r)
        r = put_key(b, "name", n->model->name, e);
    if (!r)
        r = buf_puts(b, ",", e);
    if (!r)
        r = put_key(b, "help", n->model->help, e);
    if (!r)
        r = buf_puts(b, ",", e);
    if (!r)
        r = put_key(b, "prefix", n->prefix, e);
    if (!r && n->built)
        r = buf_printf(b, e,
                       ",\"input\":[%" PRId64 ",%" PRId64 ",%" PRId64 "],"
                       "\"parameters\":%" PRIu64 ",\"gflop\":%.9g",
                       n->input.c, n->input.h, n->input.w, n->parameters,
                       n->gflop);
    if (!r && n->planned)
        r = buf_printf(b, e, ",\"arena_bytes\":%zu,\"plan_bytes\":%zu",
                       n->arena_bytes, n->plan_bytes);
    if (!r && n->why.code) {
        r = buf_puts(b, ",", e);
        if (!r)
            r = put_key(b, "error", n->why.text, e);
    }
    if (!r && n->layers)
        r = buf_printf(b, e, ",\"layers\":%s", n->layers);
    return r ? r : buf_puts(b, "}", e);
}

static enum err_code put_networks(const struct model_info *i, struct buf *b,
                                  struct err *e)
{
    enum err_code r = buf_puts(b, "\"networks\":[", e);
    for (size_t k = 0; k < i->n_nets && !r; k++) {
        r = k ? buf_puts(b, ",", e) : OK;
        if (!r)
            r = put_network(&i->net[k], b, e);
    }
    return r ? r : buf_puts(b, "]", e);
}

static enum err_code put_metadata(const struct model_info *i, struct buf *b,
                                  struct err *e)
{
    const char *key, *value;
    enum err_code r = buf_puts(b, ",\"metadata\":{", e);
    for (size_t k = 0; !r && safetensors_meta_at(i->w, k, &key, &value); k++) {
        r = k ? buf_puts(b, ",", e) : OK;
        if (!r)
            r = text_quote(key, b, e);
        if (!r)
            r = buf_puts(b, ":", e);
        if (!r)
            r = text_quote(value, b, e);
    }
    return r ? r : buf_puts(b, "}", e);
}

static enum err_code put_taken(const struct model_info *i, struct buf *b,
                               struct err *e)
{
    enum err_code r = buf_puts(b, ",", e);
    if (!r)
        r = put_key(b, "taken", i->from, e);
    if (!r)
        r = buf_puts(b, ",", e);
    return r ? r : put_key(b, "stripped", i->stripped, e);
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
                       ",\"hash\":\"%s\"",
                       i->format, i->file_bytes, i->hash);
    if (!r)
        r = i->torch ? put_taken(i, b, e) : put_metadata(i, b, e);
    if (!r)
        r = buf_puts(b, ",\"tensors\":[", e);
    for (size_t k = 0; k < safetensors_count(i->w) && !r; k++)
        r = put_tensor(i, k, b, e);
    if (!r)
        r = buf_printf(b, e,
                       "],\n\"parameters\":%" PRIu64 ",\"buffers\":%" PRIu64
                       ",\"state\":%" PRIu64 ",\"bytes\":%" PRIu64
                       ",\"left_out\":[",
                       i->numbers[MODEL_PARAMETER], i->numbers[MODEL_BUFFER],
                       i->numbers[MODEL_STATE], i->bytes);
    for (size_t k = 0; k < i->n_notes && !r; k++) {
        r = k ? buf_puts(b, ",", e) : OK;
        if (!r)
            r = put_text(b, i->note[k], e);
    }
    if (!r)
        r = buf_puts(b, "],", e);
    if (!r)
        r = put_networks(i, b, e);
    return r ? r : buf_puts(b, "}\n", e);
}
