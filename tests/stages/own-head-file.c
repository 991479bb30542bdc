/* The project's own head written as a linear head's file, in centimetres, y up:
 * a stand-in for such models in tests. Usage: own-head-file OUT [broken] */
#include <stdio.h>
#include <string.h>

#include "lib/geom/head_model.h"
#include "lib/nn/safetensors.h"

static struct tensor *field(const float *v, int ndim, const int64_t *shape,
                            double shift, struct err *e)
{
    struct tensor *t = tensor_new(DT_F32, ndim, shape, e);
    for (size_t i = 0; t && i < t->count; i++)
        tensor_f32(t)[i] = (float)((i % 3 == 1 ? -9.0 : 9.0) * (double)v[i] +
                                   (i % 3 == 0 ? 0 : shift));
    return t;
}

int main(int argc, char **argv)
{
    struct err e = {.code = OK};
    struct head_model *m = NULL;
    char names[4096] = "";
    if (argc < 2 || head_model_own(&m, &e)) {
        fprintf(stderr, "own-head-file: %s\n", e.text);
        return 2;
    }
    const int64_t v = m->n_vertices, t = m->n_triangles;
    const int64_t mean[2] = {v, 3}, tri[2] = {t, 3}, n68 = LANDMARKS;
    const int64_t id[3] = {m->n_identity, v, 3},
                  ex[3] = {m->n_expression, v, 3};
    struct tensor *field_of[3] = {field(m->mean[0], 2, mean, 1.5, &e),
                                  field(m->identity, 3, id, 0, &e),
                                  field(m->expression, 3, ex, 0, &e)};
    struct safetensors_item item[7] = {{"mean", field_of[0]},
                                       {"identity", field_of[1]},
                                       {"expression", field_of[2]}};
    struct tensor *triangle = tensor_new(DT_U16, 2, tri, &e);
    struct tensor *part = tensor_new(DT_U8, 1, &t, &e);
    struct tensor *mark = tensor_new(DT_I32, 1, &n68, &e);
    if (!item[0].tensor || !item[1].tensor || !item[2].tensor || !triangle ||
        !part || !mark)
        return 2;
    for (int64_t i = 0; i < 3 * t; i++)
        ((uint16_t *)triangle->data)[i] = (uint16_t)m->triangle[i / 3][i % 3];
    memcpy(part->data, m->part, (size_t)t);
    memcpy(mark->data, m->landmark, sizeof m->landmark);
    if (argc > 2) /* a vertex that is not there */
        ((uint16_t *)triangle->data)[30] = 65535;
    for (int k = 0, at = 0; k < m->n_expression; k++)
        at += snprintf(names + at, sizeof names - (size_t)at, "%s%s",
                       k ? "," : "", m->name[k]);
    const struct safetensors_pair meta[] = {{"expressions", names},
                                            {NULL, NULL}};
    item[3] = (struct safetensors_item){"triangles", triangle};
    item[4] = (struct safetensors_item){"part", part};
    item[5] = (struct safetensors_item){"landmarks68", mark};
    enum err_code rc = safetensors_write(argv[1], item, meta, &e);
    if (rc)
        fprintf(stderr, "own-head-file: %s\n", e.text);
    for (size_t i = 0; i < 3; i++)
        tensor_free(&field_of[i]);
    tensor_free(&triangle);
    tensor_free(&part);
    tensor_free(&mark);
    head_model_free(&m);
    return rc ? 2 : 0;
}
