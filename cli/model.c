/* facet model: what is in a file of weights. */
#include <inttypes.h>
#include <math.h>
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
    "shapes and numbers, totals, and if it is a network that facet knows, its\n"
    "GFLOP and memory for inference. Of a PyTorch file the tensors are shown\n"
    "that `facet import-torch` would take; nothing in it is run.\n"
    "\n"
    "  --stats         smallest, largest, mean, deviation, and NaNs of each\n"
    "  --input CxHxW   the picture that the network is planned for\n"
    "  --layers        its steps as planned, with the time of each\n"
    "  --summary       no table of tensors\n"
    "  --json          one JSON object\n"
    "  --key PATH      of a PyTorch file, what stands there\n"
    "  --all           of a PyTorch file, all tensors\n"
    "\n"
    "GFLOP are multiply-adds x 2 of convolutions and linear layers, batch 1.\n"
    "The hash is that of `xxhsum -H2`.\n"
    "\n"
    "Exit status: 0 shown, 2 wrong arguments, 3 the file cannot be read, or\n"
    "cannot be planned as asked.\n";

struct request {
    const char *path;
    struct torch_options o;
    struct nn_shape input;
    bool has_input, stats, layers, summary, json;
};

bool model_is_buffer(const char *name)
{
    return text_ends(name, "running_mean") || text_ends(name, "running_var") ||
           text_ends(name, "num_batches_tracked");
}

static void measure(const struct tensor *t, struct model_stats *s)
{
    double sum = 0, squares = 0;
    s->known = true;
    for (size_t i = 0; i < t->count; i++) {
        double v = tensor_get(t, i);
        if (isnan(v)) {
            s->nan++;
        } else if (isinf(v)) {
            s->inf++;
        } else {
            s->min = s->finite && s->min < v ? s->min : v;
            s->max = s->finite && s->max > v ? s->max : v;
            s->finite++;
            sum += v;
        }
    }
    if (!s->finite)
        return;
    s->mean = sum / (double)s->finite;
    for (size_t i = 0; i < t->count; i++) {
        double v = tensor_get(t, i) - s->mean;
        if (isfinite(v))
            squares += v * v;
    }
    s->deviation = sqrt(squares / (double)s->finite);
}

static enum err_code take_stats(struct model_info *i, struct err *e)
{
    size_t n = safetensors_count(i->w);
    i->stats = mem_calloc(n, sizeof *i->stats);
    if (!i->stats)
        return err_set(e, ERR_NOMEM, "no memory for statistics");
    for (size_t k = 0; k < n; k++) {
        const struct safetensors_entry t = safetensors_at(i->w, k);
        struct tensor *x = NULL;
        if (t.dtype == DT_COUNT)
            continue;
        enum err_code r = safetensors_tensor(i->w, t.name, &x, e);
        if (r)
            return r;
        measure(x, &i->stats[k]);
        tensor_free(&x);
    }
    return OK;
}

static void count(struct model_info *i)
{
    for (size_t k = 0; k < safetensors_count(i->w); k++) {
        const struct safetensors_entry t = safetensors_at(i->w, k);
        uint64_t n = 1;
        for (int d = 0; d < t.ndim; d++)
            n *= (uint64_t)t.shape[d];
        *(model_is_buffer(t.name) ? &i->buffers : &i->parameters) += n;
        i->bytes += t.bytes;
    }
}

