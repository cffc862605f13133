"""botocore's service models, which nobody of drctl wrote, judge what drctl asked and the sandbox answered.

Usage: judge.py DIRECTORY. It holds the files that `drctl sandbox --record DIRECTORY` (or DRCTL_SANDBOX_RECORD) wrote.
Every call must be one that botocore itself could have sent: known members, required ones, types, enumerations, lengths,
patterns; and what botocore's serializer makes of it must be what was sent. Every answer must be one that botocore's
parser understands: no unknown member, every enumeration known, what AWS always returns there, and only error codes that
the operation declares, with their HTTP status, or that every operation has. Answers of fault rules are
not judged, nor what boto3 sends by the key `test`: that is botocore's already, and wrong on purpose at times.
"""

import collections
import datetime
import json
import pathlib
import re
import sys
import urllib.parse
import xml.etree.ElementTree

import botocore.parsers
import botocore.serialize
import botocore.session
import botocore.validate

session = botocore.session.get_session()
MODELS = {
    "rds": ["rds", "docdb"], "sts": ["sts"], "kms": ["kms"], "secretsmanager": ["secretsmanager"], "sns": ["sns"], "iam": ["iam"],
    "ec2": ["ec2"],
}

# "Common Errors" of the API references of RDS, STS, SNS, KMS and Secrets Manager, and the codes by which their services
# refuse signatures. With the HTTP statuses given there; more than one where the references differ.
COMMON = {
    "AccessDenied": {403}, "AccessDeniedException": {400, 403}, "ExpiredToken": {403}, "ExpiredTokenException": {400, 403},
    "IncompleteSignature": {400, 403}, "InternalFailure": {500}, "InternalFailureException": {500},
    "InvalidAction": {400}, "InvalidClientTokenId": {403}, "InvalidParameterCombination": {400},
    "InvalidParameterValue": {400}, "InvalidSignatureException": {400, 403}, "MalformedQueryString": {400, 404},
    "MissingAuthenticationToken": {403}, "MissingParameter": {400}, "OptInRequired": {403}, "RequestExpired": {400},
    "ServiceUnavailable": {503}, "SignatureDoesNotMatch": {403}, "Throttling": {400}, "ThrottlingException": {400},
    "UnrecognizedClientException": {400, 403}, "ValidationError": {400}, "ValidationException": {400},
    "UnknownOperationException": {400, 404}, "SerializationException": {400},
}

# What AWS always returns there: each member that every answer has which the API references print for the operation that
# describes it (API_DescribeDBInstances, API_DescribeDBClusters, API_DescribeDBSnapshots, API_DescribeDBClusterSnapshots,
# API_DescribeDBSubnetGroups, API_DescribeEvents, API_GetCallerIdentity, API_AssumeRole, API_DescribeKey,
# API_GetSecretValue).
ALWAYS = {
    "DBInstance": """DBInstanceIdentifier DBInstanceClass Engine EngineVersion DBInstanceStatus AllocatedStorage
        BackupRetentionPeriod PreferredBackupWindow PreferredMaintenanceWindow MultiAZ PubliclyAccessible StorageType
        StorageEncrypted DbiResourceId DBInstanceArn VpcSecurityGroups DBParameterGroups DBSubnetGroup MasterUsername
        AutoMinorVersionUpgrade CopyTagsToSnapshot DeletionProtection IAMDatabaseAuthenticationEnabled""",
    "DBCluster": """DBClusterIdentifier DBClusterArn DbClusterResourceId Engine EngineVersion Status MasterUsername Port
        BackupRetentionPeriod PreferredBackupWindow PreferredMaintenanceWindow DBSubnetGroup VpcSecurityGroups
        DBClusterMembers DBClusterParameterGroup StorageEncrypted MultiAZ DeletionProtection Endpoint ReaderEndpoint
        AvailabilityZones HostedZoneId""",
    "DBSnapshot": """DBSnapshotIdentifier DBInstanceIdentifier Engine EngineVersion Status SnapshotType DBSnapshotArn
        AllocatedStorage MasterUsername Encrypted StorageType""",
    "DBClusterSnapshot": """DBClusterSnapshotIdentifier DBClusterIdentifier Engine EngineVersion Status SnapshotType
        DBClusterSnapshotArn StorageEncrypted MasterUsername""",
    "DBSubnetGroup": "DBSubnetGroupName VpcId SubnetGroupStatus Subnets",
    "Event": "SourceIdentifier SourceType Message Date",
    "GetCallerIdentityResponse": "UserId Account Arn",
    "AssumeRoleResponse": "Credentials AssumedRoleUser",
    "KeyMetadata": "AWSAccountId KeyId Arn CreationDate Enabled KeyUsage KeyState Origin KeyManager",
    "GetSecretValueResponse": "ARN Name VersionId VersionStages CreatedDate",
}
ALWAYS = {shape: members.split() for shape, members in ALWAYS.items()}
count = collections.Counter()
operations = set()
violations = collections.Counter()


