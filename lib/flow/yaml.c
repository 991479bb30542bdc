/* YAML text to a tree of nodes that know where they stand. */
#include "lib/flow/yaml.h"

#include <stdint.h>
#include <string.h>

#include <yaml.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

struct anchor {
    char *name;
    const struct yaml_node *node; /* NULL while the node is being read */
};

struct reader {
    yaml_parser_t parser;
    const char *origin, *text;
    size_t n_text;
    size_t nodes;
    struct anchor anchor[YAML_MAX_ANCHORS];
    size_t n_anchors;
    struct yaml_node *merged; /* what stood under '<<': anchors may mean it */
    struct err *e;
};

static enum err_code read_node(struct reader *r, yaml_event_t *ev, int depth,
                               struct yaml_node **out);

static enum err_code no_memory(struct reader *r)
{
    return err_set(r->e, ERR_NOMEM, "%s: no memory", r->origin);
}

static enum err_code fail(struct reader *r, const yaml_mark_t *at,
                          const char *text)
{
    return err_set(r->e, ERR_DATA, "%s:%zu:%zu: error: %s", r->origin,
                   at->line + 1, at->column + 1, text);
}

/* Line and column (in characters, from 0) of a byte offset. */
static yaml_mark_t mark_of(const struct reader *r, size_t offset)
{
    yaml_mark_t m = {0};
    for (size_t i = 0; i < offset && i < r->n_text; i++) {
        if (r->text[i] == '\n') {
            m.line++;
            m.column = 0;
        } else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
            m.column++;
        }
    }
    return m;
}

/* Does a tab stand among the blanks that begin the line of this place? Where,
 * into *at. */
static bool tab_indents(const struct reader *r, yaml_mark_t *at)
{
    size_t from = 0;
    for (size_t line = 0; line < at->line && from < r->n_text; from++)
        line += r->text[from] == '\n';
    size_t n = 0;
    while (from + n < r->n_text && r->text[from + n] == ' ')
        n++;
    if (from + n >= r->n_text || r->text[from + n] != '\t')
        return false;
    at->column = n;
    return true;
}

/* The byte that libyaml's mark means: a mark counts characters, and the text
 * does not end with a zero. */
static size_t offset_of(const struct reader *r, const yaml_mark_t *at)
{
    size_t i = 0, n = 0;
    for (; i < r->n_text; i++)
        if (((unsigned char)r->text[i] & 0xc0) != 0x80 && n++ == at->index)
            break;
    return i;
}

/* Does a variable follow on the line from this byte on? */
static bool variable_follows(const struct reader *r, size_t from)
{
    for (size_t i = from; i + 1 < r->n_text && r->text[i] != '\n'; i++)
        if (r->text[i] == '$' && r->text[i + 1] == '{')
            return true;
    return false;
}

/* What libyaml has against the text. */
static enum err_code syntax(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *what = p->problem ? p->problem : "malformed";
    yaml_mark_t place = p->problem_mark;
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    if (p->error == YAML_SCANNER_ERROR && tab_indents(r, &place))
        return fail(r, &place, "a tab indents this line: use spaces");
    if (p->error == YAML_READER_ERROR) {
        yaml_mark_t at = mark_of(r, p->problem_offset);
        return fail(r, &at, what);
    }
    /* {root: ${out}}: a brace of its own closes the map. */
    const char *c = p->context;
    bool flow = c && strstr(c, "flow mapping") != NULL;
    if (flow && variable_follows(r, offset_of(r, &p->context_mark)))
        return fail(r, &place,
                    "a ${variable} between braces stands in quotes: "
                    "{root: \"${out}\"}");
    if (p->context && p->error != YAML_COMPOSER_ERROR)
        return err_set(r->e, ERR_DATA, "%s:%zu:%zu: error: %s (%s at line %zu)",
                       r->origin, p->problem_mark.line + 1,
                       p->problem_mark.column + 1, what, p->context,
                       p->context_mark.line + 1);
    return fail(r, &p->problem_mark, what);
}

static enum err_code next_event(struct reader *r, yaml_event_t *ev)
{
    if (!yaml_parser_parse(&r->parser, ev))
        return syntax(r);
    return OK;
}

