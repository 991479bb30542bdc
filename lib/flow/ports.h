/* Port specifications ("frame u8[H,W,3], name str, yaw f64?") read once into
 * tables; whether an item, or the type of an edge, satisfies them. The grammar
 * is in stage.h. */
#ifndef FACET_FLOW_PORTS_H
#define FACET_FLOW_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/data/tensor.h"
#include "lib/flow/stage.h"

/* dim[i] of a field_type: a size >= 0, DIM_ANY ('*'), or DIM_LETTER - k for
 * the k-th letter (A..Z are 0..25, a..z are 26..51). */
#define DIM_ANY (-1)
#define DIM_LETTER (-2)
#define PORT_LETTERS 52

struct field_type {
    enum value_type type; /* VAL_TENSOR, VAL_STR, VAL_I64, VAL_F64, VAL_BOOL */
    bool any_dtype;       /* `tensor` */
    bool any_shape;       /* [...], and `tensor` */
    bool optional;        /* '?' */
    enum dtype dtype;
    int ndim;
    int64_t dim[TENSOR_MAX_DIMS];
};

struct port_field {
    char name[ITEM_MAX_NAME + 1];
    struct field_type type;
};
struct port_spec {
    char *name; /* of the port; owned */
    struct port_field *field;
    size_t n;
    bool open; /* the list ends with "...": for an output, fields that are not
                  known beforehand come too (a tape's, a CSV's columns) */
};

/* The sizes that letters stand for; -1 while unknown. Use one for each
 * transform call (or each input item of it): letters hold over the input and
 * the outputs that come of it. */
struct port_bind {
    int64_t size[PORT_LETTERS];
};
void port_bind_reset(struct port_bind *b);

/* Read one type ("u8[H,W,3]", "str", "f64?"). ERR_ARG with the text and what
 * is wrong with it. */
enum err_code field_type_parse(const char *text, struct field_type *out,
                               struct err *e) MUST_USE;
/* Write it back in the same grammar into out (cut to n). Returns out. */
char *field_type_text(const struct field_type *t, char *out, size_t n);

/* Read a port's field list; it may end with "...". ERR_ARG: syntax, a field
 * twice, a bad name. On failure *out is empty. */
enum err_code port_parse(const char *name, const char *fields,
                         struct port_spec *out, struct err *e) MUST_USE;
void port_free(struct port_spec *p);
/* All ports of a table (NULL: none) into a new array *out of *n. */
enum err_code ports_parse(const struct stage_port *table,
                          struct port_spec **out, size_t *n,
                          struct err *e) MUST_USE;
void ports_free(struct port_spec **p, size_t n);
/* The port of that name, or NULL. name NULL: the only one, if it is one. */
const struct port_spec *ports_find(const struct port_spec *p, size_t n,
                                   const char *name);
const struct port_field *port_field(const struct port_spec *p,
                                    const char *name);

/* Does the item have what the port lists? Letters are bound in b (b unchanged
 * on failure). nil counts as missing. An integer passes as f64 where exact,
 * and a whole f64 as i64. ERR_DATA with one of
 *   "port 'in': field 'landmarks' is missing, wanted f32[68,3] (the item has
 *    frame, name)"
 *   "port 'in': field 'landmarks': wanted f32[68,3], found f32[68,2]"
 *   "port 'in': field 'mask': wanted u8[H,W] with H=480, found u8[240,640]" */
enum err_code port_check(const struct port_spec *p, const struct item *it,
                         struct port_bind *b, struct err *e) MUST_USE;

/* Could a field of type `offered` feed one of type `wanted`? For the check of
 * edges before anything runs: what is not known ('*', a letter of the
 * offering side, [...]) is given the benefit of the doubt. Known sizes bind
 * the letters of wanted in b (may be NULL; unchanged when false). i64 may feed
 * f64. Optionality is the caller's matter. */
bool field_type_fits(const struct field_type *offered,
                     const struct field_type *wanted, struct port_bind *b);
/* t with its letters replaced by what b knows; others become '*'. */
struct field_type field_type_resolve(const struct field_type *t,
                                     const struct port_bind *b);

#endif
