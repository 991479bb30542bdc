/* Folders of annotated faces; private to the annotation-reader. */
#ifndef FACET_STAGES_ANNOTATION_READER_FACES_H
#define FACET_STAGES_ANNOTATION_READER_FACES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/geom/landmarks.h"

#define COORDS (2 * LANDMARKS)

/* One face. Strings owned, "" where unknown. */
struct face {
    char *path;  /* of the picture, below the root */
    char *split; /* train, test, ... */
    char *name;  /* identity or photo */
    char *photo; /* faces of one photo have the same */
    char *bad;   /* why the annotation cannot be used, or NULL */
    int twin;    /* how many faces of the same picture came before */
    float xy[COORDS];
};

struct folder {
    const char *root;
    struct face *face;
    size_t n, cap;
    bool indexed; /* there is an index.csv, which gives splits */
};

/* Read a folder's landmarks.csv and index.csv (either's rows in any order;
 * no index.csv: splits from the names of folders), or, where there is no
 * landmarks.csv, every .pts file below it and its picture. A single bad
 * annotation becomes a face with `bad` set. ERR_DATA if no annotation is
 * usable. On failure folder_free is still the caller's duty. Untrusted. */
enum err_code folder_read(struct folder *f, const char *root,
                          struct err *e) MUST_USE;
void folder_free(struct folder *f);

/* csv.c, pts.c */
enum err_code folder_read_csv(struct folder *f, const char *csv,
                              struct err *e) MUST_USE;
enum err_code folder_read_index(struct folder *f, const char *csv,
                                struct err *e) MUST_USE;
enum err_code folder_read_pts(struct folder *f, struct err *e) MUST_USE;

/* A new face of that picture, not bad, all other strings "". */
enum err_code folder_add(struct folder *f, const char *path, struct face **out,
                         struct err *e) MUST_USE;
/* Put s in the place of *to. */
enum err_code face_set(char **to, const char *s, struct err *e) MUST_USE;
/* Mark as unusable; the first reason stays. */
enum err_code face_spoil(struct face *f, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(3, 4) MUST_USE;

#endif
