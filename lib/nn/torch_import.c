/* PyTorch files as safetensors: reading, choosing and loading in one. */
#include "lib/nn/torch_import.h"

#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

void torch_import_free(struct torch_import **m)
{
    if (!m || !*m)
        return;
    struct torch_import *x = *m;
    for (size_t i = 0; x->tensor && i < x->weights->n; i++)
        tensor_free(&x->tensor[i]);
    mem_free(x->tensor);
    mem_free(x->item);
    mem_free(x->source);
    torch_weights_free(&x->weights);
    mem_free(x);
    *m = NULL;
}

static enum err_code load(struct torch_file *f, struct torch_import *x,
                          bool skip, struct err *e)
{
    const struct torch_weights *w = x->weights;
    x->tensor = mem_calloc(w->n + 1, sizeof(struct tensor *));
    x->item = mem_calloc(w->n + 1, sizeof *x->item);
    if (!x->tensor || !x->item)
        return err_set(e, ERR_NOMEM, "no memory for %zu tensors", w->n);
    for (size_t i = 0; i < w->n; i++) {
        const struct torch_tensor *t = &w->tensor[i];
        if (!t->usable && !skip)
            return err_set(e, ERR_UNSUPPORTED,
                           "tensor '%.200s' cannot be written: %s", t->name,
                           t->why);
        if (!t->usable) {
            x->skipped++;
            continue;
        }
        enum err_code r = torch_view_load(f, &t->view, &x->tensor[i], e);
        if (r)
            return e ? err_wrap(e, "tensor '%.200s'", t->name) : r;
        x->widened += t->view.type->convert == TORCH_WIDEN;
        x->item[x->n++] = (struct safetensors_item){t->name, x->tensor[i]};
    }
    return x->n ? OK : err_set(e, ERR_UNSUPPORTED, "no tensor can be written");
}

/* "fan.pth.tar (PyTorch legacy, state_dict)"; a name of bytes that are no text
 * is left out. */
static char *source_of(const struct torch_file *f,
                       const struct torch_weights *w)
{
    const char *name = path_base(torch_file_origin(f));
    bool text = text_is_utf8(name, strlen(name));
    bool from = *w->from && text_is_utf8(w->from, strlen(w->from));
    return mem_printf("%s (%s%s%s)", text ? name : "file",
                      torch_file_format_text(f), from ? ", " : "",
                      from ? w->from : "");
}

enum err_code torch_import_from(struct torch_file *f,
                                const struct torch_options *o, bool skip,
                                struct torch_import **out, struct err *e)
{
    *out = NULL;
    struct torch_import *x = mem_calloc(1, sizeof *x);
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for '%s'",
                       torch_file_origin(f));
    x->format = torch_file_format_text(f);
    enum err_code r = torch_weights_of(f, o, &x->weights, e);
    if (!r) {
        x->source = source_of(f, x->weights);
        r = x->source ? load(f, x, skip, e)
                      : err_set(e, ERR_NOMEM, "no memory for a name");
        if (r && e)
            err_wrap(e, "'%s'", torch_file_origin(f));
    }
    if (r)
        torch_import_free(&x);
    *out = x;
    return r;
}

enum err_code torch_import(const char *path, const struct torch_options *o,
                           bool skip, struct torch_import **out, struct err *e)
{
    struct torch_file *f = NULL;
    *out = NULL;
    enum err_code r = torch_file_read(path, &f, e);
    if (!r)
        r = torch_import_from(f, o, skip, out, e);
    torch_file_free(&f);
    /* What is left no longer points into the file's tree. */
    for (size_t i = 0; !r && i < (*out)->weights->n; i++)
        (*out)->weights->tensor[i].view.storage.key =
            (struct pickle_bytes){NULL, 0};
    return r;
}

enum err_code torch_import_write(const struct torch_import *m, const char *path,
                                 struct err *e)
{
    const struct safetensors_pair meta[] = {
        {"format", "pt"}, {"source", m->source}, {NULL, NULL}};
    return safetensors_write(path, m->item, meta, e);
}

enum err_code torch_import_safetensors(const struct torch_import *m,
                                       struct safetensors **out, struct err *e)
{
    struct buf b;
    buf_init(&b, SAFETENSORS_MAX_FILE);
    *out = NULL;
    const struct safetensors_pair meta[] = {
        {"format", "pt"}, {"source", m->source}, {NULL, NULL}};
    enum err_code r = safetensors_encode(&b, m->item, meta, e);
    if (!r)
        r = safetensors_parse(b.data, b.len, m->source, out, e);
    buf_free(&b);
    return r;
}
