/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads profile files (profile_write.c tells the format). Nothing in the bytes is trusted: a count is believed only as
 * far as bytes follow that it could be about, so memory stays below 16 times the size; what contradicts itself is
 * refused; and what is accepted writes back to the same bytes, because its SHA-256 is its identity.
 */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "drift/profile_format_internal.h"
#include "drift/profile_internal.h"

struct reader {
    struct mill_cursor cursor;
    struct mill_arena *arena;
};

uint32_t mill__profile_take_count(struct mill_cursor *cursor, size_t size_min, uint32_t count_max)
{
    uint64_t count = mill_cursor_varint(cursor);

    if (count > count_max || count * size_min > (size_t)(cursor->end - cursor->p)) {
        cursor->bad = true;
        return 0;
    }
    return (uint32_t)count;
}

static uint32_t take_count(struct reader *reader, size_t size_min, uint32_t count_max)
{
    return mill__profile_take_count(&reader->cursor, size_min, count_max);
}

static struct mill_slice take_text(struct reader *reader)
{
    uint64_t n = mill_cursor_varint(&reader->cursor);
    const char *p = n <= SIZE_MAX ? mill_cursor_take(&reader->cursor, (size_t)n) : NULL;
    return p == NULL ? (struct mill_slice){"", 0} : (struct mill_slice){p, (size_t)n};
}

static const char *take_cstr(struct reader *reader)
{
    struct mill_slice text = take_text(reader);

    reader->cursor.bad |= text.n > 0 && memchr(text.p, 0, text.n) != NULL;
    return mill_arena_strndup(reader->arena, text.p, text.n);
}

static const struct mill_slice *take_texts(struct reader *reader, uint32_t count)
{
    struct mill_slice *texts = mill_arena_array(reader->arena, struct mill_slice, count);

    for (uint32_t i = 0; i < count; i++) {
        texts[i] = mill_arena_slice(reader->arena, take_text(reader));
        reader->cursor.bad |= i > 0 && mill_slice_compare(texts[i - 1], texts[i]) >= 0;
    }
    return texts;
}

static const double *take_doubles(struct reader *reader, uint32_t count)
{
    double *values = mill_arena_array(reader->arena, double, count);
    const char *p = mill_cursor_take(&reader->cursor, count * sizeof(*values));

    if (p != NULL && count > 0) {
        memcpy(values, p, count * sizeof(*values));
    }
    return values;
}

/* The counts of the reference: they must add up to its rows with a value. */
static void take_slots(struct reader *reader, struct mill_profile_feature *feature)
{
    uint64_t left = feature->row_count - feature->null_count;

    if (feature->slot_count > (size_t)(reader->cursor.end - reader->cursor.p)) {
        reader->cursor.bad = true;
        return;
    }
    uint64_t *slots = mill_arena_array(reader->arena, uint64_t, feature->slot_count);
    for (uint32_t i = 0; i < feature->slot_count; i++) {
        slots[i] = mill_cursor_varint(&reader->cursor);
        reader->cursor.bad |= slots[i] > left;
        left -= slots[i];
    }
    reader->cursor.bad |= left != 0;
    feature->slots = slots;
}

static void take_breaks(struct reader *reader, struct mill_profile_feature *feature)
{
    /* A break-point takes a byte here and two among the counts. Slots are sorted as numbers below 2^22. */
    uint32_t count = take_count(reader, 3, MILL__BREAKS_MAX);
    double *breaks = mill_arena_array(reader->arena, double, count);
    int64_t key = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (i == 0) {
            key = mill_cursor_zigzag(&reader->cursor);
        } else if (__builtin_add_overflow(key, mill_cursor_varint(&reader->cursor), &key) || key == INT64_MAX) {
            reader->cursor.bad = true;
        } else {
            key++;
        }
        breaks[i] = mill__of_key(key);
        reader->cursor.bad |= isnan(breaks[i]) || (breaks[i] == 0.0 && signbit(breaks[i]));
    }
    feature->breaks = breaks;
    feature->break_count = count;
    feature->slot_count = 2 * count + 1;
}

static void take_bins(struct reader *reader, struct mill_profile_feature *feature)
{
    uint32_t count = take_count(reader, 1, 4 * MILL_PROFILE_EDGES_MAX);
    uint32_t *bins = mill_arena_array(reader->arena, uint32_t, count + (size_t)1);

    bins[0] = 0;
    for (uint32_t b = 1; b < count; b++) {
        uint64_t width = mill_cursor_varint(&reader->cursor);
        reader->cursor.bad |= width == 0 || width >= feature->slot_count - bins[b - 1];
        bins[b] = reader->cursor.bad ? 0 : bins[b - 1] + (uint32_t)width;
    }
    bins[count] = feature->slot_count;
    reader->cursor.bad |= count == 0;
    feature->bin_count = count;
    feature->bin_slot = bins;
}

