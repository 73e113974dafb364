#include "rpc/door_guests.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#include <uthash.h>
#include <utlist.h>

/* An address that has guests, or whose last hellos still count against it. */
struct guests_host {
    struct door_ip ip;
    size_t count;
    struct guest *guests; /* oldest first */
    uint64_t hellos_ms;   /* when all its hellos are paid for: the bucket as one number (GCRA) */
    struct guests_host *prev, *next; /* in busy, when it has no guest */
    UT_hash_handle hh;
};

struct guests {
    struct guests_limits limits;
    struct guest *lists[GUEST_STATES];
    size_t count;
    struct guests_host *hosts;
    struct guests_host *busy; /* without a guest; the one that came in first stands first */
    size_t busy_count;
    uint64_t hellos_all_ms;
};

struct door_ip door_ip_of(const struct sockaddr *address)
{
    struct door_ip ip = {0};
    struct sockaddr_in6 in6 = {0};
    struct sockaddr_in in4 = {0};
    if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        size_t len = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) ? sizeof(ip.bytes) : sizeof(ip.bytes) / 2;
        memcpy(ip.bytes, &in6.sin6_addr, len);
    } else if (address->sa_family == AF_INET) {
        memcpy(&in4, address, sizeof(in4));
        ip.bytes[10] = 0xff;
        ip.bytes[11] = 0xff;
        memcpy(ip.bytes + 12, &in4.sin_addr, 4);
    }
    return ip;
}

bool door_ip_parse(const char *text, struct door_ip *ret)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        *ret = door_ip_of((const struct sockaddr *)(const void *)&in4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        *ret = door_ip_of((const struct sockaddr *)(const void *)&in6);
        return true;
    }
    return false;
}

bool door_ip_equal(const struct door_ip *a, const struct door_ip *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

struct guests *guests_create(const struct guests_limits *limits)
{
    ASSERT(limits->max > 0);
    ASSERT(limits->per_ip_max > 0);
    struct guests *g = mem_zalloc(1, sizeof(*g));
    g->limits = *limits;
    return g;
}

static struct guests_host *find(const struct guests *g, const struct door_ip *ip)
{
    struct guests_host *host = NULL;
    HASH_FIND(hh, g->hosts, ip, sizeof(*ip), host);
    return host;
}

static struct guests_host *find_or_add(struct guests *g, const struct door_ip *ip)
{
    struct guests_host *host = find(g, ip);
    if (!host) {
        host = mem_zalloc(1, sizeof(*host));
        host->ip = *ip;
        HASH_ADD(hh, g->hosts, ip, sizeof(host->ip), host);
        DL_APPEND(g->busy, host);
        g->busy_count++;
    }
    return host;
}

static void forget(struct guests *g, struct guests_host *host)
{
    ASSERT(g->hosts != NULL); /* host is in both */
    DL_DELETE(g->busy, host);
    g->busy_count--;
    HASH_DEL(g->hosts, host);
    mem_free(host);
}

/* Hosts without a guest: those that owe nothing are not worth remembering, and of the others only
 * so many. All owe for at most interval * burst, so the first ones are done first. */
static void tidy(struct guests *g, uint64_t now_ms)
{
    while (g->busy && (g->busy->hellos_ms <= now_ms || g->busy_count > GUESTS_BUSY_MAX)) {
        forget(g, g->busy);
    }
}

void guests_destroy(struct guests *g)
{
    if (!g) {
        return;
    }
    ASSERT(g->count == 0);
    while (g->busy) {
        forget(g, g->busy);
    }
    ASSERT(g->hosts == NULL);
    mem_free(g);
}

struct guest *guests_in_the_way(const struct guests *g, const struct door_ip *ip)
{
    const struct guests_host *host = find(g, ip);
    if (host && host->count >= g->limits.per_ip_max) {
        return host->guests;
    }
    if (g->count < g->limits.max) {
        return NULL;
    }
    return g->lists[GUEST_LEAVING] ? g->lists[GUEST_LEAVING] : g->lists[GUEST_UNDECIDED];
}

struct guest *guests_add(struct guests *g, int fd, const struct door_ip *ip, uint64_t until_ms)
{
    ASSERT(g->count < g->limits.max);
    struct guests_host *host = find_or_add(g, ip);
    ASSERT(host->count < g->limits.per_ip_max);
    struct guest *guest = mem_zalloc(1, sizeof(*guest));
    guest->fd = fd;
    guest->ip = *ip;
    guest->until_ms = until_ms;
    guest->host = host;
    if (host->count++ == 0) {
        DL_DELETE(g->busy, host);
        g->busy_count--;
    }
    DL_APPEND2(host->guests, guest, ip_prev, ip_next);
    DL_APPEND(g->lists[GUEST_UNDECIDED], guest);
    g->count++;
    return guest;
}

void guests_leave(struct guests *g, struct guest *guest, uint64_t until_ms)
{
    ASSERT(guest->state == GUEST_UNDECIDED);
    DL_DELETE(g->lists[GUEST_UNDECIDED], guest);
    guest->state = GUEST_LEAVING;
    guest->until_ms = until_ms;
    DL_APPEND(g->lists[GUEST_LEAVING], guest);
}

void guests_remove(struct guests *g, struct guest *take_guest)
{
    struct guests_host *host = take_guest->host;
    DL_DELETE(g->lists[take_guest->state], take_guest);
    DL_DELETE2(host->guests, take_guest, ip_prev, ip_next);
    g->count--;
    mem_free(take_guest);
    if (--host->count > 0) {
        return;
    }
    DL_APPEND(g->busy, host);
    g->busy_count++;
    if (host->hellos_ms == 0) {
        forget(g, host); /* most never say hello */
    }
}

struct guest *guests_first(const struct guests *g, enum guest_state state)
{
    return g->lists[state];
}

size_t guests_count(const struct guests *g)
{
    return g->count;
}

size_t guests_hosts(const struct guests *g)
{
    return HASH_COUNT(g->hosts);
}

static bool has_room(uint64_t paid_ms, struct door_rate rate, uint64_t now_ms)
{
    return paid_ms <= now_ms || paid_ms - now_ms <= (uint64_t)rate.interval_ms * (rate.burst - 1);
}

static void pay(uint64_t *paid_ms, struct door_rate rate, uint64_t now_ms)
{
    *paid_ms = (*paid_ms > now_ms ? *paid_ms : now_ms) + rate.interval_ms;
}

bool guests_take_hello(struct guests *g, const struct door_ip *ip, uint64_t now_ms)
{
    tidy(g, now_ms);
    struct guests_host *host = find_or_add(g, ip);
    if (!has_room(host->hellos_ms, g->limits.hellos, now_ms) ||
        !has_room(g->hellos_all_ms, g->limits.hellos_all, now_ms)) {
        return false;
    }
    pay(&host->hellos_ms, g->limits.hellos, now_ms);
    pay(&g->hellos_all_ms, g->limits.hellos_all, now_ms);
    return true;
}
