# Rendered by advisor for shop: change advisor.yml and render again.
# advisor/recommendation/1, template gunicorn/gunicorn.conf.py 2, inputs fb8e777b5361
# No bind: the socket unit opens unix:/run/shop/shop.sock and hands it over.
# Started by hand, Gunicorn listens on 127.0.0.1:8000, or where --bind says.

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

# Its default place is closed by the sandbox.
control_socket_disable = True

# Uvicorn has no other word for a peer on a unix socket, and only nginx's group can open that
# socket. Started by hand on a port, add --forwarded-allow-ips 127.0.0.1.
forwarded_allow_ips = "*"
