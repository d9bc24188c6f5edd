/* The load client: thousands of WebSockets in one process, one speaker, one count of what arrives.
 *
 *   load --port P [--path /] [--connections N] [--pids 1,2] --say FILE [--marker TEXT] [--rounds R] ...
 *
 * Connection 0 is the speaker, the others listen. In a round the speaker sends the next line of FILE, and the round ends when
 * every listener has received one message with the marker; the number after the marker must be the round's. So there is one
 * message under way at a time. Every line on standard input starts a block: 20 rounds to warm up, because a receiver that was
 * idle acknowledges the next 16 segments one by one (TCP_MAX_QUICKACKS), then R that are measured; its end ends the program.
 * Prints one JSON object per line: one when all are connected, one per block. Times are CPU seconds of the server's processes,
 * taken from outside.
 *
 * Build: cc -O2 -o load load.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { MAX_PIDS = 64, MAX_MESSAGE = 1 << 20, WARM_UP_ROUNDS = 20, AT_ONCE = 128, STALLED_SECONDS = 30 };

enum state { UNUSED, CONNECTING, UPGRADING, OPENING, READY, ENDED };

struct connection {
    int fd;
    enum state state;
    uint32_t delivered;   /* messages with the marker */
    char *rest;           /* the beginning of a frame whose end has not arrived */
    size_t rest_size;
    int64_t began;        /* ns, when it connected */
};

static struct {
    int port, connections, rounds;
    const char *host, *path, *marker, *ready;
    char **cookies, **openings, **lines;
    size_t cookie_count, opening_count, line_count;
    bool deflate, socketio;
    pid_t pids[MAX_PIDS];
    int pid_count;
} options = {.host = "127.0.0.1", .port = 8000, .path = "/", .connections = 1000, .rounds = 100, .marker = "\"n\":"};

static const uint32_t STANDARD_INPUT = UINT32_MAX; /* among the numbers of the connections */

static struct connection *all;
static int epoll;
static int ready;
static uint64_t delivered, bytes, wrong, ended;
static int64_t *said_at; /* ns per round */
static uint32_t said, said_room;
static uint32_t *latencies; /* us */
static size_t latency_count, latency_room;
static char extensions[256];

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* What the machine tells about processes. */

static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec t;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
        return 0;
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double servers_cpu_seconds(void)
{
    double sum = 0;

    for (int i = 0; i < options.pid_count; i++)
        sum += cpu_seconds(options.pids[i]);
    return sum;
}

static long resident_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    fclose(file);
    return kb;
}

static long servers_resident_kb(void)
{
    long sum = 0;

    for (int i = 0; i < options.pid_count; i++)
        sum += resident_kb(options.pids[i]);
    return sum;
}

/* CPU seconds that everything on this machine has used: shows how noisy a block was. */
static double machine_cpu_seconds(void)
{
    unsigned long user = 0, nice = 0, system = 0, idle, wait, irq = 0, softirq = 0;
    FILE *file = fopen("/proc/stat", "r");

    if (!file)
        return 0;
    if (fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu", &user, &nice, &system, &idle, &wait, &irq, &softirq) < 7)
        user = 0;
    fclose(file);
    return (double)(user + nice + system + irq + softirq) / sysconf(_SC_CLK_TCK);
}

/* Sending: a client's frames are masked (RFC 6455 section 5.3). */

static void end(struct connection *c)
{
    if (c->state == ENDED)
        return;
    c->state = ENDED;
    ended++;
    close(c->fd);
}

static void send_all(struct connection *c, const char *data, size_t size)
{
    while (size) {
        ssize_t taken = send(c->fd, data, size, MSG_NOSIGNAL);
        if (taken < 0 && errno == EAGAIN) {
            usleep(50);
        } else if (taken < 0) {
            end(c);
            return;
        } else {
            data += taken;
            size -= taken;
        }
    }
}

static void send_frame(struct connection *c, int opcode, const char *payload, size_t size)
{
    static const unsigned char mask[4] = {0x5a, 0x17, 0xc3, 0xd9};
    static char frame[MAX_MESSAGE + 14];
    size_t head = 2;

    if (size > 65535)
        fail("a message to send is too long");
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        frame[2] = (char)(size >> 8);
        frame[3] = (char)size;
        head = 4;
    }
    memcpy(frame + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < size; i++)
        frame[head + i] = (char)(payload[i] ^ mask[i & 3]);
    send_all(c, frame, head + size);
}

