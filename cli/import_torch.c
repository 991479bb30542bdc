/* facet import-torch: PyTorch checkpoints into safetensors. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/weights_text.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/models/models.h"
#include "lib/nn/torch_import.h"

#define SHOWN_LEFT 12 /* lines about what was left out */

static const char help[] =
    "usage: facet import-torch FILE [-o OUT.safetensors] [OPTION]...\n"
    "\n"
    "Writes the weights of a PyTorch file as safetensors: torch.save in both\n"
    "forms, TorchScript archives, and pickles of numpy arrays. No Python "
    "runs,\n"
    "and nothing that the file asks to be called is called. Without -o,\n"
    "model.pth becomes model.safetensors beside it.\n"
    "\n"
    "Taken is the state dict that the file is, or holds under its one usual\n"
    "key (state_dict, model, ..). If there are several, all are taken with\n"
    "their keys before their names, and optimiser states are left out. Types\n"
    "stay as they are; bool becomes u8, int8 and int16 become i32.\n"
    "\n"
    "  -o, --output PATH   the file to write (replaced if it is there)\n"
    "  --key PATH          take what stands there: state_dict, models.ema, 0\n"
    "  --all               take all tensors, by full path\n"
    "  --only PREFIX       only names that start so\n"
    "  --strip PREFIX      take this off names\n"
    "  --keep-prefix       leave 'module.' and '_orig_mod.' before names\n"
    "  --skip-unsupported  leave out what cannot be written (complex,\n"
    "                      quantized, sparse) instead of stopping\n"
    "  --list              list the tensors and write nothing\n"
    "\n"
    "Exit status: 0 done, 2 wrong arguments, 3 the file cannot be read.\n";

struct request {
    struct torch_options o;
    const char *path, *output;
    bool list, skip;
};

/* model.pth -> model.safetensors, also from model.pth.tar. */
static char *output_of(const char *path)
{
    static const char *const ends[] = {".tar",  ".pth",   ".pt",
                                       ".ckpt", ".bin",   ".pkl",
                                       ".t7",   ".model", ".zip"};
    size_t n = strlen(path), base = n - strlen(path_base(path));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t len = strlen(ends[i]);
        if (n > base + len && strncmp(path + n - len, ends[i], len) == 0)
            n -= len;
    }
    return mem_printf("%.*s.safetensors", (int)n, path);
}

static void say_left(const struct torch_import *m)
{
    const struct torch_weights *w = m->weights;
    if (*w->stripped)
        printf("  prefix     '%s' taken off\n", w->stripped);
    if (w->several)
        printf("  sets       several: names are full paths, --key takes one\n");
    for (size_t i = 0; i < w->n_left && i < SHOWN_LEFT; i++)
        printf("  left out   %s\n", w->left[i].what);
    if (w->n_left > SHOWN_LEFT)
        printf("  left out   %zu more\n", w->n_left - SHOWN_LEFT);
    size_t shown = 0;
    for (size_t i = 0; i < w->n && shown < SHOWN_LEFT; i++) {
        if (w->tensor[i].usable)
            continue;
        printf("  left out   %s: %s\n", w->tensor[i].name, w->tensor[i].why);
        shown++;
    }
    if (m->skipped > shown)
        printf("  left out   %zu more\n", m->skipped - shown);
    if (m->widened)
        printf("  widened    %zu tensor%s of int8 or int16 to i32\n",
               m->widened, m->widened == 1 ? "" : "s");
}

static void say(const struct request *q, const struct torch_import *m)
{
    char number[32], size[32], prefix[128];
    struct err e = {0};
    uint64_t elements = 0, bytes = 0;
    for (size_t i = 0; i < m->n; i++) {
        elements += m->item[i].tensor->count;
        bytes += m->item[i].tensor->bytes;
    }
    printf("%s: %s%s%s\n", q->path, m->format, *m->weights->from ? ", " : "",
           m->weights->from);
    printf("  tensors    %zu\n", m->n);
    printf("  numbers    %s\n", weights_count(elements, number));
    printf("  bytes      %s\n", weights_bytes(bytes, size));
    struct safetensors *s = NULL;
    if (torch_import_safetensors(m, &s, &e) == OK) {
        const struct model *known = model_recognise(s, prefix, sizeof prefix);
        if (known)
            printf("  network    %s%s%s%s\n", known->name,
                   *prefix ? ", under '" : "", prefix, *prefix ? "'" : "");
    }
    safetensors_free(&s);
    say_left(m);
}

