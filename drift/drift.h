/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drift: reference profiles, exact counts against them, statistics, rules, alerts and retraining triggers.
 *
 *   reference rows --builder--> profile: break-points, counts, levels (frozen, versioned with the model)
 *   live rows --counter--> panes (counts per slot, by event time) --monitor--> windows --evaluate--> report
 *                                                              --rule, state machine--> alerts, triggers
 *
 * Everything is counted against break-points frozen in the profile: how many values lie in each gap between two of
 * them, and how many equal each. Those counts add and subtract, so windows slide, shards merge and late events go to
 * their pane, and every statistic of a window is that of its rows (shared facts: two-sample KS is a function of these
 * counts only, ties included). Nothing here knows Kafka, clocks or threads; times are event times in microseconds.
 */
#ifndef MILL_DRIFT_H
#define MILL_DRIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/batch.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

/* ------------------------------------------------------------------------------------------------
 * Statistics. Pure functions; any thread.
 * --------------------------------------------------------------------------------------------- */

enum mill_ks_method { MILL_KS_AUTO, MILL_KS_EXACT, MILL_KS_ASYMPTOTIC };

/* Two-sided two-sample Kolmogorov-Smirnov, as scipy.stats.ks_2samp (1.17) gives it. */
struct mill_ks {
    uint64_t reference_count, current_count;
    uint64_t numerator; /* max |c1 n2 - c2 n1|, UINT64_MAX where that is less */
    /* numerator / (n1 n2) rounded once, or where n1 or n2 > 10000, as in scipy, the difference of two rounded shares.
     * NaN where a side is empty. */
    double statistic;
    double location; /* the value at which the difference is largest */
    int sign;        /* +1: the reference's distribution function is above the current one's there */
};
/* From sorted samples without NaN. */
void mill_ks_2samp(const double *reference, uint64_t reference_count, const double *current, uint64_t current_count,
                   struct mill_ks *ret_ks);
/* p of the statistic, scipy's choice of method (auto: exact while max(n1, n2) <= 10000; exact: asymptotic after all
 * where lcm(n1, n2) >= 2^31 or n1 + n2 >= 2^31), to 1e-12 absolute. Asymptotic: at most 12 ms, where p is not near 1
 * below 0.1 ms. Exact with unequal sizes takes time D n1 n2: 10,000 against 9,999 is 0.4 ms at D = 0.015 and at most 12
 * ms (four times that without AVX2). NaN where a side is empty. */
double mill_ks_pvalue(const struct mill_ks *ks, enum mill_ks_method method);
/* The largest statistic whose asymptotic p is still >= alpha (for rules that want no p unless it matters), less at most
 * 1e-12 of it. Below 0.5 ms where alpha < 0.5. */
double mill_ks_critical(uint64_t reference_count, uint64_t current_count, double alpha);
/* P(D_n >= x) of the two-sided one-sample statistic: scipy.stats.kstwo.sf. */
double mill_kstwo_sf(double x, uint64_t n);

/* 2 x k contingency of two count vectors (scipy.stats.chi2_contingency without correction, lambda_ "pearson" or
 * "log-likelihood"); columns in which both are 0 are left out. dof 0 (fewer than two columns or an empty side):
 * statistic 0 and p 1. */
struct mill_chi2 {
    double statistic, pvalue;
    uint32_t dof;
};
void mill_chi2_test(const uint64_t *reference, const uint64_t *current, uint32_t count, bool log_likelihood,
                    struct mill_chi2 *ret_chi2);
double mill_chi2_sf(double x, double dof);

/* How shares of empty bins are kept off 0: shares (count + amount) / (n + amount * bins); raised to at least amount;
 * or as they are (a bin empty on one side then makes PSI infinite). */
enum mill_smoothing_kind { MILL_SMOOTHING_ADD, MILL_SMOOTHING_FLOOR, MILL_SMOOTHING_NONE };
struct mill_smoothing {
    enum mill_smoothing_kind kind;
    double amount; /* add: 0.5 by default; floor: 1e-4 */
};
/* Of two count vectors over the same bins. An empty side gives NaN. contributions (bin_count, or NULL): of each bin. */
double mill_psi(const uint64_t *reference, const uint64_t *current, uint32_t bin_count, struct mill_smoothing smoothing,
                double *contributions);
/* PSI of the article: equal-width densities, empty bins 1e-8; edges: bin_count + 1 of them. Rows outside the edges take
 * no part. NaN where a side is empty. */
double mill_psi_density(const uint64_t *reference, const uint64_t *current, const double *edges, uint32_t bin_count);
/* The 99 % point of PSI where nothing has drifted: (1/n + 1/m) * chi-square quantile of bin_count - 1. */
double mill_psi_noise(uint64_t reference_count, uint64_t current_count, uint32_t bin_count);
double mill_jensen_shannon(const uint64_t *reference, const uint64_t *current,
                           uint32_t bin_count); /* distance, base 2 */
double mill_hellinger(const uint64_t *reference, const uint64_t *current, uint32_t bin_count);
double mill_total_variation(const uint64_t *reference, const uint64_t *current, uint32_t bin_count);
/* scipy.stats.wasserstein_distance of sorted samples. Infinite where infinities are on one side only. */
double mill_wasserstein(const double *reference, uint64_t reference_count, const double *current,
                        uint64_t current_count);
