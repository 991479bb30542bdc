/* Whether an item, or the type offered by an edge, satisfies a port. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/flow/ports.h"

static size_t letter_index(int64_t dim)
{
    return (size_t)(DIM_LETTER - dim);
}

/* The size that a dim of the wanted type stands for, DIM_ANY if any will do. */
static int64_t known_size(int64_t dim, const struct port_bind *b)
{
    if (dim > DIM_LETTER)
        return dim;
    return b->size[letter_index(dim)] >= 0 ? b->size[letter_index(dim)]
                                           : DIM_ANY;
}

static bool tensor_ok(const struct field_type *want, const struct tensor *t,
                      struct port_bind *b)
{
    if (!want->any_dtype && want->dtype != t->dtype)
        return false;
    if (want->any_shape)
        return true;
    if (want->ndim != t->ndim)
        return false;
    for (int i = 0; i < want->ndim; i++) {
        int64_t need = known_size(want->dim[i], b);
        if (need >= 0 && need != t->shape[i])
            return false;
        if (want->dim[i] <= DIM_LETTER)
            b->size[letter_index(want->dim[i])] = t->shape[i];
    }
    return true;
}

static bool value_ok(const struct field_type *want, const struct field *f,
                     struct port_bind *b)
{
    const double exact = 9007199254740992.0; /* 2^53 */
    switch (want->type) {
    case VAL_TENSOR:
        return f->type == VAL_TENSOR && tensor_ok(want, f->v.t, b);
    case VAL_F64:
        return f->type == VAL_F64 ||
               (f->type == VAL_I64 && fabs((double)f->v.i) <= exact);
    case VAL_I64:
        return f->type == VAL_I64 ||
               (f->type == VAL_F64 && fabs(f->v.f) <= exact &&
                !(fabs(f->v.f - nearbyint(f->v.f)) > 0));
    default:
        return f->type == want->type;
    }
}

static char *found_text(const struct field *f, char *out, size_t n)
{
    static const char *const names[] = {"nil", "bool", "i64", "f64", "str"};
    if (f->type == VAL_TENSOR)
        return tensor_describe(f->v.t, out, n);
    (void)snprintf(out, n, "%s",
                   (size_t)f->type < 5 ? names[f->type] : "something else");
    return out;
}

/* " with H=480, W=640": what the letters of t stand for, "" if nothing. */
static char *bound_text(const struct field_type *t, const struct port_bind *b,
                        char *out, size_t n)
{
    bool seen[PORT_LETTERS] = {false};
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < t->ndim; i++) {
        if (t->dim[i] > DIM_LETTER)
            continue;
        size_t k = letter_index(t->dim[i]);
        if (seen[k] || b->size[k] < 0 || used >= n)
            continue;
        int w =
            snprintf(out + used, n - used, "%s%c=%lld", used ? ", " : " with ",
                     (char)(k < 26 ? 'A' + (int)k : 'a' + (int)k - 26),
                     (long long)b->size[k]);
        used += w > 0 ? (size_t)w : 0;
        seen[k] = true;
    }
    return out;
}

static enum err_code missing(const struct port_spec *p,
                             const struct port_field *want,
                             const struct item *it, struct err *e)
{
    char has[220] = "", type[160];
    const char *names[ITEM_MAX_FIELDS];
    size_t used = 0, n = it->n < ITEM_MAX_FIELDS ? it->n : ITEM_MAX_FIELDS;
    for (size_t i = 0; i < n; i++) {
        names[i] = it->fields[i].name;
        if (used < sizeof has)
            used += (size_t)snprintf(has + used, sizeof has - used, "%s%s",
                                     i ? ", " : "", names[i]);
    }
    if (used >= sizeof has)
        memcpy(has + sizeof has - 4, "...", 4);
    field_type_text(&want->type, type, sizeof type);
    const char *near = text_nearest(want->name, names, n);
    return err_set(e, ERR_DATA,
                   "port '%s': field '%s' is missing, wanted %s (the item has "
                   "%s%s%s%s)",
                   p->name, want->name, type, n ? has : "no fields",
                   near ? "; did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

void port_bind_reset(struct port_bind *b)
{
    for (size_t i = 0; i < PORT_LETTERS; i++)
        b->size[i] = -1;
}

enum err_code port_check(const struct port_spec *p, const struct item *it,
                         struct port_bind *b, struct err *e)
{
    struct port_bind next = *b;
    for (size_t i = 0; i < p->n; i++) {
        const struct port_field *want = &p->field[i];
        const struct field *f = item_get(it, want->name);
        if (!f || f->type == VAL_NIL) {
            if (want->type.optional)
                continue;
            return missing(p, want, it, e);
        }
        struct port_bind before = next;
        if (!value_ok(&want->type, f, &next)) {
            char type[160], found[160], bound[200];
            return err_set(
                e, ERR_DATA, "port '%s': field '%s': wanted %s%s, found %s",
                p->name, want->name,
                field_type_text(&want->type, type, sizeof type),
                bound_text(&want->type, &before, bound, sizeof bound),
                found_text(f, found, sizeof found));
        }
    }
    *b = next;
    return OK;
}

bool field_type_fits(const struct field_type *offered,
                     const struct field_type *wanted, struct port_bind *b)
{
    struct port_bind next;
    if (b)
        next = *b;
    else
        port_bind_reset(&next);
    if (wanted->type != VAL_TENSOR)
        return offered->type == wanted->type ||
               (offered->type == VAL_I64 && wanted->type == VAL_F64);
    if (offered->type != VAL_TENSOR)
        return false;
    if (!offered->any_dtype && !wanted->any_dtype &&
        offered->dtype != wanted->dtype)
        return false;
    if (offered->any_shape || wanted->any_shape)
        return true;
    if (offered->ndim != wanted->ndim)
        return false;
    for (int i = 0; i < wanted->ndim; i++) {
        int64_t have = offered->dim[i];
        int64_t need = known_size(wanted->dim[i], &next);
        if (have < 0)
            continue;
        if (need >= 0 && need != have)
            return false;
        if (wanted->dim[i] <= DIM_LETTER)
            next.size[letter_index(wanted->dim[i])] = have;
    }
    if (b)
        *b = next;
    return true;
}

struct field_type field_type_resolve(const struct field_type *t,
                                     const struct port_bind *b)
{
    struct field_type out = *t;
    for (int i = 0; i < out.ndim; i++)
        out.dim[i] = known_size(out.dim[i], b);
    return out;
}
