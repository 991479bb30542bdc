/* Our side of bench/nn.py: times networks of the system as it is told.
 *
 *     nn_nets NET [--side N] [--batch N] [--train] [--threads N] [--dump FILE]
 *             [--weights FILE] [--memory MODE]
 *     nn_nets floor [--threads N]
 *
 * Then, line by line on stdin (an answer is one line; MODE is exact, fast,
 * lean, bf16 or mixed; a failure is "error TEXT"):
 *
 *     run MODE N      N passes (training: steps), milliseconds each
 *     out MODE FILE   results of the last pass (training: losses of the first
 *                     steps) as raw f32
 *     bytes MODE      what the plan holds, and parameters, gradients and
 *                     optimiser, in MB
 *     table MODE      the plan's table of steps, then a line "end"
 *
 * --dump writes parameters, bench.in and bench.target as safetensors and ends:
 * a smaller batch is the first pictures of these. --weights takes parameters
 * from such a file. --memory prints how much the process grew by reading them,
 * planning and running a mode, peak and lasting, and what the plan says, in
 * MB. floor prints GFLOP/s of one convolution by mode. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/models/fan_net.h"
#include "lib/models/global_generator.h"
#include "lib/models/resnet_depth.h"
#include "lib/models/s3fd.h"
#include "lib/models/vgg.h"
#include "lib/nn/conv.h"
#include "lib/nn/net.h"
#include "lib/nn/optim.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"

#define MAX_OUTPUTS 16
#define MAX_LOSSES 8
#define MB (1.0 / (1 << 20))

/* LEAN: fast, keeping no Winograd weights. MIXED: bf16, and Winograd in f32
 * where that is faster still. */
enum mode { EXACT, FAST, LEAN, BF16, MIXED, MODES };
static const char *const mode_name[MODES] = {"exact", "fast", "lean", "bf16",
                                             "mixed"};

static bool is_fast(enum mode m)
{
    return m == FAST || m == LEAN || m == MIXED;
}

static bool is_bf16(enum mode m)
{
    return m == BF16 || m == MIXED;
}

/* A network: nodes of its results go to out; their number is returned. */
struct net {
    const char *name;
    int64_t planes, side;
    int (*build)(const struct nn_scope *s, int x, int out[MAX_OUTPUTS]);
};

static int build_fan4(const struct nn_scope *s, int x, int out[MAX_OUTPUTS])
{
    out[0] = fan_net(s, x, &(struct fan_net_spec){.stacks = 4}, NULL);
    return 1;
}

static int build_fan1(const struct nn_scope *s, int x, int out[MAX_OUTPUTS])
{
    struct fan_net_spec spec = {.stacks = 1, .features = 128};
    out[0] = fan_net(s, x, &spec, NULL);
    return 1;
}

static int build_depth(const struct nn_scope *s, int x, int out[MAX_OUTPUTS])
{
    out[0] = resnet_depth(s, x, NULL, 0);
    return 1;
}

static int build_generator(const struct nn_scope *s, int x,
                           int out[MAX_OUTPUTS])
{
    out[0] = global_generator(s, x, &(struct global_generator_spec){0});
    return 1;
}

static int build_resnet18(const struct nn_scope *s, int x, int out[MAX_OUTPUTS])
{
    out[0] = resnet_classifier(s, x, &resnet_18, 1000);
    return 1;
}

static int build_vgg19(const struct nn_scope *s, int x, int out[MAX_OUTPUTS])
{
    vgg19_features(s, x, 0, out);
    return VGG_FEATURES;
}

static int build_s3fd(const struct nn_scope *s, int x, int out[MAX_OUTPUTS])
{
    struct s3fd_level level[S3FD_LEVELS];
    if (s3fd(s, x, 0, level) < 0)
        return 0;
    for (int i = 0; i < S3FD_LEVELS; i++) {
        out[2 * i] = level[i].score;
        out[2 * i + 1] = level[i].box;
    }
    return 2 * S3FD_LEVELS;
}

static const struct net nets[] = {
    {"fan-4", 3, 256, build_fan4},
    {"fan-1-128", 3, 256, build_fan1},
    {"resnet-depth", 71, 256, build_depth},
    {"global-generator", 6, 224, build_generator},
    {"resnet-18", 3, 224, build_resnet18},
    {"vgg-19", 3, 224, build_vgg19},
    {"s3fd", 3, 256, build_s3fd},
};

