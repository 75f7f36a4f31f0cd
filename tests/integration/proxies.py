"""Real proxies in front of a service: nginx, HAProxy, Caddy, Apache, Varnish, Squid and Envoy.

    port = proxies.start(test, "nginx", coordinator.port)                   the stock configuration
    port = proxies.start(test, "nginx", coordinator.port, "documented")     the configuration of docs/proxies.md
    port = proxies.start(test, "nginx", coordinator.port, cut_s=5)          the stock configuration with short timeouts

The stock configuration is the configuration that the package installs, with added lines that name the service. Only settings
that depend on the machine are changed: the port to listen on, the paths of logs and temporary files, the user. In the
documented configuration, the block of docs/proxies.md takes the place of the lines that name the service. The block for
Varnish has options, which are added to its command line. Squid has only the stock configuration. Envoy has no stock
configuration, so the first example of its documentation is used, without optional settings.
"""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest

import fantail_testing as ft
from fantail_testing import wait_until

COMMANDS = {"nginx": "nginx", "haproxy": "haproxy", "caddy": "caddy", "apache": "apache2", "varnish": "varnishd",
            "squid": "squid", "envoy": "envoy"}


def have(name):
    with in_system_path():
        return shutil.which(COMMANDS[name]) is not None


@contextlib.contextmanager
def in_system_path():
    """Within the `with` block, PATH includes /usr/sbin. Servers are installed in /usr/sbin, but many users do not have
    this folder in PATH."""
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = path + ":/usr/local/sbin:/usr/sbin"
    try:
        yield
    finally:
        os.environ["PATH"] = path


def read(path):
    with open(path, encoding="utf-8") as source:
        return source.read()


def replace(text, *pairs):
    """Replaces each pattern in the text. Each pattern must occur."""
    for pattern, new in pairs:
        text, count = re.subn(pattern, lambda _, new=new: new, text, flags=re.M)
        assert count, f"{pattern} is not in\n{text}"
    return text


def documented(language, upstream):
    """Returns the block of docs/proxies.md in this language, with the address of the service."""
    page = read(os.path.join(ft.ROOT, "docs", "proxies.md"))
    [block] = re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)
    return re.sub(r"\bcoordinator:8080\b", upstream, block)


class Place:
    """The values for a configuration: the port to listen on, the service, a folder, and the kind, "stock" or
    "documented". With cut_s, the proxy cuts a stream or an upload after a pause of this many seconds, instead of the
    time that its package sets."""

    def __init__(self, folder, port, upstream_port, kind, cut_s=None):
        self.folder, self.port, self.kind, self.cut_s = folder, port, kind, cut_s
        self.upstream = f"127.0.0.1:{upstream_port}"
        self.upstream_port = upstream_port

    def lines(self, language, stock):
        return documented(language, self.upstream) if self.kind == "documented" else stock

    def short(self, *lines):
        """Returns the lines with cut_s in place of N. Without cut_s, returns no lines."""
        return "".join(line.replace("N", str(self.cut_s)) + "\n" for line in lines) if self.cut_s else ""

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        ft.write_file(path, text)
        return path


