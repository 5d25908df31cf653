// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "rafter/core/sha256.hpp"
#include "rafter/io/file.hpp"

namespace rafter {

/// SHA-256 of the bytes of a file, 64 hexadecimal digits. @throws io_error when it cannot be read
inline std::string file_sha256(const std::string& path) { return sha256_hex(read_file(path).view()); }

}  // namespace rafter