/* One mode's plan, and what it needs. */
struct plan {
    struct nn_net *net;
    struct nn_train *train;
    struct nn_params *ps; /* training only: inference plans copy */
    struct nn_optim *optim;
    float loss[MAX_LOSSES];
    int losses;
};

struct bench {
    const struct net *net;
    int64_t side, batch, threads;
    bool train;
    const char *dump, *memory, *weights;
    struct plan plan[MODES];
    float *in, *target;
    float *out[MAX_OUTPUTS];
    size_t n_in, n_out[MAX_OUTPUTS]; /* floats */
    int outputs;
};

/* Values at which activations keep their size through any network here (no
 * trained weights are needed to measure time, but a network whose numbers die
 * away or overflow would be compared with nothing). */
static void seed_params(struct nn_params *ps)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        struct nn_param *p = nn_params_at(ps, i);
        float *v = tensor_f32(p->value);
        size_t n = p->value->count;
        size_t first = p->value->ndim > 1 ? (size_t)p->value->shape[0] : n;
        double lo = -0.1, hi = 0.1;
        if (p->value->ndim > 1)
            hi = sqrt(3.0 / (double)(n / first)), lo = -hi;
        else if (text_ends(p->name, "running_var"))
            lo = 0.5, hi = 1.5;
        else if (text_ends(p->name, "weight"))
            lo = 0.75, hi = 1.25;
        for (size_t k = 0; k < n; k++)
            v[k] = (float)rng_range(&rng, lo, hi);
        p->version++;
    }
}

/* The network as a graph, with its parameters in *ps; in training with a
 * target and the loss as its only output. */
static enum err_code build(struct bench *b, struct nn_graph **g,
                           struct nn_params **ps, struct err *e)
{
    *g = nn_graph_new(e);
    *ps = nn_params_new(1, e);
    if (!*g || !*ps)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(*g, *ps);
    struct safetensors *w = NULL;
    int out[MAX_OUTPUTS] = {0};
    if (b->weights) {
        enum err_code r = safetensors_open(b->weights, &w, e);
        if (r)
            return r;
        nn_params_lend(*ps, w, NULL);
        safetensors_free(&w);
    }
    int x = nn_input(*g, b->net->planes, b->side, b->side);
    b->outputs = b->net->build(&s, x, out);
    enum err_code r = nn_graph_status(*g, e);
    if (r)
        return r;
    for (int i = 0; i < b->outputs; i++) {
        struct nn_shape o = nn_graph_shape(*g, out[i]);
        b->n_out[i] = (size_t)(b->batch * o.c * o.h * o.w);
        if (!b->train)
            nn_output(*g, out[i]);
    }
    if (b->train) {
        struct nn_shape o = nn_graph_shape(*g, out[0]);
        int target = nn_input(*g, o.c, o.h, o.w);
        nn_output(*g, nn_mse_loss(*g, out[0], target));
    }
    nn_params_lend(*ps, NULL, NULL);
    if (!b->weights)
        seed_params(*ps);
    return nn_graph_status(*g, e);
}

static enum err_code make_train(struct bench *b, const struct nn_graph *g,
                                struct plan *p, enum mode m, struct err *e)
{
    if (m == MIXED)
        return err_set(e, ERR_UNSUPPORTED, "training knows no mixed mode");
    struct nn_train_options t = {.mode = is_fast(m) ? NN_FAST : NN_EXACT,
                                 .bf16 = is_bf16(m),
                                 .batch = b->batch};
    struct nn_optim_options o = {
        .kind = NN_ADAM, .lr = 1e-3, .beta1 = 0.5, .beta2 = 0.999};
    enum err_code r = nn_train_new(g, &t, &p->train, e);
    return r ? r : nn_optim_new(p->ps, &o, &p->optim, e);
}

static enum err_code make(struct bench *b, enum mode m, struct err *e)
{
    struct plan *p = &b->plan[m];
    struct nn_graph *g = NULL;
    struct nn_options o = {.mode = is_fast(m) ? NN_FAST : NN_EXACT,
                           .fast_bytes = m == LEAN,
                           .bf16 = is_bf16(m),
                           .batch = b->batch};
    enum err_code r = build(b, &g, &p->ps, e);
    if (!r)
        r = b->train ? make_train(b, g, p, m, e) : nn_plan(g, &o, &p->net, e);
    nn_graph_free(&g);
    if (!b->train)
        nn_params_free(&p->ps);
    return r;
}

