/* Admit on a node whose state is behind what other nodes have answered: it neither refuses nor
 * swallows anything because of it, and the refusals of apply have the same words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "naming_cluster.h"

static struct cluster c;

static int begin(void **state)
{
    (void)state;
    struct naming_options options = story_options();
    cluster_begin(&c, &options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cluster_end(&c);
    return 0;
}

static void http(size_t i, const char *service, const char *ip)
{
    struct instance_data data = story_instance(ip, 80);
    assert_int_equal(story_register_http(&c.node[i], service, &data), 0);
}

static struct naming_overlay disabled(const char *service, bool patch)
{
    return (struct naming_overlay){
        .service = story_name(service),
        .ip = SPAN("10.0.0.2"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_enabled = true,
        .patch = patch,
    };
}

/* Node 1 is behind node 0, which has answered a registration. */
static void answered_elsewhere(void)
{
    c.is_behind[1] = true;
    http(0, "a", "10.0.0.2");
    assert_int_equal(cluster_result(&c, 0), 0);
    assert_null(story_service(&c.node[1], "a"));
}

static void catch_up(void)
{
    c.is_behind[1] = false;
    cluster_turn(&c);
}

static void test_deregister__of_what_is_not_applied_here__counts(void **state)
{
    (void)state;
    answered_elsewhere();
    struct naming_unpublish u = {
        .service = story_name("a"),
        .kind = CLIENT_HTTP,
        .client = SPAN("10.0.0.2:80#true"),
        .reason = REMOVAL_HTTP_DEREGISTERED,
    };
    assert_int_equal(story_unpublish(&c.node[1], &u), 0);
    catch_up();
    assert_int_equal(cluster_result(&c, 1), 0);
    assert_int_equal(story_listed(&c.node[0], "a"), 0);
}

static void test_overlay__over_what_is_not_applied_here__counts(void **state)
{
    (void)state;
    for (int patch = 0; patch < 2; patch++) {
        answered_elsewhere();
        struct naming_overlay o = disabled("a", patch == 1);
        assert_int_equal(story_overlay(&c.node[1], &o), 0);
        catch_up();
        assert_int_equal(cluster_result(&c, 1), 0);
        assert_false(story_find(&c.node[0], "a", "10.0.0.2", 80)->enabled);
        (void)end(NULL);
        (void)begin(NULL);
    }
}

