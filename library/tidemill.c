/* SPDX-License-Identifier: Apache-2.0 */
/* libtidemill: inference/ behind a header that needs none of ours. A scorer is a model under another name, a slot of
 * scorers a slot of models. */
#include "library/tidemill.h"

#include <string.h>

#include "inference/inference.h"

_Static_assert(MILL_SCORER_EDATA == (int)MILL_EDATA && MILL_SCORER_ENOINPUT == (int)MILL_ENOINPUT &&
                   MILL_SCORER_ERESOURCE == (int)MILL_ERESOURCE && MILL_SCORER_EIO == (int)MILL_EIO &&
                   MILL_SCORER_ECONFIG == (int)MILL_ECONFIG,
               "codes are those of base/error.h");

static const struct mill_model *model_of(const struct mill_scorer *scorer)
{
    mill_assert(scorer != NULL);
    return (const struct mill_model *)(const void *)scorer;
}

static enum mill_model_output output_of(enum mill_scorer_output output)
{
    mill_assert(output == MILL_SCORER_MARGIN || output == MILL_SCORER_PREDICTION);
    return output == MILL_SCORER_MARGIN ? MILL_MODEL_MARGIN : MILL_MODEL_PREDICTION;
}

static int deliver(int rc, struct mill_model *model, const struct mill_error *err, struct mill_scorer **ret_scorer,
                   struct mill_scorer_error *ret_err)
{
    if (rc == 0) {
        *ret_scorer = (struct mill_scorer *)(void *)model;
    } else if (ret_err != NULL) {
        _Static_assert(sizeof(ret_err->message) >= sizeof(err->msg), "a message fits");
        ret_err->code = rc;
        memcpy(ret_err->message, err->msg, sizeof(err->msg));
    }
    return rc;
}

int mill_scorer_load(const char *path, struct mill_scorer **ret_scorer, struct mill_scorer_error *err)
{
    struct mill_model *model = NULL;
    struct mill_error own = {0};
    mill_assert(path != NULL && ret_scorer != NULL);
    int rc = mill_model_load(path, &model, &own);
    return deliver(rc, model, &own, ret_scorer, err);
}

int mill_scorer_load_bytes(const void *bytes, size_t size, const char *name, struct mill_scorer **ret_scorer,
                           struct mill_scorer_error *err)
{
    struct mill_model *model = NULL;
    struct mill_error own = {0};
    mill_assert((bytes != NULL || size == 0) && ret_scorer != NULL);
    int rc = mill_model_load_bytes((struct mill_slice){bytes, size}, name == NULL ? "" : name, &model, &own);
    return deliver(rc, model, &own, ret_scorer, err);
}

void mill_scorer_free(struct mill_scorer *scorer)
{
    mill_model_free((struct mill_model *)(void *)scorer);
}

size_t mill_scorer_feature_count(const struct mill_scorer *scorer)
{
    return mill_model_info(model_of(scorer))->feature_count;
}

const char *mill_scorer_feature_name(const struct mill_scorer *scorer, size_t feature)
{
    const struct mill_model_info *info = mill_model_info(model_of(scorer));
    mill_assert(feature < info->feature_count);
    return info->feature_names == NULL ? NULL : info->feature_names[feature];
}

size_t mill_scorer_width(const struct mill_scorer *scorer, enum mill_scorer_output output)
{
    const struct mill_model_info *info = mill_model_info(model_of(scorer));
    return output_of(output) == MILL_MODEL_MARGIN ? info->margin_count : info->output_count;
}

size_t mill_scorer_tree_count(const struct mill_scorer *scorer)
{
    return mill_model_info(model_of(scorer))->tree_count;
}

const char *mill_scorer_format(const struct mill_scorer *scorer)
{
    return mill_model_info(model_of(scorer))->format_name;
}

const char *mill_scorer_objective(const struct mill_scorer *scorer)
{
    return mill_model_info(model_of(scorer))->objective;
}

const char *mill_scorer_sha256(const struct mill_scorer *scorer)
{
    return mill_model_info(model_of(scorer))->sha256;
}

const char *mill_scorer_kernel(const struct mill_scorer *scorer, size_t row_count)
{
    return mill_model_kernel(model_of(scorer), row_count);
}

void mill_scorer_score_f32(const struct mill_scorer *scorer, const float *rows, size_t row_count, size_t column_count,
                           size_t stride, enum mill_scorer_output output, float *out)
{
    mill_model_score_f32(model_of(scorer), rows, row_count, column_count, stride, output_of(output), out);
}

void mill_scorer_score_f64(const struct mill_scorer *scorer, const double *rows, size_t row_count, size_t column_count,
                           size_t stride, enum mill_scorer_output output, double *out)
{
    mill_model_score_f64(model_of(scorer), rows, row_count, column_count, stride, output_of(output), out);
}

void mill_scorer_classify_f32(const struct mill_scorer *scorer, const float *rows, size_t row_count,
                              size_t column_count, size_t stride, int64_t *labels)
{
    mill_model_classify_f32(model_of(scorer), rows, row_count, column_count, stride, labels);
}

static struct mill_model_slot *slot_of(struct mill_scorer_slot *slot)
{
    mill_assert(slot != NULL);
    return (struct mill_model_slot *)(void *)slot;
}

static struct mill_model_reader *reader_of(struct mill_scorer_reader *reader)
{
    mill_assert(reader != NULL);
    return (struct mill_model_reader *)(void *)reader;
}

struct mill_scorer_slot *mill_scorer_slot_new(struct mill_scorer *first)
{
    return (struct mill_scorer_slot *)(void *)mill_model_slot_new((struct mill_model *)(void *)first);
}

struct mill_scorer *mill_scorer_slot_free(struct mill_scorer_slot *slot)
{
    return (struct mill_scorer *)(void *)mill_model_slot_free(slot_of(slot));
}

struct mill_scorer *mill_scorer_slot_swap(struct mill_scorer_slot *slot, struct mill_scorer *next)
{
    return (struct mill_scorer *)(void *)mill_model_slot_swap(slot_of(slot), (struct mill_model *)(void *)next);
}

struct mill_scorer_reader *mill_scorer_slot_join(struct mill_scorer_slot *slot)
{
    return (struct mill_scorer_reader *)(void *)mill_model_slot_join(slot_of(slot));
}

void mill_scorer_slot_leave(struct mill_scorer_reader *reader)
{
    mill_model_slot_leave(reader_of(reader));
}

const struct mill_scorer *mill_scorer_begin(struct mill_scorer_reader *reader)
{
    return (const struct mill_scorer *)(const void *)mill_model_begin(reader_of(reader));
}

void mill_scorer_end(struct mill_scorer_reader *reader)
{
    mill_model_end(reader_of(reader));
}
