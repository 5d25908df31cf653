// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rafter/core/math.hpp"
#include "rafter/io/error.hpp"
#include "rafter/io/file.hpp"
#include "rafter/io/json.hpp"
#include "rafter/io/ubjson.hpp"
#include "rafter/solver/tree_ensemble.hpp"

namespace rafter {

namespace detail {

struct xgboost_objective {
  std::string_view name;
  tree_link link;
  std::string_view parameters;  ///< the members that versions 1.7 to 3 look for beside the name
};

inline constexpr std::array<xgboost_objective, 9> xgboost_objectives{{
    {"reg:squarederror", tree_link::identity, R"("reg_loss_param":{"scale_pos_weight":"1"})"},
    {"reg:squaredlogerror", tree_link::identity, R"("reg_loss_param":{"scale_pos_weight":"1"})"},
    {"reg:pseudohubererror", tree_link::identity,
     R"("pseudo_huber_param":{"huber_slope":"1"},"reg_loss_param":{"scale_pos_weight":"1"})"},
    {"reg:absoluteerror", tree_link::identity, ""},
    {"reg:quantileerror", tree_link::identity, R"("quantile_loss_param":{"quantile_alpha":"[0.5]"})"},
    {"count:poisson", tree_link::exponential, R"("poisson_regression_param":{"max_delta_step":"0.7"})"},
    {"reg:gamma", tree_link::exponential, R"("reg_loss_param":{"scale_pos_weight":"1"})"},
    {"reg:tweedie", tree_link::exponential, R"("tweedie_regression_param":{"tweedie_variance_power":"1.5"})"},
    {"reg:linear", tree_link::identity, R"("reg_loss_param":{"scale_pos_weight":"1"})"},  // before 0.90
}};

inline const xgboost_objective* find_xgboost_objective(std::string_view name) {
  const auto* const found = std::find_if(xgboost_objectives.begin(), xgboost_objectives.end(),
                                         [&](const xgboost_objective& each) { return each.name == name; });
  return found == xgboost_objectives.end() ? nullptr : found;
}

inline std::string xgboost_objective_refusal(std::string_view name) {
  std::string why = name.starts_with("binary:") || name == "reg:logistic" ? "predicts a probability"
                    : name.starts_with("multi:")                          ? "predicts several classes"
                    : name.starts_with("rank:")                           ? "predicts a rank"
                    : name.starts_with("survival:")                       ? "predicts survival"
                                                                          : "is not an objective known here";
  why += "; read are";
  for (const xgboost_objective& each : xgboost_objectives) {
    why += (&each == xgboost_objectives.data() ? " " : ", ") + std::string(each.name);
  }
  return why;
}

/// Turns a saved model, parsed from either format, into an ensemble.
class xgboost_model_reader {
 public:
  explicit xgboost_model_reader(const json_value& root) : learner_(root.at("learner")) {}

  tree_ensemble read() {
    json_value booster = learner_.at("gradient_booster");
    const json_value kind = booster.at("name");
    const std::optional<json_value> dropped = booster.find("weight_drop");
    if (kind.text() == "dart") {
      if (!dropped) static_cast<void>(booster.at("weight_drop"));
      booster = booster.at("gbtree");
    } else if (kind.text() != "gbtree") {
      throw kind.error("is not a booster of trees; read are gbtree and dart");
    }
    read_learner();
    const json_value model = booster.at("model");
    if (const auto parameters = model.find("gbtree_model_param")) refuse_above_one(*parameters, "size_leaf_vector");
    if (const auto groups = model.find("tree_info")) {
      for (std::size_t t = 0; t < list(*groups).size(); ++t) {
        if (integer(*groups, t, 0) != 0)
          throw groups->element(t).error("is a group of its own: several outputs are not read");
      }
    }
    const json_value trees = model.at("trees");
    const std::size_t count = list(trees).size();
    if (const auto groups = model.find("tree_info")) same_length(*groups, count, "trees");
    if (kind.text() == "dart") same_length(*dropped, count, "trees");
    made_.trees.reserve(count);
    for (std::size_t t = 0; t < count; ++t) {
      made_.trees.push_back(read_tree(trees.element(t)));
      if (kind.text() != "dart") continue;
      const float weight = finite(*dropped, t);
      for (tree_node& node : made_.trees.back().nodes) node.value *= weight;
    }
    try {
      made_.check();
    } catch (const tree_error& why) {
      throw trees.error(why.what());
    }
    return std::move(made_);
  }