static enum err_code new_node(struct reader *r, enum yaml_kind kind,
                              const yaml_mark_t *at, struct yaml_node **out)
{
    if (++r->nodes > YAML_MAX_NODES)
        return fail(r, at, "more than 100000 values");
    struct yaml_node *n = mem_calloc(1, sizeof *n);
    if (!n)
        return no_memory(r);
    n->kind = kind;
    n->line = (int)at->line + 1;
    n->column = (int)at->column + 1;
    *out = n;
    return OK;
}

/* Append key (NULL in a list) and value, taking both over. */
static enum err_code append(struct reader *r, struct yaml_node *parent,
                            struct yaml_node *key, struct yaml_node *value)
{
    size_t n = parent->n;
    if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
        size_t cap = n ? n * 2 : 1;
        struct yaml_node **items =
            mem_resize(parent->items, cap, sizeof *items);
        if (items)
            parent->items = items;
        struct yaml_node **keys = NULL;
        if (items && parent->kind == YAML_MAP) {
            keys = mem_resize(parent->keys, cap, sizeof *keys);
            if (keys)
                parent->keys = keys;
        }
        if (!items || (parent->kind == YAML_MAP && !keys)) {
            yaml_node_free(&key);
            yaml_node_free(&value);
            return no_memory(r);
        }
    }
    if (parent->kind == YAML_MAP)
        parent->keys[n] = key;
    parent->items[n] = value;
    parent->n++;
    return OK;
}

static enum err_code copy_node(struct reader *r, const yaml_mark_t *at,
                               const struct yaml_node *src, int depth,
                               struct yaml_node **out)
{
    struct yaml_node *n = NULL;
    if (depth > YAML_MAX_DEPTH)
        return fail(r, at, "nested deeper than 32");
    enum err_code rc = new_node(r, src->kind, at, &n);
    if (rc)
        return rc;
    n->line = src->line;
    n->column = src->column;
    n->plain = src->plain;
    if (src->text && !(n->text = mem_strdup(src->text)))
        rc = no_memory(r);
    for (size_t i = 0; i < src->n && rc == OK; i++) {
        struct yaml_node *key = NULL, *value = NULL;
        if (src->kind == YAML_MAP)
            rc = copy_node(r, at, src->keys[i], depth + 1, &key);
        if (!rc)
            rc = copy_node(r, at, src->items[i], depth + 1, &value);
        if (rc)
            yaml_node_free(&key);
        else
            rc = append(r, n, key, value);
    }
    if (rc)
        yaml_node_free(&n);
    *out = n;
    return rc;
}

static enum err_code read_alias(struct reader *r, const yaml_event_t *ev,
                                int depth, struct yaml_node **out)
{
    const char *name = (const char *)ev->data.alias.anchor;
    for (size_t i = r->n_anchors; i-- > 0;) {
        if (strcmp(r->anchor[i].name, name) != 0)
            continue;
        if (!r->anchor[i].node)
            return fail(r, &ev->start_mark, "an alias inside its own anchor");
        return copy_node(r, &ev->start_mark, r->anchor[i].node, depth, out);
    }
    return err_set(r->e, ERR_DATA, "%s:%zu:%zu: error: no anchor '&%.60s'",
                   r->origin, ev->start_mark.line + 1,
                   ev->start_mark.column + 1, name);
}

/* Note an anchor; *index is where its node goes, or SIZE_MAX if it has none. */
static enum err_code note_anchor(struct reader *r, const yaml_char_t *name,
                                 const yaml_mark_t *at, size_t *index)
{
    *index = SIZE_MAX;
    if (!name)
        return OK;
    if (r->n_anchors == YAML_MAX_ANCHORS)
        return fail(r, at, "more than 256 anchors");
    char *copy = mem_strdup((const char *)name);
    if (!copy)
        return no_memory(r);
    *index = r->n_anchors;
    r->anchor[r->n_anchors].name = copy;
    r->anchor[r->n_anchors++].node = NULL;
    return OK;
}