/* Benjamini-Hochberg: q[i] from p[i], in place allowed; NaN stays NaN and does not count. */
void mill_benjamini_hochberg(const double *p, double *q, uint32_t count);

/* ------------------------------------------------------------------------------------------------
 * Profiles: what a model's inputs and scores looked like when all was well
 * --------------------------------------------------------------------------------------------- */

enum mill_drift_kind { MILL_DRIFT_NUMERIC, MILL_DRIFT_CATEGORICAL };

/* PSI bins: of the reference's quantiles (numpy's inverted_cdf, duplicates removed), of equal width between its finite
 * extremes, or given inner edges (in any order; NaN is left out). A bin is (edge before, edge]; the outer ones are
 * open. A value that by itself has at least 1/count of the reference (an atom) has a bin of its own unless atoms is
 * false: a constant gives {< v}, {= v}, {> v}. What lies between a bin and an atom and has nothing of the reference
 * joins the atom (integers: (1, 2] rather than an empty (1, 2) and {2}). */
enum mill_binning_kind { MILL_BINS_QUANTILE, MILL_BINS_UNIFORM, MILL_BINS_EDGES };
struct mill_binning {
    enum mill_binning_kind kind;
    uint32_t count; /* default 10 */
    const double *edges;
    uint32_t edge_count;
    bool atoms;
};

/* "quantile:10", "uniform:20", "edges:0,10,100", each maybe with "+atoms" behind; edges live in the arena. And
 * "add:0.5", "floor:1e-4", "none". MILL_ECONFIG with what was expected. */
int mill_binning_parse(struct mill_slice text, struct mill_arena *arena, struct mill_binning *ret_binning,
                       struct mill_error *err) MILL_MUST_CHECK;
int mill_smoothing_parse(struct mill_slice text, struct mill_smoothing *ret_smoothing,
                         struct mill_error *err) MILL_MUST_CHECK;

enum {
    MILL_PROFILE_BREAKS_DEFAULT = 2000, /* edges of PSI and density bins come on top */
    MILL_PROFILE_BREAKS_MAX = 1 << 20,
    MILL_PROFILE_LEVELS_DEFAULT = 1000,
    MILL_PROFILE_LEVELS_MAX = 1 << 16,
    MILL_PROFILE_OTHERS_MAX = 1 << 16,
    MILL_PROFILE_SEGMENTS_MAX = 1000,
    MILL_PROFILE_EDGES_MAX = 1000, /* PSI bins */
    MILL_PROFILE_DENSITY_BINS = 10,
};

/*
 * A feature's counts are a vector of slots. Numeric, k break-points b[0] < ... < b[k-1], the first and last of which
 * are the infinities (k is 0 where the reference has no value): slot 2i counts values between b[i-1] and b[i], slot
 * 2i+1 values equal to b[i]; 2k+1 slots. -0.0 counts as 0.0, infinities are values, NaN is missing. Categorical, l
 * levels in ascending byte order: slot i counts level i, slot l the rarer levels of the reference together ("other"),
 * slot l+1 values that the reference does not have ("unseen"); l+2 slots.
 */
/*
 * The same counts by segment, and all others last; sparse: of segment g slot[i] has count[i], which is not 0, for
 * begin[g] <= i < begin[g + 1], ascending. How many rows a segment has is said once, in the profile.
 */
struct mill_profile_segments {
    const uint64_t *null_count;   /* per segment */
    const double *mean, *stddev;  /* per segment, numeric: of its finite values; NaN where there is none */
    const uint64_t *other_levels; /* per segment, categorical: how many different levels its "other" are */
    const uint32_t *begin;        /* one more than segments */
    const uint32_t *slot;
    const uint64_t *count;
};

struct mill_profile_feature {
    const char *name;
    enum mill_drift_kind kind;
    uint64_t row_count, null_count; /* rows of the reference; those without a value */
    uint32_t slot_count;
    const uint64_t *slots;
    /* numeric */
    uint32_t break_count;
    const double *breaks;
    bool is_exact; /* no value of the reference lies inside a gap: KS is exact, else low by at most gap_share_max */
    double gap_share_max;
    double min, max;      /* of the values; NaN where there is none */
    double center, scale; /* moments are counted of (x - center) / scale, in fixed point (struct mill_drift_moments);
                             scale is a power of two */
    double mean, stddev;  /* population, of the finite values; NaN where there is none */
    uint32_t bin_count;   /* PSI bins, at least 1 */
    const uint32_t *bin_slot; /* bin b is slots bin_slot[b] <= s < bin_slot[b + 1]; bin_count + 1 of them */
    uint32_t density_count; /* the article's 10 equal-width bins: density_count + 1 edges, all break-points; 0: none */
    const double *density_edges;
    /* categorical */
    uint32_t level_count;
    const struct mill_slice *levels;
    uint64_t other_levels; /* how many different levels are in "other" */
    /* mill_hash64 of those, ascending, as long as there are at most MILL_PROFILE_OTHERS_MAX; of more, none are kept,
     * and what is not a level counts as "other": "unseen" cannot be told from it then, and stays 0. */
    uint32_t other_hash_count;
    const uint64_t *other_hashes;
    /* What windows of the reference itself gave against the whole of it, ascending: thresholds are calibrated on it. */
    uint32_t calibration_count;
    const double *calibration_psi, *calibration_ks;
    const struct mill_profile_segments *segments; /* NULL where the profile has none */
};