 private:
  static const nlohmann::json::array_t& list(const json_value& value) {
    if (!value.is_array()) static_cast<void>(value.elements());  // says that it is none
    return value.json().get_ref<const nlohmann::json::array_t&>();
  }
  static void same_length(const json_value& value, std::size_t count, std::string_view of) {
    if (list(value).size() == count) return;
    throw io_error(value.place(), value.name(), {},
                   "holds " + std::to_string(list(value).size()) + " values for " + std::to_string(count) + ' ' +
                       std::string(of));
  }
  /// An element of a list: `element` keeps the whole path, which only an error needs.
  static std::int64_t integer(const json_value& values, std::size_t i, std::int64_t least,
                              std::int64_t most = std::numeric_limits<std::int32_t>::max()) {
    const nlohmann::json& one = list(values)[i];
    if (one.is_number_integer() && !one.is_number_unsigned()) {
      const auto number = one.get<std::int64_t>();
      if (number >= least && number <= most) return number;
    } else if (one.is_number_unsigned()) {
      const auto number = one.get<std::uint64_t>();
      if (number <= static_cast<std::uint64_t>(most) && static_cast<std::int64_t>(number) >= least) {
        return static_cast<std::int64_t>(number);
      }
    }
    return values.element(i).integer(least, most);
  }
  static float number(const json_value& values, std::size_t i) {
    const nlohmann::json& one = list(values)[i];
    if (one.is_number_float()) {
      if (const std::optional<float> only = single_of(one.get<double>())) return *only;
    }
    const float nearest = values.element(i).single();
    if (nearest != nearest) throw values.element(i).error("is not a number");
    return nearest;
  }
  static float finite(const json_value& values, std::size_t i) {
    const float found = number(values, i);
    if (!std::isfinite(found)) throw values.element(i).error("is not finite");
    return found;
  }
  static bool flag(const json_value& values, std::size_t i) {
    const nlohmann::json& one = list(values)[i];
    return one.is_boolean() ? one.get<bool>() : integer(values, i, 0, 1) == 1;
  }
  /// Parameters are texts ("6") in all versions so far; a number is taken too.
  static std::int64_t parameter(const json_value& value) {
    if (!value.json().is_string()) return value.integer(0, std::numeric_limits<std::int32_t>::max());
    std::int32_t found = 0;
    const std::string& text = value.text();
    const auto all = std::from_chars(text.data(), text.data() + text.size(), found);
    if (all.ec != std::errc() || all.ptr != text.data() + text.size() || found < 0) {
      throw value.error("is not a non-negative integer");
    }
    return found;
  }
  static void refuse_above_one(const json_value& parameters, std::string_view key) {
    const auto value = parameters.find(key);
    if (value && parameter(*value) > 1) throw value->error("is more than one: several outputs are not read");
  }

  static constexpr std::size_t most_features = std::size_t{1} << 20U;

  void read_learner() {
    const json_value parameters = learner_.at("learner_model_param");
    const json_value count = parameters.at("num_feature");
    made_.features = static_cast<std::size_t>(parameter(count));
    if (made_.features > most_features) throw count.error("is more features than a model has");
    refuse_above_one(parameters, "num_class");
    refuse_above_one(parameters, "num_target");

    const json_value name = learner_.at("objective").at("name");
    const xgboost_objective* const objective = find_xgboost_objective(name.text());
    if (objective == nullptr) throw name.error(xgboost_objective_refusal(name.text()));
    made_.link = objective->link;
    const json_value base = parameters.at("base_score");
    const float score = base_score(base);
    made_.base = static_cast<double>(score);
    if (made_.link == tree_link::exponential) {
      if (!(score > 0.0F)) throw base.error("is not positive, as the objective " + name.text() + " needs");
      made_.base = rafter::log(made_.base);
    }
    const auto names = learner_.find("feature_names");
    if (!names || list(*names).empty()) return;
    same_length(*names, made_.features, "features");
    for (const json_value& each : names->elements()) made_.feature_names.push_back(each.text());
  }
  /// "5E-1", "[5E-1]", 0.5 or [0.5]: what versions 1, 3.1 and others wrote.
  static float base_score(const json_value& value) {
    if (value.is_array()) {
      same_length(value, 1, "target");
      return base_score(value.element(0));
    }
    if (!value.json().is_string()) {
      const float score = value.single();
      if (!std::isfinite(score)) throw value.error("is not finite");
      return score;
    }
    std::string_view text = value.text();
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    if (text.find(',') != std::string_view::npos)
      throw value.error("holds several values: several outputs are not read");
    float score = 0.0F;
    const auto all = std::from_chars(text.data(), text.data() + text.size(), score);
    if (all.ec != std::errc() || all.ptr != text.data() + text.size() || !std::isfinite(score)) {
      throw value.error("is not a number");
    }
    return score;
  }

