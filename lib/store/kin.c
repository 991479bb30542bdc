/* Which recipes of a store belong together. */
#include "lib/store/kin.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/scan.h"

#define SUFFIX ".kin"
#define KIN_MAX ((size_t)1 << 20)

struct note {
    char *recipe, *text; /* text: a hash a line */
};

struct store_kin {
    struct note *notes;
    size_t n;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for a store's settings");
}

/* One file; a name that ends in SUFFIX. */
static enum err_code add(struct store_kin *k, const char *dir, const char *name,
                         struct err *e)
{
    struct note *grown = mem_resize(k->notes, k->n + 1, sizeof *grown);
    if (!grown)
        return no_memory(e);
    k->notes = grown;
    struct note *note = &grown[k->n];
    struct buf b = {0};
    struct err why = {0};
    char *path = path_join(dir, name);
    enum err_code rc = path ? file_read(path, KIN_MAX, &b, &why) : no_memory(e);
    mem_free(path);
    if (path && rc == ERR_NOTFOUND)
        return OK; /* its writer has no kin any more, since the listing */
    if (path && rc)
        return err_set(e, rc, "%s", why.text);
    if (!rc)
        rc = buf_puts(&b, "", e);
    if (!rc) {
        note->recipe = mem_strndup(name, strlen(name) - strlen(SUFFIX));
        note->text = mem_strdup(buf_str(&b));
        k->n++; /* also when one of them is missing: they are freed with it */
        if (!note->recipe || !note->text)
            rc = no_memory(e);
    }
    buf_free(&b);
    return rc;
}

enum err_code store_kin_load(const char *root, struct store_kin **out,
                             struct err *e)
{
    *out = NULL;
    struct store_kin *k = mem_calloc(1, sizeof *k);
    char *dir = k ? path_join(root, STORE_RECIPES) : NULL;
    enum err_code rc = dir ? OK : no_memory(e);
    DIR *d = dir ? opendir(dir) : NULL;
    if (!rc && !d && errno != ENOENT && errno != ENOTDIR)
        rc = err_errno(e, ERR_IO, errno, "cannot open folder '%s'", dir);
    while (!rc && d) {
        errno = 0;
        struct dirent *entry = readdir(d);
        if (!entry && errno)
            rc = err_errno(e, ERR_IO, errno, "cannot read folder '%s'", dir);
        if (!entry)
            break;
        if (entry->d_name[0] != '.' && text_ends(entry->d_name, SUFFIX))
            rc = add(k, dir, entry->d_name, e);
    }
    if (d)
        closedir(d);
    mem_free(dir);
    if (rc)
        store_kin_free(&k);
    *out = k;
    return rc;
}

void store_kin_free(struct store_kin **kp)
{
    struct store_kin *k = *kp;
    if (!k)
        return;
    *kp = NULL;
    for (size_t i = 0; i < k->n; i++) {
        mem_free(k->notes[i].recipe);
        mem_free(k->notes[i].text);
    }
    mem_free(k->notes);
    mem_free(k);
}

/* Does the note of `recipe` have the line `other`? */
static bool names(const struct store_kin *k, const char *recipe,
                  const char *other)
{
    size_t n = strlen(other);
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->notes[i].recipe, recipe) != 0)
            continue;
        for (const char *p = k->notes[i].text; *p;) {
            size_t line = strcspn(p, "\n");
            if (line == n && memcmp(p, other, n) == 0)
                return true;
            p += line + (p[line] == '\n');
        }
    }
    return false;
}

bool store_kin_are(const struct store_kin *k, const char *a, const char *b)
{
    return strcmp(a, b) == 0 ||
           (k && *a && *b && names(k, a, b) && names(k, b, a));
}

enum err_code store_kin_note(const char *root, const char *recipe,
                             const char (*kin)[33], size_t n, struct err *e)
{
    if (!*recipe)
        return OK;
    struct buf b;
    buf_init(&b, KIN_MAX);
    char *path = mem_printf("%s/" STORE_RECIPES "/%s" SUFFIX, root, recipe);
    enum err_code rc = path ? OK : no_memory(e);
    size_t others = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        others += strcmp(kin[i], recipe) != 0;
        rc = buf_printf(&b, e, "%s\n", kin[i]);
    }
    if (!rc && others)
        rc = file_remove_temporaries(path, e); /* of a killed writer */
    if (!rc && others)
        rc = file_write_atomic(path, b.data, b.len, e);
    else if (!rc && unlink(path) != 0 && errno != ENOENT)
        rc = err_errno(e, ERR_IO, errno, "cannot remove '%s'", path);
    buf_free(&b);
    mem_free(path);
    return rc;
}
