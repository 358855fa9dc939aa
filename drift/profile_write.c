/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile file, version 2. Little-endian; "varint" is LEB128, a string is its length as varint and its bytes,
 * a double is its 8 bytes.
 *
 *   "MILLPROF" u32:2
 *   string model, model version; varint rows; u64 from, to; varint calibration window
 *   byte has segments [string segment_by; varint count; strings, ascending; where there are any, varints: rows of
 *   each, all others last]
 *   varint feature count, then per feature:
 *     byte kind; string name; u64 rows, nulls
 *     numeric:  doubles min max center scale mean stddev
 *               varint k; zigzag key of the first break-point; k-1 varints: key less the key before, less 1
 *               2k+1 varints: counts
 *               varint bins; bins-1 varints: first slot less the one before (the first is slot 0)
 *               varint density bins; of each edge its break-point's index, less the one before
 *     category: varint l; l strings, ascending; l+2 varints: counts; varint how many others
 *               varint n; n varints: hashes of others, less the one before
 *     varint windows of the calibration; that many doubles PSI, then KS
 *     where there are segments: varint how many counts; of each segment, all others last: varint nulls; numeric doubles
 *     mean stddev, category varint how many others; varint how many counts are not 0, and of those, ascending: varint
 *     slot less the one before, less 1; varint count
 *   u64 XXH3 of all that
 *
 * A key is the double's bits as a number that ascends with it (mill__key_of), so neighbours differ by little. There is
 * one way to write a profile: SHA-256 of the file is its identity.
 */
#include "base/hash.h"
#include "drift/profile_format_internal.h"
#include "drift/profile_internal.h"

static void add_text(struct mill_buffer *out, struct mill_slice text)
{
    mill_buffer_add_varint(out, text.n);
    mill_buffer_add_slice(out, text);
}

static void add_doubles(struct mill_buffer *out, const double *values, uint32_t count)
{
    mill_buffer_add(out, values, count * sizeof(*values));
}

static void add_counts(struct mill_buffer *out, const uint64_t *counts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mill_buffer_add_varint(out, counts[i]);
    }
}

static void add_breaks(struct mill_buffer *out, const struct mill_profile_feature *feature)
{
    mill_buffer_add_varint(out, feature->break_count);
    for (uint32_t i = 0; i < feature->break_count; i++) {
        int64_t key = mill__key_of(feature->breaks[i]);
        if (i == 0) {
            mill_buffer_add_zigzag(out, key);
        } else {
            mill_buffer_add_varint(out, (uint64_t)key - (uint64_t)mill__key_of(feature->breaks[i - 1]) - 1);
        }
    }
}

static void add_bins(struct mill_buffer *out, const struct mill_profile_feature *feature)
{
    uint32_t i = 0, last = 0;

    mill_buffer_add_varint(out, feature->bin_count);
    for (uint32_t b = 1; b < feature->bin_count; b++) {
        mill_buffer_add_varint(out, feature->bin_slot[b] - feature->bin_slot[b - 1]);
    }
    mill_buffer_add_varint(out, feature->density_count);
    for (uint32_t e = 0; feature->density_count > 0 && e <= feature->density_count; e++) {
        while (feature->breaks[i] != feature->density_edges[e]) {
            i++;
            mill_assert(i < feature->break_count);
        }
        mill_buffer_add_varint(out, i - last);
        last = i;
    }
}

static void add_numeric(struct mill_buffer *out, const struct mill_profile_feature *feature)
{
    const double fixed[MILL__PROFILE_FIXED] = {feature->min,   feature->max,  feature->center,
                                               feature->scale, feature->mean, feature->stddev};
    add_doubles(out, fixed, MILL__PROFILE_FIXED);
    add_breaks(out, feature);
    add_counts(out, feature->slots, feature->slot_count);
    add_bins(out, feature);
}

