/* Small and full-size networks with weights and inputs from names: the cases
 * of tests/golden/nn-models.safetensors (tests/py/goldens_models.py). */
#ifndef FACET_TESTS_MODEL_CASES_H
#define FACET_TESTS_MODEL_CASES_H

#include "lib/models/models.h"
#include "lib/nn/safetensors.h"

#define MODEL_GOLDENS "tests/golden/nn-models.safetensors"
#define MAX_OUT 16
#define RELU_GAIN 1.4142135623730951 /* of weights without norms */

/* A network as one function: outputs to out[], their number returned. */
struct net_case {
    const char *name;
    int (*build)(const struct nn_scope *s, int x, int out[MAX_OUT]);
    double gain, shift;
    int64_t batch;
    struct nn_shape in;
};

extern const struct net_case model_cases[];
extern const size_t model_cases_count;
const struct net_case *find_case(const char *name); /* fails the test */

/* One case written into a graph, with its weights and input. */
struct written {
    const struct net_case *c;
    struct nn_params *ps;
    struct nn_graph *g;
    int n_out;
    size_t count[MAX_OUT]; /* floats of each output, whole batch */
    float *in, *out[MAX_OUT], *dout[MAX_OUT];
    size_t in_count;
};

/* All these fail the cmocka test with the reason. golden holds the salt of
 * the input. */
float *floats(size_t n);
void write_case(struct written *w, const struct net_case *c,
                const struct safetensors *golden, bool eval);
void erase_case(struct written *w);
/* A result against the digest "<case>.<part>": see digest_check. */
void check_digest(const struct written *w, const struct safetensors *golden,
                  const char *variant, const char *part, const float *v,
                  size_t n, double tol, double floor);
/* All of w->out against "<case>.<when>.<i>". */
void check_outputs(const struct written *w, const struct safetensors *golden,
                   const char *variant, const char *when, double tol);

#endif