def violation(call, text):
    violations[f"{call['service']}:{call['action']}: {text}"] += 1


# "Error codes for the Amazon EC2 API"; its model declares none.
OF_EC2 = {
    "AuthFailure": {401}, "InternalError": {500}, "InvalidGroup.NotFound": {400}, "InvalidGroupId.Malformed": {400},
    "RequestExpired": {400}, "RequestLimitExceeded": {503}, "UnauthorizedOperation": {403},
}


def wire_name(name, shape):
    return shape.serialization.get("name", name)


def query_name(name, shape, protocol):
    """EC2 spells its parameters otherwise than its answers (botocore's EC2Serializer)."""
    written = wire_name(name, shape)
    return shape.serialization.get("queryName", written[0].upper() + written[1:]) if protocol == "ec2" else written


def convert(shape, text):
    """A scalar of the Query protocol."""
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name in ("double", "float"):
        return float(text)
    if shape.type_name == "boolean":
        if text not in ("true", "false"):
            raise ValueError(f"`{text}` is no boolean")
        return text == "true"
    if shape.type_name == "timestamp":
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return text


def from_query(shape, prefix, params, used, protocol):
    """What the parameters below `prefix` are as botocore's own argument; `used` collects their names."""
    below = lambda key: any(name == key or name.startswith(key + ".") for name in params)
    if shape.type_name == "structure":
        members = {}
        for name, member in shape.members.items():
            written = query_name(name, member, protocol)
            key = f"{prefix}.{written}" if prefix else written
            if below(key):
                members[name] = from_query(member, key, params, used, protocol)
        return members
    if shape.type_name == "list":
        base = prefix
        if protocol != "ec2" and not shape.serialization.get("flattened"):
            base = f"{prefix}.{shape.member.serialization.get('name', 'member')}"
        items, number = [], 1
        while below(f"{base}.{number}"):
            items.append(from_query(shape.member, f"{base}.{number}", params, used, protocol))
            number += 1
        return items
    if shape.type_name == "map":
        base = prefix if shape.serialization.get("flattened") else f"{prefix}.entry"
        key_name, value_name = (part.serialization.get("name", name) for part, name in ((shape.key, "key"), (shape.value, "value")))
        entries, number = {}, 1
        while below(f"{base}.{number}"):
            key = from_query(shape.key, f"{base}.{number}.{key_name}", params, used, protocol)
            entries[key] = from_query(shape.value, f"{base}.{number}.{value_name}", params, used, protocol)
            number += 1
        return entries
    used.add(prefix)
    return convert(shape, params[prefix])


def judge_value(call, shape, value, where):
    """What botocore's validator leaves out: enumerations, longest lengths, patterns."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in value.items():
            if name in shape.members:
                judge_value(call, shape.members[name], member, f"{where}.{name}")
            else:
                violation(call, f"unknown member {where}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for member in value:
            judge_value(call, shape.member, member, where)
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, member in value.items():
            judge_value(call, shape.key, key, where)
            judge_value(call, shape.value, member, where)
    elif shape.type_name == "string" and isinstance(value, str):
        if getattr(shape, "enum", None) and value not in shape.enum:
            violation(call, f"{where} = `{value}` is not in the enumeration")
        if len(value) > shape.metadata.get("max", len(value)):
            violation(call, f"{where} is longer than {shape.metadata['max']}")
        pattern = shape.metadata.get("pattern")
        if pattern and not masked(where) and not re.search(pattern.replace("\\p{Z}", " ").replace("\\p{L}", "A-Za-z").replace("\\p{N}", "0-9"), value):
            violation(call, f"{where} = `{value}` does not match {pattern}")


def masked(where):
    return where.endswith(("Password", "SecretString", "SecretAccessKey", "SessionToken"))


def judge_call(call, model):
    operation = model.operation_model(call["action"])
    shape, body = operation.input_shape, call["request"]
    protocol = model.metadata["protocol"]
    if protocol == "json":
        arguments = json.loads(body or "{}")
    else:
        params = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        if params.pop("Version") != model.metadata["apiVersion"]:
            violation(call, "another API version")
        params.pop("Action")
        used = set()
        arguments = from_query(shape, "", params, used, protocol) if shape else {}
        for name in set(params) - used:
            violation(call, f"unknown parameter {name}")
        again = botocore.serialize.create_serializer(protocol).serialize_to_request(arguments, operation)["body"]
        for name, value in again.items():
            if name not in ("Action", "Version") and params.get(name) != str(value) and not same_time(params.get(name), value):
                violation(call, f"botocore would send {name} otherwise")
    if shape:
        report = botocore.validate.ParamValidator().validate(arguments, shape)
        if report.has_errors():
            violation(call, report.generate_report())
        judge_value(call, shape, arguments, "input")


def same_time(one, other):
    try:
        parse = lambda text: datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return parse(one) == parse(other)
    except (TypeError, ValueError):
        return False


def judge_xml(call, shape, node, where):
    """No element that the model lacks, and no enumeration's value either."""
    if shape.type_name == "structure":
        names = {wire_name(name, member): member for name, member in shape.members.items()}
        for child in node:
            if child.tag not in names:
                violation(call, f"unknown element {where}.{child.tag}")
            else:
                judge_xml(call, names[child.tag], child, f"{where}.{child.tag}")
    elif shape.type_name == "list":
        wanted = shape.member.serialization.get("name", "member")
        for child in node:
            if child.tag != wanted:
                violation(call, f"{where} holds {child.tag}, not {wanted}")
            else:
                judge_xml(call, shape.member, child, where)
    elif getattr(shape, "enum", None) and node.text not in shape.enum:
        violation(call, f"{where} = `{node.text}` is not in the enumeration")


