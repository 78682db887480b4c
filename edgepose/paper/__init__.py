"""The paper's experiments as commands: each trains or takes networks, scores them, and sets the paper's
figures beside ours.

published.py  what the paper printed      experiments.py  the table of experiments and their scales
request.py    what a user asks for        substitutes.py  made-up infants where no data is given
networks.py   checkpoints, trained here or taken          sampling.py  fewer training images, setups kept
outcome.py    results.json                tables.py, figures.py, report.py  what a reader sees
run.py        one experiment from request to report
"""
