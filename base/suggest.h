/* SPDX-License-Identifier: Apache-2.0 */
/* "did you mean": the nearest known word by edit distance (Damerau-Levenshtein, optimal string alignment). */
#ifndef MILL_BASE_SUGGEST_H
#define MILL_BASE_SUGGEST_H

#include <stddef.h>

#include "base/slice.h"

/* The candidate nearest to word, or NULL where none is near enough to be meant (more than a third of
 * the letters differ). Ties go to the first. */
const char *mill_suggest(struct mill_slice word, const char *const *candidates, size_t count);

#endif
