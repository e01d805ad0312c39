"""Write to applicants about recorded decisions, as HTML and as PDF.

    html = Templates().letter(letter_about(record, creditor))

A letter is made only from the record, and its templates see nothing but a `Letter`: no PD, cut-off
or protected attribute can get into it.

- `creditor` reads from the settings who writes, and by which law
- `content` takes from a record what its letter may say
- `explanation` takes what may explain a decision from the record, the model and its advice
- `rendering` fills the templates in `templates/` or in the lender's folder
- `pdf` lays out HTML as PDF
- `__main__`: `python -m service.letters ID`
"""
