/* Weight files in the safetensors format: read whole, parsed from memory, or
 * opened, their tensors read one by one when they are asked for. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/nn/safetensors_impl.h"

struct safetensors *safetensors_ref(struct safetensors *s)
{
    s->refs++;
    return s;
}

void safetensors_free(struct safetensors **s)
{
    struct safetensors *x = s ? *s : NULL;
    if (s)
        *s = NULL;
    if (!x || --x->refs > 0)
        return;
    for (size_t i = 0; i < x->n; i++)
        mem_free(x->entry[i].name);
    for (size_t i = 0; i < x->n_meta; i++) {
        mem_free(x->meta[i].key);
        mem_free(x->meta[i].value);
    }
    mem_free(x->entry);
    mem_free(x->by_name);
    mem_free(x->meta);
    mem_free(x->origin);
    buf_free(&x->bytes);
    if (x->fd >= 0)
        (void)close(x->fd);
    mem_free(x);
}

static enum err_code new_file(const char *origin, struct safetensors **out,
                              struct err *e)
{
    struct safetensors *x = mem_calloc(1, sizeof *x);
    *out = NULL;
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for '%s'", origin);
    x->refs = 1;
    x->fd = -1;
    x->origin = mem_strdup(origin);
    if (!x->origin) {
        safetensors_free(&x);
        return err_set(e, ERR_NOMEM, "no memory for '%s'", origin);
    }
    *out = x;
    return OK;
}

/* The length of the header, from the first 8 bytes of `all`. */
static enum err_code header_bytes(const uint8_t *p, uint64_t all, size_t *n,
                                  struct err *e)
{
    uint64_t v = 0;
    if (all < 8)
        return err_set(e, ERR_DATA, "no safetensors file: %llu bytes",
                       (unsigned long long)all);
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    if (v > SAFETENSORS_MAX_HEADER || v > all - 8)
        return err_set(e, ERR_DATA,
                       "no safetensors file: a header of %llu bytes in a file "
                       "of %llu",
                       (unsigned long long)v, (unsigned long long)all);
    *n = (size_t)v;
    return OK;
}

/* x is the caller's no more. */
static enum err_code finish(enum err_code r, struct safetensors *x,
                            struct safetensors **out, struct err *e)
{
    if (r) {
        if (e)
            err_wrap(e, "'%s'", x->origin);
        safetensors_free(&x);
    }
    *out = x;
    return r;
}

/* x->bytes is filled; everything else is found out here. */
static enum err_code understand(struct safetensors *x, struct err *e)
{
    const uint8_t *p = x->bytes.data;
    size_t n = 0;
    enum err_code r = header_bytes(p, x->bytes.len, &n, e);
    if (r)
        return r;
    x->data = p + 8 + n;
    x->data_n = x->bytes.len - 8 - n;
    return safetensors_understand(x, p + 8, n, e);
}

enum err_code safetensors_read(const char *path, struct safetensors **out,
                               struct err *e)
{
    struct safetensors *x = NULL;
    *out = NULL;
    enum err_code r = new_file(path, &x, e);
    if (r)
        return r;
    r = file_read(path, SAFETENSORS_MAX_FILE, &x->bytes, e);
    if (r) {
        safetensors_free(&x);
        return r;
    }
    return finish(understand(x, e), x, out, e);
}

enum err_code safetensors_parse(const void *data, size_t n, const char *origin,
                                struct safetensors **out, struct err *e)
{
    struct safetensors *x = NULL;
    *out = NULL;
    enum err_code r = new_file(origin, &x, e);
    if (r)
        return r;
    buf_init(&x->bytes, n);
    r = buf_put(&x->bytes, data, n, e);
    return finish(r ? r : understand(x, e), x, out, e);
}

/* n bytes of the file from `at` on. */
static enum err_code read_at(int fd, void *to, size_t n, uint64_t at,
                             struct err *e)
{
    uint8_t *p = to;
    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(e, ERR_IO, errno, "cannot read");
        if (got == 0)
            return err_set(e, ERR_DATA, "the file ends at byte %llu",
                           (unsigned long long)at);
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return OK;
}

/* x->fd is a file of `all` bytes: its header. */
static enum err_code understand_open(struct safetensors *x, uint64_t all,
                                     struct err *e)
{
    uint8_t first[8] = {0};
    size_t n = 0;
    if (all > SAFETENSORS_MAX_FILE)
        return err_set(e, ERR_DATA, "%llu bytes, more than %zu",
                       (unsigned long long)all, SAFETENSORS_MAX_FILE);
    enum err_code r = all < 8 ? OK : read_at(x->fd, first, 8, 0, e);
    if (!r)
        r = header_bytes(first, all, &n, e);
    if (r)
        return r;
    x->at = 8 + n;
    x->data_n = (size_t)(all - x->at);
    char *head = mem_alloc(n);
    if (!head)
        return err_set(e, ERR_NOMEM, "no memory for the header");
    r = read_at(x->fd, head, n, 8, e);
    if (!r)
        r = safetensors_understand(x, head, n, e);
    mem_free(head);
    return r;
}

enum err_code safetensors_open(const char *path, struct safetensors **out,
                               struct err *e)
{
    struct safetensors *x = NULL;
    struct stat st;
    *out = NULL;
    /* Pipes, folders and the like are read whole, or refused there. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return safetensors_read(path, out, e);
    enum err_code r = new_file(path, &x, e);
    if (r)
        return r;
    x->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (x->fd < 0 || fstat(x->fd, &st) != 0) {
        r = err_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
                      "cannot open '%s'", path);
        safetensors_free(&x);
        return r;
    }
    return finish(understand_open(x, (uint64_t)st.st_size, e), x, out, e);
}

enum err_code safetensors_fetch(const struct safetensors *s,
                                const struct safetensors_part *t, void *to,
                                struct err *e)
{
    size_t n = t->end - t->begin;
    if (s->fd < 0) {
        if (n)
            memcpy(to, s->data + t->begin, n);
        return OK;
    }
    enum err_code r = read_at(s->fd, to, n, s->at + t->begin, e);
    if (r && e)
        err_wrap(e, "'%s': tensor '%s'", s->origin, t->name);
    return r;
}
