/* Latencies in a log-linear histogram: constant memory, constant cost, under 1 % error at any size.
 *
 * Values below 128 ns have a bucket each; above, every power of two is cut into 64 equal buckets,
 * so a quantile is at most 1/64 of a bucket's octave above the true value. The maximum and the
 * minimum are kept exactly.
 *
 * Thread:  one owner.
 * Limits:  values from 0 to UINT64_MAX; counts to UINT64_MAX.
 */
#ifndef NACRE_BENCH_HISTOGRAM_H
#define NACRE_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6 /* 64 buckets an octave */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS + 1) * (1 << HISTOGRAM_SUB_BITS))

/* Embedded by its owner (30 KB); zero-initialised is empty. */
struct histogram {
    uint64_t count;
    uint64_t min;
    uint64_t max;
    long double sum;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* Count one value, in nanoseconds by convention. */
void histogram_add(struct histogram *h, uint64_t value);

/* Add everything that from has seen to h. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* The value that a share q (0 to 1) of all values does not exceed: the upper edge of its bucket,
 * never above the maximum. q = 0 gives the minimum, q = 1 the maximum; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);

/* The mean; 0 when empty. */
double histogram_mean(const struct histogram *h);

#endif
