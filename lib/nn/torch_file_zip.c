/* Files written by PyTorch: zip archives (torch.save since 1.6, TorchScript):
 * <name>/data.pkl, <name>/data/<key>, <name>/byteorder, .. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/nn/torch_file_impl.h"

/* "x/y/data.pkl" has two folders; -1 if the name does not end so. */
static int folders_before(const char *name, const char *end)
{
    if (!text_ends(name, end))
        return -1;
    size_t n = strlen(name) - strlen(end);
    if (n && name[n - 1] != '/')
        return -1;
    int folders = 0;
    for (size_t i = 0; i < n; i++)
        folders += name[i] == '/';
    return folders;
}

/* The entry called `end` with the fewest folders before it. *twice: there is
 * another as high up. */
static const char *highest(const struct torch_zip *z, const char *end,
                           bool *twice)
{
    const char *found = NULL;
    int least = 0;
    *twice = false;
    for (size_t i = 0; i < torch_zip_count(z); i++) {
        const char *name = torch_zip_name(z, i);
        int folders = folders_before(name, end);
        if (folders < 0 || (found && folders > least))
            continue;
        *twice = found && folders == least;
        found = name;
        least = folders;
    }
    return found;
}

static enum err_code no_data(const struct torch_zip *z, struct err *e)
{
    bool twice;
    if (highest(z, "model.json", &twice))
        return err_set(e, ERR_UNSUPPORTED,
                       "a TorchScript archive of PyTorch 1.0 to 1.3 "
                       "(model.json); torch.jit.load and torch.jit.save in a "
                       "newer PyTorch make one that can be read");
    if (highest(z, ".data/version", &twice))
        return err_set(e, ERR_UNSUPPORTED,
                       "a torch.package archive; save its state_dict()");
    return err_set(e, ERR_DATA,
                   "a zip archive, but not of PyTorch: there is "
                   "no data.pkl in it");
}

/* <root><name> as an entry. */
static enum err_code find(const struct torch_file *x, const char *name,
                          bool *found, size_t *i, struct err *e)
{
    char *full = mem_printf("%s%s", x->root, name);
    *found = full && torch_zip_find(x->zip, full, i);
    enum err_code r = full ? OK : err_set(e, ERR_NOMEM, "no memory for a name");
    mem_free(full);
    return r;
}

static enum err_code check_byteorder(struct torch_file *x, struct err *e)
{
    struct buf b;
    size_t i;
    bool found;
    enum err_code r = find(x, "byteorder", &found, &i, e);
    if (r || !found)
        return r;
    r = torch_zip_extract(x->zip, i, 64, &b, e);
    if (!r && strncmp(buf_str(&b), "little", 6) != 0)
        r = err_set(e, ERR_UNSUPPORTED, "its numbers are big-endian");
    buf_free(&b);
    return r;
}

enum err_code torch_file_unzip(struct torch_file *x, struct err *e)
{
    size_t i = 0;
    bool twice, script;
    const char *name = highest(x->zip, "data.pkl", &twice);
    if (!name)
        return no_data(x->zip, e);
    if (twice)
        return err_set(e, ERR_DATA, "two data.pkl in one archive");
    x->root = mem_strndup(name, strlen(name) - strlen("data.pkl"));
    x->unpacked = mem_calloc(torch_zip_count(x->zip), sizeof *x->unpacked);
    if (!x->root || !x->unpacked)
        return err_set(e, ERR_NOMEM, "no memory for an archive");
    enum err_code r = find(x, "constants.pkl", &script, &i, e);
    if (!r)
        r = check_byteorder(x, e);
    if (r || !torch_zip_find(x->zip, name, &i)) /* it is there: see above */
        return r;
    x->format = script ? TORCH_SCRIPT : TORCH_ZIP;
    size_t max = TORCH_MAX_PICKLE < x->limit ? TORCH_MAX_PICKLE : x->limit;
    r = torch_zip_extract(x->zip, i, max, &x->pickled, e);
    if (!r)
        r = pickle_read(x->pickled.data, x->pickled.len, &x->tree, NULL, e);
    return r;
}

enum err_code torch_file_entry(struct torch_file *x,
                               const struct torch_storage *s,
                               const uint8_t **data, size_t *n, struct err *e)
{
    size_t i;
    char *name = mem_printf("%sdata/%.*s", x->root, (int)s->key.n, s->key.p);
    if (!name)
        return err_set(e, ERR_NOMEM, "no memory for a name");
    bool found = torch_zip_find(x->zip, name, &i);
    mem_free(name);
    if (!found)
        return err_set(e, ERR_DATA, "the archive has no storage '%.*s'",
                       (int)s->key.n, s->key.p);
    struct buf *b = &x->unpacked[i];
    if (!b->data) {
        enum err_code r =
            torch_zip_extract(x->zip, i, x->limit - x->unpacked_bytes, b, e);
        if (r)
            return r;
        x->unpacked_bytes += b->len;
    }
    *data = b->data;
    *n = b->len;
    return OK;
}
