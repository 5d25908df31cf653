// five-hypotheses: what a public study claimed, as code. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "rafter/evaluation/hypothesis.hpp"

namespace five {

/// What the claims are called on the data at hand.
struct terms {
  std::string seen;  ///< the split that holds no model out: "shared_temporal", or "lowo" without time
  std::string nine, sixteen, thirty_six;  ///< the corrected rooflines
  std::string backbones;                  ///< the split under which complete and incomplete ones are compared
  std::vector<std::string> incomplete;    ///< physics without decode attention, and what is learned on top of it
  std::vector<std::string> complete;
  std::string blackbox;  ///< of relative errors where times differ by orders of magnitude
};

std::vector<rafter::hypothesis> hypotheses(const terms& here);
/// The same of a target that the audit calls implausible: what was claimed.
rafter::hypothesis at_face_value(rafter::hypothesis claimed);

}  // namespace five
