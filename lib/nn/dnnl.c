/* oneDNN: engine, memory descriptions, primitives. */
#include "lib/nn/dnnl.h"

#include "lib/nn/conv.h"
#include "lib/nn/graph.h"

#if FACET_DNNL

#include <pthread.h>
#include <stdint.h>
#include <string.h>

/* Both live as long as the process. A CPU stream of the OpenMP build runs a
 * primitive in the thread that calls and keeps nothing between calls, so that
 * one does for all threads. */
static dnnl_engine_t engine;
static dnnl_stream_t stream;
static dnnl_status_t started;
static pthread_once_t once = PTHREAD_ONCE_INIT;

enum err_code nn_dnnl_status(dnnl_status_t s, const char *what, struct err *e)
{
    switch (s) {
    case dnnl_success:
        return OK;
    case dnnl_out_of_memory:
        return err_set(e, ERR_NOMEM, "oneDNN: %s: no memory", what);
    case dnnl_unimplemented:
        return err_set(e, ERR_UNSUPPORTED, "oneDNN: %s: no such kernel", what);
    default:
        return err_set(e, ERR_STATE, "oneDNN: %s: status %d", what, (int)s);
    }
}

static void start(void)
{
    started = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (!started)
        started =
            dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
}

dnnl_engine_t nn_dnnl_engine(struct err *e)
{
    if (pthread_once(&once, start) != 0) {
        (void)err_set(e, ERR_STATE, "oneDNN: engine: pthread_once failed");
        return NULL;
    }
    return nn_dnnl_status(started, "engine", e) ? NULL : engine;
}

dnnl_format_tag_t nn_dnnl_tag(enum nn_layout l)
{
    switch (l) {
    case NN_PLAIN:
        return dnnl_nchw;
    case NN_BLOCK16:
        return dnnl_nChw16c;
    case NN_LAST:
        break;
    }
    return dnnl_nhwc;
}

dnnl_data_type_t nn_dnnl_type(enum dtype t)
{
    return t == DT_BF16 ? dnnl_bf16 : dnnl_f32;
}

struct nn_dnnl_tensor nn_dnnl_view(const struct nn_view *v)
{
    return (struct nn_dnnl_tensor){
        4,
        {v->batch, v->shape.c, v->shape.h, v->shape.w},
        nn_dnnl_type(v->dtype),
        nn_dnnl_tag(v->layout)};
}

dnnl_primitive_attr_t nn_dnnl_attr(struct err *e)
{
    dnnl_primitive_attr_t a = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(&a);
    if (!s)
        s = dnnl_primitive_attr_set_scratchpad_mode(a,
                                                    dnnl_scratchpad_mode_user);
    if (s && a) {
        (void)dnnl_primitive_attr_destroy(a);
        a = NULL;
    }
    return nn_dnnl_status(s, "attributes", e) ? NULL : a;
}

void nn_dnnl_free(struct nn_dnnl_prim *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n; i++)
        (void)dnnl_memory_destroy(p->arg[i].memory);
    if (p->prim)
        (void)dnnl_primitive_destroy(p->prim);
    if (p->pd)
        (void)dnnl_primitive_desc_destroy(p->pd);
    *p = (struct nn_dnnl_prim){0};
}

nn_dnnl_md nn_dnnl_md_of(const struct nn_dnnl_prim *p, int arg)
{
    return dnnl_primitive_desc_query_md(p->pd, dnnl_query_exec_arg_md, arg);
}

size_t nn_dnnl_size(const struct nn_dnnl_prim *p, int arg)
{
    return dnnl_memory_desc_get_size(nn_dnnl_md_of(p, arg));
}

/* Memory objects of p->prim, still without memory. */
static dnnl_status_t equip(struct nn_dnnl_prim *p, const int *args, int n)
{
    dnnl_status_t s = dnnl_success;
    for (int i = 0; i <= n && !s; i++) {
        int arg = i < n ? args[i] : DNNL_ARG_SCRATCHPAD;
        s = dnnl_memory_create(&p->arg[i].memory, nn_dnnl_md_of(p, arg), engine,
                               DNNL_MEMORY_NONE);
        p->arg[i].arg = arg;
        p->n = s ? i : i + 1;
    }
    if (!s)
        p->scratch_bytes = nn_dnnl_size(p, DNNL_ARG_SCRATCHPAD);
    return s;
}

/* The first implementation that is none of oneDNN's references and can be
 * made: now and then its code generator gives up on what it said it could do
 * (2.6: channels-last bf16 with groups of 12 channels). */
static dnnl_status_t pick(struct nn_dnnl_prim *p, const struct nn_dnnl_op *op,
                          const_dnnl_primitive_attr_t attr,
                          const_dnnl_primitive_desc_t hint)
{
    struct nn_dnnl_offers o;
    dnnl_status_t s = nn_dnnl_offers_first(&o, op, engine, attr, hint);
    while (!s) {
        s = dnnl_primitive_desc_query(o.pd, dnnl_query_impl_info_str, 0,
                                      &p->kernel);
        if (!s && !strstr(p->kernel, "ref")) {
            s = dnnl_primitive_create(&p->prim, o.pd);
            if (s != dnnl_runtime_error)
                break;
            s = dnnl_success;
        }
        if (!s)
            s = nn_dnnl_offers_next(&o);
    }
    p->pd = nn_dnnl_offers_end(&o);
    return s;
}

