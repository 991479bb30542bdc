/* The content of source files, remembered beside a store. */
#include "lib/store/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/hash.h"
#include "lib/store/row.h"
#include "lib/store/scan.h"

#define CACHE_MAX ((size_t)2 << 30)
#define FLUSH_BYTES ((size_t)1 << 16)
#define SETTLED_NS ((int64_t)2000000000)
#define LINE 83 /* check of 16 digits, key of 32, hash of 32, tabs, newline */

struct slot {
    uint64_t key[2];
    char hash[32]; /* no NUL; [0] 0: free */
    bool sure;     /* read in this run, or believed */
};

struct sources {
    char *path; /* of the memory; NULL: none */
    bool bytes;
    struct slot *slots;
    size_t n, cap, read;
    struct buf out;            /* lines that are not written yet */
    int64_t (*now)(void *arg); /* NULL: the system's */
    void *clock;
};

static struct slot *slot_of(const struct sources *s, const uint64_t key[2])
{
    size_t i = (size_t)key[0] & (s->cap - 1);
    while (s->slots[i].hash[0] &&
           (s->slots[i].key[0] != key[0] || s->slots[i].key[1] != key[1]))
        i = (i + 1) & (s->cap - 1);
    return &s->slots[i];
}

static enum err_code grow(struct sources *s, struct err *e)
{
    struct sources bigger = {.cap = s->cap ? 2 * s->cap : 256};
    bigger.slots = mem_calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return err_set(e, ERR_NOMEM, "no memory for %zu sources", bigger.cap);
    for (size_t i = 0; i < s->cap; i++)
        if (s->slots[i].hash[0])
            *slot_of(&bigger, s->slots[i].key) = s->slots[i];
    mem_free(s->slots);
    s->slots = bigger.slots;
    s->cap = bigger.cap;
    return OK;
}

static enum err_code add(struct sources *s, const uint64_t key[2],
                         const char *hash, bool sure, struct err *e)
{
    if (2 * (s->n + 1) > s->cap) {
        enum err_code rc = grow(s, e);
        if (rc)
            return rc;
    }
    struct slot *slot = slot_of(s, key);
    s->n += !slot->hash[0];
    slot->key[0] = key[0];
    slot->key[1] = key[1];
    memcpy(slot->hash, hash, sizeof slot->hash);
    slot->sure = sure;
    return OK;
}

static bool read_hex(const char *p, size_t n, uint64_t *out)
{
    static const char digits[] = "0123456789abcdef";
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = memchr(digits, p[i], 16);
        if (!at)
            return false;
        *out = *out << 4 | (uint64_t)(at - digits);
    }
    return true;
}

/* What was remembered. Torn and damaged lines are left out; untrusted. */
static enum err_code load(struct sources *s, struct err *e)
{
    struct buf b;
    struct err why;
    if (!s->path || !file_exists(s->path) ||
        file_read(s->path, CACHE_MAX, &b, &why))
        return OK;
    enum err_code rc = OK;
    for (size_t at = 0; at + LINE <= b.len && !rc;) {
        const char *p = (const char *)b.data + at;
        const char *nl = memchr(p, '\n', b.len - at);
        uint64_t check, key[2], half[2];
        if (nl && nl - p == LINE - 1 && read_hex(p, 16, &check) &&
            check == store_hash(3, p + 17, LINE - 18) &&
            read_hex(p + 17, 16, &key[0]) && read_hex(p + 33, 16, &key[1]) &&
            read_hex(p + 50, 16, &half[0]) && read_hex(p + 66, 16, &half[1]))
            rc = add(s, key, p + 50, !s->bytes, e);
        if (!nl)
            break;
        at += (size_t)(nl - p) + 1;
    }
    buf_free(&b);
    return rc;
}

