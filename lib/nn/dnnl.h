/* oneDNN for lib/nn/dnnl_*.c, the only files that may include this: views as
 * tensors of oneDNN, primitives made, run and freed in one call each. Versions
 * 2 and 3 alike (dnnl_api.h).
 *
 * Built with DNNL=0 there is nothing in here: everything that uses it stands
 * inside `#if FACET_DNNL` after this include. */
#ifndef FACET_NN_DNNL_H
#define FACET_NN_DNNL_H

#ifndef FACET_DNNL
#define FACET_DNNL 1
#endif

#if FACET_DNNL
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/nn/dnnl_api.h"
#include "lib/nn/layout.h"

/* A status as an error: "oneDNN: <what>: no such kernel" (ERR_UNSUPPORTED),
 * ERR_NOMEM, ERR_STATE. */
enum err_code nn_dnnl_status(dnnl_status_t s, const char *what,
                             struct err *e) MUST_USE;
/* The engine of this process, made at the first call, kept to the end; NULL
 * with e set on failure. Any thread. */
dnnl_engine_t nn_dnnl_engine(struct err *e) MUST_USE;

dnnl_format_tag_t nn_dnnl_tag(enum nn_layout l);
dnnl_data_type_t nn_dnnl_type(enum dtype t); /* DT_F32 or DT_BF16 */
/* [batch,C,H,W] of a view: nchw, nhwc or nChw16c. */
struct nn_dnnl_tensor nn_dnnl_view(const struct nn_view *v);
/* Attributes whose scratchpad is the caller's (nn_dnnl_run's); destroy with
 * dnnl_primitive_attr_destroy. NULL with e set on failure. */
dnnl_primitive_attr_t nn_dnnl_attr(struct err *e) MUST_USE;

#define NN_DNNL_ARGS 12

/* One primitive and the memory objects it is run with. Zeroed: nothing. */
struct nn_dnnl_prim {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t prim;
    dnnl_exec_arg_t arg[NN_DNNL_ARGS]; /* the last one is the scratchpad */
    void *handle[NN_DNNL_ARGS];
    int n;
    size_t scratch_bytes; /* 64-byte aligned scratch that a run needs */
    const char *kernel;   /* "jit:avx512_core"; lives as long as this */
};

/* Make p (zeroed) of an operation. The first implementation
 * that oneDNN offers is taken, but never a "ref" one, which may be a thousand
 * times slower: ERR_UNSUPPORTED then. hint: the forward primitive's pd where op
 * is one of a backward pass, else NULL. args: the DNNL_ARG_* that runs will
 * name (n < NN_DNNL_ARGS), each with the memory that pd says it has. On failure
 * p is empty again. */
enum err_code nn_dnnl_make(struct nn_dnnl_prim *p, const struct nn_dnnl_op *op,
                           const_dnnl_primitive_attr_t attr,
                           const_dnnl_primitive_desc_t hint, const int *args,
                           int n, const char *what, struct err *e) MUST_USE;
/* A copy between formats and types: DNNL_ARG_FROM to DNNL_ARG_TO; add: to
 * what is there. */
enum err_code nn_dnnl_make_reorder(struct nn_dnnl_prim *p, nn_dnnl_md from,
                                   nn_dnnl_md to, bool add,
                                   struct err *e) MUST_USE;
void nn_dnnl_free(struct nn_dnnl_prim *p); /* leaves it empty; NULL is fine */
/* What p has for an argument (a workspace, packed weights): never NULL, of
 * size 0 where there is none. Owned by p. */
nn_dnnl_md nn_dnnl_md_of(const struct nn_dnnl_prim *p, int arg);
size_t nn_dnnl_size(const struct nn_dnnl_prim *p, int arg);

struct nn_dnnl_arg {
    int arg;          /* DNNL_ARG_SRC, ... */
    const void *data; /* written only where the primitive writes it */
};
/* Run with these arguments (all that were named when p was made). Blocks.
 * Not for two threads at once with one p.
 *
 * oneDNN writes zeros into the padding channels of an argument's memory
 * whenever its address is another one than in the run before; they are zero
 * there anyway (see layout.h). */
enum err_code nn_dnnl_run(struct nn_dnnl_prim *p, const struct nn_dnnl_arg *a,
                          int n, void *scratch, struct err *e) MUST_USE;

#endif
#endif