struct mill_profile {
    char sha256[65];                   /* of the bytes of the file: its identity */
    const char *model, *model_version; /* "" where it belongs to none */
    uint64_t row_count;
    int64_t from_us, to_us;        /* event times of the rows, to_us exclusive; INT64_MIN where not known */
    int64_t calibration_window_us; /* 0: not calibrated */
    uint32_t feature_count;
    const struct mill_profile_feature *features;
    const char *segment_by; /* column whose most frequent values are segments, or NULL */
    uint32_t segment_count;
    const struct mill_slice *segments; /* ascending */
    const uint64_t *segment_rows;      /* of each, all others last; NULL where segment_count is 0 */
    struct mill_arena arena;           /* owns everything above */
};

/* Immutable once built or read; any thread. MILL_EDATA: not a profile, damaged (checksum), of another version, or
 * counts that contradict one another; never more memory than 16 times the bytes. */
int mill_profile_read(struct mill_slice bytes, struct mill_profile **ret_profile,
                      struct mill_error *err) MILL_MUST_CHECK;
void mill_profile_write(const struct mill_profile *profile, struct mill_buffer *out);
int mill_profile_load(const char *path, struct mill_profile **ret_profile, struct mill_error *err) MILL_MUST_CHECK;
void mill_profile_free(struct mill_profile *profile);
/* Index of the feature, or -1. */
int mill_profile_find(const struct mill_profile *profile, const char *name);

/* What a profile is built of: names and types of columns; strings and bools are categorical, numbers numeric unless
 * listed as categorical (their shortest decimal text is the level). Numbers of 0: the default, except segments_max. */
struct mill_profile_spec {
    const char *model, *model_version;
    const struct mill_field *fields; /* monitored columns, "score" among them where the reference has scores */
    uint32_t field_count;
    const bool *is_categorical; /* per field; NULL: by type */
    struct mill_binning binning;
    uint32_t breaks_max, levels_max;
    int64_t calibration_window_us; /* 0: none */
    const char *segment_by;        /* name of a field given to the builder (it need not be monitored itself) or NULL */
    uint32_t segments_max;
};
/* Keeps all values in memory until it is finished: 8 bytes a value (strings: their distinct texts; calibrated or with
 * segments 4 bytes a value more). */
struct mill_profile_builder;
struct mill_profile_builder *mill_profile_builder_new(const struct mill_profile_spec *spec);
void mill_profile_builder_free(struct mill_profile_builder *builder);
/* Rows from <= i < to that are live. columns: one per field of the spec; segment: the segment_by column or NULL.
 * event_time_us may be NULL. Order does not matter to the result. */
void mill_profile_builder_add(struct mill_profile_builder *builder, const struct mill_column *const *columns,
                              const struct mill_column *segment, const int64_t *event_time_us, const uint64_t *live,
                              uint32_t from, uint32_t to);
uint64_t mill_profile_builder_rows(const struct mill_profile_builder *builder);
/* MILL_EDATA: no rows. */
int mill_profile_builder_finish(struct mill_profile_builder *builder, struct mill_profile **ret_profile,
                                struct mill_error *err) MILL_MUST_CHECK;

/* ------------------------------------------------------------------------------------------------
 * Counting. A counter belongs to one thread; nothing allocates once its panes are there.
 * --------------------------------------------------------------------------------------------- */

/* Sums of fixed-point numbers, so that panes and shards add up to the same bits in any order:
 * y = clamp((x - center) / scale, -2^20, 2^20), q = llrint(y * 2^40); sum of q, and of (q >> 20)^2. */
struct mill_drift_moments {
    int64_t sum[2], square[2]; /* 128-bit two's complement, low word first */
};

/* Counts of one feature in one segment over some rows; slots has feature->slot_count entries. */
struct mill_drift_counts {
    uint64_t row_count, null_count;
    uint64_t *slots;
    struct mill_drift_moments moments;
};

/* Rows that came before there was a profile (the reference is being gathered from the stream) are kept as they are. */
struct mill_drift_counter_options {
    const struct mill_profile *profile;   /* NULL: gathers raw rows; borrowed */
    const struct mill_profile_spec *spec; /* the columns, as of the builder; borrowed */
    int64_t pane_us;
    uint32_t panes_max; /* open at once; the oldest is handed out early where there would be more. Default 64 */
    int64_t keep_us; /* rows that are older than the last watermark by more are counted nowhere: no window needs them;
                        0: there are none such */
};
struct mill_drift_counter;
struct mill_drift_counter *mill_drift_counter_new(const struct mill_drift_counter_options *options);
void mill_drift_counter_free(struct mill_drift_counter *counter);
/* Rows from <= i < to that are live, into the panes of their event times. Columns as for the builder. */
void mill_drift_counter_add(struct mill_drift_counter *counter, const struct mill_column *const *columns,
                            const struct mill_column *segment, const int64_t *event_time_us, const uint64_t *live,
                            uint32_t from, uint32_t to);
