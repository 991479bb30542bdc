/* Fitting the head to picture points: weak-perspective pose, shape, depth. */
#include "lib/geom/fit.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "lib/geom/linalg.h"
#include "lib/geom/rotation.h"

#define POSE_UNKNOWNS 6 /* rotation vector, log scale, tx, ty */
#define SHAPES (HEAD_IDENTITY + HEAD_EXPRESSION)
#define UNKNOWNS (POSE_UNKNOWNS + SHAPES)
#define POSE_ROUNDS 30
#define SHAPE_ROUNDS 18

/* Deviations in the head's unit (outer-eye distance) and of its coefficients:
 * how far a point may be off, how far an expression usually is from rest. */
static const double point_sigma = 0.025;
static const double expression_sigma = 0.3;

/* The head's points as mean + sum of coefficients times directions. */
struct shape_basis {
    float mean[LANDMARKS][3];
    float dir[SHAPES][LANDMARKS][3];
};

static struct shape_basis shared_basis;
static bool shared_ready;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

/* Differences of head_landmarks about the mean: central for identity, one
 * sided for expressions, which run from 0 to 1. */
static enum err_code basis_fill(struct shape_basis *b, struct err *e)
{
    float lo[LANDMARKS][3], hi[LANDMARKS][3];
    enum err_code rc = head_landmarks(NULL, b->mean, e);

    for (int k = 0; rc == OK && k < SHAPES; k++) {
        struct head_params p;
        double lo_at = k < HEAD_IDENTITY ? -1.0 : 0.0;
        double hi_at = k < HEAD_IDENTITY ? 1.0 : 0.6;
        double *slot;

        memset(&p, 0, sizeof p);
        slot = k < HEAD_IDENTITY ? &p.identity[k]
                                 : &p.expression[k - HEAD_IDENTITY];
        *slot = lo_at;
        rc = head_landmarks(&p, lo, e);
        if (rc != OK)
            break;
        *slot = hi_at;
        rc = head_landmarks(&p, hi, e);
        for (int i = 0; rc == OK && i < LANDMARKS; i++)
            for (int j = 0; j < 3; j++)
                b->dir[k][i][j] =
                    (hi[i][j] - lo[i][j]) / (float)(hi_at - lo_at);
    }
    return rc;
}

/* Computed once a process; a failure (memory) leaves it for the next call. */
static enum err_code basis_get(const struct shape_basis **out, struct err *e)
{
    enum err_code rc = OK;

    pthread_mutex_lock(&shared_lock);
    if (!shared_ready) {
        rc = basis_fill(&shared_basis, e);
        shared_ready = rc == OK;
    }
    pthread_mutex_unlock(&shared_lock);
    *out = &shared_basis;
    return rc;
}

static void apply3(const double m[9], const double v[3], double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = m[3 * i] * v[0] + m[3 * i + 1] * v[1] + m[3 * i + 2] * v[2];
}

static double weight_at(const float *weight, int i)
{
    return weight ? (double)weight[i] : 1.0;
}

static bool points_finite(const float *pts, int stride, int n, int dims)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < dims; j++)
            if (!isfinite(pts[(long)i * stride + j]) ||
                fabsf(pts[(long)i * stride + j]) > 1e7f)
                return false;
    return true;
}

/* The least-squares affine map of the centred model to the centred points,
 * projected onto the nearest scaled rotation: a start for the refinement. */
