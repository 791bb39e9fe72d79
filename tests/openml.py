"""What OpenML answers for one data set, stored as scikit-learn keeps it. Not tests.

The set is made up: numbers and categories with values missing, categories that are numbers, a name with a
blank, a row identifier, a column to be ignored, and a target that is neither first nor last.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

NAME = "patients"
ARFF = """% made up
@RELATION patients
@ATTRIBUTE id INTEGER
@ATTRIBUTE age REAL
@ATTRIBUTE ill {yes,no}
@ATTRIBUTE 'blood group' {O,A,B,AB}
@ATTRIBUTE ward {1,2,10}
@ATTRIBUTE smoker {no,yes}
@ATTRIBUTE remark STRING
@DATA
11,34.5,no,O,10,no,'fine, so far'
12,?,yes,AB,1,yes,?
13,71,yes,A,2,?,tired
14,28.25,no,O,1,no,?
15,55,yes,B,10,yes,'old'
16,?,no,A,2,?,?
17,49,no,O,1,yes,?
18,63.75,yes,AB,10,yes,?
"""
_NOMINAL = {
    "ill": ["yes", "no"],
    "blood group": ["O", "A", "B", "AB"],
    "ward": ["1", "2", "10"],
    "smoker": ["no", "yes"],
}
_NAMES = ("id", "age", "ill", "blood group", "ward", "smoker", "remark")


def store(home: Path) -> None:
    """Put the answers where scikit-learn finds them, below SCIKIT_LEARN_DATA."""
    features = [
        {
            "index": str(place),
            "name": name,
            "data_type": "nominal"
            if name in _NOMINAL
            else "string"
            if name == "remark"
            else "numeric",
            "is_target": str(name == "ill").lower(),
            "is_ignore": str(name == "remark").lower(),
            "is_row_identifier": str(name == "id").lower(),
            "number_of_missing_values": {"age": "2", "smoker": "2", "remark": "5"}.get(name, "0"),
        }
        | ({"nominal_value": _NOMINAL[name]} if name in _NOMINAL else {})
        for place, name in enumerate(_NAMES)
    ]
    described = {
        "id": "7",
        "name": NAME,
        "version": "3",
        "description": "made up",
        "format": "ARFF",
        "status": "active",
        "file_id": "8",
        "url": "https://www.openml.org/data/v1/download/8/patients.arff",
        "default_target_attribute": "ill",
        "row_id_attribute": "id",
        "ignore_attribute": "remark",
        "md5_checksum": hashlib.md5(ARFF.encode()).hexdigest(),
    }
    found = {"did": 7, "name": NAME, "version": 3, "status": "active", "format": "ARFF"}
    answers = {
        f"api/v1/json/data/list/data_name/{NAME}/limit/2/status/active/": {
            "data": {"dataset": [found]}
        },
        "api/v1/json/data/7": {"data_set_description": described},
        "api/v1/json/data/features/7": {"data_features": {"feature": features}},
        "api/v1/json/data/qualities/7": {
            "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "8"}]}
        },
    }
    stored = {path: json.dumps(answer) for path, answer in answers.items()}
    stored["data/v1/download/8/patients.arff"] = ARFF
    for path, content in stored.items():
        place = home / "openml" / "openml.org" / f"{path}.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(content.encode()))
