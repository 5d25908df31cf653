// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/hypothesis/condition.hpp"
#include "rafter/evaluation/hypothesis/evidence.hpp"

namespace rafter {

/// A claim with what would show it to be right and what would show it to be wrong, both said before the evaluation:
///
///   using namespace rafter::hypotheses;
///   const hypothesis transfers{
///       .name = "transfer", .claim = "nine parameters carry over to models never seen",
///       .supported_if = under("lomo", of("roofline9", every_fold(mape < 20_pct))),
///       .refuted_if = under("lomo", of("roofline9", any_fold(mape > 30_pct)))};
///   const verdict found = judge(transfers, evidence{{"lomo", &report, &view}});
struct hypothesis {
  std::string name;
  std::string claim;
  hypotheses::condition supported_if;
  hypotheses::condition refuted_if;
  std::optional<hypotheses::condition> short_circuit_if = std::nullopt;  ///< then the verdict is another question's
  std::string short_circuit_says = {};                                   ///< which: what is done instead
  std::optional<hypotheses::condition> success_metric = std::nullopt;  ///< what a supported claim is to reach beside
  std::vector<hypotheses::observation> observed = {};                  ///< shown as evidence beside; decides nothing
};

enum class verdict_kind : std::uint8_t {
  supported,
  weakly_supported,
  not_supported,
  refuted,
  short_circuited,
  not_testable
};

constexpr std::string_view name_of(verdict_kind of) {
  constexpr std::array<std::string_view, 6> names{"supported", "weakly supported", "not supported",
                                                  "refuted",   "short-circuited",  "not testable on this data"};
  return names[static_cast<std::size_t>(of)];
}

/// What evidence says of a hypothesis, in plain fields.
struct verdict {
  struct asked {
    std::string role;  ///< "supported_if", "refuted_if", "short_circuit_if", "success_metric"
    std::string text;
    hypotheses::truth holds = hypotheses::truth::unknown;
    std::string why_unknown;
  };
  std::string name, claim;
  verdict_kind kind = verdict_kind::not_testable;
  std::string reason;  ///< one line or none; with what is not known of a short circuit
  std::vector<asked> conditions;
  std::vector<hypotheses::evidence_line> evidence;  ///< in the order of the conditions
  std::size_t close_calls = 0;                      ///< values whose interval holds the threshold
};

/// Judges a hypothesis. Of the condition for a short circuit (C), that for support (S), that for refutation (R) and the
/// success metric (M), each yes, no or unknown (·: any):
///
///   C yes                                      short-circuited; what the verdict would be without C is said beside it
///   C unknown                                  the verdict is as without C; `reason` says what is unknown of C
///   S yes, R yes                               hypothesis_error: the hypothesis contradicts itself
///   R yes                                      refuted
///   S yes, R no,  M yes or none                supported
///   S yes, R no,  M no or unknown              weakly supported
///   S yes, R unknown                           weakly supported: what would refute it could not be looked at
///   S not yes, R no, more than half of the parts that && joins in S hold      weakly supported
///   else S no                                  not supported
///   else                                       not testable on this data
///
/// @throws hypothesis_error naming the hypothesis
RAFTER_COLD inline verdict judge(const hypothesis& of, const hypotheses::evidence& known) {
  using hypotheses::truth, hypotheses::finding, hypotheses::condition;
  verdict made;
  made.name = of.name;
  made.claim = of.claim;
  const auto ask = [&](const char* role, const condition& what) {
    finding found = what(hypotheses::scope{.known = &known});
    made.conditions.push_back({role, what.text(), found.holds, found.why_unknown});
    for (hypotheses::evidence_line& line : found.lines) {
      line.role = role;
      line.too_close = hypotheses::detail::inside(line.interval, line.threshold);
      made.close_calls += line.too_close ? 1 : 0;
      made.evidence.push_back(line);
    }
    return found;
  };
  finding circuit = finding::of(truth::no, {});
  if (of.short_circuit_if) circuit = ask("short_circuit_if", *of.short_circuit_if);
  const finding support = ask("supported_if", of.supported_if), against = ask("refuted_if", of.refuted_if);
  if (circuit.holds != truth::yes && support.holds == truth::yes && against.holds == truth::yes) {
    throw hypotheses::hypothesis_error("hypothesis '" + of.name + "' is both supported and refuted: " +
                                       of.supported_if.text() + " and " + of.refuted_if.text() + " both hold");
  }
  std::optional<finding> success;
  if (of.success_metric) success = ask("success_metric", *of.success_metric);

  for (const hypotheses::observation& one : of.observed) {
    made.evidence.push_back(one(hypotheses::scope{.known = &known}));
  }

  std::size_t parts_met = 0;
  for (const truth one : support.parts) parts_met += one == truth::yes;
  if (against.holds == truth::yes) {
    made.kind = verdict_kind::refuted;
  } else if (support.holds == truth::yes) {
    made.kind = verdict_kind::weakly_supported;
    if (against.holds == truth::unknown) {
      made.reason = "what would refute it could not be looked at: " + against.why_unknown;
    } else if (success && success->holds == truth::no) {
      made.reason = "the success metric is missed";
    } else if (success && success->holds == truth::unknown) {
      made.reason = "the success metric is unknown: " + success->why_unknown;
    } else {
      made.kind = verdict_kind::supported;
    }
  } else if (against.holds == truth::no && 2 * parts_met > support.parts.size()) {
    made.kind = verdict_kind::weakly_supported;
    made.reason =
        std::to_string(parts_met) + " of the " + std::to_string(support.parts.size()) + " parts of supported_if hold";
    if (support.holds == truth::unknown) made.reason += "; unknown: " + support.why_unknown;
  } else if (support.holds == truth::no) {
    made.kind = verdict_kind::not_supported;
    made.reason = against.holds == truth::no ? "neither what would support it nor what would refute it holds"
                                             : "what would refute it could not be looked at: " + against.why_unknown;
  } else {
    made.reason = hypotheses::detail::joined_reasons(support.why_unknown, against.why_unknown);
  }
  if (circuit.holds == truth::unknown) {
    made.reason +=
        (made.reason.empty() ? "" : "; ") + ("whether it is short-circuited is unknown: " + circuit.why_unknown);
  }
  if (circuit.holds == truth::yes) {
    made.reason = of.short_circuit_says + (of.short_circuit_says.empty() ? "" : "; ") +
                  "without that: " + std::string(name_of(made.kind));
    made.kind = verdict_kind::short_circuited;
  }
  return made;
}

RAFTER_COLD inline std::vector<verdict> judge(const std::vector<hypothesis>& all, const hypotheses::evidence& known) {
  std::vector<verdict> made;
  for (const hypothesis& one : all) made.push_back(judge(one, known));
  return made;
}

namespace hypotheses {  // so that one using-directive brings all that a hypothesis is written in
using rafter::hypothesis;
using rafter::judge;
using rafter::verdict;
using rafter::verdict_kind;
}  // namespace hypotheses

}  // namespace rafter
