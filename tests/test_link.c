/* Links over real sockets in one process: credit, distribution, custody,
 * epochs, and what strangers send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/flow/inbox.h"
#include "lib/flow/link.h"
#include "lib/flow/outbox.h"

/* Nothing here depends on time: what does not come in so many looks, some 1 ms
 * apart, never comes. On a busy machine much more passes between two. */
#define LOOKS 300000

#define KEY "0123456789abcdef"

static char dir[] = "/tmp/facet-test-XXXXXX";
static int serial;

struct pair {
    struct link_hub *hub;
    struct outbox *out;
    struct inbox *in[2];
    char endpoint[2][64];
    int n_done;
    void *last_token;
};

static enum err_code count_done(void *arg, void *token, struct err *e)
{
    struct pair *p = arg;
    (void)e;
    p->n_done++;
    p->last_token = token;
    return OK;
}

static void endpoint(char out[64])
{
    snprintf(out, 64, "ipc://%s/%d", dir, serial++);
}

static struct item *make(int64_t i, int64_t bytes)
{
    struct err e;
    struct item *it = item_new(&e);
    struct tensor *t = tensor_new(DT_U8, 1, &bytes, &e);
    assert_non_null(it);
    assert_non_null(t);
    memset(t->data, (int)(i & 255), t->bytes);
    it->id = item_make_id(&it->parent, "test", "out", (uint64_t)i, NULL);
    assert_int_equal(item_set_i64(it, "i", i, &e), OK);
    assert_int_equal(item_set_tensor(it, "t", t, &e), OK);
    return it;
}

static void poll_all(struct pair *p)
{
    struct err e;
    for (int k = 0; k < 2; k++)
        if (p->in[k])
            assert_int_equal(inbox_poll(p->in[k], &e), OK);
    assert_int_equal(outbox_poll(p->out, count_done, p, &e), OK);
    usleep(1000);
}

/* Let the sockets say what they have to say; for what must not come. */
static void settle(struct pair *p)
{
    for (int i = 0; i < 40; i++)
        poll_all(p);
}

/* Wait until n items wait in inbox k; no more than n may come. */
static void arrive(struct pair *p, int k, size_t n)
{
    for (int i = 0; i < LOOKS && inbox_waiting(p->in[k]) < n; i++)
        poll_all(p);
    assert_int_equal(inbox_waiting(p->in[k]), n);
}

static void arrive_done(struct pair *p, int n)
{
    for (int i = 0; i < LOOKS && p->n_done < n; i++)
        poll_all(p);
    assert_int_equal(p->n_done, n);
}

/* A sender with n receiving replicas behind port 0. */
static void open_pair(struct pair *p, int n, size_t batch)
{
    struct err e = {0};
    *p = (struct pair){0};
    p->hub = link_hub_new(&e);
    assert_non_null(p->hub);
    for (int k = 0; k < n; k++) {
        endpoint(p->endpoint[k]);
        p->in[k] = inbox_new(p->hub, p->endpoint[k], 1, KEY, batch, &e);
        assert_non_null(p->in[k]);
        assert_int_equal(inbox_expect(p->in[k], 7, 1, &e), OK);
    }
    p->out = outbox_new(p->hub, 7, 1, KEY, &e);
    assert_non_null(p->out);
    for (int k = 0; k < n; k++)
        assert_int_equal(
            outbox_add(p->out, 0, 3, "in", k, 1, p->endpoint[k], &e), OK);
    assert_int_equal(outbox_edges(p->out, 0), 1);
    assert_int_equal(outbox_edges(p->out, 1), 0);
    for (int i = 0; i < LOOKS && outbox_stats(p->out).answered < (size_t)n; i++)
        poll_all(p);
    assert_int_equal(outbox_stats(p->out).answered, n);
}

static void close_pair(struct pair *p)
{
    outbox_free(&p->out);
    inbox_free(&p->in[0]);
    inbox_free(&p->in[1]);
    link_hub_free(&p->hub);
}

