/* PyTorch's tensors: what a pickled rebuild call says
 * (torch/_utils.py describes each). */
#include "lib/nn/torch_view.h"

#include <string.h>

#include "lib/base/mem.h"

#define MAX_WRAPS 8 /* a parameter of a tensor of a subclass of .. */

enum kind {
    NO_TENSOR,
    DENSE,        /* (storage, first, size, stride, ..) */
    DENSE_V3,     /* the same over bytes, its dtype is argument 6 */
    WRAPPED,      /* (tensor, ..) */
    DERIVED,      /* (function, type, args, state) */
    NUMPY,        /* _reconstruct and its state */
    NUMPY_BUFFER, /* _frombuffer(bytes, dtype, shape, order) */
    OTHER
};

static const struct {
    const char *module, *name;
    enum kind kind;
} rebuilds[] = {
    {"torch._utils", "_rebuild_tensor", DENSE},
    {"torch._utils", "_rebuild_tensor_v2", DENSE},
    {"torch._utils", "_rebuild_tensor_v3", DENSE_V3},
    {"torch._utils", "_rebuild_parameter", WRAPPED},
    {"torch._utils", "_rebuild_parameter_with_state", WRAPPED},
    {"torch.nn.parameter", "Parameter", WRAPPED},
    {"torch.nn.parameter", "Buffer", WRAPPED},
    {"torch.autograd.variable", "Variable", WRAPPED},
    {"torch._tensor", "_rebuild_from_type_v2", DERIVED},
    {"torch._tensor", "_rebuild_from_type", DERIVED},
    {"torch.tensor", "_rebuild_from_type", DERIVED},
    {"torch._utils", "_rebuild_qtensor", OTHER},
    {"torch._utils", "_rebuild_sparse_tensor", OTHER},
    {"torch._utils", "_rebuild_sparse_csr_tensor", OTHER},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", OTHER},
    {"torch._utils", "_rebuild_nested_tensor", OTHER},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", OTHER},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", OTHER},
    {"torch._utils", "_rebuild_wrapper_subclass", OTHER},
    {"torch._utils", "_rebuild_xla_tensor", OTHER},
    {"numpy.core.multiarray", "_reconstruct", NUMPY},
    {"numpy._core.multiarray", "_reconstruct", NUMPY},
    {"numpy.core.numeric", "_frombuffer", NUMPY_BUFFER},
    {"numpy._core.numeric", "_frombuffer", NUMPY_BUFFER},
};

static enum kind kind_of(const struct pickle_value *v)
{
    if (!v || v->type != PICKLE_OBJECT)
        return NO_TENSOR;
    const struct pickle_value *c = v->v.object->callable;
    for (size_t i = 0; i < sizeof rebuilds / sizeof *rebuilds; i++) {
        if (pickle_is_global(c, rebuilds[i].module, rebuilds[i].name))
            return rebuilds[i].kind;
    }
    return NO_TENSOR;
}

bool torch_is_tensor(const struct pickle_value *v)
{
    return kind_of(v) != NO_TENSOR;
}

/* A tuple or list of sizes, also inside torch.Size((..)). */
static const struct pickle_items *sizes(const struct pickle_value *v)
{
    if (v->type == PICKLE_OBJECT &&
        (pickle_is_global(v->v.object->callable, "torch", "Size") ||
         pickle_is_global(v->v.object->callable, "torch.jit._pickle",
                          "build_intlist")) &&
        v->v.object->args->v.list.n == 1)
        v = v->v.object->args->v.list.v[0];
    return pickle_seq(v);
}

static enum err_code read_sizes(struct torch_view *out,
                                const struct pickle_items *shape,
                                const struct pickle_items *stride,
                                struct err *e)
{
    if (!shape || !stride || shape->n != stride->n)
        return err_set(e, ERR_DATA, "its sizes and strides do not agree");
    if (shape->n > TENSOR_MAX_DIMS)
        return err_set(e, ERR_UNSUPPORTED, "%u dimensions, %d at most",
                       (unsigned)shape->n, TENSOR_MAX_DIMS);
    out->ndim = (int)shape->n;
    for (int i = 0; i < out->ndim; i++) {
        const struct pickle_value *n = shape->v[i], *s = stride->v[i];
        if (n->type != PICKLE_INT || n->v.i < 0)
            return err_set(e, ERR_DATA, "its size %d is no count", i);
        if (s->type != PICKLE_INT || s->v.i < 0)
            return err_set(e, ERR_DATA, "its stride %d is no count", i);
        out->shape[i] = n->v.i;
        out->stride[i] = (size_t)s->v.i;
    }
    return OK;
}

