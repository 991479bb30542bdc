/* Laying a folder of cells out as one picture. */
#include "lib/store/sheet_compose.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/media/font.h"
#include "lib/media/image.h"
#include "lib/media/resize.h"
#include "lib/store/store.h"

#define GAP 4
#define CELL_LEVEL 3
#define SHEET_LEVEL 6
#define CELL_FILE_MAX ((size_t)64 << 20)
#define SHEET_MAX_PIXELS ((size_t)1 << 28)

static const uint8_t paper[3] = {255, 255, 255};
static const uint8_t empty[3] = {232, 232, 232};
static const uint8_t ink[3] = {40, 40, 40};

static void fill(struct tensor *t, int64_t x0, int64_t y0, int64_t w, int64_t h,
                 const uint8_t rgb[3])
{
    int64_t width = t->shape[1];
    uint8_t *p = tensor_u8(t);
    for (int64_t y = y0; y < y0 + h && y < t->shape[0]; y++)
        for (int64_t x = x0; x < x0 + w && x < width; x++)
            for (int c = 0; c < 3; c++)
                p[(y * width + x) * 3 + c] = rgb[c];
}

/* Copy src into dst with its corner at (x, y); it fits. */
static void paste(struct tensor *dst, int64_t x, int64_t y,
                  const struct tensor *src)
{
    size_t row = (size_t)src->shape[1] * 3;
    for (int64_t j = 0; j < src->shape[0]; j++)
        memcpy(tensor_u8(dst) + ((y + j) * dst->shape[1] + x) * 3,
               (const uint8_t *)src->data + (size_t)j * row, row);
}

/* src made to fit a square of side, its aspect kept. */
static struct tensor *fit(const struct tensor *src, int64_t side, struct err *e)
{
    int64_t h = src->shape[0], w = src->shape[1];
    int64_t longer = h > w ? h : w;
    int64_t nh = longer ? h * side / longer : 0;
    int64_t nw = longer ? w * side / longer : 0;
    if (nh < 1 || nw < 1) {
        nh = nh < 1 ? 1 : nh;
        nw = nw < 1 ? 1 : nw;
    }
    return image_resize(src, nh, nw, e);
}

enum err_code sheet_encode_cell(const struct sheet_options *o,
                                const struct tensor *picture, const char *label,
                                int64_t count, struct buf *b, struct err *e)
{
    *b = (struct buf){0};
    int64_t side = o->cell;
    struct tensor *square = tensor_new(DT_U8, 3, (int64_t[]){side, side, 3}, e);
    if (!square)
        return ERR_NOMEM;
    enum err_code rc = OK;
    if (picture &&
        (picture->ndim != 3 || picture->shape[0] < 1 || picture->shape[1] < 1))
        rc = err_set(e, ERR_DATA, "an empty picture for a sheet");
    fill(square, 0, 0, side, side, picture ? paper : empty);
    struct tensor *small = NULL;
    if (!rc && picture) {
        small = fit(picture, side, e);
        if (!small)
            rc = e ? e->code : ERR_NOMEM;
        else
            paste(square, (side - small->shape[1]) / 2,
                  (side - small->shape[0]) / 2, small);
    }
    char n[32];
    snprintf(n, sizeof n, "%lld", (long long)count);
    struct image_text text[] = {
        {"Cells", n}, {"Label", *label ? label : " "}, {NULL, NULL}};
    if (!rc)
        rc = image_encode_png(square, CELL_LEVEL, text, b, e);
    tensor_free(&small);
    tensor_free(&square);
    return rc;
}

/* One cell's file; a damaged one reads as absent (*out = NULL). */
static enum err_code read_cell(const struct sheet_options *o, const char *path,
                               struct tensor **out, char **label,
                               int64_t *count, struct err *e)
{
    *out = NULL;
    *label = NULL;
    struct buf b;
    enum err_code rc = file_read(path, CELL_FILE_MAX, &b, e);
    if (rc)
        return rc;
    struct tensor *t = NULL;
    char *n = NULL;
    rc = image_decode(b.data, b.len, &image_caps_default, &t, e);
    if (!rc)
        rc = image_png_text(b.data, b.len, "Cells", &n, e);
    if (!rc)
        rc = image_png_text(b.data, b.len, "Label", label, e);
    int64_t v;
    if (!rc && (!text_to_i64(n, &v) || v < 1 || v > SHEET_MAX_CELLS))
        rc = ERR_DATA;
    if (!rc) {
        *count = v > *count ? v : *count;
        *out = t->shape[0] == o->cell && t->shape[1] == o->cell
                   ? tensor_ref(t)
                   : image_resize(t, o->cell, o->cell, e);
        rc = *out ? OK : ERR_NOMEM;
    }
    tensor_free(&t);
    mem_free(n);
    buf_free(&b);
    if (rc) {
        mem_free(*label);
        *label = NULL;
    }
    return rc == ERR_NOMEM || rc == ERR_IO ? rc : OK;
}

struct page {
    const struct sheet_options *o;
    struct tensor *t;
    int64_t columns, rows, pitch_x, pitch_y, top;
};

static void draw_label(const struct page *p, int64_t x, int64_t y,
                       const char *label)
{
    int64_t scale = p->o->cell >= 240 ? 2 : 1;
    int64_t w = font_width(label, scale);
    if (p->o->labels && w > 1)
        font_draw(p->t, x + (p->o->cell > w ? (p->o->cell - w) / 2 : 0),
                  y + p->o->cell + 2, label, scale, ink);
}

