/* Times FAN on noise: bench/landmarker_net WEIGHTS [--fast] [--bf16] [--blas]
 * [--threads N] [--batch N] [--runs N] [--profile]. Prints the median in
 * milliseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/models/fan.h"
#include "lib/nn/threads.h"

struct options {
    const char *weights;
    struct fan_options fan;
    int64_t threads, batch, runs;
    bool profile;
};

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.threads = 2, .batch = 1, .runs = 15};
    for (int i = 1; i < argc; i++) {
        int64_t *to = strcmp(argv[i], "--threads") == 0 ? &o->threads
                      : strcmp(argv[i], "--batch") == 0 ? &o->batch
                      : strcmp(argv[i], "--runs") == 0  ? &o->runs
                                                        : NULL;
        if (to) {
            if (i + 1 >= argc || !text_to_i64(argv[++i], to) || *to < 1 ||
                *to > 10000)
                return false;
        } else if (strcmp(argv[i], "--fast") == 0) {
            o->fan.mode = NN_FAST;
        } else if (strcmp(argv[i], "--bf16") == 0) {
            o->fan.bf16 = true;
        } else if (strcmp(argv[i], "--blas") == 0) {
            o->fan.path = NN_PATH_BLAS;
        } else if (strcmp(argv[i], "--profile") == 0) {
            o->profile = true;
        } else if (argv[i][0] != '-' && !o->weights) {
            o->weights = argv[i];
        } else {
            return false;
        }
    }
    return o->weights != NULL;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static enum err_code measure(struct fan *f, const struct options *o,
                             struct err *e)
{
    size_t n_in = (size_t)o->batch * 3 * FAN_SIDE * FAN_SIDE;
    size_t n_out = (size_t)o->batch * FAN_POINTS * FAN_MAP * FAN_MAP;
    float *in = mem_array(n_in, sizeof *in);
    float *maps = mem_array(n_out, sizeof *maps);
    double *t = mem_array((size_t)o->runs, sizeof *t);
    enum err_code r = in && maps && t ? OK : err_set(e, ERR_NOMEM, "no memory");
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < n_in && !r; i++)
        in[i] = (float)rng_unit(&rng);
    for (int64_t i = -2; i < o->runs && !r; i++) {
        int64_t start = clock_ns();
        r = fan_heatmaps(f, in, o->batch, false, maps, e);
        if (i >= 0)
            t[i] = (double)(clock_ns() - start) * 1e-6;
    }
    if (!r) {
        qsort(t, (size_t)o->runs, sizeof *t, by_value);
        printf("%.3f\n", t[o->runs / 2]);
    }
    mem_free(in);
    mem_free(maps);
    mem_free(t);
    return r;
}

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    struct options o;
    struct err e = {0};
    struct safetensors *w = NULL;
    struct fan *f = NULL;
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr,
                "usage: landmarker_net WEIGHTS [--fast] [--bf16] [--blas]"
                " [--threads N] [--batch N] [--runs N] [--profile]\n");
        return 2;
    }
    nn_threads_set((int)o.threads);
    enum err_code r = safetensors_open(o.weights, &w, &e);
    if (!r)
        r = fan_new(w, &o.fan, &f, &e);
    if (!r)
        r = measure(f, &o, &e);
    if (!r && o.profile) {
        struct buf b;
        buf_init(&b, 1 << 20);
        r = fan_profile(f, &b, &e);
        fputs(buf_str(&b), stdout);
        buf_free(&b);
    }
    if (r)
        fprintf(stderr, "landmarker_net: %s\n", e.text);
    fan_free(&f);
    safetensors_free(&w);
    return r ? 1 : 0;
}
