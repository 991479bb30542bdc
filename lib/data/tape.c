/* Tapes: reading and writing files and pipes of items. */
/* So that a hash state can live on the stack. */
#define XXH_STATIC_LINKING_ONLY
#include "lib/data/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

#define MAGIC "FACETTP1"
#define MAGIC_BYTES 8
/* Announced sizes are believed this far; then memory follows what came. */
#define CHUNK ((size_t)16 << 20)

struct tape {
    FILE *f;
    char *name; /* for messages */
    char *path; /* where a written file is to appear, or NULL */
    char *tmp;  /* where it is until then */
    bool owned; /* do we close f? */
    bool writing;
    bool broken;    /* something went wrong inside a record */
    uint64_t pos;   /* bytes read or written */
    uint64_t items; /* complete ones */
};

/* Little-endian numbers */

static void put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

/* Opening and closing */

static void tape_free(struct tape **t)
{
    struct tape *p = *t;
    *t = NULL;
    if (p->owned && p->f)
        fclose(p->f);
    mem_free(p->name);
    mem_free(p->path);
    mem_free(p->tmp);
    mem_free(p);
}

static struct tape *tape_make(FILE *f, const char *name, bool writing,
                              struct err *e)
{
    struct tape *t = mem_calloc(1, sizeof *t);
    if (t)
        t->name = mem_strdup(name);
    if (!t || !t->name) {
        err_set(e, ERR_NOMEM, "no memory for a tape");
        mem_free(t);
        return NULL;
    }
    t->f = f;
    t->writing = writing;
    return t;
}

static enum err_code write_bytes(struct tape *t, const void *p, size_t n,
                                 struct err *e)
{
    if (n && fwrite(p, 1, n, t->f) != n) {
        t->broken = true;
        return err_errno(e, ERR_IO, errno, "cannot write '%s'", t->name);
    }
    t->pos += n;
    return OK;
}

/* Read n bytes; a short read is an error that says where. */
static enum err_code read_bytes(struct tape *t, void *p, size_t n,
                                struct err *e)
{
    size_t got = n ? fread(p, 1, n, t->f) : 0;
    t->pos += got;
    if (got == n)
        return OK;
    t->broken = true;
    if (ferror(t->f))
        return err_errno(e, ERR_IO, errno, "cannot read '%s'", t->name);
    return err_set(e, ERR_DATA,
                   "'%s' ends inside item %" PRIu64 ", at byte %" PRIu64,
                   t->name, t->items, t->pos);
}

static enum err_code read_magic(struct tape *t, struct err *e)
{
    char magic[MAGIC_BYTES];
    size_t got = fread(magic, 1, sizeof magic, t->f);
    t->pos = got;
    if (got < sizeof magic && ferror(t->f))
        return err_errno(e, ERR_IO, errno, "cannot read '%s'", t->name);
    if (got == 0)
        return err_set(e, ERR_DATA,
                       "'%s' is empty; a tape has %d bytes at "
                       "least",
                       t->name, MAGIC_BYTES);
    if (memcmp(magic, MAGIC, got) != 0)
        return err_set(e, ERR_DATA, "'%s' is not a tape", t->name);
    if (got < sizeof magic)
        return err_set(e, ERR_DATA,
                       "'%s' ends at byte %zu, inside the "
                       "beginning of a tape",
                       t->name, got);
    return OK;
}

struct tape *tape_read_stream(FILE *f, const char *name, struct err *e)
{
    struct tape *t = tape_make(f, name, false, e);
    if (t && read_magic(t, e))
        tape_free(&t);
    return t;
}

struct tape *tape_write_stream(FILE *f, const char *name, struct err *e)
{
    return tape_make(f, name, true, e);
}

struct tape *tape_open_read(const char *path, struct err *e)
{
    if (strcmp(path, "-") == 0)
        return tape_read_stream(stdin, "standard input", e);
    FILE *f = fopen(path, "rbe");
    struct stat st;
    if (!f) {
        err_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
                  "cannot open '%s'", path);
        return NULL;
    }
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
        err_set(e, ERR_IO, "'%s' is a folder", path);
        fclose(f);
        return NULL;
    }
    struct tape *t = tape_make(f, path, false, e);
    if (!t) {
        fclose(f);
        return NULL;
    }
    t->owned = true;
    if (read_magic(t, e))
        tape_free(&t);
    return t;
}

