/* Which kernels run: oneDNN, or OpenBLAS and our own loops. */
#include <stdlib.h>
#include <string.h>

#include "lib/nn/op.h"

enum nn_path nn_path_settle(enum nn_path p)
{
    if (p != NN_PATH_AUTO)
        return p;
    const char *wish = getenv("FACET_NN_PATH");
    if (!nn_has_dnnl() || (wish && !strcmp(wish, "blas")))
        return NN_PATH_BLAS;
    return NN_PATH_DNNL;
}
