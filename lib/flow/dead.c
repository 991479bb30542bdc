/* The dead-letter store. */
#include "lib/flow/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/tape.h"

#define TEXT_MAX (2u << 20)

static char *letter(const char *dead, const char *stage,
                    const struct item_id *id, const char *ext)
{
    char hex[33];
    item_id_hex(id, hex);
    return mem_printf("%s/%s/%s%s", dead, stage, hex, ext);
}

/* One line, whatever the text holds. */
static enum err_code put_str(struct buf *b, const char *name, const char *s,
                             struct err *e)
{
    size_t from = 0;
    enum err_code rc = buf_printf(b, e, "%s: ", name);
    if (!rc)
        from = b->len;
    if (!rc)
        rc = buf_printf(b, e, "%.4000s\n", s);
    if (!rc)
        text_plain((char *)b->data + from, b->len - from - 1);
    return rc;
}

/* Several lines, each set in. */
static enum err_code put_lines(struct buf *b, const char *name, const char *s,
                               struct err *e)
{
    enum err_code rc = buf_printf(b, e, "%s:\n", name);
    while (!rc && *s) {
        size_t n = strcspn(s, "\n"), from = b->len + 2;
        rc = buf_printf(b, e, "  %.*s\n", n > 4000 ? 4000 : (int)n, s);
        if (!rc)
            text_plain((char *)b->data + from, b->len - from - 1);
        s += n + (s[n] == '\n');
    }
    return rc;
}

static enum err_code put_field(struct buf *b, const struct field *f,
                               struct err *e)
{
    char shape[128];
    switch (f->type) {
    case VAL_NIL:
        return buf_printf(b, e, "%s: nil\n", f->name);
    case VAL_BOOL:
        return buf_printf(b, e, "%s: %s\n", f->name, f->v.b ? "true" : "false");
    case VAL_I64:
        return buf_printf(b, e, "%s: %" PRId64 "\n", f->name, f->v.i);
    case VAL_F64:
        return buf_printf(b, e, "%s: %.17g\n", f->name, f->v.f);
    case VAL_STR:
        if (strcmp(f->name, "error_trace") == 0)
            return put_lines(b, f->name, f->v.s, e);
        return put_str(b, f->name, f->v.s, e);
    case VAL_TENSOR:
        return buf_printf(b, e, "%s: %s\n", f->name,
                          tensor_describe(f->v.t, shape, sizeof shape));
    }
    return OK;
}

static enum err_code write_text(const char *path, const struct item *it,
                                struct err *e)
{
    struct buf b;
    char hex[33];
    item_id_hex(&it->id, hex);
    buf_init(&b, TEXT_MAX);
    enum err_code rc = buf_printf(&b, e, "id: %s\n", hex);
    for (int errors = 1; errors >= 0; errors--) /* the reason comes first */
        for (size_t i = 0; !rc && i < it->n; i++)
            if ((strncmp(it->fields[i].name, "error_", 6) == 0) ==
                (errors == 1))
                rc = put_field(&b, &it->fields[i], e);
    if (!rc)
        rc = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    return rc;
}

static enum err_code write_tape(const char *path, const struct item *it,
                                struct err *e)
{
    struct tape *t = tape_open_write(path, e);
    if (!t)
        return e->code;
    enum err_code rc = tape_put(t, it, e);
    if (rc)
        tape_abort(&t);
    else
        rc = tape_close(&t, e);
    return rc;
}

enum err_code dead_write(const char *dead, const char *stage,
                         const struct item *it, struct err *e)
{
    struct err own = {0};
    char *folder = mem_printf("%s/%s", dead, stage);
    char *tape = letter(dead, stage, &it->id, ".tape");
    char *text = letter(dead, stage, &it->id, ".txt");
    enum err_code rc = OK;
    if (!folder || !tape || !text)
        rc = err_set(&own, ERR_NOMEM, "no memory for a path");
    if (!rc)
        rc = file_mkdirs(folder, &own);
    if (!rc)
        rc = write_tape(tape, it, &own);
    if (!rc)
        rc = write_text(text, it, &own);
    mem_free(folder);
    mem_free(tape);
    mem_free(text);
    if (rc)
        return err_set(e, rc, "cannot set a failed item aside: %s", own.text);
    return OK;
}

bool dead_any(const char *dead, const char *stage)
{
    char *folder = mem_printf("%s/%s", dead, stage);
    bool any = folder && file_is_dir(folder);
    mem_free(folder);
    return any;
}

void dead_clear(const char *dead, const char *stage, const struct item_id *id)
{
    char *tape = letter(dead, stage, id, ".tape");
    char *text = letter(dead, stage, id, ".txt");
    if (tape && text) {
        (void)!unlink(tape);
        (void)!unlink(text);
    }
    mem_free(tape);
    mem_free(text);
}
