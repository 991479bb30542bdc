/* Curves of a run, drawn by gnuplot. */
#ifndef FACET_TRAIN_CURVES_H
#define FACET_TRAIN_CURVES_H

#include "lib/base/err.h"

/* From <folder>/steps.csv and epochs.csv to <folder>/curves.png (the script
 * stays beside it as curves.gp): loss and learning rate above, the metric
 * below. ERR_UNSUPPORTED: there is no gnuplot; ERR_IO with its last line if it
 * fails or takes more than 20 s. */
enum err_code train_curves(const char *folder, const char *title,
                           const char *metric, const char *unit,
                           struct err *e) MUST_USE;

#endif
