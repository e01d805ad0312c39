"""The page that shows the plots: HTML with images beside it, and no script."""

from __future__ import annotations

from html import escape

from stages.plots.layers import Report

# The captions of the plots by file name, in the order of the page.
CAPTIONS = {
    "roc": "How well each candidate ranks bad loans above good ones, and the winner on test rows",
    "candidates": "Figures of all candidates on the validation rows",
    "calibration": "Bad rate against mean PD in tenths of the test rows, on square-root scales",
    "scores": "Good and bad loans of the test rows by PD, with the policy's cut-offs",
    "ks": "Shares of good and of bad loans below each PD; their widest gap is KS",
    "precision_recall": "Precision among the loans above a cut-off, by the share of bads found",
    "confusion": "Test rows by outcome, and by their PD against the policy's cut-off",
    "importance": "Mean absolute Shapley value of each feature in log-odds, on test rows",
    "vintages": "Bad rate and mean PD by quarter of disbursal",
    "origins": "ROC-AUC of all candidates on the loans after each day up to which they had learned",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
figure { margin: 2.5rem 0; overflow-x: auto } img { max-width: 100% }
img[src^=roc], img[src^=candidates] { max-width: max(100%, 640px) }
figcaption { color: #444; position: sticky; left: 0 }
"""


def html(report: Report) -> str:
    """Return the page for the content of `models/evaluation.json`."""
    title = f"{report['winner']} on {report['dataset']}, {report['mode']} mode"
    images = "".join(
        f'<figure><img src="{name}.svg" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
        for name, caption in CAPTIONS.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style>\n<h1>{escape(title)}</h1>\n{images}</html>\n"
    )
