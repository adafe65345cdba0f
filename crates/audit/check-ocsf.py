#!/usr/bin/env python3
"""Checks the pinned OCSF form of every event against the published OCSF 1.8.0 schema.

Not part of the test run, because it needs PyPI: pip install ocsf-json-schema jsonschema, then run this
file after a change of src/ocsf.rs or src/kind.rs.
"""

import json
import pathlib
import sys

import jsonschema
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded
from ocsf_json_schema.loader import get_ocsf_schema

SNAPSHOT = "src/tests/snapshots/audit__tests__catalogue__ocsf.snap"

schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
text = (pathlib.Path(__file__).parent / SNAPSHOT).read_text().split("\n---\n", 1)[1]
events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
faults = []
for event in events:
    name = schema.lookup_class_name_from_uid(event["class_uid"])
    wanted = schema.get_class_schema(name, event["metadata"]["profiles"])
    for error in jsonschema.Draft202012Validator(wanted).iter_errors(event):
        faults.append(f"{event['metadata']['event_code']} ({name}): {error.message}")
print("\n".join(faults) or f"{len(events)} events are valid")
sys.exit(bool(faults) or not events)
