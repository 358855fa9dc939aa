/* SPDX-License-Identifier: Apache-2.0 */
/* The profile builder: gathers values, then makes the profile of them. The order of rows does not show: values are
 * sorted, texts are ordered by their counts and bytes. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/number.h"
#include "drift/profile_internal.h"

enum { WINDOWS_MAX = 1 << 20 }; /* of calibration */

struct mill_profile_builder {
    struct mill_profile_spec spec; /* what it points to is borrowed */
    struct mill__samples *samples; /* per field */
    struct mill__texts segments;
    uint32_t *segment_ids; /* per row, UINT32_MAX where it has none; with segment_by only */
    int64_t *times;        /* per row, INT64_MIN where not known; calibrated profiles only */
    uint64_t row_count, capacity;
    int64_t newest_us, oldest_us;
    bool has_times;
};

bool mill__is_categorical(const struct mill_profile_spec *spec, uint32_t field)
{
    enum mill_type type = spec->fields[field].type;
    return type == MILL_STRING || (spec->is_categorical != NULL ? spec->is_categorical[field] : type == MILL_BOOL);
}

struct mill_binning mill__binning_of(const struct mill_profile_spec *spec)
{
    struct mill_binning binning = spec->binning;

    binning.count = binning.count == 0 ? 10 : binning.count;
    mill_assert(binning.count <= MILL_PROFILE_EDGES_MAX && binning.edge_count <= MILL_PROFILE_EDGES_MAX);
    return binning;
}

static uint32_t limit_of(uint32_t given, uint32_t by_default, uint32_t least, uint32_t most)
{
    uint32_t limit = given == 0 ? by_default : given;
    return limit < least ? least : limit > most ? most : limit;
}

struct mill_profile_builder *mill_profile_builder_new(const struct mill_profile_spec *spec)
{
    struct mill_profile_builder *builder = mill_calloc(1, sizeof(*builder));

    mill_assert(spec->calibration_window_us >= 0 && spec->segments_max <= MILL_PROFILE_SEGMENTS_MAX);
    builder->spec = *spec;
    builder->samples = mill_calloc(spec->field_count + (size_t)1, sizeof(*builder->samples));
    for (uint32_t f = 0; f < spec->field_count; f++) {
        if (mill__is_categorical(spec, f)) {
            mill__texts_init(&builder->samples[f].texts);
        }
    }
    mill__texts_init(&builder->segments);
    return builder;
}

void mill_profile_builder_free(struct mill_profile_builder *builder)
{
    if (builder == NULL) {
        return;
    }
    for (uint32_t f = 0; f < builder->spec.field_count; f++) {
        free(builder->samples[f].values);
        free(builder->samples[f].ids);
        if (mill__is_categorical(&builder->spec, f)) {
            mill__texts_clear(&builder->samples[f].texts);
        }
    }
    mill__texts_clear(&builder->segments);
    free(builder->samples);
    free(builder->segment_ids);
    free(builder->times);
    free(builder);
}

static void grow(struct mill_profile_builder *builder, uint64_t extra)
{
    bool is_calibrated = builder->spec.calibration_window_us > 0, has_segments = builder->spec.segment_by != NULL;

    if (builder->row_count + extra <= builder->capacity) {
        return;
    }
    builder->capacity = 2 * (builder->row_count + extra);
    for (uint32_t f = 0; f < builder->spec.field_count; f++) {
        struct mill__samples *samples = &builder->samples[f];
        if (!mill__is_categorical(&builder->spec, f)) {
            samples->values = mill_realloc(samples->values, builder->capacity * sizeof(double));
        } else if (is_calibrated || has_segments) {
            samples->ids = mill_realloc(samples->ids, builder->capacity * sizeof(uint32_t));
        }
    }
    if (has_segments) {
        builder->segment_ids = mill_realloc(builder->segment_ids, builder->capacity * sizeof(uint32_t));
    }
    if (is_calibrated) {
        builder->times = mill_realloc(builder->times, builder->capacity * sizeof(int64_t));
    }
}

static void add_value(struct mill_profile_builder *builder, uint32_t f, const struct mill_column *column, uint32_t row)
{
    struct mill__samples *samples = &builder->samples[f];
    bool is_there = mill__has_value(column, row);
    char room[MILL_NUMBER_TEXT_MAX];

    samples->null_count += !is_there;
    if (!mill__is_categorical(&builder->spec, f)) {
        samples->values[builder->row_count] = is_there ? mill__number_of(column, row) : (double)NAN;
        return;
    }
    uint32_t id = is_there ? mill__texts_add(&samples->texts, mill__level_text(column, row, room)) : UINT32_MAX;
    if (samples->ids != NULL) {
        samples->ids[builder->row_count] = id;
    }
}

