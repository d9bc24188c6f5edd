/* The floor: what a WebSocket broadcast costs in plain C, one send() per client and nothing else.
 *
 *   floor PORT
 *
 * Knows just enough of HTTP and RFC 6455 for load.c: every text message goes to everybody. What a slow client does not take
 * is lost and said so on stderr, because then the measurement is worth nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CLIENTS = 65536 };

static const char ACCEPTED[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static int clients[MAX_CLIENTS], client_count;
static bool upgraded[MAX_CLIENTS];
static int epoll;

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
        perror("floor");
        exit(1);
    }
    return fd;
}

static void take_client(int listening)
{
    int on = 1, fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    upgraded[fd] = false;
    watch(fd);
}

static void drop(int fd)
{
    for (int i = 0; i < client_count; i++)
        if (clients[i] == fd)
            clients[i--] = clients[--client_count];
    close(fd);
}

static void broadcast(const char *frame, size_t size)
{
    for (int i = 0; i < client_count; i++)
        if (send(clients[i], frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
            fprintf(stderr, "floor: a client is too slow\n");
}

/* One masked text frame of a client, unmasked into a server's frame. */
static void pass_on(const unsigned char *received)
{
    static char frame[65540];
    size_t size = received[1] & 127, at = 2, head = 2;

    if (size == 126) {
        size = (size_t)received[2] << 8 | received[3];
        at = head = 4;
        memcpy(frame + 2, received + 2, 2);
    }
    frame[0] = (char)0x81;
    frame[1] = (char)(received[1] & 127);
    for (size_t i = 0; i < size; i++)
        frame[head + i] = (char)(received[at + 4 + i] ^ received[at + i % 4]);
    broadcast(frame, head + size);
}

static void read_from(int fd)
{
    static unsigned char data[65550];
    ssize_t size = recv(fd, data, sizeof data, 0);

    if (size <= 0) {
        drop(fd);
    } else if (!upgraded[fd]) {
        send(fd, ACCEPTED, strlen(ACCEPTED), MSG_NOSIGNAL);
        upgraded[fd] = true;
        clients[client_count++] = fd;
    } else if ((data[0] & 15) == 1) {
        pass_on(data);
    }
}

int main(int count, char **arguments)
{
    struct epoll_event events[512];
    int listening = listen_on(count > 1 ? atoi(arguments[1]) : 8000);

    epoll = epoll_create1(0);
    watch(listening);
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listening)
                take_client(listening);
            else
                read_from(events[i].data.fd);
        }
    }
}
