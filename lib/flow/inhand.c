/* A shared page with the items in hand. */
#include "lib/flow/inhand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define PAGE 4096
#define SHOWN 4 /* items named; of a larger batch only the number is said */

struct page {
    _Atomic unsigned n;    /* items in hand */
    _Atomic int64_t since; /* 0: nothing is in work */
    char note[128];
    char text[PAGE - 2 * sizeof(int64_t) - 128];
};

struct inhand {
    struct page *page;
};

static void page_path(const char *dir, int index, char *out, size_t n)
{
    snprintf(out, n, "%s/p%d.hand", dir, index);
}

struct inhand *inhand_new(const char *dir, int index, struct err *e)
{
    char path[512];
    struct inhand *h = mem_calloc(1, sizeof *h);
    if (!h) {
        err_set(e, ERR_NOMEM, "no memory for the page of items in hand");
        return NULL;
    }
    page_path(dir, index, path, sizeof path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    void *p = MAP_FAILED;
    /* Written, not only sized: a full disk shows here and not as SIGBUS. */
    static const char zero[PAGE];
    if (fd >= 0 && write(fd, zero, PAGE) == PAGE)
        p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        err_errno(e, ERR_IO, errno, "cannot make '%s'", path);
        mem_free(h);
        h = NULL;
    } else {
        h->page = p;
    }
    if (fd >= 0)
        close(fd);
    return h;
}

void inhand_free(struct inhand **h)
{
    if (!*h)
        return;
    munmap((*h)->page, PAGE);
    mem_free(*h);
    *h = NULL;
}

void inhand_set(struct inhand *h, struct work *const *w, size_t n)
{
    size_t used = 0;
    atomic_store(&h->page->n, 0);
    atomic_store(&h->page->since, 0);
    h->page->note[0] = 0;
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        char label[300];
        int k = snprintf(h->page->text + used, sizeof h->page->text - used,
                         "%s%s", i ? ", " : "",
                         stage_label(w[i]->item, label, sizeof label));
        if (k > 0)
            used += (size_t)k;
    }
    atomic_store(&h->page->n, (unsigned)n);
    atomic_store(&h->page->since, n ? clock_ns() : 0);
}

void inhand_busy(struct inhand *h, const char *what)
{
    atomic_store(&h->page->n, 0);
    atomic_store(&h->page->since, 0);
    h->page->note[0] = 0;
    snprintf(h->page->text, sizeof h->page->text, "%s", what ? what : "");
    atomic_store(&h->page->since, what ? clock_ns() : 0);
}

void inhand_note(struct inhand *h, const char *text)
{
    snprintf(h->page->note, sizeof h->page->note, "%s", text);
}

void inhand_look(const char *dir, int index, struct inhand_view *out)
{
    char path[512];
    struct page page;
    *out = (struct inhand_view){0};
    page_path(dir, index, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, &page, sizeof page);
    close(fd);
    if (got != sizeof page)
        return;
    page.text[sizeof page.text - 1] = 0;
    page.note[sizeof page.note - 1] = 0;
    out->items = atomic_load(&page.n);
    out->since_ns = atomic_load(&page.since);
    if (out->items > SHOWN)
        snprintf(out->text, sizeof out->text, "%s and %zu more", page.text,
                 out->items - SHOWN);
    else
        snprintf(out->text, sizeof out->text, "%s", page.text);
    snprintf(out->note, sizeof out->note, "%s", page.note);
}

void inhand_read(const char *dir, int index, char *out, size_t n)
{
    struct inhand_view v;
    inhand_look(dir, index, &v);
    snprintf(out, n, "%s", v.items ? v.text : "");
}