  regression_tree read_tree(const json_value& tree) {
    const json_value left = tree.at("left_children");
    const std::size_t count = list(left).size();
    if (count == 0 || count > std::size_t{std::numeric_limits<std::int32_t>::max()}) {
      throw left.error("is no list of the nodes of a tree");
    }
    const auto column = [&](std::string_view key) {
      json_value values = tree.at(key);
      same_length(values, count, "nodes");
      return values;
    };
    const json_value right = column("right_children"), feature = column("split_indices"),
                     condition = column("split_conditions"), missing_left = column("default_left"),
                     gain = column("loss_changes"), cover = column("sum_hessian");
    std::optional<json_value> type = tree.find("split_type");
    if (type) same_length(*type, count, "nodes");
    if (const auto parameters = tree.find("tree_param")) {
      refuse_above_one(*parameters, "size_leaf_vector");
      const auto nodes = parameters->find("num_nodes");
      if (nodes && static_cast<std::size_t>(parameter(*nodes)) != count) {
        throw nodes->error("is not the number of nodes, which is " + std::to_string(count));
      }
    }

    // From the root on: what XGBoost has pruned still stands in the lists, with no way to it.
    const auto most = static_cast<std::int64_t>(count) - 1;
    std::vector<std::size_t> order{0};
    std::vector<std::int32_t> renamed(count, -1);
    renamed[0] = 0;
    bool ascending = true;
    for (std::size_t at = 0; at < order.size(); ++at) {
      const std::size_t i = order[at];
      if (integer(left, i, -1, most) == -1) {
        if (integer(right, i, -1, most) != -1)
          throw right.element(i).error("is the right child of a node without a left one");
        continue;
      }
      for (const json_value* side : {&left, &right}) {
        const auto child = static_cast<std::size_t>(integer(*side, i, 0, most));
        if (renamed[child] != -1) throw side->element(i).error("is a node that another split leads to");
        renamed[child] = 0;
        ascending = ascending && child > i;
        order.push_back(child);
      }
    }
    constexpr std::int64_t deleted = std::numeric_limits<std::int32_t>::max();
    for (std::size_t i = 0; order.size() != count && i < count; ++i) {
      if (renamed[i] == -1 && integer(feature, i, 0) != deleted) {
        throw io_error(left.place(), tree.name(), {}, "no split leads to node " + std::to_string(i));
      }
    }
    if (ascending) std::sort(order.begin(), order.end());
    for (std::size_t at = 0; at < order.size(); ++at) renamed[order[at]] = static_cast<std::int32_t>(at);

    regression_tree made;
    made.nodes.reserve(order.size());
    for (const std::size_t i : order) {
      tree_node node;
      node.cover = static_cast<double>(finite(cover, i));
      if (list(left)[i] == -1) {
        node.value = finite(condition, i);
      } else {
        if (type && integer(*type, i, 0) != 0)
          throw type->element(i).error("is a categorical split, which is not read");
        node.left = renamed[static_cast<std::size_t>(integer(left, i, 0, most))];
        node.right = renamed[static_cast<std::size_t>(integer(right, i, 0, most))];
        node.feature = static_cast<std::int32_t>(integer(feature, i, 0));
        if (static_cast<std::size_t>(node.feature) >= made_.features) {
          throw feature.element(i).error("is none of the " + std::to_string(made_.features) + " features");
        }
        node.threshold = number(condition, i);
        node.missing_left = flag(missing_left, i);
        node.gain = static_cast<double>(finite(gain, i));
      }
      made.nodes.push_back(node);
    }
    return made;
  }