static bool pose_start(const float (*model)[3], const float *pts, int stride,
                       const float *weight, int n, struct fit_pose *p)
{
    double sum = 0.0, mm[3] = {0}, pm[2] = {0};
    double a[9] = {0}, b[6] = {0}, spread = 0.0;

    for (int i = 0; i < n; i++) {
        double w = weight_at(weight, i);

        sum += w;
        for (int j = 0; j < 3; j++)
            mm[j] += w * (double)model[i][j];
        for (int j = 0; j < 2; j++)
            pm[j] += w * (double)pts[(long)i * stride + j];
    }
    if (!(sum > 0.0))
        return false;
    for (int j = 0; j < 3; j++)
        mm[j] /= sum;
    pm[0] /= sum;
    pm[1] /= sum;
    for (int i = 0; i < n; i++) {
        double w = weight_at(weight, i), m[3], q[2];

        for (int j = 0; j < 3; j++)
            m[j] = (double)model[i][j] - mm[j];
        for (int j = 0; j < 2; j++)
            q[j] = (double)pts[(long)i * stride + j] - pm[j];
        spread += w * (q[0] * q[0] + q[1] * q[1]);
        for (int j = 0; j < 3; j++) {
            for (int k = 0; k < 3; k++)
                a[3 * j + k] += w * m[j] * m[k];
            b[2 * j] += w * m[j] * q[0];
            b[2 * j + 1] += w * m[j] * q[1];
        }
    }
    double trace = a[0] + a[4] + a[8];

    if (!(spread > 0.0) || !(trace > 0.0))
        return false;
    for (int j = 0; j < 3; j++)
        a[4 * j] += 1e-9 * trace;
    if (!linalg_solve_spd(a, b, 3, 2))
        return false;
    /* rows of the affine map; the third is their cross product */
    double r1[3] = {b[0], b[2], b[4]}, r2[3] = {b[1], b[3], b[5]};
    double n1 = sqrt(r1[0] * r1[0] + r1[1] * r1[1] + r1[2] * r1[2]);
    double n2 = sqrt(r2[0] * r2[0] + r2[1] * r2[1] + r2[2] * r2[2]);
    double s = 0.5 * (n1 + n2);

    if (!(s > 0.0) || !isfinite(s))
        return false;
    double m[9] = {r1[0], r1[1], r1[2], r2[0], r2[1], r2[2], 0, 0, 0};

    m[6] = (r1[1] * r2[2] - r1[2] * r2[1]) / s;
    m[7] = (r1[2] * r2[0] - r1[0] * r2[2]) / s;
    m[8] = (r1[0] * r2[1] - r1[1] * r2[0]) / s;
    linalg_nearest_rotation(m, p->r);
    double c[3];

    apply3(p->r, mm, c);
    p->scale = s;
    p->tx = pm[0] - s * c[0];
    p->ty = pm[1] - s * c[1];
    return true;
}

/* Derivatives of the projected point by the six pose unknowns (the rotation
 * multiplies from the left: R <- exp(w) R). q = R m. */
static void pose_rows(const double q[3], double scale,
                      double jac[2][POSE_UNKNOWNS])
{
    jac[0][0] = 0.0;
    jac[0][1] = scale * q[2];
    jac[0][2] = -scale * q[1];
    jac[0][3] = scale * q[0];
    jac[0][4] = 1.0;
    jac[0][5] = 0.0;
    jac[1][0] = -scale * q[2];
    jac[1][1] = 0.0;
    jac[1][2] = scale * q[0];
    jac[1][3] = scale * q[1];
    jac[1][4] = 0.0;
    jac[1][5] = 1.0;
}

static void pose_step(struct fit_pose *p, const double step[POSE_UNKNOWNS])
{
    double w[9], r[9];

    linalg_rotation_vector(step, w);
    linalg_mul3(w, p->r, r);
    linalg_nearest_rotation(r, p->r);
    p->scale *= exp(fmax(-0.5, fmin(0.5, step[3])));
    p->tx += step[4];
    p->ty += step[5];
}

static double pose_cost(const struct fit_pose *p, const float (*model)[3],
                        const float *pts, int stride, const float *weight,
                        int n, double *sum_w)
{
    double cost = 0.0, sum = 0.0;

    for (int i = 0; i < n; i++) {
        double m[3] = {(double)model[i][0], (double)model[i][1],
                       (double)model[i][2]};
        double q[3], w = weight_at(weight, i);

        apply3(p->r, m, q);
        double dx = (double)pts[(long)i * stride] - p->scale * q[0] - p->tx;
        double dy = (double)pts[(long)i * stride + 1] - p->scale * q[1] - p->ty;

        cost += w * (dx * dx + dy * dy);
        sum += w;
    }
    *sum_w = sum;
    return cost;
}

enum err_code fit_scaled_orthography(const float (*model)[3], const float *pts,
                                     int stride, const float *weight, int n,
                                     struct fit_pose *out, struct err *e)
{
    struct fit_pose p;
    double damping = 1e-6, sum_w, cost;