/* The profile has come: what is in open panes is counted against it. */
void mill_drift_counter_set_profile(struct mill_drift_counter *counter, const struct mill_profile *profile);
/*
 * Panes are handed out as parts: an additive piece of a pane's counts, with a number that counts up by one per pane
 * (late events make a further part). The latest bytes for (contributor, pane, part) are the true ones, and a pane is
 * the sum of its parts, so a part that is made again after a crash takes the place of the first.
 * take() gets panes with start + pane_us <= watermark_us, and those that panes_max drives out; their memory is free
 * then. bytes: sparse, versioned, with the profile's identity.
 */
struct mill_drift_part {
    int64_t start_us;
    uint32_t part; /* from 0 */
    struct mill_slice bytes;
};
void mill_drift_counter_take(struct mill_drift_counter *counter, int64_t watermark_us,
                             void (*each)(void *context, const struct mill_drift_part *part), void *context);
/* Whether save() would say something else than when it was last called. */
bool mill_drift_counter_is_dirty(const struct mill_drift_counter *counter);
/* Rows that were counted nowhere: older than keep_us allows, or of a time more than 2^62 us from 1970. */
uint64_t mill_drift_counter_rows_ignored(const struct mill_drift_counter *counter);
/* Everything that is open, and the part numbers of panes handed out within `keep_us` of the watermark: what the next
 * start needs. Load into a new counter with the same options; MILL_EDATA: other bytes, or of another profile. */
void mill_drift_counter_save(struct mill_drift_counter *counter, struct mill_buffer *out);
int mill_drift_counter_load(struct mill_drift_counter *counter, struct mill_slice bytes,
                            struct mill_error *err) MILL_MUST_CHECK;

/* Sums over parts: one vector per segment and feature. */
struct mill_drift_window;
struct mill_drift_window *mill_drift_window_new(const struct mill_profile *profile);
void mill_drift_window_free(struct mill_drift_window *window);
/* sign 1 adds, -1 takes back. MILL_EDATA: bytes of another profile or damaged; nothing was added. Raw parts are counted
 * against the profile. */
int mill_drift_window_apply(struct mill_drift_window *window, struct mill_slice part, int sign,
                            struct mill_error *err) MILL_MUST_CHECK;
/* segment UINT32_MAX: all rows; segment profile->segment_count: all others. */
const struct mill_drift_counts *mill_drift_window_counts(const struct mill_drift_window *window, uint32_t segment,
                                                         uint32_t feature);
/* Adds the raw rows of a part to a builder; *ret_rows of them. 0 rows where the part is not raw. */
int mill_drift_part_build(struct mill_slice part, const struct mill_profile_spec *spec,
                          struct mill_profile_builder *builder, uint64_t *ret_rows,
                          struct mill_error *err) MILL_MUST_CHECK;

/* ------------------------------------------------------------------------------------------------
 * Performance: scores that met their labels
 * --------------------------------------------------------------------------------------------- */

/* Scores are probabilities of the positive class, cut into 2^14 equal cells; AUC counts pairs inside a cell as half and
 * says by how much that can be wrong. All else is summed in fixed point (2^-56), so order and sharding change no bit.
 * Definitions are scikit-learn's: log loss clipped at 2^-52, calibration error over the bins of calibration_curve (ten,
 * (i / 10, (i + 1) / 10]) weighted by rows. Half a MiB each; one thread at a time. */
enum { MILL_OUTCOME_CELLS = 1 << 14 };
struct mill_outcomes; /* additive, like counts */
struct mill_outcomes *mill_outcomes_new(void);
void mill_outcomes_free(struct mill_outcomes *outcomes);
void mill_outcomes_reset(struct mill_outcomes *outcomes);
/* A scored row whose label came (0 or 1), or (label -1) is not here yet: only its score counts, for the estimate. It is
 * taken for positive where score >= threshold. NaN is not counted; what lies outside [0, 1] is taken as its end. */
void mill_outcomes_add(struct mill_outcomes *outcomes, double score, int label, double threshold);
/* Sparse bytes; merge adds (sign 1) or takes back. MILL_EDATA: damaged (checksum), contradictory, more than there is
 * to take back or than a cell holds (2^36 rows); nothing has changed then. */
void mill_outcomes_write(const struct mill_outcomes *outcomes, struct mill_buffer *out);
int mill_outcomes_merge(struct mill_outcomes *outcomes, struct mill_slice bytes, int sign,
                        struct mill_error *err) MILL_MUST_CHECK;
struct mill_performance {
    uint64_t scored, labelled, positives;
    double auc, auc_error_max, log_loss, brier, accuracy, calibration_error; /* NaN: not defined (one class only) */
    /* CBPE (confidence-based performance estimation): what these would be if scores are calibrated, from all scores.
     * Pairs inside a cell count half in the estimate of AUC, too. */
    double estimated_auc, estimated_accuracy, estimated_log_loss, estimated_brier;
};
void mill_outcomes_evaluate(const struct mill_outcomes *outcomes, struct mill_performance *ret_performance);