/* Open a new file beside t->path, under a name that no other process uses. */
static enum err_code open_temporary(struct tape *t, struct err *e)
{
    char *stem = file_temporary_stem(t->path);
    int fd = -1;
    for (int i = 0; i < 100 && fd < 0; i++) {
        mem_free(t->tmp);
        t->tmp = stem ? mem_printf("%s%ld-%d", stem, (long)getpid(), i) : NULL;
        if (!t->tmp) {
            mem_free(stem);
            return err_set(e, ERR_NOMEM, "no memory for a path");
        }
        fd = open(t->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    mem_free(stem);
    if (fd >= 0)
        t->f = fdopen(fd, "wb");
    if (t->f)
        return OK;
    enum err_code code =
        err_errno(e, ERR_IO, errno, "cannot write '%s'", t->path);
    if (fd >= 0) {
        close(fd);
        unlink(t->tmp);
    }
    return code;
}

/* Make the folders above path. */
static enum err_code make_parents(const char *path, struct err *e)
{
    size_t n = (size_t)(path_base(path) - path);
    if (n == 0)
        return OK;
    char *dir = mem_strndup(path, n);
    if (!dir)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code code = file_mkdirs(dir, e);
    mem_free(dir);
    return code;
}

struct tape *tape_open_write(const char *path, struct err *e)
{
    struct stat st;
    if (strcmp(path, "-") == 0)
        return tape_write_stream(stdout, "standard output", e);
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) {
        err_set(e, ERR_IO, "'%s' is a folder", path);
        return NULL;
    }
    struct tape *t = tape_make(NULL, path, true, e);
    if (!t)
        return NULL;
    t->owned = true;
    if (there && !S_ISREG(st.st_mode)) { /* a pipe, /dev/null */
        t->f = fopen(path, "wbe");
        if (!t->f) {
            err_errno(e, ERR_IO, errno, "cannot write '%s'", path);
            goto fail;
        }
    } else {
        t->path = mem_strdup(path);
        if (!t->path) {
            err_set(e, ERR_NOMEM, "no memory for a path");
            goto fail;
        }
        if (make_parents(path, e) || open_temporary(t, e))
            goto fail;
    }
    return t;
fail:
    tape_free(&t);
    return NULL;
}

/* Everything on disk and under its name. */
static enum err_code publish(struct tape *t, struct err *e)
{
    if (fsync(fileno(t->f)) != 0)
        return err_errno(e, ERR_IO, errno, "cannot sync '%s'", t->tmp);
    FILE *f = t->f;
    t->f = NULL;
    if (fclose(f) != 0)
        return err_errno(e, ERR_IO, errno, "cannot write '%s'", t->tmp);
    enum err_code code = file_publish(t->tmp, t->path, e);
    if (code == OK) {
        mem_free(t->tmp);
        t->tmp = NULL;
    }
    return code;
}

enum err_code tape_close(struct tape **tape, struct err *e)
{
    struct tape *t = *tape;
    enum err_code code = OK;
    if (!t)
        return OK;
    if (t->writing && t->broken)
        code =
            err_set(e, ERR_STATE, "'%s' was not written completely", t->name);
    else if (t->writing)
        code = tape_flush(t, e);
    if (t->writing && t->path && code == OK)
        code = publish(t, e);
    if (code)
        tape_abort(tape);
    else
        tape_free(tape);
    return code;
}

void tape_abort(struct tape **t)
{
    if (!*t)
        return;
    if ((*t)->tmp)
        unlink((*t)->tmp);
    tape_free(t);
}

/* Writing */

/* The head of a tape, once: it comes with the first item or with the end, so
 * that a program which fails before has written nothing. */
static enum err_code begin(struct tape *t, struct err *e)
{
    return t->pos ? OK : write_bytes(t, MAGIC, MAGIC_BYTES, e);
}

enum err_code tape_flush(struct tape *t, struct err *e)
{
    enum err_code code = begin(t, e);
    if (code)
        return code;
    if (fflush(t->f) == 0)
        return OK;
    t->broken = true;
    return err_errno(e, ERR_IO, errno, "cannot write '%s'", t->name);
}

enum err_code tape_put(struct tape *t, const struct item *it, struct err *e)
{
    struct wire_msg msg;
    uint8_t head[4 + 8 * WIRE_MAX_PARTS], sum[8];
    if (!t->writing || t->broken)
        return err_set(e, ERR_STATE, "'%s' cannot be written to", t->name);
    enum err_code code = wire_encode(it, &msg, e);
    if (code)
        return code;
    code = begin(t, e);

    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    put_le(head, msg.n, 4);
    for (size_t i = 0; i < msg.n; i++)
        put_le(head + 4 + 8 * i, msg.part[i].size, 8);
    size_t n = 4 + 8 * msg.n;
    XXH3_64bits_update(&hash, head, n);
    if (code == OK)
        code = write_bytes(t, head, n, e);
    for (size_t i = 0; i < msg.n && code == OK; i++) {
        XXH3_64bits_update(&hash, msg.part[i].data, msg.part[i].size);
        code = write_bytes(t, msg.part[i].data, msg.part[i].size, e);
    }
    put_le(sum, XXH3_64bits_digest(&hash), sizeof sum);
    if (code == OK)
        code = write_bytes(t, sum, sizeof sum, e);
    if (code == OK)
        t->items++;
    wire_msg_free(&msg);
    return code;
}

/* Reading */

/* One part of `size` bytes. Memory grows as the bytes arrive, so that a short
 * tape which announces a lot takes little. */
static enum err_code read_part(struct tape *t, size_t size,
                               struct wire_part *part, struct err *e)
{
    size_t have = 0, cap = size < CHUNK ? size : CHUNK;
    uint8_t *p = mem_aligned(cap ? cap : 1);
    enum err_code code = OK;
    for (;;) {
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory for %zu bytes of '%s'", cap,
                           t->name);
        code = read_bytes(t, p + have, cap - have, e);
        if (code || cap == size)
            break;
        have = cap;
        cap = size - cap < cap ? size : 2 * cap;
        uint8_t *grown = mem_aligned(cap);
        if (grown)
            memcpy(grown, p, have);
        mem_free(p);
        p = grown;
    }
    if (code) {
        mem_free(p);
        return code;
    }
    *part = (struct wire_part){
        .data = p, .size = size, .release = mem_free, .owner = p};
    return OK;
}