static void drop(struct plan *p)
{
    nn_optim_free(&p->optim);
    nn_train_free(&p->train);
    nn_net_free(&p->net);
    nn_params_free(&p->ps);
}

/* Pictures one after the other from one generator, so that a smaller batch is
 * the beginning of a larger one. */
static float *noise(size_t n, uint64_t seed)
{
    float *v = mem_array(n, sizeof *v);
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; v && i < n; i++)
        v[i] = (float)rng_unit(&rng);
    return v;
}

/* Inputs, targets and room for results; n_out is known after build(). */
static enum err_code make_data(struct bench *b, struct err *e)
{
    bool ok = true;
    b->n_in = (size_t)(b->batch * b->net->planes * b->side * b->side);
    b->in = noise(b->n_in, 2);
    b->target = noise(b->n_out[0], 3);
    for (int i = 0; i < b->outputs && !b->train; i++) {
        b->out[i] = mem_array(b->n_out[i], sizeof(float));
        ok = ok && b->out[i];
    }
    return ok && b->in && b->target ? OK : err_set(e, ERR_NOMEM, "no memory");
}

static enum err_code step(struct bench *b, struct plan *p, struct err *e)
{
    const float *in[2] = {b->in, b->target};
    if (!b->train)
        return nn_run(p->net, in, b->out, e);
    nn_params_zero_grad(p->ps);
    enum err_code r = nn_train_forward(p->train, in, e);
    if (!r)
        r = nn_train_backward(p->train, NULL, e);
    if (!r)
        r = nn_optim_step(p->optim, NULL, e);
    if (!r && p->losses < MAX_LOSSES)
        nn_train_output(p->train, 0, &p->loss[p->losses++]);
    return r;
}

/* The plan of a mode, made and run once on its first use. */
static enum err_code ready(struct bench *b, enum mode m, struct err *e)
{
    struct plan *p = &b->plan[m];
    if (p->net || p->optim)
        return OK;
    enum err_code r = make(b, m, e);
    if (!r && !b->in)
        r = make_data(b, e);
    if (!r)
        r = step(b, p, e);
    if (r)
        drop(p);
    return r;
}

static enum err_code run(struct bench *b, enum mode m, int64_t n, struct err *e)
{
    enum err_code r = ready(b, m, e);
    for (int64_t i = 0; i < n && !r; i++) {
        int64_t start = clock_ns();
        r = step(b, &b->plan[m], e);
        if (!r)
            printf("%s%.3f", i ? " " : "", (double)(clock_ns() - start) * 1e-6);
    }
    if (!r)
        printf("\n");
    return r;
}

static enum err_code write_out(struct bench *b, enum mode m, const char *path,
                               struct err *e)
{
    enum err_code r = ready(b, m, e);
    struct plan *p = &b->plan[m];
    if (!r && !b->train)
        r = step(b, p, e); /* another mode may have run since */
    FILE *f = r ? NULL : fopen(path, "wb");
    if (r || !f)
        return r ? r : err_set(e, ERR_IO, "cannot write '%s'", path);
    bool ok = !b->train || fwrite(p->loss, sizeof *p->loss, (size_t)p->losses,
                                  f) == (size_t)p->losses;
    for (int i = 0; i < b->outputs && !b->train; i++)
        ok = fwrite(b->out[i], sizeof(float), b->n_out[i], f) == b->n_out[i] &&
             ok;
    ok = fclose(f) == 0 && ok;
    if (!ok)
        return err_set(e, ERR_IO, "cannot write '%s'", path);
    printf("ok\n");
    return OK;
}

/* Bytes of the plan, and of what training holds beside it. */
static void bytes(const struct bench *b, const struct plan *p, double *plan,
                  double *beside)
{
    *plan =
        (double)(b->train ? nn_train_bytes(p->train) : nn_net_bytes(p->net)) *
        MB;
    /* value, gradient and Adam's two moments */
    *beside = b->train ? (double)nn_params_total(p->ps) * 4 * 4 * MB : 0;
}

static enum err_code table(struct bench *b, enum mode m, struct err *e)
{
    struct buf text;
    buf_init(&text, 4 << 20);
    enum err_code r = ready(b, m, e);
    if (!r)
        r = b->train ? nn_train_describe(b->plan[m].train, &text, e)
                     : nn_net_describe(b->plan[m].net, &text, e);
    if (!r)
        printf("%send\n", buf_str(&text));
    buf_free(&text);
    return r;
}

