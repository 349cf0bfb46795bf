#!/usr/bin/env bash
# Record examples/deathstar/deathstar.pcapng: real clients, servers and a DNS server, one network namespace per pod.
#
# Everything happens in namespaces of this script's own; the machine's network is not touched, and all of it is gone when
# the script ends. Needs root, and: bash, iproute2, ethtool, iptables, tcpdump, curl, nginx, dnsmasq.
#
# usage: sudo examples/deathstar/capture/capture.sh [OUTPUT.pcapng]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
output=$(realpath -m "${1:-$here/../deathstar.pcapng}")
node=$root/node_modules/.bin/node

# As in cluster.yaml.
declare -A namespace=([deathstar-1]=default [deathstar-2]=default [tiefighter]=default [xwing]=default [kube-dns]=kube-system)
declare -A address=([deathstar-1]=10.0.0.11 [deathstar-2]=10.0.0.12 [tiefighter]=10.0.0.21 [xwing]=10.0.0.31 [kube-dns]=10.0.0.53)
pods=(deathstar-1 deathstar-2 tiefighter xwing kube-dns)
deathstar_service=10.96.0.80
dns_service=10.96.0.10
router=10.0.0.1
service_name=deathstar.default.svc.cluster.local

host=ciliate-host
ns() { echo "ciliate-$1"; }
in_ns() { ip netns exec "$@"; }

work=$(mktemp -d)
started=()

# Started programs are the script's own children (no shell function between), so that these ids are theirs.
stop_started() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  started=()
}

clean_up() {
  local pod
  stop_started
  for pod in "${pods[@]}"; do
    ip netns del "$(ns "$pod")" 2>/dev/null || true
    rm -rf "/etc/netns/$(ns "$pod")"
  done
  rmdir /etc/netns 2>/dev/null || true
  ip netns del "$host" 2>/dev/null || true
  rm -rf "$work"
}

make_host() {
  ip netns add "$host"
  in_ns "$host" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=1
  ip -n "$host" link set lo up
}

# Offloads off on both ends, so that every packet is one that could be on a wire and carries the checksums it was sent with.
no_offloads() { in_ns "$1" ethtool -K "$2" tso off gso off gro off tx off rx off sg off >/dev/null; }

make_pod() {
  local pod=$1 pod_ns ip mac
  pod_ns=$(ns "$pod")
  ip=${address[$pod]}
  mac=$(printf '02:00:%02x:%02x:%02x:%02x' ${ip//./ })
  ip netns add "$pod_ns"
  in_ns "$pod_ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  ip -n "$host" link add "$pod" address 02:00:00:00:00:01 type veth peer name eth0 address "$mac" netns "$pod_ns"
  no_offloads "$host" "$pod"
  no_offloads "$pod_ns" eth0
  ip -n "$host" addr add "$router/32" dev "$pod"
  ip -n "$host" link set "$pod" up
  ip -n "$host" route add "$ip/32" dev "$pod"
  ip -n "$pod_ns" link set lo up
  ip -n "$pod_ns" addr add "$ip/32" dev eth0
  ip -n "$pod_ns" link set eth0 up
  ip -n "$pod_ns" route add "$router/32" dev eth0
  ip -n "$pod_ns" route add default via "$router" dev eth0
  mkdir -p "/etc/netns/$pod_ns"
  echo "nameserver $dns_service" >"/etc/netns/$pod_ns/resolv.conf"
}

# What kube-proxy would do: a connection to a ClusterIP goes to one of its backends, chosen at random.
make_services() {
  local to_deathstar=(-t nat -A PREROUTING -d "$deathstar_service" -p tcp --dport 80)
  in_ns "$host" iptables "${to_deathstar[@]}" -m statistic --mode random --probability 0.5 -j DNAT --to "${address[deathstar-1]}"
  in_ns "$host" iptables "${to_deathstar[@]}" -j DNAT --to "${address[deathstar-2]}"
  local protocol
  for protocol in udp tcp; do
    in_ns "$host" iptables -t nat -A PREROUTING -d "$dns_service" -p "$protocol" --dport 53 -j DNAT --to "${address[kube-dns]}"
  done
}

start_deathstar() {
  local pod=$1 dir=$work/$1
  mkdir -p "$dir"
  sed "s|@DIR@|$dir|g" "$here/nginx.conf" >"$dir/nginx.conf"
  ip netns exec "$(ns "$pod")" nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" &
  started+=($!)
}

start_dns() {
  ip netns exec "$(ns kube-dns)" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
    --pid-file= --log-facility="$work/dnsmasq.log" --local=/cluster.local/ --local-ttl=30 \
    --host-record="$service_name,$deathstar_service" &
  started+=($!)
}

# Only what the pod sends, on the host end of its veth: nothing is seen after translation.
start_tcpdump() {
  ip netns exec "$host" tcpdump -i "$1" -Q in --time-stamp-precision=nano -U --immediate-mode -Z root \
    -w "$work/${namespace[$1]}_$1.pcap" ip 2>"$work/tcpdump_$1.log" &
  started+=($!)
}

# from POD WHAT CURL-ARGUMENTS...: one run of a real curl in that pod
from() {
  local pod=$1 what=$2
  shift 2
  echo "--- $pod: $what"
  in_ns "$(ns "$pod")" curl -4 --silent --show-error --max-time 10 "$@" | sed 's/^/    /'
  sleep 0.2
}

record() {
  local url=http://$service_name cargo
  cargo=$(printf 'crate-%04d,' $(seq 1 200))
  from tiefighter 'POST request-landing' -X POST "$url/v1/request-landing"
  from tiefighter 'PUT exhaust-port' -X PUT "$url/v1/exhaust-port"
  from xwing 'POST request-landing' -X POST "$url/v1/request-landing"
  from xwing 'PUT exhaust-port' -X PUT "$url/v1/exhaust-port"
  from tiefighter 'POST, GET, PUT, POST on one connection' -X POST "$url/v1/request-landing" \
    --next -4 --silent --show-error "$url/v1/" \
    --next -4 --silent --show-error -X PUT "$url/v1/exhaust-port" \
    --next -4 --silent --show-error -X POST "$url/v1/request-landing"
  from xwing 'GET, POST on one connection' "$url/v1/" \
    --next -4 --silent --show-error -X POST "$url/v1/request-landing"
  from tiefighter 'POST request-landing, its headers longer than one segment' -X POST -H "X-Cargo: $cargo" "$url/v1/request-landing"
  from tiefighter 'GET /v1/' "$url/v1/"
  from xwing 'GET /v1/' "$url/v1/"
  from tiefighter 'POST request-landing, to a pod and not to the Service' -X POST "http://${address[deathstar-1]}/v1/request-landing"
  from tiefighter 'PUT exhaust-port, to a pod and not to the Service' -X PUT "http://${address[deathstar-2]}/v1/exhaust-port"
  from xwing 'POST request-landing, to a pod and not to the Service' -X POST "http://${address[deathstar-2]}/v1/request-landing"
  from tiefighter 'POST request-landing' -X POST "$url/v1/request-landing"
}

trap clean_up EXIT
trap 'exit 130' INT TERM
make_host
for pod in "${pods[@]}"; do make_pod "$pod"; done
make_services
start_dns
start_deathstar deathstar-1
start_deathstar deathstar-2
for pod in "${pods[@]}"; do start_tcpdump "$pod"; done
sleep 2 # servers listen, tcpdump sees packets
record
sleep 1 # the last FIN is written
stop_started
"$node" "$here/merge.ts" "$work" "$output"