static void print_list(const struct torch_import *m)
{
    struct weights_table t = {0};
    for (size_t i = 0; i < m->n; i++)
        weights_measure(&t, m->item[i].name, m->item[i].tensor->ndim,
                        m->item[i].tensor->shape);
    for (size_t i = 0; i < m->n; i++) {
        const struct tensor *x = m->item[i].tensor;
        weights_row(&t, m->item[i].name, dtype_name(x->dtype), x->ndim,
                    x->shape, x->count);
    }
}

static int import(const struct request *q)
{
    struct err e = {0};
    struct torch_import *m = NULL;
    char *given = q->output ? NULL : output_of(q->path);
    const char *output = q->output ? q->output : given;
    enum err_code r = torch_import(q->path, &q->o, q->skip || q->list, &m, &e);
    if (!r && !output)
        r = err_set(&e, ERR_NOMEM, "no memory for a name");
    if (!r && q->list) {
        print_list(m);
        say_left(m);
    } else if (!r) {
        r = torch_import_write(m, output, &e);
        if (!r) {
            say(q, m);
            printf("  written    %s\n", output);
        }
    }
    torch_import_free(&m);
    mem_free(given);
    if (r)
        return cli_fail("import-torch", &e,
                        r == ERR_ARG ? CLI_USAGE : CLI_BROKEN);
    return cli_print("import-torch", "");
}

static const char *take_value(int argc, char **argv, int *i, const char *name,
                              const char **to, int *missing)
{
    int none = 0;
    const char *v = cli_value(argc, argv, i, name, &none);
    if (v) {
        *to = v;
        *missing = none || !*v;
    }
    return v;
}

static int import_torch_run(int argc, char **argv)
{
    static const char *const options[] = {"--output", "--key",
                                          "--all",    "--only",
                                          "--strip",  "--keep-prefix",
                                          "--list",   "--skip-unsupported",
                                          "-o",       NULL};
    struct request q = {0};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        int missing = 0;
        if (strcmp(arg, "--all") == 0)
            q.o.all = true;
        else if (strcmp(arg, "--keep-prefix") == 0)
            q.o.keep_prefix = true;
        else if (strcmp(arg, "--skip-unsupported") == 0)
            q.skip = true;
        else if (strcmp(arg, "--list") == 0)
            q.list = true;
        else if (take_value(argc, argv, &i, "-o", &q.output, &missing) ||
                 take_value(argc, argv, &i, "--output", &q.output, &missing) ||
                 take_value(argc, argv, &i, "--key", &q.o.key, &missing) ||
                 take_value(argc, argv, &i, "--only", &q.o.only, &missing) ||
                 take_value(argc, argv, &i, "--strip", &q.o.strip, &missing)) {
            if (missing)
                return cli_usage("import-torch", "%s needs a value", arg);
        } else if (arg[0] == '-' && arg[1])
            return cli_unknown("import-torch", arg, options);
        else if (q.path)
            return cli_usage("import-torch", "one FILE, please");
        else
            q.path = arg;
    }
    if (!q.path)
        return cli_usage("import-torch", "no FILE");
    if (q.o.key && q.o.all)
        return cli_usage("import-torch", "--key or --all, not both");
    return import(&q);
}

static const struct cli_verb verb_import_torch = {
    .name = "import-torch",
    .summary = "turn a PyTorch checkpoint into safetensors",
    .help = help,
    .run = import_torch_run,
};
CLI_VERB(verb_import_torch)
