#!/usr/bin/env python3
import unittest

import contracts
import report

HEAD = "/* X: what it is. */\n#ifndef X\n#define X\n\n"


class Contracts(report.TreeTest):
    def lines(self, text: str) -> list[str]:
        return self.found(contracts.check, {"src/base/x.h": text})

    def test_a_function_without_a_comment_is_found(self):
        self.assertEqual(self.lines(HEAD + "int x_do(int a,\n         int b);\n"), ["src/base/x.h:5"])
        self.assertEqual(self.lines(HEAD + "struct x {\n    int a; /* b */\n};\n\nvoid x_do(struct x *x);\n"), ["src/base/x.h:9"])

    def test_a_comment_that_is_not_directly_above_does_not_count(self):
        self.assertEqual(self.lines(HEAD + "/* Does. */\n\nint x_do(void);\n"), ["src/base/x.h:7"])
        self.assertEqual(self.lines(HEAD + "/* Does. */\n#define Y 1\nint x_do(void);\n"), ["src/base/x.h:7"])
        self.assertEqual(self.lines(HEAD + "/* Limit. */\nstruct y {\n    int a;\n};\nint x_do(void);\n"), ["src/base/x.h:9"])

    def test_a_comment_above_counts(self):
        self.assertEqual(self.lines(HEAD + "/* Does.\n * E_IO no disk */\nMUST_USE int x_do(int a,\n                  int b);\n"), [])

    def test_a_family_shares_one(self):
        self.assertEqual(self.lines(HEAD + "/* The levels. */\nvoid x_set(int a);\nint x_get(void);\n"), [])

    def test_a_comment_at_the_end_of_the_line_counts_for_its_own_line_only(self):
        self.assertEqual(self.lines(HEAD + "void x_a(void); /* { */\nvoid x_b(void);\n"), ["src/base/x.h:6"])

    def test_what_is_no_prototype_passes(self):
        self.assertEqual(self.lines(HEAD + """\
typedef void (*x_fn)(void *arg);
extern int (*const x_hook)(void);
_Static_assert(sizeof(int) == 4, "int");
struct x {
    void (*call)(void *self);
};
static inline int x_one(void)
{
    return 1;
}
#define X_MAP(X) \\
    X(a, 1) \\
    X(b, 2)
enum x_kind {
#define X(a, b) a = b,
    X_MAP(X)
#undef X
};
"""), [])

    def test_an_attribute_is_not_the_name(self):
        found = list(contracts.check(self.tree({"src/base/x.h": HEAD + "void x_say(const char *f, ...) PRINTF_LIKE(1, 2);\n"})))
        self.assertIn("x_say", found[0].text)

    def test_a_header_opens_with_its_contract(self):
        self.assertEqual(self.lines("#ifndef X\n#define X\n#endif\n"), ["src/base/x.h:1"])


if __name__ == "__main__":
    unittest.main()
