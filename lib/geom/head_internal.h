/* Inside the head: rest surface, topology and modes. Millimetres here (the
 * public unit is HEAD_MM): x right, y down, z towards the viewer, origin
 * between the eyes. Only lib/geom/head*.c and render*.c include it. */
#ifndef FACET_GEOM_HEAD_INTERNAL_H
#define FACET_GEOM_HEAD_INTERNAL_H

#include <stdint.h>

#include "lib/geom/head.h"

#define HEAD_MM 90.0 /* outer-eye distance of the mean head */

/* Grid of the skin: columns round the vertical axis (0 front, HG_NU back),
 * rows from the crown down to the neck; one half, mirrored. */
#define HG_NU 48
#define HG_COLS (2 * HG_NU)
#define HG_NV 112
#define HG_SKIN (1 + HG_NV * HG_COLS) /* the crown's pole first */
#define HG_EYE_N 12                   /* columns between the eye corners */
#define HG_EYE_COL 8                  /* column of the inner one */
#define HG_MOUTH_N 10 /* columns from midline to inner mouth corner */
#define HG_EYE_LOOP (2 * HG_EYE_N)
#define HG_MOUTH_LOOP (4 * HG_MOUTH_N)
#define HG_BAG_ROWS 4
/* Lower copies of the slit rows, lid rims, mouth bag. */
#define HG_LOW_EYE HG_SKIN
#define HG_LOW_MOUTH (HG_LOW_EYE + 2 * (HG_EYE_N - 1))
#define HG_RIM (HG_LOW_MOUTH + 2 * HG_MOUTH_N - 1)
#define HG_BAG (HG_RIM + 2 * HG_EYE_LOOP)
#define HG_BALL_RINGS 12
#define HG_BALL_SEGS 24
#define HG_BALL_VERTS ((HG_BALL_RINGS - 1) * HG_BALL_SEGS + 2)
#define HG_BALL (HG_BAG + HG_BAG_ROWS * HG_MOUTH_LOOP + 1)
#define HG_EAR_RINGS 13
#define HG_EAR_SEGS 28
#define HG_EAR_VERTS ((HG_EAR_RINGS - 1) * HG_EAR_SEGS + 2)
#define HG_EAR (HG_BALL + 2 * HG_BALL_VERTS)
#define HG_TEETH_COLS 16
#define HG_TEETH_VERTS (2 * 3 * (HG_TEETH_COLS + 1))
#define HG_TEETH (HG_EAR + 2 * HG_EAR_VERTS)
#define HEAD_VERTS (HG_TEETH + HG_TEETH_VERTS)
#define HEAD_MAX_TRIS (2 * HEAD_VERTS)

#define HEAD_MODES (HEAD_IDENTITY + HEAD_EXPRESSION)

/* Eyeball of the picture's right side; the other has -x. */
#define EYE_X 31.3
#define EYE_Y 0.0
#define EYE_Z (-6.6)
#define EYE_R 12.3

/* What a vertex is, for the modes. */
struct head_vertex {
    double p[3];            /* rest position, mm */
    double lower;           /* 0 moves with the skull, 1 with the jaw */
    double lid_up, lid_low; /* 1 on the margin, falling away from it */
    double lid_gap; /* distance to the opposite margin, mm, this column */
    double lip_up, lip_low; /* 1 on the margins of the mouth */
    int ball;               /* -1/+1: belongs to that eyeball; 0 not */
};

struct head_base {
    struct head_vertex v[HEAD_VERTS];
    float uv[HEAD_VERTS][2];
    int32_t mirror[HEAD_VERTS];
    int32_t rim_of[HEAD_VERTS]; /* lid rim: its margin vertex; else -1 */
    int32_t tri[HEAD_MAX_TRIS][3];
    uint8_t part[HEAD_MAX_TRIS];
    int n_tris;
    int eye_row, mouth_row; /* of the slits' upper margins */
    int32_t landmark[LANDMARKS];
    double centre[3]; /* mean of the 68 points of the mean head, mm */
    float mode[HEAD_MODES][HEAD_VERTS][3]; /* mm for 1.0 */
};

/* Built at the first call, then kept (no allocation; not thread-safe). */
const struct head_base *head_base_get(void);

/* The rest surface: azimuth theta (0 front .. pi back) and height y to a
 * point with x >= 0 (theta >= 0). */
void head_surface(double theta, double y, double p[3]);
/* The azimuth at which the surface of height y has this x (front part). */
double head_surface_theta(double x, double y);
/* Lid margins: s 0 inner corner .. 1 outer corner; upper or lower. */
void head_lid_curve(double s, int lower, double xy[2]);
/* Outline of the lips: y of the vermilion border at |x|. */
double head_lip_upper_y(double x);
double head_lip_lower_y(double x);
/* y of the line where the lips meet. */
double head_lip_line_y(double x);
/* y of the lid margins at x (outside the corners: of the nearer corner). */
double head_lid_y(double x, int lower);
/* Smooth interpolation in a table of (x, value) with rising x; flat outside. */
double head_table(const double (*t)[2], int n, double x);

/* Displacement in mm that mode m (identity, then expression) gives vertex v. */
void head_mode_field(int m, const struct head_vertex *v, double d[3]);

/* Parts with a topology of their own, appended to base. */
void head_parts_build(struct head_base *b);
void head_add_tri(struct head_base *b, int a, int c, int d, int part);

/* All vertices for p, in mm from the eye line (not centred): f32. */
void head_deform(const struct head_params *p, const int32_t *which, int n,
                 double (*out)[3]);
/* Centre (mm) of the eyeball, side -1/+1. */
void head_eye_centre(const struct head_params *p, int side, double c[3]);

#endif