def nginx(place):
    short = place.short("proxy_read_timeout Ns;", "proxy_send_timeout Ns;", "client_body_timeout Ns;")
    stock = f"location / {{\n    proxy_pass http://{place.upstream};\n{short}}}\n"
    site = replace(re.sub(r"#.*", "", read("/etc/nginx/sites-available/default")),
                   (r"listen 80 default_server;", f"listen 127.0.0.1:{place.port};"), (r"listen \[::\]:80 .*", ""),
                   (r"location / \{[^}]*\}", place.lines("nginx", stock)))
    paths = "".join(f"{kind}_temp_path {place.folder}/{kind};\n"
                    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = replace(read("/etc/nginx/nginx.conf"), (r"^user .*", "user root;" if os.geteuid() == 0 else ""),
                     (r"/run/nginx\.pid", f"{place.folder}/pid"), (r"/var/log/nginx", place.folder),
                     (r"include /etc/nginx/sites-enabled/\*;", site + paths))
    return ["nginx", "-e", f"{place.folder}/error.log", "-c", place.write("nginx.conf", config), "-g", "daemon off;"]


def haproxy(place):
    stock = (f"frontend clients\n    bind :8080\n    default_backend coordinators\n{place.short('    timeout client Ns')}"
             f"backend coordinators\n    server coordinator1 {place.upstream}\n{place.short('    timeout server Ns')}")
    return haproxy_with(place, place.lines("haproxy", stock))


def haproxy_with(place, block):
    config = replace(read("/etc/haproxy/haproxy.cfg"), (r"/run/haproxy/", place.folder + "/"), (r"^\s*daemon$", ""),
                     (r"^\s*(chroot|user|group) .*", ""))
    config += replace(block, (r"bind :8080", f"bind 127.0.0.1:{place.port}"))
    return ["haproxy", "-db", "-f", place.write("haproxy.cfg", config)]


def caddy(place):
    stock = f"reverse_proxy {place.upstream}\n"
    config = replace(read("/etc/caddy/Caddyfile"), (r"^:80 ", f":{place.port} "), (r"^\s*root \* .*", ""),
                     (r"^\s*file_server$", place.lines("caddy", stock)))
    return ["caddy", "run", "--adapter", "caddyfile", "--config", place.write("Caddyfile", "{\n\tadmin off\n}\n" + config)]


def apache(place):
    modules = "".join(f"Include /etc/apache2/mods-available/{name}\n" for name in ("proxy.load", "proxy.conf", "proxy_http.load"))
    short = place.short("Timeout N", "ProxyTimeout N", "RequestReadTimeout body=N")
    stock = f"ProxyPass / http://{place.upstream}/\n{short}"
    site = f"<VirtualHost *:{place.port}>\n{place.lines('apache', stock)}</VirtualHost>\n"
    config = replace(read("/etc/apache2/apache2.conf"), (r"^Include ports\.conf", f"Listen 127.0.0.1:{place.port}\n{modules}"),
                     (r"^IncludeOptional sites-enabled/.*", site), (r"^User .*", ""), (r"^Group .*", ""))
    config = config.replace("IncludeOptional mods-enabled", "IncludeOptional /etc/apache2/mods-enabled")
    config = config.replace("IncludeOptional conf-enabled", "IncludeOptional /etc/apache2/conf-enabled")
    return ["apache2", "-D", "FOREGROUND", "-f", place.write("apache2.conf", config)]


def varnish(place):
    vcl = replace(read("/etc/varnish/default.vcl"), (r'\.port = "8080"', f'.port = "{place.upstream_port}"'))
    more = documented("varnish", place.upstream).split() if place.kind == "documented" else []
    more += place.short("-p timeout_idle=N", "-p first_byte_timeout=N", "-p between_bytes_timeout=N").split()
    return ["varnishd", *more, "-F", "-j", "none", "-n", f"{place.folder}/varnish", "-a", f"127.0.0.1:{place.port}",
            "-f", place.write("default.vcl", vcl), "-s", "malloc,256m"]


def squid(place):
    """A forward proxy: its clients send requests with absolute URLs."""
    config = replace(read("/etc/squid/squid.conf"), (r"^http_port 3128$", f"http_port 127.0.0.1:{place.port}"),
                     (r"^include /etc/squid/conf\.d/.*", "pid_filename none\npinger_enable off\naccess_log none\ncache_log /dev/null\n"),
                     (r"^coredump_dir .*", "shutdown_lifetime 0 seconds"))
    config += place.short("read_timeout N seconds", "write_timeout N seconds", "request_timeout N seconds")
    return ["squid", "-N", "-n", f"fantail{place.port}", "-f", place.write("squid.conf", config)]


ENVOY = """
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %(port)d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: fantail
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: fantail
              domains: ["*"]
              routes:
%(routes)s
  clusters:
  - name: coordinators
    load_assignment:
      cluster_name: coordinators
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %(upstream)d}}}
"""


def envoy(place):
    block = place.lines("yaml", "- match: {prefix: /}\n  route: {cluster: coordinators}\n")
    routes = "".join(" " * 14 + line for line in block.splitlines(True))
    text = ENVOY % {"port": place.port, "routes": routes, "upstream": place.upstream_port}
    return ["envoy", "-c", place.write("envoy.yaml", text), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]


CONFIGURE = {"nginx": nginx, "haproxy": haproxy, "caddy": caddy, "apache": apache, "varnish": varnish, "squid": squid,
             "envoy": envoy}


def needs(name):
    """Skips the test if this proxy is not installed."""
    return unittest.skipUnless(have(name), f"{name} is not installed")


def environment(folder):
    env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin", "HOME": folder,
           "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
    env.update({"APACHE_RUN_DIR": folder, "APACHE_LOG_DIR": folder, "APACHE_LOCK_DIR": folder,
                "APACHE_PID_FILE": folder + "/apache.pid"})
    return env


def end(process):
    """Ends the proxy with all its children. Some proxies wait for their clients after the signal, so a proxy that still runs
    after a few seconds is killed."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def start(test, name, upstream_port, kind="stock", add_cleanup=None, cut_s=None):
    """Starts a proxy, and returns its port. The proxy ends with the test. If add_cleanup is given, it is called instead of
    test.addCleanup() to register the end of the proxy. For cut_s see Place."""
    folder = os.path.join(test.folder, f"{name}-{upstream_port}-{kind}")
    os.makedirs(folder)
    place = Place(folder, test.free_port(), upstream_port, kind, cut_s)
    return run(test, name, place, CONFIGURE[name](place), add_cleanup)


def pool_folder(test, upstream_ports):
    return os.path.join(test.folder, f"haproxy-pool-{upstream_ports[0]}")


def pool_servers_up(test, upstream_ports):
    """Returns the number of coordinators that HAProxy sends requests to. Asks the administration socket of HAProxy."""
    with socket.socket(socket.AF_UNIX) as s, s.makefile("rw") as lines:
        s.connect(os.path.join(pool_folder(test, upstream_ports), "admin.sock"))
        lines.write("show stat\n")
        lines.flush()
        fields = [line.split(",") for line in lines]
    name, status = fields[0].index("svname"), fields[0].index("status")
    return sum(row[name].startswith("coordinator") and row[status] == "UP" for row in fields if len(row) > status)


def start_pool(test, upstream_ports):
    """Starts HAProxy as the load balancer of several coordinators, with the documented configuration and health checks.
    Returns its port."""
    folder = pool_folder(test, upstream_ports)
    os.makedirs(folder)
    place = Place(folder, test.free_port(), 0, "documented")
    # On a busy machine an answer to a check may take longer than the pause between two checks.
    checks = "    option httpchk GET /readyz\n    timeout check 10s\n    default-server check inter 200ms fall 1 rise 1\n"
    servers = "".join(f"    server coordinator{i} 127.0.0.1:{port}\n" for i, port in enumerate(upstream_ports))
    block = replace(documented("haproxy", place.upstream), (r"^    server .*\n", checks + servers))
    return run(test, "haproxy", place, haproxy_with(place, block), None)


def run(test, name, place, argv, add_cleanup):
    folder = place.folder
    with open(os.path.join(folder, "output"), "wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                                   start_new_session=True, env=environment(folder))
    (add_cleanup or test.addCleanup)(end, process)

    def listens():
        said = read(os.path.join(folder, "output"))[-3000:]
        assert process.poll() is None, f"{' '.join(argv)} ended with {process.poll()}:\n{said}"
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", place.port)) == 0
    wait_until(listens, name)
    return place.port