/* --dump: the parameters with input and target beside them. */
static enum err_code dump(struct bench *b, struct err *e)
{
    struct nn_graph *g = NULL;
    struct nn_params *ps = NULL;
    struct nn_param *in = NULL, *target = NULL;
    struct nn_init_spec zero = {NN_INIT_ZERO, 0};
    enum err_code r = build(b, &g, &ps, e);
    if (!r)
        r = make_data(b, e);
    if (!r) {
        int64_t shape[] = {b->batch, b->net->planes, b->side, b->side};
        r = nn_params_get(ps, "bench.in", 4, shape, true, zero, &in, e);
    }
    if (!r) {
        int64_t shape[] = {b->batch, (int64_t)b->n_out[0] / b->batch};
        r = nn_params_get(ps, "bench.target", 2, shape, true, zero, &target, e);
    }
    if (!r) {
        memcpy(in->value->data, b->in, in->value->bytes);
        memcpy(target->value->data, b->target, target->value->bytes);
        r = nn_params_save(ps, b->dump, NULL, e);
    }
    nn_graph_free(&g);
    nn_params_free(&ps);
    return r;
}

/* "VmRSS:" or "VmHWM:" of this process in MB; 0 if there is none. */
static double status_mb(const char *key)
{
    char line[256];
    double mb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (text_starts(line, key))
            mb = (double)strtoll(line + strlen(key), NULL, 10) / 1024;
    }
    if (f)
        fclose(f);
    return mb;
}

/* GFLOP/s of a convolution of c to c channels, 3x3 on a square. Best of
 * several runs. */
static enum err_code rate_of(enum mode m, int64_t c, int64_t side,
                             double *gflops, struct err *e)
{
    bool bf16 = m == BF16;
    struct nn_view v = {.dtype = bf16 ? DT_BF16 : DT_F32,
                        .layout = m == EXACT ? NN_LAST : NN_BLOCK16,
                        .shape = {c, side, side},
                        .batch = 1};
    struct nn_conv_desc d = {.in = v, .out = v, .kernel_h = 3, .kernel_w = 3};
    d.stride_h = d.stride_w = d.dilation_h = d.dilation_w = d.groups = 1;
    d.pad_h = d.pad_w = 1;
    d.winograd = is_fast(m);
    d.lean = m == LEAN;
    struct nn_conv *conv = NULL;
    void *src = mem_aligned(nn_view_bytes(&v));
    void *dst = mem_aligned(nn_view_bytes(&v));
    float *w = noise((size_t)(c * c * 9), 1);
    void *scratch = NULL;
    int64_t best = INT64_MAX;
    enum err_code r = src && dst && w ? nn_conv_new(&d, &conv, e)
                                      : err_set(e, ERR_NOMEM, "no memory");
    if (!r)
        r = nn_conv_weights(conv, w, NULL, e);
    if (!r && !(scratch = mem_aligned(nn_conv_scratch(conv) + 64)))
        r = err_set(e, ERR_NOMEM, "no memory");
    if (!r)
        memset(src, 0, nn_view_bytes(&v));
    for (int i = 0; i < 40 && !r; i++) {
        int64_t start = clock_ns();
        r = nn_conv_forward(conv, src, dst, scratch, e);
        int64_t ns = clock_ns() - start;
        best = ns < best ? ns : best;
    }
    *gflops = 2.0 * (double)(c * c * 9 * side * side) / (double)best;
    nn_conv_free(&conv);
    mem_free(src);
    mem_free(dst);
    mem_free(w);
    mem_free(scratch);
    return r;
}

/* From libraries that have run before, like the peer's. */
static enum err_code memory(struct bench *b, enum mode m, struct err *e)
{
    double rate, plan, beside;
    enum err_code r = rate_of(m, 16, 8, &rate, e);
    double before = status_mb("VmRSS:");
    if (!r)
        r = ready(b, m, e);
    for (int i = 0; i < 2 && !r; i++)
        r = step(b, &b->plan[m], e);
    if (r)
        return r;
    bytes(b, &b->plan[m], &plan, &beside);
    printf("%.1f %.1f %.1f %.1f\n", status_mb("VmHWM:") - before,
           status_mb("VmRSS:") - before, plan, beside);
    return OK;
}