/* Do all elements lie below `elements` of the storage? Sets count, bytes. */
static enum err_code check_reach(struct torch_view *v, size_t elements,
                                 size_t max, struct err *e)
{
    size_t last = v->first;
    bool fits = true;
    size_t unit = v->type->convert == TORCH_REFUSE ? v->type->size
                                                   : dtype_size(v->type->dtype);
    v->count = 1;
    for (int i = 0; i < v->ndim; i++)
        v->count = v->shape[i] ? v->count : 0;
    for (int i = 0; i < v->ndim && v->count; i++) {
        size_t step;
        if (!size_mul((size_t)v->shape[i], v->count, &v->count))
            return err_set(e, ERR_DATA, "its number of elements overflows");
        fits = fits && size_mul((size_t)v->shape[i] - 1, v->stride[i], &step) &&
               size_add(last, step, &last);
    }
    if (v->count && (!fits || last >= elements))
        return err_set(e, ERR_DATA,
                       "its strides reach outside its storage of %zu elements",
                       elements);
    if (!size_mul(v->count, unit, &v->bytes) || v->bytes > max)
        return err_set(e, ERR_DATA,
                       "%zu elements are too many for what the file holds",
                       v->count);
    return OK;
}

static enum err_code read_dense(const struct pickle_items *args, bool v3,
                                size_t max, struct torch_view *out,
                                struct err *e)
{
    if (args->n < (v3 ? 7u : 4u))
        return err_set(e, ERR_DATA, "a tensor of %u arguments",
                       (unsigned)args->n);
    enum err_code r = torch_storage_of(args->v[0], &out->storage, e);
    if (r)
        return r;
    out->type = v3 ? torch_type_dtype(args->v[6]) : out->storage.type;
    if (!out->type)
        return err_set(e, ERR_UNSUPPORTED, "an unknown dtype");
    if (out->type->convert == TORCH_UNTYPED)
        return err_set(e, ERR_UNSUPPORTED, "a storage without a type");
    if (args->v[1]->type != PICKLE_INT || args->v[1]->v.i < 0)
        return err_set(e, ERR_DATA, "its offset is no count");
    out->first = (size_t)args->v[1]->v.i;
    r = read_sizes(out, sizes(args->v[2]), sizes(args->v[3]), e);
    if (r)
        return r;
    /* a view's offset counts from the view's start */
    size_t elements = out->storage.view_elements;
    if (v3)
        elements = elements * out->storage.type->size / out->type->size;
    r = check_reach(out, elements, max, e);
    out->first += out->storage.view_first;
    if (!r && out->type->convert == TORCH_REFUSE)
        r = err_set(e, ERR_UNSUPPORTED, "its type is %s", out->type->word);
    return r;
}

/* numpy.dtype('f4', False, True) with the state (3, '<', ..). */
static const struct torch_type *numpy_type(const struct pickle_value *v)
{
    if (!v || v->type != PICKLE_OBJECT ||
        !pickle_is_global(v->v.object->callable, "numpy", "dtype") ||
        v->v.object->args->v.list.n < 1)
        return NULL;
    const struct pickle_value *word = v->v.object->args->v.list.v[0];
    if (word->type != PICKLE_STR || word->v.s.n != 2 || word->v.s.p[1] < '1' ||
        word->v.s.p[1] > '8')
        return NULL;
    const struct torch_type *t =
        torch_type_numpy(word->v.s.p[0], word->v.s.p[1] - '0');
    const struct pickle_items *state = pickle_seq(v->v.object->state);
    if (t && t->size > 1 &&
        (!state || state->n < 2 || !pickle_is_str(state->v[1], "<")))
        return NULL;
    return t;
}

static enum err_code read_array(const struct pickle_value *shape,
                                const struct pickle_value *type, bool fortran,
                                const struct pickle_value *bytes, size_t max,
                                struct torch_view *out, struct err *e)
{
    out->type = numpy_type(type);
    if (!out->type || bytes->type != PICKLE_BYTES)
        return err_set(e, ERR_UNSUPPORTED,
                       "a numpy array of a type that is not handled");
    enum err_code r = read_sizes(out, pickle_seq(shape), pickle_seq(shape), e);
    if (r)
        return r;
    size_t step = 1;
    for (int k = 0; k < out->ndim; k++) {
        int i = fortran ? k : out->ndim - 1 - k;
        out->stride[i] = step;
        if (!size_mul(step, (size_t)out->shape[i], &step))
            return err_set(e, ERR_DATA, "its number of elements overflows");
    }
    out->inline_data = (const uint8_t *)bytes->v.s.p;
    return check_reach(out, bytes->v.s.n / out->type->size, max, e);
}

/* _reconstruct(class, (0,), b'b') with the state (version, shape, dtype,
 * fortran order, bytes); or _frombuffer(bytes, dtype, shape, order). */
static enum err_code read_numpy(const struct pickle_value *v, bool buffer,
                                size_t max, struct torch_view *out,
                                struct err *e)
{
    const struct pickle_items *a =
        buffer ? pickle_seq(v->v.object->args) : pickle_seq(v->v.object->state);
    if (!a || a->n != (buffer ? 4u : 5u))
        return err_set(e, ERR_DATA, "a numpy array without its state");
    if (buffer)
        return read_array(a->v[2], a->v[1], pickle_is_str(a->v[3], "F"),
                          a->v[0], max, out, e);
    bool fortran = a->v[3]->type == PICKLE_BOOL && a->v[3]->v.b;
    return read_array(a->v[1], a->v[2], fortran, a->v[4], max, out, e);
}

