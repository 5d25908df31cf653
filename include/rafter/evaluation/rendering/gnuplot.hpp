// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: plots as scripts for gnuplot, and what makes its SVG part of a page.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/rendering/columns.hpp"
#include "rafter/evaluation/rendering/markup.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/io/error.hpp"

namespace rafter {

/// How a series is drawn. `colour` is #rrggbb, or empty for that of the page's text.
struct series_look {
  std::string colour;
  bool dashed = false;
};

/// Colours that the colour-blind tell apart (Okabe and Ito 2008, "Color Universal Design"; without yellow and black, which
/// a light or a dark page would swallow); from the seventh series on further ones, and dashed from the eleventh. Lines of at most three points among points are references (y = x, a roof): in
/// the colour of the text, dashed.
RAFTER_COLD inline std::vector<series_look> looks_of(const plot& picture) {
  constexpr std::array<std::string_view, 10> palette{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                                     "#56b4e9", "#8c8c8c", "#8a6bd1", "#a98a2e", "#2bb0a6"};
  const bool has_points = std::any_of(picture.series.begin(), picture.series.end(),
                                      [](const plot_series& one) { return one.style == series_style::points; });
  std::vector<series_look> looks;
  std::size_t next = 0;
  for (const plot_series& one : picture.series) {
    if (has_points && one.style == series_style::lines && one.y.size() <= 3) {
      looks.push_back({"", true});
    } else {
      looks.push_back({std::string(palette[next % palette.size()]), next >= palette.size()});
      ++next;
    }
  }
  return looks;
}

struct gnuplot_options {
  int width = 600, height = 370;  ///< [pixel]
  double font_size = 14.0;        ///< [pixel]
};

namespace detail {

// Colours that stand for others until inline_svg puts those in their place.
inline constexpr std::string_view text_colour = "#010203", grid_colour = "#040506";

/// A text in gnuplot's single quotes, inside which it expands nothing. Its own single quotes become ’: gnuplot 5.4 takes
/// two doubled ones in a row for the end of the text, and what follows for commands.
inline std::string gnuplot_quoted(std::string_view text, std::size_t longest = 120) {
  std::string out = "'";
  for (const char c : printable(shortened(text, longest), longest)) {
    if (c == '\'') {
      out += "’";
    } else {
      out += c;
    }
  }
  return out + "'";
}

struct axis_range {
  double lowest = std::numeric_limits<double>::infinity(), highest = -lowest;
  bool empty() const { return !(lowest <= highest); }
  void add(double value) {
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
};

/// 10,000, 0.05, 5×10¹⁴.
inline std::string tick_text(double value) {
  if (value != 0.0 && (std::abs(value) >= 1e7 || std::abs(value) < 1e-4)) {
    const std::string digits = fmt::format("{:.2e}", value);  // 5.00e+14
    std::string mantissa = fmt::format("{:g}", std::strtod(digits.substr(0, digits.find('e')).c_str(), nullptr));
    mantissa = mantissa == "1" ? "" : mantissa == "-1" ? "-" : mantissa + "×";
    constexpr std::array<std::string_view, 10> raised{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    const int exponent = std::atoi(digits.c_str() + digits.find('e') + 1);
    std::string power = exponent < 0 ? "⁻" : "";
    for (const char digit : std::to_string(std::abs(exponent)))
      power += raised[static_cast<std::size_t>(digit - '0')];
    return mantissa + "10" + power;
  }
  std::string text = fmt::format("{:.10g}", value);
  const std::size_t whole = std::min(text.find('.'), text.size());
  for (std::size_t at = whole; at > 3 && text[at - 4] != '-';) text.insert(at -= 3, ",");
  return text;
}

/// Ticks of a logarithmic axis: decades, with 2 and 5 where these are few, evenly spaced where there is not even one.
RAFTER_COLD inline std::vector<double> log_ticks(const axis_range& range) {
  const double span = std::log10(range.highest) - std::log10(range.lowest);  // the ratio may be no double
  std::vector<double> ticks;
  const auto inside = [&](double value) {
    if (value >= range.lowest * (1 - 1e-9) && value <= range.highest * (1 + 1e-9)) ticks.push_back(value);
  };
  if (span < 0.75) {
    const double rough = (range.highest - range.lowest) / 5, unit = std::pow(10.0, std::floor(std::log10(rough)));
    const double step = rough / unit < 1.5   ? unit
                        : rough / unit < 3.5 ? 2 * unit
                        : rough / unit < 7.5 ? 5 * unit
                                             : 10 * unit;
    for (double k = std::ceil(range.lowest / step); k * step <= range.highest; ++k) inside(k * step);
    return ticks;
  }
  const double every = std::max(1.0, std::ceil(span / 8));
  for (double decade = std::floor(std::log10(range.lowest)); decade <= std::log10(range.highest); decade += every) {
    const double at = std::pow(10.0, decade);
    inside(at);
    if (span < 3.0) {
      inside(2 * at);
      inside(5 * at);
    }
  }
  return ticks;
}

/// Of categories so many that their names would overlap, one in so many is named.
inline std::size_t labelled_every(const plot& picture) { return picture.categories.size() / 40 + 1; }

RAFTER_COLD inline std::string axis_script(std::string_view letter, const plot_axis& axis, axis_range range,
                                           bool from_zero) {
  std::string out =
      fmt::format("set {}label {} textcolor rgb '{}'\n", letter, gnuplot_quoted(axis.label), text_colour);
  if (range.empty()) return out;
  if (axis.logarithmic) {
    const double wider =
        std::max(1.05, std::pow(10.0, 0.03 * (std::log10(range.highest) - std::log10(range.lowest))));
    range = {range.lowest / wider, range.highest * wider};
    out += fmt::format("set logscale {0}\nset {0}range [{1:.8g}:{2:.8g}]\nset {0}tics (", letter, range.lowest,
                       range.highest);
    std::string ticks;
    for (const double at : log_ticks(range)) {
      ticks += fmt::format("{}'{}' {:.8g}", ticks.empty() ? "" : ", ", tick_text(at), at);
    }
    return out + ticks + ")\n";
  }
  if (from_zero && range.lowest >= 0.0) range.lowest = 0.0;
  const double span = range.highest - range.lowest;
  // Of less than its digits show, or than gnuplot tells apart, no range is made.
  const double noticed = std::max(1e-6 * std::max(std::abs(range.lowest), std::abs(range.highest)), 1e-290);
  const double margin = span > noticed ? 0.04 * span : std::max(0.5 * std::abs(range.highest), 1e-12);
  const double lowest = range.lowest == 0.0 && range.highest >= 0.0 ? 0.0 : range.lowest - margin;
  return out + fmt::format("set {0}range [{1:.8g}:{2:.8g}]\nset format {0} \"%.10g\"\n", letter, lowest,
                           range.highest + margin);
}

}  // namespace detail

/// The plot as a script that gnuplot 5 turns into SVG on its standard output. Numbers stand in data blocks; names are
/// quoted so that gnuplot interprets nothing of them. The picture's title and legend are left to the page. Empty when
/// there is no point to draw.
RAFTER_COLD inline std::string gnuplot_script(const plot& picture, const gnuplot_options& options = {}) {
  using namespace detail;
  const std::vector<series_look> looks = looks_of(picture);
  const bool bars = std::any_of(picture.series.begin(), picture.series.end(),
                                [](const plot_series& one) { return one.style == series_style::bars; });
  const auto bar_series =
      static_cast<double>(std::count_if(picture.series.begin(), picture.series.end(),
                                        [](const plot_series& one) { return one.style == series_style::bars; }));
  axis_range across, up;
  std::string data, plots;
  double bar = 0.0;
  for (std::size_t s = 0; s < picture.series.size(); ++s) {
    const plot_series& one = picture.series[s];
    const bool is_bar = one.style == series_style::bars;
    const double shift = is_bar ? 0.8 * ((bar++ + 0.5) / bar_series - 0.5) : 0.0;
    std::string points;
    const std::size_t count =
        is_bar ? std::min(one.y.size(), picture.categories.size()) : std::min(one.x.size(), one.y.size());
    for (std::size_t i = 0; i < count; ++i) {
      const double x = is_bar ? static_cast<double>(i) + shift : one.x[i];
      if ((!is_bar && !can_be_drawn(x, picture.x)) || !can_be_drawn(one.y[i], picture.y)) {
        if (one.style != series_style::points && !is_bar) points += "\n";  // a gap
        continue;
      }
      points += fmt::format("{:.7g} {:.7g}\n", x, one.y[i]);
      across.add(x);
      up.add(one.y[i]);
    }
    if (points.find_first_not_of('\n') == std::string::npos) continue;
    data += fmt::format("$series{} << END\n{}END\n", s, points);
    const std::string colour = looks[s].colour.empty() ? std::string(text_colour) : looks[s].colour;
    std::string style;
    switch (one.style) {
      case series_style::points:
        style = fmt::format("points pointtype 7 pointsize {} linecolor rgb '{}'",
                            count > 400  ? 0.28
                            : count > 60 ? 0.45
                                         : 0.8,
                            colour);
        break;
      case series_style::bars:
        style = fmt::format("boxes fillstyle solid 1 noborder linecolor rgb '{}'", colour);
        break;
      default:
        style = fmt::format("{} linewidth {} dashtype {} linecolor rgb '{}'",
                            one.style == series_style::steps ? "steps" : "lines", looks[s].colour.empty() ? 1.5 : 2.0,
                            looks[s].dashed ? "(8,5)" : "solid", colour);
    }
    plots += fmt::format("{} $series{} using 1:2{} with {} notitle", plots.empty() ? "plot" : ",", s,
                         is_bar ? fmt::format(":({:.6g})", 0.72 / bar_series) : "", style);
  }
  if (plots.empty()) return {};

  constexpr std::size_t longest_label = 24;
  std::size_t widest = 0;
  for (const std::string& name : picture.categories)
    widest = std::max(widest, std::min(longest_label, shown_width(name)));
  const std::size_t categories = picture.categories.size();
  const double room = (options.width - 80.0) / static_cast<double>(std::max<std::size_t>(categories, 1));
  const bool rotated = bars && static_cast<double>(widest) * 0.6 * options.font_size > room;
  std::string out = fmt::format(
      "set encoding utf8\nset terminal svg size {},{} dynamic noenhanced font 'sans-serif,{:g}'\nunset key\n"
      "set border 3 linecolor rgb '{}'\nset tics out nomirror textcolor rgb '{}'\n"
      "set grid linetype 1 linewidth 0.5 linecolor rgb '{}'\nset rmargin 6\n",
      options.width,
      options.height + (rotated ? static_cast<int>(0.33 * options.font_size * static_cast<double>(widest)) : 0),
      options.font_size, text_colour, text_colour, grid_colour);
  out += axis_script("y", picture.y, up, bars);
  if (bars) {
    const std::size_t every = labelled_every(picture);
    std::string ticks;
    for (std::size_t i = 0; i < categories; i += every) {
      ticks += (ticks.empty() ? "" : ", ") + gnuplot_quoted(picture.categories[i], longest_label) + ' ' +
               std::to_string(i);
    }
    out += fmt::format(
        "set xlabel {} textcolor rgb '{}'\nset xrange [-0.6:{:.6g}]\nset xtics scale 0 {} ({})\nset grid noxtics\n",
        gnuplot_quoted(picture.x.label), text_colour, static_cast<double>(categories) - 0.4,
        rotated ? "rotate by 35 right" : "norotate", ticks);
    if (rotated)
      out += fmt::format("set bmargin {:.3g}\nset lmargin {:.3g}\n", 2.5 + 0.3 * static_cast<double>(widest),
                         std::max(9.0, 0.82 * static_cast<double>(widest) - 0.06 * room));
  } else {
    out += axis_script("x", picture.x, across, false);
  }
  return out + data + plots + "\n";
}

/// The SVG that gnuplot made of gnuplot_script(picture), as it may stand in an HTML page that is light or dark and has
/// other such pictures: no ids but two of its own, text and axes in the colour of the text around it, a title and a
/// description for those who do not see it. Empty when `svg` is none.
RAFTER_COLD inline std::string inline_svg(std::string_view svg, const plot& picture) {
  using namespace detail;
  const std::size_t root = svg.find("<svg"), body = root == std::string_view::npos ? root : svg.find('>', root);
  const std::size_t end = svg.rfind("</svg>");
  if (body == std::string_view::npos || end == std::string_view::npos || end < body) return {};
  const std::string_view head = svg.substr(root, body - root);
  const auto attribute = [](std::string_view tag, std::string_view name) {
    for (const char quote : {'"', '\''}) {
      const std::string key = ' ' + std::string(name) + '=' + quote;
      const std::size_t at = tag.find(key);
      if (at == std::string_view::npos) continue;
      const std::size_t from = at + key.size();
      return std::string(tag.substr(from, std::min(tag.find(quote, from), tag.size()) - from));
    }
    return std::string();
  };
  const std::string id = "plot-" + as_id(picture.id);
  std::string names;
  for (const plot_series& one : picture.series) {
    if (!one.name.empty()) names += (names.empty() ? ": " : ", ") + printable(one.name, 200);
  }
  std::string out = fmt::format(
      "<svg viewBox=\"{0}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"{1}-title "
      "{1}-desc\">\n"
      "<title id=\"{1}-title\">{2}</title><desc id=\"{1}-desc\">{3}</desc>\n",
      attribute(head, "viewBox"), id, in_html(printable(picture.title, 400)),
      in_html(printable(picture.y.label, 200) +
              (picture.categories.empty() ? " against " + printable(picture.x.label, 200) : " of each category") +
              names));
  const auto colour_of = [](std::string text) {  // rgb(  1,   2,   3) -> #010203
    if (!text.starts_with("rgb(")) return text;
    std::array<unsigned, 3> parts{};
    std::size_t part = 0;
    for (std::size_t at = 4; at < text.size() && part < 3; ++at) {
      if (text[at] >= '0' && text[at] <= '9') parts[part] = 10 * parts[part] + static_cast<unsigned>(text[at] - '0');
      if (text[at] == ',') ++part;
    }
    return fmt::format("#{:02x}{:02x}{:02x}", parts[0] & 255U, parts[1] & 255U, parts[2] & 255U);
  };
  // Element by element: few kinds occur, and what is not known stays but for its id.
  std::string_view rest = svg.substr(body + 1, end - body - 1);
  std::string points, points_colour;
  std::size_t all_points = 0;
  for (const plot_series& one : picture.series) all_points += one.style == series_style::points ? one.y.size() : 0;
  const bool many_points = all_points > 200;
  const auto end_points = [&] {
    if (points.empty()) return;
    out += fmt::format("<g stroke=\"none\" fill=\"{}\" fill-opacity=\"{}\">{}</g>\n", points_colour,
                       many_points ? ".6" : ".85", points);
    points.clear();
  };
  while (!rest.empty()) {
    const std::size_t open = rest.find('<');
    const std::string_view between = rest.substr(0, open);
    if (between.find_first_not_of(" \t\r\n") != std::string_view::npos) out += between;
    if (open == std::string_view::npos) break;
    const std::size_t close = std::min(rest.find('>', open), rest.size() - 1);
    const std::string_view tag = rest.substr(open, close - open + 1);
    rest.remove_prefix(close + 1);
    const auto skip_past = [&](std::string_view what) {
      rest.remove_prefix(std::min(rest.find(what), rest.size() - std::min(rest.size(), what.size())) +
                         std::min(rest.size(), what.size()));
    };
    if (tag.starts_with("<!") || tag.starts_with("<?")) {
      continue;
    } else if (tag.starts_with("<title")) {
      skip_past("</title>");
    } else if (tag.starts_with("<desc")) {
      skip_past("</desc>");
    } else if (tag.starts_with("<defs")) {
      skip_past("</defs>");
    } else if (tag.starts_with("<use ") && tag.find("gpPt") != std::string_view::npos) {
      // <use xlink:href='#gpPt6' transform='translate(50.05,331.02) scale(1.95)' color='rgb(  0, 114, 178)'/>
      const std::string transform = attribute(tag, "transform"), colour = colour_of(attribute(tag, "color"));
      const std::size_t at = transform.find("translate("), comma = transform.find(',', at),
                        shut = transform.find(')', at);
      const std::size_t scale = transform.find("scale(");
      if (at == std::string::npos || comma == std::string::npos || shut == std::string::npos || comma > shut)
        continue;
      if (colour != points_colour) end_points();
      points_colour = colour;
      const std::string radius =
          scale == std::string::npos ? "2" : transform.substr(scale + 6, transform.find(')', scale) - scale - 6);
      const auto short_number = [](std::string number) {
        return number.substr(0, number.find('.') == std::string::npos ? number.size() : number.find('.') + 2);
      };
      points += "<circle cx=\"" + short_number(transform.substr(at + 10, comma - at - 10)) + "\" cy=\"" +
                short_number(transform.substr(comma + 1, shut - comma - 1)) + "\" r=\"" + radius + "\"/>";
    } else {
      end_points();
      std::string kept;
      std::size_t at = std::min(tag.find_first_of(" \t\n/>", 2), tag.size());
      kept = tag.substr(0, at);
      while (at < tag.size()) {
        const std::size_t name = tag.find_first_not_of(" \t\r\n", at);
        if (name == std::string_view::npos || tag[name] == '>' || tag[name] == '/') break;
        const std::size_t equals = tag.find('=', name),
                          quote = tag.find_first_of("'\"", std::min(equals, tag.size() - 1));
        if (equals == std::string_view::npos || quote == std::string_view::npos) break;
        const std::size_t shut = tag.find(tag[quote], quote + 1);
        if (shut == std::string_view::npos) break;
        std::string key(tag.substr(name, equals - name)), value(tag.substr(quote + 1, shut - quote - 1));
        while (!key.empty() && key.back() == ' ') key.pop_back();
        at = shut + 1;
        if (key == "id" || key == "class" || key == "color" || key == "font-family" || key == "xlink:href") continue;
        if (key == "stroke" || key == "fill") value = colour_of(value);
        if (value == text_colour || value == "black") value = "currentColor";
        const bool grid = value == grid_colour;
        if (grid) value = "currentColor";
        kept += ' ' + key + "=\"" + value + '"';
        if (grid) kept += " stroke-opacity=\".16\"";
      }
      out += kept + (tag.ends_with("/>") ? "/>" : ">");
      if (tag.starts_with("</")) out += '\n';
    }
  }
  end_points();
  for (std::string_view empty : {"<g></g>\n"}) {
    for (std::size_t at = out.find(empty); at != std::string::npos; at = out.find(empty, at))
      out.erase(at, empty.size());
  }
  // Groups that draw nothing: gnuplot opens many.
  for (bool again = true; again;) {
    again = false;
    for (std::size_t at = out.find("<g "); at != std::string::npos; at = out.find("<g ", at + 1)) {
      const std::size_t shut = out.find('>', at);
      if (out.compare(shut, 6, "></g>\n") != 0) continue;
      out.erase(at, shut + 6 - at);
      again = true;
      --at;
    }
  }
  return out + "</svg>\n";
}

/// The legend of a picture, for beside it: the page's own text, which wraps where gnuplot's would be cut.
RAFTER_COLD inline std::string html_legend(const plot& picture) {
  const std::vector<series_look> looks = looks_of(picture);
  std::string items;
  for (std::size_t s = 0; s < picture.series.size(); ++s) {
    const plot_series& one = picture.series[s];
    if (one.name.empty()) continue;
    const std::string_view mark = one.style == series_style::points ? "dot"
                                  : one.style == series_style::bars ? "bar"
                                  : looks[s].dashed                 ? "dash"
                                                                    : "line";
    items += fmt::format("<li><span class=\"{}\" style=\"color:{}\"></span>{}</li>", mark,
                         looks[s].colour.empty() ? "currentColor" : looks[s].colour,
                         detail::in_html(printable(one.name, 200)));
  }
  return items.empty() ? items : "<ul class=\"legend\">" + items + "</ul>\n";
}

/// What a picture does not show, for below it: points without a place on its axes, and names of categories where there
/// are too many. Empty when it shows all.
RAFTER_COLD inline std::string html_omissions(const plot& picture) {
  std::string text;
  if (const std::size_t count = points_left_out(picture); count > 0) {
    text = std::to_string(count) + (count == 1 ? " point has" : " points have") +
           " no place on these axes (no number, beyond 1e280, or not positive where the axis is logarithmic).";
  }
  if (const std::size_t every = detail::labelled_every(picture); every > 1) {
    text += std::string(text.empty() ? "" : " ") + "One of " + std::to_string(every) + " categories is labelled.";
  }
  return text.empty() ? text : "<p class=\"faint\">" + text + "</p>\n";
}

}  // namespace rafter