/*
 * Parts of a counter, and two kinds of mill_outcomes_write, numbered apart: scores of all rows (label -1, for the
 * estimates), and scores that met their labels. Of these two start_us is the pane of the scores and the number says how
 * many panes later they were counted (a label: that of its event time; a score: 0 unless it came late). A window holds
 * those that were counted in it, so a label that takes a month is measured like one that takes an hour, and no label is
 * used before its time.
 */
enum mill_part_kind { MILL_PART_COUNTS, MILL_PART_SCORES, MILL_PART_OUTCOMES };
enum { MILL_PART_KIND_COUNT = 3 };

/* ------------------------------------------------------------------------------------------------
 * Labels: scores wait for them
 * --------------------------------------------------------------------------------------------- */

/*
 * A join of scores and labels by key, in order of event time: a score of time s takes the first label of its key with
 * s <= time <= s + horizon; first is by time, then by origin. A label serves every score that it is the first for.
 * Nothing is joined before the watermark says that all records up to there have been handed over, so what is joined,
 * and the pane in which it counts, is a function of the records, whatever their order: a label may come before its
 * score. Records from behind the watermark (late ones that the source lets through) still join what is waiting, and
 * count in the pane that is open when they come. One thread.
 */
struct mill_join_options {
    int64_t horizon_us, pane_us; /* pane_us: the monitor's every_us */
    double threshold;            /* of a decision: mill_outcomes_add */
    uint32_t pending_max;        /* scores that wait at once, and as many labels; what comes beyond is dropped */
    bool is_stored;              /* mill_join_save is called now and then */
};
/* Where the source's topic has the record: breaks ties. */
struct mill_join_origin {
    int32_t partition;
    int64_t offset;
};
struct mill_join_match {
    struct mill_slice key;
    int64_t score_us, label_us;     /* event times */
    struct mill_join_origin origin; /* of the score */
    double score;
    int label; /* 0 or 1 */
};
struct mill_join_sink {
    void *context;
    void (*matched)(void *context, const struct mill_join_match *match);
    /* MILL_PART_SCORES or MILL_PART_OUTCOMES; complete: no further part of the same numbers follows. */
    void (*part)(void *context, enum mill_part_kind kind, const struct mill_drift_part *part);
};
struct mill_join_status {
    uint32_t pending;                             /* scores and labels that wait */
    uint64_t joined, expired, unclaimed, dropped; /* scores joined, scores whose horizon passed, labels that came to
                                                     no score, records dropped because too many wait */
};
struct mill_join;
struct mill_join *mill_join_new(const struct mill_join_options *options);
void mill_join_free(struct mill_join *join);
/* Event times within MILL_TIMESTAMP_MIN and MAX. Every score counts for the estimates, even where it is not kept. NaN
 * is no score. */
void mill_join_score(struct mill_join *join, struct mill_slice key, int64_t time_us, double score,
                     const struct mill_join_origin *origin);
void mill_join_label(struct mill_join *join, struct mill_slice key, int64_t time_us, int label,
                     const struct mill_join_origin *origin);
/* All records of scores and labels before watermark_us were handed over. Matches come by pane of the label, then by
 * key, then by time, and after each pane the parts that it closes. Going back does nothing. */
void mill_join_advance(struct mill_join *join, int64_t watermark_us, const struct mill_join_sink *sink);
int64_t mill_join_watermark(const struct mill_join *join); /* of the last advance; INT64_MIN: none yet */
void mill_join_status(const struct mill_join *join, struct mill_join_status *ret_status);
/* A join on disk: records under ids, both bytes. A save writes what has changed since the last one, so all of it must
 * be kept or none of it. */
struct mill_join_store {
    void *context;
    void (*put)(void *context, struct mill_slice id, struct mill_slice bytes);
    void (*remove)(void *context, struct mill_slice id);
};
void mill_join_save(struct mill_join *join, const struct mill_join_store *store);
/* Takes up one record that is in the store, in any order, into a join of the same pane_us that has had nothing else
 * yet. What waits is taken up even beyond pending_max. MILL_EDATA: damaged. */
int mill_join_load(struct mill_join *join, struct mill_slice id, struct mill_slice bytes,
                   struct mill_error *err) MILL_MUST_CHECK;

/* ------------------------------------------------------------------------------------------------
 * Evaluation, rules, alerts, triggers
 * --------------------------------------------------------------------------------------------- */

enum mill_severity { MILL_SEVERITY_NONE, MILL_SEVERITY_MINOR, MILL_SEVERITY_MAJOR };
const char *mill_severity_name(enum mill_severity severity); /* "none", "minor", "major" */

/*
 * Default: effect size (PSI, KS; total variation for categories) and significance (q) and data quality. Article: the
 * drift code that this began with, to the letter: its density PSI or the p of KS; no q, no data quality, nulls left
 * out; for categories, which it has not, share-based PSI and the p of chi-square. Calibrated: thresholds from what
 * windows of the reference gave (whole windows only: segments, and profiles without enough of them, are judged by the
 * default). docs/drift.md has the formulas.
 */
