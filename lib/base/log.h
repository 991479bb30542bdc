/* Lines for a person, on stderr. */
#ifndef FACET_BASE_LOG_H
#define FACET_BASE_LOG_H

#include "lib/base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* The prefix ("frames.0") and the lowest level printed (default INFO, or
 * what FACET_LOG=debug|info|warn|error says). prefix is copied. */
void log_setup(const char *prefix, enum log_level lowest);
enum log_level log_level_from_env(void);
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
