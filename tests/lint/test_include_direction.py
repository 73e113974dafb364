#!/usr/bin/env python3
import unittest

import include_direction
import report


class IncludeDirection(report.TreeTest):
    def expect(self, path: str, include: str, is_found: bool) -> None:
        found = self.found(include_direction.check, {path: f"/* x */\n#include {include}\n"})
        self.assertEqual(found, [f"{path}:2"] if is_found else [], f"{include} in {path}")

    def test_lower_layers_and_own_folder_are_open(self):
        self.expect("src/naming/admit.c", '"base/err.h"', False)
        self.expect("src/naming/admit.c", '"naming/service.h"', False)
        self.expect("src/main.c", '"node/boot.h"', False)
        self.expect("src/base/mem.c", "<stdlib.h>", False)

    def test_upwards_is_found(self):
        self.expect("src/base/log.c", '"loop/loop.h"', True)
        self.expect("src/naming/react.c", '"rpc/stream.h"', True)
        self.expect("src/naming/react.h", '"http/request.h"', True)

    def test_neighbours_are_closed(self):
        self.expect("src/conn/conn.c", '"view/view.h"', True)
        self.expect("src/rpc/call.c", '"http/request.h"', True)
        self.expect("src/main.c", '"bench/load.h"', True)

    def test_paths_start_at_src(self):
        self.expect("src/base/log.c", '"err.h"', True)
        self.expect("src/base/log.c", '"../base/err.h"', True)

    def test_each_library_has_its_home(self):
        self.expect("src/rpc/call.c", "<grpc/grpc.h>", False)
        self.expect("src/node/boot.c", "<grpc/grpc.h>", True)
        self.expect("src/http/server.c", "<microhttpd.h>", False)
        self.expect("src/naming/naming_http.c", "<microhttpd.h>", True)
        self.expect("src/loop/loop.c", "<uv.h>", False)
        self.expect("src/conn/conn.c", "<uv.h>", True)
        self.expect("src/naming/repo.c", "<sqlite3.h>", True)
        self.expect("src/naming/repo.c", "<mysql/mysql.h>", True)
        self.expect("src/naming/naming_op.c", '"naming_op.pb-c.h"', False)
        self.expect("src/base/x.c", '"naming_op.pb-c.h"', True)

    def test_unknown_folder_needs_a_layer(self):
        self.assertEqual(self.found(include_direction.check, {"src/utils/x.c": "\n"}), ["src/utils/x.c:1"])


if __name__ == "__main__":
    unittest.main()
