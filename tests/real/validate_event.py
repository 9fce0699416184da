"""Validates an Event, as JSON on standard input, against the strict schema of every version of Kubernetes that the
package kubernetes-validate has. Prints one line of JSON: for each version what is wrong, or null."""

import json
import sys
from importlib.metadata import distribution
from pathlib import Path

import fastjsonschema

schemas = Path(distribution("kubernetes-validate").locate_file("kubernetes_validate/kubernetes-json-schema"))
event = json.load(sys.stdin)


def problem(version):
    def local(address):
        return json.loads((version / address.rsplit("/", 1)[-1]).read_text())

    # The schemas refer to one another by addresses; none of them is asked for.
    validate = fastjsonschema.compile(
        json.loads((version / "event-events-v1.json").read_text()), handlers={"https": local, "http": local}
    )
    try:
        validate(event)
    except fastjsonschema.JsonSchemaException as error:
        return str(error)


versions = sorted(schemas.glob("v*-local-strict"))
print(json.dumps({version.name.split("-")[0]: problem(version) for version in versions}))
