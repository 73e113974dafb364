#include "bad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define SHOWN_MAX 300

char *expand(const char *text)
{
    size_t cap = strlen(text) + 1;
    for (const char *at = strchr(text, '<'); at; at = strchr(at + 1, '<')) {
        const char *colon = strchr(at, ':');
        const char *end = colon ? strchr(colon, '>') : NULL;
        if (end) {
            cap += strtoul(at + 1, NULL, 10) * (size_t)(end - colon);
        }
    }
    char *out = malloc(cap);
    size_t len = 0;
    while (*text) {
        char *colon = NULL;
        unsigned long times = *text == '<' ? strtoul(text + 1, &colon, 10) : 0;
        const char *end = times && *colon == ':' ? strchr(colon, '>') : NULL;
        if (!end) {
            out[len++] = *text++;
            continue;
        }
        size_t piece = (size_t)(end - colon) - 1;
        for (unsigned long i = 0; i < times; i++) {
            memcpy(out + len, colon + 1, piece);
            len += piece;
        }
        text = end + 1;
    }
    ASSERT(len < cap);
    out[len] = '\0';
    return out;
}

struct guest guest_open(uint16_t grpc, uint16_t http)
{
    struct guest g = {.http = http};
    g.client = client_open(grpc, NULL);
    g.stream = client_register(g.client, NULL);
    return g;
}

void guest_close(struct guest *g)
{
    client_stream_close(g->stream);
    client_close(g->client);
    *g = (struct guest){0};
}

#define WELL                                                                                       \
    "\"namespace\":\"well\",\"groupName\":\"G\",\"serviceName\":\"w%u\",\"type\":\"%s\","          \
    "\"instance\":{\"ip\":\"10.1.1.1\",\"port\":%u}"

static bool ask_is(const struct guest *g, const char *type, const char *body, const char *part)
{
    struct client_reply r = client_ask(g->client, type, body);
    bool fine = r.status == GRPC_STATUS_OK && strstr(r.message.json, part) &&
                strstr(r.message.json, "\"errorCode\":0");
    if (!fine) {
        printf("    not well: %s %s answers %d %s %.*s\n", type, body, (int)r.status, r.details,
               SHOWN_MAX, r.message.json);
    }
    client_reply_close(&r);
    return fine;
}

bool guest_is_well(const struct guest *g)
{
    char body[512];
    char host[64];
    unsigned port = client_port(g->client);
    (void)snprintf(body, sizeof(body), "{" WELL "}", port, "registerInstance", port);
    bool fine = ask_is(g, "InstanceRequest", body, "\"type\":\"registerInstance\"");
    (void)snprintf(host, sizeof(host), "\"ip\":\"10.1.1.1\",\"port\":%u,", port);
    fine = fine && ask_is(g, "ServiceQueryRequest", body, host);
    (void)snprintf(body, sizeof(body), "{" WELL "}", port, "deregisterInstance", port);
    fine = fine && ask_is(g, "InstanceRequest", body, "\"type\":\"deregisterInstance\"");
    return fine && ask_is(g, "ServiceQueryRequest", body, "\"hosts\":[]");
}

static bool is_answer(const struct client_reply *r, const struct play *play, const struct bad *row)
{
    const char *reply = row->code == 502 ? "ErrorResponse" : play->reply;
    char codes[96];
    (void)snprintf(codes, sizeof(codes), "{\"resultCode\":%d,\"errorCode\":%d,",
                   row->code ? 500 : 200, row->code);
    const char *success = row->code ? "\"success\":false}" : "\"success\":true}";
    bool fine = r->status == GRPC_STATUS_OK && strcmp(r->message.type, reply) == 0 &&
                strncmp(r->message.json, codes, strlen(codes)) == 0 &&
                strstr(r->message.json, success) && strstr(r->message.json, row->part) &&
                r->message.headers_count == 0 && r->message.client_ip[0] == '\0';
    if (!fine) {
        printf("    %s %s: %s\n      wanted %s %d %s\n      came   %s (status %d %s) %.*s\n",
               play->type, play->around, row->text, reply, row->code, row->part, r->message.type,
               (int)r->status, r->details, SHOWN_MAX, r->message.json);
    }
    return fine;
}

/* What the node holds is what it held; from now on compare with what it holds now. */
static bool is_same(const struct bad *row, struct figures *held, struct figures now)
{
    struct figures before = *held;
    *held = now;
    bool same = before.instances == now.instances && before.clients == now.clients &&
                before.subscriptions == now.subscriptions && before.services == now.services;
    if (!same) {
        printf("    %s\n      left something: services %ld -> %ld, instances %ld -> %ld, "
               "clients %ld -> %ld, subscriptions %ld -> %ld\n",
               row->text, before.services, now.services, before.instances, now.instances,
               before.clients, now.clients, before.subscriptions, now.subscriptions);
    }
    return same;
}

/* around with its # replaced; free it. */
static char *fill(const char *around, const char *text)
{
    const char *hole = strchr(around, '#');
    ASSERT(hole != NULL);
    size_t cap = strlen(around) + strlen(text) + 1;
    char *out = malloc(cap);
    (void)snprintf(out, cap, "%.*s%s%s", (int)(hole - around), around, text, hole + 1);
    char *whole = expand(out);
    free(out);
    return whole;
}

size_t bad_play(const struct guest *g, const struct play *play, const struct bad *rows,
                size_t count)
{
    size_t failed = 0;
    bool well = guest_is_well(g);
    struct figures held = figures_read(g->http);
    for (size_t i = 0; i < count; i++) {
        char *body = fill(play->around, rows[i].text);
        struct client_reply r = client_ask(g->client, play->type, body);
        bool fine = is_answer(&r, play, &rows[i]);
        client_reply_close(&r);
        free(body);
        fine = is_same(&rows[i], &held, figures_read(g->http)) && fine;
        well = well && guest_is_well(g);
        failed += !fine || !well;
    }
    return failed;
}
