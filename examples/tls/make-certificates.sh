#!/bin/sh
# Makes the two CAs, the certificates and secrets.yaml of this folder anew. For tests and demonstrations only: the keys are public.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
NAMES='subjectAltName=DNS:api.default.svc.cluster.local,DNS:other.default.svc.cluster.local'

authority() { # FILE NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -keyout "$work/$1.key" -out "$1.crt"
}
certificate() { # FILE AUTHORITY
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=api -keyout "$work/$1.key" -out "$work/$1.csr"
  echo "$NAMES" > "$work/$1.ext"
  openssl x509 -req -in "$work/$1.csr" -CA "$2.crt" -CAkey "$work/$2.key" -CAcreateserial -CAserial "$work/serial" -days 36500 \
    -extfile "$work/$1.ext" -out "$work/$1.crt"
}
secret() { # NAME KEY FILE [KEY FILE]
  printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: default\ndata:\n' "$1"
  shift
  while [ $# -gt 0 ]; do
    printf '  %s: %s\n' "$1" "$(base64 < "$2" | tr -d '\n')"
    shift 2
  done
}

authority server-ca 'Test only: the CA of servers'
authority proxy-ca 'Test only: the CA of the proxy'
certificate api server-ca
certificate proxy proxy-ca
{
  echo '# Test only: everybody has these keys. Made by make-certificates.sh.'
  secret api-certificate tls.crt "$work/api.crt" tls.key "$work/api.key"
  echo ---
  secret proxy-certificate tls.crt "$work/proxy.crt" tls.key "$work/proxy.key"
  echo ---
  secret server-ca ca.crt server-ca.crt
} > secrets.yaml
