// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#if defined(__GNUC__) && !defined(__clang__)  // g++ 12 suspects <regex>, which xt::load_npy uses, when sanitizing
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "rafter/io/npy.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

namespace {

using rafter::io_error;
using rafter::parse_npy;

/// The bytes of an .npy file with this header text and data.
std::string npy(const std::string& header, const std::string& data, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  const std::size_t length = header.size();
  for (unsigned i = 0; i < (version == 1 ? 2U : 4U); ++i) bytes += static_cast<char>(length >> (8U * i) & 0xffU);
  return bytes + header + data;
}

std::string dictionary(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }   \n";
}

template <class T> std::string bytes_of(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), std::data(values), bytes.size());
  return bytes;
}

const std::string six = bytes_of<double>({1, 2, 3, 4, 5, 6});

template <class T = double, std::size_t N = 1> std::string message(const std::string& bytes) {
  try {
    parse_npy<T, N>(bytes, "a.npy");
  } catch (const io_error& error) {
    return error.what();
  }
  return "no io_error";
}

TEST(Npy, ReadsCAndFortranOrderToTheSameMatrix) {
  const xt::xtensor<double, 2> expected{{1, 2, 3}, {4, 5, 6}};
  EXPECT_EQ((parse_npy<double, 2>(npy(dictionary("<f8", "(2, 3)"), six), "c")), expected);
  const std::string columns = bytes_of<double>({1, 4, 2, 5, 3, 6});
  EXPECT_EQ((parse_npy<double, 2>(npy(dictionary("<f8", "(2, 3)", "True"), columns), "f")), expected);
}

TEST(Npy, ReadsEachElementTypeInBothVersions) {
  EXPECT_EQ((parse_npy<float, 1>(npy(dictionary("<f4", "(2,)"), bytes_of<float>({1.5F, -2})), "a")),
            (xt::xtensor<float, 1>{1.5F, -2}));
  EXPECT_EQ((parse_npy<std::int32_t, 1>(npy(dictionary("<i4", "(2,)"), bytes_of<std::int32_t>({1, -2}), 2), "a")),
            (xt::xtensor<std::int32_t, 1>{1, -2}));
  EXPECT_EQ((parse_npy<std::int64_t, 1>(npy(dictionary("<i8", "(1,)"), bytes_of<std::int64_t>({1LL << 60})), "a")),
            (xt::xtensor<std::int64_t, 1>{1LL << 60}));
  EXPECT_EQ((parse_npy<bool, 1>(npy(dictionary("|b1", "(2,)"), std::string("\1\0", 2)), "a")),
            (xt::xtensor<bool, 1>{true, false}));
}

TEST(Npy, ReadsEmptyArraysLongHeadersAndKeysInAnyOrder) {
  EXPECT_EQ((parse_npy<double, 1>(npy(dictionary("<f8", "(0,)"), ""), "a").size()), 0U);
  EXPECT_EQ((parse_npy<double, 2>(npy(dictionary("<f8", "(0, 5)"), ""), "a").shape(1)), 5U);
  const std::string any_order = "{\"shape\":(6,),'descr':'<f8','fortran_order':False}" + std::string(150, ' ');
  EXPECT_EQ((parse_npy<double, 1>(npy(any_order, six), "a")(5)), 6.0);  // length byte above 0x7f
}

TEST(Npy, ReadsWhatXtensorWritesAndXtensorReadsIt) {
  const xt::xtensor<double, 2> matrix{{1, 2.5}, {-3, 1e300}};
  const std::string bytes = xt::dump_npy(matrix);
  EXPECT_EQ((parse_npy<double, 2>(bytes, "a")), matrix);
  std::istringstream stream(bytes);
  EXPECT_EQ(xt::load_npy<double>(stream), matrix);
}

TEST(Npy, WritesFilesThatReadBackInEitherOrder) {
  const std::string path = std::filesystem::temp_directory_path() / "rafter-npy-test.npy";
  const xt::xtensor<double, 2> matrix{{1, 2, 3}, {4, 5, 6}};
  rafter::write_npy(path, matrix);
  EXPECT_EQ((rafter::read_npy<double, 2>(path)), matrix);
  const xt::xtensor<double, 2, xt::layout_type::column_major> columns = matrix;
  rafter::write_npy(path, columns);
  EXPECT_TRUE(rafter::parse_npy_header(rafter::read_file(path).view(), path).fortran_order);
  EXPECT_EQ((rafter::read_npy<double, 2>(path)), matrix);
  EXPECT_THROW((rafter::read_npy<double, 1>(path)), io_error);
  std::filesystem::remove(path);
  EXPECT_THROW((rafter::read_npy<double, 2>(path)), io_error);
}

