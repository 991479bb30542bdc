/* A picture of what the landmark network does with held-back faces. */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/landmarks.h"
#include "lib/media/draw.h"
#include "lib/media/image.h"
#include "lib/models/fan.h"
#include "stages/landmark-trainer/net.h"

#define ACROSS 6
#define MOST 24

static enum err_code dot(struct tensor *img, double x, double y,
                         const uint8_t rgb[3], struct err *e)
{
    return draw_disc(img, (int64_t)lround(x), (int64_t)lround(y), 2, rgb, e);
}

static enum err_code draw_face(const struct tensor *frame, float xy[][2],
                               const float *truth, size_t stride, int64_t x0,
                               int64_t y0, struct tensor *sheet, struct err *e)
{
    static const uint8_t green[3] = {0, 220, 0}, red[3] = {255, 40, 40};
    uint8_t *to = sheet->data;
    const uint8_t *from = frame->data;
    int64_t width = sheet->shape[1];
    enum err_code r = OK;
    for (int64_t y = 0; y < FAN_SIDE; y++)
        memcpy(to + ((y0 + y) * width + x0) * 3, from + y * FAN_SIDE * 3,
               FAN_SIDE * 3);
    for (size_t i = 0; i < LANDMARKS && !r; i++) {
        r = dot(sheet, (double)x0 + (double)truth[i * stride],
                (double)y0 + (double)truth[i * stride + 1], green, e);
        if (!r)
            r = dot(sheet, (double)x0 + (double)xy[i][0],
                    (double)y0 + (double)xy[i][1], red, e);
    }
    return r;
}

enum err_code landmark_net_sheet(void *net, struct nn_params *ps,
                                 struct item *const *val, size_t count,
                                 const char *path, struct err *e)
{
    struct landmark_net *n = net;
    struct nn_net *use = NULL;
    size_t shown = count < MOST ? count : MOST;
    int64_t across = shown < ACROSS ? (int64_t)shown : ACROSS;
    int64_t down = ((int64_t)shown + across - 1) / across;
    const int64_t shape[3] = {down * FAN_SIDE, across * FAN_SIDE, 3};
    struct tensor *sheet = tensor_new(DT_U8, 3, shape, e);
    enum err_code r = sheet ? landmark_net_use(n, ps, &use, e) : ERR_NOMEM;
    for (size_t i = 0; i < shown && !r; i++) {
        const struct item *it = val[i * count / shown];
        float xy[LANDMARKS][2];
        size_t stride = 2;
        const float *truth = landmark_net_truth(it, &stride, e);
        r = truth ? landmark_net_find(n, use, it, xy, e) : ERR_DATA;
        if (!r)
            r = draw_face(item_tensor(it, "frame"), xy, truth, stride,
                          (int64_t)i % across * FAN_SIDE,
                          (int64_t)i / across * FAN_SIDE, sheet, e);
    }
    if (!r)
        r = image_write(path, sheet, NULL, e);
    tensor_free(&sheet);
    nn_net_free(&use);
    return r;
}
