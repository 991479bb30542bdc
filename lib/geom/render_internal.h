/* Inside the renderer: the combined mesh and its materials. */
#ifndef FACET_GEOM_RENDER_INTERNAL_H
#define FACET_GEOM_RENDER_INTERNAL_H

#include <stdint.h>

#include "lib/geom/head_internal.h"
#include "lib/geom/raster.h"
#include "lib/geom/render.h"

enum material {
    MAT_SKIN,
    MAT_RIM, /* edge of the lids */
    MAT_EYE,
    MAT_MOUTH,
    MAT_TEETH,
    MAT_EAR,
    MAT_HAIR,
    MAT_CLOTH
};

#define HAIR_ROWS 100
#define HAIR_FIRST HEAD_VERTS
#define HAIR_VERTS (1 + HAIR_ROWS * HG_COLS)
#define BUST_ROWS 22
#define BUST_COLS 48
#define BUST_FIRST (HAIR_FIRST + HAIR_VERTS)
#define BUST_VERTS (BUST_ROWS * BUST_COLS)
#define ALL_VERTS (BUST_FIRST + BUST_VERTS)
#define ALL_TRIS (HEAD_MAX_TRIS + 2 * HAIR_VERTS + 2 * BUST_VERTS)

struct render_vertex {
    float tex[3]; /* rest position, mm: where procedural colour is looked up */
    float normal[3];  /* camera axes, unit */
    float ao, shadow; /* 1 open, 0 hidden */
};

struct render {
    int width, height, samples;
    struct raster *raster, *shadow_map;
    double (*mm)[3]; /* ALL_VERTS: model, mm */
    float (*cam)[3]; /* ALL_VERTS: turned, head units, origin face mean */
    float (*pix)[3]; /* ALL_VERTS: in the super-sampled picture */
    struct render_vertex *v; /* ALL_VERTS */
    int32_t (*tri)[3];       /* ALL_TRIS */
    uint8_t *mat;
    int n_tris;
    float (*back)[3]; /* width * height, linear */
    enum render_backdrop back_kind;
    uint64_t back_seed;
    bool back_ready;
    struct render_look look; /* that the hair was built for */
    bool look_ready;
    int n_tris_fixed;
    float *hair_lift;     /* HAIR_VERTS: mm above the skin */
    double (*hair_mm)[3]; /* rest positions */
};

/* Value noise in -1..1. */
float noise3(float x, float y, float z, uint32_t seed);
float smooth_step(float lo, float hi, float x);

/* Light at one sample; all vectors in camera axes. */
struct shade_in {
    float tex[3], n[3];
    float ao, shadow;
    enum material mat;
    int side; /* of the eye: -1, +1 */
};
struct shade_ctx {
    const struct render_scene *s;
    float key[3], fill[3], half[3]; /* unit vectors */
    float gaze[2][3];               /* unit, in head axes, per eye */
    float eye_rot[9];               /* head to camera axes */
};
void shade_setup(struct shade_ctx *c, const struct render_scene *s);
void shade(const struct shade_ctx *c, const struct shade_in *in, float rgb[3]);
/* May neighbouring samples share one colour? (no fine texture here) */
bool shade_is_plain(const struct shade_in *in);
/* Colour of the skin at a rest position. */
void skin_albedo(const struct render_look *k, const float p[3], float rgb[3],
                 float *spec);
void eye_albedo(const struct shade_ctx *c, const struct shade_in *in,
                float rgb[3], float *gloss);
void hair_albedo(const struct render_look *k, const float p[3], float rgb[3],
                 float *band);
void cloth_albedo(const struct render_look *k, const float p[3], float rgb[3]);

/* How far (mm, + inside) a place of the scalp lies within the hairline. */
float hair_inside(const struct render_look *k, float theta, float y);
/* Rest hair shell and its triangles for look; fills hair_mm, hair_lift. */
void hair_build(struct render *r, const struct render_look *k);
void bust_build(struct render *r);
/* Openness of each vertex of the rest head, 0..1; baked once per process. */
enum err_code render_occlusion(const float **out, struct err *e) MUST_USE;
void backdrop_draw(enum render_backdrop kind, uint64_t seed, int w, int h,
                   float (*rgb)[3]);

#endif
