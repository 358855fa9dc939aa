/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores one row with a model file: all there is to it. A model may be scored by any number of threads at once. After
 * building the project:
 *   cc -I. examples/score/score.c build/release/libmill_inference.a build/release/libmill_base.a -lxxhash -lm -o score
 *   ./score model.json 0.5 1 nan 3.25
 */
#include <stdio.h>
#include <stdlib.h>

#include "inference/inference.h"

int main(int argc, char **argv)
{
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    double row[1024], prediction[1024];
    if (argc < 2 || argc > 1024 || mill_model_load(argv[1], &model, &err) < 0) {
        fprintf(stderr, "score: %s\n", argc < 2 ? "usage: score MODEL VALUE..." : err.msg);
        return 1;
    }
    if (mill_model_info(model)->output_count > 1024) {
        fprintf(stderr, "score: more than 1024 outputs\n");
        return 1;
    }
    for (int i = 2; i < argc; i++) {
        row[i - 2] = strtod(argv[i], NULL);
    }
    size_t n = (size_t)argc - 2;
    mill_model_score_f64(model, row, 1, n, n, MILL_MODEL_PREDICTION, prediction);
    for (unsigned k = 0; k < mill_model_info(model)->output_count; k++) {
        printf("%.17g\n", prediction[k]);
    }
    mill_model_free(model);
    return 0;
}
