"""The report of a change, and the decision impact in it."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from release import dvc_state
from release.gate import __main__ as gate
from release.gate.judgement import Judgement
from release.report import __main__ as report
from release.report import impact, markdown, origin, shift, timing
from stages import params
from stages.judging import evaluation
from stages.metrics import ratio_intervals
from tests.support.clone import Clone
from tests.support.trained.champions import FIRST, Lender, champion_once, lender, predictions, quick

__all__ = ["champion_once", "lender", "quick"]  # fixtures
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc
BETTER, WORSE = predictions(noise=0.0), predictions(noise=3.0)
AUC = "Discrimination (AUC)"
RULE = "credit_utilization_ratio >= 90"
FIRST_MODEL = {
    r"candidates: \[.*\]": "candidates: [logistic]",
    r"rules: \[\].*": f"rules: [{{rule: {RULE}, decision: refer, reason: High use of credit}}]",
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The real pipeline on a small book: a logistic champion, then LightGBM beside it."""
    clone = Clone(tmp_path_factory.mktemp("pipeline") / "clone", **FIRST_MODEL)
    clone.dvc(
        "remote", "add", "--default", "--force", "beside", str(clone.folder.parent / "remote")
    )
    policy = clone.folder / "models" / "gate.yaml"
    limits = yaml.safe_load(policy.read_text()) | {"min_bads": 20, "max_unexcluded_loss": {}}
    policy.write_text(yaml.safe_dump(limits))
    clone.simulate(2500)
    for subject in ("The first model", "Try LightGBM"):
        clone.dvc("repro", "--quiet")
        clone.commit(subject)
        clone.dvc("push", "--quiet")
        clone.change({r"candidates: \[.*\]": "candidates: [logistic, lightgbm]"})
    clone.run("git", "checkout", "--quiet", "--", ".")
    return clone


@pytest.fixture(autouse=True)
def untimed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time winners in the real pipeline alone: each timing starts a Python."""
    if "pipeline" not in request.fixturenames:
        monkeypatch.setattr(timing, "measure", lambda _: (None, None))


def written(lender: Lender, base: str = "HEAD^") -> str:
    """The report's text, by its command."""
    with contextlib.chdir(lender.folder):
        assert report.main(["--base", base, "--out", "../report.md"]) == 0
    return (lender.folder.parent / "report.md").read_text()


def test_bands_stand_in_their_order() -> None:
    bands = ["33 to 40", "100 and above", "40 to 100", "below 33"]
    assert sorted(bands, key=evaluation.order_of_group) == [
        "below 33",
        "33 to 40",
        "40 to 100",
        "100 and above",
    ]
    assert sorted(["M", "F"], key=evaluation.order_of_group) == ["F", "M"]


def test_a_figure_that_rounds_to_nothing_has_no_sign() -> None:
    assert [markdown.number(v, 4, "+") for v in (-2e-5, 2e-5, -2e-4)] == [
        "0.0000",
        "0.0000",
        "-0.0002",
    ]


def judged(pipeline: Clone) -> Judgement:
    with contextlib.chdir(pipeline.folder):
        return gate.judge("HEAD^", remote=True)


