/* A row of a sample store: encoding, order, words. */
#include "lib/store/row.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/text.h"
#include "lib/data/hash.h"

const char *const store_columns[STORE_COLS] = {
    [COL_NAME] = "name",
    [COL_SNIPPET] = "snippet",
    [COL_N_FRAMES] = "n_frames",
    [COL_SET] = "set",
    [COL_SAMPLE] = "i",
    [COL_VIEW] = "view",
    [COL_N_VIEWS] = "n_views",
    [COL_IDENTITY] = "identity",
    [COL_STATUS] = "status",
    [COL_REASON] = "reason",
    [COL_STAGE] = "stage",
    [COL_SOURCE] = "source",
    [COL_PTS_NS] = "pts_ns",
    [COL_FRAME_INDEX] = "frame_index",
    [COL_WIDTH] = "width",
    [COL_HEIGHT] = "height",
    [COL_FRAME] = "frame",
    [COL_POSE] = "pose",
    [COL_LANDMARKS] = "landmarks",
    [COL_GENERATED] = "generated",
    [COL_METHOD] = "method",
    [COL_MODEL] = "model",
    [COL_RX_DEG] = "rx_deg",
    [COL_RY_DEG] = "ry_deg",
    [COL_RZ_DEG] = "rz_deg",
    [COL_SEED] = "seed",
    [COL_NOTE] = "note",
    [COL_FACE] = "face",
    [COL_FACES] = "faces",
    [COL_ITEM] = "item",
    [COL_RECIPE] = "recipe",
    [COL_SOURCE_HASH] = "source_hash",
    [COL_FRAME_SUM] = "frame_sum",
    [COL_POSE_SUM] = "pose_sum",
    [COL_LANDMARKS_SUM] = "landmarks_sum",
    [COL_GENERATED_SUM] = "generated_sum",
};
const enum store_col store_file_cols[STORE_FILES] = {
    COL_FRAME, COL_POSE, COL_LANDMARKS, COL_GENERATED};
const enum store_col store_sum_cols[STORE_FILES] = {
    COL_FRAME_SUM, COL_POSE_SUM, COL_LANDMARKS_SUM, COL_GENERATED_SUM};

static const char hex_digits[] = "0123456789abcdef";

void store_row_clear(struct store_row *r)
{
    for (int c = 0; c < STORE_COLS; c++)
        r->v[c] = "";
}

bool store_row_ok(const struct store_row *r)
{
    return strcmp(r->v[COL_STATUS], "ok") == 0;
}

int64_t store_row_i64(const struct store_row *r, enum store_col c,
                      int64_t fallback)
{
    int64_t v;
    return text_to_i64(r->v[c], &v) ? v : fallback;
}

int store_row_compare_snippet(const struct store_row *a,
                              const struct store_row *b)
{
    int d = strcmp(a->v[COL_NAME], b->v[COL_NAME]);
    return d ? d : strcmp(a->v[COL_SNIPPET], b->v[COL_SNIPPET]);
}

static int compare_i64(const struct store_row *a, const struct store_row *b,
                       enum store_col c)
{
    int64_t x = store_row_i64(a, c, -1), y = store_row_i64(b, c, -1);
    return (x > y) - (x < y);
}

int store_row_compare(const struct store_row *a, const struct store_row *b)
{
    int d = store_row_compare_snippet(a, b);
    if (!d)
        d = compare_i64(a, b, COL_SAMPLE);
    if (!d)
        d = compare_i64(a, b, COL_FACE);
    return d ? d : compare_i64(a, b, COL_VIEW);
}

bool store_row_same_key(const struct store_row *a, const struct store_row *b)
{
    return strcmp(a->v[COL_RECIPE], b->v[COL_RECIPE]) == 0 &&
           strcmp(a->v[COL_SOURCE_HASH], b->v[COL_SOURCE_HASH]) == 0;
}

void store_sum(const void *data, size_t n, char out[STORE_SUM])
{
    char hex[33];
    hash_bytes(data, n, hex);
    (void)snprintf(out, STORE_SUM, "%zu-%s", n, hex);
}

enum err_code store_sum_file(const char *path, char out[STORE_SUM],
                             struct err *e)
{
    struct stat st;
    char hex[33];
    enum err_code rc = hash_file(path, hex, e);
    if (!rc && stat(path, &st) != 0)
        rc = err_errno(e, ERR_IO, errno, "cannot look at '%s'", path);
    if (!rc)
        (void)snprintf(out, STORE_SUM, "%zu-%s", (size_t)st.st_size, hex);
    return rc;
}

bool store_sum_fits(const char *path, const char *sum)
{
    struct stat st;
    char size[STORE_SUM];
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
        return false;
    size_t n = (size_t)snprintf(size, sizeof size, "%zu-", (size_t)st.st_size);
    return !*sum || strncmp(size, sum, n) == 0;
}

