/* Contact sheets: pictures of one group on one page, built cell by cell. A
 * cell is kept as a small file below <root>/.sheets/ until its sheet is whole,
 * so a kill loses nothing and memory does not grow with the sheets at work. */
#ifndef FACET_STORE_SHEET_H
#define FACET_STORE_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"

struct keys;
#define SHEET_KEYS ".sheets/.keys" /* see keys.h */

struct sheet_options {
    const char *root;        /* keys_root */
    const struct keys *keys; /* what sheets come from; NULL: nothing is known */
    int64_t columns;         /* 0: the nearest to a square */
    int64_t cell;            /* side of a cell, pixels */
    bool labels;             /* a line of text under each picture */
    bool overwrite;          /* make sheets again that are there */
    bool synthetic; /* the cells are generated pictures: the sheet says so */
};

/* One cell. The sheet of (name, snippet, group) is
 * <root>/<name>/<snippet>/sheet_<group>.png, of a face above 0
 * sheet_<group>_f<face>.png. */
struct sheet_cell {
    const char *name, *snippet;
    int64_t group;                /* the sample, say */
    int64_t face;                 /* of several; <= 0: the first or only one */
    const char *origin;           /* hash of its source, "" unknown */
    int64_t index, count;         /* cell index of count; 0 <= index < count */
    const char *label;            /* "" none */
    const struct tensor *picture; /* u8[h,w,3]; NULL: failed, stays empty */
    const struct tensor *source;  /* u8[H,W,3], shown above; NULL: none */
};

#define SHEET_MAX_CELLS 4096

enum sheet_how {
    SHEET_CELL, /* the cell was put in place */
    SHEET_MADE, /* ... and completed its sheet */
    SHEET_ANEW, /* ... which replaces one of other settings or another source */
    SHEET_THERE, /* the sheet is there: nothing was done */
    SHEET_KEPT   /* it is of other settings or another source, and is kept */
};
/* Put a cell in place, durable when it returns; with the last one the sheet
 * is composed and the cells go (when overwriting, at sheet_finish). The same
 * cell again changes nothing; cells of other settings or another source are
 * thrown away first. Several processes may share a root. ERR_DATA: bad names
 * or numbers; ERR_IO. */
enum err_code sheet_add(const struct sheet_options *o,
                        const struct sheet_cell *c, enum sheet_how *how,
                        struct err *e) MUST_USE;
/* Compose what is incomplete, with empty cells; the cells stay, so that a
 * later run completes it. *n: how many. */
enum err_code sheet_finish(const struct sheet_options *o, size_t *n,
                           struct err *e) MUST_USE;

#endif
