"""The programs that a host runs to look at itself: Python's standard library, from 3.9 on."""

from __future__ import annotations

# Arguments: scheme, address (a path: a unix socket), port, name, path. The connection goes to the
# address, the name into Host and SNI. The certificate is judged by the checks of TLS, not here.
HEALTH = """
import http.client, json, socket, ssl, sys, time
scheme, address, port, name, path = sys.argv[1:]
begun = time.monotonic()
try:
    if address.startswith("/"):
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(5)
        raw.connect(address)
    else:
        raw = socket.create_connection((address, int(port)), timeout=5)
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = context.wrap_socket(raw, server_hostname=name)
    connection = http.client.HTTPConnection(name)
    connection.sock = raw
    connection.request("GET", path, headers={"Host": name, "Connection": "close"})
    answer = connection.getresponse()
    answer.read()
    found = {"status": answer.status}
except (OSError, http.client.HTTPException) as error:
    found = {"error": f"{type(error).__name__}: {error}"}
print(json.dumps(found | {"seconds": time.monotonic() - begun}))
"""

# Arguments: address, port, name. Old versions need a level of security that OpenSSL's default has
# left (SSL_CTX_set_security_level(3)); null: this host's own OpenSSL cannot speak the version.
TLS = """
import json, socket, ssl, sys, warnings
warnings.simplefilter("ignore")
address, port, name = sys.argv[1:]
found = {"versions": {}, "certificate": None, "error": None}
for version in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"):
    words = version.replace("_", ".")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    except (ValueError, ssl.SSLError):
        found["versions"][words] = None
        continue
    try:
        raw = socket.create_connection((address, int(port)), timeout=5)
        with raw, context.wrap_socket(raw, server_hostname=name) as connection:
            der = connection.getpeercert(binary_form=True)
            found["certificate"] = ssl.DER_cert_to_PEM_cert(der)
            found["versions"][words] = True
    except ssl.SSLError:
        found["versions"][words] = False
    except ConnectionResetError:
        found["versions"][words] = False
    except OSError as error:
        found["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""

# No arguments. The rendered Caddyfile leaves the admin API where Caddy has it by default.
CADDY = """
import json, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open("http://localhost:2019/config/", timeout=5) as answer:
        print(answer.read().decode())
except (OSError, ValueError) as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""

# Arguments: redis.conf, and the names of parameters. By the switch that an apply has left there.
REDIS = """
import json, pathlib, sys
sys.path.insert(0, "/usr/local/lib/advisor/switch.pyz")
from switch import redis
main, *names = sys.argv[1:]
try:
    with redis.live(pathlib.Path(main)) as client:
        found = {name: client.get(name) for name in names} if client else {"error": "none runs"}
except (OSError, redis.Wrong) as error:
    found = {"error": f"Redis does not tell: {error}"}
print(json.dumps(found))
"""
