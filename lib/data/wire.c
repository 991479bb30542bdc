/* Items to and from multipart messages (see docs/wire.md for the format). */
#include "lib/data/wire.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include <msgpack.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/numpy.h"
#include "lib/data/wire_scan.h"

/* A header of ours has at most some 64 * 30 objects; the rest is room for
 * keys of others. Bounds what msgpack-c may allocate: 48 bytes an object. */
#define MAX_OBJECTS 16384

const struct wire_caps wire_caps_default = {
    .max_bytes = (size_t)1 << 30,
    .max_header = (size_t)16 << 20,
    .max_nesting = 8,
};

/* Messages */

static void part_free(struct wire_part *p)
{
    if (p->release)
        p->release(p->owner);
    *p = (struct wire_part){0};
}

void wire_msg_free(struct wire_msg *msg)
{
    if (!msg)
        return;
    for (size_t i = 0; i < msg->n; i++)
        part_free(&msg->part[i]);
    msg->n = 0;
}

enum err_code wire_msg_add(struct wire_msg *msg, const void *data, size_t n,
                           struct err *e)
{
    if (msg->n >= WIRE_MAX_PARTS)
        return err_set(e, ERR_ARG, "more than %d message parts",
                       WIRE_MAX_PARTS);
    void *copy = mem_aligned(n ? n : 1);
    if (!copy)
        return err_set(e, ERR_NOMEM, "no memory for a part of %zu bytes", n);
    if (n)
        memcpy(copy, data, n);
    msg->part[msg->n++] = (struct wire_part){
        .data = copy, .size = n, .release = mem_free, .owner = copy};
    return OK;
}

/* Encoding */

/* What the packer writes to. The first failure sticks, so that the many small
 * calls need no checks of their own. */
struct encoder {
    msgpack_packer pk;
    struct buf out;
    enum err_code code;
    struct err *e;
};

static int encoder_write(void *data, const char *p, size_t n)
{
    struct encoder *enc = data;
    if (enc->code == OK)
        enc->code = buf_put(&enc->out, p, n, enc->e);
    return enc->code == OK ? 0 : -1;
}

static void pack_str(struct encoder *enc, const char *s)
{
    msgpack_pack_str_with_body(&enc->pk, s, strlen(s));
}

static void pack_tensor(struct encoder *enc, const struct tensor *t, size_t k)
{
    msgpack_pack_map(&enc->pk, 5);
    pack_str(enc, "nd");
    msgpack_pack_true(&enc->pk);
    pack_str(enc, "type");
    pack_str(enc, numpy_name(t->dtype));
    pack_str(enc, "kind");
    pack_str(enc, "");
    pack_str(enc, "shape");
    msgpack_pack_array(&enc->pk, (size_t)t->ndim);
    for (int i = 0; i < t->ndim; i++)
        msgpack_pack_int64(&enc->pk, t->shape[i]);
    if (k) {
        pack_str(enc, "frame");
        msgpack_pack_uint64(&enc->pk, k);
    } else {
        pack_str(enc, "data");
        msgpack_pack_bin(&enc->pk, t->bytes);
        if (t->bytes)
            msgpack_pack_bin_body(&enc->pk, t->data, t->bytes);
    }
}

static void tensor_release(void *owner)
{
    struct tensor *t = owner;
    tensor_free(&t);
}

/* One field; a large tensor also becomes a part of out. */
static enum err_code pack_field(struct encoder *enc, const struct field *f,
                                struct wire_msg *out)
{
    pack_str(enc, f->name);
    switch (f->type) {
    case VAL_NIL:
        msgpack_pack_nil(&enc->pk);
        break;
    case VAL_BOOL:
        if (f->v.b)
            msgpack_pack_true(&enc->pk);
        else
            msgpack_pack_false(&enc->pk);
        break;
    case VAL_I64:
        msgpack_pack_int64(&enc->pk, f->v.i);
        break;
    case VAL_F64:
        msgpack_pack_double(&enc->pk, f->v.f);
        break;
    case VAL_STR:
        pack_str(enc, f->v.s);
        break;
    case VAL_TENSOR:
        if (f->v.t->bytes <= WIRE_INLINE_BYTES) {
            pack_tensor(enc, f->v.t, 0);
            break;
        }
        if (out->n >= WIRE_MAX_PARTS)
            return err_set(enc->e, ERR_ARG, "more than %d message parts",
                           WIRE_MAX_PARTS);
        pack_tensor(enc, f->v.t, out->n);
        out->part[out->n++] = (struct wire_part){
            .data = f->v.t->data,
            .size = f->v.t->bytes,
            .release = tensor_release,
            .owner = tensor_ref(f->v.t),
        };
        break;
    }
    return enc->code;
}