static bool send_one(struct pair *p, int64_t i, int64_t bytes)
{
    struct err e = {0};
    bool sent = false;
    struct shared *s = outbox_share(make(i, bytes), &e);
    assert_non_null(s);
    if (outbox_send(p->out, 0, 0, s, p, &sent, &e))
        fail_msg("%s", e.text);
    outbox_unshare(&s);
    return sent;
}

/* Once there is credit for it. */
static bool send_soon(struct pair *p, int64_t i, int64_t bytes)
{
    for (int k = 0; k < LOOKS; k++) {
        if (send_one(p, i, bytes))
            return true;
        poll_all(p);
    }
    return false;
}

static int send_all(struct pair *p, int n, int64_t bytes)
{
    int k = send_soon(p, 0, bytes) ? 1 : 0;
    while (k < n && send_one(p, k, bytes))
        k++;
    return k;
}

static void test_credit_bounds_what_is_sent(void **state)
{
    struct pair p;
    struct err e;
    struct sender *from = NULL;
    size_t bytes = 0;
    (void)state;
    open_pair(&p, 1, 0);
    assert_int_equal(send_all(&p, 100, 10), INBOX_WINDOW_ITEMS);
    arrive(&p, 0, INBOX_WINDOW_ITEMS);
    /* Taking is not releasing. */
    struct item *it = inbox_take(p.in[0], &from, &bytes);
    assert_non_null(it);
    assert_int_equal(item_i64(it, "i", -1), 0);
    assert_null(item_get(it, LINK_PORT_FIELD));
    assert_int_equal(bytes, 10);
    assert_int_equal(inbox_flush(p.in[0], true, &e), OK);
    settle(&p);
    assert_false(send_one(&p, 100, 10));
    inbox_release(p.in[0], from, bytes);
    assert_int_equal(inbox_flush(p.in[0], true, &e), OK);
    assert_true(send_soon(&p, 100, 10));
    assert_false(send_one(&p, 101, 10));
    /* Credit is not custody: nothing is DONE so far. */
    assert_int_equal(outbox_stats(p.out).kept, INBOX_WINDOW_ITEMS + 1);
    assert_int_equal(inbox_done(p.in[0], from, &it->id, &e), OK);
    assert_int_equal(inbox_flush(p.in[0], true, &e), OK);
    arrive_done(&p, 1);
    assert_ptr_equal(p.last_token, &p);
    /* Said twice: no harm. */
    assert_int_equal(inbox_done(p.in[0], from, &it->id, &e), OK);
    assert_int_equal(inbox_flush(p.in[0], true, &e), OK);
    settle(&p);
    assert_int_equal(p.n_done, 1);
    assert_int_equal(outbox_stats(p.out).kept, INBOX_WINDOW_ITEMS);
    item_free(&it);
    close_pair(&p);
}

static void test_byte_credit_and_large_items(void **state)
{
    struct pair p;
    struct err e;
    struct sender *from = NULL;
    size_t bytes = 0;
    const int64_t third = (int64_t)INBOX_WINDOW_BYTES / 3;
    (void)state;
    open_pair(&p, 1, 0);
    assert_int_equal(send_all(&p, 10, third), 3);
    arrive(&p, 0, 3);
    for (int i = 0; i < 3; i++) {
        struct item *it = inbox_take(p.in[0], &from, &bytes);
        assert_non_null(it);
        struct tensor *t = item_tensor(it, "t");
        assert_int_equal(t->bytes, third);
        assert_int_equal(tensor_u8(t)[t->bytes - 1], i);
        inbox_release(p.in[0], from, bytes);
        assert_int_equal(inbox_done(p.in[0], from, &it->id, &e), OK);
        item_free(&it);
    }
    assert_int_equal(inbox_flush(p.in[0], true, &e), OK);
    arrive_done(&p, 3);
    /* One item may always go, even if it is larger than the window. */
    assert_true(send_soon(&p, 9, (int64_t)INBOX_WINDOW_BYTES + 1));
    assert_false(send_one(&p, 10, 1));
    arrive(&p, 0, 1);
    close_pair(&p);
}

