#!/usr/bin/env python3
"""Checks events in OCSF form, one JSON object per line, against the published OCSF 1.8.0 schema.

Called by the tests of the catalogue under `cargo xtask test`. By hand, with the packages of tests/requirements.txt:
check-ocsf.py FILE.jsonl. Before it believes itself, it breaks every event in several ways and expects to see that.
"""

import copy
import functools
import json
import pathlib
import sys

import jsonschema
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded
from ocsf_json_schema.loader import get_ocsf_schema

RAW = get_ocsf_schema("1.8.0")
SCHEMA = OcsfJsonSchemaEmbedded(RAW)


@functools.cache
def validator(class_uid, profiles):
    name = SCHEMA.lookup_class_name_from_uid(class_uid)
    return jsonschema.Draft202012Validator(SCHEMA.get_class_schema(name, list(profiles)))


def faults(event):
    """Everything wrong with one event, as sentences."""
    try:
        checker = validator(event["class_uid"], tuple(event["metadata"]["profiles"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"class or profiles are unknown: {error!r}"]
    found = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in checker.iter_errors(event)]
    # What JSON schema cannot say: numbers that follow from each other, and objects that must not be empty.
    if event.get("category_uid") != event["class_uid"] // 1000:
        found.append("category_uid does not belong to class_uid")
    if event.get("type_uid") != event["class_uid"] * 100 + event.get("activity_id", 0):
        found.append("type_uid does not follow from class_uid and activity_id")
    if event.get("activity_id") == 99 and not event.get("activity_name"):
        found.append("activity 99 (other) has no activity_name")
    for where, value in (("actor/user", event.get("actor", {}).get("user")), ("user", event.get("user"))):
        if value is not None and not {"account", "name", "uid"} & value.keys():
            found.append(f"{where}: needs an account, a name or a uid")
    found.extend(f"{where} is null" for where in nulls(event, ""))
    return found


def nulls(value, where):
    """Where something is null outside of `unmapped`, which holds a kind's own optional fields."""
    if value is None:
        yield where
    elif isinstance(value, dict):
        for key, member in value.items():
            if key != "unmapped":
                yield from nulls(member, f"{where}/{key}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from nulls(member, f"{where}/{index}")


def broken(event):
    """The same event, wrong in different ways."""
    for required in ("time", "severity_id", "metadata", "activity_id", "type_uid", "category_uid"):
        wrong = copy.deepcopy(event)
        del wrong[required]
        yield f"without {required}", wrong
    changes = {
        "an unknown field": ("invented", 1),
        "a severity beyond the scale": ("severity_id", 42),
        "an activity that the class does not have": ("activity_id", 77),
        "a time as text": ("time", "yesterday"),
        "another class": ("class_uid", 1001),
        "an actor that is nobody": ("actor", {"user": {"type_id": 0}}),
    }
    for what, (field, value) in changes.items():
        wrong = copy.deepcopy(event)
        wrong[field] = value
        yield what, wrong


def main(path):
    events = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line.strip()]
    said = []
    for event in events:
        code = event["metadata"]["event_code"]
        said.extend(f"{code}: {fault}" for fault in faults(event))
        said.extend(f"{code}: nothing was found wrong with {what}" for what, wrong in broken(event) if not faults(wrong))
    print("\n".join(said) or f"{len(events)} events are valid")
    return bool(said) or not events


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
