/* Where a sample's files stand in a store. */
#include "lib/store/layout.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"

#define ANY_NUMBER 1000000000 /* samples and views are smaller than this */

enum err_code store_check_key(enum store_layout layout,
                              const struct store_key *k, struct err *e)
{
    enum err_code rc = store_check_path(k->name, "name", STORE_PARTS, e);
    if (!rc)
        rc = store_check_path(k->snippet, "snippet", 1, e);
    if (!rc && k->sample >= ANY_NUMBER)
        rc = err_set(e, ERR_DATA, "sample %lld is out of range",
                     (long long)k->sample);
    if (!rc && k->face >= ANY_NUMBER)
        rc = err_set(e, ERR_DATA, "face %lld is out of range",
                     (long long)k->face);
    if (!rc && k->view >= ANY_NUMBER)
        rc = err_set(e, ERR_DATA, "view %lld is out of range",
                     (long long)k->view);
    if (rc || layout != STORE_IDENTITY)
        return rc;
    if (*k->set)
        rc = store_check_path(k->set, "set", 1, e);
    return rc ? rc : store_check_path(k->identity, "identity", 1, e);
}

/* Does s end as the number of a sample does, "_12"? With the next number behind
 * it, it would look like another's. */
static bool numbered(const char *s)
{
    size_t n = strlen(s), digits = 0;
    while (digits < n && s[n - 1 - digits] >= '0' && s[n - 1 - digits] <= '9')
        digits++;
    return digits && digits < n && s[n - 1 - digits] == '_';
}

/* name without its leading identity part and the snippet, as one path part.
 * Where joining could make two samples meet, a hash of the name is added. */
static char *flat_name(const struct store_key *k)
{
    const char *rest = k->name;
    size_t n = strlen(k->identity);
    bool led = text_starts(rest, k->identity) && (!rest[n] || rest[n] == '/');
    if (led)
        rest += rest[n] ? n + 1 : n;
    char *flat = mem_alloc(2 * strlen(rest) + 1);
    if (!flat)
        return NULL;
    char *w = flat;
    for (const char *p = rest; *p; p++) {
        *w++ = *p == '/' ? '_' : *p;
        if (*p == '/')
            *w++ = '_';
    }
    *w = 0;
    char *out = mem_printf("%s%s%s", flat, *rest ? "__" : "", k->snippet);
    mem_free(flat);
    if (!out || (led && !strstr(k->name, "__") && !strstr(k->snippet, "__") &&
                 !strstr(out, "___") && !numbered(k->snippet)))
        return out;
    uint64_t h = store_hash(1, k->name, strlen(k->name));
    char *longer =
        mem_printf("%s-%08llx", out, (unsigned long long)(h & 0xffffffffu));
    mem_free(out);
    return longer;
}

/* "<i>", "<i>_f<face>", with the view "<i>_07" or "<i>_f1_07". The first face
 * is named as an only one is. */
static void numbers(const struct store_key *k, bool face, bool view,
                    char out[64])
{
    size_t n = (size_t)snprintf(out, 64, "%lld", (long long)k->sample);
    if (face && k->face > 0)
        n += (size_t)snprintf(out + n, 64 - n, "_f%lld", (long long)k->face);
    if (view)
        (void)snprintf(out + n, 64 - n, "_%02lld",
                       (long long)(k->view < 0 ? 0 : k->view));
}

static char *identity_path(enum store_file file, const struct store_key *k,
                           const char *ext)
{
    char *flat = flat_name(k);
    char i[64];
    const char *set = *k->set ? k->set : "all";
    numbers(k, file != STORE_FRAME, file == STORE_GENERATED, i);
    char *out =
        flat ? mem_printf("%s/%s/%s_%s.%s", set, k->identity, flat, i, ext)
             : NULL;
    mem_free(flat);
    return out;
}

char *store_file_path(enum store_layout layout, enum store_file file,
                      const struct store_key *k, const char *ext)
{
    static const char *const stems[] = {"frame", "pose", "landmarks", "view"};
    char i[64];
    if (layout == STORE_IDENTITY)
        return identity_path(file, k, ext);
    bool frame = file == STORE_FRAME;
    numbers(k, !frame, !frame && k->view >= 0, i);
    return mem_printf("%s/%s/%s_%s.%s", k->name, k->snippet, stems[file], i,
                      ext);
}