static enum err_code pack_item(struct encoder *enc, const struct item *it,
                               struct wire_msg *out)
{
    msgpack_pack_map(&enc->pk, 7);
    pack_str(enc, "v");
    msgpack_pack_int(&enc->pk, WIRE_VERSION);
    pack_str(enc, "kind");
    pack_str(enc, it->kind);
    pack_str(enc, "id");
    msgpack_pack_bin_with_body(&enc->pk, it->id.b, sizeof it->id.b);
    pack_str(enc, "parent");
    msgpack_pack_bin_with_body(&enc->pk, it->parent.b, sizeof it->parent.b);
    pack_str(enc, "attempt");
    msgpack_pack_uint32(&enc->pk, it->attempt);
    pack_str(enc, "epoch");
    msgpack_pack_uint32(&enc->pk, it->epoch);
    pack_str(enc, "fields");
    msgpack_pack_map(&enc->pk, it->n);
    for (size_t i = 0; i < it->n; i++) {
        enum err_code code = pack_field(enc, &it->fields[i], out);
        if (code)
            return code;
    }
    return enc->code;
}

enum err_code wire_encode(const struct item *it, struct wire_msg *out,
                          struct err *e)
{
    struct encoder enc = {.e = e};
    buf_init(&enc.out, wire_caps_default.max_header);
    msgpack_packer_init(&enc.pk, &enc, encoder_write);
    out->n = 1;
    out->part[0] = (struct wire_part){0};

    enum err_code code = pack_item(&enc, it, out);
    size_t total = enc.out.len;
    for (size_t i = 1; i < out->n && code == OK; i++)
        if (!size_add(total, out->part[i].size, &total) ||
            total > wire_caps_default.max_bytes)
            code = err_set(e, ERR_NOMEM,
                           "an item of over %zu bytes cannot be sent",
                           wire_caps_default.max_bytes);
    if (code) {
        buf_free(&enc.out);
        wire_msg_free(out);
        return code;
    }
    out->part[0] = (struct wire_part){.data = enc.out.data,
                                      .size = enc.out.len,
                                      .release = mem_free,
                                      .owner = enc.out.data};
    return OK;
}

/* Decoding */

struct decoder {
    struct wire_msg *msg;
    size_t max_bytes;
    bool used[WIRE_MAX_PARTS]; /* is the frame already some field's? */
    struct item *it;
};

/* The bytes of a string; also of a bytes object, since msgpack-numpy writes
 * keys and short words as such. n = 0 for anything else. */
struct text {
    const char *p;
    size_t n;
};
static struct text text_of(const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_STR)
        return (struct text){o->via.str.ptr, o->via.str.size};
    if (o->type == MSGPACK_OBJECT_BIN)
        return (struct text){o->via.bin.ptr, o->via.bin.size};
    return (struct text){"", 0};
}

static bool is_text(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_STR || o->type == MSGPACK_OBJECT_BIN;
}

static bool is_word(const msgpack_object *o, const char *word)
{
    struct text t = text_of(o);
    return is_text(o) && t.n == strlen(word) && memcmp(t.p, word, t.n) == 0;
}

/* A text for a message: cut, unprintable bytes as '?'. */
struct shown {
    char s[64];
};
static struct shown show(const msgpack_object *o)
{
    struct shown out = {{0}};
    struct text t = text_of(o);
    for (size_t i = 0; i < t.n && i < sizeof out.s - 1; i++)
        out.s[i] = isprint((unsigned char)t.p[i]) ? t.p[i] : '?';
    return out;
}

/* Copy a text of 1..max bytes without NUL into out[max + 1]. */
static bool copy_word(const msgpack_object *o, char *out, size_t max)
{
    struct text t = text_of(o);
    if (t.n == 0 || t.n > max || memchr(t.p, 0, t.n))
        return false;
    memcpy(out, t.p, t.n);
    out[t.n] = '\0';
    return true;
}

/* Find keys[n] in a map: found[i] is the value of keys[i] or NULL. Doubled
 * keys are refused, and unknown ones too unless `open`. */
