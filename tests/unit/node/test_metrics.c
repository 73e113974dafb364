/* Figures as Prometheus text: what a scraper can read, with the series that Nacos's dashboards ask
 * for (http-api.md 10.2). */
#include "node/metrics.h"

#include "core_rig.h"

#include "base/thread.h"

/* A core that does not run: the test's thread is its. */
struct bed {
    struct core *core;
    struct options options;
    struct status status;
    atomic_bool ready;
    char *text;
};

static void open_bed(struct bed *b)
{
    *b = (struct bed){.options = {.server_port = 8848, .prometheus = true}};
    struct core_options options = rig_options();
    struct fail fail = {0};
    assert_int_equal(core_create(&options, &b->core, &fail), 0);
    status_init(&b->status, b->core, &b->options, &b->ready);
}

/* Write the figures; the text lives until the next call. */
static const char *scrape(struct bed *b)
{
    mem_free(b->text);
    struct json_out text;
    json_init(&text, 0);
    metrics_write(&b->status, clock_now(), &text);
    b->text = mem_strndup(json_text(&text).data, json_text(&text).len);
    json_close(&text);
    return b->text;
}

static void close_bed(struct bed *b)
{
    mem_free(b->text);
    core_destroy(b->core);
}

static bool is_name(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
        if (!is_letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return s.len > 0;
}

/* The series of a sample line: what stands before '{' or ' '. */
static struct span series_of(struct span line)
{
    size_t len = 0;
    while (len < line.len && line.data[len] != '{' && line.data[len] != ' ') {
        len++;
    }
    return span_of(line.data, len);
}

static void check_labels(struct span labels)
{
    while (labels.len > 0) {
        struct span value = labels;
        assert_true(is_name(span_cut(&value, '=')));
        assert_true(value.len > 1 && value.data[0] == '"');
        const char *end = memchr(value.data + 1, '"', value.len - 1);
        assert_non_null(end);
        size_t used = (size_t)(end + 1 - labels.data);
        labels = span_of(labels.data + used, labels.len - used);
        assert_true(labels.len == 0 || labels.data[0] == ',');
        labels = labels.len ? span_of(labels.data + 1, labels.len - 1) : labels;
    }
}

static void check_sample(struct span line, struct span family)
{
    struct span series = series_of(line);
    assert_true(is_name(series));
    /* A summary's own series are the family's name and a suffix. */
    assert_true(span_starts(series, family));
    struct span rest = span_of(line.data + series.len, line.len - series.len);
    if (rest.data[0] == '{') {
        const char *end = memrchr(rest.data, '}', rest.len);
        assert_non_null(end);
        check_labels(span_of(rest.data + 1, (size_t)(end - rest.data) - 1));
        size_t used = (size_t)(end + 1 - rest.data);
        rest = span_of(rest.data + used, rest.len - used);
    }
    assert_true(rest.len > 1 && rest.data[0] == ' ');
    double value = 0;
    assert_true(span_double(span_of(rest.data + 1, rest.len - 1), &value));
}

static void test_text__every_line__can_be_scraped(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    struct span rest = span_str(scrape(&b));
    struct span family = {0};
    assert_true(rest.data[rest.len - 1] == '\n');
    size_t samples = 0;
    while (rest.len > 0) {
        struct span line = span_cut(&rest, '\n');
        if (span_starts(line, SPAN("# HELP "))) {
            struct span name = span_of(line.data + 7, line.len - 7);
            family = span_cut(&name, ' ');
            assert_true(is_name(family));
        } else if (span_starts(line, SPAN("# TYPE "))) {
            struct span name = span_of(line.data + 7, line.len - 7);
            assert_true(span_eq(span_cut(&name, ' '), family));
            assert_true(span_eq(name, SPAN("gauge")) || span_eq(name, SPAN("counter")) ||
                        span_eq(name, SPAN("summary")));
        } else {
            check_sample(line, family);
            samples++;
        }
    }
    assert_true(samples > 40);
    close_bed(&b);
}

/* Prometheus drops a scrape in which one sample stands twice, or a family in two places. */
static void test_text__no_sample_and_no_family__stands_twice(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    struct span rest = span_str(scrape(&b));
    while (rest.len > 0) {
        struct span line = span_cut(&rest, '\n');
        const char *blank = memrchr(line.data, ' ', line.len);
        assert_non_null(blank);
        struct span key = span_of(line.data, (size_t)(blank + 1 - line.data));
        assert_null(memmem(rest.data ? rest.data : "", rest.len, key.data, key.len));
    }
    close_bed(&b);
}

static void test_series__of_nacos__are_there(void **state)
{
    (void)state;
    static const char *const names[] = {
        "nacos_monitor{module=\"naming\",name=\"serviceCount\"} 0\n",
        "nacos_monitor{module=\"naming\",name=\"domCount\"} 0\n",
        "nacos_monitor{module=\"naming\",name=\"ipCount\"} 0\n",
        "nacos_monitor{module=\"naming\",name=\"subscriberCount\"} 0\n",
        "nacos_monitor{module=\"naming\",name=\"maxPushCost\"} -1\n",
        "nacos_monitor{module=\"naming\",name=\"avgPushCost\"} -1\n",
        "nacos_monitor{module=\"naming\",name=\"leaderStatus\"} 1\n",
        "nacos_monitor{module=\"naming\",name=\"totalPush\"} 0\n",
        "nacos_monitor{module=\"naming\",name=\"failedPush\"} 0\n",
        "nacos_monitor{module=\"naming\",name=\"emptyPush\"} 0\n",
        "nacos_monitor{module=\"naming\",name=\"pushPendingTaskCount\"} 0\n",
        "nacos_monitor{module=\"core\",name=\"longConnection\"} 0\n",
        "nacos_naming_subscriber{version=\"v2\"} 0\n",
        "nacos_naming_publisher{version=\"v1\"} 0\n",
        "process_uptime_seconds ",
        "process_cpu_seconds_total ",
        "process_resident_memory_bytes ",
        "nacre_removals_total{reason=\"its connection closed\"} 0\n",
        "nacre_log_applied_index 0\n",
    };
    struct bed b;
    open_bed(&b);
    const char *text = scrape(&b);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!strstr(text, names[i])) {
            fail_msg("%s is not there", names[i]);
        }
    }
    close_bed(&b);
}

