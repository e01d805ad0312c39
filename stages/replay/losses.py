"""Loss given default and exposure at default of each application, by the segments of params.yaml.

Expected loss is PD * LGD * EAD. Nothing is fitted here: a lender states the shares, as constants
or by segment, from its own recoveries.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages.contract.schema import Contract, Mode
from stages.params.commands import ExpectedLoss
from stages.policy.decisions import Policy
from stages.policy.rules import HardRule, applies
from stages.replay.scored_rows import ScoredRows


def attach(
    rows: ScoredRows, section: ExpectedLoss, policy: Policy, contract: Contract, mode: Mode
) -> ScoredRows:
    """Return the rows with their loss given default and the share of the exposure at default.

    The first segment whose rule holds counts; else the constants, and where they state no loss
    that of the policy. Raises ContractError for a rule on what applications do not have.
    """
    constant = section.loss_given_default
    lgd = np.full(rows.rows, policy.loss_given_default if constant is None else constant)
    share = np.full(rows.rows, section.exposure_share)
    free = np.ones(rows.rows, dtype=bool)
    for segment in section.segments:
        stated = HardRule(rule=segment.rule, decision="refer", reason="a segment of losses")
        inside = free & applies(stated.encode(contract, mode), rows.features)
        lgd[inside], share[inside] = segment.loss_given_default, segment.exposure_share
        free &= ~inside
    return replace(rows, lgd=lgd, exposure_share=share)
