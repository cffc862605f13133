"""boto3's own waiter on a restore in the sandbox. Prints virtual seconds from the request to knowing it is available.

Usage: waiter.py ENDPOINT. The sandbox runs 60 times real speed, so the waiter's 30 seconds become half a second.
"""

import datetime
import json
import sys

import boto3

rds = boto3.client("rds", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="sandbox", aws_secret_access_key="sandbox")


def now():
    headers = rds.describe_account_attributes()["ResponseMetadata"]["HTTPHeaders"]
    return datetime.datetime.fromisoformat(json.loads(headers["x-drctl-sandbox"])["now"][:26].rstrip("Z") + "+00:00")


rds.create_db_instance(DBInstanceIdentifier="empty", DBInstanceClass="db.t3.micro", Engine="postgres", MasterUsername="b",
                       MasterUserPassword="bench999", AllocatedStorage=20)
rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="empty", WaiterConfig={"Delay": 1})
rds.create_db_snapshot(DBSnapshotIdentifier="empty-1", DBInstanceIdentifier="empty")
rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier="empty-1", WaiterConfig={"Delay": 1})
waits = []
for number in range(3):
    start = now()
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=f"copy-{number}", DBSnapshotIdentifier="empty-1")
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=f"copy-{number}",
                                                 WaiterConfig={"Delay": 0.5, "MaxAttempts": 100})
    waits.append((now() - start).total_seconds())
print(sum(waits) / len(waits))