static void add_segment(struct mill_profile_builder *builder, const struct mill_column *segment, uint32_t row)
{
    bool is_there = segment != NULL && mill__has_value(segment, row);
    char room[MILL_NUMBER_TEXT_MAX];

    builder->segment_ids[builder->row_count] =
        is_there ? mill__texts_add(&builder->segments, mill__level_text(segment, row, room)) : UINT32_MAX;
}

static void add_time(struct mill_profile_builder *builder, int64_t time_us)
{
    builder->oldest_us = !builder->has_times || time_us < builder->oldest_us ? time_us : builder->oldest_us;
    builder->newest_us = !builder->has_times || time_us > builder->newest_us ? time_us : builder->newest_us;
    builder->has_times = true;
}

void mill_profile_builder_add(struct mill_profile_builder *builder, const struct mill_column *const *columns,
                              const struct mill_column *segment, const int64_t *event_time_us, const uint64_t *live,
                              uint32_t from, uint32_t to)
{
    mill_assert(from <= to);
    grow(builder, to - from);
    for (uint32_t row = from; row < to; row++) {
        if (live != NULL && !mill_bit_get(live, row)) {
            continue;
        }
        for (uint32_t f = 0; f < builder->spec.field_count; f++) {
            add_value(builder, f, columns[f], row);
        }
        if (builder->segment_ids != NULL) {
            add_segment(builder, segment, row);
        }
        bool has_time = event_time_us != NULL && mill__is_time(event_time_us[row]);
        if (has_time) {
            add_time(builder, event_time_us[row]);
        }
        if (builder->times != NULL) {
            builder->times[builder->row_count] = has_time ? event_time_us[row] : INT64_MIN;
        }
        builder->row_count++;
    }
}

uint64_t mill_profile_builder_rows(const struct mill_profile_builder *builder)
{
    return builder->row_count;
}

/* Calibration windows follow one another from the oldest row on; the last one is left out unless it is whole. No groups
 * where nothing is calibrated. */
static void group_windows(const struct mill_profile_builder *builder, struct mill__groups *groups)
{
    int64_t width = builder->spec.calibration_window_us;
    int64_t span;

    if (builder->times == NULL || !builder->has_times ||
        __builtin_sub_overflow(builder->newest_us, builder->oldest_us, &span) || span / width >= WINDOWS_MAX) {
        return;
    }
    uint32_t *window = mill_malloc(builder->row_count * sizeof(*window));
    uint32_t count = (uint32_t)(((uint64_t)span + 1) / (uint64_t)width);
    for (uint64_t row = 0; row < builder->row_count; row++) {
        bool is_known = builder->times[row] != INT64_MIN;
        uint64_t number = is_known ? (uint64_t)((builder->times[row] - builder->oldest_us) / width) : UINT32_MAX;
        window[row] = number < count ? (uint32_t)number : UINT32_MAX;
    }
    mill__groups_init(groups, window, builder->row_count, count);
    free(window);
}

/* The most frequent segments, and all other rows together; no groups where there are no segments. */
static void group_segments(const struct mill_profile_builder *builder, struct mill_profile *profile,
                           struct mill__groups *groups)
{
    struct mill_slice *segments;

    if (builder->spec.segment_by == NULL) {
        return;
    }
    uint32_t *rank = mill_malloc((builder->segments.count + (size_t)1) * sizeof(*rank));
    uint32_t count = mill__texts_top(&builder->segments, builder->spec.segments_max, &profile->arena, &segments, rank);
    profile->segment_by = mill_arena_strdup(&profile->arena, builder->spec.segment_by);
    profile->segment_count = count;
    profile->segments = segments;
    if (count > 0) {
        uint32_t *segment = mill_malloc(builder->row_count * sizeof(*segment));
        for (uint64_t row = 0; row < builder->row_count; row++) {
            uint32_t id = builder->segment_ids[row];
            segment[row] = id == UINT32_MAX || rank[id] == UINT32_MAX ? count : rank[id];
        }
        mill__groups_init(groups, segment, builder->row_count, count + 1);
        free(segment);
        uint64_t *rows = mill_arena_array(&profile->arena, uint64_t, count + (size_t)1);
        for (uint32_t g = 0; g <= count; g++) {
            rows[g] = groups->begin[g + 1] - groups->begin[g];
        }
        profile->segment_rows = rows;
    }
    free(rank);
}

