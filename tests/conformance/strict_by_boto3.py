"""boto3 asks the sandbox for what AWS refuses, and steers it where no request can: each refusal has AWS's code.

Usage: strict_by_boto3.py ENDPOINT REGION. The sandbox holds `shop-pg` (RDS PostgreSQL), `shop-my` (RDS MySQL), `shop-apg`
(Aurora PostgreSQL) and `shop-docs` (DocumentDB), and every lifecycle ends at once.
"""

import datetime
import json
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, region = sys.argv[1:]
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)
# What botocore itself would refuse has to reach the sandbox.
unchecked = Config(parameter_validation=False)
rds = session.client("rds", endpoint_url=endpoint, config=unchecked)
docdb = session.client("docdb", endpoint_url=endpoint, config=unchecked)
ran = 0


def fails(code, call, **arguments):
    """The call fails with exactly this code, and nothing was made."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{code} was expected, {found} came: {error} for {arguments}"
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected, and nothing failed: {arguments}")


def control(path, **body):
    """Steers the sandbox."""
    request = urllib.request.Request(f"{endpoint}/_drctl/{path}", json.dumps(body).encode(), {
        "content-type": "application/json", "x-drctl-control": "1"})
    urllib.request.urlopen(request, timeout=30).read()


def passed(name):
    global ran
    ran += 1
    print(f"ok {name}")


newest = max((s for s in rds.describe_db_snapshots(DBInstanceIdentifier="shop-pg")["DBSnapshots"]),
             key=lambda s: s["SnapshotCreateTime"])["DBSnapshotIdentifier"]
of_cluster = max((s for s in rds.describe_db_cluster_snapshots(DBClusterIdentifier="shop-apg")["DBClusterSnapshots"]),
                 key=lambda s: s["SnapshotCreateTime"])["DBClusterSnapshotIdentifier"]
instance = dict(DBSnapshotIdentifier=newest, DBSubnetGroupName="drctl-quarantine", PubliclyAccessible=False)
restore = rds.restore_db_instance_from_db_snapshot


def refused(code, **arguments):
    return fails(code, restore, **{"DBInstanceIdentifier": "copy", **instance, **arguments})


# Identifiers.
for wrong in ("1abc", "a--b", "ab-", "a_b", "a" * 64):
    refused("InvalidParameterValue", DBInstanceIdentifier=wrong)
    fails("InvalidParameterValue", rds.restore_db_cluster_from_snapshot, DBClusterIdentifier=wrong,
          SnapshotIdentifier=of_cluster, Engine="aurora-postgresql", EngineVersion="15.3")
for wrong in ("rds:foo", "9 foo"):
    fails("InvalidParameterValue", rds.create_db_snapshot, DBSnapshotIdentifier=wrong, DBInstanceIdentifier="shop-pg")
fails("InvalidParameterValue", rds.create_db_snapshot, DBSnapshotIdentifier="m", DBInstanceIdentifier="shop-apg-1")
passed("identifiers")

# Groups, and what they fit.
refused("DBParameterGroupNotFound", DBParameterGroupName="nothing")
assert "postgres15" in refused("InvalidParameterCombination", DBParameterGroupName="default.postgres16")
refused("InvalidParameterValue", VpcSecurityGroupIds=["sg-doesnotexist"])
refused("DBSubnetGroupNotFoundFault", DBSubnetGroupName="nothing")
refused("OptionGroupNotFoundFault", OptionGroupName="nothing")
refused("InvalidParameterCombination", OptionGroupName="default:mysql-8-0")
control("group", kind="security", name="sg-0123456789abcdef0", vpc="vpc-0123456789abcdef0")
assert "different VPCs" in refused("InvalidParameterCombination", VpcSecurityGroupIds=["sg-0123456789abcdef0"])
control("group", kind="option", name="elsewhere", engine="postgres", major="15", vpc="vpc-0123456789abcdef0")
assert "different VPC" in refused("InvalidParameterCombination", OptionGroupName="elsewhere")
control("group", kind="option", name="audited", engine="postgres", major="15", options=["AUDIT"])
control("database", id="shop-pg", option_group="audited")
assert "AUDIT" in refused("InvalidParameterCombination")
control("database", id="shop-pg", option_group="default:postgres-15")
control("group", kind="subnet", name="narrow", zones=[region + "a"])
refused("DBSubnetGroupDoesNotCoverEnoughAZs", DBSubnetGroupName="narrow")
fails("DBSubnetGroupDoesNotCoverEnoughAZs", rds.create_db_subnet_group, DBSubnetGroupName="one",
      DBSubnetGroupDescription="one", SubnetIds=["subnet-0123456789abcdef0"])
fails("InvalidSubnet", rds.create_db_subnet_group, DBSubnetGroupName="none", DBSubnetGroupDescription="none",
      SubnetIds=["subnet-x", "subnet-y"])
fails("DBClusterParameterGroupNotFound", rds.restore_db_cluster_from_snapshot, DBClusterIdentifier="copy",
      SnapshotIdentifier=of_cluster, Engine="aurora-postgresql", EngineVersion="15.3", DBClusterParameterGroupName="nothing")
passed("groups")

# Classes, versions, storage.
refused("InvalidParameterValue", DBInstanceClass="big")
refused("InvalidParameterCombination", DBInstanceClass="db.serverless")
control("class", **{"class": "db.r6g.2xlarge"}, short=True)
refused("InsufficientDBInstanceCapacity", DBInstanceClass="db.r6g.2xlarge")
control("class", **{"class": "db.r6g.4xlarge"}, zones=[region + "z"])
refused("InsufficientDBInstanceCapacity", DBInstanceClass="db.r6g.4xlarge")
refused("InvalidParameterCombination", Iops=3000, StorageType="gp3")
refused("InvalidParameterCombination", StorageThroughput=500)
refused("InvalidParameterCombination", StorageType="io1")
refused("InvalidParameterValue", StorageType="fast")
control("quota", storage_gib=250)
refused("StorageQuotaExceeded")
control("quota", storage_gib=100000)
for days in (99, -1):
    refused("InvalidParameterValue", BackupRetentionPeriod=days)
refused("InvalidParameterValue", BackupRetentionPeriod="abc")
refused("InvalidParameterValue", Port=80)
aurora = dict(DBClusterIdentifier="copy", SnapshotIdentifier=of_cluster, Engine="aurora-postgresql")
fails("InvalidParameterCombination", rds.restore_db_cluster_from_snapshot, EngineVersion="1.0", **aurora)
fails("InvalidParameterCombination", rds.restore_db_cluster_from_snapshot, EngineVersion="14.15", **aurora)
fails("InvalidParameterValue", rds.restore_db_cluster_from_snapshot, EngineVersion="5.0.0", **{**aurora, "Engine": "docdb"})
fails("InvalidParameterValue", rds.restore_db_cluster_from_snapshot, BackupRetentionPeriod=0, EngineVersion="15.3", **aurora)
fails("InvalidParameterCombination", rds.restore_db_cluster_from_snapshot, DBClusterParameterGroupName="shop-apg-params", **aurora)
made = rds.restore_db_cluster_from_snapshot(**aurora)["DBCluster"]
assert made["EngineVersion"] == "16.6", "without EngineVersion AWS takes the Region's default"
member = dict(DBInstanceIdentifier="copy-1", DBClusterIdentifier="copy", Engine="aurora-postgresql")
fails("InvalidParameterCombination", rds.create_db_instance, DBInstanceClass="db.serverless", **member)
fails("InvalidParameterCombination", rds.create_db_instance, DBInstanceClass="db.m6g.large", **member)
fails("InvalidParameterCombination", rds.create_db_instance, DBInstanceClass="db.r6g.large", MasterUserPassword="secret99", **member)
rds.delete_db_cluster(DBClusterIdentifier="copy", SkipFinalSnapshot=True)
passed("classes, versions and storage")

# What is made new.
new = dict(DBInstanceIdentifier="own", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
           MasterUsername="shop_admin", MasterUserPassword="secret99")
fails("MissingParameter", rds.create_db_instance, **{k: v for k, v in new.items() if k != "MasterUserPassword"})
fails("InvalidParameterValue", rds.create_db_instance, **{**new, "MasterUsername": "admin"})
fails("InvalidParameterValue", rds.create_db_instance, **{**new, "AllocatedStorage": 5})
for wrong in ("abc", 'a/@" b-and-more', "a" * 200):
    fails("InvalidParameterValue", rds.modify_db_instance, DBInstanceIdentifier="shop-pg", MasterUserPassword=wrong)
    fails("InvalidParameterValue", docdb.modify_db_cluster, DBClusterIdentifier="shop-docs", MasterUserPassword=wrong)
rds.create_db_instance(**new)
rds.modify_db_instance(DBInstanceIdentifier="own", DBInstanceClass="db.t3.small")
own = rds.describe_db_instances(DBInstanceIdentifier="own")["DBInstances"][0]
assert own["DBInstanceClass"] == "db.t3.micro" and own["PendingModifiedValues"] == {"DBInstanceClass": "db.t3.small"}, own
rds.modify_db_instance(DBInstanceIdentifier="own", AllocatedStorage=21, ApplyImmediately=True)
own = rds.describe_db_instances(DBInstanceIdentifier="own")["DBInstances"][0]
assert own["DBInstanceClass"] == "db.t3.small" and own["AllocatedStorage"] == 22 and not own["PendingModifiedValues"], own
fails("InvalidParameterCombination", rds.delete_db_instance, DBInstanceIdentifier="own", SkipFinalSnapshot=True,
      FinalDBSnapshotIdentifier="final")
rds.delete_db_instance(DBInstanceIdentifier="own", FinalDBSnapshotIdentifier="final")
assert rds.describe_db_snapshots(DBSnapshotIdentifier="final")["DBSnapshots"][0]["SnapshotType"] == "manual"
fails("InvalidParameterCombination", rds.delete_db_instance, DBInstanceIdentifier="shop-apg-2", FinalDBSnapshotIdentifier="f")
passed("what is made new, changed and deleted")

# Tags.
arn = rds.describe_db_instances(DBInstanceIdentifier="shop-pg")["DBInstances"][0]["DBInstanceArn"]
for tags in ([{"Key": f"k{n}", "Value": ""} for n in range(60)], [{"Key": "aws:x", "Value": ""}],
             [{"Key": "k" * 200, "Value": ""}], [{"Key": "<>", "Value": "x"}]):
    fails("InvalidParameterValue", rds.add_tags_to_resource, ResourceName=arn, Tags=tags)
for foreign in (arn.replace("123456789012", "999999999999"), arn.replace(region, "us-west-2"), "arn:aws:s3:::bucket"):
    fails("InvalidParameterValue", rds.list_tags_for_resource, ResourceName=foreign)
fails("DBInstanceNotFound", rds.describe_db_instances, DBInstanceIdentifier=arn.replace("123456789012", "999999999999"))
assert rds.describe_db_instances(DBInstanceIdentifier=arn)["DBInstances"]
# No tags on a restore: the source's.
restored = restore(DBInstanceIdentifier="tagged", **instance)["DBInstance"]
assert restored["TagList"] == [{"Key": "Environment", "Value": "production"}], restored["TagList"]
passed("tags")

# Parameters, filters, pages, events.
mars = session.client("rds", endpoint_url=endpoint, region_name="mars-north-1")
fails("SignatureDoesNotMatch", mars.describe_db_instances)
fails("InvalidParameterValue", rds.describe_db_instances, MaxRecords="abc")
fails("InvalidParameterValue", rds.describe_db_instances, Marker="5")
fails("InvalidParameterValue", rds.describe_db_instances, Filters=[{"Name": "engine", "Values": []}])
resource = rds.describe_db_instances(DBInstanceIdentifier="shop-pg")["DBInstances"][0]["DbiResourceId"]
only = rds.describe_db_instances(Filters=[{"Name": "dbi-resource-id", "Values": [resource]}])["DBInstances"]
assert [i["DBInstanceIdentifier"] for i in only] == ["shop-pg"]
assert not rds.describe_db_instances(Filters=[{"Name": "domain", "Values": ["corp"]}])["DBInstances"]
assert not rds.describe_db_clusters(Filters=[{"Name": "clone-group-id", "Values": ["x"]}])["DBClusters"]
fails("InvalidParameterCombination", rds.describe_events, SourceIdentifier="shop-pg")
events = rds.describe_events(SourceType="db-instance", SourceIdentifier="own", EventCategories=["deletion"])["Events"]
assert [e["EventCategories"] for e in events] == [["deletion"]] and events[0]["SourceArn"].endswith(":db:own"), events
past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)
assert not rds.describe_events(StartTime=past, EndTime=past + datetime.timedelta(hours=1))["Events"]
passed("parameters, filters, pages and events")

# Snapshots: automated ones only with their type, others' only when asked for, those being made without times.
fails("DBSnapshotNotFound", rds.describe_db_snapshots, DBSnapshotIdentifier=newest)
assert rds.describe_db_snapshots(DBSnapshotIdentifier=newest, SnapshotType="automated")["DBSnapshots"]
documents = docdb.describe_db_cluster_snapshots(DBClusterIdentifier="shop-docs")["DBClusterSnapshots"][0]["DBClusterSnapshotIdentifier"]
fails("DBClusterSnapshotNotFoundFault", docdb.describe_db_cluster_snapshots, DBClusterSnapshotIdentifier=documents)
assert docdb.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=documents, SnapshotType="automated")["DBClusterSnapshots"]
fails("InvalidParameterCombination", docdb.describe_db_cluster_snapshots, DBClusterSnapshotIdentifier=documents,
      DBClusterIdentifier="shop-docs")
assert not rds.describe_db_snapshots(DBSnapshotIdentifier="final", DBInstanceIdentifier="shop-pg")["DBSnapshots"]
control("backup", target="shop-pg", id="being-made", type="manual", status="creating")
control("backup", target="shop-pg", id="copied", type="manual", hours=50, copied_hours=2)
control("backup", target="shop-pg", id="of-a-friend", type="shared", encrypted=False)
control("backup", target="shop-pg", id="secret-of-a-friend", type="shared")
control("backup", target="shop-pg", id="awsbackup:job-1", type="awsbackup")
by_id = {s["DBSnapshotIdentifier"]: s for s in rds.describe_db_snapshots(DBInstanceIdentifier="shop-pg")["DBSnapshots"]}
assert not {"SnapshotCreateTime", "OriginalSnapshotCreateTime", "SnapshotDatabaseTime"} & by_id["being-made"].keys()
copied = by_id["copied"]
assert copied["SnapshotDatabaseTime"] < copied["OriginalSnapshotCreateTime"] < copied["SnapshotCreateTime"], copied
assert "SourceDBSnapshotIdentifier" in copied and not any("of-a-friend" in name for name in by_id)
shared = rds.describe_db_snapshots(SnapshotType="shared")["DBSnapshots"]
assert len(shared) == 2 and all(":210987654321:" in s["DBSnapshotArn"] for s in shared), shared
included = rds.describe_db_snapshots(DBInstanceIdentifier="shop-pg", IncludeShared=True)["DBSnapshots"]
assert len(included) == len(by_id) + 2
friend = {s["DBSnapshotArn"].rsplit(":", 1)[1]: s["DBSnapshotArn"] for s in shared}
restore(DBInstanceIdentifier="of-friend", **{**instance, "DBSnapshotIdentifier": friend["of-a-friend"]})
refused("DBSnapshotNotFound", DBSnapshotIdentifier="of-a-friend")
refused("InvalidParameterCombination", DBSnapshotIdentifier=friend["secret-of-a-friend"])
refused("InvalidDBSnapshotState", DBSnapshotIdentifier="being-made")
awsbackup = rds.describe_db_snapshots(SnapshotType="awsbackup")["DBSnapshots"]
assert [s["DBSnapshotIdentifier"] for s in awsbackup] == ["awsbackup:job-1"]
fails("InvalidDBSnapshotState", rds.delete_db_snapshot, DBSnapshotIdentifier="awsbackup:job-1")
assert {"InstanceCreateTime", "VpcId", "Port", "AvailabilityZone", "StorageType", "OptionGroupName", "DbiResourceId",
        "AllocatedStorage"} <= copied.keys()
passed("snapshots")

# What AWS always returns.
found = rds.describe_db_instances(DBInstanceIdentifier="shop-pg")["DBInstances"][0]
assert {"AvailabilityZone", "CACertificateIdentifier", "OptionGroupMemberships", "StorageType", "DBName", "CopyTagsToSnapshot",
        "PreferredMaintenanceWindow", "PendingModifiedValues", "Iops", "StorageThroughput"} <= found.keys()
cluster = rds.describe_db_clusters(DBClusterIdentifier="shop-apg")["DBClusters"][0]
assert {"EarliestRestorableTime", "AvailabilityZones", "HostedZoneId", "EngineMode", "AllocatedStorage"} <= cluster.keys()
assert cluster["EarliestRestorableTime"] < cluster["LatestRestorableTime"]
scaled = rds.restore_db_cluster_from_snapshot(**{**aurora, "DBClusterIdentifier": "scaled"}, EngineVersion="15.3",
                                              ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4})
assert scaled["DBCluster"]["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0.5, "MaxCapacity": 4.0}
fails("InvalidParameterValue", rds.modify_db_cluster, DBClusterIdentifier="scaled",
      ServerlessV2ScalingConfiguration={"MinCapacity": 8, "MaxCapacity": 4})
control("stall", target="shop-pg", minutes=90)
late = rds.describe_db_instances(DBInstanceIdentifier="shop-pg")["DBInstances"][0]["LatestRestorableTime"]
assert datetime.datetime.now(datetime.timezone.utc) - late >= datetime.timedelta(minutes=90)
control("status", id="shop-my", status="storage-full")
assert rds.describe_db_instances(DBInstanceIdentifier="shop-my")["DBInstances"][0]["DBInstanceStatus"] == "storage-full"
passed("what AWS always returns")
print(f"{ran} passed, 0 failed")
