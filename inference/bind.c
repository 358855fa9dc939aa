/* SPDX-License-Identifier: Apache-2.0 */
/* Binding a model to a feature service, and scoring the columns of a batch. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/model_internal.h"

/* "'a', 'b', 'c'" and how many more: names that one side has and the other has not. */
static uint32_t list_missing(struct mill_buffer *out, const char *const *names, uint32_t n, const char *const *others,
                             uint32_t other_count)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool found = false;
        for (uint32_t j = 0; j < other_count && !found; j++) {
            found = strcmp(names[i], others[j]) == 0;
        }
        if (!found && missing++ < 4) {
            mill_buffer_printf(out, "%s'%.40s'", missing > 1 ? ", " : "", names[i]);
        }
    }
    if (missing > 4) {
        mill_buffer_printf(out, " and %u more", missing - 4);
    }
    return missing;
}

static int fail_mismatch(const struct mill_model_info *info, const char *const *service_names, uint32_t service_count,
                         struct mill_error *err)
{
    struct mill_buffer wanted = {0}, offered = {0};
    uint32_t unmet = list_missing(&wanted, info->feature_names, info->feature_count, service_names, service_count);
    uint32_t unused = list_missing(&offered, service_names, service_count, info->feature_names, info->feature_count);
    int rc = 0;
    if (unmet == 0 && unused == 0) {
        rc = mill_fail(err, MILL_ECONFIG, "the feature service names a feature twice: %u for %u of the model",
                       service_count, info->feature_count);
    } else {
        rc = mill_fail(err, MILL_ECONFIG,
                       "the model's %u features are not the service's %u; only in the model: %s; only in the service: "
                       "%s",
                       info->feature_count, service_count, unmet == 0 ? "none" : mill_buffer_cstr(&wanted),
                       unused == 0 ? "none" : mill_buffer_cstr(&offered));
    }
    mill_buffer_clear(&wanted);
    mill_buffer_clear(&offered);
    return rc;
}

struct name_at {
    const char *name;
    uint32_t at;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name_at *)a)->name, ((const struct name_at *)b)->name);
}

static struct name_at *sort_names(const char *const *names, uint32_t n)
{
    struct name_at *sorted = mill_malloc(((size_t)n + 1) * sizeof(*sorted));
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = (struct name_at){names[i], i};
    }
    qsort(sorted, n, sizeof(*sorted), compare_names);
    return sorted;
}

/* Both sides sorted stand side by side where they are the same set of different names. position: per feature of the
 * model, which of the service's. */
static bool match_names(const struct mill_model_info *info, const char *const *service_names, uint32_t *position)
{
    uint32_t n = info->feature_count;
    struct name_at *model = sort_names(info->feature_names, n), *service = sort_names(service_names, n);
    bool same = true;
    for (uint32_t i = 0; i < n && same; i++) {
        same = strcmp(model[i].name, service[i].name) == 0 && (i == 0 || strcmp(model[i - 1].name, model[i].name) != 0);
        position[model[i].at] = service[i].at;
    }
    free(model);
    free(service);
    return same;
}

/* Features that the trees test against sets of categories. */
static bool *find_categories(const struct mill__forest *forest)
{
    bool *is_category = mill_calloc((size_t)forest->feature_count + 1, sizeof(*is_category));
    for (uint32_t i = 0; i < forest->nodes.n; i++) {
        const struct mill__node *node = &forest->nodes.at[i];
        if ((node->flags & MILL__SET) && forest->sets.at[node->test.set].kind != MILL__SET_EXACT) {
            is_category[node->feature] = true;
        }
    }
    return is_category;
}

