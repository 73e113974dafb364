#include "bench/histogram.h"

#include <math.h>

#define SUB_COUNT (UINT64_C(1) << HISTOGRAM_SUB_BITS)

/* Bucket 0..127 hold one value each; then 64 buckets for each further power of two. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * SUB_COUNT) {
        return (unsigned)value;
    }
    unsigned high = 63U - (unsigned)__builtin_clzll(value);
    unsigned shift = high - HISTOGRAM_SUB_BITS;
    return (unsigned)(shift * SUB_COUNT + (value >> shift));
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_top(unsigned index)
{
    if (index < 2 * SUB_COUNT) {
        return index;
    }
    uint64_t shift = index / SUB_COUNT - 1;
    uint64_t sub = index % SUB_COUNT + SUB_COUNT;
    return (sub << shift) + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t value)
{
    if (h->count == 0 || value < h->min) {
        h->min = value;
    }
    if (value > h->max) {
        h->max = value;
    }
    h->count++;
    h->sum += (long double)value;
    h->bucket[bucket_of(value)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    if (from->count == 0) {
        return;
    }
    if (h->count == 0 || from->min < h->min) {
        h->min = from->min;
    }
    if (from->max > h->max) {
        h->max = from->max;
    }
    h->count += from->count;
    h->sum += from->sum;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        h->bucket[i] += from->bucket[i];
    }
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    if (h->count == 0) {
        return 0;
    }
    if (q <= 0) {
        return h->min;
    }
    if (q >= 1) {
        return h->max;
    }
    uint64_t rank = (uint64_t)ceil(q * (double)h->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank) {
            uint64_t top = bucket_top(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? (double)(h->sum / (long double)h->count) : 0;
}
