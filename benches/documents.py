"""Fills a collection, or scans it as one would with the driver alone. Usage: documents.py fill|scan PORT COUNT"""

import datetime
import sys
import time

import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

verb, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = pymongo.MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true")
if verb == "fill":
    client.admin.command("createUser", "bench", pwd="bench", roles=["root"])
    at = datetime.datetime(2026, 1, 1)
    for start in range(0, count, 2000):
        client.bench.orders.insert_many(
            {"_id": n, "a": f"{n:032}", "b": "x" * 150, "c": n % 97, "at": at + datetime.timedelta(seconds=n)}
            for n in range(start, start + 2000)
        )
else:
    # Documents as bytes, as drctl takes them: decoding would flatter us.
    raw = CodecOptions(document_class=RawBSONDocument)
    start = time.perf_counter()
    found = sum(1 for _ in client.bench.get_collection("orders", codec_options=raw).find({}))
    assert found == count, found
    print(time.perf_counter() - start)
