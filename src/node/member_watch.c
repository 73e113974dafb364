#include "node/member_watch.h"

#include <string.h>

#include "base/log.h"

/* The end of a path, as much as sentences have room for. */
static const char *tail_of(const char *path)
{
    size_t room = sizeof(((struct member_file *)NULL)->name) - 1;
    size_t len = strlen(path);
    return len > room ? path + len - room : path;
}

static int choose(struct member_watch *w, const struct options *o, const struct buf *file,
                  enum member_source *ret, struct fail *fail)
{
    struct member_texts texts = {
        .option = span_str(o->members),
        .servers = span_str(o->member_servers),
        .file = buf_span(file),
        .property = span_str(o->member_list),
    };
    const struct span all[] = {{0}, texts.option, texts.servers, texts.file, texts.property};
    *ret = members_choose(&texts);
    if (*ret == MEMBER_SOURCE_NONE) {
        return 0;
    }
    return members_parse(member_source_name(*ret), all[*ret], MEMBER_PORT_DEFAULT, &w->list, fail);
}

int member_watch_open(struct member_watch *w, const struct options *options, uint64_t now_ms,
                      struct fail *fail)
{
    struct member_stamp nothing = {0};
    struct member_look look = {0};
    enum member_source source = MEMBER_SOURCE_NONE;
    *w = (struct member_watch){.path = options->cluster_conf};
    member_file_look(w->path, &nothing, &look);
    if (look.fail.code) {
        *fail = look.fail;
        return look.fail.code;
    }
    int err = choose(w, options, look.text, &source, fail);
    buf_unref(look.text);
    if (err) {
        return err;
    }
    if (w->list.notes[0]) {
        LOG_WARN("cluster", "event=members text=\"%s\"", w->list.notes);
    }
    /* A file that never was there is not missed later, so only its own list is its last one. */
    bool is_of_file = source == MEMBER_SOURCE_FILE;
    w->is_watching = is_of_file || source == MEMBER_SOURCE_PROPERTY || source == MEMBER_SOURCE_NONE;
    member_file_init(&w->file, tail_of(w->path), is_of_file ? &w->list : NULL, MEMBER_PORT_DEFAULT,
                     now_ms);
    return 0;
}

const struct member_list *member_watch_look(struct member_watch *w, uint64_t now_ms)
{
    struct member_look look;
    struct fail why = {0};
    if (!w->is_watching || !member_file_due(&w->file, now_ms)) {
        return NULL;
    }
    member_file_look(w->path, &w->file.stamp, &look);
    switch (member_file_take(&w->file, &look, now_ms, &why)) {
    case MEMBER_FILE_SAME:
        return NULL;
    case MEMBER_FILE_BAD:
        LOG_WARN("cluster",
                 "event=members_file_bad reason=\"%s\" meaning=\"the last good list of "
                 "members stays\"",
                 fail_text(&why));
        return NULL;
    case MEMBER_FILE_CHANGED:
        break;
    }
    LOG_INFO("cluster", "event=members_file_changed file=%s members=%zu", w->path,
             w->file.list.count);
    if (w->file.list.notes[0]) {
        LOG_WARN("cluster", "event=members text=\"%s\"", w->file.list.notes);
    }
    return &w->file.list;
}
