/* The tables of a run: CSV files that grow row by row. */
#include "lib/train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

#define MAX_LOG ((size_t)1 << 30)

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for a table");
}

/* Rows up to `last` of the old text; a last line without an end was being
 * written when the program was killed. */
static enum err_code keep_rows(const char *old, int64_t last, struct buf *out,
                               struct err *e)
{
    enum err_code r = OK;
    for (const char *end; !r && (end = strchr(old, '\n')); old = end + 1) {
        if (strtoll(old, NULL, 10) <= last)
            r = buf_put(out, old, (size_t)(end + 1 - old), e);
    }
    return r;
}

enum err_code train_log_open(const char *folder, const char *name,
                             const char *head, int64_t last, struct err *e)
{
    struct buf old, now;
    char *path = path_join(folder, name);
    char *aside = path ? mem_printf("%s.old", path) : NULL;
    buf_init(&old, MAX_LOG);
    buf_init(&now, MAX_LOG);
    enum err_code r = aside ? buf_printf(&now, e, "%s\n", head) : no_memory(e);
    if (!r && file_exists(path))
        r = file_read(path, MAX_LOG, &old, e);
    size_t n = strlen(head);
    if (!r && old.len) {
        const char *text = buf_str(&old);
        if (strncmp(text, head, n) == 0 && text[n] == '\n')
            r = keep_rows(text + n + 1, last, &now, e);
        else if (rename(path, aside) != 0)
            r = err_errno(e, ERR_IO, errno, "cannot rename '%s'", path);
    }
    if (!r)
        r = file_write_atomic(path, now.data, now.len, e);
    buf_free(&old);
    buf_free(&now);
    mem_free(aside);
    mem_free(path);
    return r;
}

enum err_code train_log_row(const char *folder, const char *name, struct err *e,
                            const char *fmt, ...)
{
    char row[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(row, sizeof row - 1, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof row - 1)
        return err_set(e, ERR_ARG, "a row of '%s' is too long", name);
    row[n++] = '\n';
    char *path = path_join(folder, name);
    if (!path)
        return no_memory(e);
    enum err_code r = OK;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        r = err_errno(e, ERR_IO, errno, "cannot open '%s'", path);
    else if (write(fd, row, (size_t)n) != n)
        r = err_errno(e, ERR_IO, errno, "cannot write '%s'", path);
    if (fd >= 0 && close(fd) != 0 && !r)
        r = err_errno(e, ERR_IO, errno, "cannot write '%s'", path);
    mem_free(path);
    return r;
}
