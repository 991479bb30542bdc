/* Laying a folder of cells out as one picture, for sheet.c. */
#ifndef FACET_STORE_SHEET_COMPOSE_H
#define FACET_STORE_SHEET_COMPOSE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/store/sheet.h"

/* A cell's file: its picture in a square of o->cell (aspect kept), its label
 * and its sheet's count as PNG text. */
enum err_code sheet_encode_cell(const struct sheet_options *o,
                                const struct tensor *picture, const char *label,
                                int64_t count, struct buf *b,
                                struct err *e) MUST_USE;
/* All cells of folder dir as one PNG in b; heading is written beside the
 * source. *have, *count: cells found, and how many there should be. Damaged
 * cells count as missing. */
enum err_code sheet_compose(const struct sheet_options *o, const char *dir,
                            const char *heading, struct buf *b, int64_t *have,
                            int64_t *count, struct err *e) MUST_USE;

#endif
