/* facet model: what is in a file of weights. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/model_info.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/hash.h"
#include "lib/nn/torch_import.h"

#define MAX_TEXT ((size_t)256 << 20)
#define MAX_SIDE 16384

static const char help[] =
    "usage: facet model FILE [OPTION]...\n"
    "\n"
    "Shows a file of weights, safetensors or PyTorch's: tensors with types,\n"
    "shapes and numbers, and totals; for each network in it that facet knows,\n"
    "parameters, GFLOP and memory for inference. Of a PyTorch file the "
    "tensors\n"
    "are shown that `facet import-torch` would take; nothing in it is run.\n"
    "\n"
    "  --stats        smallest, largest, mean, deviation, and NaNs of each\n"
    "  --input HxW    the picture that networks are planned for, in pixels\n"
    "  --layers       the steps as planned, with the time of each (it is run\n"
    "                 three times)\n"
    "  --summary      no table of tensors\n"
    "  --json         one JSON object\n"
    "  --key PATH     of a PyTorch file, what stands there: state_dict, G.ema\n"
    "  --all          of a PyTorch file, all tensors\n"
    "\n"
    "  --to f16       instead of showing, write it with f32, f64 and bf16\n"
    "                 tensors rounded to f16; says how much that changed\n"
    "  -o, --output PATH   the file to write\n"
    "  --keep NAME    leave this tensor's type as it is (up to 16 times)\n"
    "  --meta KEY=VALUE    metadata to set (up to 16 times): min_score=0.8\n"
    "\n"
    "GFLOP are multiply-adds x 2 of convolutions and linear layers, one "
    "picture.\n"
    "The hash is that of `xxhsum -H2`.\n"
    "\n"
    "Exit status: 0 shown, 2 wrong arguments (also a picture that the network\n"
    "does not take), 3 the file cannot be read, or not planned as asked.\n";

#define MAX_KEEP 16

struct request {
    const char *path;
    const char *to, *output, *keep[MAX_KEEP + 1];
    size_t n_keep;
    struct safetensors_pair meta[MAX_KEEP + 1];
    char key[MAX_KEEP][64];
    size_t n_meta;
    struct torch_options o;
    struct nn_shape input;
    bool has_input, stats, layers, summary, json;
};

/* By its name, or eight bytes of length, then JSON. */
static bool is_safetensors(const char *path)
{
    unsigned char head[9] = {0};
    if (text_ends(path, ".safetensors"))
        return true;
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    size_t n = fread(head, 1, sizeof head, f);
    (void)fclose(f);
    return n == sizeof head && head[8] == '{' && !head[6] && !head[7];
}

static enum err_code read_torch(struct model_info *i,
                                const struct torch_options *o, struct err *e)
{
    struct torch_import *m = NULL;
    enum err_code r = torch_import(i->path, o, true, &m, e);
    if (r)
        return r;
    i->format = m->format;
    i->torch = true;
    (void)snprintf(i->from, sizeof i->from, "%s", m->weights->from);
    (void)snprintf(i->stripped, sizeof i->stripped, "%s", m->weights->stripped);
    r = torch_import_safetensors(m, &i->w, e);
    size_t n = m->weights->n_left + m->skipped;
    i->note = r ? NULL : mem_calloc(n + 1, sizeof *i->note);
    if (!r && !i->note)
        r = err_set(e, ERR_NOMEM, "no memory for notes");
    for (size_t k = 0; !r && k < m->weights->n_left; k++)
        i->note[i->n_notes++] = mem_strdup(m->weights->left[k].what);
    for (size_t k = 0; !r && k < m->weights->n; k++) {
        const struct torch_tensor *t = &m->weights->tensor[k];
        if (!t->usable)
            i->note[i->n_notes++] = mem_printf("%s: %s", t->name, t->why);
    }
    for (size_t k = 0; !r && k < i->n_notes; k++) {
        if (!i->note[k])
            r = err_set(e, ERR_NOMEM, "no memory for notes");
    }
    torch_import_free(&m);
    return r;
}

