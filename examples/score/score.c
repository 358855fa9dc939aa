/* SPDX-License-Identifier: Apache-2.0 */
/* Scores one row with a model file. With libtidemill installed:
 *   cc score.c $(pkg-config --cflags --libs tidemill) -o score && ./score model.json 0.5 1 nan 3.25 */
#include <stdio.h>
#include <stdlib.h>

#include <tidemill.h>

int main(int argc, char **argv)
{
    struct mill_scorer *scorer = NULL;
    struct mill_scorer_error err = {0, "usage: score MODEL VALUE... (at most 64)"};
    double row[64], *out;
    if (argc < 2 || argc > 66 || mill_scorer_load(argv[1], &scorer, &err) < 0) {
        return fprintf(stderr, "score: %s\n", err.message), 1;
    }
    for (int i = 2; i < argc; i++) {
        row[i - 2] = strtod(argv[i], NULL);
    }
    size_t width = mill_scorer_width(scorer, MILL_SCORER_PREDICTION);
    out = calloc(width, sizeof(*out));
    mill_scorer_score_f64(scorer, row, 1, (size_t)argc - 2, 64, MILL_SCORER_PREDICTION, out);
    for (size_t k = 0; k < width; k++) {
        printf("%.17g\n", out[k]);
    }
    free(out);
    mill_scorer_free(scorer);
    return 0;
}
