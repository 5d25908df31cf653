// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/digest.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/message.hpp"

namespace {

using namespace rafter;

TEST(FileDigest, IsTheSha256OfTheBytes) {
  const auto path = std::filesystem::temp_directory_path() / "rafter_file_digest_test.txt";
  write_file(path.string(), "abc");  // FIPS 180-4's example
  EXPECT_EQ(file_sha256(path.string()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::filesystem::remove(path);
}

TEST(FileDigest, OfAMissingFileIsAnError) {
  EXPECT_EQ(message_of([] { file_sha256("no/such/file"); }), "no/such/file: cannot open: No such file or directory");
}

}  // namespace
