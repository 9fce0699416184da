"""Validates objects of Kubernetes against the strict schemas of every version that the package kubernetes-validate has.
Reads a list of objects; or with --manifests documents of YAML, for Kubernetes 1.29 or newer; or with --read the same, and
validates nothing. Prints one line of JSON: the objects, and for each version what is wrong with which of them. Kinds of the
Prometheus Operator are not looked at."""

import json
import re
import sys
import warnings
from importlib.metadata import distribution
from pathlib import Path

import fastjsonschema
from ruamel.yaml import YAML

schemas = Path(distribution("kubernetes-validate").locate_file("kubernetes_validate/kubernetes-json-schema"))


def read():
    if not manifests:
        return json.load(sys.stdin)
    # As Kubernetes reads it, to which 0440 is octal, and 1e5 a number.
    yaml, exponent = YAML(typ="safe", pure=True), re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
    yaml.resolver.add_version_implicit_resolver((1, 1), "tag:yaml.org,2002:float", exponent, list("-+.0123456789"))
    warnings.simplefilter("ignore")
    text = "".join(f"%YAML 1.1\n---\n{part}\n...\n" for part in sys.stdin.read().split("\n---\n"))
    documents = yaml.load_all(text)
    return [json.loads(json.dumps(document)) for document in documents if document]


def name(thing):
    group, _, version = thing["apiVersion"].rpartition("/")
    parts = [thing["kind"].lower(), *([group.split(".")[0]] if group else []), version]
    return "-".join(parts) + ".json"


def problems(directory):
    def local(address):
        return json.loads((directory / address.rsplit("/", 1)[-1]).read_text())

    compiled, found = {}, []
    for thing in objects:
        if thing["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        file = name(thing)
        try:
            if file not in compiled:
                # The schemas refer to one another by addresses; none of them is asked for.
                handlers = {"https": local, "http": local}
                compiled[file] = fastjsonschema.compile(json.loads((directory / file).read_text()), handlers=handlers)
            compiled[file](thing)
        except FileNotFoundError:
            found.append(f"{file}: there is no such kind")
        except fastjsonschema.JsonSchemaException as error:
            found.append(f"{file}: {error}")
    return found


def number(directory):
    return tuple(int(part) for part in directory.name[1:].split("-")[0].split("."))


mode = sys.argv[1] if len(sys.argv) > 1 else "--objects"
manifests = mode != "--objects"
objects = read()
versions = [] if mode == "--read" else sorted(schemas.glob("v*-local-strict"), key=number)
wanted = [directory for directory in versions if not manifests or number(directory) >= (1, 29)]
print(json.dumps({"objects": objects, "problems": {"v%d.%d.%d" % number(one): problems(one) for one in wanted}}))
