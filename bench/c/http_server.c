/*
 * The server of the proxy benchmark, as lean as it can be, so that the proxy is what is measured: prints its port, answers
 * each request with 200 and a small body.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS 4096
#define ROOM 16384

struct peer {
  char bytes[ROOM];
  int length;
};
static struct peer peers[MAX_FDS];

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
    "Date: Tue, 01 Jul 2025 00:00:00 GMT\r\nConnection: keep-alive\r\n\r\nShip landed\n";

static void die(const char *what) {
  perror(what);
  exit(1);
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

int main(void) {
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