static const char *nth(char **lines, size_t count, size_t i)
{
    return count ? lines[i % count] : NULL;
}

static void say(void)
{
    const char *line = nth(options.lines, options.line_count, said);

    if (said == said_room) {
        said_room = 2 * said_room + 1000;
        said_at = realloc(said_at, said_room * sizeof *said_at);
    }
    said_at[said++] = now();
    send_frame(&all[0], TEXT, line, strlen(line));
}

/* Receiving. */

static void become_ready(struct connection *c)
{
    c->state = READY;
    ready++;
}

static void opened(struct connection *c)
{
    const char *opening = nth(options.openings, options.opening_count, c - all);

    c->state = OPENING;
    if (opening)
        send_frame(c, TEXT, opening, strlen(opening));
    if (!options.ready && !options.socketio)
        become_ready(c);
}

/* Whether the message is a delivery; counts it as wrong if it is not the one of this listener's next round. Compressed ones are
 * not looked into. */
static bool has_marker(struct connection *c, bool compressed, const char *payload, size_t size)
{
    if (compressed)
        return true;
    const char *found = memmem(payload, size, options.marker, strlen(options.marker));
    if (!found)
        return false;
    char number[12] = "";
    size_t after = found + strlen(options.marker) - payload;
    memcpy(number, payload + after, size - after < 11 ? size - after : 11);
    wrong += strtoul(number, NULL, 10) != c->delivered;
    return true;
}

static void take_message(struct connection *c, bool compressed, const char *payload, size_t size, int64_t at)
{
    if (options.socketio && size && payload[0] == '0') { /* Engine.IO open → Socket.IO connect */
        send_frame(c, TEXT, "40", 2);
    } else if (options.socketio && size == 1 && payload[0] == '2') { /* Engine.IO ping */
        send_frame(c, TEXT, "3", 1);
    } else if (c->state == OPENING) {
        if (options.socketio ? size > 1 && payload[1] == '0' : !!memmem(payload, size, options.ready, strlen(options.ready)))
            become_ready(c);
    } else if (c == &all[0]) {
        if (memmem(payload, size, "\"refused\"", 9)) {
            fprintf(stderr, "load: %.*s\n", (int)size, payload);
            exit(1);
        }
    } else if (has_marker(c, compressed, payload, size)) {
        if (c->delivered >= said)
            wrong++;
        else if (latency_count < latency_room)
            latencies[latency_count++] = (uint32_t)((at - said_at[c->delivered]) / 1000);
        c->delivered++;
        delivered++;
        bytes += size;
    }
}

static void take_frame(struct connection *c, unsigned char head, const char *payload, size_t size, int64_t at)
{
    int opcode = head & 0x0f;

    if (!(head & 0x80))
        wrong++; /* nobody here sends fragments */
    if (opcode == CLOSE)
        end(c);
    else if (opcode == PING)
        send_frame(c, PONG, payload, size);
    else if (opcode == TEXT || opcode == BINARY)
        take_message(c, head & 0x40, payload, size, at);
}

/* Returns the size of the first frame, 0 if it is not complete; *payload is where its payload begins. */
static size_t frame_size(const unsigned char *data, size_t size, size_t *payload)
{
    if (size < 2)
        return 0;
    uint64_t length = data[1] & 127;
    size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (size < 2 + more)
        return 0;
    if (more)
        length = 0;
    for (size_t i = 0; i < more; i++)
        length = length << 8 | data[2 + i];
    *payload = 2 + more;
    return size < *payload + length ? 0 : *payload + length;
}

/* Reads the answer to the handshake; returns its size, 0 if it is not complete. */
static size_t take_answer(struct connection *c, char *data, size_t size)
{
    data[size] = 0;
    char *stop = memmem(data, size, "\r\n\r\n", 4);
    if (!stop)
        return 0;
    if (strncmp(data, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "load: refused: %.300s\n", data);
        exit(1);
    }
    char *found = strcasestr(data, "sec-websocket-extensions:");
    if (found && found < stop)
        snprintf(extensions, sizeof extensions, "%.*s", (int)strcspn(found + 26, "\r\n"), found + 26);
    opened(c);
    return stop + 4 - data;
}

