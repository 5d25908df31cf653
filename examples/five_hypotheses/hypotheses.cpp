// five-hypotheses: the five claims with their thresholds. SPDX-License-Identifier: Apache-2.0
#include "hypotheses.hpp"

#include <utility>

namespace five {

using namespace rafter::hypotheses;

namespace {

const std::string dense = "dense", moe = "mixture_of_experts";

/// "Workload-level": one error for each combination of model and workload.
row_sets experiments() { return labels_of(group::model, group::workload); }

hypothesis features_suffice(const terms& here) {
  return {.name = "1",
          .claim = "ridge regression on the 30 features predicts step times",
          .supported_if = under("temporal", of("ridge30", mean_over_folds(mape) < 25_pct && better_than("blackbox") &&
                                                              better_than("mean"))),
          .refuted_if = under("temporal", of("ridge30", mean_over_folds(mape) > 30_pct)),
          .observed = {under("temporal", of("ridge30", worst_fold(mape))),
                       under("temporal", of("ridge30", worst_fold(pearson))),
                       under("temporal", of(here.blackbox, mean_over_folds(mape)))}};
}

hypothesis corrected_rooflines(const terms& here) {
  const auto good = share_of(experiments(), mape < 10_pct) >= out_of(12, 16) && pooled(abs(mspe)) < 5_pct;
  const auto bad = share_of(experiments(), mape > 10_pct) > out_of(4, 16) || pooled(abs(mspe)) > 10_pct;
  return {.name = "2",
          .claim = here.nine + ", " + here.sixteen + " and " + here.thirty_six +
                   ", rooflines with fitted corrections, are right for most workloads",
          .supported_if = under(here.seen, of_each({here.nine, here.sixteen, here.thirty_six}, good)),
          .refuted_if = under(here.seen, of(here.thirty_six, bad)),
          .short_circuit_if = under(here.seen, within(2_pct, of(here.nine, mean_over_folds(mape)),
                                                      of(here.thirty_six, mean_over_folds(mape)))),
          .short_circuit_says = "9 parameters are as good as 36: prefer 9"};
}

hypothesis trees_generalise(const terms&) {
  const auto too_far = any(folds().where(group::routing, dense), mape > 25_pct) ||
                       any(folds().where(group::routing, moe), mape > 25_pct);
  return {.name = "3",
          .claim = "boosted trees generalise to models and workloads never seen",
          .supported_if =
              of("trees", under("lomo", every(folds().where(group::routing, dense), mape < 20_pct)) &&
                              under("lomo", every(folds().where(group::routing, moe), mape < 25_pct)) &&
                              under("lowo", every_fold(mape < 20_pct)) && under("lomo", importance_stable(0.8))),
          .refuted_if = of("trees", under("lomo", too_far) || under("lowo", any_fold(mape > 25_pct))),
          .observed = {under("lomo", of("trees", mean_over_folds(mape))),
                       under("lomo", of("trees", importance_worst_spearman())),
                       under("lomo", of("trees", importance_overlap()))}};
}

hypothesis incomplete_backbones(const terms& here) {
  const auto loses = [&](const std::string& other) { return of(here.blackbox, better_than(other)); };
  const auto wins = [&](const std::string& other) { return of(other, better_than(here.blackbox)); };
  condition incomplete_lose = loses(here.incomplete.front()), incomplete_win = wins(here.incomplete.front());
  std::vector<observation> errors{under(here.backbones, of(here.blackbox, mean_over_folds(mape)))};
  for (const std::string& one : here.incomplete) {
    if (one != here.incomplete.front()) {
      incomplete_lose = incomplete_lose && loses(one);
      incomplete_win = incomplete_win && wins(one);
    }
    errors.push_back(under(here.backbones, of(one, mean_over_folds(mape))));
  }
  condition complete_win = wins(here.complete.front()), complete_lose = loses(here.complete.front());
  for (const std::string& one : here.complete) {
    if (one != here.complete.front()) {
      complete_win = complete_win && wins(one);
      complete_lose = complete_lose && loses(one);
    }
    errors.push_back(under(here.backbones, of(one, mean_over_folds(mape))));
  }
  return {.name = "4",
          .claim =
              "a blackbox beats physics that lacks decode attention, learned corrections included, but not "
              "physics that is complete",
          .supported_if = under(here.backbones, incomplete_lose && complete_win),
          .refuted_if = under(here.backbones, incomplete_win || complete_lose),
          .observed = std::move(errors)};
}

/// The one that was never run.
hypothesis nine_parameters_transfer(const std::string& name, const std::string& nine) {
  const auto ratio = called("error of trees / error * parameters of trees / parameters",
                            of("trees", mean_over_folds(mape)) / of(nine, mean_over_folds(mape)) *
                                (of("trees", parameter_count()) / of(nine, parameter_count())));
  return {
      .name = name,
      .claim = nine + ", nine parameters for all models, transfers to models never seen",
      .supported_if = under("lomo", of(nine, every_fold(mape < 20_pct) && coefficient_of_variation(factors) < 0.3)),
      .refuted_if = under("lomo", of(nine, any_fold(mape > 30_pct))),
      .short_circuit_if = under("routing", of(nine, in_fold(moe, mape) > 30_pct)),
      .short_circuit_says = "dense models do not tell of mixtures of experts: use the 18-parameter variant",
      .success_metric = under("lomo", of(nine, better_than("trees", worst_fold(mape)))),
      .observed = {under("lomo", of(nine, mean_over_folds(mape))), under("lomo", of(nine, ratio)),
                   under("lomo", of(nine, backbone_error())), under("lomo", of(nine, correction_error())),
                   under("routing", of(nine, in_fold(moe, mape))),
                   under("routing", of("roofline18", in_fold(moe, mape))),
                   under("lomo", of("roofline18", worst_fold(mape)))}};
}

}  // namespace

std::vector<hypothesis> hypotheses(const terms& here) {
  return {features_suffice(here),
          corrected_rooflines(here),
          trees_generalise(here),
          incomplete_backbones(here),
          nine_parameters_transfer("5", "roofline9"),
          nine_parameters_transfer("5 again", "kernel9")};
}

hypothesis at_face_value(hypothesis claimed) {
  using rafter::hypotheses::at_face_value;
  claimed.claim += ", whatever the target is";
  claimed.supported_if = at_face_value(claimed.supported_if);
  claimed.refuted_if = at_face_value(claimed.refuted_if);
  if (claimed.short_circuit_if) claimed.short_circuit_if = at_face_value(*claimed.short_circuit_if);
  if (claimed.success_metric) claimed.success_metric = at_face_value(*claimed.success_metric);
  claimed.observed.clear();
  return claimed;
}

}  // namespace five
