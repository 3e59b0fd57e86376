"""How nginx and Varnish are set: as they come, and as unkind as operators have been seen to set them."""

from __future__ import annotations

from typing import Final

#: Seconds that the caches keep an answer that says it must not be kept.
TTL: Final = 10

NGINX: Final = {
    "nginx as it comes": "",
    "nginx gzip": """
        gzip on; gzip_min_length 1; gzip_proxied any; gzip_types application/json text/event-stream;
    """,
    "nginx strips ETags": "proxy_hide_header ETag; proxy_hide_header Last-Modified;",
    "nginx weakens ETags": "proxy_hide_header ETag; add_header ETag W/$upstream_http_etag always;",
    "nginx rewrites ETags": "proxy_hide_header ETag; add_header ETag '\"of-the-proxy\"' always;",
    "nginx drops the query": "DROP QUERY",
    "nginx drops validators": """
        proxy_set_header If-None-Match ""; proxy_set_header Prefer ""; proxy_set_header Last-Event-ID "";
    """,
    "nginx drops validators and query": """
        DROP QUERY proxy_set_header If-None-Match ""; proxy_set_header Prefer ""; proxy_set_header Last-Event-ID "";
    """,
    "nginx buffers streams": """
        proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_buffer_size 64k; proxy_buffers 16 64k;
        proxy_busy_buffers_size 128k;
    """,
    "nginx idle 2 s": "proxy_read_timeout 2s; send_timeout 2s; keepalive_timeout 1s;",
    "nginx idle 1 s": "proxy_read_timeout 1s; send_timeout 1s; keepalive_timeout 1s;",
    "nginx closes connections": "keepalive_timeout 0; proxy_http_version 1.1; proxy_set_header Connection close;",
    "nginx caches": f"""
        proxy_cache answers; proxy_cache_valid 200 {TTL}s; proxy_ignore_headers Cache-Control Expires Vary;
    """,
}
VARNISH: Final = {
    "varnish as it comes": "",
    "varnish idle 2 s": "-p first_byte_timeout=2 -p between_bytes_timeout=2 -p timeout_idle=1",
    "varnish caches": f"""
        sub vcl_backend_response {{ set beresp.ttl = {TTL}s; set beresp.grace = 0s; return (deliver); }}
    """,
    "varnish caches, with grace": f"""
        sub vcl_backend_response {{ unset beresp.http.Vary; set beresp.ttl = {TTL}s; return (deliver); }}
    """,
}
