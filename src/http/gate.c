#include "http/gate.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#include <uthash.h>

/* Every address as IPv6, so that both families share one table. */
struct ip {
    unsigned char bytes[16];
};

struct visitor {
    struct ip ip;
    unsigned count;
    UT_hash_handle hh;
};

struct gate {
    pthread_mutex_t lock; /* guards visitors, count */
    struct visitor *visitors;
    unsigned count;
    unsigned max;
    unsigned per_ip_max;
};

static struct ip ip_of(const struct sockaddr *addr)
{
    struct ip ip = {0};
    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof(in6));
        memcpy(ip.bytes, &in6.sin6_addr, sizeof(ip.bytes));
    } else if (addr->sa_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, addr, sizeof(in4));
        ip.bytes[10] = 0xff;
        ip.bytes[11] = 0xff;
        memcpy(ip.bytes + 12, &in4.sin_addr, 4);
    }
    return ip;
}

struct gate *gate_create(unsigned max, unsigned per_ip_max)
{
    ASSERT(max > 0);
    ASSERT(per_ip_max > 0);
    struct gate *g = mem_zalloc(1, sizeof(*g));
    ASSERT(pthread_mutex_init(&g->lock, NULL) == 0);
    g->max = max;
    g->per_ip_max = per_ip_max;
    return g;
}

void gate_destroy(struct gate *g)
{
    if (!g) {
        return;
    }
    struct visitor *v = NULL;
    struct visitor *next = NULL;
    HASH_ITER(hh, g->visitors, v, next)
    {
        HASH_DEL(g->visitors, v);
        mem_free(v);
    }
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

static struct visitor *visitor_find(struct gate *g, const struct ip *ip)
{
    struct visitor *v = NULL;
    HASH_FIND(hh, g->visitors, ip, sizeof(*ip), v);
    return v;
}

static enum gate_answer enter_locked(struct gate *g, const struct ip *ip)
{
    if (g->count >= g->max) {
        return GATE_FULL;
    }
    struct visitor *v = visitor_find(g, ip);
    if (v && v->count >= g->per_ip_max) {
        return GATE_FULL_FOR_IP;
    }
    if (!v) {
        v = mem_zalloc(1, sizeof(*v));
        v->ip = *ip;
        HASH_ADD(hh, g->visitors, ip, sizeof(v->ip), v);
    }
    v->count++;
    g->count++;
    return GATE_OPEN;
}

enum gate_answer gate_enter(struct gate *g, const struct sockaddr *addr)
{
    struct ip ip = ip_of(addr);
    pthread_mutex_lock(&g->lock);
    enum gate_answer answer = enter_locked(g, &ip);
    pthread_mutex_unlock(&g->lock);
    return answer;
}

void gate_leave(struct gate *g, const struct sockaddr *addr)
{
    struct ip ip = ip_of(addr);
    pthread_mutex_lock(&g->lock);
    struct visitor *v = visitor_find(g, &ip);
    ASSERT(v != NULL);
    ASSERT(g->count > 0);
    g->count--;
    v->count--;
    if (v->count == 0) {
        HASH_DEL(g->visitors, v);
        mem_free(v);
    }
    pthread_mutex_unlock(&g->lock);
}

unsigned gate_count(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    unsigned count = g->count;
    pthread_mutex_unlock(&g->lock);
    return count;
}

bool gate_same_ip(const struct sockaddr *a, const struct sockaddr *b)
{
    struct ip left = ip_of(a);
    struct ip right = ip_of(b);
    return memcmp(&left, &right, sizeof(left)) == 0;
}