/* Part count (already in head[0..3]) and sizes, checked. */
static enum err_code read_sizes(struct tape *t, uint8_t *head, size_t *n,
                                size_t size[WIRE_MAX_PARTS], struct err *e)
{
    const struct wire_caps *caps = &wire_caps_default;
    uint64_t parts = get_le(head, 4), total = 0;
    if (parts < 1 || parts > WIRE_MAX_PARTS)
        return err_set(e, ERR_DATA,
                       "'%s' is damaged: item %" PRIu64 ", at byte %" PRIu64
                       ", announces %" PRIu64 " parts",
                       t->name, t->items, t->pos - 4, parts);
    *n = (size_t)parts;
    enum err_code code = read_bytes(t, head + 4, 8 * *n, e);
    if (code)
        return code;
    for (size_t i = 0; i < *n; i++) {
        uint64_t v = get_le(head + 4 + 8 * i, 8);
        if (v > caps->max_bytes || (total += v) > caps->max_bytes ||
            (i == 0 && v > caps->max_header))
            return err_set(e, ERR_DATA,
                           "'%s' is damaged or too large: item %" PRIu64
                           ", before byte %" PRIu64
                           ", announces a part of %" PRIu64 " bytes",
                           t->name, t->items, t->pos, v);
        size[i] = (size_t)v;
    }
    return OK;
}

/* A whole record, its checksum verified; msg->n == 0 at a clean end. */
static enum err_code read_record(struct tape *t, struct wire_msg *msg,
                                 struct err *e)
{
    uint8_t head[4 + 8 * WIRE_MAX_PARTS], sum[8];
    size_t size[WIRE_MAX_PARTS], n = 0;
    XXH3_state_t hash;
    msg->n = 0;

    int first = fgetc(t->f);
    if (first == EOF && !ferror(t->f))
        return OK;
    if (first == EOF)
        return err_errno(e, ERR_IO, errno, "cannot read '%s'", t->name);
    head[0] = (uint8_t)first;
    t->pos++;
    enum err_code code = read_bytes(t, head + 1, 3, e);
    if (code == OK)
        code = read_sizes(t, head, &n, size, e);
    XXH3_64bits_reset(&hash);
    XXH3_64bits_update(&hash, head, 4 + 8 * n);
    for (size_t i = 0; i < n && code == OK; i++) {
        code = read_part(t, size[i], &msg->part[i], e);
        if (code)
            break;
        msg->n++;
        XXH3_64bits_update(&hash, msg->part[i].data, size[i]);
    }
    if (code == OK)
        code = read_bytes(t, sum, sizeof sum, e);
    if (code == OK && get_le(sum, 8) != XXH3_64bits_digest(&hash))
        code = err_set(e, ERR_DATA,
                       "'%s' is damaged: the checksum of item %" PRIu64
                       ", which ends at byte %" PRIu64 ", does not match",
                       t->name, t->items, t->pos);
    if (code)
        wire_msg_free(msg);
    return code;
}

enum err_code tape_next(struct tape *t, struct item **out, struct err *e)
{
    struct wire_msg msg;
    struct err why = {0};
    *out = NULL;
    if (t->writing || t->broken)
        return err_set(e, ERR_STATE, "'%s' cannot be read from", t->name);
    uint64_t start = t->pos;
    enum err_code code = read_record(t, &msg, e);
    if (code) {
        t->broken = true;
        return code;
    }
    if (msg.n == 0)
        return OK;
    code = wire_decode(&msg, NULL, out, &why);
    if (code)
        return err_set(e, code,
                       "'%s', item %" PRIu64 ", at byte %" PRIu64 ": %s",
                       t->name, t->items++, start, why.text);
    t->items++;
    return OK;
}