static void take_density(struct reader *reader, struct mill_profile_feature *feature)
{
    uint32_t count = take_count(reader, 1, MILL_PROFILE_DENSITY_BINS), edges = count == 0 ? 0 : count + 1;
    double *at = mill_arena_array(reader->arena, double, edges);
    uint64_t i = 0;

    for (uint32_t e = 0; e < edges; e++) {
        uint64_t step = mill_cursor_varint(&reader->cursor);
        if (step >= feature->break_count - i || (e > 0 && step == 0)) {
            reader->cursor.bad = true;
            break;
        }
        i += step;
        at[e] = feature->breaks[i];
        reader->cursor.bad |= isinf(at[e]);
    }
    feature->density_count = count;
    feature->density_edges = at;
}

static bool is_scale(double x)
{
    int exponent;
    return isfinite(x) && frexp(x, &exponent) == 0.5 && abs(exponent - 1) <= MILL__SCALE_MAX;
}

/* The outer values are break-points, and nothing is counted beyond them: evaluations go by their slots. */
static bool are_extremes(const struct mill_profile_feature *feature)
{
    uint32_t first = 0, last = feature->slot_count - 1;

    if (feature->row_count == feature->null_count) {
        return isnan(feature->min) && isnan(feature->max);
    }
    while (feature->slots[first] == 0) {
        first++;
    }
    while (feature->slots[last] == 0) {
        last--;
    }
    return first % 2 == 1 && last % 2 == 1 && feature->breaks[first / 2] == feature->min &&
           feature->breaks[last / 2] == feature->max;
}

static void take_numeric(struct reader *reader, struct mill_profile_feature *feature)
{
    double fixed[MILL__PROFILE_FIXED] = {0};
    const char *p = mill_cursor_take(&reader->cursor, sizeof(fixed));

    if (p != NULL) {
        memcpy(fixed, p, sizeof(fixed));
    }
    feature->min = fixed[0];
    feature->max = fixed[1];
    feature->center = fixed[2];
    feature->scale = fixed[3];
    feature->mean = fixed[4];
    feature->stddev = fixed[5];
    reader->cursor.bad |= !isfinite(feature->center) || !is_scale(feature->scale);
    take_breaks(reader, feature);
    reader->cursor.bad |= feature->break_count == 0 && feature->row_count != feature->null_count;
    take_slots(reader, feature);
    reader->cursor.bad = reader->cursor.bad || !are_extremes(feature);
    if (!reader->cursor.bad) {
        take_bins(reader, feature);
        take_density(reader, feature);
    }
}

static void take_categorical(struct reader *reader, struct mill_profile_feature *feature)
{
    /* A level takes a byte for its length and one for its count. */
    uint32_t count = take_count(reader, 2, MILL_PROFILE_LEVELS_MAX);

    feature->levels = take_texts(reader, count);
    feature->level_count = count;
    feature->slot_count = count + 2;
    take_slots(reader, feature);
    feature->other_levels = mill_cursor_varint(&reader->cursor);
    uint32_t hashes = take_count(reader, 1, MILL_PROFILE_OTHERS_MAX);
    uint64_t *at = mill_arena_array(reader->arena, uint64_t, hashes), last = 0;
    for (uint32_t i = 0; i < hashes; i++) {
        uint64_t step = mill_cursor_varint(&reader->cursor);
        reader->cursor.bad |= (i > 0 && step == 0) || step > UINT64_MAX - last;
        at[i] = last += step;
    }
    feature->other_hash_count = hashes;
    feature->other_hashes = at;
    reader->cursor.bad |= hashes > feature->other_levels || (hashes == 0 && feature->other_levels > 0 &&
                                                             feature->other_levels <= MILL_PROFILE_OTHERS_MAX);
}

static void take_feature(struct reader *reader, uint64_t row_count, struct mill_profile_feature *feature)
{
    uint8_t kind = mill_cursor_byte(&reader->cursor);

    feature->kind = kind == MILL_DRIFT_NUMERIC ? MILL_DRIFT_NUMERIC : MILL_DRIFT_CATEGORICAL;
    feature->name = take_cstr(reader);
    feature->row_count = mill_cursor_u64(&reader->cursor);
    feature->null_count = mill_cursor_u64(&reader->cursor);
    reader->cursor.bad |=
        kind > MILL_DRIFT_CATEGORICAL || feature->row_count != row_count || feature->null_count > feature->row_count;
    if (reader->cursor.bad) {
        return;
    }
    (feature->kind == MILL_DRIFT_NUMERIC ? take_numeric : take_categorical)(reader, feature);
    feature->calibration_count = take_count(reader, 2 * sizeof(double), UINT32_MAX);
    feature->calibration_psi = take_doubles(reader, feature->calibration_count);
    feature->calibration_ks = take_doubles(reader, feature->calibration_count);
    if (!reader->cursor.bad) {
        mill__profile_derive(feature);
    }
}