def cells(text: str, name: str) -> list[str]:
    """The cells of the table line that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_real_pipeline_proves_its_own_figures(pipeline: Clone) -> None:
    judgement = judged(pipeline)
    assert ("metrics", "pass") in [(f.check, f.status) for f in judgement.findings]
    assert [f for f in judgement.findings if f.status == "cannot judge"] == []
    assert judgement.params is not None
    assert [rule.rule for rule in judgement.params.policy.rules] == [RULE]


def test_the_real_pipeline_has_a_full_report(pipeline: Clone) -> None:
    with contextlib.chdir(pipeline.folder):
        text = report.report(gate.judge("HEAD^", remote=True))
    assert cells(text, "winner")[1] == "`logistic`"
    for side in cells(text, "artifact")[1:3]:
        assert re.fullmatch(r"[\d,]+ kB, [\d,]+ µs per application", side)
    assert '| `candidates` | `["logistic"]` | `["logistic", "lightgbm"]` |' in text
    assert "gender" in text
    importance = text.split("features that weigh most")[1].split("</details>")[0]
    weights = re.findall(r"^\| `\w+` \| (\d\.\d{3}) \| (\d\.\d{3}) \|$", importance, re.M)
    assert len(weights) > 5


def test_a_winner_of_the_base_that_is_gone_is_not_timed(
    pipeline: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement = judged(pipeline)
    monkeypatch.setattr(
        dvc_state, "locked_outputs", lambda _: {"models/winner.json": ("0" * 32, 1)}
    )
    with contextlib.chdir(pipeline.folder):
        base, head = timing.measure(judgement)
    assert base is None
    assert head is not None
    assert 0 < head < 1e6


def test_the_verdict_comes_first(lender: Lender) -> None:
    lender.change(BETTER)
    assert written(lender).startswith("## ✅ Pass: No floor is broken")
    lender.change(WORSE)
    text = written(lender)
    assert text.startswith("## ❌ Fail: floor: ")
    assert "\n- ❌ champion: Discrimination (AUC) 0." in text.split("### Figures")[0]
    assert written(lender, "nowhere").startswith("## ⚠️ Cannot judge: base: base 'nowhere'")


def test_a_figure_has_both_sides_their_difference_and_its_limits(lender: Lender) -> None:
    change = lender.change(BETTER).judge().differences["roc_auc"]
    _, base, head, difference, interval, better, limits = cells(written(lender), AUC)
    assert (base, head) == (f"{change.champion:.4f}", f"{change.challenger:.4f}")
    assert difference == f"▲ {change.difference:+.4f}"
    assert interval == f"{change.low:+.4f} to {change.high:+.4f}"
    assert (better, limits) == ("higher", "✅ ≥ 0.75, ✅ loss ≤ 0.002")


def test_a_broken_limit_is_marked_where_it_stands(lender: Lender) -> None:
    lender.change(WORSE)
    assert cells(written(lender), AUC)[-1] == "❌ ≥ 0.75, ❌ loss ≤ 0.002"


def test_the_swap_set_is_who_changes_sides(lender: Lender) -> None:
    both = lender.change(BETTER).judge().paired
    assert both is not None
    text = written(lender)
    newly = ~both.champion.approved & both.challenger.approved
    assert cells(text, "Newly approved")[1:4] == [
        f"{newly.sum():,}",
        f"{newly.mean():.1%}",
        f"{both.challenger.bad[newly].mean():.2%}",
    ]
    kinds = ("Newly approved", "No longer approved", "Approved by both", "Approved by neither")
    assert sum(int(cells(text, kind)[1].replace(",", "")) for kind in kinds) == 1600


def test_the_first_lines_count_the_people_who_change_sides(lender: Lender) -> None:
    paired = lender.change(BETTER).judge().paired
    assert paired is not None
    newly = ~paired.champion.approved & paired.challenger.approved
    first = written(lender).split("### Figures")[0]
    rate = f"{paired.challenger.bad[newly].mean():.1%}"
    assert (
        f"Of 1,600 applicants, {newly.sum():,} are newly approved (bad rate {rate}, 95 % " in first
    )


def test_newly_approved_are_set_against_the_portfolio(lender: Lender) -> None:
    paired = lender.change(BETTER).judge().paired
    assert paired is not None
    portfolio = f"{paired.challenger.bad[paired.champion.approved].mean():.1%}"
    first = written(lender).split("### Figures")[0]
    assert f"Of those whom the base approves, {portfolio} go bad" in first


def test_people_and_money_change_by_sums_with_intervals(lender: Lender) -> None:
    table = BETTER.assign(exposure=1000.0)
    lender.change(predictions().assign(exposure=1000.0))
    paired = lender.change(table).judge().paired
    assert paired is not None
    text = written(lender)
    gained = int(paired.challenger.approved.sum()) - int(paired.champion.approved.sum())
    people, money = (cells(text, name) for name in ("Applicants approved", "Money approved"))
    assert people[3] == f"{gained:+,}"
    assert money[3] == f"{1000 * gained:+,}"
    low, high = (int(v.replace(",", "")) for v in people[4].split(" to "))
    assert low < gained < high
    champion, challenger = paired.champion, paired.challenger
    referred = int((challenger.decision == 1).sum()) - int((champion.decision == 1).sum())
    assert cells(text, "Applicants referred")[3] == f"{referred:+,}"
    expected = 1000 * 0.52 * challenger.pd[challenger.approved].sum()
    assert cells(text, "Expected loss on the money approved")[2] == f"{expected:,.0f}"
    assert cells(text, "Capital for it, by Basel's formula for other retail loans")[2] != "0"


def test_an_interval_of_a_sum_draws_clusters_together() -> None:
    values = np.array([1.0, 1.0, -1.0, -1.0, 1.0, 1.0])
    alone, together = (
        ratio_intervals.total(values, None),
        ratio_intervals.total(values, np.array([0, 0, 1, 1, 2, 2])),
    )
    assert together.high - together.low > alone.high - alone.low


def test_scores_and_vintages_are_shown_with_a_chart(lender: Lender) -> None:
    text = written(lender.change(BETTER))
    assert "population stability index of the scores is 0." in text
    assert text.count("```mermaid\n") == text.count("\nxychart-beta\n") == 4
    quarters = [line for line in text.splitlines() if re.match(r"\| 202\d-Q\d", line)]
    assert sum(int(line.split("|")[2].replace(",", "")) for line in quarters) == 1600


def test_a_quarters_chart_and_table_have_its_rates() -> None:
    vintage = shift.Vintage("2023-Q1", 1600, 0.123456, 0.1, 0.2, 0.7, 1.0)
    assert "line [12.35]" in shift.chart([vintage])
    rates = ["12.35%", "10.00%", "20.00%", "70.00%", "100.00%"]
    assert shift.as_line(vintage) == ["2023-Q1", "1,600", *rates]


def test_names_are_plain_in_the_first_lines(lender: Lender) -> None:
    first = written(lender.change(WORSE)).split("### Figures")[0]
    assert "- ❌ champion: Discrimination (AUC) 0." in first


def test_the_report_names_the_commit_of_the_branch_and_the_run(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    lender.git("checkout", "-q", "-b", "mine")
    branch = lender.change(BETTER).git("rev-parse", "HEAD")
    lender.git("checkout", "-q", "main")
    lender.git("merge", "-q", "--no-ff", "-m", "Merge", "mine")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "lender/credit")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    text = written(lender)
    assert f"Head `{branch[:10]}` against" in text
    assert "(https://github.com/lender/credit/actions/runs/7)" in text


def test_what_nobody_answered_for_comes_before_what_somebody_did(lender: Lender) -> None:
    lender.acknowledge("preprocess.seed").params(preprocess__seed=8, preprocess__test_share=0.3)
    first = written(lender.change(BETTER)).split("### Figures")[0]
    assert first.index("test_share") < first.index("acknowledged by Ada Lovelace")


def test_what_a_person_should_look_at_stands_before_the_figures(lender: Lender) -> None:
    lender.params(preprocess__test_share=0.3)
    first = written(lender.change(BETTER)).split("### Figures")[0]
    assert "To be looked at by a person" in first
    assert "preprocess.test\\_share" in first or "preprocess.test_share" in first


def test_parameters_policy_and_data_that_changed_are_shown(lender: Lender) -> None:
    lender.params(policy__margin=0.1).policy(max_loss__roc_auc=0.01)
    lender.text("data/small/quality.json", '{"rows_in": 2500, "rows_out": 2000}')
    text = written(lender.change(BETTER))
    assert "| `policy.margin` | `0.08` | `0.1` |" in text
    assert "| `max_loss.roc_auc` | `0.002` | `0.01` |" in text
    assert "| `rows_in` | `2000` | `2500` |" in text


def test_the_report_says_what_directions_of_risk_cost_and_prevent() -> None:
    worst = {"row": 7, "from": 0, "to": 100, "pd_from": 0.3, "pd_to": 0.2}
    income = {"risk": "increasing", "proved": False, "violations": 40, "counterexample": worst}
    amount = {"risk": "increasing", "proved": True, "violations": 0, "violations_when_free": 1234}
    fields = {"income": income, "amount": amount}
    price = {"features": ["amount"], "price": 0.001}
    judgement = Judgement("HEAD^", metrics={"monotone": {"rows": 50, "fields": fields, **price}})
    text = origin.model(judgement)
    assert "| price of monotone constraints | — | +0.0010 AUC for 1 features |" in text
    assert "| PD against a stated direction | — | 1 of 2 fields |" in text
    assert "| 40: row 7 from `0 → 100` has PD 0.3 → 0.2 | — |" in text
    assert "| `amount` | increasing | 0 (proved for every application) | 1,234 |" in text


def test_the_first_commit_is_reported_without_a_base(lender: Lender) -> None:
    text = written(lender, FIRST)
    assert text.startswith("## ✅ Pass: There is no champion of this")
    assert len(cells(text, AUC)) == 3
    assert "Swap set" not in text


@pytest.mark.parametrize("path", ["models/predictions.parquet", "params.yaml", "dvc.lock"])
def test_what_cannot_be_judged_is_reported_too(lender: Lender, path: str) -> None:
    (lender.change(BETTER).folder / path).unlink()
    assert written(lender).startswith("## ⚠️ Cannot judge")


def test_without_the_remote_the_report_says_so(lender: Lender) -> None:
    judgement = lender.change(BETTER).judge(remote=False)
    with contextlib.chdir(lender.folder):
        assert "this is no verdict for a merge" in report.report(judgement)


def test_what_data_say_is_never_markup(lender: Lender) -> None:
    evil = "@lender/all | <img src=x> `[link](https://example.com)` " + "long " * 100
    named = BETTER["group_sex"].replace({"F": evil})
    lender.text("data/small/quality.json", f'{{"note": "{evil}"}}')
    text = written(lender.change(BETTER.assign(group_sex=named)))
    bare = re.sub(r"`[^`\n]*`", "", text)
    assert "<img" not in bare
    assert not re.search(r"@\w", bare)
    assert not re.search(r"(?<!\\)\[link\]", bare)


def test_every_table_is_whole(lender: Lender) -> None:
    text = written(lender.change(WORSE))
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) >= 7
    for table in tables:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1, table


def test_a_huge_change_still_fits_a_comment(lender: Lender) -> None:
    many = {f"rule {i} {'x' * 300}": {"rows": i, "example": "y" * 300} for i in range(500)}
    lender.text("data/small/quality.json", str(many).replace("'", '"'))
    names = BETTER["row"].map(lambda row: f"{'group ' * 30}{row % 200}")
    text = written(lender.change(BETTER.assign(group_branch=names, group_area=names)))
    assert len(text) < 65_536
    assert "| … and 342 more |" in text


def test_the_last_parts_give_way_where_a_report_grows_too_long(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "LONGEST", 4000)
    text = written(lender.change(WORSE))
    assert len(text) <= 4000
    assert text.startswith("## ❌ Fail")
    assert text.endswith("_The rest did not fit: see the artifact of this run._\n")


books = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.2, 0.5, 0.9])), min_size=1)


@given(books, st.floats(0, 1))
def test_approval_at_a_bad_rate_is_the_largest_that_keeps_it(
    book: list[tuple[bool, float]], bad_rate: float
) -> None:
    bad, pd = np.array(book).T
    approved = [pd <= cut for cut in np.unique(pd)]
    rates = [each.mean() for each in approved if bad[each].mean() <= bad_rate]
    expected = max(rates, default=0.0)
    assert impact.approval_at(bad, pd, bad_rate) == pytest.approx(expected)


@given(books)
def test_the_bad_rate_at_an_approval_rate_is_that_of_the_lowest_pds(
    book: list[tuple[bool, float]],
) -> None:
    bad, pd = np.array(book).T
    for cut in np.unique(pd):
        approved = pd <= cut
        rate = impact.bad_rate_at(bad, pd, float(approved.mean()))
        assert rate == pytest.approx(bad[approved].mean())


def test_equal_pds_share_their_bads() -> None:
    assert impact.bad_rate_at([1, 0, 0, 0], [0.2, 0.2, 0.2, 0.2], 0.5) == pytest.approx(0.25)


def test_expected_profit_is_what_the_pds_promise() -> None:
    policy = params.load().policy
    figures = impact.side(impact.Judged(*map(np.array, ([0, 1], [0.1, 0.9], [0, 2]))), policy)
    promised = (0.9 * policy.margin - 0.1 * policy.loss_given_default) / 2
    assert figures == pytest.approx((0.5, 0.0, promised))


def test_the_interval_of_a_bad_rate_is_wilsons_and_counts_customers_once() -> None:
    bad, nobody = (np.arange(54) < 3).astype(np.int64), np.zeros(54, dtype=np.bool_)
    once = impact.Judged(bad, bad / 2, bad)
    assert impact.interval_of_bad_rate(once, ~nobody) == pytest.approx((0.0191, 0.1511), abs=1e-4)
    assert impact.interval_of_bad_rate(once, nobody) == (0.0, 1.0)
    copies = np.tile(bad, 4), np.tile(bad / 2, 4), np.tile(bad, 4)
    again = impact.Judged(*copies, cluster=np.tile(np.arange(54), 4))
    low, high = impact.interval_of_bad_rate(again, np.tile(~nobody, 4))
    assert low < 0.0191
    assert high > 0.1511
