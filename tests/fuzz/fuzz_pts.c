/* Fuzzes the reader of .pts annotation files. */
#include <math.h>

#include "lib/store/pts.h"
#include "tests/fuzz/fuzz.h"

#define POINTS 4 /* few, so that small inputs reach the end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    float xy[2 * POINTS];
    struct err e = {0};
    enum err_code r = pts_parse(n ? (const char *)data : "", n, POINTS, xy, &e);
    fuzz_check(r == OK || r == ERR_DATA);
    fuzz_check(r == OK || e.text[0]);
    for (int i = 0; r == OK && i < 2 * POINTS; i++)
        fuzz_check(fabs((double)xy[i]) <= PTS_MAX_COORD + 1);
    return 0;
}