enum err_code sources_open(const char *root, bool bytes, struct sources **out,
                           struct err *e)
{
    *out = NULL;
    struct sources *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for the sources");
    s->bytes = bytes;
    buf_init(&s->out, 4 * FLUSH_BYTES);
    char *dir = *root ? path_join(root, STORE_DIR) : NULL;
    if (dir && file_is_dir(dir))
        s->path = path_join(root, STORE_SOURCES);
    mem_free(dir);
    enum err_code rc = grow(s, e);
    if (!rc)
        rc = load(s, e);
    if (rc)
        sources_close(&s);
    *out = s;
    return rc;
}

/* Append what is new, in one piece. A failure only means reading again. */
static void flush(struct sources *s)
{
    int fd = -1;
    if (s->path && s->out.len)
        fd = open(s->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0) {
        ssize_t n = write(fd, s->out.data, s->out.len);
        (void)n;
        close(fd);
    }
    s->out.len = 0;
}

static int64_t ns_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void key_of(const struct stat *st, uint64_t key[2])
{
    const int64_t stamp[5] = {(int64_t)st->st_dev, (int64_t)st->st_ino,
                              (int64_t)st->st_size, ns_of(&st->st_mtim),
                              ns_of(&st->st_ctim)};
    key[0] = store_hash(21, stamp, sizeof stamp);
    key[1] = store_hash(22, stamp, sizeof stamp);
}

static int64_t now_ns(const struct sources *s)
{
    struct timespec now;
    if (s->now)
        return s->now(s->clock);
    clock_gettime(CLOCK_REALTIME, &now);
    return ns_of(&now);
}

/* looked_ns: before the look that gave st, and so before the file was read. */
static void remember(struct sources *s, const struct stat *st,
                     int64_t looked_ns, const uint64_t key[2], const char *hex)
{
    struct err ignored;
    char line[LINE + 1];
    int64_t changed = ns_of(&st->st_mtim) > ns_of(&st->st_ctim)
                          ? ns_of(&st->st_mtim)
                          : ns_of(&st->st_ctim);
    if (!s->path || looked_ns - changed < SETTLED_NS)
        return;
    (void)snprintf(line, sizeof line, "%016x\t%016llx%016llx\t%s\n", 0u,
                   (unsigned long long)key[0], (unsigned long long)key[1], hex);
    char check[17];
    (void)snprintf(check, sizeof check, "%016llx",
                   (unsigned long long)store_hash(3, line + 17, LINE - 18));
    memcpy(line, check, 16);
    if (buf_put(&s->out, line, LINE, &ignored) || s->out.len > FLUSH_BYTES)
        flush(s);
}

enum err_code sources_hash(struct sources *s, const char *path, char hex[33],
                           struct err *e)
{
    struct stat st, after;
    uint64_t key[2], key_after[2];
    int64_t looked_ns = now_ns(s);
    if (stat(path, &st) != 0)
        return err_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
                         "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_IO, "'%s' is no regular file", path);
    key_of(&st, key);
    const struct slot *slot = slot_of(s, key);
    if (slot->hash[0] && slot->sure) {
        memcpy(hex, slot->hash, 32);
        hex[32] = 0;
        return OK;
    }
    enum err_code rc = hash_file(path, hex, e);
    if (rc)
        return rc;
    s->read++;
    if (stat(path, &after) != 0)
        return OK;
    key_of(&after, key_after);
    if (memcmp(key, key_after, sizeof key) == 0) { /* the file that was read */
        bool known = slot->hash[0] && memcmp(slot->hash, hex, 32) == 0;
        rc = add(s, key, hex, true, e);
        if (!rc && !known)
            remember(s, &st, looked_ns, key, hex);
    }
    return rc;
}

void sources_set_clock(struct sources *s, int64_t (*now)(void *arg), void *arg)
{
    s->now = now;
    s->clock = arg;
}

size_t sources_read(const struct sources *s)
{
    return s->read;
}

void sources_close(struct sources **sp)
{
    struct sources *s = *sp;
    if (!s)
        return;
    *sp = NULL;
    flush(s);
    buf_free(&s->out);
    mem_free(s->slots);
    mem_free(s->path);
    mem_free(s);
}
