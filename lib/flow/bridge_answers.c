/* A command's answers: whose they are, and what becomes of them. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/bridge_internal.h"
#include "lib/flow/outbox.h"

/* Answers */

static enum err_code check_id(struct stage *s, struct bridge *b,
                              const struct item *it, struct err *e)
{
    char got[33], want[33];
    enum naming now = bridge_zero_id(&it->id) ? NAMING_NONE : NAMING_IDS;
    if (b->naming == NAMING_UNKNOWN)
        b->naming = now;
    if (now != b->naming)
        return bridge_breach(
            s, b, e, "answered '%s' %s an id, but earlier answers %s one",
            it->kind, now == NAMING_IDS ? "with" : "without",
            now == NAMING_IDS ? "had not" : "had");
    if (now == NAMING_NONE || item_id_equal(&it->id, &b->id))
        return OK;
    item_id_hex(&it->id, got);
    item_id_hex(&b->id, want);
    return bridge_breach(s, b, e,
                         "answered '%s' for %s, but was asked about %s",
                         it->kind, got, want);
}

/* Fields that the port lists must come with each answer, those that it does
 * not list must not: a misspelt name would else go unseen. */
static enum err_code check_fields(const struct stage *s, size_t port,
                                  const struct item *answer, struct err *e)
{
    const struct port_spec *p = &s->out[port];
    const char *names[ITEM_MAX_FIELDS];
    size_t n = 0;
    for (size_t i = 0; i < p->n && n < ITEM_MAX_FIELDS; i++)
        names[n++] = p->field[i].name;
    for (size_t i = 0; i < answer->n; i++) {
        const char *name = answer->fields[i].name;
        if (p->open || text_starts(name, STAGE_RESERVED) || port_field(p, name))
            continue;
        const char *near = text_nearest(name, names, n);
        return err_set(e, ERR_DATA,
                       "'%s' sent the field '%s', which its --describe does "
                       "not list for port '%s'%s%s%s",
                       bridge_setup.shown, name, p->name,
                       near ? " (did you mean '" : "", near ? near : "",
                       near ? "'?)" : "");
    }
    for (size_t i = 0; i < p->n; i++)
        if (!p->field[i].type.optional && !item_get(answer, p->field[i].name))
            return err_set(e, ERR_DATA,
                           "'%s' did not send the field '%s', which its "
                           "--describe lists for port '%s' (those that may be "
                           "left out end with '?')",
                           bridge_setup.shown, p->field[i].name, p->name);
    return OK;
}

/* The item that an answer stands for: its fields over those of the input.
 * Ours send whole items, of whatever input they come. */
static struct item *make_child(const struct item *in, const struct item *answer,
                               struct err *e)
{
    struct item *it =
        in && !bridge_setup.ours ? item_child(in, e) : item_new(e);
    if (it && bridge_setup.ours)
        it->parent =
            in && bridge_zero_id(&answer->parent) ? in->id : answer->parent;
    for (size_t i = 0; it && i < answer->n; i++) {
        const struct field *f = &answer->fields[i];
        if (!text_starts(f->name, STAGE_RESERVED) &&
            item_set_field(it, f->name, f, e))
            item_free(&it);
    }
    return it;
}

enum err_code bridge_emit(struct stage *s, const struct item *in,
                          const struct item *answer, struct err *e)
{
    const char *name = item_str(answer, LINK_PORT_FIELD, "");
    const char *port = *name ? name : NULL;
    size_t index;
    enum err_code rc = OK;
    if (!bridge_setup.ours && stage_out_index(s, port, &index))
        rc = check_fields(s, index, answer, e);
    struct item *it = rc ? NULL : make_child(in, answer, e);
    if (!it)
        return rc ? rc : e->code;
    item_set_key(it, item_str(answer, STAGE_RESERVED "key", ""));
    return item_bool(answer, STAGE_RESERVED "late", false)
               ? stage_emit_late(s, port, it, e)
               : stage_emit(s, port, it, e);
}

static enum err_code take_fail(struct stage *s, const struct item *it,
                               struct err *e)
{
    enum err_code code = err_from_word(item_str(it, "error_code", "data"));
    const char *trace = item_str(it, "error_trace", "");
    if (code == OK || code == ERR_COUNT || code == ERR_CANCEL)
        code = ERR_DATA;
    if (*trace)
        stage_trace(s, mem_strdup(trace));
    return err_set(e, code, "%s",
                   item_str(it, "error_text", "no reason given"));
}