/* Eight bytes of length, then JSON. */
static bool is_safetensors(const char *path)
{
    unsigned char head[9];
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

static enum err_code look(struct model_info *i, const struct request *q,
                          struct err *e)
{
    struct stat st;
    enum err_code r = OK;
    i->path = q->path;
    if (is_safetensors(q->path)) {
        i->format = "safetensors";
        r = safetensors_read(q->path, &i->w, e);
    } else {
        r = read_torch(i, &q->o, e);
    }
    if (!r)
        r = hash_file(q->path, i->hash, e);
    if (!r && stat(q->path, &st) == 0)
        i->file_bytes = (uint64_t)st.st_size;
    if (!r && q->stats)
        r = take_stats(i, e);
    if (r)
        return r;
    count(i);
    i->known = model_recognise(i->w, i->prefix, sizeof i->prefix);
    bool asked = q->has_input || q->layers;
    if (!i->known)
        return asked ? err_set(e, ERR_UNSUPPORTED,
                               "'%s' holds no network that is known, so there "
                               "is nothing to plan",
                               q->path)
                     : OK;
    i->input = q->has_input ? q->input : i->known->input;
    model_plan(i, q->layers);
    if (!i->planned && asked)
        return err_set(e, i->why.code, "'%s' as %s: %.300s", q->path,
                       i->known->name, i->why.text);
    return OK;
}

static void info_free(struct model_info *i)
{
    safetensors_free(&i->w);
    mem_free(i->stats);
    for (size_t k = 0; k < i->n_notes; k++)
        mem_free(i->note[k]);
    mem_free(i->note);
    mem_free(i->layers);
}

static int show(const struct request *q)
{
    struct model_info i = {0};
    struct err e = {0};
    struct buf b;
    buf_init(&b, MAX_TEXT);
    enum err_code r = look(&i, q, &e);
    if (!r)
        r = q->json ? model_json(&i, &b, &e)
                    : model_person(&i, !q->summary, &b, &e);
    int status =
        r ? cli_fail("model", &e, CLI_BROKEN) : cli_print("model", buf_str(&b));
    buf_free(&b);
    info_free(&i);
    return status;
}

/* "3x256x256" */
static bool read_input(const char *s, struct nn_shape *out)
{
    int64_t v[3];
    for (int i = 0; i < 3; i++) {
        char word[16];
        size_t n = strcspn(s, "x");
        if (n == 0 || n >= sizeof word || (i < 2) != (s[n] == 'x'))
            return false;
        memcpy(word, s, n);
        word[n] = 0;
        if (!text_to_i64(word, &v[i]) || v[i] < 1 || v[i] > MAX_SIDE)
            return false;
        s += n + (i < 2);
    }
    *out = (struct nn_shape){.c = v[0], .h = v[1], .w = v[2]};
    return true;
}

static int model_run(int argc, char **argv)
{
    static const char *const options[] = {"--stats",   "--input", "--layers",
                                          "--summary", "--json",  "--key",
                                          "--all",     NULL};
    struct request q = {0};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *v;
        int missing = 0;
        if (strcmp(arg, "--stats") == 0)
            q.stats = true;
        else if (strcmp(arg, "--layers") == 0)
            q.layers = true;
        else if (strcmp(arg, "--summary") == 0)
            q.summary = true;
        else if (strcmp(arg, "--json") == 0)
            q.json = true;
        else if (strcmp(arg, "--all") == 0)
            q.o.all = true;
        else if ((v = cli_value(argc, argv, &i, "--input", &missing))) {
            if (missing || !read_input(v, &q.input))
                return cli_usage("model", "--input needs CxHxW, as 3x256x256");
            q.has_input = true;
        } else if ((v = cli_value(argc, argv, &i, "--key", &missing))) {
            if (missing || !*v)
                return cli_usage("model", "--key needs a value");
            q.o.key = v;
        } else if (arg[0] == '-' && arg[1])
            return cli_unknown("model", arg, options);
        else if (q.path)
            return cli_usage("model", "one FILE, please");
        else
            q.path = arg;
    }
    if (!q.path)
        return cli_usage("model", "no FILE");
    if (q.o.key && q.o.all)
        return cli_usage("model", "--key or --all, not both");
    return show(&q);
}

static const struct cli_verb verb_model = {
    .name = "model",
    .summary = "show a file of weights: tensors, shapes, GFLOP",
    .help = help,
    .run = model_run,
};
CLI_VERB(verb_model)