  json_value learner_;
  tree_ensemble made_;
};

}  // namespace detail

/// The model in a JSON text that XGBoost 1 to 3 saved (`save_model("m.json")`); `name` stands for the path in errors.
///
/// Read are boosters gbtree and dart (its leaves scaled by weight_drop) with one output, numeric splits and the
/// objectives reg:squarederror, reg:squaredlogerror, reg:pseudohubererror, reg:absoluteerror, reg:quantileerror
/// (margin = prediction) and count:poisson, reg:gamma, reg:tweedie (prediction = e^margin, base = ln base_score).
/// Numbers become the nearest `float`, as in XGBoost. Unknown keys are ignored; feature names may be absent.
/// Nodes keep XGBoost's numbers (those of `pred_leaf`) where all are in use and children stand after their parent, as
/// its hist and approx methods leave them; else nodes that it pruned are left out, and where a child still stands
/// before its parent the tree is numbered level by level.
/// @throws io_error naming the place, such as learner.gradient_booster.model.trees[3].left_children[5]
inline tree_ensemble parse_xgboost_json(std::string_view text, std::string name) {
  return detail::xgboost_model_reader(parse_json(text, std::move(name))).read();
}
/// The model in the bytes of a UBJSON file, XGBoost's default format since 2.1. @throws io_error
inline tree_ensemble parse_xgboost_ubjson(std::string_view content, std::string name) {
  return detail::xgboost_model_reader(parse_ubjson(content, std::move(name))).read();
}

/// Either of them: behind the first brace, JSON has a quote and UBJSON the type of a length.
/// @throws io_error
inline tree_ensemble parse_xgboost_model(std::string_view content, std::string name) {
  if (content.size() > 1 && content.front() == '{' &&
      std::string_view("iUIlL#$N").find(content[1]) != std::string_view::npos) {
    return parse_xgboost_ubjson(content, std::move(name));
  }
  const std::size_t first = content.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first != std::string_view::npos && content[first] != '{') {
    throw io_error({std::move(name)}, {}, content.substr(first, 8),
                   "begins neither JSON nor UBJSON; XGBoost saves models as such by save_model(\"model.json\")");
  }
  return parse_xgboost_json(content, std::move(name));
}

/// Reads a model that XGBoost saved, JSON or UBJSON whatever the file's name.
/// @throws io_error when it cannot be read, or is no model that is read (see parse_xgboost_json)
inline tree_ensemble read_xgboost_model(const std::string& path) {
  return parse_xgboost_model(read_file(path).view(), path);
}

struct xgboost_json_options {
  /// One that parse_xgboost_json reads and that has the ensemble's link; empty: reg:squarederror or reg:gamma.
  std::string_view objective = {};
};

namespace detail {

/// With an exponent, as XGBoost writes it: 1.3695112E1. Its reader takes digits alone for an integer.
template <class Real> void append_xgboost_number(std::string& out, Real value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  out += text.substr(0, e);
  out += text[e + 1] == '-' ? "E-" : "E";
  const std::size_t digit = text.find_first_not_of('0', e + 2);
  out += digit == std::string_view::npos ? "0" : text.substr(digit);
}

/// Ascending keys, no blanks: as XGBoost writes it, character by character where it says what an ensemble says.
class xgboost_json_writer {
 public:
  xgboost_json_writer(const tree_ensemble& ensemble, const xgboost_objective& objective)
      : ensemble_(ensemble), objective_(objective) {}

  std::string write() {
    const bool log_link = ensemble_.link == tree_link::exponential;
    const float base = single(log_link ? rafter::exp(ensemble_.base) : ensemble_.base, "the base of the ensemble");
    if (log_link && base == 0.0F) throw tree_error("the base of the ensemble is too small for a float");
    const std::string trees = std::to_string(ensemble_.trees.size());
    out_ = R"({"learner":{"attributes":{},"feature_names":[)";
    for (std::size_t f = 0; f < ensemble_.feature_names.size(); ++f) {
      if (f != 0) out_ += ',';
      out_ +=
          nlohmann::json(ensemble_.feature_names[f]).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    out_ += R"(],"feature_types":[],"gradient_booster":{"model":{"gbtree_model_param":{"num_parallel_tree":"1",)";
    out_ += R"("num_trees":")" + trees + R"(","size_leaf_vector":"0"},"iteration_indptr":[0)";
    for (std::size_t t = 1; t <= ensemble_.trees.size(); ++t) out_ += ',' + std::to_string(t);
    out_ += R"(],"tree_info":[)";
    for (std::size_t t = 0; t < ensemble_.trees.size(); ++t) out_ += t == 0 ? "0" : ",0";
    out_ += R"(],"trees":[)";
    for (std::size_t t = 0; t < ensemble_.trees.size(); ++t) {
      if (t != 0) out_ += ',';
      tree(t);
    }
    out_ += R"(]},"name":"gbtree"},"learner_model_param":{"base_score":")";
    append_xgboost_number(out_, base);
    out_ += R"(","boost_from_average":"0","num_class":"0","num_feature":")" + std::to_string(ensemble_.features);
    out_ += R"(","num_target":"1"},"objective":{"name":")" + std::string(objective_.name) + '"';
    if (!objective_.parameters.empty()) out_ += ',' + std::string(objective_.parameters);
    out_ += R"(}},"version":[1,7,6]})";
    return std::move(out_);
  }