/* What a source sent, and nobody can take, fails by itself. */
static bool set_aside(struct stage *s, const struct item *answer,
                      const struct err *why)
{
    struct err e = {0};
    struct item *it = s->broken ? NULL : make_child(NULL, answer, &e);
    if (!it)
        return false;
    item_set_key(it, item_str(answer, STAGE_RESERVED "key", ""));
    item_drop(it, "error_code");
    item_drop(it, "error_text");
    stage_fail(s, it, why->code, "%s", why->text);
    item_free(&it);
    return true;
}

/* A source of ours sets something aside. */
static void take_aside(struct stage *s, const struct item *answer)
{
    struct err why = {0};
    (void)take_fail(s, answer, &why);
    (void)set_aside(s, answer, &why);
}

static void note_answers(struct stage *s, const struct bridge *b)
{
    char text[80];
    snprintf(text, sizeof text,
             "it has answered %lld item%s, but not yet "
             "'done'",
             (long long)b->answers, b->answers == 1 ? "" : "s");
    if (s->io.note)
        s->io.note(s->io.arg, text);
}

/* One answer. *over: the request is answered; *first: why the item fails. */
static enum err_code take_answer(struct stage *s, struct bridge *b,
                                 const struct item *in, const struct item *it,
                                 bool *over, bool *end, struct err *first,
                                 struct err *e)
{
    const char *kind = it->kind;
    bool item = strcmp(kind, "item") == 0, fail = strcmp(kind, "fail") == 0;
    bool last = strcmp(kind, "end") == 0 && !in;
    if (!item && !fail && !last && strcmp(kind, "done") != 0 &&
        strcmp(kind, "aside") != 0)
        return bridge_breach(s, b, e, "answered with a message of kind '%s'",
                             kind);
    enum err_code rc = check_id(s, b, it, e);
    if (rc)
        return rc;
    if (item) {
        struct err why = {0};
        b->answers++;
        note_answers(s, b);
        if (!first->code && bridge_emit(s, in, it, &why) &&
            (in || why.code == ERR_CANCEL || !set_aside(s, it, &why)))
            *first = why;
    } else if (strcmp(kind, "aside") == 0) {
        take_aside(s, it);
    } else {
        *over = true;
        *end = last;
        b->asked = false;
        if (fail)
            (void)take_fail(s, it, first->code ? NULL : first);
    }
    return s->broken ? err_set(e, s->fatal.code, "%s", s->fatal.text) : OK;
}

/* What cannot be read fails the item; the rest is heard out. */
static enum err_code take_bad(struct stage *s, struct bridge *b,
                              const struct item *bad, bool *over,
                              struct err *first, struct err *e)
{
    if (!first->code)
        err_set(first, ERR_DATA, "'%s' sent a malformed '%s': %s",
                bridge_setup.shown, bad->kind, e->text);
    *over = strcmp(bad->kind, "done") == 0 || strcmp(bad->kind, "fail") == 0;
    b->asked = !*over;
    return check_id(s, b, bad, e);
}

/* Take answers until the command is through with the request. *end: it said
 * "end". */
enum err_code bridge_answers(struct stage *s, struct bridge *b,
                             const struct item *in, bool *end, struct err *e)
{
    bool over = false;
    struct err first = {0}; /* the item's failure; still hear it out */
    struct patience limit = patience_new(bridge_setup.options.item_ms);
    while (!over) {
        struct item *it = NULL, *bad = NULL;
        enum err_code rc = bridge_hear(s, b, &limit, &it, &bad, e);
        if (!rc && bad)
            rc = take_bad(s, b, bad, &over, &first, e);
        else if (!rc)
            rc = take_answer(s, b, in, it, &over, end, &first, e);
        item_free(&it);
        item_free(&bad);
        if (rc)
            return rc;
        if (first.code == ERR_CANCEL)
            break;
    }
    if (first.code)
        *e = first;
    if (first.code && !in && first.code != ERR_CANCEL)
        return bridge_break(s, e); /* a source's: nobody else is to blame */
    return first.code;
}
