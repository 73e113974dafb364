#include "console/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"

static struct span asset(const char *path)
{
    size_t count = 0;
    const struct http_asset *list = console_assets(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].path, path) == 0) {
            return span_of((const char *)list[i].data, list[i].len);
        }
    }
    return (struct span){0};
}

/* What the build embedded is the file in the tree, byte for byte. */
static void same_as_file(const char *path, const char *file)
{
    char name[512];
    snprintf(name, sizeof(name), "%s/src/console/web/%s", NACRE_SOURCE_DIR, file);
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    struct span s = asset(path);
    char *text = malloc(s.len + 1);
    assert_int_equal(fread(text, 1, s.len + 1, f), s.len);
    assert_memory_equal(text, s.data, s.len);
    free(text);
    fclose(f);
}

static bool has(struct span s, const char *part)
{
    return memmem(s.data, s.len, part, strlen(part)) != NULL;
}

static void test_assets__are_the_files(void **state)
{
    (void)state;
    same_as_file("/", "index.html");
    same_as_file("/index.html", "index.html");
    same_as_file("/console.css", "console.css");
    same_as_file("/console.js", "console.js");
}

static void test_page__has_no_inline_script_and_loads_nothing_from_elsewhere(void **state)
{
    (void)state;
    struct span page = asset("/");
    assert_false(has(page, "<script>"));
    assert_false(has(page, "onclick="));
    assert_false(has(page, "http://"));
    assert_false(has(page, "https://"));
    assert_false(has(asset("/console.css"), "url("));
    assert_false(has(asset("/console.js"), "http"
                                           "s://"));
}

static void test_script__writes_text_only(void **state)
{
    (void)state;
    static const char *const markup[] = {"innerHTML",      "outerHTML", "insertAdjacentHTML",
                                         "document.write", "eval(",     "new Function"};
    for (size_t i = 0; i < sizeof(markup) / sizeof(markup[0]); i++) {
        assert_false(has(asset("/console.js"), markup[i]));
    }
}

/* Every data-text of the page is a key of both languages. */
static void test_words__exist_in_both_languages(void **state)
{
    (void)state;
    struct span page = asset("/");
    struct span script = asset("/console.js");
    const char *zh = memmem(script.data, script.len, "\n  zh: {", 8);
    assert_non_null(zh);
    struct span english = span_of(script.data, (size_t)(zh - script.data));
    struct span chinese = span_of(zh, (size_t)(script.data + script.len - zh));
    const char *at = page.data;
    int count = 0;
    while ((at = memmem(at, (size_t)(page.data + page.len - at), "data-text=\"", 11))) {
        at += 11;
        char key[64];
        assert_int_equal(sscanf(at, "%60[A-Za-z]", key), 1);
        strcat(key, ":");
        assert_true(has(english, key));
        assert_true(has(chinese, key));
        count++;
    }
    assert_true(count > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assets__are_the_files),
        cmocka_unit_test(test_page__has_no_inline_script_and_loads_nothing_from_elsewhere),
        cmocka_unit_test(test_script__writes_text_only),
        cmocka_unit_test(test_words__exist_in_both_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
