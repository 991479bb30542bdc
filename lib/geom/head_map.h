/* The position map: a head's whole surface as a grid of 3-D points, the same
 * places on every head. Columns run round the head (mirrored about the middle
 * one; the first and the last are the seam at the back), rows from the crown
 * down the neck. It is the project's own head's grid, thinned; within the eyes
 * and between the lips rows of their own close the surface. Any linear head
 * can be laid under it. Test: tests/test_head_map.c */
#ifndef FACET_GEOM_HEAD_MAP_H
#define FACET_GEOM_HEAD_MAP_H

#include "lib/geom/head.h"
#include "lib/geom/head_model.h"

#define HEAD_MAP_ROWS 65
#define HEAD_MAP_COLS 41
#define HEAD_MAP_NODES (HEAD_MAP_ROWS * HEAD_MAP_COLS)
/* Node of a row and column; its mirror image. */
#define HEAD_MAP_AT(row, col) ((row)*HEAD_MAP_COLS + (col))
#define HEAD_MAP_MIRROR(node)                                                  \
    ((node) / HEAD_MAP_COLS * HEAD_MAP_COLS + HEAD_MAP_COLS - 1 -              \
     (node) % HEAD_MAP_COLS)

/* Of each node: HEAD_EYE on the eyeballs, HEAD_MOUTH between the lips, else
 * HEAD_SKIN, HEAD_SCALP or HEAD_NECK. */
void head_map_parts(uint8_t part[HEAD_MAP_NODES]);

/* Two triangles a cell, winding as head_mesh's; columns fastest. */
#define HEAD_MAP_TRIANGLES (2 * (HEAD_MAP_ROWS - 1) * (HEAD_MAP_COLS - 1))
void head_map_triangles(int32_t out[HEAD_MAP_TRIANGLES][3]);

/* The nodes on the project's own head (head_model_own's vertices). */
enum err_code head_map_own(const struct head_model *own,
                           struct head_node node[HEAD_MAP_NODES],
                           struct err *e) MUST_USE;
/* The nodes on another head, already in the project's frame: the own grid is
 * bent so that the 68 points meet, and then drawn onto the other's surface
 * while neighbours hold together. With the mouth open where both have such an
 * expression, so that lips are not confused. ERR_DATA where the two cannot be
 * brought together. */
enum err_code head_map_register(const struct head_model *m,
                                struct head_node node[HEAD_MAP_NODES],
                                struct err *e) MUST_USE;

/* The map's skin nodes as sums of the own head's vertices, inner ones of eyes
 * and mouth left empty (n = 0). For the two above. */
void head_map_skin(struct head_node node[HEAD_MAP_NODES]);
/* Fill in the inner nodes: eyes on the model's eyeballs between the margins'
 * nodes, mouth behind the lips. */
enum err_code head_map_close(const struct head_model *m,
                             struct head_node node[HEAD_MAP_NODES],
                             struct err *e) MUST_USE;

#endif
