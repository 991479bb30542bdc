/* `facet tape make`: a tape from pictures, files and values, or from text. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/tape_text.h"
#include "cli/tape_verbs.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/tape.h"
#include "lib/media/image.h"

#define MAX_TEXT ((size_t)1 << 30)

const char tape_make_help[] =
    "usage: facet tape make [-o OUT] NAME=VALUE... [-- NAME=VALUE...]...\n"
    "       facet tape make [-o OUT] --text FILE\n"
    "\n"
    "Makes a tape. Each group of fields is one item; `--` begins the next.\n"
    "\n"
    "Values:\n"
    "  str:TEXT  i64:3  f64:3.5  bool:true  nil:\n"
    "  f32[2,3]:1,2,3,4,5,6   a tensor (u8 u16 i32 i64 f16 bf16 f32 f64)\n"
    "  u8[48,64,3]:fill 7     all elements alike; also `ramp` (0, 1, 2 ...)\n"
    "                         and `noise SEED`\n"
    "  img:PATH               a picture as u8[H,W,3]\n"
    "  csv:PATH  csv.f64:PATH a table of numbers as f32 (or that dtype)\n"
    "                         [rows,columns]\n"
    "  npy:PATH               an array saved by numpy\n"
    "  PATH                   one of these by its extension: .png .jpg .jpeg\n"
    "                         .ppm .pgm .csv .npy\n"
    "\n"
    "Options:\n"
    "  -o, --out OUT   the tape; `-` (the default) is standard output\n"
    "  --text FILE     read items in the form that `tape show --full` prints;\n"
    "                  `-` is standard input\n"
    "  --id HEX        the id of the first item (32 digits). Others, and "
    "items\n"
    "                  without one, get the hash of their number.\n"
    "  --kind WORD     the kind of the items (default item)\n"
    "  --repeat N      write everything N times, with new ids each time\n"
    "\n"
    "Example: facet tape make -o x.tape frame=pic.png name=str:abc \\\n"
    "             yaw=f64:3.5 points=csv:pts.csv\n";

struct maker {
    struct tape *tape;
    uint64_t made;
    const char *out, *text, *id, *kind;
    int64_t repeat;
};

/* Write it under its number's id, unless it has its own. */
static enum err_code put(struct maker *m, struct item *it, bool has_id,
                         struct err *e)
{
    static const struct item_id root;
    if (!has_id)
        it->id = item_make_id(&root, "tape", "out", m->made, "");
    m->made++;
    return tape_put(m->tape, it, e);
}

static enum err_code load(struct item *it, const char *name, const char *how,
                          const char *path, struct err *e)
{
    struct tensor *t = NULL;
    enum dtype d = DT_F32;
    enum err_code code;
    if (strcmp(how, "img") == 0)
        code = image_read(path, &image_caps_default, &t, e);
    else if (strcmp(how, "npy") == 0)
        code = tape_load_npy(path, &t, e);
    else if (how[3] == '.' && !dtype_from_name(how + 4, &d))
        code = err_set(e, ERR_ARG, "'%s' is no dtype", how + 4);
    else
        code = tape_load_csv(path, d, &t, e);
    return code ? code : item_set_tensor(it, name, t, e);
}

/* How a path without a prefix is read, by its extension; NULL if not known. */
static const char *how_of(const char *path)
{
    static const char *const map[][2] = {
        {"png", "img"}, {"jpg", "img"}, {"jpeg", "img"}, {"ppm", "img"},
        {"pgm", "img"}, {"csv", "csv"}, {"npy", "npy"}};
    char ext[16];
    path_ext(path, ext);
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (strcmp(ext, map[i][0]) == 0)
            return map[i][1];
    return NULL;
}

static enum err_code set_value(struct item *it, const char *name,
                               const char *value, struct err *e)
{
    char type[64] = "";
    size_t n = strcspn(value, ":");
    if (value[n] == ':' && n < sizeof type)
        memcpy(type, value, n);
    const char *rest = value[n] ? value + n + 1 : value + n;
    if (strcmp(type, "str") == 0)
        return item_set_str(it, name, rest, e);
    if (strcmp(type, "img") == 0 || strcmp(type, "npy") == 0 ||
        strcmp(type, "csv") == 0 || text_starts(type, "csv."))
        return load(it, name, type, rest, e);
    if (strcmp(type, "i64") == 0 || strcmp(type, "f64") == 0 ||
        strcmp(type, "bool") == 0 || strcmp(type, "nil") == 0 ||
        strchr(type, '['))
        return text_value(it, name, type, rest, e);
    const char *how = how_of(value);
    if (how)
        return load(it, name, how, value, e);
    return err_set(e, ERR_ARG,
                   "'%s' is no value; say str:%s for a string (--help lists "
                   "the others)",
                   value, value);
}

