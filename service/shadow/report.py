"""Compare the scores of a challenger with the champion's decisions, and both with the outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from service.decision.engine import Engine
from service.decision.identity import Identity
from service.ledger import Ledger
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database_file import require_file
from service.monitoring.realised_performance import maturity_days
from service.shadow import pairs, records
from service.shadow.pairs import NotComparable
from stages import params
from stages.features.matrix import Floats
from stages.judging.evaluation import round_figures
from stages.metrics import ratio_intervals
from stages.metrics.clusters import Codes
from stages.metrics.delong import compare_aucs
from stages.metrics.rate_intervals import as_figure
from stages.metrics.ratio_intervals import RatioOfSums
from stages.replay import comparison, table
from stages.replay.comparison import Side

FEWEST = 2  # good and bad loans that an AUC with an interval needs


def compare(
    ledger: Ledger, engine: Engine, challenger: Identity, *, maturity: int, minimum: int
) -> dict[str, Any]:
    """Return how a challenger would have decided.

    It is compared with the decisions of the champion `engine`, "present" in the figures, which its
    policy values; officers' decisions and erased ones do not count. An outcome counts where its
    decision is at least `maturity` days old. Raises NotComparable.
    """
    records.require_index(ledger.engine)
    scores = pairs.read_scores(ledger, engine, challenger, maturity)
    champion, pd = scores.champion, scores.challenger_pd
    same_loan = champion.cluster
    agrees = (scores.decided == scores.challenger_decided).astype(np.float64)
    agreement = ratio_intervals.interval(RatioOfSums(agrees, np.ones(len(agrees))), same_loan)
    content = {
        "champion": {name: engine.identity[name] for name in ("model", "policy")},
        "challenger": dict(challenger),
        "refused": pairs.count_refused(ledger, challenger),
        "waiting": records.count_waiting(ledger, records.last_scored(ledger, challenger)),
        "agreement": as_figure(agreement),
        "rank_correlation": correlate_ranks(champion.pd, pd),
        "mean_pd": compare_means(champion.pd, pd, same_loan),
        "realised": compare_outcomes(champion.bad, champion.pd, pd, same_loan),
    }
    decisions = comparison.compare(
        Side(champion, scores.decided, engine.policy),
        Side(
            replace(champion, pd=pd),
            scores.challenger_decided,
            pairs.read_policy(ledger, challenger),
        ),
        minimum=minimum,
    )
    rounded = round_figures(content)
    return rounded | decisions


def report(url: str | None = None) -> list[dict[str, Any]]:
    """Compare each challenger with the winner of the current folder, in the ledger at `url`.

    The newest comes first; one that has scored no decision of this winner is left out. Raises
    LedgerUnavailable, NotReady and NotComparable.
    """
    config = params.load(with_candidates=False).monitor
    ledger = Ledger(url, LONG_DEADLINE)
    try:
        require_file(ledger.engine.url)
        return compare_all(ledger, Engine.load(), maturity_days(config), config.min_group)
    finally:
        ledger.close()


def compare_all(
    ledger: Ledger, engine: Engine, maturity: int, minimum: int
) -> list[dict[str, Any]]:
    """Return the comparison of each challenger that can be compared, the newest first.

    Raises NotComparable where none can be.
    """
    contents, reasons = [], []
    for challenger in pairs.list_challengers(ledger):
        try:
            contents.append(compare(ledger, engine, challenger, maturity=maturity, minimum=minimum))
        except NotComparable as error:
            reasons.append(str(error))
    if not contents:
        raise NotComparable("; ".join(reasons))
    return contents


def correlate_ranks(champion: Floats, challenger: Floats) -> float:
    """Return Spearman's correlation of two PDs (n,), NaN where one of them never differs."""
    if min(np.ptp(champion), np.ptp(challenger)) == 0:
        return float("nan")
    return float(spearmanr(champion, challenger).statistic)


def compare_means(
    champion: Floats, challenger: Floats, cluster: Codes | None
) -> dict[str, dict[str, float]]:
    """Return the means of both columns (n,) and their difference, with paired intervals.

    Rows of one `cluster` (n,) are decisions about the same loan.
    """
    one = np.ones(len(champion))
    old, new = RatioOfSums(champion, one), RatioOfSums(challenger, one)
    return {
        "champion": as_figure(ratio_intervals.interval(old, cluster)),
        "challenger": as_figure(ratio_intervals.interval(new, cluster)),
        "difference": as_figure(ratio_intervals.difference(new, old, cluster)),
    }


def compare_outcomes(
    bad: Floats, champion: Floats, challenger: Floats, cluster: Codes | None
) -> dict[str, Any]:
    """Return the ROC-AUC and the Brier score of both on the rows with a mature outcome.

    Both are None where fewer than FEWEST loans went bad, or stayed good.
    """
    seen = np.isfinite(bad)
    bad, old, new = bad[seen], champion[seen], challenger[seen]
    cluster = None if cluster is None else cluster[seen]
    facts: dict[str, Any] = {"outcomes": len(bad), "roc_auc": None, "brier": None}
    if min((bad == 1).sum(), (bad == 0).sum()) < FEWEST:
        return facts
    auc = compare_aucs(bad, old, new, cluster)
    facts["roc_auc"] = {
        "champion": auc.champion,
        "challenger": auc.challenger,
        "difference": {"value": auc.difference, "low": auc.low, "high": auc.high},
    }
    facts["brier"] = compare_means((old - bad) ** 2, (new - bad) ** 2, cluster)
    return facts


def as_text(content: Mapping[str, Any]) -> str:
    """Return what `compare` returned, as text for people; "proposed" is the challenger."""
    champion, challenger = content["champion"], content["challenger"]
    mean, realised = content["mean_pd"], content["realised"]
    same = content["agreement"]
    lines = [
        f"challenger {challenger['model']} (policy {challenger['policy']}) beside the champion "
        f"{champion['model']} (policy {champion['policy']})",
        f"scored: {content['rows']:,}; refused: {words_of_refused(content['refused'])}; "
        f"waiting: {content['waiting']:,}",
        f"same decision: {table.number(same['value'])} ({table.interval(same)}); "
        f"rank correlation of the PDs: {table.number(content['rank_correlation'])}",
        f"mean PD: champion {table.number(mean['champion']['value'])}, challenger "
        f"{table.number(mean['challenger']['value'])}, {words_of_change(mean['difference'])}",
    ]
    for name, title in (("roc_auc", "ROC-AUC"), ("brier", "Brier score")):
        if figure := realised[name]:
            both = [figure[side] for side in ("champion", "challenger")]
            old, new = (f["value"] if isinstance(f, dict) else f for f in both)
            lines.append(
                f"realised {title} on {realised['outcomes']:,} outcomes: champion "
                f"{table.number(old)}, challenger {table.number(new)}, "
                f"{words_of_change(figure['difference'])}"
            )
    if realised["roc_auc"] is None:
        lines.append(f"{realised['outcomes']:,} mature outcomes: too few to be judged")
    lines += ["outcomes exist of loans that were granted only", "", table.as_text(content)]
    return "\n".join(lines)


def words_of_refused(refused: Mapping[str, int]) -> str:
    """Return the problems for which applications were not scored, with their numbers."""
    return ", ".join(f"{problem} {count:,}" for problem, count in refused.items()) or "none"


def words_of_change(difference: Mapping[str, float | None]) -> str:
    """Return a difference with its interval."""
    return (
        f"difference {table.number(difference['value'], '+.4f')} "
        f"({table.interval(difference, '+.4f')})"
    )