static void test_the_least_busy_replica_gets_it(void **state)
{
    struct pair p;
    struct err e;
    struct sender *from;
    size_t bytes;
    (void)state;
    open_pair(&p, 2, 0);
    assert_int_equal(send_all(&p, 8, 10), 8);
    arrive(&p, 0, 4);
    arrive(&p, 1, 4);
    for (int i = 0; i < 4; i++) {
        struct item *it = inbox_take(p.in[1], &from, &bytes);
        inbox_release(p.in[1], from, bytes);
        item_free(&it);
    }
    assert_int_equal(outbox_stats(p.out).in_hand, 8);
    assert_int_equal(inbox_flush(p.in[1], true, &e), OK);
    for (int i = 0; i < LOOKS && outbox_stats(p.out).in_hand > 4; i++)
        poll_all(&p);
    assert_int_equal(send_all(&p, 4, 10), 4);
    arrive(&p, 0, 4);
    arrive(&p, 1, 4);
    close_pair(&p);
}

static void test_what_is_kept_is_capped(void **state)
{
    struct pair p;
    struct err e;
    struct sender *from;
    size_t bytes;
    int sent = 0;
    (void)state;
    open_pair(&p, 1, 0);
    while (sent < OUTBOX_MAX_ITEMS) { /* credit, but never DONE */
        sent += send_all(&p, 1000, 10);
        arrive(&p, 0, INBOX_WINDOW_ITEMS);
        while (inbox_waiting(p.in[0])) {
            struct item *it = inbox_take(p.in[0], &from, &bytes);
            inbox_release(p.in[0], from, bytes);
            item_free(&it);
        }
        assert_int_equal(inbox_flush(p.in[0], true, &e), OK);
    }
    settle(&p);
    assert_false(send_one(&p, 1, 1));
    assert_int_equal(sent, OUTBOX_MAX_ITEMS);
    close_pair(&p);
}

static void test_end(void **state)
{
    struct pair p;
    struct err e;
    struct sender *from;
    size_t bytes;
    (void)state;
    open_pair(&p, 2, 0);
    assert_true(send_soon(&p, 0, 10));
    assert_false(outbox_ended(p.out));
    assert_int_equal(outbox_end(p.out, &e), OK);
    assert_false(outbox_ended(p.out));
    for (int i = 0; i < LOOKS && !outbox_ended(p.out); i++)
        poll_all(&p);
    assert_true(outbox_ended(p.out)); /* both have answered */
    int k = inbox_waiting(p.in[0]) ? 0 : 1;
    assert_true(inbox_ended(p.in[1 - k]));
    assert_false(inbox_ended(p.in[k])); /* the item still waits */
    struct item *it = inbox_take(p.in[k], &from, &bytes);
    item_free(&it);
    assert_true(inbox_ended(p.in[k]));
    close_pair(&p);
}

/* A hand-made sender: what strangers, older epochs and broken peers send. */
static void say(struct link *l, const char *kind, const char *key,
                uint32_t epoch)
{
    struct err e;
    struct item *it = make(1, 4);
    snprintf(it->kind, sizeof it->kind, "%s", kind);
    it->epoch = epoch;
    if (key)
        assert_int_equal(item_set_str(it, "key", key, &e), OK);
    assert_int_equal(link_send(l, NULL, it, &e), OK);
    item_free(&it);
}

/* Until an error, or until n items wait; with n = 0 for a while. */
static enum err_code poll_in(struct pair *p, size_t n, struct err *e)
{
    enum err_code rc = OK;
    *e = (struct err){0};
    for (int i = 0; !rc && i < (n ? LOOKS : 30); i++) {
        rc = inbox_poll(p->in[0], e);
        if (n && inbox_waiting(p->in[0]) == n)
            break;
        usleep(1000);
    }
    return rc;
}

