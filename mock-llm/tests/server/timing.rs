//! When things come.

use tollgate_core::time::{Instant, Nanos};

use crate::client::{chat, whole, with_plain};
use crate::world::seconds;

#[test]
fn tokens_come_at_their_instants() {
    with_plain(async |lab| {
        let heard = lab.send(chat(101)).await.expect("an answer");
        assert_eq!((heard.status, heard.opened, heard.is_whole), (200, seconds(0.5), true));
        let expected: Vec<Instant> = (0..101_u64)
            .map(|number| Instant::EPOCH + Nanos::from_millis(500 + 10 * number))
            .collect();
        assert_eq!(heard.tokens(), expected);
        assert_eq!(heard.ended, seconds(1.5));
        assert_eq!(heard.header("openai-processing-ms"), Some("500"));
    });
}

#[test]
fn a_whole_answer_comes_with_its_last_token() {
    with_plain(async |lab| {
        let heard = lab.send(whole(101)).await.expect("an answer");
        assert_eq!((heard.opened, heard.ended), (seconds(1.5), seconds(1.5)));
    });
}