static enum err_code read_scalar(struct reader *r, const yaml_event_t *ev,
                                 struct yaml_node **out)
{
    const char *s = (const char *)ev->data.scalar.value;
    size_t n = ev->data.scalar.length;
    if (memchr(s, '\0', n))
        return fail(r, &ev->start_mark, "a text must not contain NUL");
    enum err_code rc = new_node(r, YAML_SCALAR, &ev->start_mark, out);
    if (rc)
        return rc;
    (*out)->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    (*out)->text = mem_strndup(s, n);
    if ((*out)->text)
        return OK;
    yaml_node_free(out);
    return no_memory(r);
}

static enum err_code check_key(struct reader *r, const struct yaml_node *map,
                               const struct yaml_node *key)
{
    yaml_mark_t at = {0, (size_t)key->line - 1, (size_t)key->column - 1};
    if (key->kind != YAML_SCALAR)
        return fail(r, &at, "a key must be a plain text");
    if (map->n >= YAML_MAX_KEYS)
        return fail(r, &at, "more than 4096 keys in one map");
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key->text) == 0)
            return err_set(
                r->e, ERR_DATA,
                "%s:%d:%d: error: key '%.80s' occurs twice (first in line "
                "%d)",
                r->origin, key->line, key->column, key->text,
                map->keys[i]->line);
    return OK;
}

static bool has_key(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return true;
    return false;
}

static bool is_merge(const struct yaml_node *key)
{
    return key->plain && strcmp(key->text, "<<") == 0;
}

/* Copy what `from` has and neither `own` nor `to` into `to`. */
static enum err_code merge_map(struct reader *r, const struct yaml_node *own,
                               const struct yaml_node *from, int depth,
                               struct yaml_node *to)
{
    enum err_code rc = OK;
    yaml_mark_t at = {0, (size_t)from->line - 1, (size_t)from->column - 1};
    if (from->kind != YAML_MAP)
        return err_set(r->e, ERR_DATA,
                       "%s:%d:%d: error: '<<' merges a map or a list of maps, "
                       "not %s",
                       r->origin, from->line, from->column,
                       yaml_kind_name(from));
    for (size_t i = 0; i < from->n && !rc; i++) {
        struct yaml_node *key = NULL, *value = NULL;
        if (has_key(own, from->keys[i]->text) ||
            has_key(to, from->keys[i]->text))
            continue;
        if (own->n + to->n > YAML_MAX_KEYS)
            return fail(r, &at, "more than 4096 keys in one map");
        rc = copy_node(r, &at, from->keys[i], depth, &key);
        if (!rc)
            rc = copy_node(r, &at, from->items[i], depth, &value);
        if (rc)
            yaml_node_free(&key);
        else
            rc = append(r, to, key, value);
    }
    return rc;
}

/* Put the keys of the map under the index-th key, '<<', in its place, as YAML
 * 1.1 has it (https://yaml.org/type/merge.html): keys that the map has itself
 * win, then earlier maps of a list over later ones. */
static enum err_code merge(struct reader *r, struct yaml_node *map,
                           size_t index, int depth)
{
    struct yaml_node all = {.kind = YAML_MAP};
    struct yaml_node *value = map->items[index];
    enum err_code rc = OK;
    if (value->kind == YAML_LIST)
        for (size_t i = 0; i < value->n && !rc; i++)
            rc = merge_map(r, map, value->items[i], depth, &all);
    else
        rc = merge_map(r, map, value, depth, &all);
    for (size_t i = 0; i < map->n && !rc; i++) {
        if (i == index)
            continue;
        rc = append(r, &all, map->keys[i], map->items[i]);
        map->keys[i] = map->items[i] = NULL; /* all's, or freed */
    }
    if (!rc) {
        struct yaml_node *key = map->keys[index];
        map->items[index] = map->keys[index] = NULL;
        yaml_node_free(&key);
        rc = append(r, r->merged, NULL, value);
    }
    struct yaml_node old = *map;
    map->n = all.n;
    map->keys = all.keys;
    map->items = all.items;
    for (size_t i = 0; i < old.n; i++) {
        yaml_node_free(&old.keys[i]);
        yaml_node_free(&old.items[i]);
    }
    mem_free(old.keys);
    mem_free(old.items);
    return rc;
}

