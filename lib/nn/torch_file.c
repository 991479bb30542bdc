/* Files written by PyTorch: containers and their storages
 * (torch/serialization.py describes them). */
#include "lib/nn/torch_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/nn/torch_file_impl.h"

enum err_code torch_storage_of(const struct pickle_value *persid,
                               struct torch_storage *out, struct err *e)
{
    char text[128];
    const struct pickle_items *id = persid && persid->type == PICKLE_PERSID
                                        ? pickle_seq(persid->v.id)
                                        : NULL;
    if (persid && persid->type == PICKLE_PERSID &&
        persid->v.id->type == PICKLE_STR)
        return err_set(e, ERR_UNSUPPORTED,
                       "its storages are named in text (pickle protocol 0), "
                       "which PyTorch does not load either");
    if (!id || id->n < 5 || id->n > 6 || !pickle_is_str(id->v[0], "storage"))
        return err_set(e, ERR_DATA, "%s is no storage",
                       pickle_describe(persid, text, sizeof text));
    *out = (struct torch_storage){.type = torch_type_storage(id->v[1])};
    if (!out->type)
        return err_set(e, ERR_UNSUPPORTED, "a storage of class %s",
                       pickle_describe(id->v[1], text, sizeof text));
    if (id->v[2]->type != PICKLE_STR || id->v[2]->v.s.n > 64)
        return err_set(e, ERR_DATA, "a storage without a proper key");
    if (id->v[4]->type != PICKLE_INT || id->v[4]->v.i < 0)
        return err_set(e, ERR_DATA, "a storage without a proper size");
    out->key = id->v[2]->v.s;
    out->elements = (size_t)id->v[4]->v.i;
    out->view_elements = out->elements;
    size_t bytes;
    if (!size_mul(out->elements, out->type->size, &bytes))
        return err_set(e, ERR_DATA, "a storage of %zu elements", out->elements);
    const struct pickle_items *view = id->n == 6 ? pickle_seq(id->v[5]) : NULL;
    if (!view)
        return OK;
    if (view->n != 3 || view->v[1]->type != PICKLE_INT ||
        view->v[2]->type != PICKLE_INT || view->v[1]->v.i < 0 ||
        view->v[2]->v.i < 0 || (size_t)view->v[1]->v.i > out->elements ||
        (size_t)view->v[2]->v.i > out->elements - (size_t)view->v[1]->v.i)
        return err_set(e, ERR_DATA, "a view outside its storage");
    out->view_first = (size_t)view->v[1]->v.i;
    out->view_elements = (size_t)view->v[2]->v.i;
    return OK;
}

void torch_file_free(struct torch_file **f)
{
    if (!f || !*f)
        return;
    struct torch_file *x = *f;
    pickle_free(&x->tree);
    for (size_t i = 0; x->unpacked && i < torch_zip_count(x->zip); i++)
        buf_free(&x->unpacked[i]);
    mem_free(x->unpacked);
    mem_free(x->record);
    torch_zip_close(&x->zip);
    buf_free(&x->pickled);
    buf_free(&x->bytes);
    mem_free(x->root);
    mem_free(x->origin);
    mem_free(x);
    *f = NULL;
}

static enum err_code new_file(const char *origin, struct torch_file **out,
                              struct err *e)
{
    struct torch_file *x = mem_calloc(1, sizeof *x);
    if (x)
        x->origin = mem_strdup(origin);
    if (!x || !x->origin) {
        torch_file_free(&x);
        return err_set(e, ERR_NOMEM, "no memory for '%s'", origin);
    }
    *out = x;
    return OK;
}

static void set_limit(struct torch_file *x, size_t size)
{
    x->limit = TORCH_FREE;
    if (size > (TORCH_MAX_FILE - TORCH_FREE) / TORCH_GROWTH)
        x->limit = TORCH_MAX_FILE;
    else
        x->limit += size * TORCH_GROWTH;
}

static enum err_code finish(enum err_code r, struct torch_file *x,
                            struct torch_file **out, struct err *e)
{
    if (r) {
        if (e)
            err_wrap(e, "'%s'", x->origin);
        torch_file_free(&x);
    }
    *out = x;
    return r;
}