TEST(Npy, RefusesTruncatedFilesAndBytesBehindTheArray) {
  const std::string whole = npy(dictionary("<f8", "(6,)"), six);
  EXPECT_EQ(message(whole.substr(0, whole.size() - 1)),
            "a.npy: truncated: shape (6) of '<f8' needs 48 bytes of data, found 47");
  EXPECT_EQ(message(whole + "x"),
            "a.npy: bytes behind the array: shape (6) of '<f8' needs 48 bytes of data, found 49");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(message(whole.substr(0, size)), "no io_error") << size;
  }
}

TEST(Npy, RefusesOtherDtypesByName) {
  EXPECT_EQ(message(npy(dictionary("<f4", "(6,)"), six)),
            "a.npy: field 'descr': '<f4' is not the dtype asked for, expected '<f8'");
  EXPECT_EQ(message(npy(dictionary(">f8", "(6,)"), six)),
            "a.npy: field 'descr': '>f8' is big-endian, expected '<f8'");
  EXPECT_EQ(message(npy(dictionary("|O", "(6,)"), six)),
            "a.npy: field 'descr': '|O' holds pickled Python objects, which are never loaded, expected '<f8'");
  EXPECT_EQ(message(npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (6,)}", six)),
            "a.npy: field 'descr': '[('a', '<f8')], 'fortran_order': False, 'shape': (6,)}' is a structured dtype, "
            "expected plain numbers");
}

TEST(Npy, RefusesShapesThatOverflowOrHaveOtherDimensions) {
  EXPECT_EQ((message<double, 2>(npy(dictionary("<f8", "(4294967296, 4294967296)"), six))),
            "a.npy: field 'shape': '(4294967296, 4294967296)' is larger than any memory");
  EXPECT_NE(message(npy(dictionary("<f8", "(2305843009213693952,)"), "")).find("larger than any memory"),
            std::string::npos);  // times 8 bytes = 2^64
  EXPECT_NE(message(npy(dictionary("<f8", "(99999999999999999999,)"), six)).find("overflows an extent"),
            std::string::npos);
  EXPECT_EQ((message<double, 1>(npy(dictionary("<f8", "(2, 3)"), six))),
            "a.npy: field 'shape': '(2, 3)' has 2 dimensions, expected 1");
}

TEST(Npy, RefusesGarbageInTheHeaderAndSaysWhere) {
  EXPECT_EQ(message("PK\x03\x04 zip file"), "a.npy: 'PK\\x03\\x04 z' is not the beginning of an npy file");
  EXPECT_EQ(message(npy(dictionary("<f8", "(6,)"), six, 3)),
            "a.npy: npy version 3.0 is not supported, expected 1.0 or 2.0");
  EXPECT_EQ(message(npy("garbage", six)), "a.npy: 'garbage' stands where '{' is expected (npy header, byte 1)");
  EXPECT_EQ(message(npy("{'descr': '<f8', 'shape': (-1,)", six)),
            "a.npy: '-1,)' is not an extent (npy header, byte 28)");
  EXPECT_EQ(message(npy("{'descr': '<f8', 'shape': (6,)}", six)),
            "a.npy: field 'fortran_order': is missing from the npy header");
  EXPECT_EQ(message(npy("{'descr': '<f8', 'descr': '<f8'}", six)),
            "a.npy: field 'descr': is given twice in the npy header");
  EXPECT_EQ(message(npy("{'descr': '<f8'", six)), "a.npy: the npy header ends too early");
  EXPECT_EQ(message(npy("{'mode': 1}", six)), "a.npy: 'mode' is not a key of an npy header");
  EXPECT_EQ(message(npy(dictionary("<f8", "(6,)", "Maybe"), six)).substr(0, 14), "a.npy: 'Maybe,");
}

TEST(Npy, RefusesABoolThatIsNeitherZeroNorOne) {
  EXPECT_EQ(message<bool>(npy(dictionary("|b1", "(2,)"), "\1\2")), "a.npy: '\\x02' is not a bool (element 1)");
}

}  // namespace
