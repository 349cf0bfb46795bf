#!/bin/sh
# Builds the test programs into ../fixtures. Needs clang and libbpf's headers; tests do not.
cd "$(dirname "$0")" || exit 1
for source in *.bpf.c; do
	object="../fixtures/${source%.c}.o"
	clang -O2 -g --target=bpf -mcpu=v3 -fdebug-prefix-map="$PWD"=. -I"/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$object" && llvm-strip -g "$object" || exit 1
done
gzip -9nf ../fixtures/large.bpf.o
