/* Detected boxes against true ones. */
#include "lib/geom/box_match.h"

#include <math.h>
#include <stdlib.h>

/* Share of a that lies in b. */
static double share_in(const float a[4], const float b[4])
{
    double w = (double)(a[2] < b[2] ? a[2] : b[2]) -
               (double)(a[0] > b[0] ? a[0] : b[0]);
    double h = (double)(a[3] < b[3] ? a[3] : b[3]) -
               (double)(a[1] > b[1] ? a[1] : b[1]);
    double area = boxes_area(a, BOXES_SPAN);
    return w > 0 && h > 0 && area > 0 ? w * h / area : 0;
}

static bool ignored(const float b[4], const float (*ignore)[4], size_t k,
                    double overlap)
{
    for (size_t i = 0; i < k; i++)
        if (boxes_iou(b, ignore[i], BOXES_SPAN) > overlap ||
            share_in(b, ignore[i]) > 0.5)
            return true;
    return false;
}

void box_match(const struct scored_box *b, size_t n, const float (*truth)[4],
               size_t m, const float (*ignore)[4], size_t k, double overlap,
               enum box_verdict *verdict, int *found)
{
    for (size_t j = 0; j < m; j++)
        found[j] = -1;
    for (size_t i = 0; i < n; i++) {
        double best = 0;
        size_t at = m;
        for (size_t j = 0; j < m; j++) {
            double o = boxes_iou(b[i].box, truth[j], BOXES_SPAN);
            if (o > best) {
                best = o;
                at = j;
            }
        }
        if (at < m && best > overlap && found[at] < 0) {
            found[at] = (int)i;
            verdict[i] = BOX_FOUND;
        } else if (!(at < m && best > overlap) &&
                   ignored(b[i].box, ignore, k, overlap)) {
            verdict[i] = BOX_IGNORED;
        } else {
            verdict[i] = BOX_FALSE;
        }
    }
}

static int by_score(const void *a, const void *b)
{
    const struct box_vote *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (int)x->found - (int)y->found; /* the worse order of equal ones */
}

double box_average_precision(struct box_vote *v, size_t n, size_t truths)
{
    if (!truths)
        return (double)NAN;
    if (n)
        qsort(v, n, sizeof *v, by_score);
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += v[i].found;
    /* From the lowest score up: the best precision so far is that of every
     * recall reached before. */
    double area = 0, best = 0;
    for (size_t i = n; i-- > 0;) {
        double precision = (double)found / (double)(i + 1);
        best = precision > best ? precision : best;
        if (v[i].found) {
            area += best;
            found--;
        }
    }
    return area / (double)truths;
}
