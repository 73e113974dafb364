#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/crc32c.h"

/* RFC 3720, appendix B.4. */
static void test_crc32c__vectors_of_the_rfc__agree(void **state)
{
    (void)state;
    unsigned char bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)i;
    }
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
}

static void test_crc32c__in_parts__is_that_of_the_whole(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(crc32c(7, "", 0), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c__vectors_of_the_rfc__agree),
        cmocka_unit_test(test_crc32c__in_parts__is_that_of_the_whole),
    };
    return cmocka_run_group_tests_name("consensus.crc32c", tests, NULL, NULL);
}