static void test_strangers_and_old_epochs(void **state)
{
    struct pair p;
    struct err e;
    (void)state;
    open_pair(&p, 1, 0);
    assert_int_equal(inbox_expect(p.in[0], 8, 5, &e), OK);

    struct link *l = link_connect(p.hub, p.endpoint[0], "9.1", &e);
    say(l, "hello", KEY, 1); /* not among the expected */
    say(l, "item", NULL, 1);
    assert_int_equal(poll_in(&p, 0, &e), OK);
    assert_int_equal(inbox_waiting(p.in[0]), 0);
    link_close(&l, 0);

    l = link_connect(p.hub, p.endpoint[0], "8.5", &e);
    say(l, "item", NULL, 5); /* before its hello */
    assert_int_equal(poll_in(&p, 0, &e), OK);
    assert_int_equal(inbox_waiting(p.in[0]), 0);
    say(l, "hello", KEY, 5);
    say(l, "item", NULL, 4); /* of an older epoch */
    assert_int_equal(poll_in(&p, 0, &e), OK);
    assert_int_equal(inbox_waiting(p.in[0]), 0);
    say(l, "item", NULL, 5);
    assert_int_equal(poll_in(&p, 1, &e), OK);
    assert_int_equal(inbox_waiting(p.in[0]), 1);
    say(l, "cake", NULL, 5);
    assert_int_equal(poll_in(&p, 99, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "process 8"));
    assert_non_null(strstr(e.text, "cake"));
    link_close(&l, 0);
    close_pair(&p);
}

static void test_key_of_another_run(void **state)
{
    struct pair p;
    struct err e;
    (void)state;
    open_pair(&p, 1, 0);
    assert_int_equal(inbox_expect(p.in[0], 8, 1, &e), OK);
    struct link *l = link_connect(p.hub, p.endpoint[0], "8.1", &e);
    say(l, "hello", "wrong", 1);
    assert_int_equal(poll_in(&p, 99, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "key"));
    link_close(&l, 0);
    close_pair(&p);
}

/* Answers to a sender that make no sense. */
static void test_impossible_answers(void **state)
{
    static const struct {
        const char *kind;
        int64_t items, window;
    } bad[] = {{"credit", 5, 4},
               {"credit", -1, 4},
               {"credit", 0, 0},
               {"done", 0, 0},
               {"gift", 0, 0}};
    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct err e = {0};
        char at[64], peer[LINK_NAME];
        struct pair p = {0};
        struct item *hello = NULL;
        endpoint(at);
        p.hub = link_hub_new(&e);
        struct link *l = link_bind(p.hub, at, &e);
        p.out = outbox_new(p.hub, 7, 1, KEY, &e);
        assert_non_null(l);
        assert_int_equal(outbox_add(p.out, 0, 0, "in", 1, 1, at, &e), OK);
        while (!hello)
            assert_int_equal(link_recv(l, peer, &hello, &e), OK);
        assert_string_equal(peer, "7.1");
        assert_string_equal(hello->kind, "hello");
        assert_string_equal(item_str(hello, "key", ""), KEY);
        struct item *it = item_new(&e);
        snprintf(it->kind, sizeof it->kind, "%s", bad[k].kind);
        it->epoch = 1;
        assert_int_equal(item_set_i64(it, "items", bad[k].items, &e), OK);
        assert_int_equal(item_set_i64(it, "bytes", 0, &e), OK);
        assert_int_equal(item_set_i64(it, "window_items", bad[k].window, &e),
                         OK);
        assert_int_equal(item_set_i64(it, "window_bytes", 99, &e), OK);
        assert_int_equal(link_send(l, peer, it, &e), OK);
        enum err_code rc = OK;
        for (int i = 0; !rc && i < LOOKS; i++) {
            rc = outbox_poll(p.out, count_done, &p, &e);
            usleep(1000);
        }
        assert_int_equal(rc, ERR_DATA);
        /* The same from an older epoch is ignored. */
        it->epoch = 0;
        assert_int_equal(link_send(l, peer, it, &e), OK);
        usleep(20000);
        assert_int_equal(outbox_poll(p.out, count_done, &p, &e), OK);
        item_free(&it);
        item_free(&hello);
        link_close(&l, 0);
        close_pair(&p);
    }
}

