/* SPDX-License-Identifier: Apache-2.0 */
/* Model: a file's bytes to an immutable object. Recognises the format, imports, builds the tables. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "inference/import/import_internal.h"
#include "inference/model_internal.h"

enum { FILE_SIZE_MAX = 1 << 30 };

static const char *skip_blanks(struct mill_slice bytes)
{
    const char *p = bytes.p, *end = bytes.p + bytes.n;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

/* The first two bytes that are not blank, 0 beyond the end. */
static void first_two(struct mill_slice bytes, char two[2])
{
    const char *p = skip_blanks(bytes), *end = bytes.p + bytes.n;
    two[0] = p < end ? p[0] : (char)0;
    two[1] = p + 1 < end ? p[1] : (char)0;
}

static bool contains(struct mill_slice bytes, const char *word)
{
    return bytes.n > 0 && memmem(bytes.p, bytes.n, word, strlen(word)) != NULL;
}

static bool is_json(struct mill_slice bytes)
{
    char two[2];
    first_two(bytes, two);
    return two[0] == '{' &&
           (two[1] == '"' || two[1] == ' ' || two[1] == '\n' || two[1] == '\r' || two[1] == '\t' || two[1] == '}');
}

static bool is_catboost(struct mill_slice bytes)
{
    return is_json(bytes) && !contains(bytes, "\"learner\"") &&
           (contains(bytes, "\"oblivious_trees\"") || contains(bytes, "\"features_info\""));
}

static bool is_ubjson(struct mill_slice bytes)
{
    return bytes.n >= 2 && bytes.p[0] == '{' && !is_json(bytes);
}

static bool is_lightgbm(struct mill_slice bytes)
{
    const char *p = skip_blanks(bytes);
    size_t n = (size_t)(bytes.p + bytes.n - p);
    return n >= 5 && memcmp(p, "tree", 4) == 0 && (p[4] == '\n' || p[4] == '\r');
}

/* A protobuf ModelProto: field 1 (ir_version, varint) comes first in what every exporter writes. */
static bool is_onnx(struct mill_slice bytes)
{
    return bytes.n >= 2 && bytes.p[0] == 0x08 && (uint8_t)bytes.p[1] < 0x40;
}

/* In this order: the first that recognises the bytes. */
static const struct format {
    enum mill_model_format format;
    const char *name;
    bool (*recognises)(struct mill_slice bytes);
    int (*import)(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err);
} formats[] = {
    {MILL_MODEL_CATBOOST, "catboost json", is_catboost, mill__import_catboost},
    {MILL_MODEL_XGBOOST_JSON, "xgboost json", is_json, mill__import_xgboost_json},
    {MILL_MODEL_XGBOOST_UBJSON, "xgboost ubjson", is_ubjson, mill__import_xgboost_ubjson},
    {MILL_MODEL_LIGHTGBM, "lightgbm", is_lightgbm, mill__import_lightgbm},
    {MILL_MODEL_ONNX, "onnx", is_onnx, mill__import_onnx},
};

static const struct format *recognise(struct mill_slice bytes)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (formats[i].recognises(bytes)) {
            return &formats[i];
        }
    }
    return NULL;
}

static int fail_unknown(struct mill_slice bytes, struct mill_error *err)
{
    if (bytes.n == 0) {
        return mill_fail(err, MILL_EDATA, "the file is empty");
    }
    if (bytes.n >= 4 && memcmp(bytes.p, "binf", 4) == 0) {
        return mill_fail(err, MILL_EDATA,
                         "XGBoost's old binary format is not supported; hint: load it in XGBoost below 3.1 and save it "
                         "as .json or .ubj");
    }
    if (bytes.n >= 2 && bytes.p[0] == (char)0x80) {
        return mill_fail(err, MILL_EDATA,
                         "a Python pickle is not a model format; hint: use the trainer's save_model()");
    }
    return mill_fail(err, MILL_EDATA,
                     "not a model; expected XGBoost JSON or UBJSON, LightGBM text, CatBoost JSON or ONNX");
}