static enum err_code map_find(const msgpack_object *map, const char *what,
                              const char *const *keys,
                              const msgpack_object **found, size_t n, bool open,
                              struct err *e)
{
    for (size_t i = 0; i < n; i++)
        found[i] = NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        size_t k = 0;
        while (k < n && !is_word(&kv->key, keys[k]))
            k++;
        if (k < n && found[k])
            return err_set(e, ERR_DATA, "%s has '%s' twice", what, keys[k]);
        if (k < n)
            found[k] = &kv->val;
        else if (!open)
            return err_set(e, ERR_DATA, "%s has an unknown key '%s'", what,
                           show(&kv->key).s);
    }
    return OK;
}

static enum err_code read_shape(const msgpack_object *o,
                                int64_t shape[TENSOR_MAX_DIMS], int *ndim,
                                struct err *e)
{
    if (!o || o->type != MSGPACK_OBJECT_ARRAY)
        return err_set(e, ERR_DATA, "an array needs a 'shape' list");
    if (o->via.array.size > TENSOR_MAX_DIMS)
        return err_set(e, ERR_DATA, "%u dimensions, at most %d are taken",
                       (unsigned)o->via.array.size, TENSOR_MAX_DIMS);
    *ndim = (int)o->via.array.size;
    for (int i = 0; i < *ndim; i++) {
        const msgpack_object *d = &o->via.array.ptr[i];
        if (d->type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
            d->via.u64 > INT64_MAX)
            return err_set(e, ERR_DATA, "dimension %d is not a size", i);
        shape[i] = (int64_t)d->via.u64;
    }
    return OK;
}

/* A tensor on the memory of frame k, which passes to it. */
static enum err_code tensor_from_frame(struct decoder *d,
                                       const msgpack_object *frame,
                                       enum dtype type, int ndim,
                                       const int64_t *shape, size_t bytes,
                                       struct tensor **out, struct err *e)
{
    if (frame->type != MSGPACK_OBJECT_POSITIVE_INTEGER || frame->via.u64 < 1 ||
        frame->via.u64 >= d->msg->n)
        return err_set(e, ERR_DATA, "'frame' is not in 1..%zu", d->msg->n - 1);
    size_t k = (size_t)frame->via.u64;
    struct wire_part *p = &d->msg->part[k];
    if (d->used[k])
        return err_set(e, ERR_DATA, "frame %zu is used twice", k);
    if (p->size != bytes)
        return err_set(e, ERR_DATA,
                       "frame %zu has %zu bytes, its shape needs %zu", k,
                       p->size, bytes);
    d->used[k] = true;
    bool aligned = bytes == 0 || (uintptr_t)p->data % dtype_size(type) == 0;
    if (p->release && aligned && p->data) {
        struct wire_part taken = *p;
        *p = (struct wire_part){0};
        *out = tensor_wrap(type, ndim, shape, taken.data, taken.release,
                           taken.owner, e);
        return *out ? OK : ERR_NOMEM;
    }
    *out = tensor_new(type, ndim, shape, e);
    if (!*out)
        return ERR_NOMEM;
    if (bytes)
        memcpy((*out)->data, p->data, bytes);
    part_free(p);
    return OK;
}

static enum err_code tensor_from_data(const msgpack_object *data,
                                      enum dtype type, int ndim,
                                      const int64_t *shape, size_t bytes,
                                      struct tensor **out, struct err *e)
{
    if (data->type != MSGPACK_OBJECT_BIN)
        return err_set(e, ERR_DATA, "'data' is not bytes");
    if (data->via.bin.size != bytes)
        return err_set(e, ERR_DATA, "'data' has %u bytes, its shape needs %zu",
                       (unsigned)data->via.bin.size, bytes);
    *out = tensor_new(type, ndim, shape, e);
    if (!*out)
        return ERR_NOMEM;
    if (bytes)
        memcpy((*out)->data, data->via.bin.ptr, bytes);
    return OK;
}

/* What a msgpack-numpy map may hold. */
enum { ND, TYPE, KIND, SHAPE, DATA, FRAME, ARENA, COMPLEX, N_KEYS };
static const char *const tensor_keys[N_KEYS] = {
    "nd", "type", "kind", "shape", "data", "frame", "arena", "complex"};

