#!/usr/bin/env bash
# Installs the Debian packages that building, running and testing need, if they are missing. Says in
# one line what is missing where it may not install (no root, no sudo, no apt).
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin" # nginx and haproxy are there, which not everybody looks into
missing=()

has_header() { echo "#include <$1>" | c++ -E -x c++ - -o /dev/null 2>/dev/null; }
need_program() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }

need_program c++ g++
need_program make make
need_program setarch util-linux
need_program redis-check-rdb redis-tools # a peer in the benchmarks, see bench/redis_shop.py
# The peers of bench/test_peers.py; h2load is below.
need_program redis-benchmark redis-tools
need_program nghttpd nghttp2-server
need_program promtool prometheus # checks the alert rules, and scrapes in tests
compgen -G "/usr/lib/postgresql/*/bin/pgbench" >/dev/null || missing+=(postgresql)
# Who must be able to talk to a server, see tests/interop.
for pair in node:nodejs npm:npm nginx:nginx-light haproxy:haproxy curl:curl h2load:nghttp2-client \
  protoc:protobuf-compiler grpc_cpp_plugin:protobuf-compiler-grpc pkg-config:pkg-config; do
  need_program "${pair%%:*}" "${pair##*:}"
done
headers=(tsl/robin_map.h:robin-map-dev xxhash.h:libxxhash-dev
  protozero/pbf_writer.hpp:libprotozero-dev uv.h:libuv1-dev nghttp2/nghttp2.h:libnghttp2-dev
  openssl/ssl.h:libssl-dev
  grpcpp/version_info.h:libgrpc++-dev google/protobuf/stubs/port.h:libprotobuf-dev)
for pair in "${headers[@]}"; do
  has_header "${pair%%:*}" || missing+=("${pair##*:}")
done
python=${PYTHON:-python3}
need_program "$python" python3
if command -v "$python" >/dev/null 2>&1; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "atp: $("$python" --version) is too old: 3.11 is needed; name one with PYTHON=..." >&2
    exit 2
  }
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
  [ -f "$header" ] || missing+=(python3-dev)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

root=()
[ "$(id -u)" -eq 0 ] || root=(sudo -n)
if ! command -v apt-get >/dev/null 2>&1 || ! "${root[@]}" true 2>/dev/null; then
  echo "atp: missing packages, and no right to install them: apt-get install ${missing[*]}" >&2
  exit 2
fi
echo "atp: installing ${missing[*]}"
# Programs are wanted and no services: in run level 1 nothing is started.
install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get)
"${install[@]}" update -q >/dev/null
"${install[@]}" install -y -q --no-install-recommends "${missing[@]}" >/dev/null
