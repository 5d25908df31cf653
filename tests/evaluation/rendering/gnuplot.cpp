// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/rendering/gnuplot.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "rafter/evaluation/rendering/gnuplot_process.hpp"
#include "support/made_report.hpp"

namespace {

using namespace rafter;

plot picture_of(const std::string& name, series_style style = series_style::lines) {
  plot made;
  made.id = "made";
  made.title = name;
  made.x = {name, false};
  made.y = {name, false};
  made.series = {{name, style, {1.0, 2.0, 3.0, 4.0}, {2.0, 1.0, 4.0, 3.0}}};
  if (style == series_style::bars) made.categories = {"a", name, "c", "d"};
  return made;
}
std::vector<std::string> hostile_names(const std::string& command) {
  return {"it's '' a 'quote'''",
          "''; system('" + command + "') #",
          "'''''; system('" + command + "') #",
          "\"double\" \\\" \\' \\n",
          "`" + command + "`",
          "$(" + command + ")",
          "a\nsystem('" + command + "')\n!" + command + "\nplot x",
          "'; system('" + command + "'); '",
          "\\'; system('" + command + "') #",
          "@run @ARG0 $series0 %s {/Symbol a}_b^c &{x}",
          "µs · 時間 …",
          "END\nEND",
          std::string("nul\0byte", 8),
          "\xff\xfe not UTF-8",
          std::string(100000, 'x'),
          "]]> --> </svg><script>alert(1)</script> & \"a\" 'b'"};
}
/// Texts of a picture's <text> elements, as HTML has them.
std::string texts_of(const std::string& svg) {
  std::string found;
  const std::regex text("<text>([^<]*)</text>");
  for (std::sregex_iterator at(svg.begin(), svg.end(), text), end; at != end; ++at) found += (*at)[1].str() + "\n";
  return found;
}
std::vector<std::string> ids_of(const std::string& page) {
  std::vector<std::string> found;
  const std::regex id("\\bid=[\"']([^\"']*)[\"']");
  for (std::sregex_iterator at(page.begin(), page.end(), id), end; at != end; ++at) found.push_back((*at)[1]);
  return found;
}

TEST(Gnuplot, WritesEachNameInSingleQuotesOnOneLine) {
  for (const std::string& name : hostile_names("true")) {
    const std::string quoted = detail::gnuplot_quoted(name);
    EXPECT_EQ(quoted.front(), '\'');
    EXPECT_EQ(quoted.back(), '\'');
    EXPECT_EQ(quoted.find_first_of(std::string("\n\r\0\xff", 4)), std::string::npos);
    EXPECT_LE(quoted.size(), 1000U);
    EXPECT_EQ(quoted.find('\'', 1), quoted.size() - 1) << name;  // none inside, not even doubled
  }
}
TEST(Gnuplot, DrawsHostileNamesAndRunsNoneOfThem) {
  if (!gnuplot_is_there()) GTEST_SKIP() << "gnuplot: absent, pictures with hostile names are not drawn";
  const auto witness = std::filesystem::temp_directory_path() / "rafter_gnuplot_witness";
  std::filesystem::remove(witness);
  for (const std::string& name : hostile_names("touch " + witness.string())) {
    for (const series_style style : {series_style::lines, series_style::bars}) {
      const plot picture = picture_of(name, style);
      const auto svg = run_gnuplot(gnuplot_script(picture));
      ASSERT_TRUE(svg) << name.substr(0, 100);
      const std::string made = inline_svg(*svg, picture);
      EXPECT_NE(made.find("<path"), std::string::npos) << name.substr(0, 100);
      EXPECT_EQ(made.find("<script"), std::string::npos);
      EXPECT_EQ(made.find("</svg>"), made.rfind("</svg>"));
      EXPECT_FALSE(std::filesystem::exists(witness)) << name.substr(0, 100);
    }
  }
  const auto svg = run_gnuplot(gnuplot_script(picture_of("`date` @x $(y) it's <b> a_{b}")));
  ASSERT_TRUE(svg);
  EXPECT_NE(texts_of(*svg).find("`date` @x $(y) it’s &lt;b> a_{b}\n"), std::string::npos) << texts_of(*svg);
}
TEST(Gnuplot, DrawsEveryStyleOnEveryAxis) {
  if (!gnuplot_is_there()) GTEST_SKIP() << "gnuplot: absent, styles are not drawn";
  for (const series_style style :
       {series_style::points, series_style::lines, series_style::steps, series_style::bars}) {
    for (const bool logarithmic : {false, true}) {
      plot picture = picture_of("name", style);
      picture.x.logarithmic = picture.y.logarithmic = logarithmic;
      for (const double scale : {1e-9, 1.0, 1e12}) {
        for (double& value : picture.series[0].y) value *= scale;
        const auto drawn = gnuplot_renderer()(picture);
        ASSERT_TRUE(drawn);
        const char* const element = style == series_style::points ? "<circle"
                                    : style == series_style::bars ? "<polygon"
                                                                  : "<path";
        EXPECT_NE(drawn->find(element), std::string::npos) << gnuplot_script(picture) << *drawn;
        EXPECT_NE(drawn->find("#0072b2"), std::string::npos);
      }
    }
  }
}
TEST(Gnuplot, MakesPicturesThatShareAPage) {
  evaluation_report report = tiny::made_report();
  report_section first = tiny::made_section(), second = tiny::made_section();
  first.id = "first";
  second.id = "second";
  for (section_block& block : second.blocks) {
    if (auto* picture = std::get_if<plot>(&block)) picture->id += "-2";
  }
  report.sections = {first, second};
  if (!gnuplot_is_there()) GTEST_SKIP() << "gnuplot: absent, the ids of pictures are not compared";
  const std::string page = html_of(report, {.draw = gnuplot_renderer()});
  const std::vector<std::string> ids = ids_of(page);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
  EXPECT_GE(ids.size(), 12U);
  const std::regex link("(href|aria-labelledby)=\"#?([^\"]*)\"");
  for (std::sregex_iterator at(page.begin(), page.end(), link), end; at != end; ++at) {
    std::istringstream names((*at)[2].str());
    for (std::string name; names >> name;) EXPECT_NE(std::find(ids.begin(), ids.end(), name), ids.end()) << name;
  }
  for (const char* fixed : {"\"white\"", "\"black\"", "#010203", "#040506", "xlink", "<defs"}) {
    EXPECT_EQ(page.substr(page.find("<main>")).find(fixed), std::string::npos) << fixed;
  }
}
TEST(Gnuplot, LeavesOutWhatHasNoPlaceOnAnAxisAndCountsIt) {
  plot picture = picture_of("name", series_style::points);
  picture.x.logarithmic = true;
  picture.series[0].x[0] = 0.0;
  picture.series[0].x[1] = -1.0;
  picture.series[0].y[2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(points_left_out(picture), 3U);
  EXPECT_NE(html_omissions(picture).find("3 points have no place on these axes"), std::string::npos);
  EXPECT_EQ(html_omissions(picture_of("name")), "");
  EXPECT_NE(gnuplot_script(picture).find("$series0 << END\n4 3\nEND\n"), std::string::npos)
      << gnuplot_script(picture);
  picture.series[0].x[3] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(gnuplot_script(picture), "");
}
TEST(Gnuplot, DrawsWhatIsNearTheEndsOfDoublesOrLeavesItOut) {
  for (const std::vector<double>& values : {std::vector<double>{1e-320, 1.7e308, 1.0, 2.0},
                                            {-1.7e308, 1.7e308, 1.0, 2.0},
                                            {1e-280, 1e280, 1.0, 2.0},
                                            {-1e280, 1e280, 1.0, 2.0},
                                            {1e-320, 2e-320, 3e-320, 4e-320},
                                            {1.0, 1.0 + 1e-12, 1.0, 1.0}}) {
    for (const bool logarithmic : {false, true}) {
      plot picture = picture_of("name", series_style::points);
      picture.series[0].y = picture.series[0].x = values;
      picture.y.logarithmic = picture.x.logarithmic = logarithmic;
      const std::string script = gnuplot_script(picture);
      EXPECT_EQ(script.find("inf"), std::string::npos) << script;
      EXPECT_EQ(script.find("nan"), std::string::npos) << script;
      EXPECT_EQ(script.empty(), !has_points(picture));
      if (script.empty() || !gnuplot_is_there()) continue;
      const auto drawn = gnuplot_renderer()(picture);
      ASSERT_TRUE(drawn) << script;
      EXPECT_NE(drawn->find("<circle"), std::string::npos) << script;
    }
  }
}
TEST(Gnuplot, GivesEverySeriesAColourOfItsOwnUpToTen) {
  plot picture = picture_of("one");
  while (picture.series.size() < 10) picture.series.push_back(picture.series[0]);
  std::set<std::string> colours;
  for (const series_look& one : looks_of(picture)) colours.insert(one.colour);
  EXPECT_EQ(colours.size(), 10U);
  EXPECT_FALSE(colours.contains(""));
}
TEST(Gnuplot, EscapesTheLegend) {
  EXPECT_NE(html_legend(picture_of("<i>\"x\"")).find("</span>&lt;i&gt;&quot;x&quot;</li>"), std::string::npos);
  EXPECT_EQ(html_legend(picture_of("")), "");
}
TEST(Gnuplot, WritesTicksForReaders) {
  EXPECT_EQ(detail::tick_text(10000.0), "10,000");
  EXPECT_EQ(detail::tick_text(-1234.5), "-1,234.5");
  EXPECT_EQ(detail::tick_text(0.05), "0.05");
  EXPECT_EQ(detail::tick_text(1e9), "10⁹");
  EXPECT_EQ(detail::tick_text(-5e14), "-5×10¹⁴");
  EXPECT_EQ(detail::tick_text(2e-5), "2×10⁻⁵");
  EXPECT_EQ(detail::tick_text(0.0), "0");
  EXPECT_EQ(detail::log_ticks({1.0, 100.0}), (std::vector<double>{1, 2, 5, 10, 20, 50, 100}));
  EXPECT_EQ(detail::log_ticks({1.0, 1e5}).size(), 6U);
  EXPECT_GE(detail::log_ticks({10.0, 12.0}).size(), 3U);
}

}  // namespace