bool store_sum_matches(const char *path, const char *sum)
{
    struct err why;
    char hex[33];
    const char *dash = strchr(sum, '-');
    return dash && store_sum_fits(path, sum) &&
           hash_file(path, hex, &why) == OK && strcmp(dash + 1, hex) == 0;
}

uint64_t store_hash(uint64_t seed, const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t h = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    h ^= h >> 30; /* splitmix64's finaliser: FNV's high bits are weak */
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 27;
    h *= 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static void put_hash(const void *p, size_t n, char out[16])
{
    uint64_t h = store_hash(0, p, n);
    for (int i = 15; i >= 0; i--, h >>= 4)
        out[i] = hex_digits[h & 15];
}

static enum err_code put_escaped(struct buf *b, const char *s, struct err *e)
{
    for (; *s; s++) {
        uint8_t c = (uint8_t)*s;
        char esc[3] = {'%', hex_digits[c >> 4], hex_digits[c & 15]};
        bool plain = c >= 0x20 && c != 0x7f && c != '%';
        enum err_code rc = plain ? buf_put(b, s, 1, e) : buf_put(b, esc, 3, e);
        if (rc)
            return rc;
    }
    return OK;
}

enum err_code store_row_encode(const struct store_row *r, struct buf *b,
                               struct err *e)
{
    size_t start = b->len;
    enum err_code rc = buf_put(b, "0000000000000000", 16, e);
    for (int c = 0; !rc && c < STORE_COLS; c++) {
        rc = buf_put(b, "\t", 1, e);
        if (!rc)
            rc = put_escaped(b, r->v[c], e);
    }
    if (!rc)
        rc = buf_put(b, "\n", 1, e);
    if (!rc && b->len - start > STORE_LINE_MAX)
        rc = err_set(e, ERR_DATA, "a row of %zu bytes is too long for a store",
                     b->len - start);
    if (rc) {
        b->len = start;
        return rc;
    }
    put_hash(b->data + start + 17, b->len - start - 18,
             (char *)b->data + start);
    return OK;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX back to bytes, in place. false for a bad escape or a NUL. */
static bool unescape(char *s)
{
    char *w = s;
    for (; *s; s++) {
        if (*s != '%') {
            *w++ = *s;
            continue;
        }
        int hi = hex_value(s[1]);
        int lo = hi < 0 ? -1 : hex_value(s[2]);
        if (lo < 0 || hi + lo == 0)
            return false;
        *w++ = (char)(hi * 16 + lo);
        s += 2;
    }
    *w = 0;
    return true;
}

bool store_row_decode(char *line, size_t n, struct store_row *r)
{
    char sum[16];
    if (n < 17 || n >= STORE_LINE_MAX || line[16] != '\t' || memchr(line, 0, n))
        return false;
    put_hash(line + 17, n - 17, sum);
    if (memcmp(sum, line, 16) != 0)
        return false;
    char *p = line + 17;
    for (int c = 0; c < STORE_COLS; c++) {
        char *tab = strchr(p, '\t');
        if (!tab && c == STORE_COLS_1 - 1) { /* a row of format 1 */
            for (int k = c + 1; k < STORE_COLS; k++)
                r->v[k] = "";
            r->v[c] = p;
            return unescape(p);
        }
        if ((tab != NULL) != (c < STORE_COLS - 1))
            return false;
        if (tab)
            *tab = 0;
        r->v[c] = p;
        char *next = tab ? tab + 1 : NULL;
        if (!unescape(p))
            return false;
        p = next;
    }
    return true;
}

enum err_code store_row_csv_header(struct buf *b, struct err *e)
{
    enum err_code rc = OK;
    for (int c = 0; !rc && c < STORE_COLS; c++)
        rc = buf_printf(b, e, "%s%s", c ? "," : "", store_columns[c]);
    return rc ? rc : buf_put(b, "\n", 1, e);
}

enum err_code store_row_csv(const struct store_row *r, struct buf *b,
                            struct err *e)
{
    enum err_code rc = OK;
    for (int c = 0; !rc && c < STORE_COLS; c++) {
        if (c)
            rc = buf_put(b, ",", 1, e);
        if (!rc)
            rc = csv_put(b, r->v[c], e);
    }
    return rc ? rc : buf_put(b, "\n", 1, e);
}

const char *store_status(enum err_code code, bool decoding)
{
    switch (code) {
    case OK:
        return "ok";
    case ERR_NOFACE:
        return "no face";
    case ERR_DATA:
        return decoding ? "decode error" : "bad data";
    case ERR_UNSUPPORTED:
        return "unsupported";
    case ERR_IO:
        return "read error";
    case ERR_NOTFOUND:
        return "not found";
    case ERR_NOMEM:
        return "out of memory";
    case ERR_ARG:
    case ERR_CANCEL:
    case ERR_STATE:
    case ERR_COUNT:
        break;
    }
    return "error";
}
