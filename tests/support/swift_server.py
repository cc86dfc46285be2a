"""OpenStack Swift with its S3 API, whole in one process: Debian's Python runs this, not the project's.

`python3 swift_server.py FOLDER PORT SECRET BUCKET VERSIONED_BUCKET`: proxy, account, container, object server
with one device in FOLDER. Prints `ready` when it answers. A bucket that is there stays as it is.
"""

import logging
import socket
import sys
from pathlib import Path

import eventlet

eventlet.monkey_patch()
from eventlet import listen, wsgi  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.swob import Request  # noqa: E402
from swift.common.utils import set_swift_dir  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402

DEVICE = "d1"
SERVERS = ("account", "container", "object")

STORAGE = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
container_update_timeout = 60
[app:main]
use = egg:swift#{name}
"""
PROXY = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy slo versioned_writes symlink proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:symlink]
use = egg:swift#symlink
[filter:slo]
use = egg:swift#slo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 30
"""


def make_ring(folder, name, port):
    builder = RingBuilder(4, 1, 1)
    builder.add_dev(
        {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": DEVICE, "weight": 1.0}
    )
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{name}.ring.gz"))


def serve(sock, app):
    quiet = logging.getLogger("access")
    quiet.disabled = True
    eventlet.spawn(
        wsgi.server, sock, app, quiet, protocol=SwiftHttpProtocol, capitalize_response_headers=False
    )


def make_bucket(app, name, headers):
    trusted = {"swift.authorize_override": True, "swift_owner": True}
    request = Request.blank(
        f"/v1/AUTH_test/{name}", method="PUT", environ=trusted, headers={"Content-Length": "0", **headers}
    )
    response = request.get_response(app)
    assert response.status_int in {201, 202}, response.status


def main():
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    (folder / "devices" / DEVICE).mkdir(parents=True, exist_ok=True)
    swift_conf = folder / "swift.conf"
    swift_conf.write_text("[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n")
    set_swift_dir(str(folder))
    sockets = {name: listen(("127.0.0.1", 0)) for name in SERVERS}
    for name, sock in sockets.items():
        make_ring(folder, name, sock.getsockname()[1])
        conf = folder / f"{name}.conf"
        conf.write_text(STORAGE.format(folder=folder, name=name))
        serve(sock, loadapp(str(conf), global_conf={"log_name": name}))
    conf = folder / "proxy.conf"
    conf.write_text(PROXY.format(folder=folder, secret=sys.argv[3]))
    app = loadapp(str(conf), global_conf={"log_name": "proxy"})
    make_bucket(app, sys.argv[4], {})
    make_bucket(app, sys.argv[5], {"X-Versions-Enabled": "true"})
    front = listen(("127.0.0.1", port), reuse_port=False)
    front.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    serve(front, app)
    print("ready", flush=True)
    while True:
        eventlet.sleep(3600)


if __name__ == "__main__":
    main()