static void take_bytes(struct connection *c, char *data, size_t size)
{
    int64_t at = now();
    size_t used = 0, payload;

    if (c->state == UPGRADING)
        used = take_answer(c, data, size);
    while (c->state != UPGRADING && c->state != ENDED) {
        size_t length = frame_size((unsigned char *)data + used, size - used, &payload);
        if (!length)
            break;
        take_frame(c, (unsigned char)data[used], data + used + payload, length - payload, at);
        used += length;
    }
    c->rest_size = size - used;
    c->rest = realloc(c->rest, c->rest_size + 1);
    memcpy(c->rest, data + used, c->rest_size);
}

static void read_from(struct connection *c)
{
    static char data[2 * MAX_MESSAGE];

    memcpy(data, c->rest, c->rest_size);
    ssize_t more = recv(c->fd, data + c->rest_size, MAX_MESSAGE - c->rest_size, 0);
    if (more > 0)
        take_bytes(c, data, c->rest_size + more);
    else if (more == 0 || errno != EAGAIN)
        end(c);
}

/* Connecting. */

static void start_connection(int i)
{
    struct connection *c = &all[i];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = i};
    struct linger reset = {1, 0}; /* leave no sockets in TIME_WAIT behind */
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        fail("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    inet_pton(AF_INET, options.host, &address.sin_addr);
    c->state = CONNECTING;
    c->began = now();
    if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect");
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void ask_for_upgrade(struct connection *c)
{
    char request[8192], cookie[4096] = "";
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - all)};
    const char *given = nth(options.cookies, options.cookie_count, c - all);
    int error = 0;
    socklen_t size = sizeof error;

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        errno = error;
        fail("connect");
    }
    if (given && *given)
        snprintf(cookie, sizeof cookie, "Cookie: %s\r\n", given);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://%s:%d\r\n"
             "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
             "Accept-Language: de,en-GB;q=0.7,en;q=0.3\r\n%s%s\r\n",
             options.path, options.host, options.port, options.host, options.port, cookie,
             options.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    c->state = UPGRADING;
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
    send_all(c, request, strlen(request));
}

/* Whether something is to be read from standard input. */
static bool wait_for_events(int milliseconds)
{
    struct epoll_event events[1024];
    int count = epoll_wait(epoll, events, 1024, milliseconds);
    bool asked = false;

    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == STANDARD_INPUT) {
            asked = true;
            continue;
        }
        struct connection *c = &all[events[i].data.u32];
        if (c->state == CONNECTING)
            ask_for_upgrade(c);
        else if (c->state != ENDED)
            read_from(c);
    }
    return asked;
}

static void idle(double seconds)
{
    int64_t until = now() + (int64_t)(seconds * 1e9);

    while (now() < until)
        wait_for_events((int)((until - now()) / 1000000) + 1);
}

/* Measuring. */

static void stop_if_stalled(int64_t since, const char *doing)
{
    if (now() - since < STALLED_SECONDS * 1000000000LL)
        return;
    fprintf(stderr, "load: stalled while %s: %d ready, %lu delivered, %lu ended\n", doing, ready, delivered, ended);
    exit(1);
}

static void connect_all(void)
{
    double cpu = servers_cpu_seconds();
    long before = servers_resident_kb();
    int64_t began = now(), progress = began;
    int started = 0, seen = 0;

    while (ready < options.connections) {
        while (started < options.connections && started - ready < AT_ONCE)
            start_connection(started++);
        wait_for_events(1000);
        if (ready != seen)
            progress = now();
        seen = ready;
        stop_if_stalled(progress, "connecting");
    }
    double seconds = (now() - began) / 1e9;
    cpu = servers_cpu_seconds() - cpu;
    idle(0.5);
    printf("{\"kind\": \"open\", \"connections\": %d, \"per_second\": %.0f, \"cpu_us\": %.2f, \"resident_kb\": %.2f, "
           "\"extensions\": \"%s\"}\n",
           options.connections, options.connections / seconds, cpu / options.connections * 1e6,
           (double)(servers_resident_kb() - before) / options.connections, extensions);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double latency_ms(double share)
{
    return latency_count ? latencies[(size_t)(share * (latency_count - 1))] / 1e3 : 0;
}

static void run_rounds(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        int64_t began = now();
        uint64_t due = (uint64_t)(said + 1) * (options.connections - 1);
        say();
        while (delivered < due) {
            wait_for_events(1000);
            stop_if_stalled(began, "waiting for deliveries");
        }
    }
}

