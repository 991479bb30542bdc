/* The standard streams, as a program must hold them to lose no result. */
#include "lib/base/std.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void std_guard(void)
{
    /* Each opened the wrong way round, so that reading or writing fails. What
     * is said on standard error may go nowhere. */
    static const int mode[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", mode[fd]); /* takes the lowest number */
}

enum err_code std_flush(struct err *e)
{
    errno = 0;
    if (fflush(stdout) != 0)
        return err_errno(e, ERR_IO, errno, "cannot write to standard output");
    if (ferror(stdout)) /* an earlier write: its reason is gone */
        return err_set(e, ERR_IO, "cannot write to standard output");
    return OK;
}

bool std_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}
