/* The standard streams, as a program must hold them to lose no result. */
#ifndef FACET_BASE_STD_H
#define FACET_BASE_STD_H

#include <stdbool.h>

#include "lib/base/err.h"

/* First thing in main(). A standard stream that the caller closed (`>&-`) is
 * put in place so that using it fails: else the next file that is opened, a
 * store's perhaps, would get its number, and what is printed. */
void std_guard(void);
/* Flush standard output. ERR_IO if anything that was ever printed there could
 * not be written. */
enum err_code std_flush(struct err *e) MUST_USE;
/* Is standard output a person's screen? */
bool std_is_terminal(void);

#endif