    if (n < 4 || stride < 2)
        return err_set(e, ERR_ARG, "fit: %d points, stride %d", n, stride);
    if (!points_finite(pts, stride, n, 2) ||
        !points_finite(&model[0][0], 3, n, 3))
        return err_set(e, ERR_DATA, "fit: a point is not finite");
    for (int i = 0; weight && i < n; i++)
        if (!(weight[i] >= 0.0f) || !isfinite(weight[i]))
            return err_set(e, ERR_DATA,
                           "fit: weight of point %d is not a "
                           "number >= 0",
                           i);
    if (!pose_start(model, pts, stride, weight, n, &p))
        return err_set(e, ERR_DATA, "fit: the points are degenerate");
    cost = pose_cost(&p, model, pts, stride, weight, n, &sum_w);
    for (int round = 0; round < POSE_ROUNDS; round++) {
        double a[POSE_UNKNOWNS * POSE_UNKNOWNS] = {0}, b[POSE_UNKNOWNS] = {0};
        struct fit_pose next = p;

        for (int i = 0; i < n; i++) {
            double m[3] = {(double)model[i][0], (double)model[i][1],
                           (double)model[i][2]};
            double q[3], jac[2][POSE_UNKNOWNS], w = weight_at(weight, i);

            apply3(p.r, m, q);
            pose_rows(q, p.scale, jac);
            double d[2] = {
                (double)pts[(long)i * stride] - p.scale * q[0] - p.tx,
                (double)pts[(long)i * stride + 1] - p.scale * q[1] - p.ty};

            for (int j = 0; j < POSE_UNKNOWNS; j++) {
                b[j] += w * (jac[0][j] * d[0] + jac[1][j] * d[1]);
                for (int k = 0; k < POSE_UNKNOWNS; k++)
                    a[j * POSE_UNKNOWNS + k] +=
                        w * (jac[0][j] * jac[0][k] + jac[1][j] * jac[1][k]);
            }
        }
        for (int j = 0; j < POSE_UNKNOWNS; j++)
            a[j * (POSE_UNKNOWNS + 1)] *= 1.0 + damping;
        if (!linalg_solve_spd(a, b, POSE_UNKNOWNS, 1))
            return err_set(e, ERR_DATA, "fit: the points are degenerate");
        pose_step(&next, b);
        double next_cost =
            pose_cost(&next, model, pts, stride, weight, n, &sum_w);

        if (!(next_cost <= cost)) {
            damping = fmax(damping, 1e-6) * 10.0;
            if (damping > 1e6)
                break;
            continue;
        }
        bool still = cost - next_cost <= 1e-12 * cost;

        p = next;
        cost = next_cost;
        damping *= 0.1;
        if (still)
            break;
    }
    if (!isfinite(p.scale) || !(p.scale > 0.0) || !isfinite(cost))
        return err_set(e, ERR_DATA, "fit: the points are degenerate");
    p.rms_px = sqrt(cost / sum_w);
    *out = p;
    return OK;
}

/* How far the jaw points 0-16 count: the picture's outline is the anatomical
 * jaw only in a frontal view. The far side goes first. */
static double contour_weight(int i, double rx_deg, double ry_deg)
{
    if (i > 16)
        return 1.0;
    double turn = fabs(ry_deg);
    bool far_side = ry_deg > 0.0 ? i > 8 : i < 8;
    double fade = far_side ? turn / 25.0 : turn / 70.0;

    fade += fabs(rx_deg) / 90.0;
    return 0.5 * fmax(0.04, 1.0 - fade);
}

static void shape_points(const struct shape_basis *b, const double *coef,
                         float out[LANDMARKS][3])
{
    for (int i = 0; i < LANDMARKS; i++)
        for (int j = 0; j < 3; j++) {
            double v = (double)b->mean[i][j];

            for (int k = 0; k < SHAPES; k++)
                v += coef[k] * (double)b->dir[k][i][j];
            out[i][j] = (float)v;
        }
}

/* Weights of this round: the caller's, the contour's, and Cauchy's by the
 * residual of the last round (after the first). */
