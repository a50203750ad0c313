# Rendered by advisor for shop: change advisor.yml and render again.
# advisor/recommendation/1, template gunicorn/gunicorn.conf.py 2, inputs c8f2e6707e6e
# No bind: what starts Gunicorn gives it --bind unix:/run/shop/shop.sock,
# which is where the proxy looks.

wsgi_app = "shop.main:app"
proc_name = "shop"

# An ASGI app; this worker runs Uvicorn's loop.
worker_class = "uvicorn_worker.UvicornWorker"

# Two workers use both cores; a third adds 0.3 % and 27 MB.
workers = 2

# A worker that is silent for so long is replaced.
timeout = 30

# What a request may take to end after a stop.
graceful_timeout = 30

# Longer than nginx keeps idle connections (60 s), or a reused one is a 502.
keepalive = 75

# Within the kernel's somaxconn of 4096.
backlog = 2048

# No leak was measured.
max_requests = 0

# A heartbeat file on a disk can block the worker.
worker_tmp_dir = "/dev/shm"

# X-Forwarded-* is not believed: Uvicorn's only word for a peer on a unix socket is *, and this
# socket is not our unit's. If only the proxy can open it, say so with --forwarded-allow-ips '*'.

# control_socket_disable is left out: it needs Gunicorn 25.1; the target's version is 20.1.0.