static void run_block(void)
{
    struct rusage own;

    run_rounds(WARM_UP_ROUNDS);
    uint64_t before = delivered;
    double server = servers_cpu_seconds(), machine = machine_cpu_seconds();
    getrusage(RUSAGE_SELF, &own);
    double client = own.ru_utime.tv_sec + own.ru_utime.tv_usec * 1e-6 + own.ru_stime.tv_sec + own.ru_stime.tv_usec * 1e-6;
    int64_t began = now();
    latency_count = 0;
    run_rounds(options.rounds);
    double seconds = (now() - began) / 1e9;
    server = servers_cpu_seconds() - server;
    machine = machine_cpu_seconds() - machine;
    getrusage(RUSAGE_SELF, &own);
    client = own.ru_utime.tv_sec + own.ru_utime.tv_usec * 1e-6 + own.ru_stime.tv_sec + own.ru_stime.tv_usec * 1e-6 - client;
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    printf("{\"kind\": \"block\", \"connections\": %d, \"rounds\": %d, \"deliveries\": %lu, \"seconds\": %.4f, "
           "\"server_cpu\": %.4f, \"client_cpu\": %.4f, \"other_cpu\": %.2f, \"cpu_us\": %.4f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"bytes\": %.0f, \"resident_kb\": %ld, \"wrong\": %lu, \"ended\": %lu}\n",
           options.connections, options.rounds, delivered - before, seconds, server, client, machine - server - client,
           server / (delivered - before) * 1e6, latency_ms(0.5), latency_ms(0.99), (double)bytes / delivered, servers_resident_kb(), wrong, ended);
    fflush(stdout);
}

/* Answers pings until there is a line on standard input; false at its end. */
static bool next_block(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = STANDARD_INPUT};
    char line[64];

    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
    while (!wait_for_events(1000))
        ;
    epoll_ctl(epoll, EPOLL_CTL_DEL, 0, NULL);
    return read(0, line, sizeof line) > 0;
}

/* The command line. */

static char **lines_of(const char *path, size_t *count)
{
    char **lines = NULL, *line = NULL;
    size_t room = 0;
    ssize_t size;
    FILE *file = fopen(path, "r");

    if (!file)
        fail(path);
    while ((size = getline(&line, &room, file)) >= 0) {
        if (size && line[size - 1] == '\n')
            line[size - 1] = 0;
        lines = realloc(lines, (*count + 1) * sizeof *lines);
        lines[(*count)++] = strdup(line);
    }
    free(line);
    fclose(file);
    return lines;
}

static void read_options(int count, char **arguments)
{
    static const struct option known[] = {
        {"port", 1, 0, 'p'},     {"path", 1, 0, 'u'},      {"connections", 1, 0, 'n'}, {"rounds", 1, 0, 'r'},
        {"pids", 1, 0, 'P'},     {"say", 1, 0, 's'},       {"marker", 1, 0, 'm'},      {"ready", 1, 0, 'R'},
        {"cookies", 1, 0, 'c'},  {"openings", 1, 0, 'o'},  {"deflate", 0, 0, 'd'},     {"socketio", 0, 0, 'i'},
        {0, 0, 0, 0},
    };

    for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;)
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'u': options.path = optarg; break;
        case 'n': options.connections = atoi(optarg) + 1; break;
        case 'r': options.rounds = atoi(optarg); break;
        case 's': options.lines = lines_of(optarg, &options.line_count); break;
        case 'm': options.marker = optarg; break;
        case 'R': options.ready = optarg; break;
        case 'c': options.cookies = lines_of(optarg, &options.cookie_count); break;
        case 'o': options.openings = lines_of(optarg, &options.opening_count); break;
        case 'd': options.deflate = true; break;
        case 'i': options.socketio = true; break;
        case 'P':
            for (char *pid = strtok(optarg, ","); pid && options.pid_count < MAX_PIDS; pid = strtok(NULL, ","))
                options.pids[options.pid_count++] = atoi(pid);
            break;
        default: exit(2);
        }
}

int main(int count, char **arguments)
{
    read_options(count, arguments);
    if (!options.line_count) {
        fprintf(stderr, "load: nothing to say (--say)\n");
        return 2;
    }
    all = calloc(options.connections, sizeof *all);
    latency_room = (size_t)options.rounds * options.connections;
    latencies = calloc(latency_room + 1, sizeof *latencies);
    epoll = epoll_create1(0);
    if (!all || !latencies || epoll < 0)
        fail("starting");
    connect_all();
    fflush(stdout);
    while (next_block())
        run_block();
    return 0;
}