enum mill_rule_kind { MILL_RULE_DEFAULT, MILL_RULE_ARTICLE, MILL_RULE_CALIBRATED };
struct mill_drift_rule {
    enum mill_rule_kind kind;
    double psi_minor, psi_major; /* default 0.1, 0.25 (never below the noise of the sample sizes); article 0.1, 0.2 */
    double ks_minor, ks_major;   /* default rule, effect size D: 0.1, 0.2 */
    double q_max;                /* default rule: significance after Benjamini-Hochberg, 0.001 */
    double p_minor, p_major;     /* article: 0.05, 0.01 */
    double null_share_minor, null_share_major;     /* absolute increase; 0.05, 0.2 */
    double unseen_share_minor, unseen_share_major; /* 0.01, 0.1 */
    double out_of_range_minor, out_of_range_major; /* increase of the share outside [min, max]; 0.01, 0.1 */
    uint64_t samples_min;                          /* rows of a window below which nothing is judged; 500; article 1 */
    double false_alarms_per_month;                 /* calibrated: expected, over all features; 1 */
    double evaluations_per_month;                  /* calibrated: 30; a monitor sets it from every_us */
    int64_t window_us;                             /* calibrated: must be the profile's; 0: any; a monitor sets it */
    struct mill_smoothing smoothing;
    bool null_bin; /* rows without a value are a bin of PSI too; false: they have thresholds of their own */
    /* Major where a rule is broken by at least labelled_min labels. With fewer, by what CBPE estimates from the scores
     * (of at least samples_min rows): then minor. */
    double auc_min, auc_drop_max, log_loss_max, brier_max, accuracy_min, calibration_error_max; /* NaN: no such rule */
    double auc_reference;  /* what auc_drop_max is measured from; NaN: the first window with labelled_min labels */
    uint64_t labelled_min; /* 200 */
};
/* Fills the defaults of a kind. */
void mill_drift_rule_init(struct mill_drift_rule *rule, enum mill_rule_kind kind);

/* Why a feature could not be judged, or what is odd about it; bits. */
enum mill_drift_condition {
    MILL_CONDITION_TOO_FEW = 1,            /* fewer rows than samples_min */
    MILL_CONDITION_ALL_NULL = 2,           /* no value in the window: the feature has vanished */
    MILL_CONDITION_REFERENCE_EMPTY = 4,    /* no value in the reference */
    MILL_CONDITION_REFERENCE_CONSTANT = 8, /* one value in the reference */
    MILL_CONDITION_INFINITE = 16,          /* infinities in the window: moments say nothing */
    MILL_CONDITION_APPROXIMATE = 32,       /* KS is a lower bound: the profile has fewer break-points than values */
    MILL_CONDITION_UNCALIBRATED = 64,      /* calibrated rule, but too few windows in the profile: default thresholds */
    MILL_CONDITION_REFERENCE_TOO_FEW = 128, /* fewer rows of the segment than samples_min in the reference */
};
enum {
    MILL_CONDITION_COUNT = 8,
    /* Any of these: nothing is judged. */
    MILL_CONDITIONS_UNJUDGED =
        MILL_CONDITION_TOO_FEW | MILL_CONDITION_REFERENCE_EMPTY | MILL_CONDITION_REFERENCE_TOO_FEW
};
const char *mill_drift_condition_name(enum mill_drift_condition condition); /* "too_few_samples", ... */

/* One feature in one segment over one window, against the reference's rows of the same segment. NaN: not defined or not
 * asked for. */
struct mill_drift_result {
    const struct mill_profile_feature *feature;
    uint32_t segment; /* UINT32_MAX: all rows */
    uint64_t row_count, null_count;
    uint64_t reference_row_count, reference_null_count;
    unsigned conditions;
    struct mill_ks ks;
    double ks_pvalue, ks_qvalue; /* categorical: q of pooled_pvalue */
    double psi, psi_noise, psi_density;
    double wasserstein,
        wasserstein_error_max; /* divided by the reference's stddev; from gap mid-points, with its bound */
    double jensen_shannon, hellinger, total_variation;
    struct mill_chi2 chi2, g; /* categorical */
    double pooled_pvalue;     /* chi-square with the levels together of which a side should have less than 5: rare
                                 levels and unseen values make the p of chi2 far too small */
    double null_share_reference, null_share_current;
    double unseen_share,
        unseen_reference; /* unseen_reference: what the reference itself leads to expect (Good-Turing) */
    double out_of_range_reference, out_of_range_current; /* reference: expected of as many new values, 2 / (n + 1) */
    double mean, stddev, mean_shift;                     /* of the window; (mean - reference mean) / reference stddev */
    enum mill_severity severity;
    const char *reason; /* the condition of the rule that gave the severity: "psi", "ks", "null_share", ...; or NULL */
    double value, threshold; /* of the reason */
};

struct mill_drift_report {
    char id[33]; /* hex; "" where it is not a monitor's */
    const char *monitor, *model, *model_version;
    const struct mill_profile *profile;
    int64_t start_us, end_us; /* window, end exclusive; the evaluation is named by its end */
    uint64_t row_count;
    uint32_t result_count;
    const struct mill_drift_result *results; /* overall first, then by segment; features in the profile's order */
    bool has_performance;
    struct mill_performance performance;
    enum mill_severity performance_severity;
    const char *performance_reason; /* "auc", "auc_drop", "estimated_auc", ...; or NULL */
    double performance_value, performance_threshold;
    enum mill_severity severity; /* the worst */
};
/* "origin=JFK", "origin=(other)", "" for all rows. */
void mill_drift_segment_name(const struct mill_profile *profile, uint32_t segment, struct mill_buffer *out);
/*
 * Everything but p; p and q where the rule needs them (with_p: always, scipy's). q is then an upper bound that is on
 * the right side of q_max. Where the rule alone asks, the p of a
 * KS whose exact form would take more than about a millisecond is the asymptotic one, unless it is so near to a
 * threshold that the choice could matter. Memory from arena. The caller fills id, monitor, model and times, and
 * performance.
 */