/* Bytes that are no message: an error, and the next message is read. */
static void test_garbage(void **state)
{
    static const char *const bad[] = {"", "x", "\x81\xa1v\x01", "\xde\xff\xff",
                                      "\x85\xa1v\x63"};
    struct err e = {0};
    char at[64], peer[LINK_NAME];
    struct item *it = NULL;
    (void)state;
    endpoint(at);
    struct link_hub *hub = link_hub_new(&e);
    struct link *l = link_bind(hub, at, &e);
    assert_non_null(l);
    void *ctx = zmq_ctx_new(), *sock = zmq_socket(ctx, ZMQ_DEALER);
    assert_int_equal(zmq_setsockopt(sock, ZMQ_ROUTING_ID, "evil", 4), 0);
    assert_int_equal(zmq_connect(sock, at), 0);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        enum err_code rc = OK;
        zmq_send(sock, bad[k], strlen(bad[k]), ZMQ_SNDMORE);
        zmq_send(sock, "more", 4, 0);
        for (int i = 0; !rc && i < LOOKS; i++) {
            rc = link_recv(l, peer, &it, &e);
            assert_null(it);
            usleep(500);
        }
        assert_in_range(rc, ERR_DATA, ERR_UNSUPPORTED);
        assert_string_equal(peer, "evil");
    }
    for (int k = 0; k < 200; k++) /* too many parts */
        zmq_send(sock, "x", 1, ZMQ_SNDMORE);
    zmq_send(sock, "x", 1, 0);
    struct item *good = make(3, 100000);
    enum err_code rc = OK;
    for (int i = 0; !rc && i < LOOKS; i++) {
        rc = link_recv(l, peer, &it, &e);
        usleep(500);
    }
    assert_int_equal(rc, ERR_DATA);
    zmq_close(sock);
    zmq_ctx_term(ctx);
    struct link *c = link_connect(hub, at, "good", &e);
    assert_int_equal(link_send(c, NULL, good, &e), OK);
    while (!it)
        assert_int_equal(link_recv(l, peer, &it, &e), OK);
    assert_string_equal(peer, "good");
    char why[200];
    assert_true(item_equal(it, good, 0, true, why, sizeof why));
    item_free(&it);
    item_free(&good);
    link_close(&c, 0);
    link_close(&l, 0);
    link_hub_free(&hub);
}

/* A ROUTER closes while peers to which it has still something to say leave: it
 * must not wait for them (it once did, for ever, now and then). */
static void test_peers_that_leave(void **state)
{
    enum { PEERS = 8, ROUNDS = 150 };
    struct err e = {0};
    (void)state;
    struct item *it = make(1, 100000);
    for (int round = 0; round < ROUNDS; round++) {
        char at[64], name[LINK_NAME];
        struct link_hub *here = link_hub_new(&e), *there = link_hub_new(&e);
        struct link *l, *peer[PEERS];
        assert_true(here && there);
        endpoint(at);
        l = link_bind(here, at, &e);
        assert_non_null(l);
        for (int i = 0; i < PEERS; i++) {
            snprintf(name, sizeof name, "p%d", i);
            peer[i] = link_connect(there, at, name, &e);
            assert_non_null(peer[i]);
            assert_int_equal(link_send(peer[i], NULL, it, &e), OK);
        }
        for (int heard = 0; heard < PEERS;) {
            struct item *got = NULL;
            assert_int_equal(link_wait(here, &l, 1, NULL, 0, 100, &e), OK);
            assert_int_equal(link_recv(l, name, &got, &e), OK);
            heard += got != NULL;
            for (int i = 0; got && i < 20; i++)
                assert_int_equal(link_send(l, name, it, &e), OK);
            item_free(&got);
        }
        for (int i = 0; i < PEERS; i++)
            link_close(&peer[i], 0);
        usleep((useconds_t)(round % 16) * 20);
        link_close(&l, 0);
        link_hub_free(&here);
        link_hub_free(&there);
    }
    item_free(&it);
}