static void test_record__made_elsewhere__is_changed_and_removed_here(void **state)
{
    (void)state;
    c.is_behind[1] = true;
    struct naming_service_put put = {
        .service = story_name("r"), .create = true, .ephemeral = true, .protect_threshold = 0.5};
    assert_int_equal(story_service_put(&c.node[0], &put), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
    put.create = false;
    put.protect_threshold = 0.25;
    assert_int_equal(story_service_put(&c.node[1], &put), 0);
    catch_up();
    assert_int_equal(cluster_result(&c, 1), 0);
    assert_true(story_service(&c.node[2], "r")->protect_threshold == 0.25);
    assert_int_equal(story_service_remove(&c.node[1], "r"), 0);
    assert_int_equal(cluster_result(&c, 1), 0);
    assert_null(story_service(&c.node[2], "r"));
}

/* Its record was removed through another node, and is there no more when this one is made. */
static void test_record__removed_elsewhere__is_made_anew_here(void **state)
{
    (void)state;
    struct naming_service_put put = {
        .service = story_name("r"), .create = true, .ephemeral = true, .protect_threshold = 0.5};
    assert_int_equal(story_service_put(&c.node[0], &put), 0);
    cluster_turn(&c);
    c.is_behind[1] = true;
    assert_int_equal(story_service_remove(&c.node[0], "r"), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
    assert_non_null(story_service(&c.node[1], "r"));
    assert_int_equal(story_service_put(&c.node[1], &put), 0);
    catch_up();
    assert_int_equal(cluster_result(&c, 1), 0);
    assert_true(story_service(&c.node[2], "r")->has_record);
}

static void test_remove__of_a_service_emptied_elsewhere__counts(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    cluster_turn(&c);
    c.is_behind[1] = true;
    struct naming_unpublish u = {
        .service = story_name("a"),
        .kind = CLIENT_HTTP,
        .client = SPAN("10.0.0.2:80#true"),
        .reason = REMOVAL_HTTP_DEREGISTERED,
    };
    assert_int_equal(story_unpublish(&c.node[0], &u), 0);
    cluster_turn(&c);
    assert_int_equal(story_service_remove(&c.node[1], "a"), 0);
    catch_up();
    assert_int_equal(cluster_result(&c, 1), 0);
    assert_null(story_service(&c.node[0], "a"));
}

/* Its kind is free again: the last ephemeral instance was deregistered through another node. */
static void test_register__kind_that_is_free_again__counts(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    cluster_turn(&c);
    c.is_behind[1] = true;
    struct naming_unpublish u = {
        .service = story_name("a"),
        .kind = CLIENT_HTTP,
        .client = SPAN("10.0.0.2:80#true"),
        .reason = REMOVAL_HTTP_DEREGISTERED,
    };
    assert_int_equal(story_unpublish(&c.node[0], &u), 0);
    cluster_turn(&c);
    assert_int_equal(story_register_persistent(&c.node[1], "a", "10.0.0.3", 80), 0);
    catch_up();
    assert_int_equal(cluster_result(&c, 1), 0);
    assert_int_equal(story_listed(&c.node[0], "a"), 1);
}

/* What a node that is alone says at once, word for word. */
static void refuse(const struct fail *alone)
{
    const struct fail *fail = &c.node[1].fail;
    assert_int_equal(cluster_result(&c, 1), alone->code);
    assert_string_equal(fail->text, alone->text);
    assert_int_equal(fail->nacos, alone->nacos);
    assert_int_equal(fail->v2, alone->v2);
}

static void test_refusals__have_the_words_of_a_node_that_is_alone(void **state)
{
    (void)state;
    struct story one;
    struct naming_options options = story_options();
    story_begin(&one, &options);
    struct story *s = &c.node[1];
    struct instance_data data = story_instance("10.0.0.3", 80);
    assert_int_equal(story_register_http(&one, "full", &data), 0);
    assert_int_equal(story_register_http(s, "full", &data), 0);
    cluster_turn(&c);

    struct naming_overlay o = disabled("none", false);
    assert_int_equal(story_overlay(&one, &o), E_INVALID);
    assert_int_equal(story_overlay(s, &o), 0);
    refuse(&one.fail);
    o.patch = true;
    assert_int_equal(story_overlay(&one, &o), E_NOT_FOUND);
    assert_int_equal(story_overlay(s, &o), 0);
    refuse(&one.fail);
    o = disabled("full", true);
    assert_int_equal(story_overlay(&one, &o), E_NOT_FOUND);
    assert_string_equal(one.fail.text, "no matched ip found!");
    assert_int_equal(story_overlay(s, &o), 0);
    refuse(&one.fail);

    assert_int_equal(story_register_persistent(&one, "full", "10.0.0.4", 80), E_INVALID);
    assert_int_equal(story_register_persistent(s, "full", "10.0.0.4", 80), 0);
    refuse(&one.fail);
    assert_int_equal(story_service_remove(&one, "full"), E_INVALID);
    assert_int_equal(story_service_remove(s, "full"), 0);
    refuse(&one.fail);
    assert_int_equal(story_service_remove(&one, "none"), E_INVALID);
    assert_int_equal(story_service_remove(s, "none"), 0);
    refuse(&one.fail);
    struct naming_service_put put = {.service = story_name("full"), .create = true};
    assert_int_equal(story_service_put(&one, &put), E_INVALID);
    assert_int_equal(story_service_put(s, &put), 0);
    refuse(&one.fail);
    put = (struct naming_service_put){.service = story_name("none")};
    assert_int_equal(story_service_put(&one, &put), E_INVALID);
    assert_int_equal(story_service_put(s, &put), 0);
    refuse(&one.fail);
    story_end(&one);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_deregister__of_what_is_not_applied_here__counts),
        TEST(test_overlay__over_what_is_not_applied_here__counts),
        TEST(test_record__made_elsewhere__is_changed_and_removed_here),
        TEST(test_record__removed_elsewhere__is_made_anew_here),
        TEST(test_remove__of_a_service_emptied_elsewhere__counts),
        TEST(test_register__kind_that_is_free_again__counts),
        TEST(test_refusals__have_the_words_of_a_node_that_is_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
