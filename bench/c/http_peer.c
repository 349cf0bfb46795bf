/*
 * The two ends of the proxy benchmark, as lean as they can be, so that the proxy is what is measured.
 *
 *   http_peer serve                                     prints its port; answers each request with 200 and a small body
 *   http_peer load PORT CONNECTIONS MS METHOD PATH      one request at a time on each connection; prints
 *                                                       requests, microseconds, p50, p99 (microseconds), status, errors
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 4096
#define ROOM 16384
#define MAX_LATENCY_US 1000000

struct peer {
  char bytes[ROOM];
  int length;
  int64_t sent_ns;
};
static struct peer peers[MAX_FDS];
static uint32_t latencies[MAX_LATENCY_US + 1];

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
    "Date: Tue, 01 Jul 2025 00:00:00 GMT\r\nConnection: keep-alive\r\n\r\nShip landed\n";

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (fd >= MAX_FDS || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

/* Requests have no bodies: each ends with its empty line. */
static int answer_all(int fd, struct peer *peer) {
  char *at = peer->bytes, *end;
  while ((end = memmem(at, peer->bytes + peer->length - at, "\r\n\r\n", 4)) != NULL) {
    if (write(fd, ANSWER, sizeof ANSWER - 1) != sizeof ANSWER - 1) return -1;
    at = end + 4;
  }
  peer->length -= at - peer->bytes;
  memmove(peer->bytes, at, peer->length);
  return 0;
}

static void serve(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0) die("listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  watch(epoll, listener);
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        no_delay(client);
        peers[client].length = 0;
        watch(epoll, client);
        continue;
      }
      struct peer *peer = &peers[fd];
      int got = read(fd, peer->bytes + peer->length, ROOM - peer->length);
      if (got > 0) peer->length += got;
      if (got <= 0 || answer_all(fd, peer) != 0) close(fd);
    }
  }
}

/* Bytes of the response at the start of the peer's buffer, if it is complete; else 0. */
static int response_length(struct peer *peer) {
  char *end = memmem(peer->bytes, peer->length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  int head = end + 4 - peer->bytes;
  for (char *line = peer->bytes; line < end; line = memchr(line, '\n', end + 2 - line) + 1) {
    if (strncasecmp(line, "content-length:", 15) != 0) continue;
    int whole = head + atoi(line + 15);
    return peer->length >= whole ? whole : 0;
  }
  return peer->length >= head + 5 && memcmp(peer->bytes + peer->length - 5, "0\r\n\r\n", 5) == 0 ? peer->length : 0;
}

static int load(int port, int connections, int ms, const char *method, const char *path) {
  char request[1024];
  int length = snprintf(request, sizeof request,
                        "%s %s HTTP/1.1\r\nHost: deathstar\r\nUser-Agent: http_peer\r\nAccept: */*\r\n\r\n", method, path);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  int epoll = epoll_create1(0);
  int64_t start = now_ns(), end = start + ms * 1000000LL, now = start;
  for (int i = 0; i < connections; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    no_delay(fd);
    watch(epoll, fd);
    peers[fd].sent_ns = now_ns();
    if (write(fd, request, length) != length) die("write");
  }
  int64_t requests = 0, errors = 0;
  int status = 0;
  struct epoll_event events[256];
  while (now < end) {
    int count = epoll_wait(epoll, events, 256, 100);
    now = now_ns();
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      struct peer *peer = &peers[fd];
      int got = read(fd, peer->bytes + peer->length, ROOM - peer->length);
      if (got <= 0) {
        errors++;
        close(fd);
        continue;
      }
      peer->length += got;
      if (response_length(peer) == 0) continue;
      status = atoi(peer->bytes + 9);
      peer->length = 0;
      requests++;
      now = now_ns();
      int64_t us = (now - peer->sent_ns) / 1000;
      latencies[us > MAX_LATENCY_US ? MAX_LATENCY_US : us]++;
      peer->sent_ns = now;
      if (write(fd, request, length) != length) errors++;
    }
  }
  int64_t p50 = 0, p99 = 0, sum = 0;
  for (int us = 0; us <= MAX_LATENCY_US; us++) {
    if (sum <= requests / 2) p50 = us;
    if (sum <= requests * 99 / 100) p99 = us;
    sum += latencies[us];
  }
  printf("%ld %ld %ld %ld %d %ld\n", (long)requests, (long)((now - start) / 1000), (long)p50, (long)p99, status, (long)errors);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "serve") == 0) serve();
  if (argc == 7 && strcmp(argv[1], "load") == 0)
    return load(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argv[5], argv[6]);
  fprintf(stderr, "http_peer serve | load PORT CONNECTIONS MS METHOD PATH\n");
  return 2;
}
