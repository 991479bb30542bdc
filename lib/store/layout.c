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

static char *identity_path(enum store_file file, const struct store_key *k,
                           const char *ext)
{
    char *flat = flat_name(k);
    char *out = NULL;
    const char *set = *k->set ? k->set : "all";
    if (flat && file == STORE_GENERATED)
        out = mem_printf("%s/%s/%s_%lld_%02lld.%s", set, k->identity, flat,
                         (long long)k->sample,
                         (long long)(k->view < 0 ? 0 : k->view), ext);
    else if (flat)
        out = mem_printf("%s/%s/%s_%lld.%s", set, k->identity, flat,
                         (long long)k->sample, ext);
    mem_free(flat);
    return out;
}

char *store_file_path(enum store_layout layout, enum store_file file,
                      const struct store_key *k, const char *ext)
{
    static const char *const stems[] = {"frame", "pose", "landmarks", "view"};
    if (layout == STORE_IDENTITY)
        return identity_path(file, k, ext);
    if (k->view >= 0 && file != STORE_FRAME)
        return mem_printf("%s/%s/%s_%lld_%02lld.%s", k->name, k->snippet,
                          stems[file], (long long)k->sample, (long long)k->view,
                          ext);
    return mem_printf("%s/%s/%s_%lld.%s", k->name, k->snippet, stems[file],
                      (long long)k->sample, ext);
}
