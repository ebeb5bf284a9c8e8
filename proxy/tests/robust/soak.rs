//! What is left of memory after very many requests, keys of limits, and clients that went.
//!
//! `TOLLGATE_FULL=1` makes it a million requests, a hundred thousand keys and ten thousand clients.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::chaos::say;
use crate::client::{body, post};
use crate::upstream::{STREAM, TOKEN, Upstream, whole};
use crate::world::{World, policy};

/// How much is asked of a gateway.
#[derive(Clone, Copy)]
struct Load {
    requests: usize,
    keys: usize,
    aborted: usize,
}

const CLIENTS: usize = 8;

#[test]
fn memory_comes_back() {
    let load = if std::env::var_os("TOLLGATE_FULL").is_some() {
        Load {
            requests: 1_000_000,
            keys: 100_000,
            aborted: 10_000,
        }
    } else {
        Load {
            requests: 20_000,
            keys: 5_000,
            aborted: 500,
        }
    };
    let plain = Upstream::new(|line| {
        line.say(whole().as_bytes());
    });
    let endless = Upstream::new(|line| {
        line.say(STREAM.as_bytes());
        while line.say(TOKEN.repeat(10).as_bytes()) {}
    });
    let world = World::with(
        &two_routes(plain.address, endless.address),
        "[upstream]\nidle = \"2s\"\n",
    );
    // Threads, connections and tables are there once they have been used.
    let warm_up = Load {
        requests: load.requests / 10,
        keys: 1_000,
        aborted: load.aborted / 10,
    };
    run(&world, warm_up, 0);
    world.settle();
    let before = world.memory();
    run(&world, load, 1);
    world.settle();
    // The one that those who went share owes for long.
    let is_forgotten = |status: &serde_json::Value| status["limits"][0]["keys"].as_u64().is_some_and(|keys| keys <= 1);
    world.eventually("keys that owe nothing are forgotten", is_forgotten);
    let after = world.memory();
    say(&format!(
        "{} requests, {} keys and {} clients that went: {} KiB before, {} KiB after, {} KiB at most",
        load.requests,
        load.keys,
        load.aborted,
        before >> 10,
        after >> 10,
        world.most_memory() >> 10
    ));
    assert!(after <= before + before / 5, "{before} bytes before, {after} after");
    world.end();
}

/// One route to an endpoint that answers, one to an endpoint that streams for ever; a limit that counts by a header.
pub(crate) fn two_routes(plain: SocketAddr, endless: SocketAddr) -> String {
    let plain = policy(&[plain], "").replace("per = [\"tenant\"]", "per = [\"header:x-user\"]");
    // Each key owes something for some seconds, and is remembered for that long.
    let plain = plain.replace("amount = 1_000_000_000, period", "amount = 1, period");
    let plain = plain.replace("model = \"m*\"", "model = \"m\"");
    format!(
        "{plain}\n[[route]]\nname = \"endless\"\npools = [\"endless\"]\n\n[[pool]]\nname = \"endless\"\n\
         [[pool.endpoint]]\nname = \"endless\"\nurl = \"http://{endless}/v1\"\nprovider = \"openai\"\n"
    )
}

/// Runs all of `load`; its keys have never been seen in another `round`.
fn run(world: &World, load: Load, round: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = world.connect();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if load.requests <= number {
                        return;
                    }
                    if number.is_multiple_of(load.requests / load.aborted) {
                        let mut leaving = world.connect();
                        leaving.send(&post(&body(true).replace("\"m\"", "\"endless\""), ""));
                        assert!(leaving.more(), "it streams");
                    }
                    let key = number % load.keys;
                    client.send(&post(&body(false), &format!("x-user: {round}-{key}\r\n")));
                    let answer = client.answer().expect("an answer");
                    assert_eq!(answer.status, 200);
                }
            });
        }
    });
}