static void add_categorical(struct mill_buffer *out, const struct mill_profile_feature *feature)
{
    mill_buffer_add_varint(out, feature->level_count);
    for (uint32_t i = 0; i < feature->level_count; i++) {
        add_text(out, feature->levels[i]);
    }
    add_counts(out, feature->slots, feature->slot_count);
    mill_buffer_add_varint(out, feature->other_levels);
    mill_buffer_add_varint(out, feature->other_hash_count);
    for (uint32_t i = 0; i < feature->other_hash_count; i++) {
        mill_buffer_add_varint(out, feature->other_hashes[i] - (i == 0 ? 0 : feature->other_hashes[i - 1]));
    }
}

static void add_segment(struct mill_buffer *out, const struct mill_profile_feature *feature, uint32_t segment)
{
    const struct mill_profile_segments *segments = feature->segments;
    uint32_t next = 0;

    mill_buffer_add_varint(out, segments->null_count[segment]);
    if (feature->kind == MILL_DRIFT_NUMERIC) {
        add_doubles(out, &segments->mean[segment], 1);
        add_doubles(out, &segments->stddev[segment], 1);
    } else {
        mill_buffer_add_varint(out, segments->other_levels[segment]);
    }
    mill_buffer_add_varint(out, segments->begin[segment + 1] - segments->begin[segment]);
    for (uint32_t i = segments->begin[segment]; i < segments->begin[segment + 1]; i++) {
        mill_buffer_add_varint(out, segments->slot[i] - next);
        mill_buffer_add_varint(out, segments->count[i]);
        next = segments->slot[i] + 1;
    }
}

static void add_feature(struct mill_buffer *out, const struct mill_profile_feature *feature, uint32_t segment_count)
{
    mill_buffer_add_byte(out, (unsigned char)feature->kind);
    add_text(out, mill_slice_of(feature->name));
    mill_buffer_add_u64(out, feature->row_count);
    mill_buffer_add_u64(out, feature->null_count);
    (feature->kind == MILL_DRIFT_NUMERIC ? add_numeric : add_categorical)(out, feature);
    mill_buffer_add_varint(out, feature->calibration_count);
    if (feature->calibration_count > 0) {
        add_doubles(out, feature->calibration_psi, feature->calibration_count);
        add_doubles(out, feature->calibration_ks, feature->calibration_count);
    }
    if (segment_count > 0) {
        mill_buffer_add_varint(out, feature->segments->begin[segment_count + 1]);
        for (uint32_t g = 0; g <= segment_count; g++) {
            add_segment(out, feature, g);
        }
    }
}

void mill_profile_write(const struct mill_profile *profile, struct mill_buffer *out)
{
    size_t begin = out->n;

    mill_buffer_add(out, MILL__PROFILE_MAGIC, MILL__PROFILE_MAGIC_SIZE);
    mill_buffer_add_u32(out, MILL__PROFILE_VERSION);
    add_text(out, mill_slice_of(profile->model));
    add_text(out, mill_slice_of(profile->model_version));
    mill_buffer_add_varint(out, profile->row_count);
    mill_buffer_add_u64(out, (uint64_t)profile->from_us);
    mill_buffer_add_u64(out, (uint64_t)profile->to_us);
    mill_buffer_add_varint(out, (uint64_t)profile->calibration_window_us);
    mill_buffer_add_byte(out, profile->segment_by != NULL);
    if (profile->segment_by != NULL) {
        add_text(out, mill_slice_of(profile->segment_by));
        mill_buffer_add_varint(out, profile->segment_count);
        for (uint32_t i = 0; i < profile->segment_count; i++) {
            add_text(out, profile->segments[i]);
        }
        if (profile->segment_count > 0) {
            add_counts(out, profile->segment_rows, profile->segment_count + 1);
        }
    }
    mill_buffer_add_varint(out, profile->feature_count);
    for (uint32_t f = 0; f < profile->feature_count; f++) {
        add_feature(out, &profile->features[f], profile->segment_count);
    }
    mill_buffer_add_u64(out, mill_hash64(out->p + begin, out->n - begin));
}
