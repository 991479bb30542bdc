/* Folders of face pictures with 68 annotated points each (iBUG, 300-W): what
 * docs/training.md calls annotated folders. Test:
 * tests/sh/32-annotation-reader.sh. */
#ifndef FACET_STORE_ANNOTATIONS_H
#define FACET_STORE_ANNOTATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

#define ANNOTATION_POINTS 68
#define ANNOTATION_COORDS (2 * ANNOTATION_POINTS)

/* One face. Strings owned, "" where unknown. */
struct annotation {
    char *path;  /* of the picture, below the root */
    char *split; /* train, test, ... */
    char *name;  /* identity or photo */
    char *photo; /* faces of one photo have the same */
    char *bad;   /* why the annotation cannot be used, or NULL */
    int twin;    /* how many faces of the same picture came before */
    float xy[ANNOTATION_COORDS];
};

struct annotations {
    const char *root;
    struct annotation *face;
    size_t n, cap;
    bool indexed;    /* there is an index.csv, which gives splits */
    size_t unmarked; /* pictures without a .pts file, where those are read */
};

/* Read a folder's landmarks.csv and index.csv (either's rows in any order;
 * no index.csv: splits from the names of folders), or, where there is no
 * landmarks.csv, every .pts file below it and its picture. A single bad
 * annotation becomes a face with `bad` set. ERR_DATA if no annotation is
 * usable. On failure annotations_free is still the caller's duty. Untrusted. */
enum err_code annotations_read(struct annotations *f, const char *root,
                               struct err *e) MUST_USE;
void annotations_free(struct annotations *f);

/* The parts of annotations_read: annotations_csv.c, annotations_pts.c. */
enum err_code annotations_read_csv(struct annotations *f, const char *csv,
                                   struct err *e) MUST_USE;
enum err_code annotations_read_index(struct annotations *f, const char *csv,
                                     struct err *e) MUST_USE;
enum err_code annotations_read_pts(struct annotations *f,
                                   struct err *e) MUST_USE;

/* A new face of that picture, not bad, all other strings "". */
enum err_code annotations_add(struct annotations *f, const char *path,
                              struct annotation **out, struct err *e) MUST_USE;
/* Put s in the place of *to. */
enum err_code annotation_set(char **to, const char *s, struct err *e) MUST_USE;
/* Mark as unusable; the first reason stays. */
enum err_code annotation_spoil(struct annotation *f, struct err *e,
                               const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_USE;

#endif