void mill_drift_evaluate(const struct mill_drift_window *window, const struct mill_profile *profile,
                         const struct mill_drift_rule *rule, bool with_p, struct mill_arena *arena,
                         struct mill_drift_report *ret_report);

enum mill_alert_status { MILL_ALERT_FIRING, MILL_ALERT_ESCALATED, MILL_ALERT_DEESCALATED, MILL_ALERT_RESOLVED };
const char *mill_alert_status_name(enum mill_alert_status status);
/* A transition, or (is_repeat) a firing alert said again. */
struct mill_drift_alert {
    char id[33];          /* hex; the same for the same transition of the same evaluation, whoever computes it */
    char fingerprint[17]; /* the same over the life of one alert */
    enum mill_alert_status status;
    bool is_repeat;
    enum mill_severity severity, previous_severity;
    int64_t since_us; /* end of the evaluation at which it began to fire */
    const struct mill_drift_report *report;
    const struct mill_drift_result *result; /* NULL: performance */
};
enum mill_trigger_reason {
    MILL_TRIGGER_DRIFT,
    MILL_TRIGGER_PERFORMANCE,
    MILL_TRIGGER_DATA_QUALITY,
    MILL_TRIGGER_SCHEDULE,
    MILL_TRIGGER_MANUAL
};
const char *mill_trigger_reason_name(enum mill_trigger_reason reason);
struct mill_retrain_trigger {
    char id[33];
    enum mill_trigger_reason reason;
    int64_t train_from_us, train_to_us;     /* the data to train on */
    const struct mill_drift_report *report; /* the evidence; NULL: schedule, manual */
    const uint32_t *result_index;           /* results of the report that are the evidence */
    uint32_t result_count;
};

struct mill_alert_options {
    uint32_t fire_after;    /* evaluations in a row at a severity before an alert fires or escalates; 1 */
    uint32_t resolve_after; /* evaluations in a row below before it resolves or de-escalates; 2 */
    int64_t repeat_us;      /* a firing alert is said again; 0: never; default 1 d */
};
struct mill_trigger_options {
    bool enabled;
    uint32_t features_min;    /* N features major (or the score, or performance) ... */
    uint32_t consecutive_min; /* ... in M evaluations in a row; 3 and 2 */
    uint64_t samples_min;     /* rows of the window */
    int64_t cooldown_us;      /* after a trigger; 7 d */
    int64_t train_window_us;  /* length of the data window to train on, ending at the evaluation; 30 d */
    int64_t schedule_us;      /* also every so often; 0: no */
};

/*
 * A monitor: parts and progress of its contributors in, reports, alerts and triggers out. Pure: the same parts give the
 * same output whatever their order and however often they come. One thread.
 */
struct mill_drift_monitor_spec {
    const char *project, *name, *model, *model_version;
    struct mill_profile_spec columns; /* what is monitored */
    int64_t window_us, every_us;      /* every divides window; panes are `every` long */
    struct mill_drift_rule rule;
    struct mill_alert_options alerts;
    struct mill_trigger_options trigger;
    /* Where there is no profile, it is made of the stream: the rows of [from, to), or the first rows (of whole panes).
     * Windows are judged from the end of the reference on. */
    int64_t reference_from_us, reference_to_us; /* INT64_MIN: not by time */
    uint64_t reference_rows;                    /* 0: not by count */
    bool has_challenger;                        /* on trial: no triggers */
};
struct mill_drift_monitor_sink {
    void *context;
    void (*profile)(void *context, const struct mill_profile *profile); /* was built from the stream */
    void (*report)(void *context, const struct mill_drift_report *report);
    void (*alert)(void *context, const struct mill_drift_alert *alert);
    void (*trigger)(void *context, const struct mill_retrain_trigger *trigger, const struct mill_drift_report *report);
    /* The part is older than any window that is still to come: forget it. */
    void (*expired)(void *context, enum mill_part_kind kind, uint32_t contributor, int64_t start_us, uint32_t part);
};
/* The spec is copied, what it points to is borrowed. */
struct mill_drift_monitor;
/* profile: borrowed, or NULL (from the stream). contributor_count: how many must make progress before a window is
 * judged. */
struct mill_drift_monitor *mill_drift_monitor_new(const struct mill_drift_monitor_spec *spec,
                                                  const struct mill_profile *profile, uint32_t contributor_count);
void mill_drift_monitor_free(struct mill_drift_monitor *monitor);
/* The next evaluations know that a challenger is on trial, or no longer. */
void mill_drift_monitor_set_challenger(struct mill_drift_monitor *monitor, bool has_challenger);
/* Takes the place of an earlier part of the same numbers; bytes are copied. MILL_EDATA: not a part of this monitor's
 * profile, of no such time, or of the wrong kind (counted, skipped). */
