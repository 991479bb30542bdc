/* CSV and .npy files as tensors, for `facet tape make`. */
#include <stdio.h>
#include <string.h>

#include "cli/tape_text.h"
#include "cli/tape_verbs.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "lib/base/text.h"
#include "lib/data/numpy.h"

#define MAX_FILE ((size_t)1 << 30)

/* Is this a line of names? */
static bool is_head(const struct table *t)
{
    double v;
    for (size_t i = 0; i < t->n; i++)
        if (text_to_f64(t->field[i], &v) || strchr(t->field[i], ','))
            return false;
    return true;
}

/* The table's size; whether its first line is one of names. */
struct size {
    size_t rows, columns;
    bool headed;
};

static enum err_code measure(struct table *t, struct size *s, struct err *e)
{
    enum err_code code;
    *s = (struct size){0};
    for (bool first = true; !(code = table_next(t, e)) && t->n; first = false) {
        if (first && is_head(t)) {
            s->headed = true;
            continue;
        }
        if (s->rows && t->n != s->columns)
            return err_set(e, ERR_DATA,
                           "'%s' line %zu has %zu columns, those before have "
                           "%zu",
                           t->path, t->line, t->n, s->columns);
        s->columns = t->n;
        s->rows++;
    }
    if (!code && s->rows == 0)
        code = err_set(e, ERR_DATA, "'%s' has no numbers", t->path);
    return code;
}

static enum err_code set_number(struct tensor *to, size_t i,
                                const struct table *t, size_t column,
                                struct err *e)
{
    char why[120];
    const char *s = t->field[column];
    if (!*s || strchr(s, ','))
        return err_set(e, ERR_DATA, "'%s' line %zu column %zu: %s", t->path,
                       t->line, column + 1, text_no_number(s, why, sizeof why));
    enum err_code code = text_set_element(to, i, s, e);
    return code ? err_wrap(e, "'%s' line %zu column %zu", t->path, t->line,
                           column + 1)
                : OK;
}

enum err_code tape_load_csv(const char *path, enum dtype d, struct tensor **out,
                            struct err *e)
{
    struct table t;
    struct size size;
    struct tensor *tensor = NULL;
    *out = NULL;
    enum err_code code = table_open(&t, path, MAX_FILE, e);
    if (code)
        return code;
    if ((code = measure(&t, &size, e)))
        goto done;
    const int64_t shape[2] = {(int64_t)size.rows, (int64_t)size.columns};
    size_t count, bytes;
    code = tensor_measure(d, 2, shape, MAX_FILE, &count, &bytes, e);
    if (code)
        goto done;
    tensor = tensor_new(d, 2, shape, e);
    if (!tensor)
        code = ERR_NOMEM;
    table_rewind(&t);
    if (!code && size.headed)
        code = table_next(&t, e);
    for (size_t r = 0; r < size.rows && code == OK; r++) {
        code = table_next(&t, e);
        for (size_t c = 0; c < t.n && code == OK; c++)
            code = set_number(tensor, r * size.columns + c, &t, c, e);
    }
done:
    table_close(&t);
    if (code)
        tensor_free(&tensor);
    *out = tensor;
    return code;
}

/* The text after 'key': in a .npy header, or NULL. */
static const char *npy_value(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *p = strstr(header, quoted);
    if (!p)
        return NULL;
    p += strlen(quoted);
    return p + strspn(p, " ");
}

/* The header dictionary, which numpy writes in one way only. */
static enum err_code npy_header(const char *h, enum dtype *d, int *ndim,
                                int64_t shape[TENSOR_MAX_DIMS], struct err *e)
{
    const char *type = npy_value(h, "descr");
    const char *order = npy_value(h, "fortran_order");
    const char *p = npy_value(h, "shape");
    if (!type || *type != '\'' || !order || !p || *p != '(')
        return err_set(e, ERR_DATA,
                       "no plain array (structured types are "
                       "not taken)");
    type++;
    enum err_code code = numpy_dtype(type, strcspn(type, "'"), d, e);
    if (code)
        return code;
    if (!text_starts(order, "False"))
        return err_set(e, ERR_UNSUPPORTED,
                       "Fortran order; save it with "
                       "np.ascontiguousarray");
    *ndim = 0;
    for (p++; *p && *p != ')'; p += strspn(p, ", ")) {
        char size[24] = "";
        size_t n = strspn(p, "0123456789");
        if (n < sizeof size)
            memcpy(size, p, n);
        if (*ndim == TENSOR_MAX_DIMS || !text_to_i64(size, &shape[*ndim]))
            return err_set(e, ERR_DATA, "a bad shape in the header");
        ++*ndim;
        p += n;
    }
    return OK;
}

enum err_code tape_load_npy(const char *path, struct tensor **out,
                            struct err *e)
{
    struct buf b;
    enum dtype d = DT_U8;
    int ndim = 0;
    int64_t shape[TENSOR_MAX_DIMS] = {0};
    size_t count, bytes = 0, at = 10, n = 0;
    char *header = NULL;
    *out = NULL;
    enum err_code code = file_read(path, MAX_FILE, &b, e);
    if (code)
        return code;
    if (b.len >= 12 && memcmp(b.data, "\x93NUMPY", 6) == 0) {
        n = b.data[8] + 256u * b.data[9];
        if (b.data[6] > 1) { /* versions 2 and 3: a 32-bit length */
            n += 65536u * b.data[10] + ((size_t)b.data[11] << 24);
            at = 12;
        }
    }
    if (n == 0 || n > 65536 || n > b.len - at)
        code = err_set(e, ERR_DATA, "not a .npy file");
    else if (!(header = mem_strndup((char *)b.data + at, n)))
        code = err_set(e, ERR_NOMEM, "no memory for its header");
    else
        code = npy_header(header, &d, &ndim, shape, e);
    if (code == OK)
        code = tensor_measure(d, ndim, shape, MAX_FILE, &count, &bytes, e);
    if (code == OK && b.len - at - n != bytes)
        code = err_set(e, ERR_DATA,
                       "%zu bytes of numbers, its shape needs "
                       "%zu",
                       b.len - at - n, bytes);
    if (code == OK && !(*out = tensor_new(d, ndim, shape, e)))
        code = ERR_NOMEM;
    if (code == OK && bytes)
        memcpy((*out)->data, b.data + at + n, bytes);
    mem_free(header);
    buf_free(&b);
    if (code)
        err_wrap(e, "'%s'", path);
    return code;
}
