#!/usr/bin/env bash
# tensorboard 2.21.0 with tensorboardX 2.6.4: of many hyperparameters, HPARAMS shows the constants
# and leaves out the one that differs.
#
# Three runs have 60 hyperparameters each by `SummaryWriter.add_hparams`; `weight_decay` alone
# differs between them. The server is asked for ten, as its page does for its columns.
# Expected: `weight_decay` is the first of the ten, as the server promises those that differ first.
# Seen: ten constants by the alphabet. Whether a hyperparameter differs is a field of the
# experiment's summary; `add_hparams` writes that summary with every run and never sets the field
# (nor does the writer of torch 2.14, whose code is the same there), and the server believes what
# it finds in any one run. Without that summary it looks at the runs itself: with the same events
# but for this one, `weight_decay` comes first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorboard==2.21.0 tensorboardX==2.6.4 setuptools==80.9.0
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import json
import logging
import sys
import urllib.request

import tensorboardX.writer
from tensorboard import program
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

logging.disable(logging.ERROR)
CONSTANTS = {f"constant_{i:02}": float(i) for i in range(59)}


def runs(folder):
    for run, decay in enumerate((0.1, 0.2, 0.3)):
        with SummaryWriter(f"{folder}/{run}") as writer:
            writer.add_hparams({**CONSTANTS, "weight_decay": decay}, {"score": decay}, name="row")


def first_ten(folder):
    server = program.TensorBoard()
    server.configure(logdir=folder, port=0, load_fast="false")
    url = f"{server.launch()}data/plugin/hparams/experiment"
    asked = {"experimentName": "", "hparamsLimit": 10}
    for _ in range(100):
        request = urllib.request.Request(
            url, json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                found = json.load(answer).get("hparamInfos")
        except urllib.error.HTTPError:
            # It has not read the runs yet.
            found = None
        if found:
            return [each["name"] for each in found]
    sys.exit("the server has found no hyperparameters")


runs("as_written")


def without_experiment(*arguments, **named):
    _, start, end = hparams(*arguments, **named)
    return start, start, end


tensorboardX.writer.hparams = without_experiment
runs("without_experiment")
seen, mended = first_ten("as_written"), first_ten("without_experiment")
print("as add_hparams writes it:", *seen)
print("without the experiment's summary:", *mended)
if "weight_decay" in seen or mended[0] != "weight_decay":
    sys.exit("TensorBoard has changed: this finding is to be looked at again")
PYTHON
