"""The settings of a lender that writes letters."""

from __future__ import annotations

CREDITOR = {
    "CREDIT_PD_JURISDICTION": "us",
    "CREDIT_PD_CREDITOR_NAME": "First Lending <Bank> & Sons",
    "CREDIT_PD_CREDITOR_ADDRESS": "12 High Street\nSpringfield, IL 62701",
    "CREDIT_PD_CREDITOR_CONTACT": "1-800-555-0100",
    "CREDIT_PD_REGULATOR": "Bureau of Supervision, 1700 G Street NW, Washington, DC 20552",
    "CREDIT_PD_BUREAU": "Example Credit Reports, P.O. Box 1, Atlanta, GA 30301, 1-800-555-0199",
}
