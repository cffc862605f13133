"""boto3 watches what takes time on AWS: what is made is not seen at once, statuses lie on the way, passwords are pending.

Usage: slow_by_boto3.py ENDPOINT REGION. The sandbox holds `shop-pg` (RDS PostgreSQL) and `shop-apg` (Aurora PostgreSQL), is
harsh, and runs twenty times as fast as real time.
"""

import json
import socket
import sys
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, region = sys.argv[1:]
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)
rds = session.client("rds", endpoint_url=endpoint, config=Config(retries={"mode": "standard", "max_attempts": 10}))
ran = 0


def control(path, **body):
    request = urllib.request.Request(f"{endpoint}/_drctl/{path}", json.dumps(body).encode(), {
        "content-type": "application/json", "x-drctl-control": "1"})
    urllib.request.urlopen(request, timeout=30).read()


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def instance(name):
    return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def passed(name):
    global ran
    ran += 1
    print(f"ok {name}")


def connects(port):
    """Whether somebody is there: a PostgreSQL answers a request for TLS with one byte."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
            return client.recv(1) in (b"S", b"N")
    except OSError:
        return False


newest = max(rds.describe_db_snapshots(DBInstanceIdentifier="shop-pg")["DBSnapshots"],
             key=lambda s: s["SnapshotCreateTime"])["DBSnapshotIdentifier"]
arguments = dict(DBInstanceIdentifier="copy", DBSnapshotIdentifier=newest, DBParameterGroupName="shop-pg-params",
                 DBSubnetGroupName="drctl-quarantine", PubliclyAccessible=False, BackupRetentionPeriod=1)
made = rds.restore_db_instance_from_db_snapshot(**arguments)["DBInstance"]
assert made["DBInstanceStatus"] == "creating" and "Endpoint" not in made and "LatestRestorableTime" not in made
assert code_of(rds.restore_db_instance_from_db_snapshot, **arguments) == "DBInstanceAlreadyExists"
assert code_of(rds.describe_db_instances, DBInstanceIdentifier="copy") == "DBInstanceNotFound", "it is not seen yet"
passed("what was just made is there and not seen")

statuses, refusals, deadline = [], 0, time.time() + 400
while time.time() < deadline:
    try:
        found = instance("copy")
    except ClientError:
        time.sleep(0.05)
        continue
    if not statuses or statuses[-1] != found["DBInstanceStatus"]:
        statuses.append(found["DBInstanceStatus"])
    if "Endpoint" in found and not connects(found["Endpoint"]["Port"]):
        refusals += 1
    if statuses[-1] == "available" and "modifying" in statuses and connects(found["Endpoint"]["Port"]):
        break
    time.sleep(0.05)
assert statuses[0] == "creating" and statuses[-1] == "available", statuses
assert {"backing-up", "modifying", "rebooting"} & set(statuses), statuses
assert refusals > 0, "nobody was refused before the server was up"
passed(f"statuses on the way: {', '.join(statuses)}; {refusals} times nobody was let in")

before = instance("copy")["Endpoint"]["Port"]
changed = rds.modify_db_instance(DBInstanceIdentifier="copy", MasterUserPassword="another-secret-1")["DBInstance"]
assert changed["PendingModifiedValues"]["MasterUserPassword"] == "****" and changed["DBInstanceStatus"] == "available", changed
seen = set()
while time.time() < deadline:
    found = instance("copy")
    seen.add((found["DBInstanceStatus"], "MasterUserPassword" in found["PendingModifiedValues"]))
    if "resetting-master-credentials" in {s for s, _ in seen} and not found["PendingModifiedValues"]:
        break
    time.sleep(0.05)
assert ("resetting-master-credentials", True) in seen and instance("copy")["Endpoint"]["Port"] == before, seen
passed("a new password is pending, and shown as a status")

# A cluster goes after its last member.
rds.restore_db_cluster_to_point_in_time(DBClusterIdentifier="cluster", SourceDBClusterIdentifier="shop-apg",
                                        UseLatestRestorableTime=True, DBSubnetGroupName="drctl-quarantine")
control("advance", seconds=600)
found = rds.describe_db_clusters(DBClusterIdentifier="cluster")["DBClusters"][0]
assert found["Status"] == "available", found["Status"]
rds.create_db_instance(DBInstanceIdentifier="cluster-1", DBClusterIdentifier="cluster", DBInstanceClass="db.r6g.large",
                       Engine="aurora-postgresql")
control("advance", seconds=600)
while time.time() < deadline and instance("cluster-1")["DBInstanceStatus"] != "available":
    time.sleep(0.1)
rds.delete_db_instance(DBInstanceIdentifier="cluster-1")
rds.delete_db_cluster(DBClusterIdentifier="cluster", SkipFinalSnapshot=True)
control("advance", seconds=70)
assert rds.describe_db_clusters(DBClusterIdentifier="cluster")["DBClusters"], "a member is still deleting"
control("advance", seconds=150)
assert code_of(rds.describe_db_clusters, DBClusterIdentifier="cluster") == "DBClusterNotFoundFault"
passed("a cluster goes after its last member")
print(f"{ran} passed, 0 failed")