static enum err_code read_tensor(struct decoder *d,
                                 const msgpack_object *const *at,
                                 struct tensor **out, struct err *e)
{
    if (at[KIND] && is_word(at[KIND], "O"))
        return err_set(e, ERR_UNSUPPORTED, "object arrays are refused");
    if (at[KIND] && !is_word(at[KIND], ""))
        return err_set(e, ERR_UNSUPPORTED, "arrays of kind '%s' are not taken",
                       show(at[KIND]).s);
    if (at[TYPE] && at[TYPE]->type == MSGPACK_OBJECT_ARRAY)
        return err_set(e, ERR_UNSUPPORTED, "structured arrays are not taken");
    if (!at[TYPE] || !is_text(at[TYPE]))
        return err_set(e, ERR_DATA, "an array needs a 'type' string");
    enum dtype type = DT_U8;
    int64_t shape[TENSOR_MAX_DIMS] = {0};
    int ndim = 0;
    size_t count, bytes = 0;
    struct text name = text_of(at[TYPE]);
    enum err_code code = numpy_dtype(name.p, name.n, &type, e);
    if (code)
        return code;
    if ((code = read_shape(at[SHAPE], shape, &ndim, e)))
        return code;
    code = tensor_measure(type, ndim, shape, d->max_bytes, &count, &bytes, e);
    if (code)
        return code;
    if (at[ARENA])
        return err_set(e, ERR_UNSUPPORTED,
                       "this reader takes no arenas; send 'frame' or 'data'");
    if (!at[DATA] == !at[FRAME])
        return err_set(e, ERR_DATA, "an array needs either 'data' or 'frame'");
    if (at[FRAME])
        return tensor_from_frame(d, at[FRAME], type, ndim, shape, bytes, out,
                                 e);
    return tensor_from_data(at[DATA], type, ndim, shape, bytes, out, e);
}

/* numpy scalars (nd: false), as msgpack-numpy sends them, are plain values. */
static enum err_code read_scalar(struct decoder *d, const char *name,
                                 const msgpack_object *const *at, struct err *e)
{
    struct numpy_scalar v;
    if (!at[TYPE] || !at[DATA] || at[DATA]->type != MSGPACK_OBJECT_BIN)
        return err_set(e, ERR_DATA, "a numpy scalar needs 'type' and 'data'");
    struct text type = text_of(at[TYPE]), data = text_of(at[DATA]);
    enum err_code code = numpy_scalar(type.p, type.n, data.p, data.n, &v, e);
    if (code)
        return code;
    if (v.type == NUMPY_BOOL)
        return item_set_bool(d->it, name, v.i != 0, e);
    if (v.type == NUMPY_INT)
        return item_set_i64(d->it, name, v.i, e);
    return item_set_f64(d->it, name, v.f, e);
}

static enum err_code read_map_value(struct decoder *d, const char *name,
                                    const msgpack_object *v, struct err *e)
{
    const msgpack_object *at[N_KEYS];
    bool nd = false, complex = false;
    for (uint32_t i = 0; i < v->via.map.size; i++) {
        nd = nd || is_word(&v->via.map.ptr[i].key, "nd");
        complex = complex || is_word(&v->via.map.ptr[i].key, "complex");
    }
    if (complex)
        return err_set(e, ERR_UNSUPPORTED, "complex numbers are not taken");
    if (!nd)
        return err_set(e, ERR_UNSUPPORTED,
                       "maps are not taken; send one "
                       "field for each value");
    enum err_code code =
        map_find(v, "an array", tensor_keys, at, N_KEYS, false, e);
    if (code)
        return code;
    if (at[ND]->type != MSGPACK_OBJECT_BOOLEAN)
        return err_set(e, ERR_DATA, "'nd' is not true or false");
    if (!at[ND]->via.boolean)
        return read_scalar(d, name, at, e);
    struct tensor *t = NULL;
    code = read_tensor(d, at, &t, e);
    return code ? code : item_set_tensor(d->it, name, t, e);
}

static enum err_code read_string(struct decoder *d, const char *name,
                                 const msgpack_object *v, struct err *e)
{
    size_t n = v->via.str.size;
    if (n > ITEM_MAX_STR)
        return err_set(e, ERR_DATA,
                       "a string of %zu bytes, at most %u are "
                       "taken",
                       n, ITEM_MAX_STR);
    if (n && memchr(v->via.str.ptr, 0, n))
        return err_set(e, ERR_DATA, "a string with a NUL byte");
    if (n && !text_is_utf8(v->via.str.ptr, n))
        return err_set(e, ERR_DATA, "a string that is not UTF-8");
    char *s = mem_strndup(n ? v->via.str.ptr : "", n);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a string of %zu bytes", n);
    enum err_code code = item_set_str(d->it, name, s, e);
    mem_free(s);
    return code;
}