static void finish_numeric(const struct mill_profile_builder *builder, const struct mill__samples *samples,
                           struct mill_arena *arena, struct mill_profile_feature *feature)
{
    struct mill_binning binning = mill__binning_of(&builder->spec);
    uint64_t count = builder->row_count - samples->null_count, n = 0;
    double *sorted = mill_malloc((2 * count + 1) * sizeof(*sorted));

    for (uint64_t row = 0; row < builder->row_count; row++) {
        if (!isnan(samples->values[row])) {
            sorted[n++] = samples->values[row];
        }
    }
    mill_assert(n == count);
    mill__sort_doubles(sorted, sorted + count, count);
    uint32_t breaks_max = limit_of(builder->spec.breaks_max, MILL_PROFILE_BREAKS_DEFAULT, 2, MILL_PROFILE_BREAKS_MAX);
    mill__build_numeric(&binning, breaks_max, sorted, count, arena, feature);
    free(sorted);
}

static void finish_feature(const struct mill_profile_builder *builder, uint32_t f, const struct mill__groups *windows,
                           const struct mill__groups *segments, struct mill_arena *arena,
                           struct mill_profile_feature *feature)
{
    const struct mill__samples *samples = &builder->samples[f];
    uint32_t *rank = NULL;

    feature->name = mill_arena_strdup(arena, builder->spec.fields[f].name);
    feature->row_count = builder->row_count;
    feature->null_count = samples->null_count;
    if (mill__is_categorical(&builder->spec, f)) {
        feature->kind = MILL_DRIFT_CATEGORICAL;
        rank = mill_malloc((samples->texts.count + (size_t)1) * sizeof(*rank));
        uint32_t levels_max =
            limit_of(builder->spec.levels_max, MILL_PROFILE_LEVELS_DEFAULT, 1, MILL_PROFILE_LEVELS_MAX);
        mill__build_categorical(&samples->texts, levels_max, arena, rank, feature);
    } else {
        finish_numeric(builder, samples, arena, feature);
    }
    if (windows->begin != NULL || segments->begin != NULL) {
        uint32_t *slot = mill__slots_of_rows(samples, rank, builder->row_count, feature);
        if (windows->begin != NULL) {
            mill__calibrate(slot, windows, arena, feature);
        }
        if (segments->begin != NULL) {
            mill__build_segments(samples, slot, segments, arena, feature);
        }
        free(slot);
    }
    free(rank);
}

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

int mill_profile_builder_finish(struct mill_profile_builder *builder, struct mill_profile **ret_profile,
                                struct mill_error *err)
{
    const struct mill_profile_spec *spec = &builder->spec;
    struct mill_buffer bytes = {0};
    struct mill__groups windows = {0}, segments = {0};

    if (builder->row_count == 0) {
        return mill_fail(err, MILL_EDATA, "a reference without rows");
    }
    struct mill_profile *profile = mill_calloc(1, sizeof(*profile));
    mill_arena_init(&profile->arena, 0);
    profile->model = mill_arena_strdup(&profile->arena, text_or_empty(spec->model));
    profile->model_version = mill_arena_strdup(&profile->arena, text_or_empty(spec->model_version));
    profile->row_count = builder->row_count;
    profile->from_us = builder->has_times ? builder->oldest_us : INT64_MIN;
    profile->to_us = builder->has_times ? builder->newest_us + 1 : INT64_MIN;
    group_windows(builder, &windows);
    profile->calibration_window_us = windows.begin != NULL ? spec->calibration_window_us : 0;
    group_segments(builder, profile, &segments);
    profile->feature_count = spec->field_count;
    struct mill_profile_feature *features =
        mill_arena_zarray(&profile->arena, struct mill_profile_feature, spec->field_count);
    for (uint32_t f = 0; f < spec->field_count; f++) {
        finish_feature(builder, f, &windows, &segments, &profile->arena, &features[f]);
    }
    profile->features = features;
    mill_profile_write(profile, &bytes);
    mill_sha256_hex(bytes.p, bytes.n, profile->sha256);
    mill_buffer_clear(&bytes);
    mill__groups_clear(&windows);
    mill__groups_clear(&segments);
    *ret_profile = profile;
    return MILL_OK;
}
