/* Zip archives, read only, by libzip. */
#include "lib/nn/torch_zip.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "lib/base/mem.h"

struct member {
    const char *name; /* libzip's */
    zip_uint64_t index;
    size_t size;
};

struct torch_zip {
    zip_t *zip;
    struct member *member; /* sorted by name */
    size_t n;
};

void torch_zip_close(struct torch_zip **z)
{
    if (!z || !*z)
        return;
    if ((*z)->zip)
        zip_discard((*z)->zip);
    mem_free((*z)->member);
    mem_free(*z);
    *z = NULL;
}

static enum err_code zip_failed(const zip_error_t *why, struct err *e)
{
    zip_error_t copy = *why;
    enum err_code code = ERR_DATA;
    copy.str = NULL;
    if (why->zip_err == ZIP_ER_NOENT)
        code = ERR_NOTFOUND;
    else if (why->zip_err == ZIP_ER_MEMORY)
        code = ERR_NOMEM;
    else if (why->zip_err == ZIP_ER_OPEN || why->zip_err == ZIP_ER_READ ||
             why->zip_err == ZIP_ER_SEEK)
        code = ERR_IO;
    else if (why->zip_err == ZIP_ER_COMPNOTSUPP ||
             why->zip_err == ZIP_ER_ENCRNOTSUPP ||
             why->zip_err == ZIP_ER_NOPASSWD)
        code = ERR_UNSUPPORTED;
    err_set(e, code, "zip archive: %s", zip_error_strerror(&copy));
    zip_error_fini(&copy);
    return code;
}

static bool name_is_plain(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > TORCH_ZIP_MAX_NAME || s[0] == '/')
        return false;
    for (const char *p = s; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\')
            return false;
        bool starts = p == s || p[-1] == '/';
        if (starts && p[0] == '.' && p[1] == '.' && (!p[2] || p[2] == '/'))
            return false;
    }
    return true;
}

static enum err_code look_at(struct torch_zip *z, zip_uint64_t i, struct err *e)
{
    struct zip_stat st;
    zip_stat_init(&st);
    if (zip_stat_index(z->zip, i, 0, &st) != 0)
        return zip_failed(zip_get_error(z->zip), e);
    const zip_uint64_t want =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
    if ((st.valid & want) != want)
        return err_set(e, ERR_DATA, "zip archive: entry %llu says too little",
                       (unsigned long long)i);
    if (!name_is_plain(st.name))
        return err_set(e, ERR_DATA,
                       "zip archive: entry %llu has an impossible name",
                       (unsigned long long)i);
    if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE)
        return err_set(e, ERR_UNSUPPORTED,
                       "zip archive: '%s' is compressed by method %u", st.name,
                       st.comp_method);
    if ((st.valid & ZIP_STAT_ENCRYPTION_METHOD) &&
        st.encryption_method != ZIP_EM_NONE)
        return err_set(e, ERR_UNSUPPORTED, "zip archive: '%s' is encrypted",
                       st.name);
    z->member[z->n++] = (struct member){st.name, i, (size_t)st.size};
    return OK;
}

static int by_name(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static enum err_code list(struct torch_zip *z, struct err *e)
{
    zip_int64_t n = zip_get_num_entries(z->zip, 0);
    if (n < 0 || n > TORCH_ZIP_MAX_ENTRIES)
        return err_set(e, ERR_DATA,
                       "zip archive: %lld entries, %d at most are read",
                       (long long)n, TORCH_ZIP_MAX_ENTRIES);
    z->member = mem_array((size_t)n + 1, sizeof *z->member);
    if (!z->member)
        return err_set(e, ERR_NOMEM, "no memory for a zip archive's list");
    for (zip_int64_t i = 0; i < n; i++) {
        enum err_code r = look_at(z, (zip_uint64_t)i, e);
        if (r)
            return r;
    }
    qsort(z->member, z->n, sizeof *z->member, by_name);
    for (size_t i = 1; i < z->n; i++) {
        if (strcmp(z->member[i].name, z->member[i - 1].name) == 0)
            return err_set(e, ERR_DATA, "zip archive: '%s' stands twice",
                           z->member[i].name);
    }
    return OK;
}

/* Takes source over, also on failure. */
static enum err_code open_source(zip_source_t *source, zip_error_t *why,
                                 struct torch_zip **out, struct err *e)
{
    if (!source)
        return zip_failed(why, e);
    enum err_code r = OK;
    struct torch_zip *z = mem_calloc(1, sizeof *z);
    if (!z)
        r = err_set(e, ERR_NOMEM, "no memory for a zip archive");
    if (z)
        z->zip = zip_open_from_source(source, ZIP_RDONLY, why);
    if (!z || !z->zip)
        zip_source_free(source);
    if (z && !z->zip)
        r = zip_failed(why, e);
    if (!r)
        r = list(z, e);
    if (r)
        torch_zip_close(&z);
    *out = z;
    return r;
}

enum err_code torch_zip_open(const char *path, struct torch_zip **out,
                             struct err *e)
{
    zip_error_t why;
    *out = NULL;
    zip_error_init(&why);
    enum err_code r =
        open_source(zip_source_file_create(path, 0, -1, &why), &why, out, e);
    zip_error_fini(&why);
    return r;
}

enum err_code torch_zip_parse(const void *data, size_t n,
                              struct torch_zip **out, struct err *e)
{
    zip_error_t why;
    *out = NULL;
    zip_error_init(&why);
    enum err_code r =
        open_source(zip_source_buffer_create(data, n, 0, &why), &why, out, e);
    zip_error_fini(&why);
    return r;
}

size_t torch_zip_count(const struct torch_zip *z)
{
    return z->n;
}

const char *torch_zip_name(const struct torch_zip *z, size_t i)
{
    return z->member[i].name;
}

size_t torch_zip_size(const struct torch_zip *z, size_t i)
{
    return z->member[i].size;
}

bool torch_zip_find(const struct torch_zip *z, const char *name, size_t *i)
{
    const struct member key = {.name = name};
    const struct member *m =
        bsearch(&key, z->member, z->n, sizeof key, by_name);
    if (m)
        *i = (size_t)(m - z->member);
    return m != NULL;
}

enum err_code torch_zip_extract(struct torch_zip *z, size_t i, size_t max,
                                struct buf *out, struct err *e)
{
    const struct member *m = &z->member[i];
    buf_init(out, max);
    if (m->size > max)
        return err_set(e, ERR_DATA,
                       "zip archive: '%s' unpacks to %zu bytes, more than %zu",
                       m->name, m->size, max);
    uint8_t *p = buf_reserve(out, m->size, e);
    if (!p)
        return ERR_NOMEM;
    zip_file_t *f = zip_fopen_index(z->zip, m->index, 0);
    if (!f)
        return zip_failed(zip_get_error(z->zip), e);
    enum err_code r = OK;
    zip_int64_t got = 1;
    while (!r && out->len < m->size && got > 0) {
        got = zip_fread(f, p + out->len, m->size - out->len);
        if (got > 0)
            out->len += (size_t)got;
    }
    /* One more read reaches the end, where the checksum is compared. */
    uint8_t extra;
    if (got >= 0 && out->len == m->size)
        got = zip_fread(f, &extra, 1);
    if (got < 0)
        r = zip_failed(zip_file_get_error(f), e);
    else if (out->len != m->size || got != 0)
        r = err_set(e, ERR_DATA, "its length is not %zu bytes", m->size);
    if (r && e)
        err_wrap(e, "'%s'", m->name);
    (void)zip_fclose(f);
    if (r)
        buf_free(out);
    return r;
}