static enum err_code end_map(struct reader *r, struct yaml_node *map, int depth)
{
    for (size_t i = 0; i < map->n; i++)
        if (is_merge(map->keys[i]))
            return merge(r, map, i, depth);
    return OK;
}

/* The entries of a list or map up to its end event. */
static enum err_code read_entries(struct reader *r, int depth,
                                  struct yaml_node *node)
{
    for (;;) {
        struct yaml_node *key = NULL, *value = NULL;
        yaml_event_t ev;
        enum err_code rc = next_event(r, &ev);
        if (rc)
            return rc;
        if (ev.type == YAML_SEQUENCE_END_EVENT ||
            ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            return node->kind == YAML_MAP ? end_map(r, node, depth + 1) : OK;
        }
        rc = read_node(r, &ev, depth + 1, &value);
        if (!rc && node->kind == YAML_MAP) {
            key = value;
            value = NULL;
            rc = check_key(r, node, key);
            if (!rc)
                rc = next_event(r, &ev);
            if (!rc)
                rc = read_node(r, &ev, depth + 1, &value);
        }
        if (rc) {
            yaml_node_free(&key);
            return rc;
        }
        rc = append(r, node, key, value);
        if (rc)
            return rc;
    }
}

static enum err_code read_collection(struct reader *r, enum yaml_kind kind,
                                     const yaml_mark_t *at, int depth,
                                     struct yaml_node **out)
{
    if (depth > YAML_MAX_DEPTH)
        return fail(r, at, "nested deeper than 32");
    enum err_code rc = new_node(r, kind, at, out);
    if (!rc)
        rc = read_entries(r, depth, *out);
    if (rc)
        yaml_node_free(out);
    return rc;
}

/* The node that ev begins; ev is used up. depth counts from 1. */
static enum err_code read_node(struct reader *r, yaml_event_t *ev, int depth,
                               struct yaml_node **out)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    size_t index = SIZE_MAX;
    enum err_code rc = OK;
    *out = NULL;
    if (ev->type == YAML_SCALAR_EVENT) {
        anchor = ev->data.scalar.anchor;
        tag = ev->data.scalar.tag;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        anchor = ev->data.sequence_start.anchor;
        tag = ev->data.sequence_start.tag;
    } else if (ev->type == YAML_MAPPING_START_EVENT) {
        anchor = ev->data.mapping_start.anchor;
        tag = ev->data.mapping_start.tag;
    }
    if (tag)
        rc = fail(r, &ev->start_mark, "tags ('!...') are not allowed");
    if (!rc)
        rc = note_anchor(r, anchor, &ev->start_mark, &index);
    if (!rc && ev->type == YAML_ALIAS_EVENT)
        rc = read_alias(r, ev, depth, out);
    else if (!rc && ev->type == YAML_SCALAR_EVENT)
        rc = read_scalar(r, ev, out);
    else if (!rc)
        rc = read_collection(
            r, ev->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST,
            &ev->start_mark, depth, out);
    if (!rc && index != SIZE_MAX)
        r->anchor[index].node = *out;
    yaml_event_delete(ev);
    return rc;
}

/* The next event, which must be of the type wanted. */
static enum err_code expect(struct reader *r, yaml_event_type_t want,
                            const char *otherwise, yaml_event_t *ev)
{
    enum err_code rc = next_event(r, ev);
    if (rc || ev->type == want)
        return rc;
    rc = fail(r, &ev->start_mark, otherwise);
    yaml_event_delete(ev);
    return rc;
}