static enum err_code read_value(struct decoder *d, const char *name,
                                const msgpack_object *v, struct err *e)
{
    switch (v->type) {
    case MSGPACK_OBJECT_NIL:
        return item_set_nil(d->it, name, e);
    case MSGPACK_OBJECT_BOOLEAN:
        return item_set_bool(d->it, name, v->via.boolean, e);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (v->via.u64 > INT64_MAX)
            return err_set(e, ERR_UNSUPPORTED, "integer above 2^63-1");
        return item_set_i64(d->it, name, (int64_t)v->via.u64, e);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return item_set_i64(d->it, name, v->via.i64, e);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return item_set_f64(d->it, name, v->via.f64, e);
    case MSGPACK_OBJECT_STR:
        return read_string(d, name, v, e);
    case MSGPACK_OBJECT_MAP:
        return read_map_value(d, name, v, e);
    case MSGPACK_OBJECT_ARRAY:
        return err_set(e, ERR_UNSUPPORTED,
                       "lists are not taken; send an array (msgpack-numpy)");
    case MSGPACK_OBJECT_BIN:
        return err_set(e, ERR_UNSUPPORTED,
                       "bytes are not taken; send an array of type |u1");
    case MSGPACK_OBJECT_EXT:
        break;
    }
    return err_set(e, ERR_UNSUPPORTED, "msgpack extensions are not taken");
}

static enum err_code read_fields(struct decoder *d, const msgpack_object *map,
                                 struct err *e)
{
    if (!map && strcmp(d->it->kind, "item") != 0)
        return OK; /* a control word may go without */
    if (!map || map->type != MSGPACK_OBJECT_MAP)
        return err_set(e, ERR_DATA, "'fields' is missing or not a map");
    if (map->via.map.size > ITEM_MAX_FIELDS)
        return err_set(e, ERR_DATA, "%u fields, at most %d are taken",
                       (unsigned)map->via.map.size, ITEM_MAX_FIELDS);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        char name[ITEM_MAX_NAME + 1];
        if (!copy_word(&kv->key, name, ITEM_MAX_NAME))
            return err_set(e, ERR_DATA, "'%s' is no field name",
                           show(&kv->key).s);
        if (item_get(d->it, name))
            return err_set(e, ERR_DATA, "field '%s' occurs twice", name);
        enum err_code code = read_value(d, name, &kv->val, e);
        if (code == ERR_ARG) /* the item refused the name */
            code =
                err_set(e, ERR_DATA, "'%s' is no field name", show(&kv->key).s);
        else if (code)
            err_wrap(e, "field '%s'", show(&kv->key).s);
        if (code)
            return code;
    }
    return OK;
}

static enum err_code read_id(const msgpack_object *o, const char *what,
                             struct item_id *id, struct err *e)
{
    if (!o || o->type == MSGPACK_OBJECT_NIL)
        return OK; /* stays zero */
    if (o->type != MSGPACK_OBJECT_BIN || o->via.bin.size != sizeof id->b)
        return err_set(e, ERR_DATA, "'%s' is not %zu bytes", what,
                       sizeof id->b);
    memcpy(id->b, o->via.bin.ptr, sizeof id->b);
    return OK;
}

static enum err_code read_u32(const msgpack_object *o, const char *what,
                              uint32_t *out, struct err *e)
{
    if (!o)
        return OK;
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > UINT32_MAX)
        return err_set(e, ERR_DATA, "'%s' is not in 0..2^32-1", what);
    *out = (uint32_t)o->via.u64;
    return OK;
}