int mill_drift_monitor_part(struct mill_drift_monitor *monitor, enum mill_part_kind kind, uint32_t contributor,
                            const struct mill_drift_part *part, struct mill_error *err) MILL_MUST_CHECK;
/* All rows of this contributor before watermark_us have been handed over. Never goes back. */
void mill_drift_monitor_progress(struct mill_drift_monitor *monitor, uint32_t contributor, int64_t watermark_us);
/* Evaluates every window end that is due, in order. all: as if every contributor had made all progress up to the newest
 * event (the end of a file). */
void mill_drift_monitor_run(struct mill_drift_monitor *monitor, const struct mill_drift_monitor_sink *sink, bool all);
/* `tidemill drift trigger`: by hand, whatever cool-down and challenger say. Nothing where there were no parts yet. */
void mill_drift_monitor_trigger(struct mill_drift_monitor *monitor, const struct mill_drift_monitor_sink *sink);
/* What was evaluated last, alert and trigger states, the stream-made profile's identity: without the parts. */
void mill_drift_monitor_save(const struct mill_drift_monitor *monitor, struct mill_buffer *out);
int mill_drift_monitor_load(struct mill_drift_monitor *monitor, struct mill_slice bytes,
                            struct mill_error *err) MILL_MUST_CHECK;

/* Calls each() for every alert that fires, after a load say: as repetitions, with what labels need (identity, severity,
 * feature, segment), without values. */
void mill_drift_monitor_each_firing(const struct mill_drift_monitor *monitor,
                                    void (*each)(void *context, const struct mill_drift_alert *alert), void *context);

/* What it holds, for metrics. Times are INT64_MIN where not known. */
struct mill_drift_monitor_status {
    uint64_t part_count, part_bytes, skipped_parts, evaluations;
    int64_t complete_us; /* all contributors have progressed so far */
    int64_t next_end_us; /* the window end that is evaluated next */
    bool has_profile;
    uint32_t firing_count;
};
void mill_drift_monitor_status(const struct mill_drift_monitor *monitor, struct mill_drift_monitor_status *ret_status);

/*
 * Records of the drift topics (schemas/drift_report.avsc, drift_alert.avsc, retrain_trigger.avsc, label.avsc): one JSON
 * object, or Avro in single-object encoding, appended to out. now_us: wall time of writing; INT64_MIN: left out, in
 * Avro null (offline).
 */
void mill_drift_report_write_json(const struct mill_drift_report *report, const char *project, int64_t now_us,
                                  struct mill_buffer *out);
void mill_drift_report_write_avro(const struct mill_drift_report *report, const char *project, int64_t now_us,
                                  struct mill_buffer *out);
void mill_drift_alert_write_json(const struct mill_drift_alert *alert, const char *project, int64_t now_us,
                                 struct mill_buffer *out);
void mill_drift_alert_write_avro(const struct mill_drift_alert *alert, const char *project, int64_t now_us,
                                 struct mill_buffer *out);
void mill_retrain_trigger_write_json(const struct mill_retrain_trigger *trigger,
                                     const struct mill_drift_monitor_spec *spec, int64_t now_us,
                                     struct mill_buffer *out);
void mill_retrain_trigger_write_avro(const struct mill_retrain_trigger *trigger,
                                     const struct mill_drift_monitor_spec *spec, int64_t now_us,
                                     struct mill_buffer *out);
void mill_join_match_write_json(const struct mill_join_match *match, const struct mill_drift_monitor_spec *spec,
                                struct mill_buffer *out);
void mill_join_match_write_avro(const struct mill_join_match *match, const struct mill_drift_monitor_spec *spec,
                                struct mill_buffer *out);
/* The id of such a record: 32 hex digits of monitor, key and time of the score. */
void mill_join_match_id(const struct mill_join_match *match, const struct mill_drift_monitor_spec *spec, char id[33]);

/* ------------------------------------------------------------------------------------------------
 * False alarms: how often a rule fires where nothing has drifted
 * --------------------------------------------------------------------------------------------- */

/* All rows of a file: one column per field of the spec, each with row_count values. */
struct mill_drift_simulation_options {
    const struct mill_profile_spec *spec;
    const struct mill_column *columns;
    const struct mill_column *segment; /* or NULL */
    uint64_t row_count;
    struct mill_drift_rule rule;
    uint64_t window_rows; /* at most half the rows */
    uint32_t evaluations; /* 1000 */
    uint32_t splits;      /* how often the rows are dealt anew; 10 */
    uint64_t seed;
};
struct mill_drift_simulation {
    uint64_t evaluations;
    uint64_t any, major;   /* evaluations in which any feature was minor or worse; major */
    uint64_t result_count; /* features x segments judged, over all evaluations */
    uint64_t results_minor, results_major;
};
/*
 * Deals the rows at random (seeded: the same numbers everywhere) into a reference, of which a profile is built, and the
 * rest, of which windows are drawn without replacement: reference and windows share no row. MILL_EUSAGE: fewer rows
 * than twice window_rows.
 */
int mill_drift_simulate(const struct mill_drift_simulation_options *options, struct mill_drift_simulation *ret_result,
                        struct mill_error *err) MILL_MUST_CHECK;

#endif
