/* `facet tape get`: one field of one item, out of a tape into a file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/tape_text.h"
#include "cli/tape_verbs.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/data/numpy.h"
#include "lib/data/tape.h"
#include "lib/media/image.h"

#define MAX_OUT ((size_t)8 << 30)

const char tape_get_help[] =
    "usage: facet tape get [-n I] [-o OUT] TAPE FIELD\n"
    "\n"
    "Takes one field of one item out of a tape (`-` is standard input).\n"
    "\n"
    "  -n I            which item, from 0 (default 0)\n"
    "  -o, --out OUT   a picture (.png .jpg) for u8[H,W,3], u8[H,W,1] and\n"
    "                  u8[H,W]; .npy for any tensor but bf16; any other file\n"
    "                  gets the value as text. Default: text to standard\n"
    "                  output.\n"
    "\n"
    "Example: facet tape get -n 3 -o frame.png faces.tape frame\n";

/* numpy's format, version 1.0: magic, header length, a dictionary padded to 64
 * bytes, the elements. */
static enum err_code put_npy(const struct tensor *t, struct buf *b,
                             struct err *e)
{
    char h[256];
    uint8_t start[10] = "\x93NUMPY\x01";
    if (t->dtype == DT_BF16)
        return err_set(e, ERR_UNSUPPORTED, "numpy has no bf16");
    int n = snprintf(h, sizeof h,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     numpy_name(t->dtype));
    for (int i = 0; i < t->ndim; i++)
        n += snprintf(h + n, sizeof h - (size_t)n, "%" PRId64 ",", t->shape[i]);
    n += snprintf(h + n, sizeof h - (size_t)n, "), }");
    size_t total = ((size_t)n + sizeof start + 1 + 63) / 64 * 64;
    size_t length = total - sizeof start;
    start[8] = (uint8_t)(length & 0xff);
    start[9] = (uint8_t)(length >> 8);
    enum err_code code = buf_put(b, start, sizeof start, e);
    if (code == OK)
        code = buf_printf(b, e, "%s%*s\n", h, (int)length - n - 1, "");
    return code ? code : buf_put(b, t->data, t->bytes, e);
}

static enum err_code put_text(const struct field *f, struct buf *b,
                              struct err *e)
{
    enum err_code code = OK;
    switch (f->type) {
    case VAL_NIL:
        return buf_puts(b, "nil\n", e);
    case VAL_BOOL:
        return buf_puts(b, f->v.b ? "true\n" : "false\n", e);
    case VAL_I64:
        return buf_printf(b, e, "%" PRId64 "\n", f->v.i);
    case VAL_F64:
        return buf_printf(b, e, "%.17g\n", f->v.f);
    case VAL_STR:
        return buf_printf(b, e, "%s\n", f->v.s);
    case VAL_TENSOR:
        break;
    }
    const struct tensor *t = f->v.t;
    size_t row = t->ndim ? (size_t)t->shape[t->ndim - 1] : 1;
    for (size_t i = 0; i < t->count && code == OK; i++) {
        code = text_element(t, i, false, b, e);
        if (code == OK)
            code = buf_puts(b, (i + 1) % row ? " " : "\n", e);
    }
    return code;
}

static enum err_code put_field(const struct field *f, const char *out,
                               struct err *e)
{
    char ext[16];
    struct buf b;
    path_ext(out, ext);
    bool picture = strcmp(ext, "png") == 0 || strcmp(ext, "jpg") == 0 ||
                   strcmp(ext, "jpeg") == 0;
    bool npy = strcmp(ext, "npy") == 0;
    if ((picture || npy) && f->type != VAL_TENSOR)
        return err_set(e, ERR_ARG, "field '%s' is no tensor", f->name);
    if (picture)
        return image_write(out, f->v.t, NULL, e);
    buf_init(&b, MAX_OUT);
    enum err_code code = npy ? put_npy(f->v.t, &b, e) : put_text(f, &b, e);
    if (code == OK && strcmp(out, "-") != 0)
        code = file_write_atomic(out, b.data, b.len, e);
    else if (code == OK &&
             (fwrite(b.data, 1, b.len, stdout) != b.len || fflush(stdout) != 0))
        code = err_set(e, ERR_IO, "cannot write to standard output");
    buf_free(&b);
    return code;
}

/* Item number nr; ERR_NOTFOUND if the tape is shorter. */
static enum err_code find_item(const char *path, int64_t nr, struct item **out,
                               struct err *e)
{
    struct tape *t = tape_open_read(path, e);
    enum err_code code = t ? OK : e->code;
    for (int64_t i = 0; i <= nr && code == OK; i++) {
        item_free(out);
        code = tape_next(t, out, e);
        if (code == OK && !*out)
            code =
                err_set(e, ERR_NOTFOUND, "'%s' has %" PRId64 " items", path, i);
    }
    tape_abort(&t);
    return code;
}

static enum err_code get(const char *path, int64_t nr, const char *name,
                         const char *out, struct err *e)
{
    struct item *it = NULL;
    const char *names[ITEM_MAX_FIELDS];
    enum err_code code = find_item(path, nr, &it, e);
    const struct field *f = code == OK ? item_get(it, name) : NULL;
    if (f) {
        code = put_field(f, out, e);
    } else if (code == OK) {
        for (size_t i = 0; i < it->n; i++)
            names[i] = it->fields[i].name;
        const char *near = text_nearest(name, names, it->n);
        code = err_set(e, ERR_NOTFOUND,
                       "item %" PRId64 " has no field '%s'%s%s"
                       "%s",
                       nr, name, near ? " (did you mean '" : "",
                       near ? near : "", near ? "'?)" : "");
    }
    item_free(&it);
    return code;
}

int tape_get_run(int argc, char **argv)
{
    static const char *const options[] = {"--out", "-n", NULL};
    struct err e = {0};
    const char *out = "-", *arg[2] = {NULL, NULL}, *v;
    int missing = 0, n = 0;
    int64_t nr = 0;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if ((v = cli_value(argc, argv, &i, "-o", &missing)) ||
            (v = cli_value(argc, argv, &i, "--out", &missing))) {
            out = v;
        } else if ((v = cli_value(argc, argv, &i, "-n", &missing))) {
            if (!missing && (!text_to_i64(v, &nr) || nr < 0))
                return cli_usage("tape", "-n '%s' is not a number", v);
        } else if (option[0] == '-' && option[1]) {
            return cli_unknown("tape", option, options);
        } else if (n == 2) {
            return cli_usage("tape", "get takes a tape and a field");
        } else {
            arg[n++] = option;
        }
        if (missing)
            return cli_usage("tape", "%s needs a value", option);
    }
    if (n != 2)
        return cli_usage("tape", "get takes a tape and a field");
    enum err_code code = get(arg[0], nr, arg[1], out, &e);
    return code ? cli_fail("tape", &e, CLI_BROKEN) : CLI_OK;
}
