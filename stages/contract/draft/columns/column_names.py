"""What the name of a column suggests: whether it is protected, known too late, an identifier."""

from __future__ import annotations

import re

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
PROTECTED = re.compile(
    r"gender|sex|marital|marriage|married|spouse|race|racial|ethnic\w*|religio\w*|nationality|"
    r"national origin|citizenship|immigra\w*|foreign worker|disab\w*|pregnan\w*|child(ren)?|kids|"
    r"date of birth|birth\w*|dob|orientation|caste|tribe"
)
AGE = re.compile(r"(person|applicant|customer|client|borrower|cust|current)? ?age( in)?( years)?")
PLACE = re.compile(r"(zip|post|postal) ?(code)?|zipcode|postcode|city|town|district|neighbou?rhood")
AFTER = re.compile(
    r"(loan |total |debt )?(recover\w*|collection recovery|charged? ?offs? (date|amount|amnt)|"
    r"wr\w+ ?offs? (date|amount|amnt)|settlement|hardship|principal outstanding|"
    r"outstanding principal|out prncp|rec (prncp|int|late)|pymnt|last p(y|ay)m|next p(y|ay)m|"
    r"default date)\w*( .*)?"
)
PRICING = re.compile(
    r"((loan|sub|risk|credit) )?(grade|int rate|interest rate|interest|apr)|sanction\w*( amount)?|"
    r"processing fee|origination fee|net disbursement|disbursed amount"
)
IDENTITY = re.compile(
    r"id|uuid|guid|key|idx|index|unnamed|ssn|iban|reference|"
    r"(account|loan|customer|application|contract|member) (number|no|nr|num|ref)"
)
QUANTITY = re.compile(
    r"number|num|count|months?|years?|days|amount|amnt|value|rate|ratio|pct|percent|income|balance|"
    r"score|age|avg|average|total|sum|max|min|mean|limit|term|duration|price|salary"
)
FRACTION = re.compile(
    r"amount|amnt|income|balance|rate|ratio|pct|percent|utili[sz]ation|price|value|salary|fee|"
    r"payment|limit|share|avg|average|mean"
)
CODE = re.compile(
    r"code|cd|type|status|category|cat|class|kind|purpose|sex|gender|marriage|marital|education|"
    r"region|state|branch|sector|industry|occupation|job|product|channel|group|segment|race|"
    r"ethnicity|housing|id|zip|zipcode|postcode"
)
PERCENT = re.compile(r"pct|percent|percentage|ratio|utili[sz]ation|share|rate|burden")
DECISION = re.compile(
    r"disburs\w*|issued?|origin\w*|appli\w*|approv\w*|book\w*|fund\w*|decision|grant\w*|loan"
)
# Dates in the history of an applicant: nobody decided about the loan on them.
HISTORY = re.compile(
    r"open(ed|ing)?|account|acct|accounts|since|earliest|oldest|first|cr line|employ\w*|hired?|"
    r"join(ed)?|regist\w*|member|membership|onboard\w*"
)
LOAN_OPENED = re.compile(
    r"loan (account |acct )?(date )?open(ed|ing)?|open(ed|ing)? (date )?(of )?(the )?loan"
)
PERSON = re.compile(
    r"cust|customer|client|borrower|member|person|people|applicant|party|debtor|obligor|holder|user"
)

INSTALMENT = re.compile(r"inst[ae]l?l?ments?|emi|(monthly )?payments?|monthly repayment|annuity")
RATE = re.compile(r"((loan|credit) )?(int rate|interest rate|interest|apr)")
TERM = re.compile(r"term|tenure|tenor|duration|months|tenure months|(loan )?(term|period)")
LOAN = re.compile(r"(loan|credit) (amount|amnt|amt)|amount|amnt|funded amnt")
INCOME = re.compile(r"income|salary|annual inc")


def words(name: str) -> str:
    """Return a name in any case as lower-case words: `EmpLength_yrs` as `emp length yrs`."""
    return " ".join(WORD.findall(name)).lower()


def title(name: str) -> str:
    """Return a name as the page shows it."""
    return words(name).capitalize() or name


def tells(pattern: re.Pattern[str], name: str) -> bool:
    """Return whether one whole word of the name, or several in a row, match the pattern."""
    return re.search(rf"(?<!\w)({pattern.pattern})(?!\w)", words(name)) is not None


def dates_history(name: str) -> bool:
    """Return whether a date's name is of the applicant's history: an account that was opened."""
    return tells(HISTORY, name) and not tells(LOAN_OPENED, name)


def is_protected(name: str) -> bool:
    """Return whether a name suggests an attribute that must not decide about a person."""
    return AGE.fullmatch(words(name)) is not None or tells(PROTECTED, name)


def known_at(name: str) -> str:
    """Return when a column is known, as its name suggests: application, pricing or outcome."""
    if AFTER.fullmatch(words(name)):
        return "outcome"
    return "pricing" if PRICING.fullmatch(words(name)) else "application"
