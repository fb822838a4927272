#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""manifests.py - judge manifests by the schema of the Kubernetes API, as its Python client has it.

  manifests.py MANIFEST...   print what is unknown, missing or of another type, by its place, and
                              what a pod that wants no privileges may not say

Exit status: 0 nothing was found, 1 something was.
"""
import re
import sys

import yaml
from kubernetes import client

SIMPLE = {'str': str, 'int': int, 'bool': bool, 'object': (str, int, dict), 'float': (int, float)}


def judge(value, kind, place):
    """Yield what is wrong with a value that is to be of a kind."""
    parts = re.fullmatch(r'(list|dict)[\[(](?:str, )?(.*)[\])]', kind)
    if parts:
        wanted = list if parts.group(1) == 'list' else dict
        if not isinstance(value, wanted):
            yield f'{place}: a {parts.group(1)} is expected'
            return
        for key, item in enumerate(value) if wanted is list else value.items():
            yield from judge(item, parts.group(2), f'{place}[{key}]')
    elif kind in SIMPLE:
        if not isinstance(value, SIMPLE[kind]) or kind == 'int' and isinstance(value, bool):
            yield f'{place}: {kind} is expected'
    else:
        yield from judge_object(value, getattr(client, kind), place)


def judge_object(value, model, place):
    if not isinstance(value, dict):
        yield f'{place}: an object is expected'
        return
    attributes = {name: attribute for attribute, name in model.attribute_map.items()}
    for name in value:
        if name not in attributes:
            yield f'{place}.{name}: is unknown'
    known = {attributes[name]: item for name, item in value.items() if name in attributes}
    try:
        model(**{attribute: item for attribute, item in known.items()})
    except ValueError as why:  # something that is required is missing
        yield f'{place}: {why}'
    for attribute, item in known.items():
        yield from judge(item, model.openapi_types[attribute],
                         f'{place}.{model.attribute_map[attribute]}')


def judge_pod(pod, place):
    """What the restricted profile of Pod Security asks for, but of the volumes."""
    common = pod.get('securityContext', {})
    for container in pod.get('initContainers', []) + pod['containers']:
        own = container.get('securityContext', {})
        name = f'{place}.{container["name"]}'
        if own.get('allowPrivilegeEscalation') is not False or own.get('privileged'):
            yield f'{name}: may gain privileges'
        if own.get('capabilities') != {'drop': ['ALL']}:
            yield f'{name}: has capabilities'
        if common.get('seccompProfile', {}).get('type') != 'RuntimeDefault':
            yield f'{name}: may call what it likes'
        if not own.get('runAsNonRoot', common.get('runAsNonRoot')) and container in pod['containers']:
            yield f'{name}: may be root'
    for name in ('hostPID', 'hostNetwork', 'hostIPC'):
        if pod.get(name):
            yield f'{place}.{name}: shares what is the host\'s'


def main():
    wrong = 0
    for path in sys.argv[1:]:
        for manifest in yaml.safe_load_all(open(path)):
            found = list(judge(manifest, 'V1' + manifest['kind'], path))
            found += judge_pod(manifest['spec']['template']['spec'], path)
            print(*found, sep='\n', end='\n' if found else '')
            wrong += len(found)
    return 1 if wrong else 0


sys.exit(main())
