/* A small bitmap font (5 x 7 in a 6 x 9 cell), our own. */
#ifndef FACET_MEDIA_FONT_H
#define FACET_MEDIA_FONT_H

#include <stdint.h>

#include "lib/data/tensor.h"

#define FONT_ADVANCE 6 /* pixels from one character to the next */
#define FONT_HEIGHT 9  /* from one line to the next */

/* Width of a UTF-8 text in pixels at a whole scale >= 1. ASCII and the degree
 * sign have glyphs; any other character takes one hollow box. */
int64_t font_width(const char *text, int64_t scale);
/* Draw with the top-left corner of the first glyph at (x, y), clipped at the
 * border. img u8[H,W,3], written in place. */
void font_draw(struct tensor *img, int64_t x, int64_t y, const char *text,
               int64_t scale, const uint8_t rgb[3]);

#endif
