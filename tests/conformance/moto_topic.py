"""A topic whose messages moto delivers to a queue.

    moto_topic.py make ENDPOINT      prints the topics' ARNs, a plain one and a FIFO one
    moto_topic.py receive ENDPOINT   prints what the queues hold, as JSON
"""

import json
import sys

import boto3

VERB, ENDPOINT = sys.argv[1], sys.argv[2]
SETTINGS = {
    "endpoint_url": ENDPOINT,
    "region_name": "eu-west-1",
    "aws_access_key_id": "x",
    "aws_secret_access_key": "x",
}
sns, sqs = boto3.client("sns", **SETTINGS), boto3.client("sqs", **SETTINGS)
NAMES = {"alerts": {}, "alerts.fifo": {"FifoTopic": "true"}}

if VERB == "make":
    for name, attributes in NAMES.items():
        topic = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
        fifo = {"FifoQueue": "true"} if attributes else {}
        queue = sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        print(topic)
else:
    found = {}
    for name in NAMES:
        queue = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        found[name] = [json.loads(message["Body"]) for message in messages]
    print(json.dumps(found))