static void test_arguments(void **state)
{
    struct err e;
    char at[64];
    (void)state;
    struct link_hub *hub = link_hub_new(&e);
    endpoint(at);
    struct link *l = link_bind(hub, at, &e);
    assert_null(link_bind(hub, "ipc:///no/such/folder/x", &e));
    assert_int_equal(e.code, ERR_IO);
    assert_null(link_connect(hub, at, "", &e));
    assert_int_equal(e.code, ERR_ARG);
    assert_null(
        link_connect(hub, at, "a name that is much too long for it", &e));
    assert_null(link_connect(hub, "nonsense", "x", &e));
    struct item *it = make(1, 1);
    assert_int_equal(link_send(l, NULL, it, &e), ERR_ARG);
    assert_int_equal(link_send(l, "nobody", it, &e), OK); /* dropped */
    struct link *pair = link_pair(hub, "inproc://p", &e);
    assert_false(link_writable(pair));
    struct link *end = link_pair_connect(hub, "inproc://p", &e);
    assert_true(link_writable(pair));
    struct item *got = NULL;
    assert_int_equal(link_send(end, NULL, it, &e), OK);
    assert_int_equal(link_recv(pair, NULL, &got, &e), OK);
    assert_non_null(got);
    item_free(&got);
    item_free(&it);
    link_close(&end, 0);
    link_close(&pair, 0);
    link_close(&l, 0);
    link_hub_free(&hub);
}

/* Send, receive, answer, with the n-th allocation failing. Whatever fails,
 * nothing leaks and the item is either sent whole or not at all. */
static bool one_round(struct err *e)
{
    struct item *it = make(1, 50000), *got = NULL;
    struct sender *from = NULL;
    struct pair p = {0};
    bool sent = false, ok = false;
    size_t bytes;
    endpoint(p.endpoint[0]);
    struct shared *s = NULL;
    mem_fail_nth((uint64_t)serial - 1000);
    if (!(p.hub = link_hub_new(e)) ||
        !(p.in[0] = inbox_new(p.hub, p.endpoint[0], 1, KEY, 0, e)) ||
        inbox_expect(p.in[0], 7, 1, e) ||
        !(p.out = outbox_new(p.hub, 7, 1, KEY, e)) ||
        outbox_add(p.out, 0, 0, "in", 0, 1, p.endpoint[0], e))
        goto out;
    s = outbox_share(it, e);
    it = NULL;
    if (!s)
        goto out;
    for (int i = 0; i < LOOKS && p.n_done == 0; i++) {
        if (inbox_poll(p.in[0], e) || outbox_poll(p.out, count_done, &p, e) ||
            (!sent && outbox_send(p.out, 0, 0, s, NULL, &sent, e)))
            goto out;
        got = inbox_take(p.in[0], &from, &bytes);
        if (got) {
            inbox_release(p.in[0], from, bytes);
            if (inbox_done(p.in[0], from, &got->id, e) ||
                inbox_flush(p.in[0], true, e))
                goto out;
        }
        item_free(&got);
        usleep(200);
    }
    if (outbox_end(p.out, e))
        goto out;
    for (int i = 0; i < LOOKS && !outbox_ended(p.out); i++) {
        if (inbox_poll(p.in[0], e) || outbox_poll(p.out, count_done, &p, e))
            goto out;
        usleep(200);
    }
    ok = p.n_done == 1 && inbox_ended(p.in[0]) && outbox_ended(p.out);
out:
    mem_fail_nth(0);
    item_free(&it);
    item_free(&got);
    outbox_unshare(&s);
    close_pair(&p);
    return ok;
}

static void test_allocation_failures(void **state)
{
    int failures = 0;
    (void)state;
    serial = 1000; /* endpoint k is for failure k */
    for (int n = 1; n < 400; n++) {
        struct err e = {0};
        int64_t before = mem_live();
        bool ok = one_round(&e);
        if (mem_live() != before)
            fail_msg("failure %d leaks: %s", n, e.text);
        if (ok)
            break;
        assert_int_equal(e.code, ERR_NOMEM);
        failures++;
        assert_true(n < 399);
    }
    assert_in_range(failures, 20, 380);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credit_bounds_what_is_sent),
        cmocka_unit_test(test_byte_credit_and_large_items),
        cmocka_unit_test(test_the_least_busy_replica_gets_it),
        cmocka_unit_test(test_what_is_kept_is_capped),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_strangers_and_old_epochs),
        cmocka_unit_test(test_key_of_another_run),
        cmocka_unit_test(test_impossible_answers),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_peers_that_leave),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_allocation_failures),
    };
    if (!mkdtemp(dir))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) ? 1 : rc;
}
