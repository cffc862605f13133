"""Makes databases and backups in moto, an AWS that nobody of drctl wrote, or watches what drctl does there.

Usage: moto_state.py make|list|watch|open|close ENDPOINT [COPIES]. `watch` looks until drctl has made so many copies, and prints
what is there then. The last two print the quarantine's security group as it was made, with a
way out, and after that was taken away.
"""

import json
import sys
import time

import boto3

verb, endpoint = sys.argv[1:3]
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
rds = session.client("rds", endpoint_url=endpoint)
ec2 = session.client("ec2", endpoint_url=endpoint)


def tags(resource):
    return {tag["Key"]: tag["Value"] for tag in resource.get("TagList", [])}


def listing():
    found = []
    for instance in rds.describe_db_instances()["DBInstances"]:
        found.append({"type": "db-instance", "id": instance["DBInstanceIdentifier"], "status": instance["DBInstanceStatus"],
                      "class": instance["DBInstanceClass"], "tags": tags(instance),
                      "subnet_group": instance.get("DBSubnetGroup", {}).get("DBSubnetGroupName")})
    for cluster in rds.describe_db_clusters()["DBClusters"]:
        found.append({"type": "db-cluster", "id": cluster["DBClusterIdentifier"], "status": cluster["Status"],
                      "tags": tags(cluster)})
    return sorted(found, key=lambda resource: (resource["type"], resource["id"]))


if verb == "make":
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{z}")["Subnet"]["SubnetId"]
               for n, z in ((1, "a"), (2, "b"))]
    rds.create_db_subnet_group(DBSubnetGroupName="drctl-quarantine", DBSubnetGroupDescription="q", SubnetIds=subnets)
    ec2.create_security_group(GroupName="quarantine", Description="q", VpcId=vpc)
    rds.create_db_instance(DBInstanceIdentifier="shop-pg", DBInstanceClass="db.m5.large", Engine="postgres",
                           EngineVersion="15.3", MasterUsername="admin", MasterUserPassword="production1",
                           AllocatedStorage=20, BackupRetentionPeriod=7)
    rds.create_db_snapshot(DBSnapshotIdentifier="shop-pg-1", DBInstanceIdentifier="shop-pg")
    rds.create_db_cluster(DBClusterIdentifier="shop-apg", Engine="aurora-postgresql", EngineVersion="15.3",
                          MasterUsername="admin", MasterUserPassword="production1")
    rds.create_db_instance(DBInstanceIdentifier="shop-apg-1", DBClusterIdentifier="shop-apg", DBInstanceClass="db.r6g.large",
                           Engine="aurora-postgresql")
    # Rotated since the snapshot: the copy has the version before.
    secrets = session.client("secretsmanager", endpoint_url=endpoint)
    secrets.create_secret(Name="shop/apg", SecretString="production1")
    secrets.put_secret_value(SecretId="shop/apg", SecretString="rotated-since")
    rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="shop-apg-1", DBClusterIdentifier="shop-apg")
if verb in ("open", "close"):
    group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["quarantine"]}])["SecurityGroups"][0]
    if verb == "close":
        ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
    print(group["GroupId"])
elif verb == "watch":
    print("looking", flush=True)
    ends = time.monotonic() + 120
    found = []
    while time.monotonic() < ends and sum(one["id"].startswith("drctl-") for one in found) < int(sys.argv[3]):
        found = listing()
    print(json.dumps(found))
else:
    print(json.dumps(listing()))