static bool is_zip(const uint8_t *p, size_t n)
{
    return n >= 4 && p[0] == 'P' && p[1] == 'K' && p[2] < 9 && p[3] < 9;
}

/* The first bytes and the size of a file. */
static enum err_code sniff(const char *path, uint8_t head[4], size_t *n,
                           size_t *size, struct err *e)
{
    struct stat st;
    struct buf b;
    *n = *size = 0;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        /* file_read knows the words for it */
        enum err_code r = file_read(path, 0, &b, e);
        buf_free(&b);
        return r ? r : err_set(e, ERR_IO, "'%s' is no regular file", path);
    }
    FILE *f = fopen(path, "rb");
    if (!f)
        return OK; /* again, reading says it */
    *n = fread(head, 1, 4, f);
    *size = (size_t)st.st_size;
    (void)fclose(f);
    return OK;
}

enum err_code torch_file_read(const char *path, struct torch_file **out,
                              struct err *e)
{
    uint8_t head[4];
    size_t n, size;
    struct torch_file *x = NULL;
    *out = NULL;
    enum err_code r = sniff(path, head, &n, &size, e);
    if (!r)
        r = new_file(path, &x, e);
    if (r)
        return r;
    if (size > TORCH_MAX_FILE)
        return finish(err_set(e, ERR_DATA, "%zu bytes, more than %zu", size,
                              TORCH_MAX_FILE),
                      x, out, e);
    set_limit(x, size);
    if (is_zip(head, n)) {
        r = torch_zip_open(path, &x->zip, e);
        if (!r)
            r = torch_file_unzip(x, e);
        return finish(r, x, out, e);
    }
    r = file_read(path, TORCH_MAX_FILE, &x->bytes, e);
    if (r) { /* it names the file itself */
        torch_file_free(&x);
        return r;
    }
    x->data = x->bytes.data;
    x->data_n = x->bytes.len;
    return finish(torch_file_legacy(x, e), x, out, e);
}

enum err_code torch_file_parse(const void *data, size_t n, const char *origin,
                               struct torch_file **out, struct err *e)
{
    struct torch_file *x = NULL;
    *out = NULL;
    enum err_code r = new_file(origin, &x, e);
    if (r)
        return r;
    set_limit(x, n);
    if (is_zip(data, n)) {
        r = torch_zip_parse(data, n, &x->zip, e);
        if (!r)
            r = torch_file_unzip(x, e);
        return finish(r, x, out, e);
    }
    x->data = data;
    x->data_n = n;
    return finish(torch_file_legacy(x, e), x, out, e);
}

const char *torch_file_origin(const struct torch_file *f)
{
    return f->origin;
}

enum torch_format torch_file_format(const struct torch_file *f)
{
    return f->format;
}

const char *torch_file_format_text(const struct torch_file *f)
{
    static const char *const texts[] = {[TORCH_PICKLE] = "plain pickle",
                                        [TORCH_LEGACY] = "PyTorch legacy",
                                        [TORCH_ZIP] = "PyTorch zip",
                                        [TORCH_SCRIPT] = "TorchScript"};
    return texts[f->format];
}

const struct pickle_value *torch_file_root(const struct torch_file *f)
{
    return pickle_root(f->tree);
}

size_t torch_file_limit(const struct torch_file *f)
{
    return f->limit;
}

enum err_code torch_file_storage(struct torch_file *f,
                                 const struct torch_storage *s,
                                 const uint8_t **data, struct err *e)
{
    size_t want, have;
    if (!size_mul(s->elements, s->type->size, &want))
        return err_set(e, ERR_DATA, "a storage of %zu elements", s->elements);
    enum err_code r = f->zip ? torch_file_entry(f, s, data, &have, e)
                             : torch_file_record(f, s, data, &have, e);
    if (r)
        return r;
    if (have < want)
        return err_set(e, ERR_DATA,
                       "storage '%.*s' has %zu bytes, %zu are needed",
                       (int)s->key.n, s->key.p, have, want);
    return OK;
}