 private:
  static float single(double value, const std::string& what) {
    if (!(std::abs(value) <= double{std::numeric_limits<float>::max()})) {
      throw tree_error(what + " is outside the range of a float");
    }
    return static_cast<float>(value);
  }
  template <class Member> void column(std::string_view key, const regression_tree& of, Member member) {
    out_ += '"';
    out_ += key;
    out_ += "\":[";
    for (std::size_t i = 0; i < of.nodes.size(); ++i) {
      if (i != 0) out_ += ',';
      const auto value = member(i);
      if constexpr (std::is_same_v<decltype(value), const float>) {
        append_xgboost_number(out_, value);
      } else {
        out_ += std::to_string(value);
      }
    }
    out_ += "],";
  }
  void tree(std::size_t t) {
    const regression_tree& of = ensemble_.trees[t];
    const std::vector<tree_node>& nodes = of.nodes;
    const auto place = [&](std::size_t i) {
      return "tree " + std::to_string(t) + ", node " + std::to_string(i) + ": ";
    };
    std::vector<int> parents(nodes.size(), std::numeric_limits<std::int32_t>::max());
    std::vector<double> mean(nodes.size());
    for (std::size_t i = nodes.size(); i-- > 0;) {
      mean[i] = static_cast<double>(nodes[i].value);
      if (nodes[i].leaf()) continue;
      const auto left = static_cast<std::size_t>(nodes[i].left), right = static_cast<std::size_t>(nodes[i].right);
      parents[left] = parents[right] = static_cast<int>(i);
      const double cover = nodes[left].cover + nodes[right].cover;
      const double part = cover > 0.0 ? nodes[left].cover / cover : 0.5;
      mean[i] = part * mean[left] + (1.0 - part) * mean[right];
    }
    out_ += '{';
    column("base_weights", of, [&](std::size_t i) { return static_cast<float>(mean[i]); });
    out_ += R"("categories":[],"categories_nodes":[],"categories_segments":[],"categories_sizes":[],)";
    column("default_left", of, [&](std::size_t i) { return nodes[i].missing_left ? 1 : 0; });
    out_ += "\"id\":" + std::to_string(t) + ',';
    column("left_children", of, [&](std::size_t i) { return nodes[i].left; });
    column("loss_changes", of, [&](std::size_t i) { return single(nodes[i].gain, place(i) + "its gain"); });
    column("parents", of, [&](std::size_t i) { return parents[i]; });
    column("right_children", of, [&](std::size_t i) { return nodes[i].right; });
    column("split_conditions", of, [&](std::size_t i) {
      const float number = nodes[i].leaf() ? nodes[i].value : nodes[i].threshold;
      return single(static_cast<double>(number), place(i) + "its threshold");
    });
    column("split_indices", of, [&](std::size_t i) { return nodes[i].leaf() ? 0 : nodes[i].feature; });
    column("split_type", of, [](std::size_t) { return 0; });
    column("sum_hessian", of, [&](std::size_t i) { return single(nodes[i].cover, place(i) + "its cover"); });
    out_ += R"("tree_param":{"num_deleted":"0","num_feature":")" + std::to_string(ensemble_.features);
    out_ += R"(","num_nodes":")" + std::to_string(nodes.size()) + R"(","size_leaf_vector":"0"}})";
  }

  const tree_ensemble& ensemble_;
  const xgboost_objective& objective_;
  std::string out_;
};

}  // namespace detail

/// The ensemble as a JSON model in the layout of XGBoost 1.7, which later versions read. What XGBoost keeps as
/// `float` is rounded to it: the base (for an exponential link, e^base), gains and covers; thresholds and leaves are
/// floats already. Read back, the trees are equal and margins differ by what the base lost: a relative 6e-8 of it at
/// most (for an exponential link, an absolute 6e-8).
/// base_weights, which a prediction does not use, are the means of the leaves below, weighted by cover.
/// @throws tree_error what tree_ensemble::check refuses, an objective of another link, or what no float can hold
inline std::string write_xgboost_json(const tree_ensemble& ensemble, const xgboost_json_options& options = {}) {
  ensemble.check();
  std::string_view name = options.objective;
  if (name.empty()) name = ensemble.link == tree_link::exponential ? "reg:gamma" : "reg:squarederror";
  const detail::xgboost_objective* const objective = detail::find_xgboost_objective(name);
  if (objective == nullptr) {
    throw tree_error('\'' + printable(name) + "' " + detail::xgboost_objective_refusal(name));
  }
  if (objective->link != ensemble.link) {
    throw tree_error("the objective " + std::string(name) + " has another link than the ensemble");
  }
  return detail::xgboost_json_writer(ensemble, *objective).write();
}

}  // namespace rafter
