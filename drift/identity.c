/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids: a hash of what is said, never of when or where it was computed, so that whoever says it again says it under the
 * same id. Texts are written with their lengths, so that no two tuples have the same bytes.
 */
#include <stdio.h>

#include "base/hash.h"
#include "drift/monitor_internal.h"

static const uint64_t SECOND_SEED = UINT64_C(0x9e3779b97f4a7c15);

struct mill__identity mill__identity_of(const struct mill_drift_monitor_spec *spec)
{
    return (struct mill__identity){spec->project, spec->name, spec->model, spec->model_version};
}

static void add_text(struct mill_buffer *out, struct mill_slice text)
{
    mill_buffer_add_varint(out, text.n);
    mill_buffer_add_slice(out, text);
}

static void add_cstr(struct mill_buffer *out, const char *text)
{
    add_text(out, mill_slice_of(text));
}

static void add_subject(struct mill_buffer *out, const struct mill_profile *profile,
                        const struct mill_drift_result *result)
{
    if (result == NULL) {
        mill_buffer_add_byte(out, 'm');
        return;
    }
    add_cstr(out, result->feature->name);
    if (result->segment == UINT32_MAX) {
        mill_buffer_add_byte(out, 'a');
        return;
    }
    mill_buffer_add_byte(out, result->segment == profile->segment_count ? 'o' : 's');
    add_cstr(out, profile->segment_by);
    if (result->segment < profile->segment_count) {
        add_text(out, profile->segments[result->segment]);
    }
}

static void add_speaker(struct mill_buffer *out, const struct mill__identity *identity)
{
    add_cstr(out, identity->project);
    add_cstr(out, identity->monitor);
    add_cstr(out, identity->model);
    add_cstr(out, identity->model_version);
}

static void print_id(const struct mill_buffer *text, char id[33])
{
    snprintf(id, 33, "%016llx%016llx", (unsigned long long)mill_hash64(text->p, text->n),
             (unsigned long long)mill_hash64_seed(text->p, text->n, SECOND_SEED));
}

void mill__identity_id(const struct mill__identity *identity, const char *what, const struct mill_profile *profile,
                       const struct mill_drift_result *result, int64_t end_us, char id[33])
{
    struct mill_buffer text = {0};

    add_speaker(&text, identity);
    add_cstr(&text, what);
    mill_buffer_add_u64(&text, (uint64_t)end_us);
    add_subject(&text, profile, result);
    print_id(&text, id);
    mill_buffer_clear(&text);
}

void mill_join_match_id(const struct mill_join_match *match, const struct mill_drift_monitor_spec *spec, char id[33])
{
    const struct mill__identity identity = mill__identity_of(spec);
    struct mill_buffer text = {0};

    add_speaker(&text, &identity);
    add_cstr(&text, "label");
    mill_buffer_add_u64(&text, (uint64_t)match->score_us);
    add_text(&text, match->key);
    print_id(&text, id);
    mill_buffer_clear(&text);
}

void mill__identity_fingerprint(const struct mill__identity *identity, const struct mill_profile *profile,
                                const struct mill_drift_result *result, char fingerprint[17])
{
    struct mill_buffer text = {0};

    add_cstr(&text, identity->project);
    add_cstr(&text, identity->monitor);
    add_cstr(&text, identity->model);
    add_subject(&text, profile, result);
    snprintf(fingerprint, 17, "%016llx", (unsigned long long)mill_hash64(text.p, text.n));
    mill_buffer_clear(&text);
}