static enum err_code plan_all(struct model_info *i, const struct request *q,
                              struct err *e)
{
    enum model_layers layers = !q->layers ? MODEL_NO_LAYERS
                               : q->json  ? MODEL_JSON
                                          : MODEL_TABLE;
    bool asked = q->has_input || q->layers;
    i->n_nets = model_recognise_all(i->w, i->found, MODEL_MAX_NETWORKS);
    if (!i->n_nets && asked)
        return err_set(e, ERR_UNSUPPORTED,
                       "'%s' holds no network that is known, so there is "
                       "nothing to plan",
                       i->path);
    for (size_t k = 0; k < i->n_nets; k++) {
        struct model_network *n = &i->net[k];
        *n = (struct model_network){.model = i->found[k].model,
                                    .prefix = i->found[k].prefix,
                                    .input = q->input};
        if (!q->has_input) {
            n->input = n->model->input;
            n->input.c = 0;
        }
        enum err_code r = model_plan(n, i->w, layers, e);
        if (r && asked)
            return e ? err_wrap(e, "'%s' as %s", i->path, n->model->name) : r;
    }
    return OK;
}

static enum err_code open_file(struct model_info *i, const struct request *q,
                               struct err *e)
{
    struct stat st;
    enum err_code r = OK;
    i->path = q->path;
    if (is_safetensors(q->path)) {
        i->format = "safetensors";
        r = q->o.key || q->o.all
                ? err_set(e, ERR_ARG,
                          "--key and --all choose from PyTorch files; '%s' "
                          "is safetensors",
                          q->path)
                : safetensors_open(q->path, &i->w, e);
    } else {
        r = read_torch(i, &q->o, e);
    }
    if (!r && stat(q->path, &st) == 0)
        i->file_bytes = (uint64_t)st.st_size;
    return r;
}

static enum err_code look(struct model_info *i, const struct request *q,
                          struct err *e)
{
    enum err_code r = hash_file(q->path, i->hash, e);
    if (!r)
        r = model_take_roles(i, e);
    if (!r && q->stats)
        r = model_take_stats(i, e);
    return r ? r : plan_all(i, q, e);
}

static void info_free(struct model_info *i)
{
    safetensors_free(&i->w);
    mem_free(i->role);
    mem_free(i->stats);
    for (size_t k = 0; k < i->n_notes; k++)
        mem_free(i->note[k]);
    mem_free(i->note);
    for (size_t k = 0; k < i->n_nets; k++)
        mem_free(i->net[k].layers);
}

static int show(const struct request *q)
{
    struct model_info i = {0};
    struct err e = {0};
    struct buf b;
    buf_init(&b, MAX_TEXT);
    enum err_code r = open_file(&i, q, &e);
    if (!r && q->to) {
        struct model_rounding to = {
            .output = q->output, .keep = q->keep, .meta = q->meta};
        r = model_round(&i, &to, &b, &e);
    } else if (!r) {
        r = look(&i, q, &e);
        if (!r)
            r = q->json ? model_json(&i, &b, &e)
                        : model_person(&i, !q->summary, &b, &e);
    }
    int status = r == ERR_ARG ? cli_usage("model", "%s", e.text)
                 : r          ? cli_fail("model", &e, CLI_BROKEN)
                              : cli_print("model", buf_str(&b));
    buf_free(&b);
    info_free(&i);
    return status;
}

/* "256x256", "3x256x256"; c is 0 where it is not said. */
static bool read_input(const char *s, struct nn_shape *out)
{
    int64_t v[3];
    int n = 0;
    for (bool more = true; more; n++) {
        char word[16];
        size_t len = strcspn(s, "x");
        if (n == 3 || len == 0 || len >= sizeof word)
            return false;
        memcpy(word, s, len);
        word[len] = 0;
        if (!text_to_i64(word, &v[n]) || v[n] < 1 || v[n] > MAX_SIDE)
            return false;
        more = s[len] == 'x';
        s += len + more;
    }
    if (n < 2)
        return false;
    *out =
        (struct nn_shape){.c = n == 3 ? v[0] : 0, .h = v[n - 2], .w = v[n - 1]};
    return true;
}

