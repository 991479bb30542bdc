/* The number types of PyTorch's storages and tensors. */
#include "lib/nn/torch_type.h"

#include <string.h>

static const struct torch_type types[] = {
    {"FloatStorage", "float32", 4, TORCH_COPY, DT_F32},
    {"DoubleStorage", "float64", 8, TORCH_COPY, DT_F64},
    {"HalfStorage", "float16", 2, TORCH_COPY, DT_F16},
    {"BFloat16Storage", "bfloat16", 2, TORCH_COPY, DT_BF16},
    {"LongStorage", "int64", 8, TORCH_COPY, DT_I64},
    {"IntStorage", "int32", 4, TORCH_COPY, DT_I32},
    {"ShortStorage", "int16", 2, TORCH_WIDEN, DT_I32},
    {"CharStorage", "int8", 1, TORCH_WIDEN, DT_I32},
    {"ByteStorage", "uint8", 1, TORCH_COPY, DT_U8},
    {"BoolStorage", "bool", 1, TORCH_COPY, DT_U8},
    {"UInt16Storage", "uint16", 2, TORCH_COPY, DT_U16},
    {"UInt32Storage", "uint32", 4, TORCH_REFUSE, DT_COUNT},
    {"UInt64Storage", "uint64", 8, TORCH_REFUSE, DT_COUNT},
    {"ComplexHalfStorage", "complex32", 4, TORCH_REFUSE, DT_COUNT},
    {"ComplexFloatStorage", "complex64", 8, TORCH_REFUSE, DT_COUNT},
    {"ComplexDoubleStorage", "complex128", 16, TORCH_REFUSE, DT_COUNT},
    {"QInt8Storage", "qint8", 1, TORCH_REFUSE, DT_COUNT},
    {"QUInt8Storage", "quint8", 1, TORCH_REFUSE, DT_COUNT},
    {"QInt32Storage", "qint32", 4, TORCH_REFUSE, DT_COUNT},
    {"QUInt4x2Storage", "quint4x2", 1, TORCH_REFUSE, DT_COUNT},
    {"QUInt2x4Storage", "quint2x4", 1, TORCH_REFUSE, DT_COUNT},
    {"", "float8_e4m3fn", 1, TORCH_REFUSE, DT_COUNT},
    {"", "float8_e5m2", 1, TORCH_REFUSE, DT_COUNT},
    {"", "float8_e4m3fnuz", 1, TORCH_REFUSE, DT_COUNT},
    {"", "float8_e5m2fnuz", 1, TORCH_REFUSE, DT_COUNT},
    {"UntypedStorage", "", 1, TORCH_UNTYPED, DT_COUNT},
    {"_UntypedStorage", "", 1, TORCH_UNTYPED, DT_COUNT},
};

static bool same(const char *p, size_t n, const char *s)
{
    return *s && n == strlen(s) && memcmp(p, s, n) == 0;
}

static const struct torch_type *find(const struct pickle_value *v,
                                     bool storages)
{
    if (!v || v->type != PICKLE_GLOBAL || v->v.global.module_n < 5 ||
        memcmp(v->v.global.module, "torch", 5) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (same(v->v.global.name, v->v.global.name_n,
                 storages ? types[i].storage : types[i].word))
            return &types[i];
    }
    return NULL;
}

const struct torch_type *torch_type_storage(const struct pickle_value *global)
{
    return find(global, true);
}

const struct torch_type *torch_type_dtype(const struct pickle_value *global)
{
    return find(global, false);
}

const struct torch_type *torch_type_numpy(char kind, int width)
{
    static const struct {
        char kind;
        int width;
        const char *word;
    } numpy[] = {
        {'f', 4, "float32"}, {'f', 8, "float64"}, {'f', 2, "float16"},
        {'i', 8, "int64"},   {'i', 4, "int32"},   {'i', 2, "int16"},
        {'i', 1, "int8"},    {'u', 1, "uint8"},   {'u', 2, "uint16"},
        {'b', 1, "bool"},
    };
    for (size_t i = 0; i < sizeof numpy / sizeof *numpy; i++) {
        if (numpy[i].kind != kind || numpy[i].width != width)
            continue;
        for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
            if (strcmp(types[k].word, numpy[i].word) == 0)
                return &types[k];
        }
    }
    return NULL;
}
