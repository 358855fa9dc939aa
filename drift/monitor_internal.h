/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitor is made of: parts by pane, sums of a window, alert and trigger states, identities. */
#ifndef MILL_DRIFT_MONITOR_INTERNAL_H
#define MILL_DRIFT_MONITOR_INTERNAL_H

#include "drift/evaluate_internal.h"

/* ------------------------------------------------------------------ parts */

struct mill__part {
    enum mill_part_kind kind;
    uint32_t contributor, part; /* start_us, part: as it was numbered */
    int64_t start_us;
    bool is_summed; /* in the sums of the window */
    char *bytes;    /* owned */
    size_t n;
};

struct mill__pane {
    int64_t start_us;         /* the pane in which they are counted */
    struct mill__part *parts; /* ascending by kind, contributor, start, part */
    uint32_t count, capacity;
};

/* All live parts; memory is theirs and nothing else's. */
struct mill__parts {
    struct mill__pane *panes; /* ascending */
    uint32_t count, capacity;
    uint64_t part_count, part_bytes;
};

/* The part with the numbers of `wanted` in the pane, made (n 0, bytes NULL) where there is none. Valid until the next
 * call. */
struct mill__part *mill__parts_get(struct mill__parts *parts, int64_t pane_us, const struct mill__part *wanted);
void mill__parts_set_bytes(struct mill__parts *parts, struct mill__part *part, struct mill_slice bytes);
/* Index of the first pane with start >= start_us. */
uint32_t mill__parts_lower_bound(const struct mill__parts *parts, int64_t start_us);
/* Forgets the first count panes. */
void mill__parts_drop(struct mill__parts *parts, uint32_t count);
void mill__parts_clear(struct mill__parts *parts);

/* ------------------------------------------------------------------ identities */

/* Who speaks; borrowed. */
struct mill__identity {
    const char *project, *monitor, *model, *model_version;
};
struct mill__identity mill__identity_of(const struct mill_drift_monitor_spec *spec);
/* 32 hex digits of (identity, what, feature, segment, end). feature NULL: of the whole model. */
void mill__identity_id(const struct mill__identity *identity, const char *what, const struct mill_profile *profile,
                       const struct mill_drift_result *result, int64_t end_us, char id[33]);
/* 16 hex digits of (identity without the version, feature, segment). */
void mill__identity_fingerprint(const struct mill__identity *identity, const struct mill_profile *profile,
                                const struct mill_drift_result *result, char fingerprint[17]);

/* ------------------------------------------------------------------ alerts */

struct mill__alert_state {
    enum mill_severity severity; /* that fires */
    uint32_t above[2], below[2]; /* evaluations in a row at or above, and below, minor [0] and major [1] */
    int64_t since_us, said_us;   /* while it fires */
};

struct mill__alert_step {
    const struct mill__identity *identity;
    const struct mill_alert_options *options;
    const struct mill_drift_report *report;
    const struct mill_drift_monitor_sink *sink;
};
/* One evaluation of one feature in one segment (result) or of performance (NULL). */
void mill__alert_step(struct mill__alert_state *state, const struct mill__alert_step *step,
                      const struct mill_drift_result *result, enum mill_severity severity);

/* ------------------------------------------------------------------ triggers */

struct mill__trigger_state {
    uint32_t streak;          /* evaluations in a row that call for training */
    int64_t last_us;          /* the last trigger; INT64_MIN: none */
    int64_t schedule_from_us; /* the first evaluation; INT64_MIN: none */
};
void mill__trigger_step(struct mill__trigger_state *state, const struct mill_drift_monitor_spec *spec,
                        const struct mill_drift_report *report, struct mill_arena *arena,
                        const struct mill_drift_monitor_sink *sink);
void mill__trigger_manual(struct mill__trigger_state *state, const struct mill_drift_monitor_spec *spec, int64_t end_us,
                          const struct mill_drift_monitor_sink *sink);

/* ------------------------------------------------------------------ the monitor */

struct mill_drift_monitor {
    struct mill_drift_monitor_spec spec;
    struct mill__identity identity;
    const struct mill_profile *profile; /* NULL: not made yet */
    struct mill_profile *made_profile;  /* owned: the same, made of the stream */
    struct mill_profile_builder *builder;
    int64_t built_to_us; /* panes before it are in the builder */
    bool is_reference_empty;
    uint32_t contributor_count;
    int64_t *progress; /* per contributor; INT64_MIN: none */
    struct mill__parts parts;
    struct mill_drift_window *window, *trial; /* sums; trial: parts are tried on it when they come */
    struct mill_outcomes *scores, *outcomes, *trial_outcomes;
    int64_t next_end_us; /* INT64_MIN: not known */
    int64_t last_end_us; /* of the last evaluation; INT64_MIN: none */
    double auc_reference;
    struct mill__alert_state *alerts; /* one per result, and performance at the end */
    uint32_t alert_count;
    struct mill__trigger_state trigger;
    uint64_t evaluations, skipped_parts;
    struct mill_arena arena; /* of one evaluation */
};

/* The profile is there: sums and alert states are laid out. */
void mill__monitor_start(struct mill_drift_monitor *monitor, const struct mill_profile *profile);
/* Gathers complete panes before limit; true where there is a profile now. */
bool mill__monitor_gather(struct mill_drift_monitor *monitor, int64_t limit_us,
                          const struct mill_drift_monitor_sink *sink);
/* End of the pane in which a reference made of the stream ends; INT64_MIN where it is not of the stream. */
int64_t mill__monitor_reference_end(const struct mill_drift_monitor *monitor);
/* Sums: brings the parts of panes before end_us in; takes those before start_us out, forgets them and says so. */
void mill__monitor_sum_to(struct mill_drift_monitor *monitor, int64_t end_us);
void mill__monitor_expire(struct mill_drift_monitor *monitor, int64_t start_us,
                          const struct mill_drift_monitor_sink *sink);

#endif
