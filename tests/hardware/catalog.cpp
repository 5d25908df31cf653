// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/hardware/catalog.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace {

using namespace rafter;

double tera(const accelerator_record& device, precision format) { return peak_of(device, format).value / 1e12; }

TEST(HardwareCatalog, HoldsTheDesignsFigures) {
  const accelerator_record h100 = find_accelerator("h100");
  EXPECT_DOUBLE_EQ(tera(h100, precision::bf16), 989.4);
  EXPECT_DOUBLE_EQ(tera(h100, precision::fp8), 1978.9);
  EXPECT_DOUBLE_EQ(h100.hbm_bandwidth.value, 3.35e12);
  EXPECT_DOUBLE_EQ(h100.hbm_capacity.value, 80e9);
  EXPECT_DOUBLE_EQ(h100.link_bandwidth.value, 900e9);
  const accelerator_record pcie = find_accelerator("H100 PCIe");
  EXPECT_DOUBLE_EQ(tera(pcie, precision::bf16), 756);
  EXPECT_DOUBLE_EQ(pcie.hbm_bandwidth.value, 2e12);
  const accelerator_record h200 = find_accelerator("H200");
  EXPECT_DOUBLE_EQ(tera(h200, precision::bf16), 989.4);
  EXPECT_DOUBLE_EQ(h200.hbm_bandwidth.value, 4.8e12);
  EXPECT_DOUBLE_EQ(h200.hbm_capacity.value, 141e9);
  const accelerator_record a100 = find_accelerator("A100-SXM");
  EXPECT_DOUBLE_EQ(tera(a100, precision::bf16), 312);
  EXPECT_DOUBLE_EQ(a100.hbm_bandwidth.value, 2.039e12);
  EXPECT_DOUBLE_EQ(a100.link_bandwidth.value, 600e9);
}

// The matrix units of all these devices run 16 bits at twice the rate of tf32 and half the rate of 8 bits: a sparse
// figure among the dense ones breaks the ratio. Published figures are rounded, B200's to two digits.
TEST(HardwareCatalog, KeepsTheRatiosOfDensePeaks) {
  for (const std::string_view name : accelerator_names()) {
    const accelerator_record device = find_accelerator(name);
    const double half = tera(device, precision::bf16);
    EXPECT_EQ(tera(device, precision::fp16), half) << name;
    EXPECT_NEAR(tera(device, precision::tf32) * 2 / half, 1, 0.025) << name;
    EXPECT_NEAR(tera(device, precision::int8) / half / 2, 1, 0.015) << name;
    if (device.peak_flops.has(precision::fp8)) {
      EXPECT_EQ(tera(device, precision::fp8), tera(device, precision::int8)) << name;
    }
    if (device.peak_flops.has(precision::fp4)) {
      EXPECT_EQ(tera(device, precision::fp4), 2 * tera(device, precision::fp8)) << name;
    }
    EXPECT_LT(tera(device, precision::fp32), half) << name;
  }
}

// Published beside the peaks (the white papers' tables of the GA100, GA102, AD102, GH100 and GB100, AMD's of CDNA 3).
TEST(HardwareCatalog, KnowsTheMultiprocessorsAndTheCacheOfEveryDevice) {
  for (const std::string_view name : accelerator_names()) {
    const accelerator_record device = find_accelerator(name);
    EXPECT_GE(device.multiprocessors, 50) << name;
    EXPECT_GE(device.cache_capacity.value, 6e6) << name;
    EXPECT_LT(device.cache_capacity.value, 0.01 * device.hbm_capacity.value) << name;
  }
  EXPECT_EQ(find_accelerator("H100 PCIe").multiprocessors, 114);
  EXPECT_EQ(find_accelerator("H200").multiprocessors, 132);
  EXPECT_EQ(find_accelerator("A100-SXM").multiprocessors, 108);
  EXPECT_DOUBLE_EQ(find_accelerator("A100-SXM").cache_capacity.value, 40e6);
}

TEST(HardwareCatalog, FindsEveryDeviceByItsOwnNameAndHasASourceForIt) {
  std::set<std::string> names;
  for (const std::string_view name : accelerator_names()) {
    const accelerator_record device = find_accelerator(name);
    EXPECT_EQ(device.name, name);
    EXPECT_NO_THROW(check(device));
    EXPECT_GT(device.source.size(), 20U);
    names.insert(device.name);
  }
  EXPECT_EQ(names.size(), 13U);
}

TEST(HardwareCatalog, FindsTheNamesThatCudaReports) {
  const auto name = [](const char* reported) { return find_accelerator(reported).name; };
  EXPECT_EQ(name("NVIDIA H100 80GB HBM3"), h100_sxm::name);
  EXPECT_EQ(name("NVIDIA H100 PCIe"), h100_pcie::name);
  EXPECT_EQ(name("NVIDIA H100 NVL"), h100_nvl::name);
  EXPECT_EQ(name("NVIDIA H200"), h200_sxm::name);
  EXPECT_EQ(name("NVIDIA A100-SXM4-80GB"), a100_sxm_80gb::name);
  EXPECT_EQ(name("NVIDIA A100-SXM4-40GB"), a100_sxm_40gb::name);
  EXPECT_EQ(name("NVIDIA A100 80GB PCIe"), a100_pcie_80gb::name);
  EXPECT_EQ(name("NVIDIA L40S"), l40s::name);
  EXPECT_EQ(name("AMD Instinct MI300X"), mi300x::name);
}

TEST(HardwareCatalog, HasOneMeaningPerAlias) {
  std::set<std::string_view> aliases;
  for (const detail::accelerator_alias& entry : detail::accelerator_aliases) {
    EXPECT_TRUE(aliases.insert(entry.alias).second) << entry.alias;
    EXPECT_EQ(detail::plain_device_name(entry.alias), entry.alias);
  }
}

TEST(HardwareCatalog, SuggestsTheNearestDeviceAndListsAll) {
  try {
    find_accelerator("H100 SMX");
    FAIL();
  } catch (const hardware_error& failure) {
    const std::string what = failure.what();
    EXPECT_NE(what.find("unknown accelerator 'H100 SMX'; did you mean 'H100 SXM5 80GB'?"), std::string::npos) << what;
    EXPECT_NE(what.find("MI300X 192GB"), std::string::npos);
  }
  EXPECT_THROW(find_accelerator(""), hardware_error);
  EXPECT_THROW(find_accelerator("A10G"), hardware_error);
}

}  // namespace
