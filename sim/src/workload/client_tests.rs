//! One test for each rule of each client, named after it.

use super::*;

fn client(kind: ClientKind) -> Client {
    Client::new(&ClientSpec {
        kind,
        ..ClientSpec::default()
    })
    .expect("the defaults are possible")
}

fn status(status: u16) -> Answer {
    Answer {
        status: Some(status),
        ..Answer::default()
    }
}

fn asked(code: u16, wait: Nanos) -> Answer {
    Answer {
        retry_after: Some(wait),
        ..status(code)
    }
}

fn next(kind: ClientKind, retries: u32, answer: &Answer) -> Option<Nanos> {
    client(kind).next(retries, answer, &mut Rng::new(11))
}

const SDKS: [ClientKind; 2] = [ClientKind::OpenaiPython, ClientKind::OpenaiNode];

#[test]
fn sdks_retry_408_409_429_and_5xx_and_nothing_else() {
    for kind in SDKS {
        for code in 100..600 {
            let retried = next(kind, 0, &status(code)).is_some();
            assert_eq!(retried, matches!(code, 408 | 409 | 429 | 500..=599), "{kind:?} {code}");
        }
    }
}

#[test]
fn sdks_retry_connection_errors_and_timeouts() {
    for kind in SDKS {
        assert!(next(kind, 0, &Answer::default()).is_some(), "{kind:?}");
    }
}

#[test]
fn sdks_retry_twice() {
    for kind in SDKS {
        let retried: Vec<bool> = (0..4)
            .map(|retries| next(kind, retries, &status(503)).is_some())
            .collect();
        assert_eq!(retried, [true, true, false, false], "{kind:?}");
    }
}

#[test]
fn x_should_retry_wins_over_the_status() {
    for kind in SDKS {
        for (code, should_retry) in [(400, true), (404, true), (429, false), (503, false)] {
            let answer = Answer {
                should_retry: Some(should_retry),
                ..status(code)
            };
            assert_eq!(next(kind, 0, &answer).is_some(), should_retry, "{kind:?} {code}");
        }
    }
}

#[test]
fn x_should_retry_does_not_raise_max_retries() {
    for kind in SDKS {
        let answer = Answer {
            should_retry: Some(true),
            ..status(503)
        };
        assert_eq!(next(kind, 2, &answer), None, "{kind:?}");
    }
}

#[test]
fn backoff_doubles_from_half_a_second_to_eight_less_up_to_a_quarter() {
    for kind in SDKS {
        let spec = ClientSpec {
            kind,
            max_retries: Some(10),
            ..ClientSpec::default()
        };
        let client = Client::new(&spec).expect("ten is possible");
        for (retries, full) in [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (9, 8.0)] {
            let delays: Vec<f64> = (0..2000)
                .map(|seed| {
                    client
                        .next(retries, &status(500), &mut Rng::new(seed))
                        .expect("retried")
                        .as_secs_f64()
                })
                .collect();
            let least = delays.iter().copied().fold(f64::INFINITY, f64::min);
            let most = delays.iter().copied().fold(0.0, f64::max);
            assert!(
                0.75 * full <= least && least < 0.76 * full,
                "{kind:?} {retries} {least}"
            );
            assert!(0.99 * full < most && most <= full, "{kind:?} {retries} {most}");
        }
    }
}

#[test]
fn a_wait_that_is_asked_for_is_kept_to_the_millisecond() {
    for kind in SDKS {
        for wait in [1, 20, 1200, 119_999, 120_000].map(Nanos::from_millis) {
            assert_eq!(next(kind, 1, &asked(429, wait)), Some(wait), "{kind:?}");
        }
    }
}

#[test]
fn python_gives_up_when_asked_to_wait_over_120_s_even_if_told_to_retry() {
    let long = asked(429, Nanos::from_millis(120_001));
    let told = Answer {
        should_retry: Some(true),
        ..long
    };
    for answer in [long, told] {
        assert_eq!(next(ClientKind::OpenaiPython, 0, &answer), None);
    }
}

#[test]
fn node_waits_as_long_as_it_is_asked_to() {
    let day = Nanos::from_secs(86_400);
    assert_eq!(next(ClientKind::OpenaiNode, 0, &asked(429, day)), Some(day));
}

#[test]
fn node_retries_at_once_when_its_timer_overflows() {
    let month = Nanos::from_secs(30 * 86_400);
    assert_eq!(
        next(ClientKind::OpenaiNode, 0, &asked(429, month)),
        Some(Nanos::from_millis(1))
    );
}

#[test]
fn node_retries_within_3_ms_when_retry_after_is_0_or_rubbish() {
    let delay = next(ClientKind::OpenaiNode, 0, &asked(429, Nanos::ZERO)).expect("retried");
    assert!(delay <= Nanos::from_millis(3), "{delay}");
}

#[test]
fn python_backs_off_when_retry_after_is_0_or_rubbish() {
    let delay = next(ClientKind::OpenaiPython, 0, &asked(429, Nanos::ZERO)).expect("retried");
    assert!(Nanos::from_millis(375) <= delay, "{delay}");
}

#[test]
fn fire_and_forget_never_retries() {
    let spec = ClientSpec {
        kind: ClientKind::FireAndForget,
        max_retries: Some(5),
        ..ClientSpec::default()
    };
    let client = Client::new(&spec).expect("five is possible");
    for answer in [Answer::default(), status(503), asked(429, Nanos::from_secs(1))] {
        assert_eq!(client.next(0, &answer, &mut Rng::new(1)), None);
    }
}

#[test]
fn a_success_is_never_asked_for_again() {
    for kind in SDKS {
        assert_eq!(
            next(
                kind,
                0,
                &Answer {
                    should_retry: Some(true),
                    ..status(200)
                }
            ),
            None,
            "{kind:?}"
        );
    }
}

#[test]
fn custom_honours_retry_after_only_if_told() {
    let backoff = BackoffSpec {
        base: Nanos::from_secs(3),
        max: Nanos::from_secs(3),
        jitter: 0.0,
    };
    let wait = Nanos::from_secs(7);
    for (honours_retry_after, expected) in [(true, wait), (false, Nanos::from_secs(3))] {
        let kind = ClientKind::Custom {
            backoff,
            honours_retry_after,
        };
        assert_eq!(next(kind, 0, &asked(503, wait)), Some(expected));
    }
}

#[test]
fn the_timeout_is_600_s_unless_stated() {
    assert_eq!(client(ClientKind::OpenaiPython).timeout(), Nanos::from_secs(600));
    let spec = ClientSpec {
        timeout: Some(Nanos::from_secs(5)),
        ..ClientSpec::default()
    };
    assert_eq!(
        Client::new(&spec).expect("five seconds are possible").timeout(),
        Nanos::from_secs(5)
    );
}

#[test]
fn patience_is_drawn_once_a_call() {
    let mean = Distribution::exponential(30.0).expect("30 is possible");
    let spec = ClientSpec {
        patience: Patience::Within(mean),
        ..ClientSpec::default()
    };
    let client = Client::new(&spec).expect("possible");
    let first = client.patience(&mut Rng::new(5));
    assert!(first.is_some());
    assert_eq!(first, client.patience(&mut Rng::new(5)));
    assert_eq!(
        Client::new(&ClientSpec::default())
            .expect("possible")
            .patience(&mut Rng::new(5)),
        None
    );
}