enum err_code torch_view_of(const struct pickle_value *v, size_t max,
                            struct torch_view *out, struct err *e)
{
    char text[128];
    *out = (struct torch_view){0};
    for (int wraps = 0; wraps < MAX_WRAPS; wraps++) {
        const struct pickle_items *args = v && v->type == PICKLE_OBJECT
                                              ? pickle_seq(v->v.object->args)
                                              : NULL;
        enum kind kind = kind_of(v);
        if (kind == DENSE || kind == DENSE_V3)
            return read_dense(args, kind == DENSE_V3, max, out, e);
        if (kind == NUMPY || kind == NUMPY_BUFFER)
            return read_numpy(v, kind == NUMPY_BUFFER, max, out, e);
        if (kind == OTHER || kind == NO_TENSOR)
            return err_set(e, ERR_UNSUPPORTED, "made by %s",
                           pickle_describe(v, text, sizeof text));
        if (kind == WRAPPED) {
            /* old Parameters stand in their state alone */
            if (!args->n)
                args = pickle_seq(v->v.object->state);
            if (!args || !args->n)
                return err_set(e, ERR_DATA, "a parameter without a tensor");
            v = args->v[0];
            continue;
        }
        /* function, type, args, state: as function(*args) */
        if (args->n < 3 || args->v[2]->type != PICKLE_TUPLE)
            return err_set(e, ERR_DATA, "a derived tensor without arguments");
        struct pickle_object o = {.callable = args->v[0], .args = args->v[2]};
        struct pickle_value call = {PICKLE_OBJECT, v->at, {.object = &o}};
        kind = kind_of(&call);
        if (kind == DENSE || kind == DENSE_V3)
            return read_dense(&args->v[2]->v.list, kind == DENSE_V3, max, out,
                              e);
        if (kind != WRAPPED || args->v[2]->v.list.n == 0)
            return err_set(e, ERR_UNSUPPORTED, "made by %s",
                           pickle_describe(args->v[0], text, sizeof text));
        v = args->v[2]->v.list.v[0];
    }
    return err_set(e, ERR_DATA, "a tensor wrapped too many times");
}

static bool is_contiguous(const struct torch_view *v)
{
    size_t step = 1;
    for (int i = v->ndim; i-- > 0;) {
        if (v->shape[i] != 1 && v->stride[i] != step)
            return false;
        step *= (size_t)v->shape[i]; /* checked: count */
    }
    return true;
}

/* n elements, `step` apart, from src to dst in order. */
static void copy_row(uint8_t *dst, const uint8_t *src, size_t n, size_t step,
                     const struct torch_type *t)
{
    for (size_t i = 0; i < n; i++, src += step * t->size) {
        if (t->convert == TORCH_COPY) {
            memcpy(dst + i * t->size, src, t->size);
            continue;
        }
        int32_t wide;
        if (t->size == 1) {
            wide = (int8_t)src[0];
        } else {
            wide = (int16_t)(uint16_t)(src[0] | src[1] << 8);
        }
        memcpy(dst + i * sizeof wide, &wide, sizeof wide);
    }
}

enum err_code torch_view_load(struct torch_file *f, const struct torch_view *v,
                              struct tensor **out, struct err *e)
{
    const uint8_t *data = v->inline_data;
    *out = NULL;
    enum err_code r = OK;
    if (!data && v->count)
        r = torch_file_storage(f, &v->storage, &data, e);
    if (r)
        return r;
    struct tensor *t = tensor_new(v->type->dtype, v->ndim, v->shape, e);
    if (!t)
        return ERR_NOMEM;
    *out = t;
    if (!v->count)
        return OK;
    data += v->first * v->type->size;
    size_t unit = dtype_size(v->type->dtype);
    if (is_contiguous(v)) {
        if (v->type->convert == TORCH_COPY)
            memcpy(t->data, data, t->bytes);
        else
            copy_row(t->data, data, v->count, 1, v->type);
        return OK;
    }
    /* at least one dimension: a scalar is contiguous */
    int last = v->ndim - 1;
    size_t row = (size_t)v->shape[last], index[TENSOR_MAX_DIMS] = {0};
    uint8_t *dst = t->data;
    for (size_t done = 0; done < v->count; done += row) {
        size_t at = 0;
        for (int i = 0; i < last; i++)
            at += index[i] * v->stride[i];
        copy_row(dst, data + at * v->type->size, row, v->stride[last], v->type);
        dst += row * unit;
        for (int i = last - 1; i >= 0; i--) {
            if (++index[i] < (size_t)v->shape[i])
                break;
            index[i] = 0;
        }
    }
    return OK;
}