static void round_weights(const struct fit_pose *p,
                          const float model[LANDMARKS][3], const float *pts,
                          int stride, const float *score, bool robust,
                          float weight[LANDMARKS])
{
    double rx, ry, rz, sigma = 3.0 * point_sigma * p->scale;

    rotation_to_euler(p->r, &rx, &ry, &rz);
    for (int i = 0; i < LANDMARKS; i++) {
        double w = contour_weight(i, rx, ry);

        if (score)
            w *= fmax(0.02, fmin(1.0, (double)score[i]));
        if (robust) {
            double m[3] = {(double)model[i][0], (double)model[i][1],
                           (double)model[i][2]};
            double q[3];

            apply3(p->r, m, q);
            double dx = (double)pts[(long)i * stride] - p->scale * q[0] - p->tx;
            double dy =
                (double)pts[(long)i * stride + 1] - p->scale * q[1] - p->ty;

            w /= 1.0 + (dx * dx + dy * dy) / (sigma * sigma);
        }
        weight[i] = (float)w;
    }
}

/* One Gauss-Newton step over pose and shape together. */
static bool shape_step(const struct shape_basis *b, const float *pts,
                       int stride, const float weight[LANDMARKS],
                       const float model[LANDMARKS][3], struct fit_pose *p,
                       double coef[SHAPES])
{
    double a[UNKNOWNS * UNKNOWNS] = {0}, rhs[UNKNOWNS] = {0};
    double inv = 1.0 / (point_sigma * p->scale);

    for (int i = 0; i < LANDMARKS; i++) {
        double m[3] = {(double)model[i][0], (double)model[i][1],
                       (double)model[i][2]};
        double q[3], row[2][UNKNOWNS], pose_jac[2][POSE_UNKNOWNS];
        double w = (double)weight[i] * inv * inv;

        apply3(p->r, m, q);
        pose_rows(q, p->scale, pose_jac);
        for (int d = 0; d < 2; d++) {
            for (int k = 0; k < POSE_UNKNOWNS; k++)
                row[d][k] = pose_jac[d][k];
            for (int k = 0; k < SHAPES; k++) {
                const float *v = b->dir[k][i];

                row[d][POSE_UNKNOWNS + k] =
                    p->scale * (p->r[3 * d] * (double)v[0] +
                                p->r[3 * d + 1] * (double)v[1] +
                                p->r[3 * d + 2] * (double)v[2]);
            }
            double res = (double)pts[(long)i * stride + d] - p->scale * q[d] -
                         (d ? p->ty : p->tx);

            for (int j = 0; j < UNKNOWNS; j++) {
                rhs[j] += w * row[d][j] * res;
                for (int k = 0; k <= j; k++)
                    a[j * UNKNOWNS + k] += w * row[d][j] * row[d][k];
            }
        }
    }
    for (int k = 0; k < SHAPES; k++) {
        double sigma = k < HEAD_IDENTITY ? 1.0 : expression_sigma;
        double prior = 1.0 / (sigma * sigma);
        int j = POSE_UNKNOWNS + k;

        a[j * UNKNOWNS + j] += prior;
        rhs[j] -= prior * coef[k];
    }
    for (int j = 0; j < UNKNOWNS; j++)
        for (int k = 0; k < j; k++)
            a[k * UNKNOWNS + j] = a[j * UNKNOWNS + k];
    if (!linalg_solve_spd(a, rhs, UNKNOWNS, 1))
        return false;
    for (int k = 0; k < 3; k++)
        rhs[k] = fmax(-0.3, fmin(0.3, rhs[k]));
    pose_step(p, rhs);
    for (int k = 0; k < SHAPES; k++) {
        double lo = k < HEAD_IDENTITY ? -4.0 : 0.0;
        double hi = k < HEAD_IDENTITY ? 4.0 : 1.0;

        coef[k] = fmax(lo, fmin(hi, coef[k] + rhs[POSE_UNKNOWNS + k]));
    }
    return true;
}