/* Options with a value: CLI_OK, a status to leave with, or -1: none of them. */
static int take_valued(struct request *q, int argc, char **argv, int *i)
{
    const char *v, *arg = argv[*i];
    int missing = 0;
    if ((v = cli_value(argc, argv, i, "--input", &missing))) {
        if (missing || !read_input(v, &q->input))
            return cli_usage("model",
                             "--input needs HxW (or CxHxW), each "
                             "1 to %d, as 256x256",
                             MAX_SIDE);
        q->has_input = true;
    } else if ((v = cli_value(argc, argv, i, "--key", &missing))) {
        q->o.key = v;
    } else if ((v = cli_value(argc, argv, i, "--to", &missing))) {
        if (strcmp(v, "f16") != 0)
            return cli_usage("model", "--to f16, and no other type");
        q->to = v;
    } else if ((v = cli_value(argc, argv, i, "-o", &missing)) ||
               (v = cli_value(argc, argv, i, "--output", &missing))) {
        q->output = v;
    } else if ((v = cli_value(argc, argv, i, "--keep", &missing))) {
        if (q->n_keep == MAX_KEEP)
            return cli_usage("model", "--keep up to %d times", MAX_KEEP);
        q->keep[q->n_keep++] = v;
    } else if ((v = cli_value(argc, argv, i, "--meta", &missing))) {
        size_t n = strcspn(v, "=");
        if (q->n_meta == MAX_KEEP || !n || !v[n] || n >= sizeof q->key[0])
            return cli_usage("model", "--meta KEY=VALUE, up to %d times",
                             MAX_KEEP);
        memcpy(q->key[q->n_meta], v, n);
        q->meta[q->n_meta] =
            (struct safetensors_pair){q->key[q->n_meta], v + n + 1};
        q->n_meta++;
    } else {
        return -1;
    }
    return missing || !*v ? cli_usage("model", "%s needs a value", arg)
                          : CLI_OK;
}

static bool take_flag(struct request *q, const char *arg)
{
    if (strcmp(arg, "--stats") == 0)
        q->stats = true;
    else if (strcmp(arg, "--layers") == 0)
        q->layers = true;
    else if (strcmp(arg, "--summary") == 0)
        q->summary = true;
    else if (strcmp(arg, "--json") == 0)
        q->json = true;
    else if (strcmp(arg, "--all") == 0)
        q->o.all = true;
    else
        return false;
    return true;
}

/* What goes with what. */
static int check(const struct request *q)
{
    bool shows = q->stats || q->layers || q->summary || q->json || q->has_input;
    if (!q->path)
        return cli_usage("model", "no FILE");
    if (q->o.key && q->o.all)
        return cli_usage("model", "--key or --all, not both");
    if (q->to && !q->output)
        return cli_usage("model", "--to needs -o, the file to write");
    if (!q->to && (q->output || q->n_keep || q->n_meta))
        return cli_usage("model", "-o, --keep and --meta belong to --to f16");
    if (q->to && shows)
        return cli_usage("model", "--to writes a file; look at it afterwards");
    return CLI_OK;
}

static int model_run(int argc, char **argv)
{
    static const char *const options[] = {
        "--stats", "--input", "--layers", "--summary", "--json",
        "--key",   "--all",   "--to",     "--output",  "--keep",
        "--meta",  "-o",      NULL};
    struct request q = {0};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (take_flag(&q, arg))
            continue;
        int status = take_valued(&q, argc, argv, &i);
        if (status > 0)
            return status;
        if (status == CLI_OK)
            continue;
        if (arg[0] == '-' && arg[1])
            return cli_unknown("model", arg, options);
        if (q.path)
            return cli_usage("model", "one FILE, please");
        q.path = arg;
    }
    int status = check(&q);
    return status ? status : show(&q);
}

static const struct cli_verb verb_model = {
    .name = "model",
    .summary = "show a file of weights: tensors, shapes, GFLOP; round it",
    .help = help,
    .run = model_run,
};
CLI_VERB(verb_model)