enum err_code nn_dnnl_make(struct nn_dnnl_prim *p, const struct nn_dnnl_op *op,
                           const_dnnl_primitive_attr_t attr,
                           const_dnnl_primitive_desc_t hint, const int *args,
                           int n, const char *what, struct err *e)
{
    *p = (struct nn_dnnl_prim){0};
    if (n >= NN_DNNL_ARGS)
        return err_set(e, ERR_ARG, "oneDNN: %s: %d arguments", what, n);
    if (!nn_dnnl_engine(e))
        return ERR_STATE;
    dnnl_status_t s = pick(p, op, attr, hint);
    if (!s)
        s = equip(p, args, n);
    if (s)
        nn_dnnl_free(p);
    return nn_dnnl_status(s, what, e);
}

static dnnl_status_t append_sum(dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_post_ops_create(&ops);
    if (!s)
        s = nn_dnnl_append_sum(ops);
    if (!s)
        s = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (ops)
        (void)dnnl_post_ops_destroy(ops);
    return s;
}

enum err_code nn_dnnl_make_reorder(struct nn_dnnl_prim *p, nn_dnnl_md from,
                                   nn_dnnl_md to, bool add, struct err *e)
{
    static const int args[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
    *p = (struct nn_dnnl_prim){0};
    if (!nn_dnnl_engine(e))
        return ERR_STATE;
    dnnl_primitive_attr_t attr = nn_dnnl_attr(e);
    if (!attr)
        return ERR_NOMEM;
    dnnl_status_t s = add ? append_sum(attr) : dnnl_success;
    if (!s)
        s = dnnl_reorder_primitive_desc_create(&p->pd, from, engine, to, engine,
                                               attr);
    (void)dnnl_primitive_attr_destroy(attr);
    if (!s)
        s = dnnl_primitive_desc_query(p->pd, dnnl_query_impl_info_str, 0,
                                      &p->kernel);
    if (!s)
        s = dnnl_primitive_create(&p->prim, p->pd);
    if (!s)
        s = equip(p, args, 2);
    if (s)
        nn_dnnl_free(p);
    return nn_dnnl_status(s, "reorder", e);
}

/* oneDNN's addresses are not const, but it only reads a source. */
static dnnl_status_t place(struct nn_dnnl_prim *p, int i, const void *data)
{
    void *to = (void *)(uintptr_t)data;
    if (p->handle[i] == to)
        return dnnl_success;
    dnnl_status_t s = dnnl_memory_set_data_handle(p->arg[i].memory, to);
    p->handle[i] = s ? NULL : to;
    return s;
}

enum err_code nn_dnnl_run(struct nn_dnnl_prim *p, const struct nn_dnnl_arg *a,
                          int n, void *scratch, struct err *e)
{
    if (!p->prim)
        return err_set(e, ERR_STATE, "oneDNN: a kernel that was not prepared");
    dnnl_status_t s = place(p, p->n - 1, scratch);
    for (int i = 0; i < n && !s; i++) {
        int k = 0;
        while (k < p->n - 1 && p->arg[k].arg != a[i].arg)
            k++;
        s = k < p->n - 1 ? place(p, k, a[i].data) : dnnl_invalid_arguments;
    }
    if (!s)
        s = dnnl_primitive_execute(p->prim, stream, p->n, p->arg);
    if (!s)
        s = dnnl_stream_wait(stream);
    return nn_dnnl_status(s, p->kernel, e);
}

bool nn_has_dnnl(void)
{
    return true;
}

/* Values of dnnl_cpu_isa_t are sets of bits: what includes another one has its
 * bits. Elsewhere than on x86 there are none. */
static bool has_isa(dnnl_cpu_isa_t want)
{
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)want) ==
           (unsigned)want;
}

bool nn_has_bf16(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_bf16);
}

bool nn_conv_has_block16(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core);
}

/* Asked for once, as a convolution of the usual kind. */
static bool winograd;
static pthread_once_t winograd_once = PTHREAD_ONCE_INIT;

static void ask_for_winograd(void)
{
    struct nn_dnnl_tensor picture = {
        4, {1, 64, 32, 32}, dnnl_f32, dnnl_nChw16c};
    struct nn_dnnl_op op = {
        .kind = NN_DNNL_CONV,
        .prop = dnnl_forward_inference,
        .alg = dnnl_convolution_winograd,
        .src = picture,
        .weights = {4, {64, 64, 3, 3}, dnnl_f32, dnnl_format_tag_any},
        .dst = picture,
        .stride = {1, 1},
        .before = {1, 1},
        .after = {1, 1}};
    struct nn_dnnl_offers o;
    struct err e;
    dnnl_engine_t at = nn_dnnl_engine(&e);
    if (!at)
        return;
    winograd = nn_dnnl_offers_first(&o, &op, at, NULL, NULL) == dnnl_success;
    dnnl_primitive_desc_t pd = nn_dnnl_offers_end(&o);
    if (pd)
        (void)dnnl_primitive_desc_destroy(pd);
}

bool nn_has_winograd(void)
{
    return !pthread_once(&winograd_once, ask_for_winograd) && winograd;
}

#else

bool nn_has_winograd(void)
{
    return false;
}

bool nn_has_dnnl(void)
{
    return false;
}

/* All bf16 arithmetic here is oneDNN's. */
bool nn_has_bf16(void)
{
    return false;
}

bool nn_conv_has_block16(void)
{
    return false;
}

#endif