enum err_code fit_head(const float *pts, int stride, const float *score,
                       struct head_params *params, struct fit_pose *pose,
                       float model[LANDMARKS][3], struct err *e)
{
    const struct shape_basis *b;
    float points[LANDMARKS][3], weight[LANDMARKS];
    /* the same points; C11 has no implicit conversion to const rows */
    const float(*at)[3] = (const float(*)[3])points;
    double coef[SHAPES] = {0}, sum_w;
    struct fit_pose p;
    enum err_code rc = basis_get(&b, e);

    if (rc != OK)
        return rc;
    for (int i = 0; score && i < LANDMARKS; i++)
        if (!isfinite(score[i]))
            return err_set(e, ERR_DATA, "fit: score of point %d is not finite",
                           i);
    for (int i = 0; i < LANDMARKS; i++)
        weight[i] = i < 17 ? 0.2f : 1.0f;
    rc = fit_scaled_orthography(b->mean, pts, stride, weight, LANDMARKS, &p, e);
    if (rc != OK)
        return rc;
    for (int round = 0; round < SHAPE_ROUNDS; round++) {
        shape_points(b, coef, points);
        round_weights(&p, at, pts, stride, score, round > 1, weight);
        if (!shape_step(b, pts, stride, weight, at, &p, coef) ||
            !isfinite(p.scale) || !(p.scale > 0.0))
            return err_set(e, ERR_DATA, "fit: the points are degenerate");
    }
    memset(params, 0, sizeof *params);
    memcpy(params->identity, coef, sizeof params->identity);
    memcpy(params->expression, coef + HEAD_IDENTITY, sizeof params->expression);
    /* The linear head led here; the result stands on the real one. */
    rc = head_landmarks(params, points, e);
    if (rc != OK)
        return rc;
    rc = fit_scaled_orthography(at, pts, stride, weight, LANDMARKS, &p, e);
    if (rc != OK)
        return rc;
    p.rms_px =
        sqrt(pose_cost(&p, at, pts, stride, weight, LANDMARKS, &sum_w) / sum_w);
    *pose = p;
    if (model)
        memcpy(model, points, sizeof points);
    return OK;
}

enum err_code fit_landmark_depth(const float *pts, int stride,
                                 const float *score, float xyz[LANDMARKS][3],
                                 struct fit_pose *pose, struct err *e)
{
    struct head_params params;
    float model[LANDMARKS][3];
    double mean = 0.0, z[LANDMARKS];
    enum err_code rc = fit_head(pts, stride, score, &params, pose, model, e);

    if (rc != OK)
        return rc;
    for (int i = 0; i < LANDMARKS; i++) {
        double m[3] = {(double)model[i][0], (double)model[i][1],
                       (double)model[i][2]};
        double q[3];

        apply3(pose->r, m, q);
        z[i] = pose->scale * q[2];
        mean += z[i] / LANDMARKS;
    }
    for (int i = 0; i < LANDMARKS; i++) {
        xyz[i][0] = pts[(long)i * stride];
        xyz[i][1] = pts[(long)i * stride + 1];
        xyz[i][2] = (float)(z[i] - mean);
    }
    return OK;
}

enum err_code fit_similarity(const float (*a)[3], const float (*b)[3], int n,
                             double r[9], double *scale, double t[3],
                             struct err *e)
{
    double ma[3] = {0}, mb[3] = {0}, cov[9] = {0}, var = 0.0, dot = 0.0;

    if (n < 3)
        return err_set(e, ERR_ARG, "fit: %d points", n);
    if (!points_finite(&a[0][0], 3, n, 3) || !points_finite(&b[0][0], 3, n, 3))
        return err_set(e, ERR_DATA, "fit: a point is not finite");
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 3; j++) {
            ma[j] += (double)a[i][j] / n;
            mb[j] += (double)b[i][j] / n;
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 3; j++) {
            double bj = (double)b[i][j] - mb[j];

            for (int k = 0; k < 3; k++)
                cov[3 * j + k] += bj * ((double)a[i][k] - ma[k]);
            var += ((double)a[i][j] - ma[j]) * ((double)a[i][j] - ma[j]);
        }
    linalg_nearest_rotation(cov, r);
    for (int i = 0; i < 9; i++)
        dot += r[i] * cov[i];
    if (!(var > 0.0) || !(dot > 1e-9 * var))
        return err_set(e, ERR_DATA, "fit: the points are degenerate");
    *scale = dot / var;
    double c[3];

    apply3(r, ma, c);
    for (int j = 0; j < 3; j++)
        t[j] = mb[j] - *scale * c[j];
    return OK;
}
