/* YAML text to a tree of nodes that know where they stand. The only module
 * that uses libyaml. The text is not trusted. */
#ifndef FACET_FLOW_YAML_H
#define FACET_FLOW_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define YAML_MAX_BYTES ((size_t)1 << 20)
#define YAML_MAX_DEPTH 32
#define YAML_MAX_NODES 100000 /* copies made by aliases count too */
#define YAML_MAX_KEYS 4096    /* of one map */
#define YAML_MAX_ANCHORS 256

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    int line, column; /* from 1; columns count characters */
    char *text;       /* SCALAR: UTF-8 without NUL; owned */
    bool plain;       /* SCALAR: written without quotes */
    /* LIST: n items. MAP: n keys (scalars) and values, in file order. */
    size_t n;
    struct yaml_node **keys, **items;
};

/* Read one document of n bytes; origin names it in errors, whose text is
 * "origin:line:column: error: ...". A byte order mark is passed over. Maps come
 * with their merge keys ("<<: *x", a map or a list of maps) put in: keys of
 * the map itself win, then earlier maps of the list; what is merged stands
 * first and keeps its own place in the file. ERR_DATA: not UTF-8, malformed,
 * more than one document or none, a key twice or not a scalar, a tag, an alias
 * inside its own anchor, a limit above passed. ERR_NOMEM. */
enum err_code yaml_read(const char *text, size_t n, const char *origin,
                        struct yaml_node **out, struct err *e) MUST_USE;
enum err_code yaml_read_file(const char *path, struct yaml_node **out,
                             struct err *e) MUST_USE;
void yaml_node_free(struct yaml_node **node);

/* The value under key in a map; NULL if there is none, or node is no map. */
const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key);
/* A plain scalar that means "no value": empty, ~, null, Null, NULL. */
bool yaml_is_null(const struct yaml_node *node);
/* Append s as a double-quoted scalar, and a new line. */
enum err_code yaml_put_quoted(struct buf *out, const char *s,
                              struct err *e) MUST_USE;
/* The shortest text that reads back as v, into out. */
const char *yaml_number(double v, char out[40]);
/* "a text", "a list", "a map", "no value": what node is, for errors. */
const char *yaml_kind_name(const struct yaml_node *node);

#endif
