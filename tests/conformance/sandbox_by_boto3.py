"""boto3, which nobody of drctl wrote, drives the sandbox: responses parse, errors carry AWS's codes.

Usage: sandbox_by_boto3.py ENDPOINT REGION. The sandbox holds `shop-pg` (RDS PostgreSQL), `shop-apg` (Aurora PostgreSQL)
and `shop-docs` (DocumentDB), and every lifecycle ends at once.
"""

import sys
import datetime

import boto3
import botocore.config
from botocore.exceptions import ClientError

endpoint, region = sys.argv[1:]
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)
rds, docdb, secrets, sts, kms = (
    session.client(name, endpoint_url=endpoint) for name in ("rds", "docdb", "secretsmanager", "sts", "kms")
)
ran = 0


def fails(code, call, **arguments):
    """The call fails with exactly this code."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{code} was expected, {found} came"
        return
    raise AssertionError(f"{code} was expected, and nothing failed")


def passed(name):
    global ran
    ran += 1
    print(f"ok {name}")


# Who and what is there.
assert sts.get_caller_identity()["Account"] == "123456789012"
assert secrets.get_secret_value(SecretId="shop/pg")["SecretString"]
fails("ResourceNotFoundException", secrets.get_secret_value, SecretId="nothing")
source = rds.describe_db_instances(DBInstanceIdentifier="shop-pg")["DBInstances"][0]
key_arn = source["KmsKeyId"]
assert source["DBInstanceStatus"] == "available" and source["Endpoint"]["Port"]
assert kms.describe_key(KeyId=source["KmsKeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
assert source["LatestRestorableTime"] <= datetime.datetime.now(datetime.timezone.utc)
assert source["ReadReplicaDBInstanceIdentifiers"] == ["shop-pg-replica"]
fails("DBInstanceNotFound", rds.describe_db_instances, DBInstanceIdentifier="nothing")
fails("DBClusterNotFoundFault", rds.describe_db_clusters, DBClusterIdentifier="nothing")
fails("DBSnapshotNotFound", rds.describe_db_snapshots, DBSnapshotIdentifier="nothing")
fails("DBClusterSnapshotNotFoundFault", rds.describe_db_cluster_snapshots, DBClusterSnapshotIdentifier="nothing")
fails("DBSubnetGroupNotFoundFault", rds.describe_db_subnet_groups, DBSubnetGroupName="nothing")
passed("what is there, and what is not")

# Filters and paging.
only = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": ["shop-apg"]}])["DBInstances"]
assert [i["DBInstanceIdentifier"] for i in only] == ["shop-apg-1", "shop-apg-2"]
engines = {c["Engine"] for c in rds.describe_db_clusters()["DBClusters"]}
assert engines == {"aurora-postgresql", "docdb"}, engines
only = docdb.describe_db_clusters(Filters=[{"Name": "engine", "Values": ["docdb"]}])["DBClusters"]
assert [c["DBClusterIdentifier"] for c in only] == ["shop-docs"]
fails("InvalidParameterValue", rds.describe_db_instances, Filters=[{"Name": "colour", "Values": ["red"]}])
for number in range(25):
    rds.create_db_snapshot(DBSnapshotIdentifier=f"page-{number:02}", DBInstanceIdentifier="shop-pg")
pages = list(rds.get_paginator("describe_db_snapshots").paginate(DBInstanceIdentifier="shop-pg", PaginationConfig={"PageSize": 20}))
found = [s["DBSnapshotIdentifier"] for page in pages for s in page["DBSnapshots"]]
assert len(pages) > 1 and len(found) == len(set(found)) == 25 + 7, (len(pages), len(found))
automated = rds.describe_db_snapshots(DBInstanceIdentifier="shop-pg", SnapshotType="automated")["DBSnapshots"]
assert len(automated) == 7 and all(s["DBSnapshotIdentifier"].startswith("rds:shop-pg-") for s in automated)
fails("InvalidParameterValue", rds.describe_db_snapshots, MaxRecords=7)
passed("filters and pages")

# Instances: create, snapshot, restore, PITR, delete.
rds.create_db_instance(
    DBInstanceIdentifier="own", DBInstanceClass="db.t3.micro", Engine="postgres", MasterUsername="me",
    MasterUserPassword="secret99", AllocatedStorage=20, DeletionProtection=True, Tags=[{"Key": "team", "Value": "a"}],
)
fails("DBInstanceAlreadyExists", rds.create_db_instance, DBInstanceIdentifier="own", DBInstanceClass="db.t3.micro",
      Engine="postgres", MasterUsername="me", MasterUserPassword="secret99", AllocatedStorage=20)
own = rds.describe_db_instances(DBInstanceIdentifier="own")["DBInstances"][0]
assert own["TagList"] == [{"Key": "team", "Value": "a"}]
rds.create_db_snapshot(DBSnapshotIdentifier="own-1", DBInstanceIdentifier="own")
fails("DBSnapshotAlreadyExists", rds.create_db_snapshot, DBSnapshotIdentifier="own-1", DBInstanceIdentifier="own")
rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier="own-1")
rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="own-copy", DBSnapshotIdentifier="own-1", DBParameterGroupName="default.postgres17")
copy = rds.describe_db_instances(DBInstanceIdentifier="own-copy")["DBInstances"][0]
assert copy["TagList"] == [{"Key": "team", "Value": "a"}], "no tags passed: the source's"
assert copy["OptionGroupMemberships"][0]["OptionGroupName"] == "default:postgres-17"
assert copy["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres17" and not copy["MultiAZ"]
assert not copy["DeletionProtection"], "a restore takes defaults"
fails("InvalidRestoreFault", rds.restore_db_instance_to_point_in_time, SourceDBInstanceIdentifier="shop-pg",
      TargetDBInstanceIdentifier="too-late", RestoreTime=datetime.datetime(2099, 1, 1))
fails("PointInTimeRestoreNotEnabled", rds.restore_db_instance_to_point_in_time,
      SourceDBInstanceIdentifier="shop-pg-replica", TargetDBInstanceIdentifier="no", UseLatestRestorableTime=True)
fails("PointInTimeRestoreNotEnabled", rds.restore_db_instance_to_point_in_time, SourceDBInstanceIdentifier="own",
      TargetDBInstanceIdentifier="too-early", UseLatestRestorableTime=True)
fails("InvalidParameterValue", rds.restore_db_instance_to_point_in_time, SourceDBInstanceIdentifier="shop-pg",
      TargetDBInstanceIdentifier="too-old", RestoreTime=datetime.datetime(1999, 1, 1))
fails("InvalidParameterCombination", rds.restore_db_instance_to_point_in_time, SourceDBInstanceIdentifier="shop-pg",
      TargetDBInstanceIdentifier="both", UseLatestRestorableTime=True, RestoreTime=datetime.datetime(2026, 11, 1))
rds.restore_db_instance_to_point_in_time(SourceDBInstanceIdentifier="shop-pg", TargetDBInstanceIdentifier="own-pitr",
                                         UseLatestRestorableTime=True)
fails("InvalidParameterCombination", rds.delete_db_instance, DBInstanceIdentifier="own", SkipFinalSnapshot=True)
rds.modify_db_instance(DBInstanceIdentifier="own", DeletionProtection=False, ApplyImmediately=True)
fails("InvalidParameterCombination", rds.delete_db_instance, DBInstanceIdentifier="own")
for name in ("own", "own-copy", "own-pitr"):
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=name)
fails("InvalidDBSnapshotState", rds.delete_db_snapshot, DBSnapshotIdentifier=automated[0]["DBSnapshotIdentifier"])
rds.delete_db_snapshot(DBSnapshotIdentifier="own-1")
passed("instances")

# Automated backups: of what lives, and of what is gone.
living = rds.describe_db_instance_automated_backups(DBInstanceIdentifier="shop-pg")["DBInstanceAutomatedBackups"][0]
assert living["Status"] == "active" and living["DbiResourceId"] == source["DbiResourceId"]
assert living["RestoreWindow"]["EarliestTime"] < living["RestoreWindow"]["LatestTime"]
rds.modify_db_instance(DBInstanceIdentifier="shop-pg", DeletionProtection=False, ApplyImmediately=True)
rds.delete_db_instance(DBInstanceIdentifier="shop-pg", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
fails("DBInstanceNotFound", rds.describe_db_instances, DBInstanceIdentifier="shop-pg")
kept = rds.describe_db_instance_automated_backups(DbiResourceId=source["DbiResourceId"])["DBInstanceAutomatedBackups"][0]
assert kept["Status"] == "retained" and kept["DBInstanceIdentifier"] == "shop-pg", kept
only = rds.describe_db_instance_automated_backups(Filters=[{"Name": "status", "Values": ["retained"]}])
assert [b["DbiResourceId"] for b in only["DBInstanceAutomatedBackups"]] == [source["DbiResourceId"]]
fails("DBInstanceNotFound", rds.restore_db_instance_to_point_in_time, SourceDBInstanceIdentifier="shop-pg",
      TargetDBInstanceIdentifier="back", UseLatestRestorableTime=True)
rds.restore_db_instance_to_point_in_time(SourceDbiResourceId=source["DbiResourceId"],
                                         TargetDBInstanceIdentifier="back", UseLatestRestorableTime=True)
rds.restore_db_instance_to_point_in_time(
    SourceDBInstanceAutomatedBackupsArn=kept["DBInstanceAutomatedBackupsArn"], TargetDBInstanceIdentifier="back-2",
    RestoreTime=kept["RestoreWindow"]["EarliestTime"])
for name in ("back", "back-2"):
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
fails("DBInstanceAutomatedBackupNotFound", rds.describe_db_instance_automated_backups, DbiResourceId="db-NOTHING")
backups = rds.describe_db_cluster_automated_backups()["DBClusterAutomatedBackups"]
assert [b["DBClusterIdentifier"] for b in backups] == ["shop-apg"], "DocumentDB keeps none"
assert backups[0]["RestoreWindow"]["EarliestTime"] < backups[0]["RestoreWindow"]["LatestTime"]
passed("automated backups")

# Groups, and what can be ordered.
group = rds.describe_db_subnet_groups(DBSubnetGroupName="drctl-quarantine")["DBSubnetGroups"][0]
assert group["VpcId"].startswith("vpc-") and len({s["SubnetAvailabilityZone"]["Name"] for s in group["Subnets"]}) == 3
families = {g["DBParameterGroupName"]: g["DBParameterGroupFamily"] for g in rds.describe_db_parameter_groups()["DBParameterGroups"]}
assert families["shop-pg-params"] == "postgres15" and families["default.mysql8.0"] == "mysql8.0"
fails("DBParameterGroupNotFound", rds.describe_db_parameter_groups, DBParameterGroupName="nothing")
of_cluster = rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName="shop-apg-params")
assert of_cluster["DBClusterParameterGroups"][0]["DBParameterGroupFamily"] == "aurora-postgresql15"
assert docdb.describe_db_cluster_parameter_groups(DBClusterParameterGroupName="shop-docs-params")
fails("DBParameterGroupNotFound", rds.describe_db_cluster_parameter_groups, DBClusterParameterGroupName="nothing")
options = rds.describe_option_groups(OptionGroupName="default:postgres-15")["OptionGroupsList"][0]
assert options["EngineName"] == "postgres" and options["MajorEngineVersion"] == "15" and "VpcId" not in options
fails("OptionGroupNotFoundFault", rds.describe_option_groups, OptionGroupName="nothing")
fails("InvalidParameterCombination", rds.describe_option_groups, MajorEngineVersion="15")
ordered = rds.describe_orderable_db_instance_options(Engine="aurora-postgresql", EngineVersion="15.3", DBInstanceClass="db.r6g.large")
assert len(ordered["OrderableDBInstanceOptions"]) == 1
assert [z["Name"] for z in ordered["OrderableDBInstanceOptions"][0]["AvailabilityZones"]] == [region + z for z in "abc"]
assert not rds.describe_orderable_db_instance_options(Engine="docdb", DBInstanceClass="db.m6g.large")["OrderableDBInstanceOptions"]
assert docdb.describe_orderable_db_instance_options(Engine="docdb", DBInstanceClass="db.r6g.large")["OrderableDBInstanceOptions"]
fails("InvalidParameterValue", rds.describe_orderable_db_instance_options, Engine="db3")
found = [o for page in rds.get_paginator("describe_orderable_db_instance_options").paginate(Engine="postgres")
         for o in page["OrderableDBInstanceOptions"]]
assert len(found) > 200 and {"Vpc", "SupportsClusters", "StorageType"} <= found[0].keys()
passed("groups, and what can be ordered")

# Clusters, by both clients.
for client, engine, source in ((rds, "aurora-postgresql", "shop-apg"), (docdb, "docdb", "shop-docs")):
    client.create_db_cluster_snapshot(DBClusterSnapshotIdentifier=f"{source}-s", DBClusterIdentifier=source)
    client.restore_db_cluster_from_snapshot(DBClusterIdentifier=f"{source}-c", SnapshotIdentifier=f"{source}-s",
                                            Engine=engine, Tags=[{"Key": "k", "Value": "v"}])
    fails("DBClusterAlreadyExistsFault", client.restore_db_cluster_from_snapshot, DBClusterIdentifier=f"{source}-c",
          SnapshotIdentifier=f"{source}-s", Engine=engine)
    copy = client.describe_db_clusters(DBClusterIdentifier=f"{source}-c")["DBClusters"][0]
    assert copy["DBClusterMembers"] == [], "a restored cluster has no instance"
    tags = client.list_tags_for_resource(ResourceName=copy["DBClusterArn"])["TagList"]
    assert tags == [{"Key": "k", "Value": "v"}]
    for number in (1, 2):
        client.create_db_instance(DBInstanceIdentifier=f"{source}-c-{number}", DBClusterIdentifier=f"{source}-c",
                                  DBInstanceClass="db.r6g.large", Engine=engine)
        client.get_waiter("db_instance_available").wait(DBInstanceIdentifier=f"{source}-c-{number}",
                                                        WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    client.failover_db_cluster(DBClusterIdentifier=f"{source}-c")
    members = client.describe_db_clusters(DBClusterIdentifier=f"{source}-c")["DBClusters"][0]["DBClusterMembers"]
    assert [m["DBInstanceIdentifier"] for m in members if m["IsClusterWriter"]] == [f"{source}-c-2"]
    fails("InvalidDBClusterStateFault", client.delete_db_cluster, DBClusterIdentifier=f"{source}-c", SkipFinalSnapshot=True)
    for number in (1, 2):
        client.delete_db_instance(DBInstanceIdentifier=f"{source}-c-{number}")
    fails("InvalidParameterCombination", client.delete_db_cluster, DBClusterIdentifier=f"{source}-c")
    client.delete_db_cluster(DBClusterIdentifier=f"{source}-c", SkipFinalSnapshot=True)
    fails("DBClusterNotFoundFault", client.describe_db_clusters, DBClusterIdentifier=f"{source}-c")
    client.restore_db_cluster_to_point_in_time(DBClusterIdentifier=f"{source}-p", SourceDBClusterIdentifier=source,
                                               UseLatestRestorableTime=True)
    client.delete_db_cluster(DBClusterIdentifier=f"{source}-p", SkipFinalSnapshot=True)
    client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=f"{source}-s")
    fails("InvalidParameterCombination", client.delete_db_cluster, DBClusterIdentifier=source, SkipFinalSnapshot=True)
    passed(f"clusters of {engine}")

# A cluster's password is the cluster's.
fails("InvalidParameterCombination", rds.modify_db_instance, DBInstanceIdentifier="shop-apg-1", MasterUserPassword="another99")
events = rds.describe_events(SourceType="db-cluster", SourceIdentifier="shop-apg-c")["Events"]
assert any("failover" in event["Message"] for event in events), events
quotas = {q["AccountQuotaName"]: q for q in rds.describe_account_attributes()["AccountQuotas"]}
assert quotas["DBInstances"]["Max"] == 40 and quotas["DBClusters"]["Used"] == 2, quotas
passed("passwords, events and quotas")

# Accounts, Regions and signatures are told apart.
def client(name, **arguments):
    arguments = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": region, **arguments}
    return boto3.client(name, endpoint_url=endpoint, **arguments)


role = sts.assume_role(RoleArn="arn:aws:iam::999999999999:role/ops/drctl", RoleSessionName="a-test")
assert role["AssumedRoleUser"]["Arn"] == "arn:aws:sts::999999999999:assumed-role/drctl/a-test"
keys = role["Credentials"]
there = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
         "aws_session_token": keys["SessionToken"]}
who = client("sts", **there).get_caller_identity()
assert (who["Account"], who["Arn"]) == ("999999999999", role["AssumedRoleUser"]["Arn"]), who
assert client("rds", **there).describe_db_instances()["DBInstances"] == []
fails("ResourceNotFoundException", client("secretsmanager", **there).get_secret_value, SecretId="shop/pg")
fails("ResourceNotFoundException", client("secretsmanager", region_name="us-west-2").get_secret_value, SecretId="shop/pg")
fails("NotFoundException", client("kms", region_name="us-west-2").describe_key, KeyId=key_arn)
fails("AccessDeniedException", client("kms", **there).describe_key, KeyId=key_arn)
fails("NotFoundException", kms.describe_key, KeyId="00000000-0000-0000-0000-000000000000")
fails("SignatureDoesNotMatch", client("rds", aws_secret_access_key="wrong").describe_db_instances)
fails("InvalidSignatureException", client("kms", aws_secret_access_key="wrong").describe_key, KeyId=key_arn)
fails("SignatureDoesNotMatch", client("rds", region_name="mars-north-1").describe_db_instances)
fails("InvalidClientTokenId", client("rds", aws_access_key_id="AKIANOBODY").describe_db_instances)
fails("InvalidClientTokenId", client("rds", **{**there, "aws_session_token": "wrong"}).describe_db_instances)
fails("ValidationError", sts.assume_role, RoleArn="arn:aws:iam::999999999999:user/somebody", RoleSessionName="a-test")
passed("accounts, Regions and signatures")

# A secret has its previous version.
secrets.create_secret(Name="rotated", SecretString="one")
secrets.put_secret_value(SecretId="rotated", SecretString="two")
value = secrets.get_secret_value(SecretId="rotated")
assert value["SecretString"] == "two" and value["ARN"].startswith(f"arn:aws:secretsmanager:{region}:123456789012:secret:rotated-")
assert secrets.get_secret_value(SecretId=value["ARN"], VersionStage="AWSPREVIOUS")["SecretString"] == "one"
fails("ResourceExistsException", secrets.create_secret, Name="rotated", SecretString="three")
passed("secrets")

# Who asks too often is throttled.
hasty = client("rds", config=botocore.config.Config(retries={"total_max_attempts": 1}))
codes = set()
for number in range(1000):
    try:
        hasty.describe_db_subnet_groups()
    except ClientError as error:
        codes.add(error.response["Error"]["Code"])
        break
assert codes == {"Throttling"}, codes
passed("throttling")
print(f"{ran} passed, 0 failed")