static double figure(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    assert_non_null(at);
    struct span rest = span_str(at + strlen(name));
    double value = -1;
    assert_true(span_double(span_trim(span_cut(&rest, '\n')), &value));
    return value;
}

static void test_process__figures__are_those_of_this_process(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    const char *text = scrape(&b);
    double resident = figure(text, "\nprocess_resident_memory_bytes ");
    assert_true(resident > 1e6 && resident < 1e12);
    assert_true(figure(text, "\nprocess_cpu_seconds_total ") > 0);
    assert_true(figure(text, "\nprocess_uptime_seconds ") < 60);
    close_bed(&b);
}

/* Subscribes and registers on the core; the figures follow. */
static void scrape_on_core(struct core *core, void *arg)
{
    struct bed *b = arg;
    assert_true(core == b->core);
    (void)scrape(b);
}

static void test_figures__follow_the_registry(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    struct fail fail = {0};
    assert_int_equal(core_start(b.core, NULL, &fail), 0);
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    rig_open_conn(b.core, peer, RIG_SETUP);
    size_t count = 0;
    const struct api_row *row = &naming_rpc_rows(&count)[0];
    struct rig_call c;
    rig_call_open(&c, row, core_naming(b.core));
    c.call.caller.conn = peer->key;
    assert_int_equal(
        row->decode_rpc(&c.call,
                        SPAN("{\"serviceName\":\"a\",\"groupName\":\"G\",\"type\":"
                             "\"registerInstance\",\"instance\":{\"ip\":\"10.0.0.1\"}}"),
                        &fail),
        0);
    rig_post(b.core, &c);
    assert_int_equal(rig_wait(&c), 1);
    assert_int_equal(c.call.reply.fail.code, 0);
    rig_look(b.core, scrape_on_core, &b);
    assert_true(figure(b.text, "name=\"serviceCount\"} ") == 1);
    assert_true(figure(b.text, "name=\"ipCount\"} ") == 1);
    assert_true(figure(b.text, "name=\"longConnection\"} ") == 1);
    assert_true(figure(b.text, "nacos_naming_publisher{version=\"v2\"} ") == 1);
    assert_true(figure(b.text, "\nnacre_registrations_total ") == 1);
    assert_true(figure(b.text, "\nnacre_log_applied_index ") >= 1);
    rig_close_conn(b.core, peer);
    rig_look(b.core, scrape_on_core, &b);
    assert_true(figure(b.text, "name=\"ipCount\"} ") == 0);
    assert_true(figure(b.text, "nacre_removals_total{reason=\"its connection closed\"} ") == 1);
    core_stop(b.core);
    rig_call_close(&c);
    peer_unref(peer);
    close_bed(&b);
}

int main(void)
{
    thread_become(THREAD_CORE, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__every_line__can_be_scraped),
        cmocka_unit_test(test_text__no_sample_and_no_family__stands_twice),
        cmocka_unit_test(test_series__of_nacos__are_there),
        cmocka_unit_test(test_process__figures__are_those_of_this_process),
        cmocka_unit_test(test_figures__follow_the_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