def judge_always(call, shape, value, where):
    if shape.type_name == "list" and isinstance(value, list):
        for member in value:
            judge_always(call, shape.member, member, where)
    if shape.type_name != "structure" or not isinstance(value, dict):
        return
    for name in [*ALWAYS.get(shape.name, []), *shape.required_members]:
        if name not in value:
            violation(call, f"{where} lacks {name}")
    for name, member in value.items():
        if name in shape.members:
            judge_always(call, shape.members[name], member, f"{where}.{name}")


def without_namespaces(text):
    root = xml.etree.ElementTree.fromstring(text)
    for node in root.iter():
        node.tag = node.tag.rsplit("}", 1)[-1]
    return root


def judge_answer(call, model):
    operation, protocol = model.operation_model(call["action"]), model.metadata["protocol"]
    response = {"status_code": call["status"], "headers": {}, "body": call["answer"].encode()}
    parsed = botocore.parsers.create_parser(protocol).parse(response, operation.output_shape)
    if call["status"] >= 300:
        code = parsed["Error"]["Code"]
        declared = {shape.error_code: shape.metadata.get("error", {}).get("httpStatusCode", 400) for shape in operation.error_shapes}
        statuses = {declared[code]} if code in declared else {**COMMON, **(OF_EC2 if protocol == "ec2" else {})}.get(code)
        if statuses is None:
            violation(call, f"the error {code} is not declared")
        elif call["status"] not in statuses:
            violation(call, f"the error {code} has status {call['status']}, not {sorted(statuses)}")
        return
    shape = operation.output_shape
    if shape is None:
        return
    if protocol == "json":
        judge_value(call, shape, json.loads(call["answer"]), "output")
    else:
        root = without_namespaces(call["answer"])
        result = root.find(shape.serialization["resultWrapper"]) if "resultWrapper" in shape.serialization else root
        if protocol == "ec2":
            root.remove(root.find("requestId"))
        judge_xml(call, shape, result if result is not None else root, "output")
    judge_always(call, shape, parsed, "output")


def model_of(call):
    """The first model of the service that knows the operation: DocumentDB's clients speak to RDS."""
    for name in MODELS.get(call["service"], []):
        model = session.get_service_model(name)
        if call["action"] in model.operation_names:
            return model
    return None


def main(directory):
    for file in sorted(pathlib.Path(directory).glob("*.jsonl")):
        for line in file.open(encoding="utf-8"):
            call = json.loads(line)
            model = model_of(call)
            if model is None:
                # The tests ask for nonsense on purpose; drctl never does.
                if "InvalidAction" not in call["answer"] and "SignatureDoesNotMatch" not in call["answer"]:
                    violation(call, "botocore knows no such operation")
                continue
            operations.add((call["service"], call["action"]))
            try:
                if not call["caller"].endswith(":user/test"):
                    count["calls"] += 1
                    judge_call(call, model)
                if not call["scripted"]:
                    count["answers"] += 1
                    judge_answer(call, model)
            except Exception as error:  # Whatever botocore cannot read is a violation, too.
                violation(call, f"{type(error).__name__}: {error}")
    print(f"botocore {botocore.__version__} judged {count['calls']} calls and {count['answers']} answers of "
          f"{len(operations)} operations: {sum(violations.values())} violations")
    for text, times in violations.most_common(50):
        print(f"  {times} times: {text}")
    if violations or not count["answers"]:
        sys.exit(1)


main(sys.argv[1])
