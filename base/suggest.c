/* SPDX-License-Identifier: Apache-2.0 */
/* Nearest word; see suggest.h. For error messages only: nothing here needs to be fast. */
#include "base/suggest.h"

#include <stdint.h>

/* Longer words are never suggested for nor suggested. */
enum { WORD_MAX = 64 };

static char fold_case(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static uint8_t least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return (uint8_t)(m < c ? m : c);
}

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b, upper and lower case
 * being the same. rows[i] is row i modulo 3 of the usual table. */
static unsigned distance(struct mill_slice a, struct mill_slice b)
{
    uint8_t rows[3][WORD_MAX + 1];

    for (size_t j = 0; j <= b.n; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = fold_case(a.p[i - 1]), y = fold_case(b.p[j - 1]);
            row[j] = least(above[j] + 1U, row[j - 1] + 1U, above[j - 1] + (x != y));
            bool swapped = i > 1 && j > 1 && x == fold_case(b.p[j - 2]) && y == fold_case(a.p[i - 2]);
            if (swapped && above2[j - 2] + 1 < row[j]) {
                row[j] = (uint8_t)(above2[j - 2] + 1);
            }
        }
    }
    return rows[a.n % 3][b.n];
}

const char *mill_suggest(struct mill_slice word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = WORD_MAX + 1;

    if (word.n == 0 || word.n > WORD_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        struct mill_slice candidate = mill_slice_of(candidates[i]);
        if (candidate.n > WORD_MAX) {
            continue;
        }
        unsigned d = distance(word, candidate);
        size_t longer = word.n > candidate.n ? word.n : candidate.n;
        if (d < best_distance && 3 * d <= longer) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