static enum err_code set_field(struct item *it, const char *arg, struct err *e)
{
    char name[ITEM_MAX_NAME + 1] = "";
    size_t n = strcspn(arg, "=");
    if (arg[n] != '=')
        return err_set(e, ERR_ARG, "'%s' is not NAME=VALUE", arg);
    if (n < sizeof name)
        memcpy(name, arg, n);
    if (item_get(it, name))
        return err_set(e, ERR_ARG, "field '%s' is set twice in one item", name);
    enum err_code code = set_value(it, name, arg + n + 1, e);
    if (code)
        err_wrap(e, "%.*s", (int)(n < 60 ? n : 60), arg);
    return code;
}

/* One item from argv[0..n-1]. */
static enum err_code put_group(struct maker *m, char **argv, int n,
                               struct err *e)
{
    struct item *it = item_new(e);
    bool has_id = m->id && m->made == 0;
    if (!it)
        return ERR_NOMEM;
    enum err_code code = OK;
    for (int i = 0; i < n && code == OK; i++)
        code = set_field(it, argv[i], e);
    if (code == OK && has_id && !item_id_from_hex(m->id, &it->id))
        code = err_set(e, ERR_ARG, "--id '%s' is not 32 hexadecimal digits",
                       m->id);
    if (code == OK && m->kind)
        snprintf(it->kind, sizeof it->kind, "%s", m->kind);
    if (code == OK)
        code = put(m, it, has_id, e);
    item_free(&it);
    return code;
}

static enum err_code put_groups(struct maker *m, char **argv, int n,
                                struct err *e)
{
    enum err_code code = OK;
    for (int from = 0; from <= n && code == OK;) {
        int to = from;
        while (to < n && strcmp(argv[to], "--") != 0)
            to++;
        code = put_group(m, argv + from, to - from, e);
        from = to + 1;
    }
    return code;
}

static enum err_code put_text(struct maker *m, const struct buf *text,
                              bool fresh_ids, struct err *e)
{
    struct text_reader r = {.text = buf_str(text), .n = text->len, .line = 1};
    struct item *it;
    bool has_id;
    for (;;) {
        enum err_code code = text_item_read(&r, &it, &has_id, e);
        if (code) {
            err_wrap(e, "'%s'", m->text);
            return code;
        }
        if (!it)
            return OK;
        code = put(m, it, has_id && !fresh_ids, e);
        item_free(&it);
        if (code)
            return code;
    }
}

static enum err_code make(struct maker *m, char **argv, int n, struct err *e)
{
    struct buf text;
    enum err_code code = OK;
    buf_init(&text, 0);
    if (m->text)
        code = file_read(strcmp(m->text, "-") ? m->text : "/dev/stdin",
                         MAX_TEXT, &text, e);
    size_t from = 0;
    if (!code)
        code = text_check((const char *)text.data, text.len, &from, e);
    if (code) {
        buf_free(&text);
        return code;
    }
    if (from) /* a byte order mark */
        memmove(text.data, text.data + from, text.len -= from);
    m->tape = tape_open_write(m->out, e);
    if (!m->tape)
        code = e->code;
    for (int64_t i = 0; i < m->repeat && code == OK; i++)
        code =
            m->text ? put_text(m, &text, i > 0, e) : put_groups(m, argv, n, e);
    if (code == OK)
        code = tape_close(&m->tape, e);
    tape_abort(&m->tape);
    buf_free(&text);
    return code;
}

int tape_make_run(int argc, char **argv)
{
    static const char *const options[] = {"--out",  "--text",   "--id",
                                          "--kind", "--repeat", NULL};
    struct maker m = {.out = "-", .repeat = 1};
    struct err e = {0};
    int missing = 0, n = 0;
    const char *v;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (option[0] != '-' || strcmp(option, "--") == 0)
            argv[n++] = argv[i]; /* the fields, to the front */
        else if ((v = cli_value(argc, argv, &i, "-o", &missing)) ||
                 (v = cli_value(argc, argv, &i, "--out", &missing)))
            m.out = v;
        else if ((v = cli_value(argc, argv, &i, "--text", &missing)))
            m.text = v;
        else if ((v = cli_value(argc, argv, &i, "--id", &missing)))
            m.id = v;
        else if ((v = cli_value(argc, argv, &i, "--kind", &missing)))
            m.kind = v;
        else if ((v = cli_value(argc, argv, &i, "--repeat", &missing))) {
            if (!missing && (!text_to_i64(v, &m.repeat) || m.repeat < 0))
                return cli_usage("tape", "--repeat '%s' is not a count", v);
        } else
            return cli_unknown("tape", option, options);
        if (missing)
            return cli_usage("tape", "%s needs a value", option);
    }
    if (n && strcmp(argv[0], "--") == 0) { /* nothing before it */
        argv++;
        n--;
    }
    if (m.kind && (!*m.kind || strlen(m.kind) > 15))
        return cli_usage("tape", "--kind takes a word of 1 to 15 letters");
    if (m.text && n)
        return cli_usage("tape", "fields and --text exclude each other");
    if (!m.text && n == 0)
        return cli_usage("tape", "make needs NAME=VALUE or --text");
    if (!tape_out_ok(m.out))
        return CLI_USAGE;
    enum err_code code = make(&m, argv, n, &e);
    if (code)
        return cli_fail("tape", &e, code == ERR_ARG ? CLI_USAGE : CLI_BROKEN);
    return CLI_OK;
}