/* Rows of each segment, and of all others: together those of the profile. */
static void take_segment_rows(struct reader *reader, struct mill_profile *profile)
{
    uint64_t left = profile->row_count;
    uint64_t *rows = mill_arena_array(reader->arena, uint64_t, profile->segment_count + (size_t)1);

    for (uint32_t g = 0; g <= profile->segment_count; g++) {
        rows[g] = mill_cursor_varint(&reader->cursor);
        reader->cursor.bad |= rows[g] > left;
        left -= rows[g];
    }
    reader->cursor.bad |= left != 0;
    profile->segment_rows = rows;
}

static void take_features(struct reader *reader, struct mill_profile *profile)
{
    /* Kind, name, rows, nulls and the shortest rest. */
    profile->feature_count = take_count(reader, 24, MILL__PROFILE_FEATURES_MAX);
    struct mill_profile_feature *features =
        mill_arena_zarray(reader->arena, struct mill_profile_feature, profile->feature_count);
    for (uint32_t f = 0; f < profile->feature_count && !reader->cursor.bad; f++) {
        take_feature(reader, profile->row_count, &features[f]);
        if (profile->segment_count > 0 && !reader->cursor.bad) {
            mill__profile_take_segments(&reader->cursor, reader->arena, profile->segment_rows,
                                        profile->segment_count + 1, &features[f]);
        }
    }
    profile->features = features;
}

/* Not known, or rows' times; to_us is exclusive. */
static bool is_span(int64_t from_us, int64_t to_us)
{
    return (from_us == INT64_MIN && to_us == INT64_MIN) ||
           (mill__is_time(from_us) && from_us < to_us && mill__is_time(to_us - 1));
}

static void take_profile(struct reader *reader, struct mill_profile *profile)
{
    profile->model = take_cstr(reader);
    profile->model_version = take_cstr(reader);
    profile->row_count = mill_cursor_varint(&reader->cursor);
    profile->from_us = (int64_t)mill_cursor_u64(&reader->cursor);
    profile->to_us = (int64_t)mill_cursor_u64(&reader->cursor);
    profile->calibration_window_us = (int64_t)mill_cursor_varint(&reader->cursor);
    reader->cursor.bad |= !is_span(profile->from_us, profile->to_us) || profile->calibration_window_us < 0;
    if (mill_cursor_byte(&reader->cursor) != 0) {
        profile->segment_by = take_cstr(reader);
        profile->segment_count = take_count(reader, 1, MILL_PROFILE_SEGMENTS_MAX);
        profile->segments = take_texts(reader, profile->segment_count);
        if (profile->segment_count > 0) {
            take_segment_rows(reader, profile);
        }
    }
    take_features(reader, profile);
    reader->cursor.bad |= reader->cursor.p != reader->cursor.end;
}

static int check_frame(struct mill_slice bytes, struct mill_error *err)
{
    enum { HEAD = MILL__PROFILE_MAGIC_SIZE + sizeof(uint32_t), TAIL = sizeof(uint64_t) };
    uint32_t version;
    uint64_t checksum;

    if (bytes.n < HEAD + TAIL || memcmp(bytes.p, MILL__PROFILE_MAGIC, MILL__PROFILE_MAGIC_SIZE) != 0) {
        return mill_fail(err, MILL_EDATA, "not a drift profile; hint: 'tidemill drift profile' makes one");
    }
    memcpy(&version, bytes.p + MILL__PROFILE_MAGIC_SIZE, sizeof(version));
    if (version != MILL__PROFILE_VERSION) {
        return mill_fail(
            err, MILL_EDATA,
            "a drift profile of version %u; expected version %d; hint: 'tidemill drift profile' makes a new one",
            version, MILL__PROFILE_VERSION);
    }
    memcpy(&checksum, bytes.p + bytes.n - TAIL, TAIL);
    if (checksum != mill_hash64(bytes.p, bytes.n - TAIL)) {
        return mill_fail(err, MILL_EDATA, "a damaged drift profile: its checksum does not match");
    }
    return MILL_OK;
}

/* One profile has one way to be written. */
static bool writes_back(const struct mill_profile *profile, struct mill_slice bytes)
{
    struct mill_buffer again = {0};

    mill_profile_write(profile, &again);
    bool is_same = mill_slice_equal(mill_buffer_slice(&again), bytes);
    mill_buffer_clear(&again);
    return is_same;
}

int mill_profile_read(struct mill_slice bytes, struct mill_profile **ret_profile, struct mill_error *err)
{
    MILL_TRY(check_frame(bytes, err));
    struct mill_profile *profile = mill_calloc(1, sizeof(*profile));
    size_t head = MILL__PROFILE_MAGIC_SIZE + sizeof(uint32_t);
    struct mill_slice body = {bytes.p + head, bytes.n - head - sizeof(uint64_t)};
    struct reader reader = {mill_cursor_of(body), &profile->arena};

    mill_arena_init(&profile->arena, 0);
    take_profile(&reader, profile);
    if (reader.cursor.bad || !writes_back(profile, bytes)) {
        mill_profile_free(profile);
        return mill_fail(err, MILL_EDATA, "a drift profile that contradicts itself");
    }
    mill_sha256_hex(bytes.p, bytes.n, profile->sha256);
    *ret_profile = profile;
    return MILL_OK;
}
