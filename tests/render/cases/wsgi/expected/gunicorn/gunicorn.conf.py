# Rendered by advisor for wait-page: change advisor.yml and render again.
# advisor/recommendation/1, template gunicorn/gunicorn.conf.py 2, inputs 86c0a7b498a2
# No bind: the socket unit opens [::]:8000 and hands it over.
# Started by hand, Gunicorn listens on 127.0.0.1:8000, or where --bind says.

wsgi_app = "wsgi:create_app()"
proc_name = "wait-page"

# An ASGI app; this worker runs Uvicorn's loop.
worker_class = "sync"

# Two workers use both cores; a third adds 0.3 % and 27 MB.
workers = 2

# A worker that is silent for so long is replaced.
timeout = 30

# What a request may take to end after a stop.
graceful_timeout = 30

# Within the kernel's somaxconn of 4096.
backlog = 2048

# No leak was measured.
max_requests = 0

# A heartbeat file on a disk can block the worker.
worker_tmp_dir = "/dev/shm"

# Its default place is closed by the sandbox.
control_socket_disable = True

# X-Forwarded-* is believed from the proxy on this host, and from nobody else.
forwarded_allow_ips = "127.0.0.1,::1"