static uint64_t forest_bytes(const struct mill__forest *f)
{
    return (uint64_t)f->trees.n * sizeof(*f->trees.at) + (uint64_t)f->nodes.n * sizeof(*f->nodes.at) +
           (uint64_t)f->leaves.n * sizeof(*f->leaves.at) + (uint64_t)f->sets.n * sizeof(*f->sets.at) +
           (uint64_t)f->set_words.n * 4 + (uint64_t)f->set_numbers.n * 8 +
           (uint64_t)f->linear_leaves.n * sizeof(*f->linear_leaves.at) +
           (uint64_t)f->linear_terms.n * sizeof(*f->linear_terms.at) +
           ((uint64_t)f->node_covers.n + f->leaf_covers.n) * 4;
}

static void fill_info(struct mill_model *model, const struct format *format)
{
    const struct mill__forest *forest = &model->forest;
    struct mill_model_info *info = &model->info;
    info->format = format->format;
    info->format_name = format->name;
    info->trainer_version = forest->trainer_version == NULL ? "" : forest->trainer_version;
    info->objective = forest->objective == NULL ? "" : forest->objective;
    info->tree_count = forest->trees.n;
    info->node_count = forest->nodes.n;
    info->leaf_count = forest->leaves.n / forest->vector_size;
    info->depth_max = forest->depth_max;
    info->feature_count = forest->feature_count;
    info->feature_names = (const char *const *)forest->feature_names;
    info->output_count = forest->output_count;
    info->margin_count = forest->margin_count;
    info->doubles = forest->sums_f64;
    for (uint32_t i = 0; i < forest->nodes.n; i++) {
        uint32_t flags = forest->nodes.at[i].flags;
        info->set_count += (flags & MILL__SET) != 0;
        info->missing_left_count += (flags & MILL__NAN_LEFT) != 0;
        info->zero_missing_count += (flags & MILL__ZERO_MISSING) != 0;
    }
    info->memory_bytes = sizeof(*model) + forest_bytes(forest) + model->tables.bytes;
}

static int load(struct mill_slice bytes, struct mill_model *model, struct mill_error *err)
{
    const struct format *format = recognise(bytes);
    if (format == NULL) {
        return fail_unknown(bytes, err);
    }
    int rc = format->import(bytes, &model->forest, err);
    if (rc < 0) {
        mill_error_prefix(err, "%s", format->name);
        return rc;
    }
    mill_assert(model->forest.base != NULL && model->forest.margin_count > 0);
    /* Each output has a tree or a value in every leaf; tables and scratch hold a tile of all of them. */
    if (model->forest.margin_count > 256 && model->forest.margin_count > bytes.n / 64) {
        return mill_fail(err, MILL_EDATA, "%s: %u outputs a row in a file of %zu bytes", format->name,
                         model->forest.margin_count, bytes.n);
    }
    MILL_TRY(mill__tables_build(&model->tables, &model->forest, err));
    mill_sha256_hex(bytes.p, bytes.n, model->info.sha256);
    fill_info(model, format);
    return 0;
}

int mill_model_load_bytes(struct mill_slice bytes, const char *name, struct mill_model **ret_model,
                          struct mill_error *err)
{
    struct mill_model *model = mill_calloc(1, sizeof(*model));
    mill__forest_init(&model->forest);
    int rc = load(bytes, model, err);
    if (rc < 0) {
        mill_error_prefix(err, "model '%s'", name);
        mill_model_free(model);
        return rc;
    }
    *ret_model = model;
    return 0;
}

int mill_model_load(const char *path, struct mill_model **ret_model, struct mill_error *err)
{
    struct mill_buffer bytes = {0};
    int rc = mill_file_read(path, FILE_SIZE_MAX, &bytes, err);
    if (rc == 0) {
        rc = mill_model_load_bytes(mill_buffer_slice(&bytes), path, ret_model, err);
    }
    mill_buffer_clear(&bytes);
    return rc;
}

void mill_model_free(struct mill_model *model)
{
    if (model == NULL) {
        return;
    }
    mill__tables_clear(&model->tables);
    mill__forest_clear(&model->forest);
    free(model);
}

const struct mill_model_info *mill_model_info(const struct mill_model *model)
{
    return &model->info;
}
