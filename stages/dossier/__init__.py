"""The model's dossier: what a validator, an auditor and a risk committee ask of the winner.

`python -m stages.dossier` is a stage, which writes it into models/dossier. Nobody types a figure.

- `sources`: the files that the dossier is made from; each figure is shown with its file and key
- `calculations`: figures that no stage states: grades, vintages, segments, groups, backtest, leaks
- `grade_tests`: whether the PDs of rating grades agree with the outcomes of their loans
- `lineage`: the hashes of data and models, as DVC computes them
- `duties`: what laws and supervisors ask for, and which test or file answers it
- `review`: what people state: the use of the model, and who approved it
- `page`: fills the templates
- `check`: whether a dossier still says what its files say
- `pdf`: lays the page out as PDF

This package imports from `stages.contract` and `stages.metrics`. Nothing may import from here.
"""