static enum err_code read_top(struct decoder *d, const msgpack_object *top,
                              bool *head_read, struct err *e)
{
    enum { V, KIND_, ID, PARENT, ATTEMPT, EPOCH, FIELDS, N };
    static const char *const keys[N] = {"v",       "kind",  "id",    "parent",
                                        "attempt", "epoch", "fields"};
    const msgpack_object *at[N];
    if (top->type != MSGPACK_OBJECT_MAP)
        return err_set(e, ERR_DATA, "the header is not a map");
    enum err_code code = map_find(top, "the header", keys, at, N, true, e);
    if (code)
        return code;
    if (!at[V] || at[V]->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return err_set(e, ERR_DATA, "the header has no version 'v'");
    if (at[V]->via.u64 != WIRE_VERSION)
        return err_set(e, ERR_UNSUPPORTED,
                       "wire version %llu; this reader takes %d",
                       (unsigned long long)at[V]->via.u64, WIRE_VERSION);
    if (at[KIND_] && !copy_word(at[KIND_], d->it->kind, sizeof d->it->kind - 1))
        return err_set(e, ERR_DATA, "'kind' is not a word of 1..%zu bytes",
                       sizeof d->it->kind - 1);
    for (const char *p = d->it->kind; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
            return err_set(e, ERR_DATA, "'kind' has the byte 0x%02x",
                           (unsigned)(unsigned char)*p);
    if ((code = read_id(at[ID], "id", &d->it->id, e)) ||
        (code = read_id(at[PARENT], "parent", &d->it->parent, e)) ||
        (code = read_u32(at[ATTEMPT], "attempt", &d->it->attempt, e)) ||
        (code = read_u32(at[EPOCH], "epoch", &d->it->epoch, e)))
        return code;
    *head_read = true;
    return read_fields(d, at[FIELDS], e);
}

static enum err_code check_sizes(const struct wire_msg *msg,
                                 const struct wire_caps *caps, struct err *e)
{
    size_t total = 0;
    if (msg->n < 1 || msg->n > WIRE_MAX_PARTS)
        return err_set(e, ERR_DATA, "a message of %zu parts, 1..%d are taken",
                       msg->n, WIRE_MAX_PARTS);
    for (size_t i = 0; i < msg->n; i++)
        if (!size_add(total, msg->part[i].size, &total) ||
            total > caps->max_bytes)
            return err_set(e, ERR_DATA, "a message of over %zu bytes",
                           caps->max_bytes);
    if (msg->part[0].size > caps->max_header)
        return err_set(e, ERR_DATA,
                       "a header of %zu bytes, at most %zu are "
                       "taken",
                       msg->part[0].size, caps->max_header);
    return OK;
}

enum err_code wire_decode_head(struct wire_msg *msg,
                               const struct wire_caps *caps, struct item **out,
                               struct item **head, struct err *e)
{
    struct decoder d = {.msg = msg};
    msgpack_unpacked top;
    size_t off = 0;
    *out = NULL;
    if (!caps)
        caps = &wire_caps_default;
    d.max_bytes = caps->max_bytes;
    msgpack_unpacked_init(&top);

    enum err_code code = check_sizes(msg, caps, e);
    if (code)
        goto done;
    const struct wire_part *first = &msg->part[0];
    code =
        wire_scan(first->data, first->size, caps->max_nesting, MAX_OBJECTS, e);
    if (code)
        goto done;
    msgpack_unpack_return r =
        msgpack_unpack_next(&top, first->data, first->size, &off);
    if (r == MSGPACK_UNPACK_NOMEM_ERROR)
        code = err_set(e, ERR_NOMEM, "no memory for a header of %zu bytes",
                       first->size);
    else if (r != MSGPACK_UNPACK_SUCCESS)
        code = err_set(e, ERR_DATA, "malformed msgpack in the header");
    if (code)
        goto done;
    d.it = item_new(e);
    if (!d.it) {
        code = ERR_NOMEM;
        goto done;
    }
    bool head_read = false;
    code = read_top(&d, &top.data, &head_read, e);
    for (size_t k = 1; k < msg->n && code == OK; k++)
        if (!d.used[k])
            code = err_set(e, ERR_DATA, "frame %zu is named by no field", k);
    if (code && head && head_read && code != ERR_NOMEM) {
        *head = d.it;
        d.it = NULL;
    } else if (code) {
        item_free(&d.it);
    }
    *out = d.it;
done:
    msgpack_unpacked_destroy(&top);
    if (msg->n > WIRE_MAX_PARTS)
        msg->n = WIRE_MAX_PARTS;
    wire_msg_free(msg);
    return code;
}

enum err_code wire_decode(struct wire_msg *msg, const struct wire_caps *caps,
                          struct item **out, struct err *e)
{
    return wire_decode_head(msg, caps, out, NULL, e);
}
