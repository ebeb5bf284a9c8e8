//! What a mock says: words and vectors drawn from dice.

use tollgate_core::dice::{Dice, Purpose, RequestDice, Rng};

/// A text without an end, a word for every token. One attempt says the same whenever and however it is asked.
#[derive(Clone, Debug)]
pub(super) struct Words {
    rng: Rng,
    is_first: bool,
}

const WORDS: [&str; 32] = [
    "the", "gate", "opens", "when", "traffic", "is", "light", "and", "closes", "before", "a", "queue", "grows", "too",
    "long", "every", "token", "comes", "in", "its", "own", "time", "so", "nobody", "waits", "for", "more", "than",
    "they", "must", "at", "last",
];

/// Draws of the words of attempt 0; lengths are the draw before.
const SPOKEN: u32 = 1 << 16;

impl Words {
    /// The words of one choice of an attempt.
    pub(super) fn new(dice: RequestDice, attempt: u32, choice: u32) -> Words {
        let number = SPOKEN.wrapping_add(attempt).wrapping_add(choice << 20);
        Words {
            rng: dice.roll(Purpose::Output, number),
            is_first: true,
        }
    }

    /// Adds the next `count` of them to `text`.
    pub(super) fn speak(&mut self, count: u32, text: &mut String) {
        for _ in 0..count {
            if !self.is_first {
                text.push(' ');
            }
            self.is_first = false;
            let word = self.rng.below(WORDS.len() as u64);
            text.push_str(WORDS[usize::try_from(word).expect("an index")]);
        }
    }
}

/// The vector of a text: of length 1, and the same for the same text.
pub(super) fn embed(digest: u64, dimensions: u32) -> Vec<f32> {
    let mut rng = Dice::new(digest).request(0).roll(Purpose::Output, 0);
    let values: Vec<f64> = (0..dimensions).map(|_| 2.0 * rng.uniform() - 1.0).collect();
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "vectors have single precision")]
    values.iter().map(|value| (value / norm) as f32).collect()
}

/// The bytes of a vector in base64, as SDKs ask for them.
pub(super) fn base64(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut bits = [0; 3];
        bits[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for place in 0..4 {
            let symbol = ALPHABET[((bits >> (18 - 6 * place)) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_depend_on_how_they_are_asked_for() {
        let dice = Dice::new(7).request(1);
        let mut whole = String::new();
        Words::new(dice, 0, 0).speak(20, &mut whole);
        let mut parts = String::new();
        let mut words = Words::new(dice, 0, 0);
        for count in [1, 0, 4, 15] {
            words.speak(count, &mut parts);
        }
        assert_eq!(whole, parts);
        assert_eq!(whole.split(' ').count(), 20);
        let mut other = String::new();
        Words::new(dice, 1, 0).speak(20, &mut other);
        assert_ne!(whole, other);
    }

    #[test]
    fn vectors_have_length_1() {
        let vector = embed(17, 1_536);
        let norm: f32 = vector.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-4);
        assert_eq!(vector, embed(17, 1_536));
        assert_ne!(vector, embed(18, 1_536));
    }

    /// Checked against `base64.b64encode(struct.pack("<f", x))` of Python.
    #[test]
    fn vectors_are_written_in_base64() {
        assert_eq!(base64(&[]), "");
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[0.5, -2.25]), "AAAAPwAAEMA=");
        assert_eq!(base64(&[0.1, 0.2, 0.3]), "zczMPc3MTD6amZk+");
    }
}
