/* SPDX-License-Identifier: Apache-2.0 */
/* Scoring: rows in tiles through the kernel, then links and the caller's number type. */
#include <string.h>

#include "inference/model_internal.h"

/* Where the parts of a tile stand in the thread's scratch. */
struct layout {
    size_t values, margins, kernel, total;
};

static size_t rounded(size_t n)
{
    return (n + 63) / 64 * 64;
}

static uint32_t row_width(const struct mill__forest *forest)
{
    return forest->margin_count > forest->output_count ? forest->margin_count : forest->output_count;
}

static struct layout layout_of(const struct mill_model *model, uint32_t tile)
{
    struct layout at = {0};
    at.margins = rounded(mill__values_size(&model->tables, &model->forest, tile));
    at.kernel = at.margins + rounded(((size_t)tile + 1) * row_width(&model->forest) * sizeof(double));
    at.total = at.kernel + model->tables.scratch;
    return at;
}

double *mill__behind(const struct mill_model *model, uint32_t rows, size_t count)
{
    size_t at = rounded(layout_of(model, rows).total);
    return (double *)(void *)((char *)mill__scratch(at + count * sizeof(double)) + at);
}

uint32_t mill__model_width(const struct mill_model *model, enum mill_model_output output)
{
    return output == MILL_MODEL_MARGIN ? model->forest.margin_count : model->forest.output_count;
}

/* One row's margins in double, to the caller: the link needs room for both shapes, so it works on a copy. */
static void deliver(const struct mill__forest *forest, const double *margins, enum mill_model_output output,
                    double *work, float *out32, double *out64)
{
    uint32_t n = forest->margin_count;
    const double *from = margins;
    if (output == MILL_MODEL_PREDICTION && mill__link_changes(forest)) {
        memcpy(work, margins, n * sizeof(*work));
        mill__link_apply(forest, work);
        from = work;
        n = forest->output_count;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (out32 != NULL) {
            out32[k] = (float)from[k];
        } else {
            out64[k] = from[k];
        }
    }
}

void mill__score_rows(const struct mill_model *model, const struct mill__rows *rows, size_t row_count,
                      enum mill_model_output output, float *out32, double *out64)
{
    const struct mill__forest *forest = &model->forest;
    uint32_t tile = row_count < MILL__TILE_ROWS ? (uint32_t)row_count : MILL__TILE_ROWS;
    struct layout at = layout_of(model, tile);
    char *scratch = mill__scratch(at.total);
    double *margins = (double *)(void *)(scratch + at.margins);
    double *work = margins + (size_t)tile * row_width(forest);
    uint32_t width = mill__model_width(model, output);
    for (size_t first = 0; first < row_count; first += tile) {
        uint32_t n = row_count - first < tile ? (uint32_t)(row_count - first) : tile;
        size_t stride = 0;
        const void *values = mill__load_values(&model->tables, forest, rows, first, n, scratch + at.values, &stride);
        const struct mill__kernel *kernel = mill__kernels[model->tables.choice[n]];
        kernel->run(&model->tables, forest, values, stride, n, margins, scratch + at.kernel);
        for (uint32_t r = 0; r < n; r++) {
            double *row = margins + (size_t)r * forest->margin_count;
            size_t to = (first + r) * width;
            mill__finish_margins(&model->tables, forest, row);
            deliver(forest, row, output, work, out32 == NULL ? NULL : out32 + to, out64 == NULL ? NULL : out64 + to);
        }
    }
}

void mill_model_score_f32(const struct mill_model *model, const float *rows, size_t row_count, size_t column_count,
                          size_t stride, enum mill_model_output output, float *out)
{
    mill_assert(stride >= column_count);
    struct mill__rows view = {.f32 = rows, .stride = stride, .column_count = column_count};
    mill__score_rows(model, &view, row_count, output, out, NULL);
}

void mill_model_score_f64(const struct mill_model *model, const double *rows, size_t row_count, size_t column_count,
                          size_t stride, enum mill_model_output output, double *out)
{
    mill_assert(stride >= column_count);
    struct mill__rows view = {.f64 = rows, .stride = stride, .column_count = column_count};
    mill__score_rows(model, &view, row_count, output, NULL, out);
}

static int64_t label_of(const struct mill__forest *forest, const double *margins)
{
    uint32_t best = 0;
    if (forest->two_labels) {
        return forest->labels[margins[forest->margin_count - 1] > forest->label_threshold];
    }
    if (forest->margin_count == 1) {
        best = margins[0] > 0;
    }
    for (uint32_t k = 1; k < forest->margin_count; k++) {
        best = margins[k] > margins[best] ? k : best;
    }
    return forest->labels == NULL ? best : forest->labels[best];
}

void mill_model_classify_f32(const struct mill_model *model, const float *rows, size_t row_count, size_t column_count,
                             size_t stride, int64_t *labels)
{
    const struct mill__forest *forest = &model->forest;
    for (size_t first = 0; first < row_count; first += MILL__TILE_ROWS) {
        uint32_t n = row_count - first < MILL__TILE_ROWS ? (uint32_t)(row_count - first) : MILL__TILE_ROWS;
        double *margins = mill__behind(model, n, (size_t)n * forest->margin_count);
        struct mill__rows view = {.f32 = rows + first * stride, .stride = stride, .column_count = column_count};
        mill__score_rows(model, &view, n, MILL_MODEL_MARGIN, NULL, margins);
        for (uint32_t r = 0; r < n; r++) {
            labels[first + r] = label_of(forest, margins + (size_t)r * forest->margin_count);
        }
    }
}

const char *mill_model_kernel(const struct mill_model *model, size_t row_count)
{
    size_t n = row_count < 1 ? 1 : row_count < MILL__TILE_ROWS ? row_count : MILL__TILE_ROWS;
    return mill__kernels[model->tables.choice[n]]->name;
}

uint32_t mill_model_kernel_times(const struct mill_model *model, struct mill_model_kernel_time *times, uint32_t max)
{
    const struct mill__tables *tables = &model->tables;
    uint32_t n = 0;
    for (unsigned k = 0; k < MILL__KERNELS; k++) {
        if (tables->row_ns[k] > 0 && n++ < max) {
            times[n - 1] = (struct mill_model_kernel_time){mill__kernels[k]->name, mill__kernels[k]->level,
                                                           (double)tables->single_ns[k], (double)tables->row_ns[k]};
        }
    }
    return n;
}