/* The largest layer of GlobalGenerator: what this CPU can give. */
static enum err_code floors(struct err *e)
{
    for (int m = 0; m < MIXED; m++) {
        double g = 0;
        if (m == BF16 && !nn_has_bf16())
            break;
        enum err_code r = rate_of((enum mode)m, 512, 28, &g, e);
        if (r)
            return r;
        printf("%s%s %.0f", m ? " " : "", mode_name[m], g);
    }
    printf("\n");
    return OK;
}

static bool read_mode(const char *word, enum mode *m)
{
    for (int i = 0; word && i < MODES; i++) {
        if (strcmp(word, mode_name[i]) == 0) {
            *m = (enum mode)i;
            return true;
        }
    }
    return false;
}

static enum err_code answer(struct bench *b, char *line, struct err *e)
{
    char *at = NULL;
    const char *what = strtok_r(line, " \n", &at);
    const char *mode = strtok_r(NULL, " \n", &at);
    const char *arg = strtok_r(NULL, " \n", &at);
    enum mode m;
    int64_t n;
    if (!what || !read_mode(mode, &m))
        return err_set(e, ERR_ARG, "no such command");
    if (strcmp(what, "run") == 0 && arg && text_to_i64(arg, &n))
        return run(b, m, n, e);
    if (strcmp(what, "out") == 0 && arg)
        return write_out(b, m, arg, e);
    if (strcmp(what, "table") == 0)
        return table(b, m, e);
    if (strcmp(what, "bytes") == 0) {
        double plan, beside;
        enum err_code r = ready(b, m, e);
        if (r)
            return r;
        bytes(b, &b->plan[m], &plan, &beside);
        printf("%.1f %.1f\n", plan, beside);
        return OK;
    }
    return err_set(e, ERR_ARG, "no such command");
}

static bool read_options(int argc, char **argv, struct bench *b)
{
    *b = (struct bench){.batch = 1, .threads = 2};
    for (size_t i = 0; argc > 1 && i < sizeof nets / sizeof *nets; i++) {
        if (strcmp(argv[1], nets[i].name) == 0)
            b->net = &nets[i];
    }
    if (!b->net && (argc < 2 || strcmp(argv[1], "floor") != 0))
        return false;
    b->side = b->net ? b->net->side : 0;
    for (int i = 2; i < argc; i++) {
        int64_t *to = strcmp(argv[i], "--side") == 0      ? &b->side
                      : strcmp(argv[i], "--batch") == 0   ? &b->batch
                      : strcmp(argv[i], "--threads") == 0 ? &b->threads
                                                          : NULL;
        const char **word = strcmp(argv[i], "--dump") == 0      ? &b->dump
                            : strcmp(argv[i], "--memory") == 0  ? &b->memory
                            : strcmp(argv[i], "--weights") == 0 ? &b->weights
                                                                : NULL;
        if (strcmp(argv[i], "--train") == 0)
            b->train = true;
        else if (i + 1 >= argc)
            return false;
        else if (word)
            *word = argv[++i];
        else if (!to || !text_to_i64(argv[++i], to) || *to < 1 || *to > 4096)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    struct bench b;
    struct err e = {0};
    enum mode m = EXACT;
    enum err_code r = OK;
    char line[1024];
    if (!read_options(argc, argv, &b) ||
        (b.memory && !read_mode(b.memory, &m))) {
        fprintf(stderr,
                "usage: nn_nets NET|floor [--side N] [--batch N] [--train]"
                " [--threads N] [--dump FILE] [--weights FILE]"
                " [--memory MODE]\n");
        return 2;
    }
    nn_threads_set((int)b.threads);
    if (!b.net) {
        r = floors(&e);
    } else if (b.dump) {
        r = dump(&b, &e);
    } else if (b.memory) {
        r = memory(&b, m, &e);
    } else {
        while (fgets(line, sizeof line, stdin)) {
            if (answer(&b, line, &e))
                printf("error %s\n", e.text);
            fflush(stdout);
        }
    }
    if (r)
        fprintf(stderr, "nn_nets: %s\n", e.text);
    for (int i = 0; i < MODES; i++)
        drop(&b.plan[i]);
    for (int i = 0; i < b.outputs; i++)
        mem_free(b.out[i]);
    mem_free(b.in);
    mem_free(b.target);
    return r ? 1 : 0;
}