static int check_types(const struct mill_model *model, const char *const *service_names,
                       const enum mill_type *service_types, const uint32_t *position, struct mill_error *err)
{
    struct mill_buffer wrong = {0};
    bool *is_category = find_categories(&model->forest);
    uint32_t count = 0;
    for (uint32_t f = 0; f < model->info.feature_count; f++) {
        enum mill_type type = service_types[position[f]];
        bool fits = type != MILL_STRING && (!is_category[f] || type == MILL_INT64 || type == MILL_BOOL);
        if (!fits && count++ < 4) {
            mill_buffer_printf(&wrong, "%s'%.40s' is %s in the model and %s in the service", count > 1 ? "; " : "",
                               service_names[position[f]], is_category[f] ? "a category (int64 or bool)" : "a number",
                               mill_type_name(type));
        }
    }
    free(is_category);
    if (count > 4) {
        mill_buffer_printf(&wrong, "; and %u more", count - 4);
    }
    int rc = count == 0 ? 0 : mill_fail(err, MILL_ECONFIG, "%s", mill_buffer_cstr(&wrong));
    mill_buffer_clear(&wrong);
    return rc;
}

int mill_model_bind(const struct mill_model *model, const char *const *service_names,
                    const enum mill_type *service_types, const uint32_t *service_columns, uint32_t service_count,
                    struct mill_arena *arena, struct mill_model_input *ret_input, struct mill_error *err)
{
    const struct mill_model_info *info = &model->info;
    if (info->feature_names == NULL && service_count != info->feature_count) {
        return mill_fail(err, MILL_ECONFIG, "the model takes %u features without names, the feature service has %u",
                         info->feature_count, service_count);
    }
    uint32_t *position = mill_arena_array(arena, uint32_t, service_count + 1);
    for (uint32_t i = 0; i < service_count; i++) {
        position[i] = i;
    }
    if (info->feature_names != NULL &&
        (service_count != info->feature_count || !match_names(info, service_names, position))) {
        return fail_mismatch(info, service_names, service_count, err);
    }
    if (service_types != NULL) {
        MILL_TRY(check_types(model, service_names, service_types, position, err));
    }
    for (uint32_t f = 0; f < service_count; f++) {
        position[f] = service_columns[position[f]];
    }
    *ret_input = (struct mill_model_input){position, service_count};
    return 0;
}

/* n values of a column from row `first` on, to every stride-th double. */
static void copy_column(const struct mill_column *column, uint32_t first, uint32_t n, double *out, size_t stride)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = first + i;
        double x = (double)NAN;
        if (mill_bit_get(column->valid, row)) {
            switch (column->type) {
            case MILL_FLOAT64:
                x = column->at.f[row];
                break;
            case MILL_INT64:
            case MILL_TIMESTAMP:
                x = (double)column->at.i[row];
                break;
            case MILL_BOOL:
                x = column->at.b[row];
                break;
            case MILL_STRING:
                mill_assert(column->type != MILL_STRING);
            }
        }
        out[i * stride] = x;
    }
}

void mill_model_score(const struct mill_model *model, const struct mill_model_input *input,
                      const struct mill_batch *batch, uint32_t from, uint32_t to, enum mill_model_output output,
                      double *out)
{
    mill_assert(from <= to && to <= batch->row_count && input->feature_count == model->info.feature_count);
    const struct mill__tables *tables = &model->tables;
    uint32_t n = tables->used_count, width = mill__model_width(model, output);
    /* Only what trees look at is copied; the scorer's own scratch lies behind this tile. */
    struct mill__rows rows = {.stride = n, .column_count = n, .only_used = true};
    for (uint32_t first = from; first < to; first += MILL__TILE_ROWS) {
        uint32_t count = to - first < MILL__TILE_ROWS ? to - first : MILL__TILE_ROWS;
        double *tile = mill__behind(model, count, (size_t)count * n);
        for (uint32_t u = 0; u < n; u++) {
            copy_column(&batch->columns[input->column[tables->used[u]]], first, count, tile + u, n);
        }
        rows.f64 = tile;
        mill__score_rows(model, &rows, count, output, NULL, out + (size_t)(first - from) * width);
    }
}