static enum err_code read_document(struct reader *r, struct yaml_node **out)
{
    yaml_event_t ev;
    enum err_code rc = expect(r, YAML_STREAM_START_EVENT, "no YAML", &ev);
    if (rc)
        return rc;
    yaml_event_delete(&ev);
    rc = expect(r, YAML_DOCUMENT_START_EVENT, "the file is empty", &ev);
    if (rc)
        return rc;
    bool tags = ev.data.document_start.tag_directives.start !=
                ev.data.document_start.tag_directives.end;
    if (tags)
        rc = fail(r, &ev.start_mark, "%TAG is not allowed");
    yaml_event_delete(&ev);
    if (!rc)
        rc = next_event(r, &ev);
    if (!rc)
        rc = read_node(r, &ev, 1, out);
    if (!rc)
        rc = expect(r, YAML_DOCUMENT_END_EVENT, "no end of document", &ev);
    if (rc)
        return rc;
    yaml_event_delete(&ev);
    rc = expect(r, YAML_STREAM_END_EVENT, "a second document begins here", &ev);
    if (!rc)
        yaml_event_delete(&ev);
    return rc;
}

/* Byte offset of the first thing that is not UTF-8, or n. */
static size_t utf8_error(const char *s, size_t n)
{
    size_t good = 0;
    while (good < n) {
        size_t len = 1;
        while (len < 4 && good + len < n &&
               ((unsigned char)s[good + len] & 0xc0) == 0x80)
            len++;
        if (!text_is_utf8(s + good, len))
            return good;
        good += len;
    }
    return n;
}

enum err_code yaml_read(const char *text, size_t n, const char *origin,
                        struct yaml_node **out, struct err *e)
{
    *out = NULL;
    size_t bom = text_bom(text, n);
    text += bom;
    n -= bom;
    if (n > YAML_MAX_BYTES)
        return err_set(e, ERR_DATA, "%s:1:1: error: larger than 1 MiB", origin);
    struct reader *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "%s: no memory", origin);
    r->origin = origin;
    r->text = text;
    r->n_text = n;
    r->e = e;
    enum err_code rc = OK;
    size_t bad = utf8_error(text, n);
    r->merged = mem_calloc(1, sizeof *r->merged);
    if (r->merged)
        r->merged->kind = YAML_LIST;
    if (!r->merged) {
        rc = no_memory(r);
    } else if (bad < n) {
        yaml_mark_t at = mark_of(r, bad);
        rc = fail(r, &at,
                  text_is_utf16(text, n) ? "UTF-16: save it as UTF-8"
                                         : "not valid UTF-8");
    } else if (!yaml_parser_initialize(&r->parser)) {
        rc = no_memory(r);
    } else {
        yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r->parser, (const unsigned char *)text,
                                     n);
        rc = read_document(r, out);
        yaml_parser_delete(&r->parser);
    }
    for (size_t i = 0; i < r->n_anchors; i++)
        mem_free(r->anchor[i].name);
    yaml_node_free(&r->merged);
    mem_free(r);
    if (rc)
        yaml_node_free(out);
    return rc;
}

enum err_code yaml_read_file(const char *path, struct yaml_node **out,
                             struct err *e)
{
    struct buf b;
    *out = NULL;
    enum err_code rc = file_read(path, YAML_MAX_BYTES, &b, e);
    if (!rc)
        rc = yaml_read(buf_str(&b), b.len, path, out, e);
    buf_free(&b);
    return rc;
}

void yaml_node_free(struct yaml_node **node)
{
    if (!node || !*node)
        return;
    struct yaml_node *n = *node;
    for (size_t i = 0; i < n->n; i++) {
        if (n->keys)
            yaml_node_free(&n->keys[i]);
        yaml_node_free(&n->items[i]);
    }
    mem_free(n->keys);
    mem_free(n->items);
    mem_free(n->text);
    mem_free(n);
    *node = NULL;
}

const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key)
{
    if (!node || node->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < node->n; i++)
        if (strcmp(node->keys[i]->text, key) == 0)
            return node->items[i];
    return NULL;
}

bool yaml_is_null(const struct yaml_node *node)
{
    if (!node)
        return true;
    if (node->kind != YAML_SCALAR || !node->plain)
        return false;
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(node->text, words[i]) == 0)
            return true;
    return false;
}

const char *yaml_kind_name(const struct yaml_node *node)
{
    if (yaml_is_null(node))
        return "no value";
    if (node->kind == YAML_LIST)
        return "a list";
    return node->kind == YAML_MAP ? "a map" : "a text";
}