static enum err_code page_new(struct page *p, int64_t count, bool source,
                              struct err *e)
{
    const struct sheet_options *o = p->o;
    int64_t scale = o->cell >= 240 ? 2 : 1;
    p->columns = o->columns > 0 ? o->columns : 1;
    while (o->columns <= 0 && p->columns * p->columns < count)
        p->columns++;
    if (p->columns > count)
        p->columns = count;
    p->rows = (count + p->columns - 1) / p->columns;
    p->pitch_x = o->cell + GAP;
    p->pitch_y = o->cell + GAP + (o->labels ? FONT_HEIGHT * scale + 2 : 0);
    p->top = GAP + (source ? p->pitch_y + GAP : 0);
    int64_t shape[3] = {p->top + p->rows * p->pitch_y,
                        GAP + p->columns * p->pitch_x, 3};
    if ((size_t)shape[0] > SHEET_MAX_PIXELS / (size_t)shape[1])
        return err_set(e, ERR_DATA, "a sheet of %lld x %lld pixels is too big",
                       (long long)shape[1], (long long)shape[0]);
    p->t = tensor_new(DT_U8, 3, shape, e);
    if (!p->t)
        return ERR_NOMEM;
    fill(p->t, 0, 0, shape[1], shape[0], paper);
    for (int64_t i = 0; i < count; i++)
        fill(p->t, GAP + i % p->columns * p->pitch_x,
             p->top + i / p->columns * p->pitch_y, o->cell, o->cell, empty);
    return OK;
}

/* The source picture at the top left, what it is beside it. */
static enum err_code draw_source(struct page *p, const char *dir,
                                 const char *heading, struct err *e)
{
    char *path = path_join(dir, "source.png");
    struct tensor *t = NULL;
    char *label = NULL;
    int64_t ignored = 0;
    enum err_code rc = path ? read_cell(p->o, path, &t, &label, &ignored, e)
                            : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc && t) {
        paste(p->t, GAP, GAP, t);
        draw_label(p, GAP, GAP, "source");
        int64_t x = GAP + p->pitch_x;
        int64_t scale = 2;
        if (x + font_width(heading, scale) > p->t->shape[1])
            scale = 1;
        font_draw(p->t, x, GAP + p->o->cell / 2 - 8, heading, scale, ink);
    }
    tensor_free(&t);
    mem_free(label);
    mem_free(path);
    return rc;
}

/* How many cells the sheet has in all: what its cells say. */
static enum err_code count_cells(const struct sheet_options *o, const char *dir,
                                 const struct file_list *l, int64_t *count,
                                 bool *source, struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = 0; !rc && i < l->n; i++) {
        *source |= strcmp(l->names[i], "source.png") == 0;
        if (*count || !text_starts(l->names[i], "cell_"))
            continue;
        char *path = path_join(dir, l->names[i]);
        struct tensor *t = NULL;
        char *label = NULL;
        rc = path ? read_cell(o, path, &t, &label, count, e)
                  : err_set(e, ERR_NOMEM, "no memory for a path");
        tensor_free(&t);
        mem_free(label);
        mem_free(path);
    }
    return rc;
}

static enum err_code draw_cells(struct page *p, const char *dir, int64_t count,
                                int64_t *have, struct err *e)
{
    enum err_code rc = OK;
    for (int64_t i = 0; !rc && i < count; i++) {
        char *path = mem_printf("%s/cell_%04lld.png", dir, (long long)i);
        struct tensor *t = NULL;
        char *label = NULL;
        int64_t ignored = 0;
        if (!path)
            rc = err_set(e, ERR_NOMEM, "no memory for a path");
        else if (file_exists(path))
            rc = read_cell(p->o, path, &t, &label, &ignored, e);
        if (t) {
            int64_t x = GAP + i % p->columns * p->pitch_x;
            int64_t y = p->top + i / p->columns * p->pitch_y;
            paste(p->t, x, y, t);
            draw_label(p, x, y, label);
            ++*have;
        }
        tensor_free(&t);
        mem_free(label);
        mem_free(path);
    }
    return rc;
}

enum err_code sheet_compose(const struct sheet_options *o, const char *dir,
                            const char *heading, struct buf *b, int64_t *have,
                            int64_t *count, struct err *e)
{
    *b = (struct buf){0};
    *have = *count = 0;
    struct page p = {.o = o};
    bool source = false;
    struct file_list l;
    enum err_code rc = file_walk(dir, SHEET_MAX_CELLS + 64, &l, e);
    if (rc)
        return rc;
    rc = file_list_whole(&l, e);
    if (!rc)
        rc = count_cells(o, dir, &l, count, &source, e);
    file_list_free(&l);
    if (rc || !*count)
        return rc;
    rc = page_new(&p, *count, source, e);
    if (!rc && source)
        rc = draw_source(&p, dir, heading, e);
    if (!rc)
        rc = draw_cells(&p, dir, *count, have, e);
    char cells[64];
    snprintf(cells, sizeof cells, "%lld of %lld", (long long)*have,
             (long long)*count);
    struct image_text text[6] = {
        {"Software", STORE_SOFTWARE}, {"Cells", cells}, {"Source", heading}};
    if (o->synthetic) {
        text[3] = (struct image_text){"Synthetic", "true"};
        text[4] = (struct image_text){"Comment",
                                      "Generated pictures: not photographs."};
    }
    if (!rc)
        rc = image_encode_png(p.t, SHEET_LEVEL, text, b, e);
    tensor_free(&p.t);
    return rc;
}
